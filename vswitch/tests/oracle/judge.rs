//! The interpreter: what has to become of a packet, top to bottom, by SPEC and reference alone.
//!
//! Slow and obvious. Rules are walked one by one, connections lie in a map, nothing is compiled and
//! nothing remembered that could be asked again, but for what the contract says is remembered: what a
//! connection's sides said when a packet of it was last seen after a reload.

use crate::conntrack::{Connection, Conversation};
use crate::coverage::Coverage;
use crate::guard;
use crate::ledger::Ledger;
use crate::model::{self, Asked, Ports, Said, filters, is_stateless};
use crate::places::{Places, Way};
use crate::seen::Seen;
use packet::{Basis, Direction, Mac, Reason};
use secgroup::PortId;
use std::collections::HashMap;
use vswitch::switch::{PortConfig, SwitchConfig};

/// Where a packet goes, before both sides have spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Goes {
    To(PortId),
    Everywhere,
    Nowhere,
}

/// What has to become of a packet, or of one copy of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Act {
    pub(crate) goes: Goes,
    pub(crate) egress: Option<Said>,
    pub(crate) ingress: Option<Said>,
    /// It opens a connection.
    pub(crate) opens: bool,
}

/// The interpreter's whole state.
#[derive(Debug)]
pub(crate) struct Interpreter {
    pub(crate) config: SwitchConfig,
    pub(crate) ports: Ports,
    next_port: u16,
    pub(crate) down: Vec<PortId>,
    pub(crate) places: Places,
    pub(crate) connections: HashMap<Conversation, Connection>,
    pub(crate) reloads: u64,
    pub(crate) ledger: Ledger,
    pub(crate) coverage: Coverage,
    pub(crate) now_ms: u64,
    last_round_ms: u64,
    /// One of several copies is being judged.
    pub(crate) is_copy: bool,
}

/// Between two rounds of the sweep.
const ROUND_MS: u64 = 1_000;
/// How many seconds before its start a window still takes packets.
const EARLY_S: u64 = 2;

/// Whether a port's own MACs are others, or it learns MACs now, or does no more.
fn has_other_macs(old: &PortConfig, new: &PortConfig) -> bool {
    let macs = |port: &PortConfig| {
        let pairs = port.spec.allowed_address_pairs.iter();
        let mut macs: Vec<Mac> = pairs.filter_map(|pair| pair.mac).collect();
        macs.retain(|mac| *mac != port.spec.mac);
        macs.sort_unstable();
        macs.dedup();
        (port.spec.mac, macs)
    };
    macs(old) != macs(new) || filters(old) != filters(new)
}

impl Act {
    pub(crate) const fn new(egress: Option<Said>, ingress: Option<Said>) -> Self {
        Self {
            goes: Goes::Nowhere,
            egress,
            ingress,
            opens: false,
        }
    }

    pub(crate) fn passes(&self) -> bool {
        self.egress.is_none_or(|said| said.accepts())
            && self.ingress.is_none_or(|said| said.accepts())
    }
}

impl Interpreter {
    pub(crate) fn new(config: SwitchConfig, now_ms: u64) -> Self {
        let mut interpreter = Self {
            config: config.clone(),
            ports: Ports::new(),
            next_port: 0,
            down: Vec::new(),
            places: Places::default(),
            connections: HashMap::new(),
            reloads: 0,
            ledger: Ledger::default(),
            coverage: Coverage::default(),
            now_ms,
            last_round_ms: 0,
            is_copy: false,
        };
        interpreter.reload(config);
        interpreter
    }

    /// Another configuration. Ports that stay keep their number; a number is never given again.
    pub(crate) fn reload(&mut self, config: SwitchConfig) {
        let before = std::mem::take(&mut self.ports);
        let mut changed: Vec<PortId> = Vec::new();
        for port in &config.ports {
            let known = before.iter().find(|(_, old)| old.id == port.id);
            let number = match known {
                Some((number, old)) => {
                    if has_other_macs(old, port) {
                        changed.push(*number);
                    }
                    *number
                }
                None => {
                    self.next_port += 1;
                    changed.push(PortId(self.next_port - 1));
                    PortId(self.next_port - 1)
                }
            };
            self.ports.insert(number, port.clone());
        }
        changed.extend(
            before
                .keys()
                .filter(|number| !self.ports.contains_key(number)),
        );
        self.places.settle(&self.ports, &changed);
        let ports = &self.ports;
        self.ledger
            .counters
            .retain(|number, _| ports.contains_key(number));
        self.ledger.everything = config.recording.everything;
        self.down.retain(|number| ports.contains_key(number));
        self.config = config;
        self.reloads += 1;
    }

