//! What the flow log has to say, worked out from captured frames by the book (RFC 791, 768, 9293 and
//! SPEC 5.2), with nothing of the project's own parser or tally.

use crate::{Record, Seen, records::Tuple};
use packet::Mac;
use std::{collections::BTreeMap, net::Ipv4Addr};

/// An IPv4 frame, as the log counts it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet {
    /// Protocol, addresses, ports.
    pub tuple: Tuple,
    /// Packets it stands for on a wire.
    pub packets: u64,
    /// Sum of their IPv4 total lengths.
    pub bytes: u64,
    /// TCP flags as they stand in the header.
    pub tcp_flags: u8,
}

/// A record's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    /// Wire packets.
    pub packets: u64,
    /// Sum of IPv4 total lengths.
    pub bytes: u64,
    /// As SPEC 5.2 defines it.
    pub tcp_flag: u8,
    /// UNIX seconds of the first packet.
    pub start_s: u64,
    /// UNIX seconds of the last packet.
    pub end_s: u64,
}

/// Values by tuple, for one port and direction.
pub type Counts = BTreeMap<Tuple, Count>;

impl Packet {
    /// Reads an unfragmented IPv4 frame of TCP, UDP or ICMP; `None` for everything else.
    #[must_use]
    pub fn read(seen: &Seen) -> Option<Self> {
        let frame = &seen.bytes;
        if frame.get(12..14)? != [8, 0] {
            return None;
        }
        let ip = &frame[14..];
        let word = |at: usize| Some(u16::from_be_bytes([*ip.get(at)?, *ip.get(at + 1)?]));
        let header = usize::from(ip.first()? & 15) * 4;
        let (protocol, total) = (*ip.get(9)?, usize::from(word(2)?));
        let address = |at: usize| Some(Ipv4Addr::from(*ip.get(at..at + 4)?.first_chunk::<4>()?));
        let (ports, upper, tcp_flags) = match protocol {
            1 => ((0, 0), 8, 0),
            6 => {
                let upper = usize::from(ip.get(header + 12)? >> 4) * 4;
                (
                    (word(header)?, word(header + 2)?),
                    upper,
                    *ip.get(header + 13)?,
                )
            }
            17 => ((word(header)?, word(header + 2)?), 8, 0),
            _ => return None,
        };
        let tuple = Tuple {
            protocol,
            src: address(12)?,
            dst: address(16)?,
            src_port: ports.0,
            dst_port: ports.1,
        };
        // The kernel writes 0 where a segment is longer than the field can say (BIG TCP).
        let total = if total == 0 { ip.len() } else { total };
        let payload = total.checked_sub(header + upper)? as u64;
        let packets = seen
            .offload
            .gso
            .map_or(1, |gso| payload.div_ceil(gso.size.into()).max(1));
        Some(Self {
            tuple,
            packets,
            bytes: payload + packets * (header + upper) as u64,
            tcp_flags,
        })
    }
}

/// `tcp_flag` of one packet: FIN 1, SYN 2, RST 4 where they stand, ACK 16 only beside SYN.
fn seed_flag(flags: u8) -> u8 {
    let kept = flags & 7;
    if kept & 2 != 0 {
        kept | (flags & 16)
    } else {
        kept
    }
}

/// Sums up what went out of the interface with `mac` (`outgoing`), or came in.
#[must_use]
pub fn count(seen: &[Seen], mac: Mac, outgoing: bool) -> Counts {
    let mut counts = Counts::new();
    for seen in seen.iter().filter(|seen| seen.is_from(mac) == outgoing) {
        let Some(packet) = Packet::read(seen) else {
            continue;
        };
        let empty = Count {
            packets: 0,
            bytes: 0,
            tcp_flag: 0,
            start_s: seen.at_s,
            end_s: seen.at_s,
        };
        let count = counts.entry(packet.tuple).or_insert(empty);
        count.packets += packet.packets;
        count.bytes += packet.bytes;
        count.tcp_flag |= seed_flag(packet.tcp_flags);
        count.end_s = seen.at_s;
    }
    counts
}

/// The same, as the log tells it.
#[must_use]
pub fn logged(rows: &[&Record]) -> Counts {
    let mut counts = Counts::new();
    for row in rows {
        let Some(tuple) = row.tuple else { continue };
        let empty = Count {
            packets: 0,
            bytes: 0,
            tcp_flag: 0,
            start_s: row.start_s,
            end_s: row.end_s,
        };
        let count = counts.entry(tuple).or_insert(empty);
        count.packets += row.packets;
        count.bytes += row.bytes;
        count.tcp_flag |= row.tcp_flag;
        count.start_s = count.start_s.min(row.start_s);
        count.end_s = count.end_s.max(row.end_s);
    }
    counts
}

/// Asserts that both tell the same: counts exactly, times to the second that a reading of the clock
/// on either side may fall into.
///
/// # Panics
/// Where they differ.
pub fn assert_same(what: &str, logged: &Counts, truth: &Counts) {
    let tuples = |counts: &Counts| counts.keys().copied().collect::<Vec<_>>();
    assert_eq!(tuples(logged), tuples(truth), "{what}: other tuples");
    for (tuple, truth) in truth {
        let logged = &logged[tuple];
        let counts = |count: &Count| (count.packets, count.bytes, count.tcp_flag);
        assert_eq!(
            counts(logged),
            counts(truth),
            "{what}: {tuple:?}: packets, bytes, flags"
        );
        let close =
            logged.start_s.abs_diff(truth.start_s) <= 1 && logged.end_s.abs_diff(truth.end_s) <= 1;
        assert!(
            close,
            "{what}: {tuple:?}: {logged:?} is not within a second of {truth:?}"
        );
    }
}
