//! Looking up ahead: among a hundred thousand connections, finding one is waiting for memory, three times in a
//! row. A batch asks for all of its lines first and then judges packet by packet, so that the waits overlap.
//!
//! ```text
//!   every frame: FDB ─▶ key ─▶ hash ─▶ line of the index … then every hash: entry, TCP window
//! ```
//!
//! Nothing is decided here: two packets of one new flow in a batch meet each other's effect. What was looked
//! up is a receiver and a hash; they hold while the FDB stands as it was, which whoever uses them asks.

use super::entry::Address;
use super::fdb::Destination;
use super::{Frame, Switch};
use packet::Ip;
use secgroup::PortId;
use secgroup::conntrack::{self, Key, Table};
use std::net::IpAddr;
use tap::prefetch;

/// Entries from which on fetching ahead pays: below, they lie in the core's own cache (64 bytes and 24 of
/// TCP window each).
const WORTH_IT: u32 = 4096;

/// Frames of a batch: judged under one lock, and looked up ahead together. What first fragments among them
/// set free comes on top, of an uplink at most 127 to each.
pub const BATCH: usize = 16;

/// What was looked up ahead for a frame that may go the short way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ahead {
    /// Who would receive it.
    pub(super) to: PortId,
    /// Of its connection's key.
    pub(super) hash: u64,
    /// State of the FDB that says so.
    pub(super) fdb: u32,
}

impl Switch {
    /// Looks up for these frames of port `rx`, at most [`BATCH`], what [`Switch::forward_staged`] will need.
    #[inline]
    #[must_use]
    pub fn look_ahead<'a>(
        &self,
        rx: PortId,
        frames: impl IntoIterator<Item = Option<&'a Frame<'a>>>,
    ) -> [Option<Ahead>; BATCH] {
        let mut all = [None; BATCH];
        let is_large = self.tables.v4.len().max(self.tables.v6.len()) >= WORTH_IT;
        let mut is_v4 = [true; BATCH];
        for (at, frame) in frames.into_iter().take(BATCH).enumerate() {
            let Some(frame) = frame else { continue };
            all[at] = self.look_up(rx, frame);
            is_v4[at] = frame.headers.ip().is_some_and(|ip| ip.src.is_ipv4());
            if let Some(ahead) = all[at].filter(|_| is_large) {
                match is_v4[at] {
                    true => prefetch(self.tables.v4.first_look(ahead.hash)),
                    false => prefetch(self.tables.v6.first_look(ahead.hash)),
                }
            }
        }
        if is_large {
            for (ahead, is_v4) in all.iter().zip(is_v4) {
                match (ahead, is_v4) {
                    (Some(ahead), true) => fetch_likely(&self.tables.v4, ahead.hash),
                    (Some(ahead), false) => fetch_likely(&self.tables.v6, ahead.hash),
                    (None, _) => {}
                }
            }
        }
        all
    }

    /// The one receiver of a frame that may go the short way, and the hash of the connection between sender
    /// and receiver.
    #[inline]
    pub(super) fn look_up(&self, rx: PortId, frame: &Frame<'_>) -> Option<Ahead> {
        let sender = self.port(rx)?;
        let ip = frame.headers.ip()?;
        if !frame.headers.ordinary || !conntrack::may_be_in_step(ip) {
            return None;
        }
        let segment = sender.config.segment;
        let Destination::One(to) = self.fdb.destination(segment, frame.headers.eth.dst, rx) else {
            return None;
        };
        let hash = match (ip.src, ip.dst) {
            (IpAddr::V4(src), IpAddr::V4(dst)) => {
                self.hash((rx, to), ip, (src.octets(), dst.octets()))
            }
            (IpAddr::V6(src), IpAddr::V6(dst)) => {
                self.hash((rx, to), ip, (src.octets(), dst.octets()))
            }
            _ => None,
        };
        Some(Ahead {
            to,
            hash: hash?,
            fdb: self.fdb.version(),
        })
    }

    #[inline]
    fn hash<A: Address>(
        &self,
        (rx, to): (PortId, PortId),
        ip: &Ip,
        (src, dst): (A, A),
    ) -> Option<u64> {
        let ends = conntrack::ends(ip)?;
        let (key, _) = Key::new((src, ends.0, rx), (dst, ends.1, to));
        Some(A::table(&self.tables).hash(&key, ip.protocol))
    }
}

#[inline]
fn fetch_likely<A: conntrack::KeyAddress, T: Copy>(table: &Table<A, T>, hash: u64) {
    if let Some((entry, window)) = table.likely(hash) {
        prefetch(entry);
        prefetch(window);
    }
}
