//! The socket: headers, sequence numbers, pace, and what went wrong.

use super::packer::Message;
use crate::{
    delivery::Board,
    store::{Cause, StoreError},
};
use rustix::net::sockopt;
use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs as _, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// Greatest datagram, also where the path would take more: a usual Ethernet's less both headers.
pub(super) const PAYLOAD_MAX: usize = 1432;

/// Greatest datagram while the path is not known (RFC 7011, section 10.3.3).
pub(super) const PAYLOAD_UNKNOWN: usize = 512;

/// Bytes of an IPv4 and UDP header, and of IPv6 and UDP.
const HEADERS_V4: usize = 28;
const HEADERS_V6: usize = 48;

/// The MTU that every IPv6 path has (RFC 8200, section 5).
const MTU_V6: usize = 1280;

/// Datagrams sent without a pause: less than a collector's receive buffer holds by default.
const BURST: u32 = 16;

/// The pause. Together 16,000 datagrams, or 300,000 records, a second.
const PAUSE: Duration = Duration::from_millis(1);

/// How long a collector that could not be found is left alone.
const LOOK_AGAIN: Duration = Duration::from_secs(10);

/// RFC 7011's version of the header.
const VERSION: u16 = 10;

/// Sends the messages of one logger: one stream, one observation domain.
pub(super) struct Sender {
    collector: String,
    domain: u32,
    board: Arc<Board>,
    payload_max: Arc<AtomicUsize>,
    socket: Option<UdpSocket>,
    look_again: Option<Instant>,
    /// Data records sent before the next message.
    sequence: u32,
    /// Rows of the message before: an error told now is about them.
    rows_before: u64,
    in_burst: u32,
}

impl Sender {
    pub(super) fn new(
        collector: String,
        domain: u32,
        board: Arc<Board>,
        payload_max: Arc<AtomicUsize>,
    ) -> Self {
        Self {
            collector,
            domain,
            board,
            payload_max,
            socket: None,
            look_again: None,
            sequence: 0,
            rows_before: 0,
            in_burst: 0,
        }
    }

    /// Finds the collector, unless it was looked for in vain a moment ago.
    pub(super) fn connect(&mut self) -> io::Result<()> {
        if self.socket.is_some() {
            return Ok(());
        }
        if self
            .look_again
            .is_some_and(|moment| Instant::now() < moment)
        {
            return Err(io::Error::other(
                "the collector could not be found a moment ago",
            ));
        }
        self.look_again = Some(Instant::now() + LOOK_AGAIN);
        let mut addresses = self.collector.to_socket_addrs()?;
        let address = addresses
            .next()
            .ok_or_else(|| io::Error::other("the name has no address"))?;
        let any: SocketAddr = match address {
            SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
            SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
        };
        let socket = UdpSocket::bind(any)?;
        socket.connect(address)?;
        self.payload_max
            .store(payload_max(&socket, address), Ordering::Relaxed);
        self.socket = Some(socket);
        self.look_again = None;
        Ok(())
    }

    /// Sends a message, or counts what is lost with it.
    pub(super) fn send(&mut self, mut message: Message) {
        let rows = u64::from(message.rows);
        self.fill_header(&mut message);
        match self.try_send(&message.bytes) {
            Ok(()) => {
                self.sequence = self.sequence.wrapping_add(message.records);
                self.rows_before = rows;
            }
            Err(error) => {
                self.rows_before = 0;
                self.board
                    .not_exported(rows, Some(&self.unreachable(&error)));
                return;
            }
        }
        self.board.exported(1, rows);
        self.in_burst += 1;
        if self.in_burst >= BURST {
            self.in_burst = 0;
            thread::sleep(PAUSE);
        }
    }

    fn try_send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.connect()?;
        let Some(socket) = &self.socket else {
            return Err(io::ErrorKind::NotConnected.into());
        };
        match socket.send(bytes) {
            // An answer to the datagram before: nobody listened. This one was not sent yet.
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                let rows = std::mem::take(&mut self.rows_before);
                self.board.retracted(rows, &self.unreachable(&error));
                socket.send(bytes).map(drop)
            }
            sent => sent.map(drop),
        }
    }

    /// RFC 7011, section 3.1.
    fn fill_header(&self, message: &mut Message) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now_s = now.unwrap_or_default().as_secs() as u32;
        let length = message.bytes.len() as u16;
        let bytes = &mut message.bytes;
        bytes[0..2].copy_from_slice(&VERSION.to_be_bytes());
        bytes[2..4].copy_from_slice(&length.to_be_bytes());
        bytes[4..8].copy_from_slice(&now_s.to_be_bytes());
        bytes[8..12].copy_from_slice(&self.sequence.to_be_bytes());
        bytes[12..16].copy_from_slice(&self.domain.to_be_bytes());
    }

    fn unreachable(&self, error: &io::Error) -> StoreError {
        let text = format!("cannot send to the collector {}: {error}", self.collector);
        StoreError::new(Cause::Unreachable, text)
    }
}

/// What a datagram to this address may hold.
fn payload_max(socket: &UdpSocket, address: SocketAddr) -> usize {
    let fits = match address {
        SocketAddr::V4(_) => match sockopt::ip_mtu(socket) {
            Ok(mtu) => (mtu as usize).saturating_sub(HEADERS_V4),
            Err(_) => PAYLOAD_UNKNOWN,
        },
        SocketAddr::V6(_) => MTU_V6 - HEADERS_V6,
    };
    fits.clamp(PAYLOAD_UNKNOWN, PAYLOAD_MAX)
}
