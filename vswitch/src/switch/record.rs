//! Counting a step in the flow table. The one door out of it is `leave`.
//!
//! A packet is counted in its connection's entry. Where there is none, or where the packet met another
//! fate than its connection, each side is counted in an entry of its own.

use super::entry::{Address, icmp_ends, pseudo};
use super::step::{FragmentStep, Judged, Step, Tracked, Upper, verdicts};
use super::{Attached, Frame, Now, Switch};
use flowlog::NotRecorded;
use packet::{Direction, Headers, Ip, L4, Mac, Tcp, Wire};
use secgroup::PortId;
use secgroup::conntrack::{Conn, Entry, Key, Slot, State, TcpWindow, Way};
use std::net::IpAddr;

impl Switch {
    #[cold]
    pub(super) fn count_not_recorded(
        &mut self,
        rx: PortId,
        receiver: Option<PortId>,
        kind: NotRecorded,
        wire: Wire,
        step: &Step,
    ) {
        let packets = u64::from(wire.packets);
        for (port, direction, judged) in sides_of(rx, receiver, step) {
            if let Some(port) = self.port_mut(port) {
                port.counters.not_recorded[kind as usize].add(
                    direction,
                    judged.verdict.is_accept(),
                    packets,
                );
            }
        }
    }

    /// Whether a logger collects what the seed does not record.
    #[cold]
    pub(super) fn records_besides(&self, frame: &Frame<'_>, kind: NotRecorded) -> bool {
        self.recording.everything && flowlog::has_tuple(&frame.headers, kind)
    }

    /// Counts a packet, in the table of its family.
    #[inline]
    pub(super) fn record(
        &mut self,
        now: Now,
        rx: PortId,
        receiver: Option<PortId>,
        frame: &Frame<'_>,
        step: &Step,
        conn: Option<(Slot, Way)>,
    ) {
        let Some(ip) = frame.headers.ip() else { return };
        let ports = (rx, receiver);
        match (ip.src, ip.dst) {
            (IpAddr::V4(src), IpAddr::V4(dst)) => {
                let ends = (src.octets(), dst.octets());
                self.record_in(now, ports, (&frame.headers, ip), ends, step, conn);
            }
            (IpAddr::V6(src), IpAddr::V6(dst)) => {
                let ends = (src.octets(), dst.octets());
                self.record_in(now, ports, (&frame.headers, ip), ends, step, conn);
            }
            _ => {}
        }
    }

    /// Counts a packet in its connection's entry, or each side by itself where there is none or where
    /// the packet met another fate than its connection.
    #[inline]
    fn record_in<A: Address>(
        &mut self,
        now: Now,
        (rx, receiver): (PortId, Option<PortId>),
        (headers, ip): (&Headers, &Ip),
        ends: (A, A),
        step: &Step,
        conn: Option<(Slot, Way)>,
    ) {
        let conn = match step.fragment {
            FragmentStep::Follows(upper) => self.connection_of(now, rx, receiver, ends, upper),
            _ => conn,
        };
        if let Some((slot, way)) = conn
            && self.is_as_judged::<A>(slot, way, step)
            && !self.is_apart_from::<A>(slot, ip)
        {
            self.tally::<A>(now, slot, way, headers);
            self.count_opened::<A>(slot, way, step);
            return;
        }
        for side in sides_of(rx, receiver, step) {
            self.count_one_side(now, rx, side, (headers, ip), ends, step);
        }
    }

    /// The connection of a fragment that is not the first: it is counted there like the first one, so that
    /// a reply is a reply whole.
    #[cold]
    fn connection_of<A: Address>(
        &self,
        now: Now,
        rx: PortId,
        receiver: Option<PortId>,
        (src, dst): (A, A),
        Upper { protocol, ends, .. }: Upper,
    ) -> Option<(Slot, Way)> {
        let (key, swapped) = Key::new((src, ends.0, rx), (dst, ends.1, receiver?));
        let table = A::table(&self.tables);
        let slot = table.find(table.hash(&key, protocol), &key, protocol)?;
        let conn = &table.entry(slot).conn;
        let is_live = conn.state().is_connection() && !conn.is_expired(now.ms);
        is_live.then(|| (slot, conn.way(swapped)))
    }

