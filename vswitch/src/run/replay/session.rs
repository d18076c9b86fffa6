//! One replay: the switch, the loggers, and the clock that the captures drive.

use super::Summary;
use super::owners::{Owners, Sender};
use super::state::State;
use crate::config::Plan;
use crate::io::pcap::{Captured, FRAME_MAX, Macs};
use crate::run::build::{group_names, port_info, switch_config};
use crate::run::log_thread::{Names, take};
use crate::switch::{Frame, Now, Outbox, Prepared, Switch};
use flowlog::{Cause, Closed, Collector, Observation, Recording, Tally, Tick};
use packet::{
    Basis, Direction, Headers, Offload, Runt, Verdict, build, captured_offload, has_all_headers,
    tcp_flags,
};
use parking_lot::RwLock;
use secgroup::{PortId, RuleTable};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Port number of frames that match no port: the log's directory has no port of that number.
const NO_PORT: u16 = u16::MAX;

/// Length of the clock's step between two frames after which the sweep is run to its end.
const SWEEP_EVERY_US: u64 = 100_000;

/// Windows without a frame that a replay walks through one by one, so that each has its files, all pauses
/// together: a day of the shortest. Pauses beyond are between two captures, or a clock was wrong.
const QUIET_WINDOWS_MAX: u64 = 24 * 60 * 60;

/// Longest step of the switch's clock. Deadlines are compared as signed 32-bit numbers: what expired more
/// than 2^31 ms ago would seem to live, unless a sweep came between.
const CLOCK_STEP_MS: u64 = 1 << 30;

/// How long a store gets to take what is left at the end; one that is busy (429, 5xx) is asked again.
const PATIENCE: Duration = Duration::from_secs(30);

/// How often it is looked whether it has.
const LOOK: Duration = Duration::from_millis(20);

pub(super) struct Session<'a> {
    plan: &'a Plan,
    state: State,
    switch: Switch,
    collector: Collector,
    names: Names,
    recording: Recording,
    numbers: Vec<PortId>,
    owners: Owners<'a>,
    first_ns: u64,
    /// The latest moment so far, by the wall clock.
    latest_us: u64,
    last_sweep_us: u64,
    /// Quiet windows that may have files yet.
    quiet_left: u64,
    /// The switch's clock: milliseconds since the first frame, never back.
    elapsed_ms: u64,
    now: Now,
    summary: Summary,
    outbox: Outbox,
}

impl<'a> Session<'a> {
    /// Begins at the time of the first frame.
    ///
    /// # Errors
    /// A policy beyond its limits; a store that does not take what will be written: its cause, at once.
    pub(super) fn new(plan: &'a Plan, first_ns: u64) -> anyhow::Result<Self> {
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
        let state = State::new(plan)?;
        let mut collector = Collector::new(plan.loggers.clone(), state.delivery(plan)?);
        collector.keep_records(true);
        if let Some((logger, cause)) = trouble(&collector, false) {
            anyhow::bail!("logger `{logger}`: {cause}; nothing was replayed");
        }
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
        Ok(Self {
            plan,
            state,
            switch,
            collector,
            names,
            recording: Recording::of(&plan.loggers),
            numbers,
            owners: Owners::new(plan),
            first_ns,
            latest_us: now.wall_us,
            last_sweep_us: 0,
            quiet_left: QUIET_WINDOWS_MAX,
            elapsed_ms: 0,
            now,
            summary: Summary::default(),
            outbox: Outbox::default(),
        })
    }

