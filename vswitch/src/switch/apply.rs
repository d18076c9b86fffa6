//! A configuration: built aside, outside the lock, and swapped in under a new policy epoch.
//!
//! Ports that stay keep their number and their connections, which are judged again when touched. A port
//! that goes takes its number with it: numbers are not given again, so that a new guest with an old
//! address inherits nothing.

use super::counters::PortCounters;
use super::port::{CONNTRACK_SHARE, Port, PortConfig};
use super::{Now, Switch};
use flowlog::{Recording, Skipped};
use secgroup::conntrack::Settings;
use secgroup::{Group, Guard, Model, ModelError, Policy, PortId, RuleTable};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use uuid::Uuid;

/// Ports by number and UUID.
pub type Numbered = Vec<(PortId, Uuid)>;

/// What the switch is told to be.
#[derive(Debug, Clone)]
pub struct SwitchConfig {
    /// Its ports. The numbers in their specs are overwritten.
    pub ports: Vec<PortConfig>,
    /// Groups and address groups.
    pub model: Model,
    /// How connections are tracked.
    pub settings: Settings,
    /// Answered connections outlive their rule.
    pub persist_established: bool,
    /// Length of the windows, seconds: divides every logger's interval.
    pub window_length_s: u32,
    /// What the loggers ask for beyond counting by tuple and verdict.
    pub recording: Recording,
}

/// A configuration with its policies compiled.
#[derive(Debug)]
pub struct Prepared {
    config: SwitchConfig,
    policies: HashMap<Vec<Uuid>, Arc<Policy>>,
    stateful: HashMap<Uuid, bool>,
}

impl Prepared {
    /// Compiles every distinct set of groups once.
    ///
    /// # Errors
    /// [`ModelError`] where the model contradicts itself or passes a limit.
    pub fn new(config: SwitchConfig, rules: &mut RuleTable) -> Result<Self, ModelError> {
        let groups: HashMap<Uuid, &Group> = config
            .model
            .groups
            .iter()
            .map(|group| (group.id, group))
            .collect();
        let mut policies = HashMap::new();
        for port in config.ports.iter().filter(|port| filters(port)) {
            let set = group_set(port);
            if let Entry::Vacant(place) = policies.entry(set) {
                let members: Vec<&Group> = place
                    .key()
                    .iter()
                    .filter_map(|id| groups.get(id).copied())
                    .collect();
                let policy = Policy::compile(&members, &config.model.address_groups, rules)?;
                place.insert(Arc::new(policy));
            }
        }
        let stateful = groups
            .values()
            .map(|group| (group.id, group.stateful))
            .collect();
        Ok(Self {
            config,
            policies,
            stateful,
        })
    }
}

fn filters(port: &PortConfig) -> bool {
    port.spec.port_security && !port.spec.uplink
}

fn group_set(port: &PortConfig) -> Vec<Uuid> {
    let mut set = port.spec.groups.clone();
    set.sort_unstable();
    set.dedup();
    set
}

impl Switch {
    /// Swaps a configuration in. Tells which ports are new and which are gone, by number and UUID.
    pub fn apply(&mut self, now: Now, prepared: Prepared) -> (Numbered, Numbered) {
        let Prepared {
            config,
            policies,
            stateful,
        } = prepared;
        let mut config = config;
        for port in &mut config.ports {
            port.segment = self.segments.of(port.subnet);
            port.spec.vpc = self.vpcs.of(port.vpc);
        }
        let wanted: HashMap<Uuid, &PortConfig> =
            config.ports.iter().map(|port| (port.id, port)).collect();
        let stays = |port: &Port| {
            wanted
                .get(&port.config.id)
                .is_some_and(|new| same_place(&port.config, new))
        };
        let gone: Numbered = self
            .ports()
            .filter(|port| !stays(port))
            .map(|port| (port.number(), port.config.id))
            .collect();
        for &(number, _) in &gone {
            self.detach(number);
        }
        let numbers: HashMap<Uuid, PortId> = self
            .ports()
            .map(|port| (port.config.id, port.number()))
            .collect();
        let mut new = Vec::new();
        for mut port in config.ports {
            let policy = policies
                .get(&group_set(&port))
                .filter(|_| filters(&port))
                .cloned();
            let is_stateful = policy.is_some()
                && port
                    .spec
                    .groups
                    .iter()
                    .all(|id| stateful.get(id) != Some(&false));
            let connections_max = port.conntrack_limit.unwrap_or_else(|| self.share(&port));
            match numbers.get(&port.id) {
                Some(&number) => {
                    port.spec.port = number;
                    self.change(port, policy, is_stateful, connections_max);
                }
                None => new.extend(self.attach(port, policy, is_stateful, connections_max)),
            }
        }
        self.settings = config.settings;
        self.persist_established = config.persist_established;
        if !config.recording.macs_apart {
            self.macs.clear();
        }
        self.recording = config.recording;
        if self.window_length_s != config.window_length_s {
            self.window_length_s = config.window_length_s;
            self.flush(now);
        }
        self.next_epoch(now);
        (new, gone)
    }

