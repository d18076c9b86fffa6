//! The compiled form against the obvious one: every rule in turn, every member in turn.

use super::strategies::{GROUPS, flow, groups, lists, member};
use super::support::id;
use packet::Direction;
use proptest::prelude::*;
use secgroup::{
    AddressGroup, Ethertype, Flow, FlowService, Group, Members, Policy, PortSpec, Remote, Rule,
    RuleTable, Service,
};
use uuid::Uuid;

struct Oracle<'a> {
    groups: &'a [Group],
    lists: &'a [AddressGroup],
    members: &'a [PortSpec],
}

impl Oracle<'_> {
    /// The matching rule with the lowest id.
    fn classify(&self, direction: Direction, flow: &Flow) -> Option<Uuid> {
        let rules = self.groups.iter().flat_map(|group| &group.rules);
        let matching = rules.filter(|rule| rule.direction == direction && self.matches(rule, flow));
        matching.map(|rule| rule.id).min()
    }

    fn matches(&self, rule: &Rule, flow: &Flow) -> bool {
        Ethertype::of(flow.remote) == rule.ethertype
            && rule
                .protocol
                .is_none_or(|protocol| protocol == flow.protocol)
            && serves(rule, flow.service)
            && match &rule.remote {
                Remote::Any => true,
                Remote::Prefix(prefix) => prefix.contains(&flow.remote),
                Remote::Group(group) => self
                    .members
                    .iter()
                    .any(|port| is_member(port, *group, flow)),
                Remote::AddressGroup(id) => {
                    let mut lists = self.lists.iter().filter(|list| list.id == *id);
                    lists.any(|list| list.prefixes.iter().any(|p| p.contains(&flow.remote)))
                }
            }
    }
}

fn serves(rule: &Rule, service: FlowService) -> bool {
    let source = match (rule.source_ports, service) {
        (None, _) => true,
        (Some((min, max)), FlowService::Ports { src, .. }) => min <= src && src <= max,
        (Some(_), _) => false,
    };
    source
        && match (rule.service, service) {
            (Service::Any, _) => true,
            (Service::Ports { min, max }, FlowService::Ports { dst, .. }) => {
                min <= dst && dst <= max
            }
            (Service::Icmp { kind: k, code: c }, FlowService::Icmp { kind, code }) => {
                k == kind && c.is_none_or(|c| c == code)
            }
            _ => false,
        }
}

fn is_member(port: &PortSpec, group: Uuid, flow: &Flow) -> bool {
    let fixed = port.fixed_ips.contains(&flow.remote);
    let paired = port.allowed_address_pairs.iter().any(|pair| {
        let mac = pair.mac.unwrap_or(port.mac);
        pair.prefix.contains(&flow.remote)
            && (pair.prefix.prefix_len() > 0 || mac == flow.remote_mac)
    });
    port.vpc == flow.vpc && port.groups.contains(&group) && (fixed || paired)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// Z02, O17.
    #[test]
    fn a_compiled_policy_finds_the_rule_that_a_walk_over_all_rules_and_members_finds(
        groups in groups(),
        lists in lists(),
        ports in prop::collection::vec(member(), 0..8),
        flows in prop::collection::vec(flow(), 64),
    ) {
        let mut table = RuleTable::default();
        let policy = Policy::compile(&groups.iter().collect::<Vec<_>>(), &lists, &mut table).unwrap();
        let mut members = Members::default();
        ports.iter().for_each(|port| members.join(port));
        let oracle = Oracle { groups: &groups, lists: &lists, members: &ports };
        for (direction, flow) in &flows {
            let found = policy.classify(*direction, flow, &members);
            let found = found.map(|number| table.lookup(number).unwrap().rule);
            prop_assert_eq!(found, oracle.classify(*direction, flow), "{:?}", flow);
        }
    }

    /// G18.
    #[test]
    fn members_that_come_and_go_leave_those_who_are_there(
        ports in prop::collection::vec(member(), 1..8),
        toggles in prop::collection::vec(any::<prop::sample::Index>(), 1..40),
        flows in prop::collection::vec(flow(), 16),
    ) {
        let rules: Vec<Rule> = GROUPS.iter().flat_map(|name| {
            ["IPv4", "IPv6"].map(|family| {
                Rule::parse(&format!("ingress {family} any from group {}", id(name)), id("g")).unwrap()
            })
        }).collect();
        let groups = [Group { id: id("g"), name: "g".into(), rules, stateful: true }];
        let mut table = RuleTable::default();
        let policy = Policy::compile(&[&groups[0]], &[], &mut table).unwrap();
        let mut members = Members::default();
        let mut there = vec![false; ports.len()];
        for toggle in toggles {
            let at = toggle.index(ports.len());
            if there[at] { members.leave(&ports[at]) } else { members.join(&ports[at]) }
            there[at] = !there[at];
            let present: Vec<_> = ports.iter().zip(&there).filter(|(_, t)| **t).map(|(p, _)| p.clone()).collect();
            let oracle = Oracle { groups: &groups, lists: &[], members: &present };
            for (_, flow) in &flows {
                let found = policy.classify(Direction::Ingress, flow, &members);
                let found = found.map(|number| table.lookup(number).unwrap().rule);
                prop_assert_eq!(found, oracle.classify(Direction::Ingress, flow));
            }
        }
    }
}
