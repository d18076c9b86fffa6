//! What a configuration changes, worked out without the switch's lock.
//!
//! ```text
//!   lock: outline ─▶ no lock: Change::new ─▶ lock: swap (pointers, the forwarding database) ─▶ drop the old
//! ```
//! Ports that stay keep their number and their connections, which are evaluated again when touched. Only
//! the thread that applies configurations changes what an outline shows.

use super::fdb::Segment;
use super::numbers::{Numbers, NumbersUsedUp, Offer};
use super::port::{
    CONNTRACK_SHARE, GUEST_TIMES_FREE, Port, PortConfig, PortSetup, UPLINK_TIMES_FREE,
};
use super::prepare::{Common, Prepared, Ready};
use super::{Now, Switch};
use packet::Mac;
use secgroup::{Guard, Members, PortId};
use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use uuid::Uuid;

/// The ports that there are and the numbers that are given: what a configuration is compared with.
#[derive(Debug)]
pub struct Outline {
    ports: Vec<Arc<PortSetup>>,
    numbers: Offer,
    segments: Arc<Numbers>,
    vpcs: Arc<Numbers>,
    connections_max: u32,
}

/// Everything that a configuration changes, ready to be swapped in.
#[derive(Debug)]
pub struct Change {
    numbers: HashMap<Uuid, PortId>,
    pub(super) gone: Vec<(PortId, Uuid)>,
    /// Ports that stay and are set up otherwise.
    pub(super) changed: Vec<(PortId, Arc<PortSetup>)>,
    pub(super) new: Vec<Option<Box<Port>>>,
    /// Of those that stay: whose place in the forwarding database is another.
    pub(super) moved: Vec<PortId>,
    /// MACs that several ports may have, and these ports.
    pub(super) shared_macs: Vec<(Segment, Mac, PortId)>,
    /// Ports whose own MAC others may have too.
    pub(super) shares_mac: HashSet<PortId>,
    own_macs: HashMap<(Segment, Mac), PortId>,
    pub(super) members: Members,
    pub(super) segments: Arc<Numbers>,
    pub(super) vpcs: Arc<Numbers>,
    pub(super) common: Common,
}

impl Switch {
    /// What [`Change::new`] compares a configuration of at most `ports` ports with.
    #[must_use]
    pub fn outline(&self, now: Now, ports: usize) -> Outline {
        let used = self.ports.len();
        Outline {
            ports: self.ports().map(|port| Arc::clone(&port.setup)).collect(),
            numbers: self.numbers.offer(ports, used, now.ms, self.sweep.swept()),
            segments: Arc::clone(&self.segments),
            vpcs: Arc::clone(&self.vpcs),
            connections_max: self.connections_max,
        }
    }
}

impl Change {
    /// From what an outline shows to `prepared`.
    ///
    /// # Errors
    /// [`NumbersUsedUp`] where there are more new ports than free numbers for them.
    pub fn new(outline: Outline, mut prepared: Prepared) -> Result<Self, NumbersUsedUp> {
        let configs = || prepared.ports.iter().map(|port| &port.config);
        let segments = outline.segments.of(configs().map(|port| port.subnet));
        let vpcs = outline.vpcs.of(configs().map(|port| port.vpc));
        for Ready { config, .. } in &mut prepared.ports {
            config.segment = segments.get(config.subnet);
            config.spec.vpc = vpcs.get(config.vpc);
        }
        let mut known: HashMap<Uuid, Arc<PortSetup>> =
            outline.ports.into_iter().map(by_id).collect();
        let (mut stay, mut new) = (Vec::new(), Vec::new());
        for ready in prepared.ports {
            match known.entry(ready.config.id) {
                Entry::Occupied(old) if same_place(&old.get().config, &ready.config) => {
                    stay.push((old.remove(), ready));
                }
                _ => new.push(ready),
            }
        }
        let numbers = outline.numbers.take(new.len())?;
        let gone = known.values().map(|old| (old.number(), old.config.id));
        let mut change = Self {
            numbers: HashMap::with_capacity(stay.len() + new.len()),
            gone: gone.collect(),
            changed: Vec::new(),
            new: Vec::with_capacity(new.len()),
            moved: Vec::new(),
            shared_macs: Vec::new(),
            shares_mac: HashSet::new(),
            own_macs: HashMap::new(),
            members: Members::default(),
            segments: Arc::new(segments),
            vpcs: Arc::new(vpcs),
            common: prepared.common,
        };
        change.gone.sort_unstable();
        for (old, ready) in stay {
            let setup = ready.set_up(old.number(), outline.connections_max);
            change.note(&setup);
            change.changes(&old, setup);
        }
        for (number, ready) in numbers.into_iter().zip(new) {
            let setup = ready.set_up(number, outline.connections_max);
            change.note(&setup);
            change.new.push(Some(Box::new(Port::new(Arc::new(setup)))));
        }
        change
            .shared_macs
            .sort_unstable_by_key(|&(.., number)| number);
        let own_macs = std::mem::take(&mut change.own_macs);
        let sharing = change.shared_macs.iter();
        let sharing = sharing.filter_map(|&(segment, mac, _)| own_macs.get(&(segment, mac)));
        change.shares_mac = sharing.copied().collect();
        Ok(change)
    }

    /// The numbers of all ports that the configuration has.
    #[must_use]
    pub const fn numbers(&self) -> &HashMap<Uuid, PortId> {
        &self.numbers
    }

    /// What others have to know of a port.
    fn note(&mut self, setup: &PortSetup) {
        self.numbers.insert(setup.config.id, setup.number());
        self.members.join(&setup.config.spec);
        let macs = setup.guard.owned_macs();
        let (segment, number) = (setup.config.segment, setup.number());
        self.own_macs.insert((segment, setup.mac()), number);
        let shared = macs.iter().filter(|&&mac| mac != setup.mac());
        self.shared_macs
            .extend(shared.map(|&mac| (segment, mac, number)));
    }

    fn changes(&mut self, old: &PortSetup, setup: PortSetup) {
        if old.says_the_same(&setup) {
            return;
        }
        let number = setup.number();
        if old.filters() != setup.filters() || old.guard.owned_macs() != setup.guard.owned_macs() {
            self.moved.push(number);
        }
        self.changed.push((number, Arc::new(setup)));
    }
}

fn by_id(setup: Arc<PortSetup>) -> (Uuid, Arc<PortSetup>) {
    (setup.config.id, setup)
}

/// Whether a port may keep its number: the same subnet, VPC and role.
fn same_place(old: &PortConfig, new: &PortConfig) -> bool {
    old.subnet == new.subnet && old.vpc == new.vpc && old.spec.uplink == new.spec.uplink
}

impl Ready {
    fn set_up(mut self, number: PortId, connections_max: u32) -> PortSetup {
        self.config.spec.port = number;
        let (share, times_free) = if self.config.spec.uplink {
            (connections_max, UPLINK_TIMES_FREE)
        } else {
            let share = (connections_max / CONNTRACK_SHARE).max(1);
            (share, GUEST_TIMES_FREE)
        };
        let limit = self.config.conntrack_limit;
        PortSetup {
            guard: Guard::new(&self.config.spec),
            connections_max: limit.unwrap_or(share),
            times_free: limit.is_none().then_some(times_free),
            policy: self.policy,
            stateful: self.stateful,
            config: self.config,
        }
    }
}
