//! Room for a new connection: within its opener's limit and the table's, or in the place of one that gives way.
//!
//! **Limits**: a search looks at [`EVICTION_BUDGET`] or [`OWN_BUDGET`] entries of each family; one in vain moves the
//! table's hand, so that the next looks at others.

use super::entry::Address;
use super::port::Opened;
use super::step::Room;
use super::{Port, Switch};
use packet::protocol;
use secgroup::PortId;
use secgroup::conntrack::{Slot, State, TcpWindow};

/// Entries looked at for one that may give way when the table is full. Linux looks at eight buckets.
pub(super) const EVICTION_BUDGET: usize = 128;

/// As [`EVICTION_BUDGET`], for a port at its own limit, which it may reach at any time: few, for its latest
/// connections were looked at before.
pub(super) const OWN_BUDGET: usize = 16;

impl Switch {
    /// Connections that a port may have opened as the table is filled now.
    #[must_use]
    pub fn connections_allowed(&self, port: &Port) -> u32 {
        let free = self.connections_max.saturating_sub(self.connections);
        let share = port
            .times_free
            .map_or(u32::MAX, |times| free.saturating_mul(times));
        port.connections_max.min(share)
    }

    /// Where a connection opened by `sender` finds room. At its own limit its own unanswered connections
    /// give way; in a full table, and beyond its share of one that fills, those of ports that hold at least
    /// as many, so that no port that floods pushes out the few of another.
    pub(super) fn room<A: Address>(&self, sender: &Port, replaces: Option<Slot>) -> Option<Room> {
        if let Some(slot) = replaces {
            let conn = &A::table(&self.tables).entry(slot).conn;
            let own = conn.key.port[conn.originator()] == sender.number();
            return (own || !sender.is_at_its_limit()).then_some(Room::Instead(slot));
        }
        if sender.is_at_its_limit() {
            let own = |owner: PortId| owner == sender.number();
            let recent = self.recent_victim(sender);
            return recent.or_else(|| self.victim_of_any::<A>(OWN_BUDGET, own));
        }
        if self.connections < self.connections_max
            && sender.connections < self.connections_allowed(sender)
        {
            return Some(Room::Free);
        }
        let holds_as_many = |owner: PortId| {
            let owner = self.port(owner);
            owner.is_none_or(|owner| owner.connections >= sender.connections)
        };
        let victim = self.victim_of_any::<A>(EVICTION_BUDGET, holds_as_many);
        victim.or_else(|| self.recent_victim(sender))
    }

    /// The oldest of the port's latest connections that may give way.
    fn recent_victim(&self, sender: &Port) -> Option<Room> {
        sender.recent.iter().find_map(|opened| {
            let slot = opened.slot;
            match opened.family {
                0 => self
                    .gives_way::<[u8; 4]>(sender, opened)
                    .then_some(Room::OfIpv4(slot)),
                _ => self
                    .gives_way::<[u8; 16]>(sender, opened)
                    .then_some(Room::OfIpv6(slot)),
            }
        })
    }

    /// Whether this connection still stands as the sender's own, and nobody has answered it. A tuple has one
    /// key both ways: the other side may have opened it since, in the same slot.
    fn gives_way<A: Address>(&self, sender: &Port, opened: &Opened) -> bool {
        let table = A::table(&self.tables);
        table.live(opened.slot).is_some_and(|entry| {
            let conn = &entry.conn;
            conn.key.port[conn.originator()] == sender.number()
                && may_give_way(conn.state(), conn.protocol, table.window(opened.slot))
                && table.hash(&conn.key, conn.protocol) as u32 == opened.hash
        })
    }

    /// An unanswered connection that may give way, of the new one's family first.
    fn victim_of_any<A: Address>(
        &self,
        budget: usize,
        of: impl Fn(PortId) -> bool + Copy,
    ) -> Option<Room> {
        let v4 = || self.victim::<[u8; 4]>(budget, of).map(Room::OfIpv4);
        let v6 = || self.victim::<[u8; 16]>(budget, of).map(Room::OfIpv6);
        if A::INDEX == 0 {
            v4().or_else(v6)
        } else {
            v6().or_else(v4)
        }
    }

    /// An unanswered connection near the hand that may give way to a new one.
    fn victim<A: Address>(&self, budget: usize, of: impl Fn(PortId) -> bool) -> Option<Slot> {
        let table = A::table(&self.tables);
        table.candidate(budget, |slot, entry| {
            let conn = &entry.conn;
            may_give_way(conn.state(), conn.protocol, table.window(slot))
                && of(conn.key.port[conn.originator()])
        })
    }
}

/// Whether a connection may give way to a new one: nobody has answered it, or it is reset. One picked up
/// in the middle is established by its state alone.
fn may_give_way(state: State, protocol: u8, window: &TcpWindow) -> bool {
    match state {
        State::Counted => false,
        State::Close => true,
        State::Established => protocol == protocol::TCP && !window.is_answered(),
        _ => state.is_unreplied(),
    }
}
