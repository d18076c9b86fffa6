//! The oracle: Linux's own connection tracking, in a namespace that routes between two TAPs.
//!
//! ```text
//!   frame ─▶ TAP ka ─▶ prerouting: nf_conntrack, then its judgement into the DSCP ─▶ TAP kb ─▶ read
//! ```
//!
//! What nf_conntrack says of a packet is written into the packet itself by an nftables rule and read
//! where it leaves, so that no counter has to be asked between two packets. A packet that does not
//! leave was refused by IP before netfilter saw it; a marker that follows tells that nothing more
//! comes.

use crate::judged::{Entry, Judged};
use netns_tests::{Lab, Plan, run};
use packet::{Mac, build};
use std::{
    fs,
    net::IpAddr,
    process::Command,
    thread,
    time::{Duration, Instant},
};
use tap::{Netns, Queue, Tap, TapOptions};

/// The router's own hardware address, on both TAPs.
const ROUTER: Mac = Mac([2, 0, 0, 0, 0, 0xff]);
/// UDP port of the marker, which conntrack does not see.
const MARKER: u16 = 9;
/// How long the marker may take.
const PATIENCE: Duration = Duration::from_secs(5);
const TAPS: [&str; 2] = ["ka", "kb"];

/// Settings of conntrack that differ from the kernel's defaults.
pub(crate) type Sysctls<'a> = &'a [(&'a str, &'a str)];

/// The kernel under question.
pub(crate) struct Oracle {
    netns: Netns,
    queues: [Queue; 2],
    addresses: [Vec<IpAddr>; 2],
    /// Owns the namespace.
    _lab: Lab,
}

impl Oracle {
    /// Routes between `addresses` of either end.
    pub(crate) fn start(addresses: [Vec<IpAddr>; 2], sysctls: Sysctls<'_>) -> Self {
        let mut lab = Plan::new().prepare();
        let netns = lab.namespace("kernel");
        let queues = TAPS.map(|name| open_tap(&netns, name));
        let mut script = String::new();
        for (tap, addresses) in TAPS.iter().zip(&addresses) {
            script += &format!("link set {tap} address {ROUTER} up\n");
            for address in addresses {
                script += &format!("route add {address} dev {tap}\n");
                script += &format!(
                    "neigh add {address} lladdr 02:00:00:00:00:01 dev {tap} nud permanent\n"
                );
            }
        }
        shell(&netns, "ip -batch -", &script);
        shell(&netns, "nft -f -", &rules());
        let set = |name: &str, value: &str| {
            fs::write(format!("/proc/sys/net/{name}"), value)
                .unwrap_or_else(|error| panic!("{name}: {error}"));
        };
        netns
            .run_in(|| {
                set("ipv4/ip_forward", "1");
                set("ipv6/conf/all/forwarding", "1");
                for tap in TAPS {
                    set(&format!("ipv4/conf/{tap}/rp_filter"), "0");
                }
                set("ipv4/conf/all/rp_filter", "0");
                for (name, value) in sysctls {
                    set(&format!("netfilter/nf_conntrack_{name}"), value);
                }
            })
            .unwrap();
        Self {
            netns,
            queues,
            addresses,
            _lab: lab,
        }
    }

    /// What conntrack says of an IP packet (`frame` without its MAC addresses) from one end.
    pub(crate) fn judge(&self, end: usize, frame: &[u8]) -> Judged {
        let mut routed = frame.to_vec();
        routed[..6].copy_from_slice(&ROUTER.0);
        self.queues[end].write(&routed).unwrap();
        if let Some(judged) = self.read(1 - end, &routed) {
            return judged;
        }
        self.queues[end].write(&self.marker(end)).unwrap();
        let deadline = Instant::now() + PATIENCE;
        let mut judged = Judged::Refused;
        while Instant::now() < deadline {
            match self.read(1 - end, &routed) {
                Some(Judged::Marker) => return judged,
                Some(other) => judged = other,
                None => thread::yield_now(),
            }
        }
        panic!("the kernel forwards nothing");
    }

    /// The next frame that is the one sent or the marker; `None` where nothing waits.
    fn read(&self, end: usize, sent: &[u8]) -> Option<Judged> {
        let mut buffer = vec![0; 4096];
        while let Some(len) = self.queues[end].read(&mut buffer).unwrap() {
            let frame = &buffer[..len];
            if is_marker(frame) {
                return Some(Judged::Marker);
            }
            if is_same(frame, sent) {
                return Some(Judged::of_dscp(dscp(frame)));
            }
        }
        None
    }

