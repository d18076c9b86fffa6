//! The tables, and what an entry is worth: how its two tallies become up to four records.
//!
//! Two kinds of entries share a table:
//! * **connections**: both ends of the key are real ports; the tallies count what passed both judgements;
//! * **counters** (`State::Counted`): one end is a real port, the other a pseudo port that stands for the
//!   verdict. They count one side only: refusals, broadcast, errors, whatever is nobody's connection.

use super::denied::Denied;
use super::log::{Open, Share};
use super::step::{Judged, verdicts};
use super::{Attached, ByVerdict};
use packet::{Direction, FiveTuple, Icmp, Verdict, protocol};
use secgroup::PortId;
use secgroup::conntrack::{self, Conn, Entry, KeyAddress, State, Table, Way};
use std::net::IpAddr;
use tap::advise_huge_pages;

/// The connection tables of both families.
#[derive(Debug)]
pub(super) struct Tables {
    pub(super) v4: Table<[u8; 4], Attached>,
    pub(super) v6: Table<[u8; 16], Attached>,
}

impl Tables {
    /// Room for `connections_max` connections in each, and for a quarter more that only count.
    pub(super) fn new(connections_max: u32, seed: u64) -> Self {
        let counted = (connections_max / 4).max(COUNTED_MIN);
        let capacity = connections_max.saturating_add(counted);
        Self {
            v4: Table::with_advice(capacity, seed, advise_huge_pages),
            v6: Table::with_advice(capacity, seed.rotate_left(32), advise_huge_pages),
        }
    }
}

/// What rules refused lately, of both families.
#[derive(Debug, Default)]
pub(super) struct DeniedLately {
    pub(super) v4: Denied<[u8; 4]>,
    pub(super) v6: Denied<[u8; 16]>,
}

/// Room for counters in the smallest table.
const COUNTED_MIN: u32 = 65_536;

/// An address family, as the connection code is generic over it.
pub(super) trait Address: KeyAddress + Into<IpAddr> + std::fmt::Debug {
    /// Its place where there is one of each: IPv4 0, IPv6 1.
    const INDEX: usize;
    /// Its table.
    fn table(tables: &Tables) -> &Table<Self, Attached>;
    /// Its table, to be changed.
    fn table_mut(tables: &mut Tables) -> &mut Table<Self, Attached>;
    /// What of it rules refused lately.
    fn denied(denied: &DeniedLately) -> &Denied<Self>;
    /// The same, to be changed.
    fn denied_mut(denied: &mut DeniedLately) -> &mut Denied<Self>;
    /// Its share of what left the table.
    fn share(chunk: &mut Open) -> &mut Share<Self>;
    /// As everybody else writes it.
    #[inline]
    fn ip(self) -> IpAddr {
        self.into()
    }
}

impl Address for [u8; 4] {
    const INDEX: usize = 0;
    #[inline]
    fn table(tables: &Tables) -> &Table<Self, Attached> {
        &tables.v4
    }
    #[inline]
    fn table_mut(tables: &mut Tables) -> &mut Table<Self, Attached> {
        &mut tables.v4
    }
    #[inline]
    fn denied(denied: &DeniedLately) -> &Denied<Self> {
        &denied.v4
    }
    #[inline]
    fn denied_mut(denied: &mut DeniedLately) -> &mut Denied<Self> {
        &mut denied.v4
    }
    #[inline]
    fn share(chunk: &mut Open) -> &mut Share<Self> {
        &mut chunk.v4
    }
}

impl Address for [u8; 16] {
    const INDEX: usize = 1;
    #[inline]
    fn table(tables: &Tables) -> &Table<Self, Attached> {
        &tables.v6
    }
    #[inline]
    fn table_mut(tables: &mut Tables) -> &mut Table<Self, Attached> {
        &mut tables.v6
    }
    #[inline]
    fn denied(denied: &DeniedLately) -> &Denied<Self> {
        &denied.v6
    }
    #[inline]
    fn denied_mut(denied: &mut DeniedLately) -> &mut Denied<Self> {
        &mut denied.v6
    }
    #[inline]
    fn share(chunk: &mut Open) -> &mut Share<Self> {
        &mut chunk.v6
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
pub fn tallied<A: Copy>(conn: &Conn<A>) -> [Option<Tallied>; 4] {
    let mut records = [None; 4];
    for way in [Way::Original, Way::Reply] {
        let from = sender_of(conn, way);
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

/// Which end of an entry's key sends its `way`.
#[inline]
const fn sender_of<A: Copy>(conn: &Conn<A>, way: Way) -> usize {
    match way {
        Way::Original => conn.originator(),
        Way::Reply => 1 - conn.originator(),
    }
}

const fn is_icmp(number: u8) -> bool {
    matches!(number, protocol::ICMP | protocol::ICMPV6)
}

/// The five-tuple of an entry's way; ICMP and other protocols without ports have 0 and 0.
#[must_use]
pub fn tuple_of<A: Copy + Into<IpAddr>>(conn: &Conn<A>, way: Way) -> FiveTuple {
    let from = sender_of(conn, way);
    let port = |end: usize| {
        if is_icmp(conn.protocol) {
            0
        } else {
            conn.key.l4[end]
        }
    };
    FiveTuple {
        protocol: conn.protocol,
        src: conn.key.addr[from].into(),
        dst: conn.key.addr[1 - from].into(),
        src_port: port(from),
        dst_port: port(1 - from),
    }
}

/// At the receiving end of an entry that only counts ICMP: the sending end has type and code.
const ICMP_IS_KNOWN: u16 = 1;

/// The layer 4 ends of an entry that only counts ICMP messages of one type and code.
#[inline]
pub(super) const fn icmp_ends(icmp: Icmp) -> (u16, u16) {
    (u16::from_be_bytes([icmp.kind, icmp.code]), ICMP_IS_KNOWN)
}

/// Type and code of the ICMP messages that went an entry's `way`, where it tells. A connection is a query
/// with code 0: others are counted apart from it.
#[must_use]
pub fn icmp_of<A: Copy>(conn: &Conn<A>, way: Way) -> Option<(u8, u8)> {
    if !is_icmp(conn.protocol) {
        return None;
    }
    if conn.state() == State::Counted {
        let from = sender_of(conn, way);
        let [kind, code] = conn.key.l4[from].to_be_bytes();
        return (conn.key.l4[1 - from] == ICMP_IS_KNOWN).then_some((kind, code));
    }
    let (asked, _) = conntrack::asked(conn.key.l4)?;
    let kind = match (way, conn.protocol, asked) {
        (Way::Original, ..) => asked,
        (Way::Reply, protocol::ICMP, ECHO) => ECHO_REPLY,
        (Way::Reply, ..) => asked.wrapping_add(1),
    };
    Some((kind, 0))
}

/// ICMP types of RFC 792; the others' replies are the next number.
const ECHO: u8 = 8;
const ECHO_REPLY: u8 = 0;

/// Adds what stands in an entry to the sums by port.
pub(super) fn add_to<A: Copy>(sums: &mut [ByVerdict], entry: &Entry<A, Attached>, sign: Sign) {
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
