//! Address groups, security groups and their rules.

use super::addresses::prefix;
use super::network::Network;
use super::policies::listed_groups;
use super::values::{check_limit, one_of, parsed, worded};
use crate::config::file::{self, File};
use crate::config::ids::Kind;
use crate::config::mistake::{Findings, quoted};
use crate::config::names::Names;
use crate::config::places::Place;
use crate::config::plan::{Plan, Port};
use packet::Direction;
use secgroup::{
    AddressGroup, Ethertype, Group, Limit, Model, ModelError, PortId, Remote, Rule, RuleDraft,
    RuleError,
};
use std::collections::{HashMap, HashSet, VecDeque};
use uuid::Uuid;

/// Groups and address groups; the built-in groups stand behind those of the file.
pub(super) struct Security {
    /// Names of the file's groups, numbered as in `groups`.
    pub(super) group_names: Names,
    pub(super) groups: Vec<Group>,
    pub(super) address_groups: Vec<AddressGroup>,
    /// Groups that a rule names as its other side.
    pub(super) remote_groups: HashSet<Uuid>,
    /// Where rules with an id of their own stand, the last one of each id.
    pub(super) rule_places: HashMap<Uuid, Place>,
}

pub(super) fn resolve(file: &File, network: &Network, findings: &mut Findings) -> Security {
    let (address_names, address_groups) = address_groups(file, findings);
    let (group_names, ids) = group_names(file, findings);
    let references = References {
        network,
        group_names: &group_names,
        ids: &ids,
        address_names: &address_names,
        address_groups: &address_groups,
    };
    let at = Place::root().key("security_groups");
    let mut rule_places = HashMap::new();
    let mut groups: Vec<Group> = Vec::new();
    for (i, (group, id)) in file.security_groups.iter().zip(&ids).enumerate() {
        groups.push(resolve_group(
            group,
            *id,
            &references,
            &mut rule_places,
            &at.item(i),
            findings,
        ));
    }
    groups.extend(
        network
            .vpcs
            .iter()
            .map(|vpc| Group::built_in_default(vpc.default_group)),
    );
    Security {
        remote_groups: remote_groups(&groups),
        group_names,
        groups,
        address_groups,
        rule_places,
    }
}

fn remote_groups(groups: &[Group]) -> HashSet<Uuid> {
    let rules = groups.iter().flat_map(|group| &group.rules);
    let remotes = rules.filter_map(|rule| match rule.remote {
        Remote::Group(id) => Some(id),
        Remote::Any | Remote::Prefix(_) | Remote::AddressGroup(_) => None,
    });
    remotes.collect()
}

fn address_groups(file: &File, findings: &mut Findings) -> (Names, Vec<AddressGroup>) {
    let at = Place::root().key("address_groups");
    check_limit(
        Limit::AddressGroups,
        file.address_groups.len(),
        &at,
        findings,
    );
    let mut names = Names::new(Kind::AddressGroup);
    let resolved = file.address_groups.iter().enumerate().map(|(i, group)| {
        let at = at.item(i);
        let id = names.enter(&group.name, group.id.as_deref(), &at, findings);
        check_limit(
            Limit::PrefixesPerAddressGroup,
            group.addresses.len(),
            &at.key("addresses"),
            findings,
        );
        let addresses = group.addresses.iter().enumerate();
        let prefixes =
            addresses.filter_map(|(j, text)| prefix(text, &at.key("addresses").item(j), findings));
        AddressGroup {
            id,
            name: group.name.clone(),
            prefixes: prefixes.collect(),
        }
    });
    let resolved = resolved.collect();
    (names, resolved)
}

/// Names and ids of the file's groups: rules may refer to a group that stands below them.
fn group_names(file: &File, findings: &mut Findings) -> (Names, Vec<Uuid>) {
    let at = Place::root().key("security_groups");
    check_limit(Limit::Groups, file.security_groups.len(), &at, findings);
    let mut names = Names::new(Kind::SecurityGroup);
    let ids = file.security_groups.iter().enumerate().map(|(i, group)| {
        let at = at.item(i);
        if group.name == Group::DEFAULT_NAME {
            let remedy = "choose another name, and list that group at the ports";
            findings.mistake(
                &at.key("name"),
                "the group `default` of each VPC is built in",
                remedy,
            );
        }
        names.enter(&group.name, group.id.as_deref(), &at, findings)
    });
    let ids = ids.collect();
    (names, ids)
}

