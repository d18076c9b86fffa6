//! Rules in words: the numbers that connections remember, as the canonical text with groups by name.

use crate::config::Plan;
use secgroup::{Group, Remote, Rule, RuleIdentity, RuleRef, RuleTable};
use std::collections::HashMap;
use uuid::Uuid;

/// The words and the ids of some rules.
#[derive(Debug, Default)]
pub struct RuleBook(HashMap<u32, (RuleIdentity, String)>);

impl RuleBook {
    /// Looks up the rules behind `numbers`: identities in `rules`, words in `plan`.
    #[must_use]
    pub fn of(plan: &Plan, rules: &RuleTable, numbers: impl IntoIterator<Item = RuleRef>) -> Self {
        let mut book = HashMap::new();
        for number in numbers {
            if let Some(identity) = rules.lookup(number) {
                book.entry(number.get()).or_insert(identity);
            }
        }
        let index = index(plan, !book.is_empty());
        Self(
            book.into_iter()
                .map(|(number, identity)| (number, (identity, words(plan, &index, identity))))
                .collect(),
        )
    }

    /// A rule's words; `None` for no rule.
    #[must_use]
    pub fn words(&self, number: RuleRef) -> Option<&str> {
        self.0.get(&number.get()).map(|(_, words)| words.as_str())
    }

    /// A rule's id and its group's; `None` for no rule.
    #[must_use]
    pub fn identity(&self, number: RuleRef) -> Option<RuleIdentity> {
        self.0.get(&number.get()).map(|(identity, _)| *identity)
    }
}

type Index<'a> = HashMap<(Uuid, Uuid), (&'a Group, &'a Rule)>;

fn index(plan: &Plan, wanted: bool) -> Index<'_> {
    let groups = plan.groups.iter().filter(|_| wanted);
    groups
        .flat_map(|group| {
            group
                .rules
                .iter()
                .map(move |rule| ((group.id, rule.id), (group, rule)))
        })
        .collect()
}

fn words(plan: &Plan, index: &Index<'_>, identity: RuleIdentity) -> String {
    match index.get(&(identity.group, identity.rule)) {
        Some((group, rule)) => format!("{} (group {})", rule_words(plan, rule), group.name),
        None => format!("rule {} of an earlier configuration", identity.rule),
    }
}

/// A rule's canonical text, with the names of groups in place of their UUIDs.
#[must_use]
pub fn rule_words(plan: &Plan, rule: &Rule) -> String {
    let text = rule.to_string();
    let name = match &rule.remote {
        Remote::Group(id) => plan
            .groups
            .iter()
            .find(|group| group.id == *id)
            .map(|group| (id, &group.name)),
        Remote::AddressGroup(id) => plan
            .address_groups
            .iter()
            .find(|group| group.id == *id)
            .map(|group| (id, &group.name)),
        Remote::Any | Remote::Prefix(_) => None,
    };
    match name {
        Some((id, name)) => text.replace(&id.to_string(), name),
        None => text,
    }
}
