//! The audit: sums the flow table in slices while packets go on, and balances it against the ports' counters.
//!
//! Entries before the hand have been summed. What is counted in them afterwards, and what leaves them, is
//! added to the sums at once (one comparison per packet; the hand stands at 0 while nobody audits). So at
//! the last slice the sums are exact for that moment, without ever stopping for the whole table.

use super::Switch;
use super::counters::{ByVerdict, PortAudit};
use super::entry::{Sign, add_to, tallied};
use super::step::Left;
use packet::Wire;
use secgroup::conntrack::{Slot, Way};

/// Arena slots summed per slice.
const SLICE: u32 = 512;

/// An audit under way.
#[derive(Debug, Default)]
pub(super) struct Scan {
    hand: u32,
    sums: Vec<ByVerdict>,
}

/// The conservation identity of every port.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Audit {
    /// One entry per port.
    pub ports: Vec<PortAudit>,
}

impl Audit {
    /// Whether it holds at every port.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.ports.iter().all(PortAudit::holds)
    }
}

impl Switch {
    /// Begins an audit; one at a time.
    pub fn audit_begin(&mut self) {
        self.audit.hand = 0;
        self.audit.sums.clear();
        self.audit
            .sums
            .resize(self.ports.len(), ByVerdict::default());
    }

    /// Sums a slice; `true` while there is more.
    pub fn audit_slice(&mut self) -> bool {
        let arena_len = self.tables.v4.arena_len();
        let end = self.audit.hand.saturating_add(SLICE).min(arena_len);
        let mut sums = std::mem::take(&mut self.audit.sums);
        for slot in self.tables.v4.slots_in(self.audit.hand..end) {
            add_to(&mut sums, self.tables.v4.entry(slot), Sign::Plus);
        }
        self.audit.sums = sums;
        self.audit.hand = end;
        end < arena_len
    }

    /// Sums what is left and balances. The caller sees to it that every accepted copy is settled.
    pub fn audit_finish(&mut self) -> Audit {
        while self.audit_slice() {}
        let sums = std::mem::take(&mut self.audit.sums);
        self.audit.hand = 0;
        let none = ByVerdict::default();
        let ports = self.ports().map(|port| {
            let in_table = sums.get(usize::from(port.number().0)).unwrap_or(&none);
            PortAudit::new(&port.config.name, &port.counters, in_table, 0)
        });
        Audit {
            ports: ports.collect(),
        }
    }

    /// Ports have come while an audit is under way: they are summed too.
    pub(super) fn audit_more_ports(&mut self) {
        let ports = self.ports.len();
        self.audit.sums.resize(ports, ByVerdict::default());
    }

    #[inline]
    pub(super) const fn audit_hand(&self) -> u32 {
        self.audit.hand
    }

    /// A packet was counted in an entry that has been summed.
    #[cold]
    pub(super) fn audit_adjust(&mut self, slot: Slot, way: Way, wire: Wire) {
        let conn = self.tables.v4.entry(slot).conn;
        for record in tallied(&conn)
            .into_iter()
            .flatten()
            .filter(|record| record.way == way)
        {
            if let Some(sum) = self.audit.sums.get_mut(usize::from(record.port.0)) {
                sum.add(
                    record.direction,
                    record.judged.verdict.is_accept(),
                    u64::from(wire.packets),
                );
            }
        }
    }

    /// An entry that has been summed gives its tallies away.
    #[cold]
    pub(super) fn audit_left(&mut self, left: &Left) {
        let mut sums = std::mem::take(&mut self.audit.sums);
        add_to(&mut sums, left, Sign::Minus);
        self.audit.sums = sums;
    }
}