/// What rules can refer to.
struct References<'a> {
    network: &'a Network,
    group_names: &'a Names,
    ids: &'a [Uuid],
    address_names: &'a Names,
    address_groups: &'a [AddressGroup],
}

impl References<'_> {
    fn group(&self, reference: &str, at: &Place, findings: &mut Findings) -> Option<Uuid> {
        if let Some(number) = self.group_names.find(reference) {
            return Some(self.ids[number]);
        }
        let vpcs = &self.network.vpcs;
        if let Some(vpc) = vpcs
            .iter()
            .find(|vpc| vpc.default_group.to_string() == reference)
        {
            return Some(vpc.default_group);
        }
        match (reference == Group::DEFAULT_NAME, vpcs.as_slice()) {
            (true, [vpc]) => Some(vpc.default_group),
            (true, [_, _, ..]) => {
                let ids: Vec<String> = vpcs
                    .iter()
                    .map(|vpc| format!("{} of VPC `{}`", vpc.default_group, vpc.name))
                    .collect();
                findings.mistake(
                    at,
                    "each VPC has its own group `default`",
                    format!("write its id: {}", ids.join(", ")),
                );
                None
            }
            _ => {
                let problem = format!("no security group has the name or id {}", quoted(reference));
                findings.mistake(
                    at,
                    problem,
                    self.group_names
                        .suggestion(reference, &[Group::DEFAULT_NAME], findings),
                );
                None
            }
        }
    }
}

fn resolve_group(
    group: &file::SecurityGroup,
    id: Uuid,
    references: &References<'_>,
    rule_places: &mut HashMap<Uuid, Place>,
    at: &Place,
    findings: &mut Findings,
) -> Group {
    let at = at.key("rules");
    let mut rules = Vec::new();
    // By what a rule allows: where it stands, in the order of the file.
    let mut places: HashMap<String, VecDeque<Place>> = HashMap::new();
    for (i, typed) in group.rules.iter().enumerate() {
        let at = at.item(i);
        let Some(rule) = resolve_rule(typed, id, references, &at, findings) else {
            continue;
        };
        places
            .entry(rule.to_string())
            .or_default()
            .push_back(at.clone());
        if typed.id.is_some() {
            rule_places.insert(rule.id, at);
        }
        rules.push(rule);
    }
    let lists_egress = group.rules.iter().any(|rule| rule.direction == "egress");
    if group.default_rules.unwrap_or(true) && !lists_egress {
        rules.extend(Group::default_egress_rules(id));
    }
    let mut group = Group {
        id,
        name: group.name.clone(),
        rules,
        stateful: group.stateful.unwrap_or(true),
    };
    for merged in group.merge_duplicates() {
        let Some(places) = places.get_mut(&merged.rule) else {
            continue;
        };
        let (Some(first), Some(second)) = (places.front().cloned(), places.remove(1)) else {
            continue;
        };
        findings.notice(&second, format!("allows the same as {first}; merged"));
    }
    group
}

fn resolve_rule(
    rule: &file::SecurityGroupRule,
    group: Uuid,
    references: &References<'_>,
    at: &Place,
    findings: &mut Findings,
) -> Option<Rule> {
    let directions = [
        ("ingress", Direction::Ingress),
        ("egress", Direction::Egress),
    ];
    let direction = one_of(&rule.direction, &directions, &at.key("direction"), findings);
    let ethertype = match &rule.ethertype {
        Some(text) => parsed::<Ethertype>(text, &at.key("ethertype"), findings),
        None => Some(Ethertype::Ipv4),
    };
    let id = rule
        .id
        .as_ref()
        .map(|text| rule_id(text, &at.key("id"), findings));
    let remote_group = rule
        .remote_group
        .as_ref()
        .map(|name| references.group(name, &at.key("remote_group"), findings));
    let remote_address_group = rule.remote_address_group.as_ref().map(|name| {
        let found =
            references
                .address_names
                .resolve(name, &at.key("remote_address_group"), findings);
        found.map(|number| references.address_groups[number].id)
    });
    let draft = RuleDraft {
        id: id.flatten(),
        direction: direction?,
        ethertype: ethertype?,
        protocol: rule.protocol.clone(),
        port_range_min: rule.port_range_min,
        port_range_max: rule.port_range_max,
        icmp_type: rule.icmp_type,
        icmp_code: rule.icmp_code,
        remote_ip_prefix: rule.remote_ip_prefix.clone(),
        // A reference that leads nowhere is told already; the rule goes on to be checked with a stand-in.
        remote_group: remote_group.map(Option::unwrap_or_default),
        remote_address_group: remote_address_group.map(Option::unwrap_or_default),
    };
    match Rule::from_draft(draft, group) {
        Ok(rule) => {
            if let Some(why) = rule.why_it_matches_nothing() {
                findings.notice(&at.key("protocol"), format!("matches no packet: {why}"));
            }
            Some(rule)
        }
        Err(error) => {
            let place = key_of(&error).map_or_else(|| at.clone(), |key| at.key(key));
            worded(&error, &place, findings);
            None
        }
    }
}

