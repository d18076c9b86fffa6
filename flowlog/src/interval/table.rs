//! The records of one address family: found by hash, kept in a plain vector that is sorted once.

use crate::{Details, Flow, Observation, Skipped};
use foldhash::fast::RandomState;
use hashbrown::{HashTable, hash_table::Entry};
use packet::{Direction, FiveTuple, Verdict};
use std::{
    hash::{BuildHasher, Hash},
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

const _: () = assert!(size_of::<(Key<Ipv4Addr>, Counts)>() == 64);

/// An address of one family.
pub(super) trait Address: Copy + Eq + Hash + Into<IpAddr> {
    /// Two addresses, in the order of the first and then of the second.
    type Pair: Ord;

    /// Source and destination as one thing to compare.
    fn pair(src: Self, dst: Self) -> Self::Pair;
}

impl Address for Ipv4Addr {
    type Pair = u64;

    fn pair(src: Self, dst: Self) -> u64 {
        u64::from(src.to_bits()) << 32 | u64::from(dst.to_bits())
    }
}

impl Address for Ipv6Addr {
    type Pair = (u128, u128);

    fn pair(src: Self, dst: Self) -> (u128, u128) {
        (src.to_bits(), dst.to_bits())
    }
}

/// What makes two observations one record. The verdict is part of it as ACCEPT or DROP; the reason
/// only where the logger names it, as a detail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Key<A> {
    /// Place among the interval's ports.
    pub(super) port: u16,
    way: Way,
    protocol: u8,
    src: A,
    dst: A,
    src_port: u16,
    dst_port: u16,
    /// Number of the details, see `Kinds`.
    pub(super) kind: u32,
}

/// Direction and verdict in a byte, which keeps the key of IPv4 at 20.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Way(u8);

impl Way {
    fn new(direction: Direction, accepted: bool) -> Self {
        Self((direction as u8) << 1 | u8::from(!accepted))
    }

    const fn direction(self) -> Direction {
        match self.0 >> 1 {
            0 => Direction::Ingress,
            1 => Direction::Egress,
            _ => Direction::Unknown,
        }
    }

    const fn is_drop(self) -> bool {
        self.0 & 1 == 1
    }
}

const _: () = assert!(Direction::Ingress as u8 == 0 && Direction::Egress as u8 == 1);

impl<A: Address> Key<A> {
    /// The key of an observation at the port in `place`, with its addresses in their family.
    pub(super) fn of(place: u16, o: &Observation, src: A, dst: A, kind: u32) -> Self {
        Self {
            port: place,
            way: Way::new(o.direction, o.verdict.is_accept()),
            protocol: o.tuple.protocol,
            src,
            dst,
            src_port: o.tuple.src_port,
            dst_port: o.tuple.dst_port,
            kind,
        }
    }

    /// Port, direction, tuple, verdict, kind, packed into few numbers: a million keys are sorted by it.
    fn order(&self) -> (u32, A::Pair, u64, u32) {
        let head = u32::from(self.port) << 16
            | (self.way.direction() as u32) << 8
            | u32::from(self.protocol);
        let tail = u64::from(self.src_port) << 32
            | u64::from(self.dst_port) << 16
            | u64::from(self.way.is_drop());
        (head, A::pair(self.src, self.dst), tail, self.kind)
    }

    fn tuple(&self) -> FiveTuple {
        FiveTuple {
            protocol: self.protocol,
            src: self.src.into(),
            dst: self.dst.into(),
            src_port: self.src_port,
            dst_port: self.dst_port,
        }
    }

    /// The flow of a record.
    pub(super) fn flow(&self, counts: &Counts, details: Details) -> Flow {
        Flow {
            direction: self.way.direction(),
            tuple: self.tuple(),
            verdict: counts.verdict,
            rule: counts.rule,
            is_reply: counts.is_reply,
            flags_seed: counts.flags_seed,
            flags_all: counts.flags_all,
            packets: counts.packets,
            bytes: counts.bytes,
            connections: counts.connections,
            details,
        }
    }
}