    /// A batch begins at this second of the wall clock; whether a window was closed.
    pub(crate) fn enter(&mut self, wall_s: u64) -> bool {
        let (start, length) = (self.ledger.window_s, u64::from(self.config.window_length_s));
        let is_over = wall_s >= start + length || wall_s + EARLY_S < start;
        if is_over {
            self.ledger.window_s = wall_s - wall_s % length;
            self.round();
        }
        is_over
    }

    /// The sweep is asked to go its rounds, and does if the last one was long enough ago.
    pub(crate) fn sweep(&mut self) {
        if self.now_ms - self.last_round_ms >= ROUND_MS {
            self.round();
        }
    }

    /// What is over is taken away.
    pub(crate) fn round(&mut self) {
        let (now_ms, ports) = (self.now_ms, &self.ports);
        self.connections.retain(|conversation, connection| {
            let is_there = |port| ports.contains_key(&port);
            let owns_its_address = || {
                let opener = &ports[&conversation.from.port];
                !filters(opener) || guard::owns(opener, None, conversation.from.address)
            };
            connection.ends_ms > now_ms
                && is_there(conversation.from.port)
                && is_there(conversation.to.port)
                && owns_its_address()
        });
        self.places.forget_old(now_ms);
        self.last_round_ms = now_ms;
    }

    /// A port sends a packet: everything that has to become of it, and who gets it.
    pub(crate) fn send(&mut self, from: PortId, seen: &Seen<'_>) -> (Vec<Act>, Vec<PortId>) {
        if let Err(reason) = guard::admit(&self.ports[&from], seen) {
            let act = Act::new(Some(Said::refuse(reason)), None);
            self.write_down(from, seen, &act);
            return (vec![act], Vec::new());
        }
        let way = self.places.way(&self.ports, from, seen.dst);
        let (goes, to) = match &way {
            Way::To(to) => (Goes::To(*to), Some(*to)),
            Way::Flood(_) => (Goes::Everywhere, None),
            Way::Nowhere => (Goes::Nowhere, None),
        };
        let mut act = self.judge(from, to, seen);
        act.goes = goes;
        if let (Way::Flood(copies), false) = (&way, seen.dst.is_group())
            && let Some(egress) = self.towards_unknown(from, copies, seen)
        {
            act.egress = Some(egress);
        }
        self.write_down(from, seen, &act);
        if !filters(&self.ports[&from]) || act.egress.is_some_and(|said| said.accepts()) {
            self.places.hear(&self.ports, from, seen.src, self.now_ms);
        }
        let mut acts = vec![act];
        if let (Way::Flood(copies), true) = (way, act.passes()) {
            if copies.is_empty() {
                self.counters(from).no_port += seen.packets;
            }
            for to in copies {
                let copy = self.copy(from, to, seen);
                self.write_down(from, seen, &copy);
                acts.push(copy);
            }
        }
        let mut got = Vec::new();
        for act in &acts {
            if let (Goes::To(to), Some(_), true) = (act.goes, act.ingress, act.passes()) {
                self.deliver(to, seen, &mut got);
            }
        }
        (acts, got)
    }

    /// The sender's side of unknown unicast: what one of the copies may leave by, all leave by. What arrives
    /// nowhere does not leave without room. `None` where there is no state to ask.
    fn towards_unknown(
        &mut self,
        from: PortId,
        copies: &[PortId],
        seen: &Seen<'_>,
    ) -> Option<Said> {
        if !filters(&self.ports[&from]) || copies.iter().any(|to| !self.is_tracked(from, *to, seen))
        {
            return None;
        }
        let mut acts: Vec<Act> = Vec::new();
        for to in copies {
            // Only asked: nothing of it happens.
            let (connections, coverage) = (self.connections.clone(), self.coverage.clone());
            acts.push(self.judge(from, Some(*to), seen));
            (self.connections, self.coverage) = (connections, coverage);
        }
        if let Some(passes) = acts.iter().find(|act| act.passes()) {
            return passes.egress;
        }
        let said = || acts.iter().filter_map(|act| act.egress);
        let refused = said().find(|said| !said.accepts());
        if said().any(|said| said == Said::refuse(Reason::CtFull)) {
            return refused;
        }
        said().find(Said::accepts).or(refused)
    }

