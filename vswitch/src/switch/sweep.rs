//! The sweep: closes windows, hands over tallies, expires connections, in slices of a few microseconds.
//!
//! No timers per entry and no second table: an entry is found expired when it is touched, or here.
//! A window closes in one step (a number changes); the sweep then visits every entry once and the
//! window's last chunk goes to the log. The next window closes only after that.

use super::entry::Address;
use super::{Now, Switch};
use flowlog::{Skipped, Window};
use secgroup::PortId;
use secgroup::conntrack::{Conn, Slot, State};

/// Arena slots visited per slice: at 20 to 30 ns each, about 10 µs.
const SLICE: u32 = 512;

/// Between two rounds over the tables, milliseconds: how late an idle connection may leave its table.
const ROUND_MS: u32 = 1_000;

/// How far before the open window's start a moment may lie and still be counted in it, seconds: a
/// worker may have read the clock before another one closed the window.
const EARLY_S: u64 = 2;

/// Where the sweep stands.
#[derive(Debug, Default)]
pub(super) struct Sweep {
    part: Part,
    /// Whose fragments are next.
    port: u16,
    hand: u32,
    running: bool,
    last_round_ms: u32,
    slots: Vec<Slot>,
    /// The round under way, or the last one.
    begun: Round,
    /// The last round that was gone to its end.
    swept: Round,
    /// How many policies there had been when each of the two began.
    policies: [u64; 2],
    /// Whether this round looks for connections whose originator has lost its address, and whether the
    /// next one has to: the first whole one after a reload.
    orphans: bool,
    orphans_next: bool,
}

/// Rounds of the sweep, counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Round(pub(super) u64);

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Part {
    #[default]
    Fragments,
    V4,
    V6,
}

impl Sweep {
    /// A sweep whose first round is due.
    pub(super) fn due(now: Now) -> Self {
        Self {
            last_round_ms: now.ms.wrapping_sub(ROUND_MS),
            ..Self::default()
        }
    }

    /// The round under way, or the last one.
    pub(super) const fn begun(&self) -> Round {
        self.begun
    }

    /// The last round that was gone to its end: it has visited every entry that was there when it began.
    pub(super) const fn swept(&self) -> Round {
        self.swept
    }

    /// How many policies there had been when that round began: what entries hold of older ones is marked.
    pub(super) const fn policies_seen(&self) -> u64 {
        self.policies[1]
    }
}

impl Switch {
    /// A batch begins: closes the open window if `now` lies behind it, so that the batch's packets
    /// belong to the interval of their time. A clock that stepped back far opens an older window.
    #[inline]
    pub fn enter(&mut self, now: Now) {
        let (window, now_s) = (self.log.window(), now.wall_us / 1_000_000);
        if now_s >= window.end_s() || now_s + EARLY_S < window.start_s {
            self.close_window(now, Window::of(now_s, self.window_length_s));
        }
    }

    /// Does a slice of what is due; `true` while there is more.
    pub fn sweep(&mut self, now: Now) -> bool {
        self.enter(now);
        if !self.sweep.running {
            if now.ms.wrapping_sub(self.sweep.last_round_ms) < ROUND_MS {
                return false;
            }
            self.begin_round(now);
        }
        self.slice(now);
        self.sweep.running
    }

    /// Whether the sweep still has to find tallies of a window that has ended.
    #[must_use]
    pub const fn is_closing(&self) -> bool {
        self.log.is_closing()
    }

    /// The open window.
    #[must_use]
    pub const fn window(&self) -> Window {
        self.log.window()
    }

    /// Microseconds until the open window ends, by the wall clock.
    #[must_use]
    pub fn until_window_end_us(&self, now: Now) -> u64 {
        let window = self.log.window();
        ((window.start_s + u64::from(window.length_s)) * 1_000_000).saturating_sub(now.wall_us)
    }

    /// Closes the open window now and sweeps to the end: at exit, and where its length changes.
    pub fn flush(&mut self, now: Now) {
        let next = Window::of(now.wall_us / 1_000_000, self.window_length_s);
        self.close_window(now, next);
        self.finish_round(now);
    }

    /// Hands over what a slice of entries holds, without closing the window; where the next slice begins,
    /// `None` after the last. For a change of loggers: what was counted before it goes to the old ones.
    pub fn hand_over(&mut self, from: u32) -> Option<u32> {
        let arena_len = self.tables.v4.arena_len().max(self.tables.v6.arena_len());
        let end = from.saturating_add(SLICE).min(arena_len);
        self.hand_over_of::<[u8; 4]>(from..end);
        self.hand_over_of::<[u8; 16]>(from..end);
        if end == arena_len {
            self.log.cut();
        }
        (end < arena_len).then_some(end)
    }

    fn hand_over_of<A: Address>(&mut self, range: std::ops::Range<u32>) {
        let slots: Vec<Slot> = A::table(&self.tables).slots_in(range).collect();
        for slot in slots {
            self.leave_slot::<A>(slot);
        }
    }

    pub(super) fn close_window(&mut self, now: Now, next: Window) {
        if self.log.is_closing() {
            self.finish_round(now);
        }
        self.log.close(next);
        self.window_number += 1;
        for port in self.ports.iter_mut().flatten() {
            port.added = [0, port.added[0]];
            port.added_for_others = [0, port.added_for_others[0]];
            port.skipped = [Skipped::default(), port.skipped[0]];
        }
        self.begin_round(now);
    }

