//! Two samples and what lies between them; refusals of the last minute.

use super::sample::Sample;
use crate::control::{self, ConnectionRow, FlowRow};
use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};
use uuid::Uuid;

/// How long a refusal is remembered after its last packet.
const LATELY: Duration = Duration::from_secs(60);

/// Refused flows remembered; those beyond are in the ports' counters.
const REFUSED_MAX: usize = 1000;

/// Sums of refusals remembered: one a second for as long as they matter.
const SUMS_MAX: usize = LATELY.as_secs() as usize + 2;

/// Shortest time that a rate is taken from, seconds: what was counted in less says nothing of a second.
const SECONDS_MIN: f64 = 0.1;

/// What went through a port, or a connection, in a second.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Rate {
    pub(super) packets: f64,
    pub(super) bits: f64,
}

/// Of a port: what its guest sent, what it got, what was refused or lost and mostly why.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct PortRate {
    pub(super) rx: Rate,
    pub(super) tx: Rate,
    pub(super) drops: f64,
    pub(super) reason: Option<String>,
}

/// A refused flow.
#[derive(Debug, Clone)]
pub(super) struct Refused {
    pub(super) row: FlowRow,
    /// Packets since it is remembered.
    pub(super) packets: u64,
    /// When the last ones were seen.
    pub(super) at: Instant,
}

/// What the ports' counters say of refusals since a moment: exact, where the flows that are listed are
/// those of the open interval alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Counted {
    /// So many packets within this time, and so many before, since the daemon started.
    Packets {
        within: Duration,
        lately: u64,
        before: u64,
    },
    /// The counters do not say: some port's are gone, or not all were looked at.
    Unknown,
}

/// The last two samples.
#[derive(Debug)]
pub(super) struct History {
    pub(super) now: Sample,
    before: Option<Sample>,
    refused: HashMap<String, Refused>,
    /// Packets refused until a moment, by the counters of all ports; the last minute's.
    sums: VecDeque<(Instant, u64)>,
    /// A counter was lost since the first of them.
    is_broken: bool,
}

impl History {
    pub(super) fn new(first: Sample) -> Self {
        let mut history = Self {
            now: first,
            before: None,
            refused: HashMap::new(),
            sums: VecDeque::new(),
            is_broken: false,
        };
        history.remember_refused();
        history.remember_sum();
        history
    }

    pub(super) fn add(&mut self, sample: Sample) {
        // A daemon that was started anew counts anew.
        let is_same = sample.status.uptime_s >= self.now.status.uptime_s;
        let before = std::mem::replace(&mut self.now, sample);
        self.before = Some(before).filter(|_| is_same);
        if !is_same {
            self.sums.clear();
            self.is_broken = false;
        }
        self.remember_refused();
        self.remember_sum();
    }

    /// What was refused in the last minute, or since this began to watch, by the counters.
    pub(super) fn counted(&self) -> Counted {
        let (Some(&(since, first)), Some(&(now, last))) = (self.sums.front(), self.sums.back())
        else {
            return Counted::Unknown;
        };
        if self.is_broken || self.now.drops.more {
            return Counted::Unknown;
        }
        Counted::Packets {
            within: now.saturating_duration_since(since),
            lately: last - first,
            before: first,
        }
    }

    fn remember_sum(&mut self) {
        let verdicts = self.now.drops.rows.iter().filter(|row| row.is_verdict);
        let sum = verdicts.map(|row| row.packets).sum();
        // Counters of a port go with it.
        let went_back = self.sums.back().is_some_and(|(_, before)| sum < *before);
        if went_back {
            self.sums.clear();
            self.is_broken = true;
        }
        self.sums.push_back((self.now.at, sum));
        // One that is a minute old stays: what comes since is the last minute's.
        let now = self.now.at;
        let is_old = |(at, _): &(Instant, u64)| now.saturating_duration_since(*at) >= LATELY;
        while self.sums.get(1).is_some_and(is_old) || self.sums.len() > SUMS_MAX {
            self.sums.pop_front();
            self.is_broken = false;
        }
    }

    /// Rates of the ports by their ids; `None` before there are two samples.
    pub(super) fn ports(&self) -> Option<HashMap<Uuid, PortRate>> {
        let (before, seconds) = self.before()?;
        let earlier: HashMap<_, _> = before.ports.rows.iter().map(|row| (row.id, row)).collect();
        let rate = |packets: [u64; 2], bytes: [u64; 2]| Rate {
            packets: gain(packets) as f64 / seconds,
            bits: gain(bytes) as f64 * 8.0 / seconds,
        };
        let mut rates: HashMap<_, _> = HashMap::new();
        for row in &self.now.ports.rows {
            // A port that has just come has counted since.
            let old = earlier.get(&row.id);
            let old = |counter: fn(&control::PortRow) -> u64| old.map_or(0, |row| counter(row));
            let ports = PortRate {
                rx: rate(
                    [old(|row| row.rx), row.rx],
                    [old(|row| row.rx_bytes), row.rx_bytes],
                ),
                tx: rate(
                    [old(|row| row.tx), row.tx],
                    [old(|row| row.tx_bytes), row.tx_bytes],
                ),
                ..PortRate::default()
            };
            rates.insert(row.id, ports);
        }
        self.add_drops(before, seconds, &mut rates);
        Some(rates)
    }

