//! Groups: a set of rules with a name, and named lists of prefixes.

use crate::rule::{Ethertype, Remote, Rule, Service};
use ipnet::IpNet;
use packet::Direction;
use std::collections::HashMap;
use uuid::Uuid;

/// A security group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Its UUID, as the flow log's `security_group_id`.
    pub id: Uuid,
    /// Its name.
    pub name: String,
    /// Allow-only, order-free.
    pub rules: Vec<Rule>,
    /// Whether replies pass by connection state.
    pub stateful: bool,
}

/// A named list of prefixes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddressGroup {
    /// Its UUID.
    pub id: Uuid,
    /// Its name.
    pub name: String,
    /// Its prefixes, host bits masked.
    pub prefixes: Vec<IpNet>,
}

/// Two rules that allow the same; the second was left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Merged {
    /// The rule that stays.
    pub kept: Uuid,
    /// The rule that went.
    pub dropped: Uuid,
    /// What both allow, as text.
    pub rule: String,
}

impl Group {
    /// The reserved name of the group that a port without the key `security_groups` gets.
    pub const DEFAULT_NAME: &'static str = "default";

    /// The rules of a new group: egress any, IPv4 and IPv6 (`neutron/db/securitygroups_db.py`).
    #[must_use]
    pub fn default_egress_rules(group: Uuid) -> Vec<Rule> {
        [Ethertype::Ipv4, Ethertype::Ipv6]
            .map(|family| any_rule(Direction::Egress, family, Remote::Any, group))
            .to_vec()
    }

    /// The built-in group `default`: egress any, and ingress any from its own members.
    #[must_use]
    pub fn built_in_default(id: Uuid) -> Self {
        let mut rules = Self::default_egress_rules(id);
        rules.extend(
            [Ethertype::Ipv4, Ethertype::Ipv6]
                .map(|family| any_rule(Direction::Ingress, family, Remote::Group(id), id)),
        );
        Self {
            id,
            name: Self::DEFAULT_NAME.to_owned(),
            rules,
            stateful: true,
        }
    }

    /// Leaves the first of each set of rules that allow the same, and says which went.
    pub fn merge_duplicates(&mut self) -> Vec<Merged> {
        let mut first = HashMap::<String, Uuid>::new();
        let mut merged = Vec::new();
        self.rules.retain(|rule| {
            // The text form is canonical: equal texts are equal rules.
            let text = rule.to_string();
            match first.get(&text) {
                Some(kept) => {
                    merged.push(Merged {
                        kept: *kept,
                        dropped: rule.id,
                        rule: text,
                    });
                    false
                }
                None => first.insert(text, rule.id).is_none(),
            }
        });
        merged
    }
}

fn any_rule(direction: Direction, ethertype: Ethertype, remote: Remote, group: Uuid) -> Rule {
    let mut rule = Rule {
        id: Uuid::nil(),
        direction,
        ethertype,
        protocol: None,
        service: Service::Any,
        source_ports: None,
        remote,
    };
    rule.id = rule.derived_id(group);
    rule
}