    fn begin_round(&mut self, now: Now) {
        self.sweep.part = Part::Fragments;
        self.sweep.port = 0;
        self.sweep.hand = 0;
        self.sweep.running = true;
        self.sweep.last_round_ms = now.ms;
        self.sweep.begun.0 += 1;
        self.sweep.policies[0] = self.policies;
        self.sweep.orphans = std::mem::take(&mut self.sweep.orphans_next);
        let mut aged = Vec::new();
        self.fdb.age(now.ms, |port| aged.push(port));
        for port in aged {
            self.change_learned(port, -1);
        }
    }

    /// Visits every entry now.
    pub(super) fn whole_round(&mut self, now: Now) {
        self.finish_round(now);
        self.begin_round(now);
        self.finish_round(now);
    }

    fn finish_round(&mut self, now: Now) {
        while self.sweep.running {
            self.slice(now);
        }
    }

    fn slice(&mut self, now: Now) {
        let arena_len = match self.sweep.part {
            Part::Fragments => return self.slice_of_fragments(now),
            Part::V4 => self.tables.v4.arena_len(),
            Part::V6 => self.tables.v6.arena_len(),
        };
        let end = self.sweep.hand.saturating_add(SLICE).min(arena_len);
        let range = self.sweep.hand..end;
        self.sweep.hand = end;
        let mut slots = std::mem::take(&mut self.sweep.slots);
        slots.clear();
        match self.sweep.part {
            Part::Fragments => {}
            Part::V4 => {
                slots.extend(self.tables.v4.slots_in(range));
                slots
                    .iter()
                    .for_each(|&slot| self.visit::<[u8; 4]>(now, slot));
            }
            Part::V6 => {
                slots.extend(self.tables.v6.slots_in(range));
                slots
                    .iter()
                    .for_each(|&slot| self.visit::<[u8; 16]>(now, slot));
            }
        }
        self.sweep.slots = slots;
        if end == arena_len {
            self.end_of_part();
        }
    }

    /// Looks at the datagrams in fragments of some ports; a port without any costs a visit too.
    fn slice_of_fragments(&mut self, now: Now) {
        let mut budget = SLICE;
        while budget > 0 {
            let rx = PortId(self.sweep.port);
            if usize::from(rx.0) >= self.ports.len() {
                return self.end_of_part();
            }
            let slots = self.port(rx).map_or(0, |port| port.reassembly.slots());
            let cost = if self.sweep.hand < slots {
                self.sweep.hand += 1;
                self.expire_datagram(now, rx, self.sweep.hand - 1)
            } else {
                self.sweep.port += 1;
                self.sweep.hand = 0;
                1
            };
            budget = budget.saturating_sub(cost);
        }
    }

    fn end_of_part(&mut self) {
        self.sweep.hand = 0;
        match self.sweep.part {
            Part::Fragments => self.sweep.part = Part::V4,
            Part::V4 => self.sweep.part = Part::V6,
            Part::V6 => {
                self.sweep.running = false;
                self.sweep.swept = self.sweep.begun;
                self.sweep.policies[1] = self.sweep.policies[0];
                if self.log.is_closing() {
                    let skipped = self.skipped_in_closing();
                    self.log.finish(skipped);
                }
            }
        }
    }

    fn skipped_in_closing(&self) -> Vec<(PortId, Skipped)> {
        let skipped = self.ports().map(|port| (port.number(), port.skipped[1]));
        skipped.filter(|(_, skipped)| skipped.packets > 0).collect()
    }

    /// Addresses have changed: the next round looks whose connections that ends.
    pub(super) fn look_for_orphans(&mut self) {
        self.sweep.orphans_next = true;
    }

    /// Whether a connection's originator no longer owns the address it opened it from: given back later,
    /// the address begins anew.
    fn is_orphan<A: Address>(&self, conn: &Conn<A>) -> bool {
        let from = conn.originator();
        let originator = self.port(conn.key.port[from]);
        originator.is_some_and(|port| port.filters() && !port.guard.owns(conn.key.addr[from].ip()))
    }

    /// One entry: statistics entries of an older window go; older tallies leave; what is expired or
    /// belongs to a port that is gone is removed; a verdict of an older policy is marked stale before
    /// the policy epoch wraps.
    fn visit<A: Address>(&mut self, now: Now, slot: Slot) {
        let conn = A::table(&self.tables).entry(slot).conn;
        let older = conn.window() != self.window_mod8();
        let absent = |port: PortId| port.is_real() && self.port(port).is_none();
        let gone = conn.key.port.into_iter().any(absent)
            || match conn.state() {
                State::Counted => older,
                _ => conn.is_expired(now.ms) || (self.sweep.orphans && self.is_orphan(&conn)),
            };
        if gone {
            self.drop_entry::<A>(slot);
            return;
        }
        if older {
            self.leave_slot::<A>(slot);
        }
        if conn.policy_epoch != self.policy_epoch {
            if self.recording.epochs_apart {
                self.leave_slot::<A>(slot);
            }
            A::table_mut(&mut self.tables)
                .entry_mut(slot)
                .conn
                .policy_epoch = 0;
        }
    }
}
