//! The interpreter: what has to become of a packet, top to bottom, by SPEC and reference alone.
//!
//! Slow and obvious. Rules are walked one by one, connections lie in a map, nothing is compiled and
//! nothing remembered that could be asked again, but for what the contract says is remembered: what a
//! connection's sides said when a packet of it was last seen after a reload.

use crate::conntrack::{self, Advance, Connection, Conversation, Membership};
use crate::coverage::Coverage;
use crate::guard;
use crate::ledger::Ledger;
use crate::model::{self, Asked, Ports, Said, What, filters, is_stateless};
use crate::places::{Places, Way};
use crate::related::{self, Error};
use crate::seen::Seen;
use packet::{Basis, Direction, IpSpec, Mac, Reason};
use secgroup::PortId;
use std::collections::HashMap;
use vswitch::switch::SwitchConfig;

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
    reloads: u64,
    pub(crate) ledger: Ledger,
    pub(crate) coverage: Coverage,
    pub(crate) now_ms: u64,
    last_round_ms: u64,
    /// One of several copies is being judged.
    is_copy: bool,
}

/// Between two rounds of the sweep.
const ROUND_MS: u64 = 1_000;
/// How many seconds before its start a window still takes packets.
const EARLY_S: u64 = 2;

impl Act {
    const fn new(egress: Option<Said>, ingress: Option<Said>) -> Self {
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
                    if old.spec != port.spec {
                        changed.push(*number);
                    }
                    *number
                }
                None => {
                    self.next_port += 1;
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
            connection.ends_ms > now_ms
                && is_there(conversation.from.port)
                && is_there(conversation.to.port)
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

    /// One copy of a flood: the sender's side was told once, so what refuses the copy there is told here.
    fn copy(&mut self, from: PortId, to: PortId, seen: &Seen<'_>) -> Act {
        self.is_copy = true;
        let mut copy = self.judge(from, Some(to), seen);
        self.is_copy = false;
        if let Some(refused) = copy.egress.take().filter(|said| !said.accepts()) {
            copy.ingress = Some(refused);
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

    fn is_stateless(&self, port: PortId) -> bool {
        is_stateless(&self.ports[&port], &self.config.model)
    }

    /// Each side by itself: essentials, then rules.
    fn alone(&self, from: PortId, to: Option<PortId>, seen: &Seen<'_>) -> Act {
        let egress = self.side(from, Direction::Egress, seen, false);
        let ingress = to.filter(|_| egress.accepts()).map(|to| {
            match guard::receive(&self.ports[&to], seen) {
                Ok(()) => self.side(to, Direction::Ingress, seen, !filters(&self.ports[&from])),
                Err(reason) => Said::refuse(reason),
            }
        });
        Act::new(Some(egress), ingress)
    }

    /// One side of a packet without state.
    fn side(&self, at: PortId, direction: Direction, seen: &Seen<'_>, from_trusted: bool) -> Said {
        let port = &self.ports[&at];
        if !filters(port) {
            return Said::accept(Basis::Unfiltered);
        }
        match (
            guard::essential(port, direction, seen, from_trusted),
            seen.ip(),
        ) {
            (Some(Ok(())), _) | (None, None) => Said::accept(Basis::Essential),
            (Some(Err(reason)), _) => Said::refuse(reason),
            (None, Some(ip)) => self.rules(at, direction, &Asked::by(seen, ip, direction)),
        }
    }

    fn rules(&self, at: PortId, direction: Direction, asked: &Asked) -> Said {
        model::judge(
            &self.config.model,
            &self.ports,
            &self.ports[&at],
            direction,
            asked,
        )
    }

    /// Refused at the first port that filters.
    fn refuse(&self, from: PortId, to: PortId, reason: Reason) -> Act {
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

    fn track(&mut self, from: PortId, to: PortId, seen: &Seen<'_>, ip: &IpSpec) -> Act {
        if seen.is_cut {
            let reason = guard::receive(&self.ports[&to], seen).err();
            return self.refuse(from, to, reason.unwrap_or(Reason::Malformed));
        }
        if seen.bad_checksum {
            return self.refuse(from, to, Reason::CtInvalid);
        }
        if related::is_error(ip) {
            return self.related(from, to, seen, ip);
        }
        let membership = Membership::of(ip, from, to);
        let found = match membership.is_answer {
            Some(is_answer) => [
                Some((membership.conversation, usize::from(is_answer))),
                None,
            ],
            None => [
                Some((membership.conversation, 0)),
                Some((membership.conversation.reversed(), 1)),
            ],
        };
        let found = found
            .into_iter()
            .flatten()
            .find(|(conversation, _)| self.live(conversation).is_some());
        match found {
            Some((conversation, me)) => self.follow(conversation, me, (from, to), seen, ip),
            None => self.open(membership.conversation, (from, to), seen, ip),
        }
    }

    fn live(&self, conversation: &Conversation) -> Option<&Connection> {
        self.connections
            .get(conversation)
            .filter(|connection| connection.ends_ms > self.now_ms)
    }

    /// A packet of a connection, sent by its originator (0) or by the other side (1).
    fn follow(
        &mut self,
        of: Conversation,
        me: usize,
        (from, to): (PortId, PortId),
        seen: &Seen<'_>,
        ip: &IpSpec,
    ) -> Act {
        let Some(connection) = self.live(&of).cloned() else {
            return self.refuse(from, to, Reason::CtInvalid);
        };
        let (progress, lives_on) =
            match connection.advance(me, seen, ip, self.now_ms, &self.config.settings) {
                Advance::Reopens => {
                    let anew = if me == 0 { of } else { of.reversed() };
                    return self.open(anew, (from, to), seen, ip);
                }
                Advance::Invalid => return self.refuse(from, to, Reason::CtInvalid),
                Advance::Goes(progress) => (progress, true),
                Advance::Passes(progress) => (progress, false),
            };
        let sides = self.sides(&of, &connection, me, (seen.src, seen.dst));
        let mut act = self.by_sides(sides, me, (from, to), seen, Basis::Reply);
        self.receive(&mut act, to, seen);
        let idle_ms = progress.idle_ms(of.protocol, &self.config.settings.timeouts);
        if act.passes() {
            self.coverage.went(&connection.progress, &progress);
        }
        if let Some(connection) = self.connections.get_mut(&of) {
            (connection.sides, connection.judged_in) = (sides, Some(self.reloads));
            if act.passes() {
                connection.progress = progress;
                if lives_on {
                    connection.ends_ms = self.now_ms + idle_ms;
                }
            }
        }
        act
    }

    /// What the two sides of a connection say of its original direction, under the present rules; `macs` are
    /// those of a packet by `me`. Answered connections may outlive the rule that let them be.
    fn sides(
        &self,
        of: &Conversation,
        connection: &Connection,
        me: usize,
        macs: (Mac, Mac),
    ) -> [Option<Said>; 2] {
        let stand = connection
            .sides
            .iter()
            .all(|side| side.is_some_and(|said| said.accepts()));
        let may_stay =
            self.config.persist_established && connection.progress.is_answered() && stand;
        if connection.judged_in == Some(self.reloads) || may_stay {
            return connection.sides;
        }
        let [opener_mac, other_mac] = if me == 0 {
            [macs.0, macs.1]
        } else {
            [macs.1, macs.0]
        };
        let what = match of.query {
            Some((kind, _)) => What::Icmp(kind, 0),
            None if of.to.l4 == 0 => What::Nothing,
            None => What::Port(of.to.l4),
        };
        let ask = |at, direction, remote, remote_mac| {
            let asked = Asked {
                protocol: of.protocol,
                what,
                remote,
                remote_mac,
            };
            let said = self.rules(at, direction, &asked);
            if said.accepts() {
                said
            } else {
                Said::refuse(Reason::Revoked)
            }
        };
        let opener = &self.ports[&of.from.port];
        let egress = if filters(opener) && !guard::owns(opener, None, of.from.address) {
            Said::refuse(Reason::Revoked)
        } else {
            ask(of.from.port, Direction::Egress, of.to.address, other_mac)
        };
        let ingress = ask(of.to.port, Direction::Ingress, of.from.address, opener_mac);
        [Some(egress), Some(ingress)]
    }

    /// A packet of a connection by what its sides say: answers pass because the original direction may. A
    /// stateless port knows of no connection and asks its rules.
    fn by_sides(
        &self,
        sides: [Option<Said>; 2],
        me: usize,
        (from, to): (PortId, PortId),
        seen: &Seen<'_>,
        basis: Basis,
    ) -> Act {
        let because = |side: Option<Said>| match (me, basis) {
            (0, Basis::Reply) => side,
            _ => side.map(|said| said.because(basis)),
        };
        let [mut egress, mut ingress] = [because(sides[me]), because(sides[1 - me])];
        if self.is_stateless(from) {
            egress = Some(self.side(from, Direction::Egress, seen, false));
        }
        if self.is_stateless(to) {
            ingress = Some(self.side(to, Direction::Ingress, seen, !filters(&self.ports[&from])));
        }
        let is_sent = egress.is_none_or(|said| said.accepts());
        Act::new(egress, ingress.filter(|_| is_sent))
    }

    /// What the receiver cannot take it refuses, where nobody has before.
    fn receive(&self, act: &mut Act, to: PortId, seen: &Seen<'_>) {
        if let (true, Err(reason)) = (act.passes(), guard::receive(&self.ports[&to], seen)) {
            act.ingress = Some(Said::refuse(reason));
        }
    }

    /// A packet without a connection: both sides' rules, the sender's first.
    fn open(
        &mut self,
        conversation: Conversation,
        (from, to): (PortId, PortId),
        seen: &Seen<'_>,
        ip: &IpSpec,
    ) -> Act {
        let Some(progress) = conntrack::open(seen, ip, &self.config.settings) else {
            return self.refuse(from, to, Reason::CtInvalid);
        };
        let mut act = self.alone(from, Some(to), seen);
        if !act.passes() {
            return act;
        }
        if !self.has_room(&conversation, from) {
            return Act::new(Some(Said::refuse(Reason::CtFull)), None);
        }
        let is_copy = self.is_copy;
        let connection = Connection {
            progress,
            born_ms: self.now_ms,
            ends_ms: self.now_ms + progress.idle_ms(ip.protocol, &self.config.settings.timeouts),
            sides: [act.egress.filter(|_| !is_copy), act.ingress],
            judged_in: (!is_copy).then_some(self.reloads),
        };
        self.coverage.opened(&progress);
        for old in conversation.takes_the_place_of() {
            self.connections.remove(&old);
        }
        self.connections.insert(conversation, connection);
        act.opens = true;
        act
    }

    /// Whether the sender may open another connection, or takes the place of one.
    fn has_room(&self, conversation: &Conversation, from: PortId) -> bool {
        let replaced = conversation.takes_the_place_of();
        let mut replaced = replaced
            .iter()
            .filter(|old| self.connections.contains_key(old));
        let limit = self.ports[&from]
            .conntrack_limit
            .map_or(usize::MAX, |limit| limit as usize);
        let opened = self
            .connections
            .keys()
            .filter(|old| old.from.port == from)
            .count();
        replaced.any(|old| old.from.port == from) || opened < limit
    }

    /// An ICMP error passes as what it speaks of passes, and changes nothing there.
    fn related(&mut self, from: PortId, to: PortId, seen: &Seen<'_>, ip: &IpSpec) -> Act {
        let quoted = match related::read(seen, ip, from, to) {
            Error::Malformed => return self.refuse(from, to, Reason::Malformed),
            Error::Strange => return self.refuse(from, to, Reason::CtInvalid),
            Error::About(quoted) => quoted,
        };
        let mut candidates = related::candidates(quoted).into_iter().flatten();
        let Some((of, me)) = candidates.find(|(of, _)| self.live(of).is_some()) else {
            return self.refuse(from, to, Reason::CtInvalid);
        };
        let Some(connection) = self.live(&of) else {
            return self.refuse(from, to, Reason::CtInvalid);
        };
        let sides = self.sides(&of, connection, me, (seen.src, seen.dst));
        let mut act = self.by_sides(sides, me, (from, to), seen, Basis::Related);
        self.receive(&mut act, to, seen);
        act
    }
}
