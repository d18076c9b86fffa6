//! Captures through the same path as TAPs, with their own clock.
//!
//! ```text
//!   captures ─ merged by time ─▶ whose frame? ─▶ Switch::forward ─▶ Collector ─▶ files
//! ```
//! Of a capture given for a port, the frames that the port **sent** are replayed: those whose source MAC
//! belongs to no other port. A capture without a port is matched by source MAC; what matches no port has
//! nobody to take the view of and is recorded with direction `unknown`, as accepted: nothing judged it.

use super::build::{group_names, port_info, switch_config};
use super::log_thread::{Names, take};
use crate::config::{Plan, Role};
use crate::io::pcap::{Captured, PcapError, PcapReader, merge};
use crate::switch::{Audit, Frame, Now, Outbox, Prepared, Switch};
use flowlog::{Closed, Collector, Delivery, Observation, Recording, Tally, Tick, Window};
use packet::{Basis, Direction, Mac, Offload, Runt, Verdict, build, captured_offload, tcp_flags};
use parking_lot::RwLock;
use secgroup::{PortId, RuleTable};
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// A capture and whose it is.
#[derive(Debug, Clone)]
pub struct Input {
    /// The file.
    pub file: PathBuf,
    /// Name or UUID of the port that it was taken at, if it is one port's.
    pub port: Option<String>,
}

/// What a replay cannot begin or go on with.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// A port that the configuration does not have.
    #[error("{}: the configuration has no port `{port}`; it has {known}", file.display())]
    NoSuchPort {
        /// The capture.
        file: PathBuf,
        /// The name given.
        port: String,
        /// The names there are.
        known: String,
    },
    /// A capture that cannot be read.
    #[error(transparent)]
    Capture(#[from] PcapError),
}

/// What a replay did.
#[derive(Debug)]
pub struct Summary {
    /// Frames put through the switch.
    pub frames: u64,
    /// Frames of a port's capture that another port had sent.
    pub received: u64,
    /// Frames that matched no port, recorded with direction `unknown`.
    pub unknown: u64,
    /// Frames that matched no port, of a kind that the flow log does not record.
    pub unknown_unrecorded: u64,
    /// Frames too short for an Ethernet header; a port's own are counted there as malformed.
    pub runts: u64,
    /// Copies that would have been delivered.
    pub delivered: u64,
    /// Files written.
    pub files: Vec<PathBuf>,
    /// Rows in them.
    pub rows: u64,
    /// The conservation identity at the end.
    pub audit: Audit,
    /// Captures that end early or are damaged: what came before that was replayed.
    pub damaged: Vec<PcapError>,
}

/// Port number of frames that match no port: the log's directory knows nobody of that number.
const NOBODY: u16 = u16::MAX;

/// Length of the clock's step between two frames after which the sweep is run to its end.
const SWEEP_EVERY_US: u64 = 100_000;

/// How long stores get to take what is left at the end.
const PATIENCE: Duration = Duration::from_secs(60);

/// Puts captures through a switch built from `plan`; calls `seen` with every interval that closes.
///
/// A capture that breaks off is replayed up to there, the others to their end: what was read is worth its
/// verdicts and its files. [`Summary::damaged`] tells of it.
///
/// # Errors
/// [`ReplayError`]; a policy beyond its limits; a state directory that cannot be used.
pub fn replay(
    plan: &Plan,
    inputs: &[Input],
    mut seen: impl FnMut(&Closed),
) -> anyhow::Result<Summary> {
    let owners = inputs
        .iter()
        .map(|input| owner(plan, input))
        .collect::<Result<Vec<_>, _>>()?;
    let readers = inputs
        .iter()
        .map(|input| PcapReader::open(&input.file))
        .collect::<Result<Vec<_>, _>>()?;
    let mut damaged = Vec::new();
    let mut frames = merge(readers)
        .filter_map(|frame| frame.map_err(|error| damaged.push(error)).ok())
        .peekable();
    let first_ns = frames.peek().map_or(0, |(_, captured)| captured.time_ns);
    let mut replay = Replay::new(plan, first_ns)?;
    for (index, captured) in frames {
        replay.frame(owners.get(index).copied().flatten(), &captured, &mut seen);
    }
    let summary = replay.finish(&mut seen)?;
    Ok(Summary { damaged, ..summary })
}

/// The place in the plan of the port that a capture was taken at.
fn owner(plan: &Plan, input: &Input) -> Result<Option<usize>, ReplayError> {
    let Some(wanted) = &input.port else {
        return Ok(None);
    };
    let place = plan
        .ports
        .iter()
        .position(|port| port.name == *wanted || port.id.to_string() == *wanted);
    place.map(Some).ok_or_else(|| ReplayError::NoSuchPort {
        file: input.file.clone(),
        port: wanted.clone(),
        known: plan
            .ports
            .iter()
            .map(|port| port.name.as_str())
            .collect::<Vec<_>>()
            .join(", "),
    })
}

