//! A configuration with its policies compiled: all that needs no switch.

use super::port::PortConfig;
use flowlog::Recording;
use secgroup::conntrack::Settings;
use secgroup::{AddressGroup, Group, Model, ModelError, Policy, Remote, Rule, RuleTable};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use uuid::Uuid;

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
    /// The longest interval of a logger, seconds: so long the log may speak of a port that is gone.
    pub longest_interval_s: u32,
    /// What the loggers ask for beyond counting by tuple and verdict.
    pub recording: Recording,
}

/// A configuration with its policies compiled: everything that needs no switch is done here, so that the
/// swap is short.
#[derive(Debug)]
pub struct Prepared {
    pub(super) ports: Vec<Ready>,
    pub(super) common: Common,
}

/// What holds for the whole switch.
#[derive(Debug)]
pub(super) struct Common {
    pub(super) own_timeouts: bool,
    pub(super) settings: Settings,
    pub(super) persist_established: bool,
    pub(super) window_length_s: u32,
    pub(super) longest_interval_s: u32,
    pub(super) recording: Recording,
}

/// A port with what its groups say.
#[derive(Debug)]
pub(super) struct Ready {
    pub(super) config: PortConfig,
    pub(super) policy: Option<Arc<Policy>>,
    pub(super) stateful: bool,
}

/// A port whose groups cannot be compiled into a policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("port `{port}`, security groups {groups}: {cause}")]
pub struct PolicyError {
    /// Name of the first port that has these groups.
    pub port: String,
    /// Their names, in quotes.
    pub groups: String,
    /// What is wrong with them together.
    pub cause: ModelError,
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
    /// Its ports' number.
    #[must_use]
    pub const fn ports(&self) -> usize {
        self.ports.len()
    }

    /// Compiles every distinct set of groups once.
    ///
    /// # Errors
    /// [`PolicyError`] where the model contradicts itself or passes a limit.
    pub fn new(config: SwitchConfig, rules: &mut RuleTable) -> Result<Self, PolicyError> {
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
    ) -> Result<(Self, Compiled), PolicyError> {
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
                                let compiled = Policy::compile(&members, lists, rules);
                                Arc::new(compiled.map_err(|cause| PolicyError {
                                    port: port.name.clone(),
                                    groups: quoted_names(&members),
                                    cause,
                                })?)
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
        let prepared = Self {
            common: Common {
                own_timeouts: ports.iter().any(|port| port.config.timeouts.is_some()),
                settings: config.settings,
                persist_established: config.persist_established,
                window_length_s: config.window_length_s,
                longest_interval_s: config.longest_interval_s,
                recording: config.recording,
            },
            ports,
        };
        Ok((prepared, Compiled { model, policies }))
    }
}

/// The groups' names as a message lists them.
fn quoted_names(groups: &[&Group]) -> String {
    let names: Vec<String> = groups
        .iter()
        .map(|group| format!("`{}`", group.name))
        .collect();
    names.join(", ")
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
