//! Packets that are judged by connections: those of one, those that open one, and errors about one.

use crate::conntrack::{self, Advance, Connection, Conversation, Membership};
use crate::guard;
use crate::judge::{Act, Interpreter};
use crate::model::{Asked, Said, What, filters};
use crate::related::{self, Error};
use crate::seen::Seen;
use packet::{Basis, Direction, IpSpec, Mac, Reason};
use secgroup::PortId;

impl Interpreter {
    pub(crate) fn track(&mut self, from: PortId, to: PortId, seen: &Seen<'_>, ip: &IpSpec) -> Act {
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

    /// Whether TCP is held to its windows loosely between two ports: what a port says of its own counts in
    /// place of what holds for all, and of two the strict one.
    fn is_liberal(&self, from: PortId, to: PortId) -> bool {
        let own = |port| self.ports.get(&port).and_then(|port| port.tcp_be_liberal);
        match (own(from), own(to)) {
            (Some(one), Some(other)) => one && other,
            (Some(own), None) | (None, Some(own)) => own,
            (None, None) => self.config.settings.tcp_be_liberal,
        }
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
        let liberal = self.is_liberal(from, to);
        let (progress, lives_on) = match connection.advance(me, seen, ip, self.now_ms, liberal) {
            // A guest that answered another copy of a flood has moved: its connection is not this one.
            Advance::Invalid if !connection.is_tentative() => {
                if !self.is_copy && connection.judged_in != Some(self.reloads) {
                    let sides = self.sides(&of, &connection, me, (seen.src, seen.dst));
                    self.end_if_revoked(&of, sides);
                }
                return self.refuse(from, to, Reason::CtInvalid);
            }
            Advance::Reopens | Advance::Invalid => {
                let anew = if me == 0 { of } else { of.reversed() };
                return self.open(anew, (from, to), seen, ip);
            }
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
        // A copy that its sender's side refuses says nothing of the connection.
        let is_refused_copy = self.is_copy && act.egress.is_some_and(|said| !said.accepts());
        let says_nothing = is_refused_copy || self.is_copy && connection.is_tentative();
        if !says_nothing && connection.judged_in != Some(self.reloads) {
            self.end_if_revoked(&of, sides);
        }
        if let Some(connection) = self.connections.get_mut(&of) {
            if !says_nothing {
                (connection.sides, connection.judged_in) = (sides, Some(self.reloads));
            }
            if act.passes() {
                connection.progress = progress;
                if lives_on {
                    connection.ends_ms = self.now_ms + idle_ms;
                }
            }
        }
        act
    }

    /// What the rules allow no more ends soon.
    fn end_if_revoked(&mut self, of: &Conversation, sides: [Option<Said>; 2]) {
        let soon_ms = self.now_ms + u64::from(self.config.settings.timeouts.revoked) * 1000;
        let is_refused = |side: &Option<Said>| side.is_none_or(|said| !said.accepts());
        if let Some(connection) = self.connections.get_mut(of)
            && sides.iter().any(is_refused)
        {
            connection.ends_ms = connection.ends_ms.min(soon_ms);
        }
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
            egress = Some(self.side(from, Direction::Egress, seen, from));
        }
        if self.is_stateless(to) {
            ingress = Some(self.side(to, Direction::Ingress, seen, from));
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