struct Replay<'a> {
    plan: &'a Plan,
    switch: Switch,
    collector: Collector,
    names: Names,
    recording: Recording,
    numbers: Vec<PortId>,
    macs: HashMap<Mac, usize>,
    first_ns: u64,
    last_sweep_us: u64,
    now: Now,
    summary: Summary,
    outbox: Outbox,
}

impl<'a> Replay<'a> {
    fn new(plan: &'a Plan, first_ns: u64) -> anyhow::Result<Self> {
        let now = Now {
            ms: 0,
            wall_us: first_ns / 1_000,
        };
        let window_s = flowlog::base_window_s(&plan.loggers);
        // The seed is fixed: the same captures give the same files.
        let mut switch = Switch::new(now, 0, plan.conntrack.limit, window_s);
        let mut rules = RuleTable::default();
        let prepared = Prepared::new(switch_config(plan), &mut rules)?;
        switch.apply(now, prepared)?;
        let delivery = Delivery::open(&plan.state_dir, plan.spool_max_bytes)?.in_place();
        let mut collector = Collector::new(plan.loggers.clone(), delivery);
        collector.keep_records(true);
        let by_id: HashMap<_, _> = switch
            .ports()
            .map(|port| (port.config.id, port.number()))
            .collect();
        let numbers: Vec<PortId> = plan
            .ports
            .iter()
            .filter_map(|port| by_id.get(&port.id).copied())
            .collect();
        let mut names = Names::new(Arc::new(RwLock::new(rules)));
        names.set(
            plan.ports
                .iter()
                .zip(&numbers)
                .filter_map(|(port, &number)| port_info(plan, number, port)),
            group_names(plan),
        );
        let macs = owned_macs(plan);
        let summary = Summary {
            frames: 0,
            received: 0,
            unknown: 0,
            unknown_unrecorded: 0,
            runts: 0,
            delivered: 0,
            files: Vec::new(),
            rows: 0,
            audit: Audit { ports: Vec::new() },
            damaged: Vec::new(),
        };
        let outbox = Outbox::default();
        Ok(Self {
            plan,
            switch,
            collector,
            names,
            recording: Recording::of(&plan.loggers),
            numbers,
            macs,
            first_ns,
            last_sweep_us: 0,
            now,
            summary,
            outbox,
        })
    }

    fn frame(&mut self, owner: Option<usize>, captured: &Captured, seen: &mut impl FnMut(&Closed)) {
        self.advance(captured.time_ns, seen);
        let bytes = whole(captured);
        let by_mac = source(&bytes).and_then(|mac| self.macs.get(&mac).copied());
        let sender = match (owner, by_mac) {
            (Some(owner), Some(other)) if owner != other => {
                self.summary.received += 1;
                return;
            }
            (Some(owner), _) => Some(owner),
            (None, by_mac) => by_mac,
        };
        let mtu = sender
            .and_then(|place| self.plan.ports.get(place))
            .map_or(u16::MAX, |port| port.tap.mtu);
        let cut_off = captured.frame.len() < bytes.len();
        let offload = captured_offload(&bytes, mtu);
        let vnet = build::vnet_header(
            &bytes,
            Offload {
                data_valid: cut_off,
                ..offload
            },
        );
        let frame = Frame::parse(&vnet, &bytes);
        match (
            sender.and_then(|place| self.numbers.get(place).copied()),
            frame,
        ) {
            (Some(rx), Ok(frame)) => self.forward(rx, &frame),
            (None, Ok(frame)) => self.observe_unknown(&frame),
            (rx, Err(Runt)) => {
                self.summary.runts += 1;
                if let Some(rx) = rx {
                    self.switch.count_runt(rx);
                }
            }
        }
    }

    fn forward(&mut self, rx: PortId, frame: &Frame<'_>) {
        self.summary.frames += 1;
        self.outbox.clear();
        self.switch.forward(self.now, rx, frame, &mut self.outbox);
        let packets = frame.headers.wire.packets;
        let sent = self.outbox.receivers.iter().map(|&to| (to, packets));
        let released = self.outbox.released.iter();
        let released = released.flat_map(|held| held.to.iter().map(|&to| (to, held.packets)));
        for (to, packets) in sent.chain(released) {
            self.summary.delivered += 1;
            self.switch.settle(to, u64::from(packets), 0);
        }
    }

