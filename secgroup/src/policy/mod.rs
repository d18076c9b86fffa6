//! Rules in compiled form. A policy belongs to a **set** of groups and is shared by all ports that
//! have that set; it knows rules, never members.
//!
//! ```text
//!   direction × family ─▶ Matcher
//!     service rows: any protocol │ protocol → interval of ports, or of ICMP type and code
//!     remote rows:  any remote   │ interval of addresses │ one per remote group  ◀── Members
//!     first rule in  (service rows) ∩ (remote rows)
//! ```
//!
//! Rules only allow, so one that matches is enough: the lowest number in both sets ends the search.
//! Who is on the other side is looked up only where a rule that names somebody could still be lower.
//! Numbers follow the rules' UUIDs, so the rule that is reported depends neither on the order in
//! the file nor on that of the groups.

mod intervals;
mod matcher;
mod remotes;
mod rows;
mod services;

use crate::limits::Limit;
use crate::{
    AddressGroup, Ethertype, Flow, Group, Members, ModelError, RuleIdentity, RuleRef, RuleTable,
};
use matcher::Matcher;
use packet::Direction;

/// The union of some groups' rules, immutable.
#[derive(Debug, Clone)]
pub struct Policy {
    /// IPv4 then IPv6.
    ingress: [Matcher; 2],
    egress: [Matcher; 2],
    stateful: bool,
}

impl Policy {
    /// Compiles the union of `groups`. `address_groups` holds those that the rules name, `rules`
    /// gives the numbers that [`classify`](Self::classify) answers with.
    ///
    /// # Errors
    /// An address group that is not there, stateful and stateless groups together, or a limit.
    pub fn compile(
        groups: &[&Group],
        address_groups: &[AddressGroup],
        rules: &mut RuleTable,
    ) -> Result<Self, ModelError> {
        let count = groups.iter().map(|group| group.rules.len()).sum();
        Limit::RulesPerPolicy.check(count)?;
        let mut ordered = Vec::with_capacity(count);
        for group in groups {
            for rule in &group.rules {
                let identity = RuleIdentity {
                    rule: rule.id,
                    group: group.id,
                };
                ordered.push((rule.id, group.id, rule, rules.intern(identity)?));
            }
        }
        ordered.sort_unstable_by_key(|(rule, group, ..)| (*rule, *group));

        let matcher = |direction, family| {
            let rules = ordered.iter().map(|(_, _, rule, number)| (*rule, *number));
            let of_this = rules.filter(|(r, _)| r.direction == direction && r.ethertype == family);
            Matcher::compile(&of_this.collect::<Vec<_>>(), address_groups)
        };
        let both = |direction| -> Result<[Matcher; 2], ModelError> {
            Ok([
                matcher(direction, Ethertype::Ipv4)?,
                matcher(direction, Ethertype::Ipv6)?,
            ])
        };
        let stateful = groups.iter().all(|group| group.stateful);
        if !stateful && groups.iter().any(|group| group.stateful) {
            return Err(ModelError::MixedPolicy);
        }
        Ok(Self {
            ingress: both(Direction::Ingress)?,
            egress: both(Direction::Egress)?,
            stateful,
        })
    }

    /// The rule that allows a flow, if there is one: always the same of several.
    #[inline]
    #[must_use]
    pub fn classify(
        &self,
        direction: Direction,
        flow: &Flow,
        members: &Members,
    ) -> Option<RuleRef> {
        let matchers = match direction {
            Direction::Ingress => &self.ingress,
            Direction::Egress => &self.egress,
            Direction::Unknown => return None,
        };
        matchers[Ethertype::of(flow.remote) as usize].classify(flow, members)
    }

    /// Whether replies pass by connection state. True of a policy without groups, where nothing
    /// passes that could be replied to.
    #[inline]
    #[must_use]
    pub const fn is_stateful(&self) -> bool {
        self.stateful
    }
}
