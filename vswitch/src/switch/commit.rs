//! Carrying out a step: always count; change connection state only where both sides accepted.

use super::denied::Asked;
use super::entry::Address;
use super::fdb::Learned;
use super::port::Opened;
use super::step::{Fate, Judged, Room, Step, Tracked};
use super::{Attached, Frame, Now, Outbox, Switch, room};
use packet::Ip;
use secgroup::PortId;
use secgroup::conntrack::{
    self, Advance, Conn, Key, Side, Slot, TcpWindow, Timeouts, Way, idle_ms,
};
use std::net::IpAddr;

impl Switch {
    /// Counts a step at both ports, in the flow table and in the connection, and hands an accepted frame
    /// to the outbox.
    #[inline]
    pub(super) fn commit(
        &mut self,
        now: Now,
        rx: PortId,
        frame: &Frame<'_>,
        step: &Step,
        out: &mut Outbox,
    ) {
        let wire = frame.headers.wire;
        let receiver = match step.fate {
            Fate::To(to) => Some(to),
            Fate::Flood | Fate::Nowhere | Fate::Held => None,
        };
        self.commit_ports(now, rx, receiver, frame, step);
        self.note_refusals(rx, frame, step);
        let conn = match frame.headers.ip() {
            Some(ip) => self.commit_connection(now, rx, receiver, (frame, ip), step),
            None => None,
        };
        match flowlog::not_recorded(&frame.headers) {
            Some(kind) if !self.records_besides(frame, kind) => {
                self.count_not_recorded(rx, receiver, kind, wire, step);
            }
            _ => self.record(now, rx, receiver, frame, step, conn),
        }
        if let Some(to) = receiver.filter(|_| step.ingress.is_some() && step.is_accept())
            && let Some(port) = self.port_mut(to)
        {
            if port.up {
                port.counters.tx_bytes += u64::from(wire.bytes);
                out.receivers.push(to);
            } else {
                port.counters.tx_lost += u64::from(wire.packets);
            }
        }
    }

    /// The ports' own counters, and what a port without port security teaches the FDB.
    #[inline]
    fn commit_ports(
        &mut self,
        now: Now,
        rx: PortId,
        receiver: Option<PortId>,
        frame: &Frame<'_>,
        step: &Step,
    ) {
        let packets = u64::from(frame.headers.wire.packets);
        if let Some(egress) = step.egress
            && let Some(sender) = self.port_mut(rx)
        {
            sender.counters.rx += packets;
            sender.counters.rx_bytes += u64::from(frame.headers.wire.bytes);
            sender.counters.count_refusal(egress.verdict, packets);
            if step.fate == Fate::Nowhere && egress.verdict.is_accept() {
                sender.counters.no_port += packets;
            }
            let is_shared = match frame.headers.eth.src == sender.mac() {
                true => sender.shares_mac,
                false => sender.filters(),
            };
            let (segment, learns) = (sender.config.segment, !sender.filters());
            if learns {
                self.learn(now, rx, frame);
            }
            if is_shared && egress.verdict.is_accept() {
                self.fdb.take_over(segment, frame.headers.eth.src, rx);
            }
        }
        if let Some(ingress) = step.ingress
            && let Some(port) = receiver.and_then(|to| self.port_mut(to))
        {
            port.counters.offered += packets;
            port.counters.count_refusal(ingress.verdict, packets);
        }
    }

    pub(super) fn learn(&mut self, now: Now, rx: PortId, frame: &Frame<'_>) {
        let src = frame.headers.eth.src;
        let Some(sender) = self.port(rx).filter(|_| src.is_legal_source()) else {
            return;
        };
        let (segment, learned, limit) = (
            sender.config.segment,
            sender.learned,
            sender.config.max_macs,
        );
        match self.fdb.learn(segment, src, rx, now.ms, learned, limit) {
            Learned::Known | Learned::Full | Learned::Static => {}
            Learned::New => self.change_learned(rx, 1),
            Learned::Moved { from } => {
                self.change_learned(from, -1);
                self.change_learned(rx, 1);
            }
        }
    }

    pub(super) fn change_learned(&mut self, port: PortId, by: isize) {
        if let Some(port) = self.port_mut(port) {
            port.learned = port.learned.saturating_add_signed(by);
        }
    }