    /// A frame of nobody: one record, `unknown`, if it is of a kind that is recorded.
    fn observe_unknown(&mut self, frame: &Frame<'_>) {
        let recorded = match flowlog::not_recorded(&frame.headers) {
            None => true,
            Some(kind) => self.recording.everything && flowlog::has_tuple(&frame.headers, kind),
        };
        let Some(ip) = frame.headers.ip().filter(|_| recorded) else {
            self.summary.unknown_unrecorded += 1;
            return;
        };
        self.summary.unknown += 1;
        let flags = match ip.l4 {
            packet::L4::Tcp(tcp) => tcp.flags,
            _ => 0,
        };
        let window = Window::of(
            self.now.wall_us / 1_000_000,
            flowlog::base_window_s(&self.plan.loggers),
        );
        let mut tally = Tally::default();
        let since_start_us = self.now.wall_us.saturating_sub(window.start_s * 1_000_000);
        tally.count(
            Tick::since_start_us(since_start_us as i64),
            frame.headers.wire,
            flags,
        );
        if flags & (tcp_flags::SYN | tcp_flags::ACK) == tcp_flags::SYN {
            tally.count_opened();
        }
        let observation = Observation {
            port: NOBODY,
            direction: Direction::Unknown,
            tuple: ip.tuple(),
            verdict: Verdict::Accept(Basis::Unfiltered),
            rule: 0,
            reply: false,
            icmp: match ip.l4 {
                packet::L4::Icmp(icmp) => Some((icmp.kind, icmp.code)),
                _ => None,
            },
            policy_epoch: None,
            macs: Some([frame.headers.eth.src, frame.headers.eth.dst]),
            tally,
        };
        self.collector.observe(window, &self.names, &observation);
    }

    /// Moves the clock to a frame's time; windows that end on the way are closed.
    fn advance(&mut self, time_ns: u64, seen: &mut impl FnMut(&Closed)) {
        let since_first_ms = time_ns.saturating_sub(self.first_ns) / 1_000_000;
        self.now = Now {
            ms: (since_first_ms as u32).max(self.now.ms),
            wall_us: time_ns / 1_000,
        };
        self.switch.enter(self.now);
        let due = self.now.wall_us.abs_diff(self.last_sweep_us) >= SWEEP_EVERY_US;
        if due {
            self.last_sweep_us = self.now.wall_us;
            while self.switch.sweep(self.now) {}
            self.hand_over(seen);
        }
    }

    fn hand_over(&mut self, seen: &mut impl FnMut(&Closed)) {
        for chunk in self.switch.fetch_log() {
            let closed = take(&mut self.collector, &self.names, &chunk);
            self.note(closed, seen);
        }
    }

    fn note(&mut self, closed: Vec<Closed>, seen: &mut impl FnMut(&Closed)) {
        for closed in closed {
            seen(&closed);
            self.summary.rows += closed.rows;
            self.summary.files.extend(closed.files);
        }
    }

    fn finish(mut self, seen: &mut impl FnMut(&Closed)) -> anyhow::Result<Summary> {
        self.switch.audit_begin();
        self.summary.audit = self.switch.audit_finish();
        self.switch.flush(self.now);
        self.hand_over(seen);
        let window = Window::of(
            self.now.wall_us / 1_000_000,
            flowlog::base_window_s(&self.plan.loggers),
        );
        let closed = self.collector.finish(window, &self.names, &[]);
        self.note(closed, seen);
        let troubled = self
            .collector
            .status()
            .into_iter()
            .find_map(|logger| logger.cause);
        let waiting = self.collector.shut(PATIENCE);
        if waiting > 0 {
            let cause = troubled.unwrap_or_else(|| "the store was too slow".to_owned());
            anyhow::bail!(
                "{waiting} files wait in the spool of {} and are delivered by the next replay: {cause}",
                self.plan.state_dir.display()
            );
        }
        Ok(self.summary)
    }
}

/// Whose MACs they are, by place in the plan.
fn owned_macs(plan: &Plan) -> HashMap<Mac, usize> {
    let mut macs = HashMap::new();
    for (place, port) in plan.ports.iter().enumerate() {
        macs.entry(port.mac).or_insert(place);
        for mac in port
            .allowed_address_pairs
            .iter()
            .filter_map(|pair| pair.mac)
        {
            macs.entry(mac).or_insert(place);
        }
        debug_assert!(
            port.role == Role::Uplink || port.mac.is_legal_source(),
            "the checks see to it"
        );
    }
    macs
}

fn source(frame: &[u8]) -> Option<Mac> {
    frame.get(6..12)?.first_chunk().copied().map(Mac)
}

/// The frame at its length on the wire: what the capture cut off is made up with zeros.
fn whole(captured: &Captured) -> Vec<u8> {
    let mut bytes = captured.frame.clone();
    let wire_len = (captured.wire_len as usize).min(crate::io::pcap::FRAME_MAX);
    if wire_len > bytes.len() {
        bytes.resize(wire_len, 0);
    }
    bytes
}
