//! The tables, and what an entry is worth: how its two tallies become up to four records.
//!
//! Two kinds of entries share a table:
//! * **connections**: both ends of the key are real ports; the tallies count what passed both judgements;
//! * **counters** (`State::Counted`): one end is a real port, the other a pseudo port that stands for the
//!   verdict. They count one side only: refusals, broadcast, errors, whatever is nobody's connection.

use super::commit::Leave;
use super::step::{Judged, verdicts};
use super::{Attached, ByVerdict};
use packet::{Direction, FiveTuple, Verdict};
use secgroup::PortId;
use secgroup::conntrack::{Conn, Entry, State, Table, Way};
use std::hash::Hash;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The connection tables of both families.
#[derive(Debug)]
pub(super) struct Tables {
    pub(super) v4: Table<[u8; 4], Attached>,
    pub(super) v6: Table<[u8; 16], Attached>,
}

impl Tables {
    /// Room for `connections_max` connections in each, and for a quarter more that only count (IPv4;
    /// nothing else is recorded).
    pub(super) fn new(connections_max: u32, seed: u64) -> Self {
        let counted = (connections_max / 4).max(COUNTED_MIN);
        Self {
            v4: Table::new(connections_max.saturating_add(counted), seed),
            v6: Table::new(connections_max.max(1), seed.rotate_left(32)),
        }
    }
}

/// Room for counters in the smallest table.
const COUNTED_MIN: u32 = 65_536;

/// An address family, as the connection code is generic over it.
pub(super) trait Address: Leave + Copy + Ord + Hash + Eq + std::fmt::Debug {
    /// Whether the family is IPv4.
    const IS_IPV4: bool;
    /// Its table.
    fn table(tables: &Tables) -> &Table<Self, Attached>;
    /// Its table, to be changed.
    fn table_mut(tables: &mut Tables) -> &mut Table<Self, Attached>;
    /// As everybody else writes it.
    fn ip(self) -> IpAddr;
}

impl Address for [u8; 4] {
    const IS_IPV4: bool = true;
    #[inline]
    fn table(tables: &Tables) -> &Table<Self, Attached> {
        &tables.v4
    }
    #[inline]
    fn table_mut(tables: &mut Tables) -> &mut Table<Self, Attached> {
        &mut tables.v4
    }
    #[inline]
    fn ip(self) -> IpAddr {
        Ipv4Addr::from(self).into()
    }
}

impl Address for [u8; 16] {
    const IS_IPV4: bool = false;
    #[inline]
    fn table(tables: &Tables) -> &Table<Self, Attached> {
        &tables.v6
    }
    #[inline]
    fn table_mut(tables: &mut Tables) -> &mut Table<Self, Attached> {
        &mut tables.v6
    }
    #[inline]
    fn ip(self) -> IpAddr {
        Ipv6Addr::from(self).into()
    }
}

/// The pseudo port that stands for a verdict in the key of an entry that only counts.
#[inline]
pub(super) const fn pseudo(verdict: Verdict) -> PortId {
    PortId(PortId::PSEUDO | verdict.code() as u16)
}

/// One record's worth of an entry.
#[derive(Debug, Clone, Copy)]
pub struct Tallied {
    /// At this port.
    pub port: PortId,
    /// In this direction, seen from its instance.
    pub direction: Direction,
    /// Which way of the entry, original 0, reply 1: the index of its tally.
    pub way: Way,
    /// With this verdict.
    pub judged: Judged,
}

/// The records an entry is worth: at most two for each way.
#[inline]
#[must_use]
pub fn tallied(conn: &Conn<[u8; 4]>) -> [Option<Tallied>; 4] {
    let mut records = [None; 4];
    for way in [Way::Original, Way::Reply] {
        let from = match way {
            Way::Original => conn.originator(),
            Way::Reply => 1 - conn.originator(),
        };
        let (sender, receiver) = (conn.key.port[from], conn.key.port[1 - from]);
        let (egress, ingress) = if conn.state() == State::Counted {
            let judged = Judged::of(conn.sides[way as usize]);
            (
                judged.filter(|_| sender.is_real()),
                judged.filter(|_| receiver.is_real()),
            )
        } else {
            verdicts(conn.sides, way)
        };
        let place = 2 * way as usize;
        records[place] = egress.map(|judged| Tallied {
            port: sender,
            direction: Direction::Egress,
            way,
            judged,
        });
        records[place + 1] = ingress.map(|judged| Tallied {
            port: receiver,
            direction: Direction::Ingress,
            way,
            judged,
        });
    }
    records
}

/// The five-tuple of an entry's way; ICMP and other protocols without ports have 0 and 0.
#[must_use]
pub fn tuple_of(conn: &Conn<[u8; 4]>, way: Way) -> FiveTuple {
    let from = match way {
        Way::Original => conn.originator(),
        Way::Reply => 1 - conn.originator(),
    };
    let has_ports = conn.protocol != packet::protocol::ICMP;
    let port = |end: usize| if has_ports { conn.key.l4[end] } else { 0 };
    FiveTuple {
        protocol: conn.protocol,
        src: conn.key.addr[from].ip(),
        dst: conn.key.addr[1 - from].ip(),
        src_port: port(from),
        dst_port: port(1 - from),
    }
}

/// Adds what stands in an entry to the sums by port.
pub(super) fn add_to(sums: &mut [ByVerdict], entry: &Entry<[u8; 4], Attached>, sign: Sign) {
    for record in tallied(&entry.conn).into_iter().flatten() {
        let packets = u64::from(entry.with[record.way as usize].packets);
        if let Some(sum) = sums.get_mut(usize::from(record.port.0)) {
            match sign {
                Sign::Plus => sum.add(record.direction, record.judged.verdict.is_accept(), packets),
                Sign::Minus => {
                    sum.sub(record.direction, record.judged.verdict.is_accept(), packets);
                }
            }
        }
    }
}

/// Whether packets come or go.
#[derive(Debug, Clone, Copy)]
pub(super) enum Sign {
    Plus,
    Minus,
}
