//! A port of the switch: who it is, what it may do, what was counted at it.

use super::counters::PortCounters;
use super::fdb::Segment;
use super::fragments::Reassembly;
use flowlog::Skipped;
use packet::{Mac, Wire};
use secgroup::conntrack::{OwnTimeouts, Slot};
use secgroup::{Guard, Policy, PortId, PortSpec};
use std::ops::Deref;
use std::sync::Arc;
use uuid::Uuid;

/// Records that one port's traffic may add to a window, unless configured. 262,144 rows are 13 files
/// of a service that cuts at 20,000.
pub const FLOW_LIMIT: u32 = 262_144;

/// Each port's default share of the connection table: a quarter. Linux's whole default table is
/// 262,144, a quarter of ours.
pub(super) const CONNTRACK_SHARE: u32 = 4;

/// Without a limit of its own a port may open as many connections as there is room left besides, so that
/// however many fill the table together leave as much room as each has taken (dynamic thresholds, as
/// switches share packet memory). An uplink, with many hosts behind it, may have four times that.
pub(super) const GUEST_TIMES_FREE: u32 = 1;
pub(super) const UPLINK_TIMES_FREE: u32 = 4;

/// MACs learned behind an uplink: a campus, not a flood.
pub const UPLINK_MACS: usize = 4096;

/// A port as configured.
#[derive(Debug, Clone, PartialEq)]
pub struct PortConfig {
    /// What Security Groups know of it. The numbers of port and VPC in it are given by the switch.
    pub spec: PortSpec,
    /// Its UUID.
    pub id: Uuid,
    /// Its name.
    pub name: String,
    /// Its subnet: ports of one subnet share a segment.
    pub subnet: Uuid,
    /// Its VPC: addresses of different VPCs never meet.
    pub vpc: Uuid,
    /// The subnet's number, given by the switch.
    pub segment: Segment,
    /// Greatest IP packet it receives, bytes.
    pub mtu: u16,
    /// MACs that may be learned behind it.
    pub max_macs: usize,
    /// Connections that it may have opened; `None` is its default share.
    pub conntrack_limit: Option<u32>,
    /// Idle timeouts of its own.
    pub timeouts: Option<Box<OwnTimeouts>>,
    /// Whether its TCP connections are held to their windows loosely; `None`: as all.
    pub tcp_be_liberal: Option<bool>,
    /// Records that it may add to a window.
    pub flow_limit: u32,
}

/// What a configuration makes of a port. Made without the switch's lock, and exchanged whole.
#[derive(Debug)]
pub struct PortSetup {
    /// As configured.
    pub config: PortConfig,
    /// Anti-spoofing and essentials.
    pub guard: Guard,
    /// Its groups' rules; `None`: it filters nothing.
    pub policy: Option<Arc<Policy>>,
    /// Whether its replies pass by state.
    pub stateful: bool,
    /// Connections that it may have opened at most.
    pub connections_max: u32,
    /// How many times the room left it may have opened; `None`: its limit is written down, and exact.
    pub times_free: Option<u32>,
}

/// A port at work. What is configured of it reads as its own.
#[derive(Debug)]
pub struct Port {
    pub(super) setup: Arc<PortSetup>,
    /// Whether another port of its segment may use its MAC too, by an allowed address pair.
    pub(super) shares_mac: bool,
    /// Whether its TAP is there.
    pub up: bool,
    /// Live connections that it opened.
    pub connections: u32,
    /// Connections it opened last: at its limit the first of them to give way.
    pub(super) recent: Recent,
    /// Entries that its traffic has added to the open window's log, and to the one that is closing.
    pub added: [u32; 2],
    /// Entries that were added here for senders without a share left, in the same two windows: as many
    /// again as its own share, so that a guest that floods cannot have itself left out of its victims' log.
    pub added_for_others: [u32; 2],
    /// MACs learned behind it now.
    pub learned: usize,
    /// Datagrams in fragments that it has under way.
    pub(super) reassembly: Box<Reassembly>,
    /// Lack of capacity in the open window, and in the one that is closing.
    pub skipped: [Skipped; 2],
    /// What was counted.
    pub counters: PortCounters,
}

impl Deref for Port {
    type Target = PortSetup;

    #[inline]
    fn deref(&self) -> &PortSetup {
        &self.setup
    }
}

