//! A logger's open interval: what was observed since it began, merged by port, direction, tuple and
//! verdict, and by the details that the logger names, in bounded memory.

mod kinds;
mod quota;
mod table;

pub use quota::Limits;

use crate::{
    Details, Field, Flow, Observation, PortInfo, Ports, Record, Skipped, Status, TICK_US, Window,
};
use foldhash::fast::RandomState;
use hashbrown::HashMap;
use kinds::Kinds;
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
    /// What tells records of one tuple apart. A further kind comes with a further record only, so
    /// that there are never more of them.
    kinds: Kinds,
    v4: Table<Ipv4Addr>,
    v6: Table<Ipv6Addr>,
}

/// A port within an interval.
#[derive(Debug)]
struct Logging {
    info: Arc<PortInfo>,
    records: usize,
    skipped: Skipped,
    /// It gets a row even if nothing was observed.
    is_noted: bool,
}

impl Logging {
    const fn status(&self) -> Status {
        match (self.skipped.is_none(), self.records) {
            (false, _) => Status::SkipData,
            (true, 0) => Status::NoData,
            (true, _) => Status::Ok,
        }
    }

    /// Whether the port gets a row that tells its status alone.
    const fn is_without_flow(&self) -> bool {
        self.records == 0 && (self.is_noted || !self.skipped.is_none())
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
            kinds: Kinds::default(),
            v4: Table::default(),
            v6: Table::default(),
        }
    }

    pub(crate) const fn window(&self) -> Window {
        self.window
    }

    /// Rows the interval will have.
    pub(crate) fn rows(&self) -> u64 {
        let ports = self.ports.iter();
        let without_flow = ports.filter(|port| port.is_without_flow()).count();
        (self.v4.len() + self.v6.len() + without_flow) as u64
    }

    /// Packets of all ports that could not be recorded.
    pub(crate) fn skipped(&self) -> Skipped {
        let mut sum = self.placeless;
        self.ports.iter().for_each(|port| sum.add(port.skipped));
        sum
    }

    /// Merges an observation of the base window `window` into the records.
    pub(crate) fn observe(
        &mut self,
        window: Window,
        port: &PortInfo,
        o: &Observation,
        details: Details,
    ) {
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
            kinds,
            v4,
            v6,
            ..
        } = self;
        let logging = &mut ports[usize::from(place)];
        let mut admit = || quota.admit(logging.records);
        let known = kinds.find(&details);
        // A kind that is new makes a record that is new: room for it comes first.
        let is_admitted = known.is_none() && admit();
        let Some(kind) = known.or_else(|| is_admitted.then(|| kinds.add(details))) else {
            return logging.skipped.add(counts.as_skipped());
        };
        let admit = || is_admitted || admit();
        let merged = match (o.tuple.src, o.tuple.dst) {
            (IpAddr::V4(src), IpAddr::V4(dst)) => {
                v4.merge(Key::of(place, o, src, dst, kind), counts, admit)
            }
            (src, dst) => {
                let (src, dst) = (as_v6(src), as_v6(dst));
                v6.merge(Key::of(place, o, src, dst, kind), counts, admit)
            }
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

    /// Sees to it that a logging port gets a row, be it one that says that there is nothing.
    pub(crate) fn note_port(&mut self, port: &PortInfo) {
        if let Some(place) = self.place(port) {
            self.ports[usize::from(place)].is_noted = true;
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
            kinds,
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
            kinds,
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
            is_noted: false,
        });
        self.places.insert(port.port, place);
        Some(place)
    }

    /// A moment of a base window in ticks since the interval's start, kept inside the interval.
    fn ticks(&self, window: Window, since_window_us: u64) -> u32 {
        let moment = window
            .start_s
            .saturating_mul(TICKS_PER_S)
            .saturating_add(since_window_us / TICK_US);
        let start = self.window.start_s.saturating_mul(TICKS_PER_S);
        let end = u64::from(self.window.length_s) * TICKS_PER_S;
        let ticks = moment.saturating_sub(start).min(end - 1);
        u32::try_from(ticks).unwrap_or(u32::MAX)
    }
}

/// Which names records get, and from where.
#[derive(Clone, Copy)]
pub(crate) struct Naming<'a> {
    ports: &'a dyn Ports,
    peers: bool,
    groups: bool,
}

impl<'a> Naming<'a> {
    /// The names that a list of fields has.
    pub(crate) fn of(fields: &[Field], ports: &'a dyn Ports) -> Self {
        Self {
            ports,
            peers: fields.contains(&Field::PeerName),
            groups: fields.contains(&Field::SecurityGroupName),
        }
    }

    /// Every name: for a live tail.
    pub(crate) const fn all(ports: &'a dyn Ports) -> Self {
        Self {
            ports,
            peers: true,
            groups: true,
        }
    }

    fn peer(self, port: &PortInfo, flow: &Flow) -> Option<Arc<str>> {
        let remote = flow.remote().filter(|_| self.peers)?;
        self.ports.holder(port.vpc_id, remote)
    }

    /// Of the group that the logger tells records apart by, else of that of the latest packets.
    fn security_group(self, flow: &Flow) -> Option<Arc<str>> {
        let latest = || Some(self.ports.rule(flow.rule)?.security_group_id);
        let group = || flow.details.security_group_id.or_else(latest);
        self.ports.group_name(self.groups.then(group)??)
    }
}

/// A closed interval, ready to be written.
#[derive(Debug)]
pub(crate) struct Sorted {
    window: Window,
    ports: Vec<Logging>,
    kinds: Kinds,
    v4: Vec<(Key<Ipv4Addr>, Counts)>,
    v6: Vec<(Key<Ipv6Addr>, Counts)>,
}

impl Sorted {
    pub(crate) const fn window(&self) -> Window {
        self.window
    }

    /// The records in order of port, direction, tuple and verdict, IPv6 behind IPv4; then the ports
    /// of which there is nothing but their status.
    pub(crate) fn records<'a>(&'a self, naming: Naming<'a>) -> impl Iterator<Item = Record> {
        let v4 = self.v4.iter();
        let v4 = v4.map(move |(key, counts)| self.record(key, counts, naming));
        let v6 = self.v6.iter();
        let v6 = v6.map(move |(key, counts)| self.record(key, counts, naming));
        let without_flow = self.ports.iter().filter(|port| port.is_without_flow());
        v4.chain(v6)
            .chain(without_flow.map(|port| self.without_flow(port)))
    }

    fn record<A: Address>(&self, key: &Key<A>, counts: &Counts, naming: Naming<'_>) -> Record {
        let logging = &self.ports[usize::from(key.port)];
        let start_ns = self.start_ns();
        let flow = key.flow(counts, self.kinds.get(key.kind));
        Record {
            port: Arc::clone(&logging.info),
            first_ns: start_ns + u64::from(counts.first) * NS_PER_TICK,
            last_ns: start_ns + u64::from(counts.last) * NS_PER_TICK,
            peer: naming.peer(&logging.info, &flow),
            security_group: naming.security_group(&flow),
            flow: Some(flow),
            status: logging.status(),
            skipped: logging.skipped,
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
            skipped: logging.skipped,
            peer: None,
            security_group: None,
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