    /// Replays a frame; `owner` is the port whose capture it is from, by its place in the plan.
    pub(super) fn frame(
        &mut self,
        owner: Option<usize>,
        captured: &Captured,
        seen: &mut impl FnMut(&Closed),
    ) {
        self.advance(captured.time_ns / 1_000, seen);
        let (mut bytes, kept) = (whole(captured), captured.frame.len());
        let headers = Headers::parse(&bytes, Offload::default());
        let sender = match &headers {
            Ok(headers) => self.owners.sender(owner, captured.macs, headers),
            Err(Runt) => owner.map_or(Sender::Unknown, Sender::Port),
        };
        if sender == Sender::Other {
            self.summary.received += 1;
            return;
        }
        let Ok(headers) = headers else {
            self.summary.runts += 1;
            if let Sender::Port(place) = sender
                && let Some(&rx) = self.numbers.get(place)
            {
                self.switch.count_runt(rx);
            }
            return;
        };
        if !has_all_headers(&bytes, &headers, kept) {
            self.summary.cut += 1;
            return;
        }
        let mut mtu = u16::MAX;
        if let Sender::Port(place) = sender {
            mtu = self.plan.ports[place].tap.mtu;
            self.owners
                .address(place, captured.macs, &headers, &mut bytes);
        }
        let offload = Offload {
            data_valid: kept < bytes.len(),
            ..captured_offload(&bytes, mtu)
        };
        let vnet = build::vnet_header(&bytes, offload);
        let frame = Frame::parse(&vnet, &bytes).expect("an Ethernet header was read above");
        match sender {
            Sender::Port(place) => {
                if let Some(&rx) = self.numbers.get(place) {
                    self.forward(rx, &frame);
                }
            }
            _ => self.observe_unknown(&frame, captured.macs),
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

    /// A frame of no port: one record, `unknown`, if it is of a kind that is recorded.
    fn observe_unknown(&mut self, frame: &Frame<'_>, macs: Macs) {
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
        let window = self.switch.window();
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
        let eth = &frame.headers.eth;
        let observation = Observation {
            port: NO_PORT,
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
            macs: (macs == Macs::Both).then_some([eth.src, eth.dst]),
            tally,
        };
        self.collector.observe(window, &self.names, &observation);
    }

    /// Moves the clock to a frame's time, through each window that nothing was captured in: all that end
    /// on the way are closed, as a daemon would have closed them. A pause that is too long for that is
    /// skipped as a whole and counted.
    fn advance(&mut self, wall_us: u64, seen: &mut impl FnMut(&Closed)) {
        let length_us = u64::from(self.switch.window().length_s) * 1_000_000;
        let after = |moment_us: u64| (moment_us / length_us + 1) * length_us;
        let quiet = (wall_us / length_us).saturating_sub(self.latest_us / length_us + 1);
        if quiet > self.quiet_left {
            self.summary.unfilled += quiet;
        } else {
            self.quiet_left -= quiet;
            while after(self.latest_us) < wall_us / length_us * length_us {
                self.step(after(self.latest_us), seen);
            }
        }
        self.step(wall_us, seen);
    }

    fn step(&mut self, wall_us: u64, seen: &mut impl FnMut(&Closed)) {
        let since_first_ms = wall_us.saturating_sub(self.first_ns / 1_000) / 1_000;
        while since_first_ms.saturating_sub(self.elapsed_ms) > CLOCK_STEP_MS {
            // Within the open window: what ends in a pause is of the time before it.
            self.elapsed_ms += CLOCK_STEP_MS;
            self.now.ms = self.elapsed_ms as u32;
            self.sweep(seen);
        }
        self.elapsed_ms = self.elapsed_ms.max(since_first_ms);
        self.now = Now {
            ms: self.elapsed_ms as u32,
            wall_us,
        };
        self.latest_us = self.latest_us.max(wall_us);
        self.switch.enter(self.now);
        if wall_us.abs_diff(self.last_sweep_us) >= SWEEP_EVERY_US {
            self.last_sweep_us = wall_us;
            self.sweep(seen);
        }
    }

    /// A whole round over all connections.
    fn sweep(&mut self, seen: &mut impl FnMut(&Closed)) {
        while self.switch.sweep(self.now) {}
        self.hand_over(seen);
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

    /// Waits until the stores have everything, or one of them refuses, or [`PATIENCE`] is over; the logger
    /// whose store has not, and why.
    fn await_stores(&self) -> Option<(Arc<str>, String)> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let is_over = Instant::now() >= deadline;
            let trouble = trouble(&self.collector, is_over);
            let mut loggers = self.collector.status().into_iter();
            let waits = loggers.any(|logger| logger.backlog.files > 0);
            if trouble.is_some() || is_over || !waits {
                return trouble;
            }
            std::thread::sleep(LOOK);
        }
    }

    /// Closes what is open and waits for the stores.
    ///
    /// # Errors
    /// What a store did not take, and why.
    pub(super) fn finish(mut self, seen: &mut impl FnMut(&Closed)) -> anyhow::Result<Summary> {
        self.switch.audit_begin();
        self.summary.audit = self.switch.audit_finish();
        self.switch.flush(self.now);
        self.hand_over(seen);
        let window = self.switch.window();
        let closed = self.collector.finish(window, &self.names, &[]);
        self.note(closed, seen);
        let trouble = self.await_stores();
        let patience = match trouble {
            Some(_) => Duration::ZERO,
            None => PATIENCE,
        };
        let waiting = self.collector.shut(patience);
        if waiting > 0 {
            let cause = match trouble {
                Some((logger, cause)) => format!("logger `{logger}`: {cause}"),
                None => "the store was too slow".to_owned(),
            };
            anyhow::bail!("{waiting} files {}: {cause}", self.state.outlook());
        }
        Ok(self.summary)
    }
}

/// The first logger whose store takes nothing, and why; of those that are merely busy, which may take it
/// the next time they are asked, only if `busy_too`.
fn trouble(collector: &Collector, busy_too: bool) -> Option<(Arc<str>, String)> {
    let mut loggers = collector.status().into_iter();
    loggers.find_map(|logger| match (logger.cause, logger.store) {
        (None, _) => None,
        (Some(_), Some(Cause::Busy)) if !busy_too => None,
        (Some(cause), _) => Some((logger.name, cause)),
    })
}

/// The frame at its length on the wire: what the capture cut off is made up with zeros.
fn whole(captured: &Captured) -> Vec<u8> {
    let mut bytes = captured.frame.clone();
    let wire_len = (captured.wire_len as usize).min(FRAME_MAX);
    if wire_len > bytes.len() {
        bytes.resize(wire_len, 0);
    }
    bytes
}