/// The key of a rule that a mistake is about, where it is one key alone.
const fn key_of(error: &RuleError) -> Option<&'static str> {
    match error {
        RuleError::UnknownProtocol(_) | RuleError::Ipv6Only(_) => Some("protocol"),
        RuleError::Prefix(_) | RuleError::PrefixFamily { .. } => Some("remote_ip_prefix"),
        RuleError::CodeWithoutType => Some("icmp_code"),
        _ => None,
    }
}

fn rule_id(text: &str, at: &Place, findings: &mut Findings) -> Option<Uuid> {
    let id = Uuid::try_parse(text).ok();
    if id.is_none() {
        findings.mistake(
            at,
            format!("{} is not a UUID", quoted(text)),
            "leave `id` out to have one derived from the rule",
        );
    }
    id
}

/// What only groups and ports together can get wrong, as the security groups judge it.
pub(super) fn check_model(
    plan: &Plan,
    rule_places: &HashMap<Uuid, Place>,
    findings: &mut Findings,
) {
    let model = Model {
        groups: plan.groups.clone(),
        address_groups: plan.address_groups.clone(),
    };
    let specs: Vec<_> = (0..plan.ports.len())
        .map(|index| plan.port_spec(index))
        .collect();
    let told = findings.places();
    for error in model.check(&specs) {
        let Some((place, port)) = place_of(&error, rule_places) else {
            continue;
        };
        // What was told about the value itself is nearer to the cause; an uplink has its own checks.
        let is_uplink = port.is_some_and(|port| specs[usize::from(port.0)].uplink);
        if is_uplink || told.contains(&place) {
            continue;
        }
        let text = error.to_string();
        let prefix = port
            .map(|port| format!("port {port}: "))
            .unwrap_or_default();
        let text = text.strip_prefix(&prefix).unwrap_or(&text);
        let of_groups = matches!(error, ModelError::TooMany { .. });
        match port
            .filter(|_| of_groups)
            .map(|port| &plan.ports[usize::from(port.0)])
        {
            Some(port) => {
                let who = groups_of_port(plan, port);
                worded(&format!("{who}: {text}"), &place, findings);
            }
            None => worded(&text, &place, findings),
        }
    }
}

/// A port's groups by name, for messages.
fn groups_of_port(plan: &Plan, port: &Port) -> String {
    let groups = plan
        .groups
        .iter()
        .filter(|group| port.groups.contains(&group.id));
    let names: Vec<&str> = groups.map(|group| group.name.as_str()).collect();
    format!("{} of port `{}`", listed_groups(&names), port.name)
}

/// Where a contradiction stands; none for those that were told when the reference was followed.
fn place_of(
    error: &ModelError,
    rule_places: &HashMap<Uuid, Place>,
) -> Option<(Place, Option<PortId>)> {
    let of_port = |port: PortId, key: &str| {
        let place = Place::root().key("ports").item(port.0.into()).key(key);
        Some((place, Some(port)))
    };
    let groups = || Place::root().key("security_groups");
    match error {
        ModelError::MixedGroups { port, .. } => of_port(*port, "security_groups"),
        ModelError::PortSecurityOff { port } => of_port(*port, "port_security_enabled"),
        ModelError::IllegalMac { port, .. } => of_port(*port, "mac_address"),
        ModelError::IllegalAddress { port, .. } => of_port(*port, "fixed_ips"),
        ModelError::MulticastPair { port, .. } => of_port(*port, "allowed_address_pairs"),
        ModelError::DuplicateId(id) => {
            let rule = rule_places.get(id).map(|place| place.key("id"));
            Some((rule.unwrap_or_else(groups), None))
        }
        ModelError::TooMany {
            limit: Limit::RulesPerPolicy,
            port: Some(port),
            ..
        } => of_port(*port, "security_groups"),
        ModelError::TooMany {
            limit: Limit::RulesPerPolicy,
            ..
        } => Some((groups(), None)),
        _ => None,
    }
}
