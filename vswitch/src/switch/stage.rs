//! Touching memory ahead: among a hundred thousand connections, finding one is waiting for memory, three
//! times in a row. A batch asks for all of its lines first and then judges packet by packet, so that the
//! waits overlap.
//!
//! ```text
//!   every frame: FDB ─▶ key ─▶ hash ─▶ bucket of the index … then every hash: entry, TCP window
//! ```
//!
//! Nothing is decided here and nothing is remembered: two packets of one new flow in a batch meet each
//! other's effect, and a frame that is not touched ahead is only slower.

use super::entry::Address;
use super::fdb::Destination;
use super::{Frame, Switch};
use packet::Ip;
use secgroup::PortId;
use secgroup::conntrack::{self, Key};
use std::net::IpAddr;

/// Entries from which on touching ahead pays: below, they lie in the core's own cache (64 bytes and 24 of
/// TCP window each).
const WORTH_IT: u32 = 4096;

/// Frames of a batch: judged under one lock, and touched ahead together. What first fragments among them
/// set free comes on top, of an uplink at most 127 to each.
pub const BATCH: usize = 16;

impl Switch {
    /// Asks for the memory that [`Switch::forward`] will read for these frames of port `rx`.
    #[inline]
    pub fn touch_ahead<'a>(
        &self,
        rx: PortId,
        frames: impl IntoIterator<Item = Option<&'a Frame<'a>>>,
    ) {
        if self.tables.v4.len().max(self.tables.v6.len()) >= WORTH_IT {
            self.touch_all(rx, frames);
        }
    }

    fn touch_all<'a>(&self, rx: PortId, frames: impl IntoIterator<Item = Option<&'a Frame<'a>>>) {
        let mut hashes = [None; BATCH];
        let ordinary = |frame: Option<&'a Frame<'a>>| frame.filter(|frame| frame.headers.ordinary);
        for (hash, frame) in hashes.iter_mut().zip(frames) {
            *hash = ordinary(frame).and_then(|frame| self.touch_index(rx, frame));
        }
        for (is_v4, hash) in hashes.into_iter().flatten() {
            if is_v4 {
                self.tables.v4.touch_entry(hash);
            } else {
                self.tables.v6.touch_entry(hash);
            }
        }
    }

    /// Touches the bucket of a frame's connection; its hash, and whether it is IPv4's.
    #[inline]
    fn touch_index(&self, rx: PortId, frame: &Frame<'_>) -> Option<(bool, u64)> {
        let sender = self.port(rx)?;
        let ip = frame.headers.ip()?;
        let segment = sender.config.segment;
        let Destination::One(to) = self.fdb.destination(segment, frame.headers.eth.dst, rx) else {
            return None;
        };
        match (ip.src, ip.dst) {
            (IpAddr::V4(src), IpAddr::V4(dst)) => {
                let hash = self.touch_bucket((rx, to), ip, (src.octets(), dst.octets()))?;
                Some((true, hash))
            }
            (IpAddr::V6(src), IpAddr::V6(dst)) => {
                let hash = self.touch_bucket((rx, to), ip, (src.octets(), dst.octets()))?;
                Some((false, hash))
            }
            _ => None,
        }
    }

    #[inline]
    fn touch_bucket<A: Address>(
        &self,
        (rx, to): (PortId, PortId),
        ip: &Ip,
        (src, dst): (A, A),
    ) -> Option<u64> {
        let ends = conntrack::ends(ip)?;
        let (key, _) = Key::new((src, ends.0, rx), (dst, ends.1, to));
        let table = A::table(&self.tables);
        let hash = table.hash(&key, ip.protocol);
        table.touch_index(hash);
        Some(hash)
    }
}
