//! The guests' programs: a TCP service that answers lines, a client of it, and `ping`. Sockets belong to
//! the namespace that they were made in, so they are made there and used anywhere.

use anyhow::{Context, Result};
use packet::checksum::Sum;
use rustix::fd::OwnedFd;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketType, ipproto, sockopt};
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use tap::Netns;

/// How often a service that waits for its client looks whether it is to end.
const PULSE: Duration = Duration::from_millis(100);

/// A TCP service that answers everything it is sent with the same words. Dropping it ends it.
#[derive(Debug)]
pub(super) struct Service {
    listener: Arc<TcpListener>,
    stopping: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Service {
    /// Listens in a guest.
    pub(super) fn start(netns: &Netns, port: u16, answer: &'static str) -> Result<Self> {
        let any = SocketAddr::from((Ipv4Addr::UNSPECIFIED, port));
        let listener = netns
            .run_in(|| TcpListener::bind(any))?
            .context("a guest cannot listen")?;
        let listener = Arc::new(listener);
        let stopping = Arc::new(AtomicBool::new(false));
        let thread = {
            let (listener, stopping) = (Arc::clone(&listener), Arc::clone(&stopping));
            thread::Builder::new()
                .name(format!("tcp/{port}"))
                .spawn(move || {
                    for stream in listener.incoming().map_while(Result::ok) {
                        // A client that breaks off is no concern of the next.
                        let _ = serve(stream, answer, &stopping);
                    }
                })?
        };
        Ok(Self {
            listener,
            stopping,
            thread: Some(thread),
        })
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::Relaxed);
        // Wakes the thread in accept(), which then fails.
        let _ = rustix::net::shutdown(&*self.listener, rustix::net::Shutdown::Both);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn serve(mut stream: TcpStream, answer: &str, stopping: &AtomicBool) -> io::Result<()> {
    stream.set_read_timeout(Some(PULSE))?;
    let mut room = [0; 1024];
    while !stopping.load(Ordering::Relaxed) {
        match stream.read(&mut room) {
            Ok(0) => break,
            Ok(_) => stream.write_all(answer.as_bytes())?,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Connects from a guest. `None`: no answer in time, as when a SYN is refused without a word.
pub(super) fn connect(
    netns: &Netns,
    to: SocketAddr,
    timeout: Duration,
) -> Result<Option<TcpStream>> {
    match netns.run_in(|| TcpStream::connect_timeout(&to, timeout))? {
        Ok(stream) => Ok(Some(stream)),
        Err(error) if error.kind() == io::ErrorKind::TimedOut => Ok(None),
        Err(error) => Err(error).with_context(|| format!("connection to {to}")),
    }
}

/// Says something and waits for the answer. `None`: none came in time.
pub(super) fn say(
    stream: &mut TcpStream,
    words: &str,
    timeout: Duration,
) -> Result<Option<String>> {
    stream.set_read_timeout(Some(timeout))?;
    stream.write_all(words.as_bytes())?;
    let mut room = [0; 1024];
    match stream.read(&mut room) {
        Ok(len) => Ok(Some(String::from_utf8_lossy(&room[..len]).into_owned())),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error).context("a connection broke"),
    }
}

/// Ends a connection in both directions.
pub(super) fn hang_up(stream: &TcpStream) {
    let _ = stream.shutdown(Shutdown::Both);
}

/// Sends an echo request from a guest; how long the reply took, if it came in time.
pub(super) fn ping(netns: &Netns, to: Ipv4Addr, timeout: Duration) -> Result<Option<Duration>> {
    let id = std::process::id() as u16;
    netns
        .run_in(|| echo(to, id, timeout))?
        .context("cannot send an echo request")
}

fn echo(to: Ipv4Addr, id: u16, timeout: Duration) -> io::Result<Option<Duration>> {
    let socket: OwnedFd =
        rustix::net::socket(AddressFamily::INET, SocketType::RAW, Some(ipproto::ICMP))?;
    sockopt::set_socket_timeout(&socket, sockopt::Timeout::Recv, Some(timeout))?;
    let sent = Instant::now();
    let to = SocketAddr::from((to, 0));
    rustix::net::sendto(&socket, &echo_request(id), SendFlags::empty(), &to)?;
    let mut room = [0; 256];
    while sent.elapsed() < timeout {
        match rustix::net::recv(&socket, &mut room[..], RecvFlags::empty()) {
            Ok((_, len)) if is_reply(&room[..len], id) => return Ok(Some(sent.elapsed())),
            Ok(_) => {}
            Err(rustix::io::Errno::AGAIN) => break,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(None)
}

/// An ICMP echo request (RFC 792) with 32 bytes of data.
fn echo_request(id: u16) -> [u8; 40] {
    let mut message = [0; 40];
    message[0] = 8;
    message[4..6].copy_from_slice(&id.to_be_bytes());
    message[7] = 1;
    let checksum = Sum::new().bytes(&message).finish();
    message[2..4].copy_from_slice(&checksum.to_be_bytes());
    message
}

/// Whether an IPv4 packet is the reply to our request.
fn is_reply(packet: &[u8], id: u16) -> bool {
    let header_len = packet
        .first()
        .map_or(0, |first| usize::from(first & 0x0f) * 4);
    let message = packet.get(header_len..).unwrap_or_default();
    message.first() == Some(&0) && message.get(4..6) == Some(&id.to_be_bytes()[..])
}