    /// One copy of a flood: the sender's side was reported once, so what refuses the copy there is reported
    /// here, and by a port without port security not at all.
    fn copy(&mut self, from: PortId, to: PortId, seen: &Seen<'_>) -> Act {
        self.is_copy = true;
        let mut copy = self.judge(from, Some(to), seen);
        self.is_copy = false;
        if let Some(refused) = copy.egress.take().filter(|said| !said.accepts()) {
            copy.ingress = Some(if filters(&self.ports[&to]) {
                refused
            } else {
                guard::receive(&self.ports[&to], seen)
                    .map_or_else(Said::refuse, |()| Said::accept(Basis::Unfiltered))
            });
        }
        let denied = Some(Said::refuse(Reason::DefaultDeny));
        if copy.ingress == denied && guard::is_announcement(seen) {
            copy.ingress = None;
        }
        copy.goes = Goes::To(to);
        copy
    }

    fn deliver(&mut self, to: PortId, seen: &Seen<'_>, got: &mut Vec<PortId>) {
        let is_down = self.down.contains(&to);
        let counters = self.counters(to);
        if is_down {
            counters.tx_lost += seen.packets;
        } else {
            counters.tx_bytes += seen.bytes;
            counters.delivered += seen.packets;
            got.push(to);
        }
    }

    fn counters(&mut self, port: PortId) -> &mut vswitch::switch::PortCounters {
        self.ledger.counters.entry(port).or_default()
    }

    /// Log and counters.
    fn write_down(&mut self, from: PortId, seen: &Seen<'_>, act: &Act) {
        if let Some(said) = act.egress {
            let counters = self.counters(from);
            counters.rx += seen.packets;
            counters.rx_bytes += seen.bytes;
            if act.goes == Goes::Nowhere && said.accepts() {
                counters.no_port += seen.packets;
            }
            self.coverage.said(said.verdict);
            self.ledger.judged(from, false, said, seen, act.opens);
        }
        if let (Some(said), Goes::To(to)) = (act.ingress, act.goes) {
            self.counters(to).offered += seen.packets;
            self.coverage.said(said.verdict);
            self.ledger.judged(to, true, said, seen, act.opens);
        }
    }

    fn judge(&mut self, from: PortId, to: Option<PortId>, seen: &Seen<'_>) -> Act {
        match (seen.ip(), to) {
            (Some(ip), Some(to)) if self.is_tracked(from, to, seen) => {
                self.track(from, to, seen, ip)
            }
            _ => self.alone(from, to, seen),
        }
    }

    fn is_tracked(&self, from: PortId, to: PortId, seen: &Seen<'_>) -> bool {
        let keeps_state = |port| filters(&self.ports[&port]) && !self.is_stateless(port);
        (keeps_state(from) || keeps_state(to)) && !guard::is_untracked(seen, &self.ports[&to])
    }

    pub(crate) fn is_stateless(&self, port: PortId) -> bool {
        is_stateless(&self.ports[&port], &self.config.model)
    }

    /// Each side by itself: essentials, then rules.
    pub(crate) fn alone(&self, from: PortId, to: Option<PortId>, seen: &Seen<'_>) -> Act {
        let egress = self.side(from, Direction::Egress, seen, from);
        let ingress = to.filter(|_| egress.accepts()).map(|to| {
            match guard::receive(&self.ports[&to], seen) {
                Ok(()) => self.side(to, Direction::Ingress, seen, from),
                Err(reason) => Said::refuse(reason),
            }
        });
        Act::new(Some(egress), ingress)
    }

    /// One side of a packet without state.
    pub(crate) fn side(
        &self,
        at: PortId,
        direction: Direction,
        seen: &Seen<'_>,
        from: PortId,
    ) -> Said {
        let port = &self.ports[&at];
        if !filters(port) {
            return Said::accept(Basis::Unfiltered);
        }
        match (
            guard::essential(port, direction, seen, &self.ports[&from]),
            seen.ip(),
        ) {
            (Some(Ok(())), _) | (None, None) => Said::accept(Basis::Essential),
            (Some(Err(reason)), _) => Said::refuse(reason),
            (None, Some(ip)) => self.rules(at, direction, &Asked::by(seen, ip, direction)),
        }
    }

    pub(crate) fn rules(&self, at: PortId, direction: Direction, asked: &Asked) -> Said {
        model::judge(
            &self.config.model,
            &self.ports,
            &self.ports[&at],
            direction,
            asked,
        )
    }

    /// Refused at the first port that filters.
    pub(crate) fn refuse(&self, from: PortId, to: PortId, reason: Reason) -> Act {
        let [from, to] = [from, to].map(|port| filters(&self.ports[&port]));
        if from || !to {
            Act::new(Some(Said::refuse(reason)), None)
        } else {
            Act::new(
                Some(Said::accept(Basis::Unfiltered)),
                Some(Said::refuse(reason)),
            )
        }
    }
}
