//! The audit: sums the flow table in slices while packets go on, and balances it against the ports' counters.
//!
//! Entries before the hand have been summed. What is counted in them afterwards, and what leaves them, is
//! added to the sums at once (one comparison per packet; the hand stands at 0 while nobody audits). So at
//! the last slice the sums are exact for that moment, without ever stopping for the whole table.

use super::Switch;
use super::counters::{ByVerdict, PortAudit};
use super::entry::{Address, Sign, add_to, tallied};
use super::log::Left;
use packet::Wire;
use secgroup::conntrack::{Slot, Way};

/// Arena slots summed per slice.
const SLICE: u32 = 512;

/// An audit under way.
#[derive(Debug, Default)]
pub(super) struct Scan {
    /// Of each family; IPv6 is summed after IPv4.
    hands: [u32; 2],
    sums: Vec<ByVerdict>,
}

/// The conservation identity of every port.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize)]
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
        self.audit.hands = [0; 2];
        self.audit.sums.clear();
        self.audit
            .sums
            .resize(self.ports.len(), ByVerdict::default());
    }

    /// Sums a slice; `true` while there is more.
    pub fn audit_slice(&mut self) -> bool {
        self.audit_slice_of::<[u8; 4]>() || self.audit_slice_of::<[u8; 16]>()
    }

    /// Sums a slice of a family; `true` while there is more of it.
    fn audit_slice_of<A: Address>(&mut self) -> bool {
        let table = A::table(&self.tables);
        let (hand, arena_len) = (self.audit.hands[A::INDEX], table.arena_len());
        let end = hand.saturating_add(SLICE).min(arena_len);
        for slot in table.slots_in(hand..end) {
            add_to(&mut self.audit.sums, table.entry(slot), Sign::Plus);
        }
        self.audit.hands[A::INDEX] = end;
        end < arena_len
    }

    /// Sums what is left and balances. The caller sees to it that every accepted copy is settled.
    pub fn audit_finish(&mut self) -> Audit {
        while self.audit_slice() {}
        let sums = std::mem::take(&mut self.audit.sums);
        self.audit.hands = [0; 2];
        let none = ByVerdict::default();
        let ports = self.ports().map(|port| {
            let in_table = sums.get(usize::from(port.number().0)).unwrap_or(&none);
            PortAudit::new(
                &port.config.name,
                &port.counters,
                in_table,
                u64::from(port.held()),
            )
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
    pub(super) const fn audit_hand<A: Address>(&self) -> u32 {
        self.audit.hands[A::INDEX]
    }

    /// A packet was counted in an entry that has been summed.
    #[cold]
    pub(super) fn audit_adjust<A: Address>(&mut self, slot: Slot, way: Way, wire: Wire) {
        let conn = A::table(&self.tables).entry(slot).conn;
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
    pub(super) fn audit_left<A: Address>(&mut self, left: &Left<A>) {
        let mut sums = std::mem::take(&mut self.audit.sums);
        add_to(&mut sums, left, Sign::Minus);
        self.audit.sums = sums;
    }
}