    fn marker(&self, end: usize) -> Vec<u8> {
        let address = |end: usize| self.addresses[end][0];
        build::frame(Mac([2, 0, 0, 0, 0, 1]), ROUTER)
            .ip(address(end), address(1 - end))
            .udp(MARKER, MARKER)
            .build()
    }

    /// The entry whose original direction or reply has this number as a port or identifier.
    pub(crate) fn entry(&self, number: u16) -> Option<Entry> {
        let read = || fs::read_to_string("/proc/thread-self/net/nf_conntrack").unwrap();
        let text = self.netns.run_in(read).unwrap();
        text.lines().find_map(|line| read_entry(line, number))
    }
}

fn open_tap(netns: &Netns, name: &str) -> Queue {
    let options = TapOptions {
        netns: Some(netns.clone()),
        vnet_hdr: false,
        ..TapOptions::new(name)
    };
    Tap::open(&options).unwrap().into_queues().remove(0)
}

fn shell(netns: &Netns, line: &str, input: &str) {
    let mut words = line.split(' ');
    let mut command = Command::new(words.next().unwrap());
    let done = run(Some(netns), command.args(words), input, PATIENCE);
    assert_eq!(done.code, Some(0), "{line}: {}\n{input}", done.stderr);
}

/// Before conntrack the marker is taken out of it; behind it every packet is told what it is.
fn rules() -> String {
    let mut text = format!(
        "table inet oracle {{\n\
         chain raw {{ type filter hook prerouting priority raw; udp dport {MARKER} notrack; }}\n\
         chain tell {{ type filter hook prerouting priority mangle;\n"
    );
    for family in ["ip", "ip6"] {
        for (condition, judged) in [
            ("ct state invalid", Judged::Invalid),
            ("ct state untracked", Judged::Untracked),
            ("ct state new", Judged::New),
            ("ct state related", Judged::Related),
            (
                "ct state established ct direction original",
                Judged::Established,
            ),
            ("ct state established ct direction reply", Judged::Reply),
        ] {
            let dscp = judged as u8;
            text += &format!("{condition} {family} dscp set {dscp}\n");
        }
    }
    text + "}\n}\n"
}

fn dscp(frame: &[u8]) -> u8 {
    match frame[14] >> 4 {
        4 => frame[15] >> 2,
        _ => (frame[14] << 4 | frame[15] >> 4) >> 2,
    }
}

/// Whether `frame` is `sent` after a router: the same but for MAC addresses, DSCP, TTL and the
/// checksum of the IPv4 header.
fn is_same(frame: &[u8], sent: &[u8]) -> bool {
    let parts = |bytes: &[u8]| {
        let (ip, upper) = match bytes.get(12..14) {
            Some([8, 0]) => (bytes.get(26..34), bytes.get(34..)),
            _ => (bytes.get(22..54), bytes.get(54..)),
        };
        Some((bytes.get(12..14)?.to_vec(), ip?.to_vec(), upper?.to_vec()))
    };
    parts(frame).is_some() && parts(frame) == parts(sent)
}

fn is_marker(frame: &[u8]) -> bool {
    let [high, low] = MARKER.to_be_bytes();
    frame.get(12..14) == Some(&[8, 0])
        && frame.get(23) == Some(&17)
        && frame.get(34..38) == Some(&[high, low, high, low])
}

/// `ipv4 2 tcp 6 119 SYN_SENT src=… dst=… sport=… dport=… [UNREPLIED] src=… …`.
fn read_entry(line: &str, number: u16) -> Option<Entry> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let is_it = |word: &&str| {
        ["sport=", "dport=", "id="]
            .iter()
            .any(|key| word.strip_prefix(key) == Some(&number.to_string()))
    };
    words.iter().find(|word| is_it(word))?;
    let state = words.get(5)?;
    Some(Entry {
        state: if state.contains('=') {
            String::new()
        } else {
            (*state).to_owned()
        },
        seconds: words.get(4)?.parse().ok()?,
        replied: !line.contains("[UNREPLIED]"),
    })
}
