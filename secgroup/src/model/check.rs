//! All mistakes of meaning at once, in the order of the configuration.

use super::{Model, ModelError};
use crate::limits::Limit;
use crate::{Group, PortSpec, Remote};
use ipnet::IpNet;
use std::collections::{HashMap, HashSet};
use std::net::Ipv4Addr;
use uuid::Uuid;

type Groups<'a> = HashMap<Uuid, &'a Group>;

impl Model {
    /// Everything that is wrong with these groups, and with these ports under them. Empty: all is well.
    #[must_use]
    pub fn check(&self, ports: &[PortSpec]) -> Vec<ModelError> {
        let mut errors = Vec::new();
        let groups: Groups<'_> = self.groups.iter().map(|group| (group.id, group)).collect();
        errors.extend(Limit::Groups.check(self.groups.len()).err());
        errors.extend(Limit::AddressGroups.check(self.address_groups.len()).err());
        self.check_ids(&mut errors);
        self.check_remotes(&groups, &mut errors);
        for list in &self.address_groups {
            errors.extend(
                Limit::PrefixesPerAddressGroup
                    .check(list.prefixes.len())
                    .err(),
            );
        }
        for port in ports {
            check_addresses(port, &mut errors);
            check_groups(port, &groups, &mut errors);
        }
        errors
    }

    /// What a reload may not change under the ports that use it: whether a group is stateful
    /// (OpenStack Networking API, `stateful`).
    #[must_use]
    pub fn check_change(&self, running: &Self, ports: &[PortSpec]) -> Vec<ModelError> {
        let before: Groups<'_> = running
            .groups
            .iter()
            .map(|group| (group.id, group))
            .collect();
        let changed = self.groups.iter().filter(|group| {
            before
                .get(&group.id)
                .is_some_and(|before| before.stateful != group.stateful)
        });
        changed
            .filter_map(|group| {
                let user = ports.iter().find(|port| port.groups.contains(&group.id))?;
                Some(ModelError::StatefulChanged {
                    group: group.name.clone(),
                    port: user.port,
                })
            })
            .collect()
    }

    fn check_ids(&self, errors: &mut Vec<ModelError>) {
        let groups = self.groups.iter().map(|group| group.id);
        let lists = self.address_groups.iter().map(|list| list.id);
        let rules = self
            .groups
            .iter()
            .flat_map(|group| &group.rules)
            .map(|rule| rule.id);
        let mut seen = HashSet::new();
        let twice = groups
            .chain(lists)
            .chain(rules)
            .filter(|id| !seen.insert(*id));
        errors.extend(twice.map(ModelError::DuplicateId));
    }

    fn check_remotes(&self, groups: &Groups<'_>, errors: &mut Vec<ModelError>) {
        let lists: HashSet<Uuid> = self.address_groups.iter().map(|list| list.id).collect();
        let rules = self
            .groups
            .iter()
            .flat_map(|g| g.rules.iter().map(move |rule| (g, rule)));
        for (group, rule) in rules {
            let (group, text) = (|| group.name.clone(), || rule.to_string());
            match rule.remote {
                Remote::Group(id) if !groups.contains_key(&id) => {
                    errors.push(ModelError::UnknownRemoteGroup {
                        group: group(),
                        rule: text(),
                        id,
                    });
                }
                Remote::AddressGroup(id) if !lists.contains(&id) => {
                    errors.push(ModelError::UnknownAddressGroup {
                        group: group(),
                        rule: text(),
                        id,
                    });
                }
                Remote::Any | Remote::Prefix(_) | Remote::Group(_) | Remote::AddressGroup(_) => {}
            }
        }
    }
}

fn check_addresses(spec: &PortSpec, errors: &mut Vec<ModelError>) {
    let port = spec.port;
    errors.extend(
        Limit::FixedIpsPerPort
            .check_at(Some(port), spec.fixed_ips.len())
            .err(),
    );
    errors.extend(
        Limit::PairsPerPort
            .check_at(Some(port), spec.allowed_address_pairs.len())
            .err(),
    );
    let pair_macs = spec
        .allowed_address_pairs
        .iter()
        .filter_map(|pair| pair.mac);
    let illegal = std::iter::once(spec.mac)
        .chain(pair_macs)
        .filter(|mac| !mac.is_legal_source());
    errors.extend(illegal.map(|mac| ModelError::IllegalMac { port, mac }));
    let illegal = spec.fixed_ips.iter().filter(|ip| {
        let broadcast = **ip == Ipv4Addr::BROADCAST || spec.broadcast.is_some_and(|b| **ip == b);
        ip.is_multicast() || ip.is_unspecified() || broadcast
    });
    errors.extend(illegal.map(|ip| ModelError::IllegalAddress { port, address: *ip }));
    for pair in &spec.allowed_address_pairs {
        if holds_multicast(pair.prefix) {
            errors.push(ModelError::MulticastPair {
                port,
                prefix: pair.prefix,
            });
        }
    }
}

/// Prefixes within the multicast blocks. Those around them, such as /0, mean "any unicast": the
/// guard refuses multicast sources in any case.
fn holds_multicast(prefix: IpNet) -> bool {
    let first = prefix.network();
    first.is_multicast() || first == Ipv4Addr::BROADCAST
}

fn check_groups(spec: &PortSpec, groups: &Groups<'_>, errors: &mut Vec<ModelError>) {
    let port = spec.port;
    errors.extend(
        Limit::GroupsPerPort
            .check_at(Some(port), spec.groups.len())
            .err(),
    );
    if spec.is_unfiltered() && !(spec.groups.is_empty() && spec.allowed_address_pairs.is_empty()) {
        errors.push(ModelError::PortSecurityOff { port });
    }
    let unknown = spec.groups.iter().filter(|id| !groups.contains_key(id));
    errors.extend(unknown.map(|id| ModelError::UnknownGroup { port, id: *id }));

    let known: Vec<_> = spec.groups.iter().filter_map(|id| groups.get(id)).collect();
    let rules = known.iter().map(|group| group.rules.len()).sum();
    errors.extend(Limit::RulesPerPolicy.check_at(Some(port), rules).err());
    let name = |stateful| {
        known
            .iter()
            .find(|group| group.stateful == stateful)
            .map(|group| group.name.clone())
    };
    if let (Some(stateful), Some(stateless)) = (name(true), name(false)) {
        errors.push(ModelError::MixedGroups {
            port,
            stateful,
            stateless,
        });
    }
}
