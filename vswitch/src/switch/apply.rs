//! A configuration is swapped in, under a new policy epoch: what [`Change`] has worked out before is only
//! put into place here, so that the switch's lock is held for a fraction of a millisecond for thousands of ports.

use super::change::Change;
use super::fdb::Place;
use super::numbers::NumbersUsedUp;
use super::port::{Port, PortSetup};
use super::prepare::Prepared;
use super::{Now, Switch};
use flowlog::Window;
use packet::Mac;
use secgroup::conntrack::Settings;
use secgroup::{Members, PortId};
use std::collections::HashSet;
use std::sync::Arc;
use uuid::Uuid;

/// Ports by number and UUID.
pub type Numbered = Vec<(PortId, Uuid)>;

/// What a swap leaves behind, to be dropped without the lock: thousands of lists of addresses and rules.
#[derive(Debug, Default)]
pub(super) struct Retired {
    ports: Vec<Option<Box<Port>>>,
    setups: Vec<Arc<PortSetup>>,
    members: Members,
}

impl Switch {
    /// Applies a configuration in one go: outline, change and swap. Returns which ports are new and which are
    /// gone, by number and UUID.
    ///
    /// # Errors
    /// [`NumbersUsedUp`]; nothing has changed then.
    pub fn apply(
        &mut self,
        now: Now,
        prepared: Prepared,
    ) -> Result<(Numbered, Numbered), NumbersUsedUp> {
        let outline = self.outline(now, prepared.ports());
        let change = Change::new(outline, prepared)?;
        Ok(self.swap(now, change))
    }

    /// Swaps in what a change to this switch's latest outline says. Returns as [`Self::apply`].
    ///
    /// Where the length of the windows changes and [`Self::is_closing`], a round of the sweep is finished
    /// first: a caller that may not hold the lock for so long sweeps before.
    pub fn swap(&mut self, now: Now, change: Change) -> (Numbered, Numbered) {
        // Fetched by the caller, who holds the lock, as a rule; else it goes now.
        self.retired = Retired::default();
        for (number, setup) in change.changed {
            self.set_up_anew(number, setup);
        }
        self.remove(now, &change.gone, &change.moved);
        let new = self.add(change.new);
        for number in change.moved {
            self.place_own_mac(number);
        }
        self.share_own_macs(&change.shares_mac);
        // What ports leave behind that others own too becomes theirs.
        for (segment, mac, number) in change.shared_macs {
            let learned_at = self.fdb.inherit(segment, mac, number);
            self.forget_one_learned(learned_at);
        }
        self.retired.members = std::mem::replace(&mut self.members, change.members);
        self.segments = change.segments;
        self.vpcs = change.vpcs;
        let common = change.common;
        self.numbers.intervals_up_to(common.longest_interval_s);
        self.own_timeouts = common.own_timeouts;
        self.other_settings = Settings {
            tcp_be_liberal: !common.settings.tcp_be_liberal,
            ..common.settings
        };
        self.settings = common.settings;
        self.persist_established = common.persist_established;
        if !common.recording.macs_apart {
            self.macs.clear();
        }
        self.recording = common.recording;
        if self.window_length_s != common.window_length_s {
            self.window_length_s = common.window_length_s;
            let next = Window::of(now.wall_us / 1_000_000, self.window_length_s);
            self.close_window(now, next);
        }
        self.next_epoch(now);
        (new, change.gone)
    }

