//! The rules of one direction and family.

use super::intervals::Intervals;
use super::rows::{Chunk, RowDraft, RowId, Rows, RowsBuilder, first_common};
use crate::{AddressGroup, Ethertype, Flow, FlowService, Members, ModelError, Remote, Rule, RuleRef, Service};
use ipnet::IpNet;
use std::{collections::BTreeMap, net::IpAddr};
use uuid::Uuid;

#[derive(Debug, Clone)]
pub(super) struct Matcher {
    /// Rule number of the policy → number of the table.
    numbers: Box<[RuleRef]>,
    /// Source ports, where any rule names them: checked last, for rules that match otherwise.
    sources: Option<Box<[(u16, u16)]>>,
    rows: Rows,
    services: Services,
    remotes: Remotes,
}

#[derive(Debug, Clone)]
struct Services {
    /// Rules of every protocol.
    any: RowId,
    /// Protocol → 1 + place in `protocols`; 0 where no rule names it.
    index: Box<[u8; 256]>,
    protocols: Box<[ProtocolRows]>,
}

#[derive(Debug, Clone)]
struct ProtocolRows {
    /// Rules of this protocol that name no service.
    whole: RowId,
    /// Ports, or 256 × ICMP type + code.
    intervals: Intervals<u16>,
}

#[derive(Debug, Clone)]
struct Remotes {
    any: RowId,
    prefixes: Prefixes,
    /// Rules by remote group, sorted by group: as many as there are groups in rules, not members.
    groups: Box<[(Uuid, RowId)]>,
}

#[derive(Debug, Clone)]
enum Prefixes {
    V4(Intervals<u32>),
    V6(Intervals<u128>),
}

impl Matcher {
    /// `rules` are of one direction and family; the first ones are reported first.
    pub(super) fn compile(
        rules: &[(&Rule, RuleRef)],
        address_groups: &[AddressGroup],
    ) -> Result<Self, ModelError> {
        let mut rows = RowsBuilder::new();
        let numbered = || (0..).zip(rules.iter().map(|(rule, _)| *rule));
        let services = Services::compile(numbered(), &mut rows)?;
        let remotes = Remotes::compile(numbered(), address_groups, &mut rows)?;
        let names_sources = rules.iter().any(|(rule, _)| rule.source_ports.is_some());
        let sources = || rules.iter().map(|(rule, _)| rule.source_ports.unwrap_or((0, u16::MAX)));
        Ok(Self {
            numbers: rules.iter().map(|(_, number)| *number).collect(),
            sources: names_sources.then(|| sources().collect()),
            rows: rows.build(),
            services,
            remotes,
        })
    }

    #[inline]
    pub(super) fn classify(&self, flow: &Flow, members: &Members) -> Option<RuleRef> {
        if self.numbers.is_empty() {
            return None;
        }
        let services = self.services.get(flow).map(|id| self.rows.get(id));
        let mut search = Search { matcher: self, services, flow, best: None };
        search.visit(self.remotes.any);
        search.visit(self.remotes.prefixes.get(flow.remote));
        if !self.remotes.groups.is_empty() {
            members.groups_of(flow.vpc, flow.remote, flow.remote_mac, |group| {
                let found = self.remotes.groups.binary_search_by_key(&group, |(g, _)| *g);
                if let Ok(at) = found {
                    search.visit(self.remotes.groups[at].1);
                }
            });
        }
        search.best.map(|rule| self.numbers[rule as usize])
    }

    #[inline]
    fn source_holds(&self, rule: u32, service: FlowService) -> bool {
        let Some(sources) = &self.sources else { return true };
        match (sources[rule as usize], service) {
            ((0, u16::MAX), _) => true,
            ((min, max), FlowService::Ports { src, .. }) => (min..=max).contains(&src),
            (_, FlowService::Icmp { .. } | FlowService::None) => false,
        }
    }
}

/// The lowest rule found so far; later sets are searched below it only.
struct Search<'a> {
    matcher: &'a Matcher,
    services: [&'a [Chunk]; 2],
    flow: &'a Flow,
    best: Option<u32>,
}

