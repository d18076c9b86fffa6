//! The laboratory: a switch, a hand on its clock, and somebody who checks every step.
//!
//! ```text
//!   send ─▶ trace foretells ─▶ forward ─▶ deliveries settled ─▶ counters as foretold? ─▶ audit
//!                  └─▶ ledger: what the log must hold ──▶ rows(): does it?
//! ```

use crate::ledger::{Ledger, left_out};
use crate::setup::Setup;
use crate::waiting::{Freed, Waiting};
use crate::words;
use flowlog::{NotRecorded, Window};
use packet::{Direction, Headers, Offload, VNET_HDR_LEN, Verdict, build};
use secgroup::{PortId, RuleTable};
use std::collections::BTreeMap;
use vswitch::switch::{
    ConnectionView, Fate, Frame, Now, Observer, Outbox, PortCounters, Prepared, Stage, Step, Switch,
};

/// 2026-01-01T00:00:00Z, the start of an interval of any length.
pub(crate) const NEW_YEAR_S: u64 = 1_767_225_600;

/// A switch under observation.
pub(crate) struct Lab {
    pub(crate) switch: Switch,
    pub(crate) setup: Setup,
    pub(crate) now: Now,
    pub(crate) rules: RuleTable,
    /// Every port that ever was.
    names: BTreeMap<PortId, String>,
    pub(crate) foretold: Ledger,
    pub(crate) logged: Ledger,
    /// What the chunks that close a window said of packets that no record holds.
    pub(crate) told_skipped: BTreeMap<PortId, u64>,
    /// The skipped packets of each port when the log was last read.
    pub(crate) skipped_before: BTreeMap<(PortId, bool, bool), u64>,
    /// Guests whose queues take nothing.
    pub(crate) full: Vec<&'static str>,
    /// Fragments that wait for their first.
    pub(crate) waiting: Vec<Waiting>,
    /// The window that was open when the switch last was looked at.
    pub(crate) last_window: Window,
}

/// What became of a packet.
#[derive(Debug, Clone)]
pub(crate) struct Sent {
    /// `A> rule, >B default_deny`; with `, nobody` where it was accepted and no port took it.
    pub(crate) fate: String,
    /// Who got it.
    pub(crate) got: Vec<String>,
    /// The frames that had waited for this one, and who got them.
    pub(crate) freed: Vec<(Vec<u8>, Vec<String>)>,
    pub(crate) steps: Vec<Step>,
    /// The stages that `trace` showed.
    pub(crate) stages: Vec<String>,
}

/// Writes down every stage.
struct Notes(Vec<String>);

impl Observer for Notes {
    fn see<'a>(&mut self, stage: impl FnOnce() -> Stage<'a>) {
        self.0.push(match stage() {
            Stage::Received { .. } => "received".into(),
            Stage::Admitted { .. } => "admitted".into(),
            Stage::Destined { destination } => format!("{destination:?}"),
            Stage::Decided { .. } => "decided".into(),
            other => format!("{other:?}"),
        });
    }
}

impl Lab {
    pub(crate) fn new(setup: Setup) -> Self {
        Self::at(
            setup,
            Now {
                ms: 5_000,
                wall_us: NEW_YEAR_S * 1_000_000,
            },
        )
    }

    pub(crate) fn at(setup: Setup, now: Now) -> Self {
        let length_s = setup.config.window_length_s;
        let mut lab = Self {
            switch: Switch::new(now, 7, setup.connections_max, length_s),
            setup: setup.clone(),
            now,
            rules: RuleTable::default(),
            names: BTreeMap::new(),
            foretold: Ledger::default(),
            logged: Ledger::default(),
            told_skipped: BTreeMap::new(),
            skipped_before: BTreeMap::new(),
            full: Vec::new(),
            waiting: Vec::new(),
            last_window: Window::of(now.wall_us / 1_000_000, length_s),
        };
        lab.reload(|_| setup);
        lab
    }

    /// Another configuration, made from the present one.
    pub(crate) fn reload(&mut self, change: impl FnOnce(Setup) -> Setup) {
        self.setup = change(self.setup.clone());
        let prepared = Prepared::new(self.setup.config.clone(), &mut self.rules).unwrap();
        self.switch.apply(self.now, prepared).unwrap();
        self.note_timeouts();
        for port in self.switch.ports() {
            self.names.insert(port.number(), port.config.name.clone());
        }
        self.check_audit();
    }

    /// Another set of rules for a group.
    pub(crate) fn group(&mut self, name: &str, rules: &str) {
        self.reload(|setup| setup.group(name, rules));
    }

    /// Time passes, and nobody looks: what is over must be found so when it is touched.
    pub(crate) fn wait(&mut self, ms: u64) {
        self.now.ms = self.now.ms.wrapping_add(ms as u32);
        self.now.wall_us += ms * 1000;
    }

