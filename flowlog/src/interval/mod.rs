//! A logger's open interval: what was observed since it began, merged by port, direction, tuple and
//! verdict, in bounded memory.

mod quota;
mod table;

pub use quota::Limits;

use crate::{Observation, PortInfo, Ports, Record, Skipped, Status, TICK_US, Window};
use foldhash::fast::RandomState;
use hashbrown::HashMap;
use quota::Quota;
use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::Arc,
};
use table::{Address, Counts, Key, Merged, Table};

/// The clock inside an interval: ticks since its start.
const TICKS_PER_S: u64 = 1_000_000 / TICK_US;
const NS_PER_TICK: u64 = TICK_US * 1000;
const NS_PER_S: u64 = 1_000_000_000;

/// What one logger observed in one of its intervals.
#[derive(Debug)]
pub(crate) struct Interval {
    window: Window,
    quota: Quota,
    /// The logging ports met so far. Keys hold the place in this list, so that a port number that
    /// passes to another port within an interval does not mix the two.
    ports: Vec<Logging>,
    /// From the switch's number of a port to its place.
    places: HashMap<u16, u16, RandomState>,
    /// What came from more ports than have a place.
    placeless: Skipped,
    v4: Table<Ipv4Addr>,
    v6: Table<Ipv6Addr>,
}

/// A port within an interval.
#[derive(Debug)]
struct Logging {
    info: Arc<PortInfo>,
    records: usize,
    skipped: Skipped,
}

impl Logging {
    const fn status(&self) -> Status {
        if self.skipped.is_none() {
            Status::Ok
        } else {
            Status::SkipData
        }
    }

    /// Whether the port gets a row that tells of skipped packets alone.
    const fn is_only_skipped(&self) -> bool {
        self.records == 0 && !self.skipped.is_none()
    }
}

impl Interval {
    pub(crate) fn new(window: Window, limits: Limits) -> Self {
        Self {
            window,
            quota: Quota::new(limits),
            ports: Vec::new(),
            places: HashMap::default(),
            placeless: Skipped::default(),
            v4: Table::default(),
            v6: Table::default(),
        }
    }

    pub(crate) const fn window(&self) -> Window {
        self.window
    }

    /// Rows the interval will have.
    pub(crate) fn rows(&self) -> u64 {
        let only_skipped = self
            .ports
            .iter()
            .filter(|port| port.is_only_skipped())
            .count();
        (self.v4.len() + self.v6.len() + only_skipped) as u64
    }

    /// Packets of all ports that could not be recorded.
    pub(crate) fn skipped(&self) -> Skipped {
        let mut sum = self.placeless;
        self.ports.iter().for_each(|port| sum.add(port.skipped));
        sum
    }

    /// Merges an observation of the base window `window` into the records.
    pub(crate) fn observe(&mut self, window: Window, port: &PortInfo, o: &Observation) {
        let first = self.ticks(window, o.tally.first().as_us());
        let counts = Counts::of(
            o,
            first,
            self.ticks(window, o.tally.last().as_us()).max(first),
        );
        let Some(place) = self.place(port) else {
            return self.placeless.add(counts.as_skipped());
        };
        let Self {
            ports,
            quota,
            v4,
            v6,
            ..
        } = self;
        let logging = &mut ports[usize::from(place)];
        let admit = || quota.admit(logging.records);
        let merged = match (o.tuple.src, o.tuple.dst) {
            (IpAddr::V4(src), IpAddr::V4(dst)) => {
                v4.merge(Key::of(place, o, src, dst), counts, admit)
            }
            (src, dst) => v6.merge(Key::of(place, o, as_v6(src), as_v6(dst)), counts, admit),
        };
        match merged {
            Merged::Added => logging.records += 1,
            Merged::Known => (),
            Merged::Refused => logging.skipped.add(counts.as_skipped()),
        }
    }

    /// Notes what the switch itself could not record.
    pub(crate) fn skip(&mut self, port: &PortInfo, skipped: Skipped) {
        match self.place(port) {
            Some(place) => self.ports[usize::from(place)].skipped.add(skipped),
            None => self.placeless.add(skipped),
        }
    }