impl Search<'_> {
    #[inline]
    fn visit(&mut self, remote: RowId) {
        let remote = self.matcher.rows.get(remote);
        for service in self.services {
            let holds = |rule| self.matcher.source_holds(rule, self.flow.service);
            let limit = self.best.unwrap_or(u32::MAX);
            self.best = first_common(service, remote, limit, holds).or(self.best);
        }
    }
}

impl Services {
    fn compile<'a>(
        rules: impl Iterator<Item = (u32, &'a Rule)>,
        rows: &mut RowsBuilder,
    ) -> Result<Self, ModelError> {
        let mut any = RowDraft::default();
        let mut by_protocol = BTreeMap::<u8, (RowDraft, Vec<(u16, u16, u32)>)>::new();
        for (number, rule) in rules {
            let Some(protocol) = rule.protocol else {
                any.insert(number);
                continue;
            };
            let (whole, ranges) = by_protocol.entry(protocol).or_default();
            let (first, last) = range(rule.service);
            ranges.push((first, last, number));
            if rule.service == Service::Any {
                whole.insert(number);
            }
        }

        let mut index = Box::new([0; 256]);
        let mut protocols = Vec::with_capacity(by_protocol.len());
        for (protocol, (whole, ranges)) in by_protocol {
            let intervals = Intervals::build(&ranges, rows)?;
            protocols.push(ProtocolRows { whole: rows.add(&whole)?, intervals });
            // Protocol 0 is "any" in every rule, so at most 255 are here.
            index[usize::from(protocol)] = u8::try_from(protocols.len()).unwrap_or(u8::MAX);
        }
        Ok(Self { any: rows.add(&any)?, index, protocols: protocols.into() })
    }

    /// The rules of every protocol, and those of the flow's that cover its service.
    #[inline]
    fn get(&self, flow: &Flow) -> [RowId; 2] {
        let place = usize::from(self.index[usize::from(flow.protocol)]);
        let Some(rows) = place.checked_sub(1).map(|place| &self.protocols[place]) else {
            return [self.any, RowId::EMPTY];
        };
        let named = match flow.service {
            FlowService::Ports { dst, .. } => rows.intervals.get(dst),
            FlowService::Icmp { kind, code } => rows.intervals.get(icmp_point(kind, code)),
            FlowService::None => rows.whole,
        };
        [self.any, named]
    }
}

/// A service as a range of its protocol's line.
fn range(service: Service) -> (u16, u16) {
    match service {
        Service::Any => (0, u16::MAX),
        Service::Ports { min, max } => (min, max),
        Service::Icmp { kind, code: Some(code) } => (icmp_point(kind, code), icmp_point(kind, code)),
        Service::Icmp { kind, code: None } => (icmp_point(kind, 0), icmp_point(kind, u8::MAX)),
    }
}

#[inline]
const fn icmp_point(kind: u8, code: u8) -> u16 {
    u16::from_be_bytes([kind, code])
}

impl Remotes {
    fn compile<'a>(
        rules: impl Iterator<Item = (u32, &'a Rule)>,
        address_groups: &[AddressGroup],
        rows: &mut RowsBuilder,
    ) -> Result<Self, ModelError> {
        let mut any = RowDraft::default();
        let mut prefixes = Vec::new();
        let mut groups = BTreeMap::<Uuid, RowDraft>::new();
        let mut family = Ethertype::Ipv4;
        for (number, rule) in rules {
            family = rule.ethertype;
            match &rule.remote {
                Remote::Any => any.insert(number),
                Remote::Prefix(prefix) => prefixes.push((*prefix, number)),
                Remote::Group(group) => groups.entry(*group).or_default().insert(number),
                Remote::AddressGroup(id) => {
                    let list = address_groups.iter().find(|list| list.id == *id);
                    let list = list.ok_or(ModelError::NoAddressGroup { id: *id })?;
                    let of_family = |p: &&IpNet| Ethertype::of(p.addr()) == family;
                    prefixes.extend(list.prefixes.iter().filter(of_family).map(|p| (*p, number)));
                }
            }
        }
        let groups = groups.iter().map(|(group, row)| Ok((*group, rows.add(row)?)));
        let groups = groups.collect::<Result<_, ModelError>>()?;
        let prefixes = Prefixes::compile(family, &prefixes, rows)?;
        Ok(Self { any: rows.add(&any)?, prefixes, groups })
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
