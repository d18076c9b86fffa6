//! What a guest does: sockets, pings, raw frames, captures.

use crate::{
    Done, PortPlan, Seen, Tcpdump, Watch,
    command::{self, run},
};
use packet::build::{IpBuilder, frame};
use std::{
    io::{self, Read, Write},
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    process::Command,
    thread,
    time::Duration,
};
use tap::{LinkStats, Links, Netns, PacketMode, PacketSocket};

/// How long anything that must arrive may take. Generous: the machine may be busy.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// A guest of a lab.
#[derive(Debug, Clone)]
pub struct Guest {
    pub(crate) netns: Netns,
    pub(crate) port: PortPlan,
    pub(crate) scratch: std::path::PathBuf,
}

impl Guest {
    /// Its namespace.
    #[must_use]
    pub fn netns(&self) -> &Netns {
        &self.netns
    }

    /// Its port, as planned.
    #[must_use]
    pub fn port(&self) -> &PortPlan {
        &self.port
    }

    /// Its IPv4 address.
    #[must_use]
    pub fn ip(&self) -> Ipv4Addr {
        self.port.ip()
    }

    /// Runs a program in the guest, `line` split at blanks, for at most 20 seconds.
    #[must_use]
    pub fn run(&self, line: &str) -> Done {
        self.feed(line, "")
    }

    /// As [`Guest::run`], with `input` on its standard input.
    ///
    /// # Panics
    /// Where the program cannot be started.
    #[must_use]
    pub fn feed(&self, line: &str, input: &str) -> Done {
        let mut words = line.split_whitespace();
        let mut command = Command::new(words.next().expect("a program to run"));
        run(
            Some(&self.netns),
            command.args(words),
            input,
            command::LONGEST,
        )
    }

    /// Whether every one of `count` echo requests with `size` bytes is answered.
    #[must_use]
    pub fn pings(&self, to: impl Into<IpAddr>, count: u32, size: u32) -> bool {
        let to = to.into();
        let line = format!("ping -n -q -i 0.05 -c {count} -W 1 -s {size} {to}");
        let done = self.run(&line);
        done.code == Some(0) && done.stdout.contains(&format!("{count} received"))
    }

    /// Makes the neighbours' hardware addresses known, so that neither ARP nor its delays play a part.
    pub fn knows(&self, others: &[&Self]) {
        for other in others {
            let (ip, mac, tap) = (other.ip(), other.port.mac(), self.port.tap());
            let _ = self
                .run(&format!("ip neigh replace {ip} lladdr {mac} dev {tap}"))
                .ok();
        }
    }

    /// Takes the guest's IPv4 addresses away: its kernel throws away what comes for them without a word.
    pub fn hears_nothing(&self) {
        let line = format!("ip -4 addr flush dev {}", self.port.tap());
        let _ = self.run(&line).ok();
    }

    /// Gives the guest `count` firewall rules that match nothing, which its kernel tries one by one for every
    /// IPv4 packet that it receives: some 16 ns each.
    pub fn has_rules_for_nothing(&self, count: usize) {
        let chain = "add table ip slow\n\
                     add chain ip slow c { type filter hook prerouting priority 0; }\n";
        let _ = self.feed("nft -f -", chain).ok();
        let rule = "add rule ip slow c udp dport 9 ip saddr 192.0.2.1 counter drop\n";
        let mut left = count;
        // In parts that one call loads in time.
        while left > 0 {
            let part = left.min(50_000);
            let _ = self.feed("nft -f -", &rule.repeat(part)).ok();
            left -= part;
        }
    }

    /// Listens for TCP on `port` of every address.
    ///
    /// # Panics
    /// Where the port is taken.
    #[must_use]
    pub fn listen(&self, port: u16) -> TcpListener {
        let make = || TcpListener::bind((Ipv4Addr::UNSPECIFIED, port));
        self.here(make).expect("the port is free")
    }

