//! Whom a rule speaks of: from the other side's address to sets of rules.

use super::intervals::Intervals;
use super::matcher::Search;
use super::rows::{RowDraft, RowId, RowsBuilder};
use crate::limits::PREFIXES_PER_POLICY_MAX;
use crate::{AddressGroup, Ethertype, Flow, Members, ModelError, Remote, Rule};
use ipnet::IpNet;
use std::{collections::BTreeMap, net::IpAddr};
use uuid::Uuid;

#[derive(Debug, Clone)]
pub(super) struct Remotes {
    any: RowId,
    /// All rules that name prefixes: where none of them can matter, the address is not looked up.
    prefixed: RowId,
    prefixes: Prefixes,
    /// All rules that name groups, likewise.
    grouped: RowId,
    /// Rules by remote group, sorted by group: as many as there are groups in rules, not members.
    groups: Box<[(Uuid, RowId)]>,
}

#[derive(Debug, Clone)]
enum Prefixes {
    V4(Intervals<u32>),
    V6(Intervals<u128>),
}

impl Remotes {
    pub(super) fn compile<'a>(
        rules: impl Iterator<Item = (u32, &'a Rule)>,
        address_groups: &[AddressGroup],
        rows: &mut RowsBuilder,
    ) -> Result<Self, ModelError> {
        let mut any = RowDraft::default();
        let mut prefixes = Vec::new();
        let mut groups = BTreeMap::<Uuid, RowDraft>::new();
        let (mut prefixed, mut grouped) = (RowDraft::default(), RowDraft::default());
        let mut family = Ethertype::Ipv4;
        for (number, rule) in rules {
            family = rule.ethertype;
            match &rule.remote {
                Remote::Any => any.insert(number),
                Remote::Prefix(prefix) => {
                    prefixed.insert(number);
                    prefixes.push((*prefix, number));
                }
                Remote::Group(group) => {
                    grouped.insert(number);
                    groups.entry(*group).or_default().insert(number);
                }
                Remote::AddressGroup(id) => {
                    prefixed.insert(number);
                    let list = address_groups.iter().find(|list| list.id == *id);
                    let list = list.ok_or(ModelError::NoAddressGroup { id: *id })?;
                    let of_family = |p: &&IpNet| Ethertype::of(p.addr()) == family;
                    if prefixes.len() + list.prefixes.len() > PREFIXES_PER_POLICY_MAX {
                        return Err(ModelError::PolicyTooLarge);
                    }
                    prefixes.extend(list.prefixes.iter().filter(of_family).map(|p| (*p, number)));
                }
            }
        }
        let groups = groups
            .iter()
            .map(|(group, row)| Ok((*group, rows.add(row)?)));
        let groups = groups.collect::<Result<_, ModelError>>()?;
        let prefixes = Prefixes::compile(family, &prefixes, rows)?;
        Ok(Self {
            any: rows.add(&any)?,
            prefixed: rows.add(&prefixed)?,
            prefixes,
            grouped: rows.add(&grouped)?,
            groups,
        })
    }

    /// Shows `search` every set of rules that speak of the flow's other side, as far as it needs them.
    #[inline]
    pub(super) fn search(&self, flow: &Flow, members: &Members, search: &mut Search<'_>) {
        search.visit(self.any);
        if search.needs(self.prefixed) {
            search.visit(self.prefixes.get(flow.remote));
        }
        if !search.needs(self.grouped) {
            return;
        }
        members.groups_of(flow.vpc, flow.remote, flow.remote_mac, |group| {
            if let Ok(at) = self.groups.binary_search_by_key(&group, |(g, _)| *g) {
                search.visit(self.groups[at].1);
            }
        });
    }
}

impl Prefixes {
    fn compile(
        family: Ethertype,
        prefixes: &[(IpNet, u32)],
        rows: &mut RowsBuilder,
    ) -> Result<Self, ModelError> {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for (prefix, rule) in prefixes {
            match prefix {
                IpNet::V4(p) => v4.push((p.network().to_bits(), p.broadcast().to_bits(), *rule)),
                IpNet::V6(p) => v6.push((p.network().to_bits(), p.broadcast().to_bits(), *rule)),
            }
        }
        Ok(match family {
            Ethertype::Ipv4 => Self::V4(Intervals::build(&v4, rows)?),
            Ethertype::Ipv6 => Self::V6(Intervals::build(&v6, rows)?),
        })
    }

    #[inline]
    fn get(&self, address: IpAddr) -> RowId {
        match (self, address) {
            (Self::V4(intervals), IpAddr::V4(v4)) => intervals.get(v4.to_bits()),
            (Self::V6(intervals), IpAddr::V6(v6)) => intervals.get(v6.to_bits()),
            _ => RowId::EMPTY,
        }
    }
}