    fn add_drops(&self, before: &Sample, seconds: f64, rates: &mut HashMap<Uuid, PortRate>) {
        let key = |row: &control::DropRow| (row.port.clone(), row.reason.clone());
        let earlier: HashMap<_, _> = before
            .drops
            .rows
            .iter()
            .map(|row| (key(row), row.packets))
            .collect();
        let ids: HashMap<_, _> = self
            .now
            .ports
            .rows
            .iter()
            .map(|row| (&row.name, row.id))
            .collect();
        let mut most: HashMap<Uuid, u64> = HashMap::new();
        for row in &self.now.drops.rows {
            let old = earlier.get(&key(row)).copied().unwrap_or_default();
            let more = gain([old, row.packets]);
            let port = ids.get(&row.port).filter(|_| more > 0);
            let Some((id, rate)) = port.and_then(|id| Some((*id, rates.get_mut(id)?))) else {
                continue;
            };
            rate.drops += more as f64 / seconds;
            let most = most.entry(id).or_default();
            if more > *most {
                *most = more;
                rate.reason = Some(row.reason.clone());
            }
        }
    }

    /// Live connections with what they carry: original direction and replies, the most bits first.
    pub(super) fn connections(&self) -> Option<Vec<(&ConnectionRow, [Rate; 2])>> {
        let (before, seconds) = self.before()?;
        let earlier: HashMap<_, _> = before
            .connections
            .rows
            .iter()
            .map(|row| (connection_key(row), row.counted))
            .collect();
        let window = Duration::from_millis(self.now.status.window_age_ms).as_secs_f64();
        let rates = self.now.connections.rows.iter().map(|row| {
            let old = earlier.get(&connection_key(row));
            let rate = |way: usize| match old {
                // The window was another: all that this one counts is new.
                _ if window < seconds => per_second(row.counted[way], window),
                Some(old) => per_second(gained(old[way], row.counted[way]), seconds),
                None => per_second(row.counted[way], seconds),
            };
            (row, [rate(0), rate(1)])
        });
        let carries = |[there, back]: &[Rate; 2]| there.packets + back.packets > 0.0;
        let mut rates: Vec<_> = rates.filter(|(_, rates)| carries(rates)).collect();
        let bits = |rates: &[Rate; 2]| rates[0].bits + rates[1].bits;
        rates.sort_by(|(_, a), (_, b)| bits(b).total_cmp(&bits(a)));
        Some(rates)
    }

    /// What was refused within the last minute, the latest first.
    pub(super) fn refused(&self) -> Vec<&Refused> {
        let mut refused: Vec<_> = self.refused.values().collect();
        refused.sort_by(|a, b| {
            let latest = b.at.cmp(&a.at).then_with(|| b.packets.cmp(&a.packets));
            latest.then_with(|| flow_key(&a.row).cmp(&flow_key(&b.row)))
        });
        refused
    }

    fn before(&self) -> Option<(&Sample, f64)> {
        let before = self.before.as_ref()?;
        let seconds = self
            .now
            .at
            .saturating_duration_since(before.at)
            .as_secs_f64();
        (seconds > 0.0).then_some((before, seconds))
    }

    fn remember_refused(&mut self) {
        let now = self.now.at;
        for row in self
            .now
            .flows
            .rows
            .iter()
            .filter(|row| row.filter == "DROP")
        {
            let key = flow_key(row);
            let is_room = self.refused.len() < REFUSED_MAX;
            match self.refused.get_mut(&key) {
                Some(known) if known.row.packets == row.packets => {}
                Some(known) => {
                    let both = [known.row.packets, row.packets].map(u64::from);
                    known.packets += gain(both);
                    known.row = row.clone();
                    known.at = now;
                }
                None if is_room => {
                    let refused = Refused {
                        row: row.clone(),
                        packets: row.packets.into(),
                        at: now,
                    };
                    self.refused.insert(key, refused);
                }
                None => {}
            }
        }
        self.refused
            .retain(|_, refused| now.saturating_duration_since(refused.at) < LATELY);
    }
}

/// What a counter has gained. One that is less than before has begun anew, as those of open records do
/// with each window; what it had until then is not known.
const fn gain([old, new]: [u64; 2]) -> u64 {
    if new >= old { new - old } else { new }
}

fn gained(old: control::Counted, new: control::Counted) -> control::Counted {
    control::Counted {
        packets: new.packets.saturating_sub(old.packets),
        bytes: new.bytes.saturating_sub(old.bytes),
    }
}

fn per_second(counted: control::Counted, seconds: f64) -> Rate {
    let seconds = seconds.max(SECONDS_MIN);
    Rate {
        packets: f64::from(counted.packets) / seconds,
        bits: f64::from(counted.bytes) * 8.0 / seconds,
    }
}

fn connection_key(row: &ConnectionRow) -> String {
    let [from, to] = &row.ports;
    format!(
        "{} {} {} {:?} {from} {to}",
        row.protocol, row.source, row.destination, row.icmp_id
    )
}

fn flow_key(row: &FlowRow) -> String {
    format!(
        "{} {} {} {} {} {}",
        row.port, row.direction, row.protocol, row.source, row.destination, row.reason
    )
}