    fn share(&self, port: &PortConfig) -> u32 {
        if port.spec.uplink {
            self.connections_max
        } else {
            (self.connections_max / CONNTRACK_SHARE).max(1)
        }
    }

    /// A new port gets the next number. `None` where all numbers are used up.
    fn attach(
        &mut self,
        mut config: PortConfig,
        policy: Option<Arc<Policy>>,
        stateful: bool,
        connections_max: u32,
    ) -> Option<(PortId, Uuid)> {
        let number = PortId(
            u16::try_from(self.ports.len())
                .ok()
                .filter(|&number| number < PortId::PSEUDO)?,
        );
        config.spec.port = number;
        let id = config.id;
        self.members.join(&config.spec);
        let guard = Guard::new(&config.spec);
        self.ports.push(Some(Box::new(Port {
            guard,
            policy,
            stateful,
            up: true,
            connections: 0,
            connections_max,
            added: [0; 2],
            learned: 0,
            reassembly: Box::default(),
            skipped: [Skipped::default(); 2],
            counters: PortCounters::default(),
            config,
        })));
        self.place_macs(number);
        self.audit_more_ports();
        Some((number, id))
    }

    /// A port that stays: its addresses, groups and limits may be others.
    fn change(
        &mut self,
        config: PortConfig,
        policy: Option<Arc<Policy>>,
        stateful: bool,
        connections_max: u32,
    ) {
        let number = config.spec.port;
        let Some(port) = self
            .ports
            .get_mut(usize::from(number.0))
            .and_then(Option::as_mut)
        else {
            return;
        };
        let old = std::mem::replace(&mut port.config, config);
        let filters_otherwise = port.policy.is_none() != policy.is_none();
        let changed = old.spec != port.config.spec || filters_otherwise;
        if filters_otherwise {
            port.reassembly.forget_verdicts();
        }
        port.policy = policy;
        port.stateful = stateful;
        port.connections_max = connections_max;
        if changed {
            self.members.leave(&old.spec);
            self.members.join(&port.config.spec);
            port.guard = Guard::new(&port.config.spec);
            port.learned = 0;
            self.fdb.detach(old.segment, number);
            self.place_macs(number);
        }
    }

    /// Puts a port's own MACs into the forwarding database. One that was learned elsewhere leaves its
    /// place, where another may be learned instead.
    fn place_macs(&mut self, number: PortId) {
        let Some(port) = self
            .ports
            .get(usize::from(number.0))
            .and_then(Option::as_ref)
        else {
            return;
        };
        let mut displaced = Vec::new();
        self.fdb.attach(
            port.config.segment,
            number,
            port.guard
                .owned_macs()
                .iter()
                .map(|&mac| (mac, mac != port.mac())),
            port.policy.is_none(),
            |from| displaced.push(from),
        );
        for from in displaced {
            self.change_learned(from, -1);
        }
    }

    /// What a port leaves behind that others own too becomes theirs.
    fn replace_shared_macs(&mut self, segment: super::Segment) {
        let heirs: Vec<(PortId, Vec<packet::Mac>)> = self
            .ports()
            .filter(|port| port.config.segment == segment && port.guard.owned_macs().len() > 1)
            .map(|port| (port.number(), port.guard.owned_macs().to_vec()))
            .collect();
        for (port, macs) in heirs {
            for mac in macs {
                self.fdb.inherit(segment, mac, port);
            }
        }
    }

    /// Removes a port. Nothing reaches its entries any more; the sweep takes them out.
    fn detach(&mut self, number: PortId) {
        let Some(port) = self.port(number) else {
            return;
        };
        let (segment, spec) = (port.config.segment, port.config.spec.clone());
        self.members.leave(&spec);
        self.fdb.detach(segment, number);
        self.replace_shared_macs(segment);
        // What waits goes with its sender. What waits for its way to this port finds its time over.
        let gone = self.ports.get_mut(usize::from(number.0));
        if let Some(gone) = gone.and_then(Option::take) {
            self.held.sub(gone.reassembly.held);
        }
    }

    fn next_epoch(&mut self, now: Now) {
        if self.policy_epoch == u16::MAX {
            // Every entry is marked stale (0) before the numbers begin again.
            self.policy_epoch = 0;
            self.whole_round(now);
        }
        self.policy_epoch += 1;
    }
}

/// Numbers given to UUIDs, each for good.
#[derive(Debug, Default)]
pub(super) struct Numbers(HashMap<Uuid, u16>);

impl Numbers {
    fn of(&mut self, id: Uuid) -> u16 {
        // Subnets and VPCs ever seen; a process that meets 65,536 of them puts the rest into the last.
        let next = u16::try_from(self.0.len()).unwrap_or(u16::MAX);
        *self.0.entry(id).or_insert(next)
    }
}

/// Whether a port may keep its number: the same segment, VPC and role.
fn same_place(old: &PortConfig, new: &PortConfig) -> bool {
    old.segment == new.segment && old.spec.vpc == new.spec.vpc && old.spec.uplink == new.spec.uplink
}
