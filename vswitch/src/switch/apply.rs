//! A configuration: built aside, outside the lock, and swapped in under a new policy epoch.
//!
//! Ports that stay keep their number and their connections, which are judged again when touched. A port
//! that goes takes its number with it: numbers are not given again, so that a new guest with an old
//! address inherits nothing.

use super::counters::PortCounters;
use super::port::{CONNTRACK_SHARE, Port, PortConfig, Recent};
use super::{Now, Switch};
use flowlog::{Recording, Skipped};
use secgroup::conntrack::Settings;
use secgroup::{
    AddressGroup, Group, Guard, Model, ModelError, Policy, PortId, Remote, Rule, RuleTable,
};
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

/// A configuration with its policies compiled: everything that needs no switch is done here, so that the
/// swap is short.
#[derive(Debug)]
pub struct Prepared {
    ports: Vec<Ready>,
    /// Where each port stands in `ports`.
    places: HashMap<Uuid, usize>,
    own_timeouts: bool,
    settings: Settings,
    persist_established: bool,
    window_length_s: u32,
    recording: Recording,
}

/// A port with what its groups say.
#[derive(Debug)]
struct Ready {
    config: PortConfig,
    policy: Option<Arc<Policy>>,
    stateful: bool,
}

/// What a swap leaves behind, to be dropped without the lock: thousands of lists of addresses and rules.
#[derive(Debug, Default)]
pub(super) struct Retired {
    ports: Vec<Option<Box<Port>>>,
    configs: Vec<(PortConfig, Option<Arc<Policy>>)>,
}

/// Policies by set of groups, and what they were compiled from: the next configuration takes over those that
/// say the same, so that a reload that moves members compiles nothing.
#[derive(Debug, Default)]
pub struct Compiled {
    model: Model,
    policies: HashMap<Vec<Uuid>, Arc<Policy>>,
}

impl Compiled {
    /// The policies whose groups mean in `model` what they meant before.
    fn still_valid(&self, model: &Model) -> HashMap<Vec<Uuid>, Arc<Policy>> {
        let (before, now) = (Meanings::of(&self.model), Meanings::of(model));
        let mut known = HashMap::new();
        let mut same = |id: Uuid| *known.entry(id).or_insert_with(|| before.agrees(&now, id));
        let valid = self
            .policies
            .iter()
            .filter(|(set, _)| set.iter().all(|id| same(*id)));
        valid
            .map(|(set, policy)| (set.clone(), Arc::clone(policy)))
            .collect()
    }
}

/// Groups and address groups by id.
struct Meanings<'a> {
    groups: HashMap<Uuid, &'a Group>,
    lists: HashMap<Uuid, &'a AddressGroup>,
}

impl<'a> Meanings<'a> {
    fn of(model: &'a Model) -> Self {
        let lists = model.address_groups.iter();
        Self {
            groups: model.groups.iter().map(|group| (group.id, group)).collect(),
            lists: lists.map(|list| (list.id, list)).collect(),
        }
    }

    /// Whether a group has the same rules in both, and the same prefixes behind them.
    fn agrees(&self, other: &Self, group: Uuid) -> bool {
        let (Some(mine), Some(theirs)) = (self.groups.get(&group), other.groups.get(&group)) else {
            return !self.groups.contains_key(&group) && !other.groups.contains_key(&group);
        };
        let same_list = |rule: &Rule| match &rule.remote {
            Remote::AddressGroup(id) => self.lists.get(id) == other.lists.get(id),
            Remote::Any | Remote::Prefix(_) | Remote::Group(_) => true,
        };
        mine == theirs && mine.rules.iter().all(same_list)
    }
}

impl Prepared {
    /// Compiles every distinct set of groups once.
    ///
    /// # Errors
    /// [`ModelError`] where the model contradicts itself or passes a limit.
    pub fn new(config: SwitchConfig, rules: &mut RuleTable) -> Result<Self, ModelError> {
        let (prepared, _) = Self::after(&Compiled::default(), config, rules)?;
        Ok(prepared)
    }