impl PortSetup {
    /// The port's number.
    #[inline]
    #[must_use]
    pub const fn number(&self) -> PortId {
        self.config.spec.port
    }

    /// Whether Security Groups and anti-spoofing apply at this port.
    #[inline]
    #[must_use]
    pub const fn filters(&self) -> bool {
        self.policy.is_some()
    }

    /// The port's MAC.
    #[inline]
    #[must_use]
    pub const fn mac(&self) -> Mac {
        self.config.spec.mac
    }

    /// Whether two setups make the same of a port.
    pub(super) fn says_the_same(&self, other: &Self) -> bool {
        let same_policy = match (&self.policy, &other.policy) {
            (Some(mine), Some(theirs)) => Arc::ptr_eq(mine, theirs),
            (None, None) => true,
            _ => false,
        };
        same_policy
            && self.stateful == other.stateful
            && self.connections_max == other.connections_max
            && self.times_free == other.times_free
            && self.config == other.config
    }
}

impl Port {
    /// Its number.
    #[inline]
    #[must_use]
    pub fn number(&self) -> PortId {
        self.setup.number()
    }

    /// Whether Security Groups and anti-spoofing apply at this port.
    #[inline]
    #[must_use]
    pub fn filters(&self) -> bool {
        self.setup.filters()
    }

    /// A port that is up and has counted nothing.
    pub(super) fn new(setup: Arc<PortSetup>) -> Self {
        Self {
            setup,
            shares_mac: false,
            up: true,
            connections: 0,
            recent: Recent::default(),
            added: [0; 2],
            added_for_others: [0; 2],
            learned: 0,
            reassembly: Box::default(),
            skipped: [Skipped::default(); 2],
            counters: PortCounters::default(),
        }
    }

    /// Whether it has opened as many connections as it may at most.
    #[inline]
    #[must_use]
    pub fn is_at_its_limit(&self) -> bool {
        self.connections >= self.connections_max
    }

    /// Fragments of its guest that wait for their datagram.
    #[must_use]
    pub fn held(&self) -> u32 {
        self.reassembly.held.fragments
    }

    /// Counts packets that no record will hold.
    #[inline]
    pub(super) fn skip(
        &mut self,
        older: bool,
        direction: packet::Direction,
        accepted: bool,
        wire: Wire,
    ) {
        self.counters
            .skipped
            .add(direction, accepted, u64::from(wire.packets));
        let skipped = &mut self.skipped[usize::from(older)];
        skipped.packets += u64::from(wire.packets);
        skipped.bytes += u64::from(wire.bytes);
    }
}

/// Connections of a port that are remembered as its latest.
pub(super) const RECENT_MAX: usize = 32;

/// A connection as its opener remembers it: what stands in the slot may have gone and another have come,
/// so whoever asks compares the hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Opened {
    /// IPv4 0, IPv6 1.
    pub(super) family: u8,
    pub(super) slot: Slot,
    /// Of its key, cut.
    pub(super) hash: u32,
}

/// A port's latest connections.
#[derive(Debug, Default)]
pub(super) struct Recent {
    opened: Vec<Opened>,
    /// Where the next one goes: the place of the oldest, once all are taken.
    next: usize,
}

impl Recent {
    /// The connection opened now.
    pub(super) fn push(&mut self, opened: Opened) {
        match self.opened.get_mut(self.next) {
            Some(place) => *place = opened,
            None => self.opened.push(opened),
        }
        self.next = (self.next + 1) % RECENT_MAX;
    }

    /// The oldest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Opened> + '_ {
        let (new, old) = self.opened.split_at(self.next.min(self.opened.len()));
        old.iter().chain(new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_of_the_latest_comes_first() {
        let mut recent = Recent::default();
        let slots = |recent: &Recent| {
            recent
                .iter()
                .map(|opened| opened.slot.0)
                .collect::<Vec<_>>()
        };
        let opened = |slot| Opened {
            family: 0,
            slot: Slot(slot),
            hash: 0,
        };
        (0..5).for_each(|slot| recent.push(opened(slot)));
        assert_eq!(slots(&recent), [0, 1, 2, 3, 4]);
        (5..40).for_each(|slot| recent.push(opened(slot)));
        assert_eq!(slots(&recent), (8..40).collect::<Vec<_>>());
    }
}