    /// Time passes, and the sweep goes its rounds.
    pub(crate) fn tick(&mut self, ms: u64) {
        self.wait(ms);
        self.sweep();
        self.fetch();
        self.check_audit();
    }

    /// The sweep goes the rounds that are due.
    pub(crate) fn sweep(&mut self) {
        self.switch.enter(self.now);
        self.look();
        while self.switch.sweep(self.now) {}
        self.look();
    }

    /// Sends the packet that `text` describes.
    pub(crate) fn send(&mut self, from: &str, text: &str) -> Sent {
        let frame = words::frame(&self.setup, from, text);
        self.send_frame(from, &frame)
    }

    /// The bytes of a packet.
    pub(crate) fn frame(&self, from: &str, text: &str) -> Vec<u8> {
        words::frame(&self.setup, from, text)
    }

    pub(crate) fn send_frame(&mut self, from: &str, frame: &[u8]) -> Sent {
        self.send_raw(from, &[0; VNET_HDR_LEN], frame)
    }

    /// As a guest's kernel leaves it to a device.
    pub(crate) fn send_offload(&mut self, from: &str, offload: Offload, frame: &[u8]) -> Sent {
        self.send_raw(from, &build::vnet_header(frame, offload), frame)
    }

    /// Sends, and expects this fate.
    #[track_caller]
    pub(crate) fn sees(&mut self, from: &str, text: &str, fate: &str) {
        let sent = self.send(from, text);
        assert_eq!(sent.fate, fate, "{from} sends {text}; {:#?}", sent.stages);
    }

    /// Several packets and their fates, one after the other.
    #[track_caller]
    pub(crate) fn all_see(&mut self, packets: &[(&str, &str, &str)]) {
        for (from, text, fate) in packets {
            self.sees(from, text, fate);
        }
    }

    /// Sends one frame, and holds what happens against what `trace` has said before.
    pub(crate) fn send_raw(&mut self, from: &str, vnet: &[u8; VNET_HDR_LEN], bytes: &[u8]) -> Sent {
        let rx = self.number(from);
        self.switch.enter(self.now);
        self.look();
        let mut counters = self.counters();
        let Ok(frame) = Frame::parse(vnet, bytes) else {
            self.switch.count_runt(rx);
            self.check_audit();
            return Sent {
                fate: format!("{from}> runt"),
                got: Vec::new(),
                freed: Vec::new(),
                steps: Vec::new(),
                stages: Vec::new(),
            };
        };
        let mut notes = Notes(Vec::new());
        let steps = self.switch.trace(self.now, rx, &frame, &mut notes);
        let window = self.window();
        let mut outbox = Outbox::default();
        self.switch.forward(self.now, rx, &frame, &mut outbox);

        let mut foretold = Vec::new();
        for step in &steps {
            let to = receiver(step);
            self.foretold.foresee(
                self.setup.config.recording.everything,
                window,
                rx,
                &frame.headers,
                to,
                step,
            );
            foretold.extend(self.foretell(&mut counters, rx, &frame.headers, to, step));
        }
        if let [
            Step {
                fate: Fate::Flood, ..
            },
        ] = steps[..]
            && steps[0].is_accept()
        {
            // A flood without anybody to receive it.
            counters.entry(rx).or_default().no_port += u64::from(frame.headers.wire.packets);
        }
        assert_eq!(
            outbox.receivers, foretold,
            "trace and forward agree on who gets it: {steps:#?}"
        );
        let whole = [vnet.as_slice(), bytes].concat();
        let freed = self.foretell_waiting(&mut counters, rx, &whole, &steps);
        let released = outbox.released.iter();
        let released: Vec<Freed> = released
            .map(|held| (held.whole.to_vec(), held.to.clone()))
            .collect();
        assert_eq!(released, freed, "who gets what has waited: {steps:#?}");
        let packets = u64::from(frame.headers.wire.packets);
        let now = outbox.receivers.iter().map(|&to| (to, packets));
        let after = released.iter().flat_map(|(_, to)| to).map(|&to| (to, 1));
        for (to, packets) in now.chain(after) {
            let lost = self.full.contains(&self.name(to));
            let (delivered, lost) = if lost { (0, packets) } else { (packets, 0) };
            self.switch.settle(to, delivered, lost);
            let counted = counters.entry(to).or_default();
            counted.delivered += delivered;
            counted.tx_lost += lost;
        }
        self.check_counters(&counters);
        self.check_audit();
        let names = |ports: &[PortId]| ports.iter().map(|to| self.name(*to).to_owned()).collect();
        Sent {
            fate: self.fate(rx, &steps),
            got: names(&outbox.receivers),
            freed: released
                .into_iter()
                .map(|(whole, to)| (whole[VNET_HDR_LEN..].to_vec(), names(&to)))
                .collect(),
            steps,
            stages: notes.0,
        }
    }

