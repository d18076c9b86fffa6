//! The one door out of the flow table, and who is charged for what goes through it.
//!
//! A window's log has room for `flow_limit` records that a port's own traffic adds, wherever they are
//! recorded, and at each port for as many again by senders whose share is used up. So a guest that floods
//! takes nobody else's room, and is not left out of its victims' log either. What finds no room is
//! `skipped`, at the port that would have recorded it.

use super::entry::{Address, tallied};
use super::log::Left;
use super::macs::MacPairs;
use super::{Attached, Switch};
use flowlog::Tally;
use packet::Wire;
use secgroup::PortId;
use secgroup::conntrack::{Conn, Side, Slot, State, Way};

impl Switch {
    /// Charges what a record at the port `at` adds to a window's log: to the port that sent the packets; once
    /// that one has used up its share, to what `at` keeps for such senders.
    pub(super) fn charge(&mut self, older: bool, sender: PortId, at: PortId) -> bool {
        let window = usize::from(older);
        if let Some(sender) = self.port_mut(sender)
            && sender.added[window] < sender.config.flow_limit
        {
            sender.added[window] += 1;
            return true;
        }
        match self.port_mut(at).filter(|_| at != sender) {
            Some(port) if port.added_for_others[window] < port.config.flow_limit => {
                port.added_for_others[window] += 1;
                true
            }
            _ => false,
        }
    }

    /// Takes an entry out of its table; its tallies leave.
    pub(super) fn drop_entry<A: Address>(&mut self, slot: Slot) {
        self.leave_slot::<A>(slot);
        let entry = A::table_mut(&mut self.tables).remove(slot);
        if entry.conn.state().is_connection() {
            self.connections = self.connections.saturating_sub(1);
            let originator = entry.conn.key.port[entry.conn.originator()];
            if let Some(port) = self.port_mut(originator) {
                port.connections = port.connections.saturating_sub(1);
            }
        } else {
            let counters = &mut self.counters[A::INDEX];
            *counters = counters.saturating_sub(1);
        }
    }

    /// Hands the tallies of a slot over and leaves them empty, in the open window.
    #[inline]
    pub(super) fn leave_slot<A: Address>(&mut self, slot: Slot) {
        let window = self.window_mod8();
        let entry = A::table_mut(&mut self.tables).entry_mut(slot);
        let left = *entry;
        entry.with = Attached::default();
        entry.conn.set_window(window);
        if slot.0 < self.audit_hand::<A>() {
            self.audit_left(&left);
        }
        let macs_apart = self.recording.macs_apart;
        let macs = macs_apart.then(|| self.macs.get(A::INDEX, slot));
        self.leave(left.conn.window() != window, left, macs);
    }

    /// The one door out of the table: whatever leaves an entry (expiry, eviction, change of verdict or of
    /// window) goes this way, and only this way into the log.
    fn leave<A: Address>(&mut self, older: bool, mut left: Left<A>, macs: Option<MacPairs>) {
        if left.with.iter().all(Tally::is_empty) {
            return;
        }
        let mut may_add = self.may_add(older, &left.conn);
        if !self.log.has_room() {
            may_add = [false; 2];
        }
        for record in tallied(&left.conn).into_iter().flatten() {
            let tally = &left.with[record.way as usize];
            let accepted = record.judged.verdict.is_accept();
            let logged = may_add[usize::from(left.conn.key.port[0] != record.port)];
            let Some(port) = self.port_mut(record.port).filter(|_| !tally.is_empty()) else {
                continue;
            };
            if logged {
                port.counters
                    .logged
                    .add(record.direction, accepted, u64::from(tally.packets));
            } else {
                let wire = Wire {
                    packets: tally.packets,
                    bytes: tally.bytes,
                };
                port.skip(older, record.direction, accepted, wire);
            }
        }
        let originator = left.conn.originator();
        if !may_add[originator] && may_add[1 - originator] {
            leave_out_originator(&mut left);
        }
        if may_add != [false; 2] {
            self.log.take(older, left, macs);
        }
    }

    /// Whether each end of an entry may add its records to the window. Counters were charged when they began
    /// to count; a connection is its originator's.
    fn may_add<A: Copy>(&mut self, older: bool, conn: &Conn<A>) -> [bool; 2] {
        if conn.state() == State::Counted {
            return [true; 2];
        }
        let originator = conn.originator();
        let [own, other] = [originator, 1 - originator].map(|end| conn.key.port[end]);
        if self.port(own).is_none() || self.charge(older, own, own) {
            return [true; 2];
        }
        let mut may_add = [false; 2];
        may_add[1 - originator] = self.charge(older, own, other);
        may_add
    }
}

/// Leaves the records of a connection's originator out of what is logged. Where its side refuses, what it
/// sent never came to the other side, which has no record of it either.
fn leave_out_originator<A: Address>(left: &mut Left<A>) {
    if !left.conn.sides[0].is_accept() {
        left.with[Way::Original as usize] = Tally::default();
    }
    left.conn.sides[0] = Side::NONE;
}
