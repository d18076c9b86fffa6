//! Rules and groups: every rule of every group of the port, one by one.

use crate::guard;
use crate::seen::{self, Seen};
use ipnet::IpNet;
use packet::{Basis, Direction, IpSpec, L4, Mac, Reason, Verdict};
use secgroup::{Ethertype, Model, PortId, Remote, Rule, RuleIdentity, Service};
use std::collections::BTreeMap;
use std::net::IpAddr;
use vswitch::switch::PortConfig;

/// A verdict at one port and the rule behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) verdict: Verdict,
    pub(crate) rule: Option<RuleIdentity>,
}

impl Said {
    pub(crate) const fn accept(basis: Basis) -> Self {
        Self {
            verdict: Verdict::Accept(basis),
            rule: None,
        }
    }

    pub(crate) const fn refuse(reason: Reason) -> Self {
        Self {
            verdict: Verdict::Drop(reason),
            rule: None,
        }
    }

    pub(crate) const fn accepts(&self) -> bool {
        self.verdict.is_accept()
    }

    /// The same acceptance on another ground; what no rule decides stays as it is.
    pub(crate) const fn because(self, basis: Basis) -> Self {
        match self.verdict {
            Verdict::Accept(Basis::Unfiltered) | Verdict::Drop(_) => self,
            Verdict::Accept(_) => Self {
                verdict: Verdict::Accept(basis),
                rule: self.rule,
            },
        }
    }
}

/// What is asked for, and of whom, seen from one port.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked {
    pub(crate) protocol: u8,
    pub(crate) what: What,
    pub(crate) remote: IpAddr,
    pub(crate) remote_mac: Mac,
}

/// The upper layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    /// To this port.
    Port(u16),
    /// ICMP type and code.
    Icmp(u8, u8),
    Nothing,
}

impl Asked {
    /// What a packet asks for.
    pub(crate) fn by(seen: &Seen<'_>, ip: &IpSpec, direction: Direction) -> Self {
        let (remote, remote_mac) = match direction {
            Direction::Egress => (ip.dst, seen.dst),
            Direction::Ingress | Direction::Unknown => (ip.src, seen.src),
        };
        let what = match (seen::ports(&ip.l4), ip.l4) {
            (Some((_, dst)), _) => What::Port(dst),
            (None, L4::Icmp(icmp)) => What::Icmp(icmp.kind, icmp.code),
            (None, _) => What::Nothing,
        };
        Self {
            protocol: ip.protocol,
            what,
            remote,
            remote_mac,
        }
    }
}

/// Whether Security Groups and anti-spoofing apply at a port.
pub(crate) const fn filters(port: &PortConfig) -> bool {
    port.spec.port_security && !port.spec.uplink
}

/// Whether a port's groups keep state. A port without groups has nothing that could be stateless.
pub(crate) fn is_stateless(port: &PortConfig, model: &Model) -> bool {
    let groups = model
        .groups
        .iter()
        .filter(|group| port.spec.groups.contains(&group.id));
    filters(port) && groups.into_iter().any(|group| !group.stateful)
}

/// Everybody who is there.
pub(crate) type Ports = BTreeMap<PortId, PortConfig>;

/// What the rules of a port say; of several that allow, the one whose ids come first.
pub(crate) fn judge(
    model: &Model,
    ports: &Ports,
    port: &PortConfig,
    direction: Direction,
    asked: &Asked,
) -> Said {
    if !filters(port) {
        return Said::accept(Basis::Unfiltered);
    }
    let mut found: Option<RuleIdentity> = None;
    for group in model
        .groups
        .iter()
        .filter(|group| port.spec.groups.contains(&group.id))
    {
        for rule in &group.rules {
            let identity = RuleIdentity {
                rule: rule.id,
                group: group.id,
            };
            let comes_first =
                found.is_none_or(|best| (identity.rule, identity.group) < (best.rule, best.group));
            if comes_first
                && rule.direction == direction
                && speaks_of(rule, asked)
                && is_meant(model, ports, port, rule, asked)
            {
                found = Some(identity);
            }
        }
    }
    match found {
        Some(rule) => Said {
            verdict: Verdict::Accept(Basis::Rule),
            rule: Some(rule),
        },
        None => Said::refuse(Reason::DefaultDeny),
    }
}

/// Family, protocol and service.
fn speaks_of(rule: &Rule, asked: &Asked) -> bool {
    let family = match rule.ethertype {
        Ethertype::Ipv4 => asked.remote.is_ipv4(),
        Ethertype::Ipv6 => asked.remote.is_ipv6(),
    };
    let service = match (rule.service, asked.what) {
        (Service::Any, _) => true,
        (Service::Ports { min, max }, What::Port(port)) => min <= port && port <= max,
        (Service::Icmp { kind, code: None }, What::Icmp(k, _)) => kind == k,
        (
            Service::Icmp {
                kind,
                code: Some(code),
            },
            What::Icmp(k, c),
        ) => kind == k && code == c,
        _ => false,
    };
    family && service && (rule.protocol.is_none() || rule.protocol == Some(asked.protocol))
}

/// Whether the other side is one that the rule means.
fn is_meant(model: &Model, ports: &Ports, port: &PortConfig, rule: &Rule, asked: &Asked) -> bool {
    match &rule.remote {
        Remote::Any => true,
        Remote::Prefix(prefix) => prefix.contains(&asked.remote),
        Remote::AddressGroup(id) => {
            let mut lists = model.address_groups.iter().filter(|list| list.id == *id);
            lists.any(|list| {
                list.prefixes
                    .iter()
                    .any(|prefix| prefix.contains(&asked.remote))
            })
        }
        Remote::Group(id) => ports.values().any(|member| {
            member.vpc == port.vpc && member.spec.groups.contains(id) && is_member(member, asked)
        }),
    }
}

/// A member is its fixed addresses, its pairs and the link-local addresses that follow from its MACs; a pair of length 0 is the member's MAC and not everybody.
fn is_member(member: &PortConfig, asked: &Asked) -> bool {
    let is_own_link_local = |mac: Mac| asked.remote == IpAddr::V6(mac.link_local());
    member.spec.fixed_ips.contains(&asked.remote)
        || guard::macs_with_v6(member).any(is_own_link_local)
        || member
            .spec
            .allowed_address_pairs
            .iter()
            .any(|pair| match pair.prefix.prefix_len() {
                0 => {
                    let same_family = matches!(pair.prefix, IpNet::V4(_)) == asked.remote.is_ipv4();
                    same_family && pair.mac.unwrap_or(member.spec.mac) == asked.remote_mac
                }
                _ => pair.prefix.contains(&asked.remote),
            })
}