    /// What a step does to the ports' counters; returns who gets the packet.
    pub(crate) fn foretell(
        &self,
        counters: &mut BTreeMap<PortId, PortCounters>,
        rx: PortId,
        headers: &Headers,
        to: Option<PortId>,
        step: &Step,
    ) -> Option<PortId> {
        let (packets, bytes) = (
            u64::from(headers.wire.packets),
            u64::from(headers.wire.bytes),
        );
        let everything = self.setup.config.recording.everything;
        let mut count = |port: PortId, direction, verdict: Verdict| {
            let counted = counters.entry(port).or_default();
            counted.count_refusal(verdict, packets);
            if let Some(kind) = left_out(headers, everything) {
                counted.not_recorded[kind as usize].add(direction, verdict.is_accept(), packets);
            }
        };
        if let Some(judged) = step.egress {
            count(rx, Direction::Egress, judged.verdict);
        }
        if let (Some(judged), Some(to)) = (step.ingress, to) {
            count(to, Direction::Ingress, judged.verdict);
        }
        if let Some(judged) = step.egress {
            let sender = counters.entry(rx).or_default();
            sender.rx += packets;
            sender.rx_bytes += bytes;
            if step.fate == Fate::Nowhere && judged.verdict.is_accept() {
                sender.no_port += packets;
            }
        }
        let to = to.filter(|_| step.ingress.is_some())?;
        let receiver = counters.entry(to).or_default();
        receiver.offered += packets;
        if !step.is_accept() {
            return None;
        }
        if !self.switch.port(to).is_some_and(|port| port.up) {
            receiver.tx_lost += packets;
            return None;
        }
        receiver.tx_bytes += bytes;
        Some(to)
    }

    pub(crate) fn counters(&self) -> BTreeMap<PortId, PortCounters> {
        self.switch
            .ports()
            .map(|port| (port.number(), port.counters))
            .collect()
    }

    /// All but what goes into the log, which [`Self::rows`] checks.
    fn check_counters(&self, foretold: &BTreeMap<PortId, PortCounters>) {
        for (number, mut counted) in self.counters() {
            let expected = &foretold[&number];
            (counted.logged, counted.skipped) = (expected.logged, expected.skipped);
            assert_eq!(counted, *expected, "counters of {}", self.name(number));
        }
    }

    /// The conservation identity of SPEC section 5.4.
    pub(crate) fn check_audit(&mut self) {
        self.switch.audit_begin();
        let audit = self.switch.audit_finish();
        assert!(audit.holds(), "{audit:#?}");
    }

    /// The window that is open.
    pub(crate) fn window(&self) -> Window {
        let end_us = self.now.wall_us + self.switch.until_window_end_us(self.now);
        let length_s = self.setup.config.window_length_s;
        Window {
            start_s: end_us / 1_000_000 - u64::from(length_s),
            length_s,
        }
    }

    pub(crate) fn number(&self, name: &str) -> PortId {
        let found = self.switch.ports().find(|port| port.config.name == name);
        found
            .unwrap_or_else(|| panic!("there is no port {name}"))
            .number()
    }

    pub(crate) fn name(&self, port: PortId) -> &str {
        self.names.get(&port).map_or("?", String::as_str)
    }

    /// Refusals told at a port.
    pub(crate) fn refused(&self, port: &str, reason: packet::Reason) -> u64 {
        self.of(port).refused[reason as usize]
    }

    /// Packets of a kind that is not recorded, both directions and verdicts.
    pub(crate) fn not_recorded(&self, port: &str, kind: NotRecorded) -> u64 {
        let counted = self.of(port).not_recorded[kind as usize];
        counted.both(Direction::Egress) + counted.both(Direction::Ingress)
    }

    /// Everything counted at a port.
    pub(crate) fn of(&self, port: &str) -> PortCounters {
        self.switch.port(self.number(port)).unwrap().counters
    }

    /// Live connections.
    pub(crate) fn connections(&self) -> Vec<ConnectionView> {
        let mut views = Vec::new();
        let mut from = 0;
        while self
            .switch
            .connections_in(from..from + 4096, self.now.ms, &mut views)
            .is_some()
        {
            from += 4096;
        }
        views
    }

    fn fate(&self, rx: PortId, steps: &[Step]) -> String {
        let mut parts = Vec::new();
        for step in steps {
            if let Some(judged) = step.egress {
                parts.push(format!("{}> {}", self.name(rx), judged.verdict.why()));
            }
            if let (Some(judged), Some(to)) = (step.ingress, receiver(step)) {
                parts.push(format!(">{} {}", self.name(to), judged.verdict.why()));
            }
            if step.fate == Fate::Held {
                parts.push("held".to_owned());
            }
            if step.fate == Fate::Nowhere && step.is_accept() {
                parts.push("nobody".to_owned());
            }
        }
        parts.join(", ")
    }
}

pub(crate) fn receiver(step: &Step) -> Option<PortId> {
    match step.fate {
        Fate::To(to) => Some(to),
        Fate::Flood | Fate::Nowhere | Fate::Held => None,
    }
}