    /// Takes over what has become known of the ports since they were met: names may have changed.
    pub(crate) fn resolve(&mut self, ports: &dyn Ports) {
        for logging in &mut self.ports {
            if let Some(now) = ports.get(logging.info.port)
                && now.interface_id == logging.info.interface_id
                && *now != *logging.info
            {
                logging.info = Arc::new(now.clone());
            }
        }
    }

    /// Closes the interval.
    pub(crate) fn sorted(self) -> Sorted {
        let Self {
            window,
            ports,
            v4,
            v6,
            ..
        } = self;
        let mut order: Vec<(usize, Logging)> = ports.into_iter().enumerate().collect();
        order.sort_by_key(|(_, port)| (port.info.port, port.info.interface_id));
        let mut ranks = vec![0; order.len()];
        for (rank, (place, _)) in (0..=u16::MAX).zip(&order) {
            ranks[*place] = rank;
        }
        let (v4, v6) = (v4.into_sorted(&ranks), v6.into_sorted(&ranks));
        Sorted {
            window,
            ports: order.into_iter().map(|(_, port)| port).collect(),
            v4,
            v6,
        }
    }

    /// The place of a port, a new one where it is met for the first time.
    fn place(&mut self, port: &PortInfo) -> Option<u16> {
        if let Some(place) = self.places.get(&port.port)
            && self.ports[usize::from(*place)].info.interface_id == port.interface_id
        {
            return Some(*place);
        }
        let place = u16::try_from(self.ports.len()).ok()?;
        let info = Arc::new(port.clone());
        self.ports.push(Logging {
            info,
            records: 0,
            skipped: Skipped::default(),
        });
        self.places.insert(port.port, place);
        Some(place)
    }

    /// A moment of a base window in ticks since the interval's start, kept inside the interval.
    fn ticks(&self, window: Window, since_window_us: u64) -> u32 {
        let window_at = window
            .start_s
            .saturating_sub(self.window.start_s)
            .saturating_mul(TICKS_PER_S);
        let end = u64::from(self.window.length_s) * TICKS_PER_S;
        let ticks = window_at
            .saturating_add(since_window_us / TICK_US)
            .min(end - 1);
        u32::try_from(ticks).unwrap_or(u32::MAX)
    }
}

/// A closed interval, ready to be written.
#[derive(Debug)]
pub(crate) struct Sorted {
    window: Window,
    ports: Vec<Logging>,
    v4: Vec<(Key<Ipv4Addr>, Counts)>,
    v6: Vec<(Key<Ipv6Addr>, Counts)>,
}

impl Sorted {
    pub(crate) const fn window(&self) -> Window {
        self.window
    }

    /// The records in order of port, direction, tuple and verdict, IPv6 behind IPv4; then the ports
    /// of which there is nothing but skipped packets.
    pub(crate) fn records(&self) -> impl Iterator<Item = Record> {
        let v4 = self.v4.iter().map(|(key, counts)| self.record(key, counts));
        let v6 = self.v6.iter().map(|(key, counts)| self.record(key, counts));
        let only_skipped = self.ports.iter().filter(|port| port.is_only_skipped());
        v4.chain(v6)
            .chain(only_skipped.map(|port| self.without_flow(port)))
    }

    fn record<A: Address>(&self, key: &Key<A>, counts: &Counts) -> Record {
        let logging = &self.ports[usize::from(key.port)];
        let start_ns = self.start_ns();
        Record {
            port: Arc::clone(&logging.info),
            first_ns: start_ns + u64::from(counts.first) * NS_PER_TICK,
            last_ns: start_ns + u64::from(counts.last) * NS_PER_TICK,
            flow: Some(key.flow(counts)),
            status: logging.status(),
        }
    }

    fn without_flow(&self, logging: &Logging) -> Record {
        let start_ns = self.start_ns();
        Record {
            port: Arc::clone(&logging.info),
            first_ns: start_ns,
            last_ns: start_ns + u64::from(self.window.length_s - 1) * NS_PER_S,
            flow: None,
            status: logging.status(),
        }
    }

    /// The interval's start; clocks beyond the year 2500 are taken as that.
    fn start_ns(&self) -> u64 {
        const LATEST_S: u64 = 17_000_000_000;
        self.window.start_s.min(LATEST_S) * NS_PER_S
    }
}

/// The address in IPv6, an IPv4 one mapped (RFC 4291, section 2.5.5.2).
const fn as_v6(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    }
}