/// What a record counts. Times are ticks since the interval's start.
#[derive(Debug, Clone, Copy)]
pub(super) struct Counts {
    packets: u64,
    bytes: u64,
    pub(super) first: u32,
    pub(super) last: u32,
    rule: u32,
    connections: u32,
    verdict: Verdict,
    flags_seed: u8,
    flags_all: u8,
    is_reply: bool,
}

impl Counts {
    /// The counts of one observation between two moments.
    pub(super) fn of(o: &Observation, first: u32, last: u32) -> Self {
        Self {
            packets: o.tally.packets.into(),
            bytes: o.tally.bytes.into(),
            first,
            last,
            rule: o.rule,
            connections: o.tally.opened().into(),
            verdict: o.verdict,
            flags_seed: o.tally.flags_seed(),
            flags_all: o.tally.flags_all(),
            is_reply: o.reply,
        }
    }

    /// The counts as something that found no room.
    pub(super) const fn as_skipped(&self) -> Skipped {
        Skipped {
            packets: self.packets,
            bytes: self.bytes,
        }
    }

    /// Adds the counts of the same key; what is later says why.
    fn merge(&mut self, other: Self) {
        self.packets = self.packets.saturating_add(other.packets);
        self.bytes = self.bytes.saturating_add(other.bytes);
        self.connections = self.connections.saturating_add(other.connections);
        self.flags_seed |= other.flags_seed;
        self.flags_all |= other.flags_all;
        self.first = self.first.min(other.first);
        if other.last >= self.last {
            self.last = other.last;
            self.rule = other.rule;
            self.verdict = other.verdict;
            self.is_reply = other.is_reply;
        }
    }
}

/// What became of an observation.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Merged {
    /// It is a record of its own.
    Added,
    /// Its record was there.
    Known,
    /// There was no room for a record.
    Refused,
}

/// Records of one address family.
#[derive(Debug)]
pub(super) struct Table<A> {
    records: Vec<(Key<A>, Counts)>,
    /// Places in `records`. Seeded at random: guests choose the tuples.
    index: HashTable<u32>,
    hasher: RandomState,
}

impl<A> Default for Table<A> {
    fn default() -> Self {
        Self {
            records: Vec::new(),
            index: HashTable::new(),
            hasher: RandomState::default(),
        }
    }
}

impl<A: Address> Table<A> {
    pub(super) fn len(&self) -> usize {
        self.records.len()
    }

    /// Adds the counts to the key's record; a new one needs room from `admit`.
    pub(super) fn merge(
        &mut self,
        key: Key<A>,
        counts: Counts,
        admit: impl FnOnce() -> bool,
    ) -> Merged {
        let Self {
            records,
            index,
            hasher,
        } = self;
        let found = index.entry(
            hasher.hash_one(key),
            |place| records[*place as usize].0 == key,
            |place| hasher.hash_one(records[*place as usize].0),
        );
        match found {
            Entry::Occupied(place) => {
                records[*place.get() as usize].1.merge(counts);
                Merged::Known
            }
            Entry::Vacant(vacant) => match u32::try_from(records.len()) {
                Ok(place) if admit() => {
                    vacant.insert(place);
                    records.push((key, counts));
                    Merged::Added
                }
                _ => Merged::Refused,
            },
        }
    }

    /// The records in order of port, direction, tuple and verdict, with the places of their ports
    /// replaced by `ranks`.
    pub(super) fn into_sorted(self, ranks: &[u16]) -> Vec<(Key<A>, Counts)> {
        let Self {
            mut records, index, ..
        } = self;
        drop(index);
        for (key, _) in &mut records {
            key.port = ranks[usize::from(key.port)];
        }
        records.sort_unstable_by_key(|(key, _)| key.order());
        records
    }
}