    /// The connection, if the packet is one's; `None` where there is none.
    #[inline]
    fn commit_connection(
        &mut self,
        now: Now,
        rx: PortId,
        receiver: Option<PortId>,
        (frame, ip): (&Frame<'_>, &Ip),
        step: &Step,
    ) -> Option<(Slot, Way)> {
        match (&step.tracked, ip.src, ip.dst) {
            (Tracked::No, ..) => None,
            (Tracked::Known { slot, way, .. }, src, _) => {
                if src.is_ipv4() {
                    self.touch::<[u8; 4]>(now, step);
                } else {
                    self.touch::<[u8; 16]>(now, step);
                }
                Some((*slot, *way))
            }
            (Tracked::Denied { hash }, IpAddr::V4(src), IpAddr::V4(dst)) => {
                let ends = (src.octets(), dst.octets());
                self.remember_denied((rx, receiver?), frame, ip, ends, *hash, step);
                None
            }
            (Tracked::Denied { hash }, IpAddr::V6(src), IpAddr::V6(dst)) => {
                let ends = (src.octets(), dst.octets());
                self.remember_denied((rx, receiver?), frame, ip, ends, *hash, step);
                None
            }
            (Tracked::Denied { .. }, ..) => None,
            (Tracked::Ends { slot }, src, _) => {
                if src.is_ipv4() {
                    self.end_soon::<[u8; 4]>(now, *slot);
                } else {
                    self.end_soon::<[u8; 16]>(now, *slot);
                }
                None
            }
            (Tracked::NoRoom, ..) => {
                let looked_at = match self.port(rx) {
                    Some(sender) if sender.is_at_its_limit() => room::OWN_BUDGET,
                    _ => room::EVICTION_BUDGET,
                };
                self.tables.v4.move_hand(looked_at);
                self.tables.v6.move_hand(looked_at);
                None
            }
            (Tracked::Opens { .. }, IpAddr::V4(src), IpAddr::V4(dst)) => {
                self.open_connection(now, (rx, receiver?), ip, (src.octets(), dst.octets()), step)
            }
            (Tracked::Opens { .. }, IpAddr::V6(src), IpAddr::V6(dst)) => {
                self.open_connection(now, (rx, receiver?), ip, (src.octets(), dst.octets()), step)
            }
            (Tracked::Opens { .. }, ..) => None,
        }
    }

    /// What rules have refused is not asked again while the policy stands.
    fn remember_denied<A: Address>(
        &mut self,
        (rx, to): (PortId, PortId),
        frame: &Frame<'_>,
        ip: &Ip,
        (src, dst): (A, A),
        hash: u64,
        step: &Step,
    ) {
        let Some(ends) = conntrack::ends(ip) else {
            return;
        };
        let (key, swapped) = Key::new((src, ends.0, rx), (dst, ends.1, to));
        let asked = Asked {
            key,
            swapped,
            protocol: ip.protocol,
            macs: [frame.headers.eth.src, frame.headers.eth.dst],
        };
        let epoch = self.policy_epoch;
        A::denied_mut(&mut self.denied).remember(hash, asked, epoch, step);
    }

    /// A packet of a known connection: its judgement if that is new, its state if the packet passed.
    #[inline]
    fn touch<A: Address>(&mut self, now: Now, step: &Step) {
        let Tracked::Known {
            slot,
            ref sides,
            ref advance,
            ..
        } = step.tracked
        else {
            return;
        };
        let conn = &A::table(&self.tables).entry(slot).conn;
        let is_copy = step.egress.is_none();
        if conn.policy_epoch != self.policy_epoch && !(is_copy && conn.is_tentative()) {
            self.judged_again::<A>(now, slot, *sides);
        }
        if !step.is_accept() {
            return;
        }
        let ports = A::table(&self.tables).entry(slot).conn.key.port;
        let own = self.own_timeouts(ports);
        let timeouts = own.as_ref().unwrap_or(&self.settings.timeouts);
        let (entry, window) = A::table_mut(&mut self.tables).pair_mut(slot);
        advance_connection(&mut entry.conn, window, advance, now, timeouts);
    }

    /// A verdict under a newer policy: what was counted under the old one leaves first, if it differs or if a
    /// logger keeps policies apart. A connection that is allowed no more ends soon.
    #[cold]
    fn judged_again<A: Address>(&mut self, now: Now, slot: Slot, sides: [Side; 2]) {
        if self.recording.epochs_apart || A::table(&self.tables).entry(slot).conn.sides != sides {
            self.leave_slot::<A>(slot);
        }
        let epoch = self.policy_epoch;
        let conn = &mut A::table_mut(&mut self.tables).entry_mut(slot).conn;
        conn.sides = sides;
        conn.policy_epoch = epoch;
        if sides.iter().any(|side| !side.is_accept()) {
            self.end_soon::<A>(now, slot);
        }
    }

    /// A connection that the rules allow no more keeps its tuple for a short time only, so that the rules of
    /// the other direction count again. Allowed again before, its next packet gives it its whole time.
    #[cold]
    fn end_soon<A: Address>(&mut self, now: Now, slot: Slot) {
        let ports = A::table(&self.tables).entry(slot).conn.key.port;
        let own = self.own_timeouts(ports);
        let timeouts = own.as_ref().unwrap_or(&self.settings.timeouts);
        let soon_ms = timeouts.revoked * 1000;
        let conn = &mut A::table_mut(&mut self.tables).entry_mut(slot).conn;
        if conn.deadline_ms.wrapping_sub(now.ms) > soon_ms {
            conn.deadline_ms = now.ms.wrapping_add(soon_ms);
        }
    }

    /// Opens a connection that both sides accepted.
    fn open_connection<A: Address>(
        &mut self,
        now: Now,
        (rx, to): (PortId, PortId),
        ip: &Ip,
        (src, dst): (A, A),
        step: &Step,
    ) -> Option<(Slot, Way)> {
        let Tracked::Opens {
            hash,
            room,
            state,
            window,
        } = step.tracked
        else {
            return None;
        };
        self.make_room::<A>(room);
        let ends = conntrack::ends(ip)?;
        let (key, swapped) = Key::new((src, ends.0, rx), (dst, ends.1, to));
        let mut conn = Conn::new(key, ip.protocol, swapped, state);
        conn.sides =
            [step.egress, step.ingress].map(|judged| judged.map_or(Side::NONE, Judged::side));
        if step.egress.is_none() {
            // A copy of a flood: the sender's side was evaluated and counted once, before. The entry is
            // tentative: stale, without a verdict of its opener's side.
            conn.policy_epoch = 0;
        } else {
            conn.policy_epoch = self.policy_epoch;
        }
        let own = self.own_timeouts([rx, to]);
        let timeouts = own.as_ref().unwrap_or(&self.settings.timeouts);
        let idle_ms = idle_ms(state, ip.protocol, &window, timeouts);
        conn.deadline_ms = now.ms.wrapping_add(idle_ms);
        conn.set_window(self.window_mod8());
        let slot = self.insert::<A>(hash, conn, window)?;
        self.connections += 1;
        if let Some(port) = self.port_mut(rx) {
            port.connections += 1;
            port.recent.push(Opened {
                family: A::INDEX as u8,
                slot,
                hash: hash as u32,
            });
        }
        Some((slot, Way::Original))
    }

    /// The timeouts that hold for a connection between two ports, where one of them has its own.
    #[inline]
    pub(super) fn own_timeouts(&self, ports: [PortId; 2]) -> Option<Timeouts> {
        if !self.own_timeouts {
            return None;
        }
        let own = ports.map(|port| self.port(port)?.config.timeouts.as_deref());
        let has_own = own.iter().any(Option::is_some);
        has_own.then(|| self.settings.timeouts.between(own))
    }

    fn make_room<A: Address>(&mut self, room: Room) {
        match room {
            Room::Free => {}
            Room::Instead(slot) => self.drop_entry::<A>(slot),
            Room::OfIpv4(slot) => {
                self.tables.v4.move_hand_past(slot);
                self.drop_entry::<[u8; 4]>(slot);
            }
            Room::OfIpv6(slot) => {
                self.tables.v6.move_hand_past(slot);
                self.drop_entry::<[u8; 16]>(slot);
            }
        }
    }

    pub(super) fn insert<A: Address>(
        &mut self,
        hash: u64,
        conn: Conn<A>,
        window: TcpWindow,
    ) -> Option<Slot> {
        let table = A::table_mut(&mut self.tables);
        let slot = table.insert(hash, conn, Attached::default())?;
        *table.window_mut(slot) = window;
        Some(slot)
    }
}

/// Moves a connection on.
#[inline]
pub(super) fn advance_connection<A: Copy>(
    conn: &mut Conn<A>,
    window: &mut TcpWindow,
    advance: &Advance,
    now: Now,
    timeouts: &Timeouts,
) {
    conn.set_state(advance.state);
    if advance.refreshes {
        refresh(conn, &advance.window, now, timeouts);
    }
    *window = advance.window;
}

/// Starts a connection's idle timeout again.
#[inline]
pub(super) fn refresh<A: Copy>(
    conn: &mut Conn<A>,
    window: &TcpWindow,
    now: Now,
    timeouts: &Timeouts,
) {
    let idle = idle_ms(conn.state(), conn.protocol, window, timeouts);
    conn.deadline_ms = now.ms.wrapping_add(idle);
}