    /// Whether a packet met the fate of its connection.
    #[inline]
    fn is_as_judged<A: Address>(&self, slot: Slot, way: Way, step: &Step) -> bool {
        if let Tracked::Known { as_judged, .. } = step.tracked {
            return as_judged;
        }
        let sides = A::table(&self.tables).entry(slot).conn.sides;
        verdicts(sides, way) == (step.egress, step.ingress)
    }

    /// Whether a packet is to be told apart from its connection: the connection is a query with code 0,
    /// and it has one policy epoch, which the copies of a flood do not settle.
    #[inline]
    fn is_apart_from<A: Address>(&self, slot: Slot, ip: &Ip) -> bool {
        let recording = self.recording;
        let other_code = || matches!(ip.l4, L4::Icmp(icmp) if icmp.code != 0);
        let other_epoch =
            || A::table(&self.tables).entry(slot).conn.policy_epoch != self.policy_epoch;
        (recording.icmp_apart && other_code()) || (recording.epochs_apart && other_epoch())
    }

    /// Adds to an entry's tally; what it holds of an older window, cannot hold more of, or is to be told
    /// apart from this packet, leaves first.
    #[inline]
    fn tally<A: Address>(&mut self, now: Now, slot: Slot, way: Way, headers: &Headers) {
        if self.must_leave::<A>(slot, way, headers) {
            self.leave_slot::<A>(slot);
        }
        if self.recording.macs_apart {
            self.macs.set(A::INDEX, slot, way, macs_of(headers));
        }
        self.count::<A>(now, slot, way, headers);
    }

    /// Adds to an entry's tally, which can take it.
    #[inline]
    pub(super) fn count<A: Address>(&mut self, now: Now, slot: Slot, way: Way, headers: &Headers) {
        let (wire, flags) = (headers.wire, tcp_flags(headers));
        let tick = self.tick(now);
        let entry = A::table_mut(&mut self.tables).entry_mut(slot);
        entry.with[way as usize].count(tick, wire, flags);
        if slot.0 < self.audit_hand::<A>() {
            self.audit_adjust::<A>(slot, way, wire);
        }
    }

    /// Whether what an entry holds must leave before it can count another packet.
    #[inline]
    fn must_leave<A: Address>(&self, slot: Slot, way: Way, headers: &Headers) -> bool {
        let entry = A::table(&self.tables).entry(slot);
        let other_macs = || {
            let known = self.macs.get(A::INDEX, slot)[way as usize];
            !entry.with[way as usize].is_empty() && known != macs_of(headers)
        };
        !self.takes(entry, way, headers) || (self.recording.macs_apart && other_macs())
    }

    /// Whether an entry's tally can take another packet, as far as the entry itself tells.
    #[inline(always)]
    pub(super) fn takes<A: Address>(
        &self,
        entry: &Entry<A, Attached>,
        way: Way,
        headers: &Headers,
    ) -> bool {
        let tally = &entry.with[way as usize];
        let is_apart = || self.recording.setup_apart && tally.setup_ends(tcp_flags(headers));
        entry.conn.window() == self.window_mod8()
            && !tally.would_overflow(headers.wire)
            && !is_apart()
    }

    /// Counts one side of a packet in an entry of its own.
    fn count_one_side<A: Address>(
        &mut self,
        now: Now,
        rx: PortId,
        (port, direction, judged): (PortId, Direction, Judged),
        (headers, ip): (&Headers, &Ip),
        (src, dst): (A, A),
        step: &Step,
    ) {
        let datagram = step.fragment.upper();
        let Upper {
            protocol, ports, ..
        } = datagram.unwrap_or(Upper::of(ip));
        let (src_port, dst_port) = match ip.l4 {
            L4::Icmp(icmp) if self.recording.icmp_apart && datagram.is_none() => icmp_ends(icmp),
            _ => ports,
        };
        let nobody = pseudo(judged.verdict);
        let (from, to) = if direction == Direction::Egress {
            (port, nobody)
        } else {
            (nobody, port)
        };
        let (key, swapped) = Key::new((src, src_port, from), (dst, dst_port, to));
        let table = A::table(&self.tables);
        let hash = table.hash(&key, protocol);
        let found = table.find(hash, &key, protocol);
        let slot = match found {
            Some(slot) => {
                let way = A::table(&self.tables).entry(slot).conn.way(swapped);
                let judged_so = self.is_judged::<A>(slot, way, judged);
                let leaves = !judged_so || self.must_leave::<A>(slot, way, headers);
                Some(slot).filter(|_| !leaves || self.charge(false, rx, port))
            }
            None => self.open_counter((rx, port), hash, key, protocol, swapped),
        };
        let Some(slot) = slot else {
            if let Some(port) = self.port_mut(port) {
                port.skip(false, direction, judged.verdict.is_accept(), headers.wire);
            }
            return;
        };
        let way = A::table(&self.tables).entry(slot).conn.way(swapped);
        if !self.is_judged::<A>(slot, way, judged) {
            self.leave_slot::<A>(slot);
            let epoch = self.policy_epoch;
            let conn = &mut A::table_mut(&mut self.tables).entry_mut(slot).conn;
            conn.sides[way as usize] = judged.side();
            conn.policy_epoch = epoch;
        }
        self.tally::<A>(now, slot, way, headers);
        self.count_opened::<A>(slot, way, step);
    }

