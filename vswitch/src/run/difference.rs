//! What two configurations have otherwise, object by object, in the words of the file.

use crate::config::{Plan, Port, Subnet};
use secgroup::Group;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::hash::Hash;

/// Objects by kind and name, as `port vm1`, and settings by their keys.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// In the new configuration alone.
    pub added: Vec<String>,
    /// In both, and not the same.
    pub changed: Vec<String>,
    /// In the old configuration alone.
    pub removed: Vec<String>,
}

impl Difference {
    /// From `old` to `new`.
    #[must_use]
    pub fn between(old: &Plan, new: &Plan) -> Self {
        let mut difference = Self::default();
        let settings = [
            ("region", old.region == new.region),
            ("readers_group", old.access == new.access),
            ("conntrack", old.conntrack == new.conntrack),
            ("object_storage", old.object_storage == new.object_storage),
            ("time_zone", old.time_zone == new.time_zone),
        ];
        let changed = settings.iter().filter(|(_, same)| !same);
        difference
            .changed
            .extend(changed.map(|(key, _)| (*key).to_owned()));
        difference.of(
            "vpc",
            &old.vpcs,
            &new.vpcs,
            |vpc| (vpc.id, &vpc.name),
            PartialEq::eq,
        );
        difference.of(
            "subnet",
            &old.subnets,
            &new.subnets,
            |net| (net.id, &net.name),
            |a, b| same_subnet(old, a, new, b),
        );
        let (old_groups, new_groups) = (of_the_file(old), of_the_file(new));
        difference.of(
            "security group",
            &old_groups,
            &new_groups,
            |g| (g.id, &g.name),
            PartialEq::eq,
        );
        let (old_lists, new_lists) = (&old.address_groups, &new.address_groups);
        difference.of(
            "address group",
            old_lists,
            new_lists,
            |g| (g.id, &g.name),
            PartialEq::eq,
        );
        difference.of(
            "port",
            &old.ports,
            &new.ports,
            |port| (port.id, &port.name),
            |a, b| same_port(old, a, new, b),
        );
        difference.of(
            "logger",
            &old.loggers,
            &new.loggers,
            |l| (l.id, &l.name),
            PartialEq::eq,
        );
        difference
    }

    /// Whether the two say the same.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.added.is_empty() && self.changed.is_empty() && self.removed.is_empty()
    }

    /// The objects of one kind, which `identity` gives an id and a name.
    fn of<'a, T, K: Hash + Eq>(
        &mut self,
        kind: &str,
        old: &'a [T],
        new: &'a [T],
        identity: impl Fn(&'a T) -> (K, &'a String),
        same: impl Fn(&T, &T) -> bool,
    ) {
        let label = |name: &String| format!("{kind} {name}");
        let mut before: HashMap<K, &T> = old.iter().map(|it| (identity(it).0, it)).collect();
        for now in new {
            let (id, name) = identity(now);
            match before.remove(&id) {
                None => self.added.push(label(name)),
                Some(was) if !same(was, now) => self.changed.push(label(name)),
                Some(_) => {}
            }
        }
        let gone = old
            .iter()
            .map(&identity)
            .filter(|(id, _)| before.contains_key(id));
        self.removed.extend(gone.map(|(_, name)| label(name)));
    }
}

/// The groups without those that are built in: they come and go with their VPCs.
fn of_the_file(plan: &Plan) -> Vec<Group> {
    let built_in = |group: &&Group| plan.vpcs.iter().any(|vpc| vpc.default_group == group.id);
    plan.groups
        .iter()
        .filter(|group| !built_in(group))
        .cloned()
        .collect()
}

/// Subnets refer to their VPC by its place in the list, which is none of theirs.
fn same_subnet(old: &Plan, was: &Subnet, new: &Plan, now: &Subnet) -> bool {
    let vpc = |plan: &Plan, subnet: &Subnet| plan.vpcs.get(subnet.vpc).map(|vpc| vpc.id);
    vpc(old, was) == vpc(new, now)
        && *was
            == Subnet {
                vpc: was.vpc,
                ..now.clone()
            }
}

/// As [`same_subnet`], of ports and their subnets.
fn same_port(old: &Plan, was: &Port, new: &Plan, now: &Port) -> bool {
    let subnet = |plan: &Plan, port: &Port| plan.subnets.get(port.subnet).map(|net| net.id);
    subnet(old, was) == subnet(new, now)
        && *was
            == Port {
                subnet: was.subnet,
                ..now.clone()
            }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    const LAB: &str = "
subnets: [{ name: app, cidr: 10.77.1.0/24 }, { name: db, cidr: 10.77.2.0/24 }]
security_groups: [{ name: web, rules: [{ direction: ingress, protocol: tcp }] }]
ports:
  - { name: a, subnet: app, fixed_ips: [10.77.1.1], security_groups: [web] }
  - { name: b, subnet: db, fixed_ips: [10.77.2.1] }
flowlog_loggers: [{ name: l }]
";

    fn difference(from: &str, to: &str) -> Difference {
        let plan = |text: &str| Config::parse(text, "lab.yaml").unwrap().0;
        Difference::between(&plan(from), &plan(to))
    }

    #[test]
    fn what_differs_is_named_by_kind_and_name() {
        assert!(difference(LAB, LAB).is_empty());
        let other = LAB
            .replace("protocol: tcp", "protocol: udp")
            .replace("name: b,", "name: c,")
            .replace("name: l }", "name: l, filter: DROP }");
        let told = difference(LAB, &format!("region: X\n{other}"));
        assert_eq!(told.added, ["port c"]);
        assert_eq!(told.removed, ["port b"]);
        assert_eq!(told.changed, ["region", "security group web", "logger l"]);
    }

    #[test]
    fn an_object_that_another_one_moves_in_the_file_has_not_changed() {
        let swapped = LAB.replace(
            "{ name: app, cidr: 10.77.1.0/24 }, { name: db, cidr: 10.77.2.0/24 }",
            "{ name: db, cidr: 10.77.2.0/24 }, { name: app, cidr: 10.77.1.0/24 }",
        );
        assert!(difference(LAB, &swapped).is_empty());
    }
}
