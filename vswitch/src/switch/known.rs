//! The short way: a packet that meets the fate of its connection, as nearly all do.
//!
//! ```text
//!   looked up ahead: ordinary, one receiver ─▶ admitted ─▶ connection: live, judged under this policy, counted in this
//!   window, accepted on both sides ─▶ in sequence ─▶ taken by the receiver  ═▶  counted and sent
//!   └─ no to any of it: `None`, and the long way decides from the start
//! ```
//!
//! It asks the same questions of the same functions as [`Switch::decide`](super::Switch), only the few whose
//! answers are not known beforehand, and builds no step of what was judged before. It refuses nothing, opens
//! nothing and hands nothing over: whatever is not plain goes the long way. Debug builds take both ways for
//! every packet and compare.

use super::commit::refresh;
use super::entry::Address;
use super::port::PortSetup;
use super::record::tcp_flags;
use super::stage::Ahead;
use super::{Frame, Now, Outbox, Switch};
use flowlog::NotRecorded;
use packet::{Direction, Ip};
use secgroup::PortId;
use secgroup::conntrack::{self, Key, Peer, Slot, Way};
use std::net::IpAddr;

/// A packet that passes by what is known: where it goes and what it does to its connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known {
    to: PortId,
    slot: Slot,
    way: Way,
    /// Of the sender, afterwards.
    peer: Peer,
    /// Whether its source MAC is learned.
    learns: bool,
}

impl Switch {
    /// Passes a packet that meets the fate of its connection; `false` leaves everything as it was.
    #[inline]
    pub(super) fn pass(
        &mut self,
        now: Now,
        rx: PortId,
        frame: &Frame<'_>,
        ahead: Ahead,
        out: &mut Outbox,
    ) -> bool {
        let Some(ip) = frame.headers.ip() else {
            return false;
        };
        match (ip.src, ip.dst) {
            (IpAddr::V4(src), IpAddr::V4(dst)) => {
                let ends = (src.octets(), dst.octets());
                self.pass_in(now, rx, (frame, ip), ends, ahead, out)
            }
            (IpAddr::V6(src), IpAddr::V6(dst)) => {
                let ends = (src.octets(), dst.octets());
                self.pass_in(now, rx, (frame, ip), ends, ahead, out)
            }
            _ => false,
        }
    }