    /// Counts a connection where the packet that opened it was counted, so that the record tells of both.
    #[inline]
    fn count_opened<A: Address>(&mut self, slot: Slot, way: Way, step: &Step) {
        if matches!(step.tracked, Tracked::Opens { .. }) && step.is_accept() {
            A::table_mut(&mut self.tables).entry_mut(slot).with[way as usize].count_opened();
        }
    }

    /// Whether an entry that only counts stands for this judgement, and for its policy where that counts.
    fn is_judged<A: Address>(&self, slot: Slot, way: Way, judged: Judged) -> bool {
        let conn = &A::table(&self.tables).entry(slot).conn;
        let same_epoch = !self.recording.epochs_apart || conn.policy_epoch == self.policy_epoch;
        conn.sides[way as usize] == judged.side() && same_epoch
    }

    /// An entry that only counts one side, at the port `at`. It is charged like whatever it hands over before
    /// its window's end: a flood of tuples uses up the flooding guest's share, then what its victims keep
    /// for it, and nobody else's.
    #[cold]
    fn open_counter<A: Address>(
        &mut self,
        (rx, at): (PortId, PortId),
        hash: u64,
        key: Key<A>,
        protocol: u8,
        swapped: bool,
    ) -> Option<Slot> {
        if !self.charge(false, rx, at) {
            return None;
        }
        if self.counters[A::INDEX] >= self.counters_max {
            let table = A::table_mut(&mut self.tables);
            let victim = table.victim(EVICTION_BUDGET, |entry| {
                entry.conn.state() == State::Counted
            })?;
            self.drop_entry::<A>(victim);
        }
        let mut conn = Conn::new(key, protocol, swapped, State::Counted);
        conn.policy_epoch = self.policy_epoch;
        conn.set_window(self.window_mod8());
        let slot = self.insert(hash, conn, TcpWindow::default())?;
        self.counters[A::INDEX] += 1;
        Some(slot)
    }

    /// Number of the open window as entries remember it.
    #[inline]
    pub(super) const fn window_mod8(&self) -> u8 {
        (self.window_number & 7) as u8
    }
}

/// Entries looked at for a counter that may give way when there is no room for another.
const EVICTION_BUDGET: usize = 64;

/// What a step says at which port.
fn sides_of(
    rx: PortId,
    receiver: Option<PortId>,
    step: &Step,
) -> impl Iterator<Item = (PortId, Direction, Judged)> + use<> {
    let egress = step.egress.map(|judged| (rx, Direction::Egress, judged));
    let ingress = step
        .ingress
        .zip(receiver)
        .map(|(judged, to)| (to, Direction::Ingress, judged));
    egress.into_iter().chain(ingress)
}

/// The TCP flags of a packet, 0 for other protocols.
#[inline]
pub(super) fn tcp_flags(headers: &Headers) -> u8 {
    match headers.ip().map(|ip| ip.l4) {
        Some(L4::Tcp(Tcp { flags, .. })) => flags,
        _ => 0,
    }
}

/// Source and destination MAC address.
#[inline]
fn macs_of(headers: &Headers) -> [Mac; 2] {
    [headers.eth.src, headers.eth.dst]
}