    /// Takes ports out that are gone, and those that move out of the forwarding database. Nothing reaches the
    /// entries of the former any more; the sweep takes them out.
    fn remove(&mut self, now: Now, gone: &[(PortId, Uuid)], moved: &[PortId]) {
        if gone.is_empty() && moved.is_empty() {
            return;
        }
        let mut leaves = vec![false; self.ports.len()];
        let numbers = gone.iter().map(|(number, _)| number);
        for number in numbers.chain(moved) {
            leaves[usize::from(number.0)] = true;
        }
        let stays_shared = |mac: Mac, place: &Place| {
            let port = self.ports[usize::from(place.port.0)].as_deref();
            let is_gone = gone
                .binary_search_by_key(&place.port, |(number, _)| *number)
                .is_ok();
            let owns = |port: &Port| mac != port.mac() && port.guard.owned_macs().contains(&mac);
            place.shared && !is_gone && port.is_some_and(owns)
        };
        self.fdb.detach(
            |port| leaves[usize::from(port.0)],
            |mac, place| !stays_shared(mac, place),
        );
        for &(number, _) in gone {
            // What waits goes with its sender. What waits for its way to this port finds its time over.
            if let Some(port) = self.ports[usize::from(number.0)].take() {
                self.held.sub(port.reassembly.held);
                self.retired.ports.push(Some(port));
                self.numbers.rest(number, now.ms, self.sweep.begun());
            }
        }
        for &number in moved {
            if let Some(port) = self.port_mut(number) {
                port.learned = 0;
            }
        }
    }

    /// A port that stays: its addresses, groups and limits may be others.
    fn set_up_anew(&mut self, number: PortId, setup: Arc<PortSetup>) {
        let Some(port) = self.port_mut(number) else {
            return;
        };
        if port.filters() != setup.filters() {
            port.reassembly.forget_verdicts();
        }
        let old = std::mem::replace(&mut port.setup, setup);
        self.retired.setups.push(old);
    }

    /// Puts new ports into the places of their numbers.
    fn add(&mut self, new: Vec<Option<Box<Port>>>) -> Numbered {
        let numbers: Vec<PortId> = new.iter().flatten().map(|port| port.number()).collect();
        self.numbers.give(&numbers, self.ports.len());
        let mut added = Vec::with_capacity(new.len());
        for port in new.into_iter().flatten() {
            let (number, id) = (port.number(), port.config.id);
            let place = usize::from(number.0);
            if place >= self.ports.len() {
                self.ports.resize_with(place + 1, || None);
            }
            self.ports[place] = Some(port);
            self.place_own_mac(number);
            added.push((number, id));
        }
        self.audit_more_ports();
        added
    }

    /// Puts a port and its own MAC into the forwarding database.
    fn place_own_mac(&mut self, number: PortId) {
        let place = self.ports.get(usize::from(number.0));
        let Some(port) = place.and_then(Option::as_ref) else {
            return;
        };
        let (segment, takes_unknown) = (port.config.segment, !port.filters());
        let learned_at = self.fdb.attach(segment, number, port.mac(), takes_unknown);
        self.forget_one_learned(learned_at);
    }

    /// Notes which ports' own MACs others may use too: those are wherever they were sent from last (a bond over
    /// two ports, VRRP), and their owner's where the port that had taken one over has lost it.
    fn share_own_macs(&mut self, sharing: &HashSet<PortId>) {
        for place in 0..self.ports.len() {
            let Some(port) = self.ports[place].as_deref_mut() else {
                continue;
            };
            let shares = !sharing.is_empty() && sharing.contains(&port.number());
            if !std::mem::replace(&mut port.shares_mac, shares) && !shares {
                continue;
            }
            let (segment, own, number) = (port.config.segment, port.mac(), port.number());
            let learned_at = self.fdb.inherit(segment, own, number);
            self.fdb.share(segment, own);
            self.forget_one_learned(learned_at);
        }
    }

    /// A MAC that was learned at a port has become another's own: there is room for one more.
    fn forget_one_learned(&mut self, learned_at: Option<PortId>) {
        if let Some(port) = learned_at {
            self.change_learned(port, -1);
        }
    }

    /// The policy's next number. Entries may bear numbers of up to the last whole round of the sweep, which
    /// has marked all older ones as stale: only where there was none for 65,535 policies, one goes here.
    fn next_epoch(&mut self, now: Now) {
        if self.policy_epoch == u16::MAX {
            self.policy_epoch = 0;
            self.denied.v4.clear();
            self.denied.v6.clear();
        }
        self.policy_epoch += 1;
        self.policies += 1;
        if self.policies - self.sweep.policies_seen() >= u64::from(u16::MAX) {
            let epoch = std::mem::take(&mut self.policy_epoch);
            self.whole_round(now);
            self.policy_epoch = epoch;
        }
        self.look_for_orphans();
    }
}
