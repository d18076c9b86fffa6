//! Policies: whether the rules of each set of groups can be compiled, as `run` compiles them.
//!
//! Not part of reading a file: ten thousand rules take a fifth of a second, and to build a switch of the
//! plan compiles them anyway.

use crate::config::mistake::Findings;
use crate::config::places::Place;
use crate::config::plan::{Plan, Port, Role};
use secgroup::{Group, ModelError, Policy, RuleTable};
use std::collections::{HashMap, HashSet};
use uuid::Uuid;

/// Compiles every distinct set of groups once and notes those that are beyond the limits.
pub(in crate::config) fn check(plan: &Plan, findings: &mut Findings) {
    let groups: HashMap<Uuid, usize> = plan
        .groups
        .iter()
        .enumerate()
        .map(|(i, group)| (group.id, i))
        .collect();
    let mut rules = RuleTable::default();
    let mut seen: HashSet<Vec<usize>> = HashSet::new();
    for (number, port) in plan.ports.iter().enumerate() {
        if !port.port_security || port.role == Role::Uplink {
            continue;
        }
        let mut set: Vec<usize> = port
            .groups
            .iter()
            .filter_map(|id| groups.get(id).copied())
            .collect();
        set.sort_unstable();
        if seen.contains(&set) {
            continue;
        }
        if let Err(error) = compile(plan, &set, &mut rules) {
            let at = Place::root().key("ports").item(number);
            tell(plan, port, &set, &error, &at, findings);
        }
        seen.insert(set);
    }
}

fn compile(plan: &Plan, set: &[usize], rules: &mut RuleTable) -> Result<(), ModelError> {
    let members: Vec<&Group> = set.iter().map(|&group| &plan.groups[group]).collect();
    Policy::compile(&members, &plan.address_groups, rules).map(drop)
}

/// Names the group that is too much by itself; where none is, the port whose groups are together.
fn tell(
    plan: &Plan,
    port: &Port,
    set: &[usize],
    error: &ModelError,
    at: &Place,
    findings: &mut Findings,
) {
    let alone = |group: &&usize| compile(plan, &[**group], &mut RuleTable::default()).is_err();
    let (groups, place) = match set.iter().find(alone) {
        Some(&group) => (
            vec![group],
            Place::root()
                .key("security_groups")
                .item(group)
                .key("rules"),
        ),
        None => (set.to_vec(), at.key("security_groups")),
    };
    let text = error.to_string();
    let (problem, remedy) = text.split_once("; ").unwrap_or((&text, "correct it"));
    let count: usize = groups
        .iter()
        .map(|&group| plan.groups[group].rules.len())
        .sum();
    let names: Vec<&str> = groups
        .iter()
        .map(|&group| plan.groups[group].name.as_str())
        .collect();
    let problem = format!(
        "{} of port `{}`, {count} rules: {problem}",
        listed_groups(&names),
        port.name
    );
    findings.mistake(&place, problem, remedy);
}

/// `security group `web``, `security groups `web`, `db``, of which a message lists the first.
pub(super) fn listed_groups(names: &[&str]) -> String {
    const LISTED: usize = 8;
    let listed: Vec<String> = names
        .iter()
        .take(LISTED)
        .map(|name| format!("`{name}`"))
        .collect();
    let kind = if names.len() == 1 {
        "security group"
    } else {
        "security groups"
    };
    match names.len().saturating_sub(LISTED) {
        0 => format!("{kind} {}", listed.join(", ")),
        more => format!("{kind} {} and {more} more", listed.join(", ")),
    }
}