    #[inline]
    fn pass_in<A: Address>(
        &mut self,
        now: Now,
        rx: PortId,
        (frame, ip): (&Frame<'_>, &Ip),
        ends: (A, A),
        ahead: Ahead,
        out: &mut Outbox,
    ) -> bool {
        let Some(known) = self.known(now, rx, (frame, ip), ends, ahead) else {
            return false;
        };
        #[cfg(debug_assertions)]
        self.check_against_the_long_way::<A>(now, rx, frame, &known);
        self.commit_known::<A>(now, rx, frame, &known);
        out.receivers.push(known.to);
        true
    }

    /// What becomes of the packet, where that is already known. Changes nothing.
    #[inline]
    fn known<A: Address>(
        &self,
        now: Now,
        rx: PortId,
        (frame, ip): (&Frame<'_>, &Ip),
        (src, dst): (A, A),
        Ahead { to, hash, .. }: Ahead,
    ) -> Option<Known> {
        let headers = &frame.headers;
        let sender = self.port(rx)?;
        let shares_mac = sender.shares_mac;
        // One step to what is configured of each port, not one for each question.
        let sender: &PortSetup = sender;
        sender.guard.admit(frame.bytes, headers).ok()?;
        let filters = sender.filters();
        // A MAC that others have too it takes over.
        if shares_mac || filters && headers.eth.src != sender.mac() {
            return None;
        }
        let receiver = self.port(to)?;
        let is_up = receiver.up;
        let receiver: &PortSetup = receiver;
        if !is_up || !may_go_together(sender, receiver) || receiver.is_broadcast(headers) {
            return None;
        }
        let l4 = conntrack::ends(ip)?;
        let (key, swapped) = Key::new((src, l4.0, rx), (dst, l4.1, to));
        let table = A::table(&self.tables);
        let slot = table.find(hash, &key, ip.protocol)?;
        let (entry, window) = table.pair(slot);
        let conn = &entry.conn;
        let stands = conn.policy_epoch == self.policy_epoch
            && !conn.is_expired(now.ms)
            && conn.sides[0].is_accept()
            && conn.sides[1].is_accept();
        let way = conn.way(swapped);
        if !stands || self.recording.macs_apart || !self.takes(entry, way, headers) {
            return None;
        }
        let peer = conntrack::in_step(conn.state(), window, way, ip, now.ms)?;
        let taken = if filters {
            receiver.accepts_admitted(frame)
        } else {
            receiver.accepts_frame(frame)
        };
        taken.ok()?;
        Some(Known {
            to,
            slot,
            way,
            peer,
            learns: !filters,
        })
    }

    /// Counts the packet at both ports and in its entry, and moves its connection on.
    #[inline]
    fn commit_known<A: Address>(&mut self, now: Now, rx: PortId, frame: &Frame<'_>, known: &Known) {
        let wire = frame.headers.wire;
        let (packets, bytes) = (u64::from(wire.packets), u64::from(wire.bytes));
        let is_recorded = A::INDEX == 0 || self.recording.everything;
        if let Some(sender) = self.port_mut(rx) {
            sender.counters.rx += packets;
            sender.counters.rx_bytes += bytes;
            if !is_recorded {
                let kind = &mut sender.counters.not_recorded[NotRecorded::Ipv6 as usize];
                kind.add(Direction::Egress, true, packets);
            }
        }
        if let Some(receiver) = self.port_mut(known.to) {
            receiver.counters.offered += packets;
            receiver.counters.tx_bytes += bytes;
            if !is_recorded {
                let kind = &mut receiver.counters.not_recorded[NotRecorded::Ipv6 as usize];
                kind.add(Direction::Ingress, true, packets);
            }
        }
        if known.learns {
            self.learn(now, rx, frame);
        }
        let tick = self.tick(now);
        let own = self.own_timeouts([rx, known.to]);
        let Known { slot, way, .. } = *known;
        let (entry, window) = A::table_mut(&mut self.tables).pair_mut(slot);
        let timeouts = own.as_ref().unwrap_or(&self.settings.timeouts);
        window.peers[way as usize] = known.peer;
        refresh(&mut entry.conn, window, now, timeouts);
        if is_recorded {
            entry.with[way as usize].count(tick, wire, tcp_flags(&frame.headers));
            if slot.0 < self.audit_hand::<A>() {
                self.audit_adjust::<A>(slot, way, wire);
            }
        }
    }

    /// The long way's step for the same packet must say the same.
    #[cfg(debug_assertions)]
    fn check_against_the_long_way<A: Address>(
        &self,
        now: Now,
        rx: PortId,
        frame: &Frame<'_>,
        known: &Known,
    ) {
        use super::step::{Fate, FragmentStep, Tracked, verdicts};
        let step = self.decide(now, rx, frame, None, &mut super::Silent);
        let sides = A::table(&self.tables).entry(known.slot).conn.sides;
        assert!(step.is_accept(), "{step:?}");
        assert_eq!(step.fate, Fate::To(known.to));
        assert_eq!(step.fragment, FragmentStep::None);
        assert_eq!((step.egress, step.ingress), verdicts(sides, known.way));
        let Tracked::Known {
            slot,
            way,
            sides: judged,
            advance,
            as_judged,
        } = step.tracked
        else {
            panic!("the long way knows no connection: {step:?}");
        };
        assert_eq!((slot, way, judged), (known.slot, known.way, sides));
        let mut window = *A::table(&self.tables).window(slot);
        window.peers[way as usize] = known.peer;
        assert_eq!(advance.window, window);
        assert_eq!((advance.reopens, advance.refreshes), (false, true));
        let conn = &A::table(&self.tables).entry(slot).conn;
        assert_eq!(advance.state, conn.state());
        assert!(as_judged);
    }
}

/// Whether what the connection says holds at both ports, and is asked at all.
#[inline]
fn may_go_together(sender: &PortSetup, receiver: &PortSetup) -> bool {
    sender.is_stateful_or_open()
        && receiver.is_stateful_or_open()
        && (sender.stateful || receiver.stateful)
}