    /// As [`Self::new`], with the policies of an earlier configuration, compiled with the same `rules`,
    /// where they still hold; and what is compiled then, for the next one.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn after(
        before: &Compiled,
        config: SwitchConfig,
        rules: &mut RuleTable,
    ) -> Result<(Self, Compiled), ModelError> {
        let model = config.model;
        let mut known = before.still_valid(&model);
        let groups = Meanings::of(&model).groups;
        let mut policies: HashMap<Vec<Uuid>, Arc<Policy>> = HashMap::new();
        let mut ports = Vec::with_capacity(config.ports.len());
        for port in config.ports {
            let policy = if filters(&port) {
                Some(match policies.entry(group_set(&port)) {
                    Entry::Occupied(known) => Arc::clone(known.get()),
                    Entry::Vacant(place) => {
                        let set = place.key();
                        let policy = match known.remove(set) {
                            Some(policy) => policy,
                            None => {
                                let members = set.iter().filter_map(|id| groups.get(id).copied());
                                let members: Vec<&Group> = members.collect();
                                let lists = &model.address_groups;
                                Arc::new(Policy::compile(&members, lists, rules)?)
                            }
                        };
                        Arc::clone(place.insert(policy))
                    }
                })
            } else {
                None
            };
            let stateless = |id: &Uuid| groups.get(id).is_some_and(|group| !group.stateful);
            ports.push(Ready {
                stateful: policy.is_some() && !port.spec.groups.iter().any(stateless),
                config: port,
                policy,
            });
        }
        let places = ports.iter().enumerate();
        let prepared = Self {
            places: places
                .map(|(place, port)| (port.config.id, place))
                .collect(),
            own_timeouts: ports.iter().any(|port| port.config.timeouts.is_some()),
            ports,
            settings: config.settings,
            persist_established: config.persist_established,
            window_length_s: config.window_length_s,
            recording: config.recording,
        };
        Ok((prepared, Compiled { model, policies }))
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
    pub fn apply(&mut self, now: Now, mut prepared: Prepared) -> (Numbered, Numbered) {
        // Fetched by whoever holds the lock, as a rule; else it goes now.
        self.retired = Retired::default();
        for port in &mut prepared.ports {
            port.config.segment = self.segments.of(port.config.subnet);
            port.config.spec.vpc = self.vpcs.of(port.config.vpc);
        }
        let stays = |port: &Port| {
            let place = prepared.places.get(&port.config.id);
            place.is_some_and(|&place| same_place(&port.config, &prepared.ports[place].config))
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
        for Ready {
            config,
            policy,
            stateful,
        } in prepared.ports
        {
            let connections_max = config
                .conntrack_limit
                .unwrap_or_else(|| self.share(&config));
            match numbers.get(&config.id) {
                Some(&number) => self.change(number, config, policy, stateful, connections_max),
                None => new.extend(self.attach(config, policy, stateful, connections_max)),
            }
        }
        self.replace_shared_macs();
        self.own_timeouts = prepared.own_timeouts;
        self.other_settings = Settings {
            tcp_be_liberal: !prepared.settings.tcp_be_liberal,
            ..prepared.settings
        };
        self.settings = prepared.settings;
        self.persist_established = prepared.persist_established;
        if !prepared.recording.macs_apart {
            self.macs.clear();
        }
        self.recording = prepared.recording;
        if self.window_length_s != prepared.window_length_s {
            self.window_length_s = prepared.window_length_s;
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
            recent: Recent::default(),
            added: [0; 2],
            added_for_others: [0; 2],
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
        number: PortId,
        mut config: PortConfig,
        policy: Option<Arc<Policy>>,
        stateful: bool,
        connections_max: u32,
    ) {
        config.spec.port = number;
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
        let old_policy = std::mem::replace(&mut port.policy, policy);
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
        self.retired.configs.push((old, old_policy));
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

    /// What ports leave behind that others own too becomes theirs: in one walk, for all wait for it.
    fn replace_shared_macs(&mut self) {
        for port in self.ports.iter().flatten() {
            let macs = port.guard.owned_macs();
            for &mac in macs.iter().filter(|_| macs.len() > 1) {
                self.fdb.inherit(port.config.segment, mac, port.number());
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
        // What waits goes with its sender. What waits for its way to this port finds its time over.
        let gone = self.ports.get_mut(usize::from(number.0));
        if let Some(gone) = gone.and_then(Option::take) {
            self.held.sub(gone.reassembly.held);
            self.retired.ports.push(Some(gone));
        }
    }

    fn next_epoch(&mut self, now: Now) {
        if self.policy_epoch == u16::MAX {
            // Every entry is marked stale (0) before the numbers begin again.
            self.policy_epoch = 0;
            self.whole_round(now);
            self.denied.v4.clear();
            self.denied.v6.clear();
        }
        self.policy_epoch += 1;
        self.look_for_orphans();
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

#[cfg(test)]
mod tests {
    use super::*;

    const ID: Uuid = Uuid::from_u128(7);
    const LIST: Uuid = Uuid::from_u128(9);

    fn model(rules: &[&str], prefixes: &[&str]) -> Model {
        let rules = rules
            .iter()
            .map(|rule| Rule::parse(rule, ID).expect("a rule"));
        Model {
            groups: vec![Group {
                id: ID,
                name: "g".into(),
                rules: rules.collect(),
                stateful: true,
            }],
            address_groups: vec![AddressGroup {
                id: LIST,
                name: "l".into(),
                prefixes: prefixes
                    .iter()
                    .map(|prefix| prefix.parse().expect("a prefix"))
                    .collect(),
            }],
        }
    }

    #[test]
    fn a_policy_is_taken_over_while_its_groups_and_their_lists_mean_the_same() {
        let listed = format!("ingress IPv4 tcp 80 from address-group {LIST}");
        let plain = "ingress IPv4 tcp 80 from any";
        let compiled = |model: Model| {
            let groups: Vec<&Group> = model.groups.iter().collect();
            let policy = Policy::compile(&groups, &model.address_groups, &mut RuleTable::default());
            let policies = HashMap::from([(vec![ID], Arc::new(policy.expect("it is sound")))]);
            Compiled { model, policies }
        };
        let with_list = compiled(model(&[&listed], &["10.0.0.0/8"]));
        let without = compiled(model(&[plain], &["10.0.0.0/8"]));
        let kept = |before: &Compiled, now: &Model| before.still_valid(now).len();
        assert_eq!(kept(&with_list, &model(&[&listed], &["10.0.0.0/8"])), 1);
        assert_eq!(kept(&with_list, &model(&[&listed], &["10.0.0.0/9"])), 0);
        assert_eq!(kept(&without, &model(&[plain], &["10.0.0.0/9"])), 1);
        assert_eq!(kept(&without, &model(&[&listed], &["10.0.0.0/8"])), 0);
        assert_eq!(kept(&without, &Model::default()), 0);
    }
}