    /// Connects to `to` within `timeout`.
    ///
    /// # Errors
    /// As the guest's kernel says: `TimedOut` where nothing answers, `ConnectionRefused`.
    pub fn connect_within(&self, to: (Ipv4Addr, u16), timeout: Duration) -> io::Result<TcpStream> {
        let stream = self.here(|| TcpStream::connect_timeout(&SocketAddr::from(to), timeout))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    /// A connection to `port` of `server`, both ends.
    ///
    /// # Panics
    /// Where it does not come about.
    #[must_use]
    pub fn connect(&self, server: &Self, port: u16) -> (TcpStream, TcpStream) {
        let listener = server.listen(port);
        let client = self.connect_within((server.ip(), port), PATIENCE);
        let client = client.expect("the connection comes about");
        let (peer, _) = listener.accept().expect("the server sees it");
        peer.set_read_timeout(Some(PATIENCE))
            .expect("a timeout above zero");
        peer.set_nodelay(true).expect("an open socket");
        (client, peer)
    }

    /// A UDP socket on `port`, 0 for any, whose reads wait for ten seconds.
    ///
    /// # Panics
    /// Where the port is taken.
    #[must_use]
    pub fn udp(&self, port: u16) -> UdpSocket {
        let make = || UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port));
        let socket = self.here(make).expect("the port is free");
        socket
            .set_read_timeout(Some(PATIENCE))
            .expect("a timeout above zero");
        socket.set_broadcast(true).expect("an open socket");
        socket
    }

    /// A raw socket on the guest's interface.
    ///
    /// # Panics
    /// Where it cannot be had.
    #[must_use]
    pub fn raw(&self, mode: PacketMode) -> PacketSocket {
        PacketSocket::open(Some(&self.netns), &self.port.tap(), mode).expect("root may")
    }

    /// Sends `bytes` as a frame, as if its kernel had.
    ///
    /// # Panics
    /// Where the guest's kernel refuses.
    pub fn send_raw(&self, bytes: &[u8]) {
        self.raw(PacketMode::Send)
            .send(bytes)
            .expect("the interface is up");
    }

    /// A frame from this guest to `to`, with both addresses right: to be changed.
    #[must_use]
    pub fn packet(&self, to: &Self) -> IpBuilder {
        frame(self.port.mac(), to.port.mac()).ip(self.ip(), to.ip())
    }

    /// Watches the guest's interface until [`Watch::stop`]; frames in both directions.
    #[must_use]
    pub fn watch(&self) -> Watch {
        Watch::start(self.raw(PacketMode::Offload))
    }

    /// Whether a frame that `wanted` describes comes in within `timeout` after `act`.
    pub fn sees(
        &self,
        timeout: Duration,
        act: impl FnOnce(),
        wanted: impl Fn(&Seen) -> bool,
    ) -> bool {
        let watch = self.watch();
        act();
        watch.until(timeout, |seen| {
            !seen.is_from(self.port.mac()) && wanted(seen)
        })
    }

    /// Starts tcpdump for the frames this guest sends, which is what a replay wants of its port.
    #[must_use]
    pub fn tcpdump(&self) -> Tcpdump {
        Tcpdump::start(self, &self.scratch)
    }

    /// Switches the guest's offloads off, so that its kernel builds what crosses a wire.
    pub fn offload_off(&self) {
        let tap = self.port.tap();
        let _ = self
            .run(&format!(
                "ethtool -K {tap} tx off sg off tso off gso off gro off"
            ))
            .ok();
    }

    /// Counters of the guest's interface, from its own kernel.
    ///
    /// # Panics
    /// Where it has gone.
    #[must_use]
    pub fn stats(&self) -> LinkStats {
        let mut links = Links::open(Some(&self.netns)).expect("the namespace is there");
        links
            .stats(&self.port.tap())
            .expect("the interface is there")
    }

    /// Runs `f` on a thread inside the guest's namespace.
    ///
    /// # Panics
    /// Where the namespace has gone.
    pub fn here<T: Send>(&self, f: impl FnOnce() -> T + Send) -> T {
        self.netns.run_in(f).expect("the namespace is there")
    }
}

/// Sends `len` bytes from `from` to `to` and tells whether all of them, and nothing else, arrived.
///
/// # Panics
/// Never: both ends fail softly.
#[must_use]
pub fn carries(from: &mut TcpStream, to: &mut TcpStream, len: usize) -> bool {
    let sent: Vec<u8> = (0..len).map(|i| (i * 31 % 251) as u8).collect();
    let mut received = vec![0; len];
    let sending = thread::scope(|scope| {
        let sending = scope.spawn(|| from.write_all(&sent));
        let receiving = to.read_exact(&mut received);
        sending.join().is_ok_and(|result| result.is_ok()) && receiving.is_ok()
    });
    sending && sent == received
}
