//! From what a user wrote to the canonical rule.

use super::protocol::{has_ports, is_ipv6_only, protocol_number};
use super::{Ethertype, Remote, Rule, RuleError, Service};
use ipnet::IpNet;
use packet::{Direction, protocol};
use std::net::IpAddr;
use uuid::Uuid;

/// A rule as a user writes it, before validation. Field names follow OpenStack Networking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleDraft {
    /// Its UUID; absent, derived from group and content.
    pub id: Option<Uuid>,
    /// Direction seen from the instance.
    pub direction: Direction,
    /// Address family.
    pub ethertype: Ethertype,
    /// A name or a number; absent, `any` and `0` are every protocol.
    pub protocol: Option<String>,
    /// First destination port; the type for ICMP, as in Neutron.
    pub port_range_min: Option<i64>,
    /// Last destination port; the code for ICMP, as in Neutron.
    pub port_range_max: Option<i64>,
    /// ICMP type.
    pub icmp_type: Option<i64>,
    /// ICMP code.
    pub icmp_code: Option<i64>,
    /// Prefix of the other side; without a mask it is one host.
    pub remote_ip_prefix: Option<String>,
    /// Group whose members are the other side.
    pub remote_group: Option<Uuid>,
    /// Address group that is the other side.
    pub remote_address_group: Option<Uuid>,
}

impl RuleDraft {
    /// A draft that allows everything of one family in one direction.
    #[must_use]
    pub const fn any(direction: Direction, ethertype: Ethertype) -> Self {
        Self {
            id: None,
            direction,
            ethertype,
            protocol: None,
            port_range_min: None,
            port_range_max: None,
            icmp_type: None,
            icmp_code: None,
            remote_ip_prefix: None,
            remote_group: None,
            remote_address_group: None,
        }
    }
}

impl Rule {
    /// Validates a draft of `group` and brings it into canonical form.
    ///
    /// # Errors
    /// [`RuleError`] names the first thing that is wrong, and the remedy.
    pub fn from_draft(draft: RuleDraft, group: Uuid) -> Result<Self, RuleError> {
        if draft.direction == Direction::Unknown {
            return Err(RuleError::Direction);
        }
        let protocol = protocol(&draft)?;
        let mut rule = Self {
            id: Uuid::nil(),
            direction: draft.direction,
            ethertype: draft.ethertype,
            protocol,
            service: service(&draft, protocol)?,
            source_ports: None,
            remote: remote(&draft)?,
        };
        rule.id = draft.id.unwrap_or_else(|| rule.derived_id(group));
        Ok(rule)
    }
}

/// The protocol as a number of the rule's family: ICMP is 58 in IPv6, however it was written.
fn protocol(draft: &RuleDraft) -> Result<Option<u8>, RuleError> {
    let Some(text) = &draft.protocol else {
        return Ok(None);
    };
    let number = protocol_number(text).ok_or_else(|| RuleError::UnknownProtocol(text.clone()))?;
    match (number, draft.ethertype) {
        (Some(protocol::ICMP), Ethertype::Ipv6) => Ok(Some(protocol::ICMPV6)),
        (Some(number), Ethertype::Ipv4) if is_ipv6_only(number) => Err(RuleError::Ipv6Only(number)),
        _ => Ok(number),
    }
}

fn service(draft: &RuleDraft, protocol: Option<u8>) -> Result<Service, RuleError> {
    let ports = (draft.port_range_min, draft.port_range_max);
    let icmp = (draft.icmp_type, draft.icmp_code);
    let written = |pair: (Option<i64>, Option<i64>)| pair != (None, None);
    match protocol {
        Some(protocol::ICMP | protocol::ICMPV6) => {
            if written(ports) && written(icmp) {
                return Err(RuleError::IcmpTwice);
            }
            icmp_service(if written(ports) { ports } else { icmp })
        }
        _ if written(icmp) => Err(RuleError::NotIcmp),
        _ if !written(ports) => Ok(Service::Any),
        None => Err(RuleError::PortsWithoutProtocol),
        Some(number) if !has_ports(number) => Err(RuleError::NoPorts(number)),
        Some(_) => port_service(ports),
    }
}

fn icmp_service(kind_and_code: (Option<i64>, Option<i64>)) -> Result<Service, RuleError> {
    let byte = |value: i64| u8::try_from(value).map_err(|_| RuleError::IcmpRange(value));
    match kind_and_code {
        (None, None) => Ok(Service::Any),
        (None, Some(_)) => Err(RuleError::CodeWithoutType),
        (Some(kind), code) => Ok(Service::Icmp {
            kind: byte(kind)?,
            code: code.map(byte).transpose()?,
        }),
    }
}

fn port_service(range: (Option<i64>, Option<i64>)) -> Result<Service, RuleError> {
    let (Some(first), Some(last)) = range else {
        return Err(RuleError::HalfPortRange);
    };
    let (min, max) = (port(first)?, port(last)?);
    match (min, max) {
        // All ports is no restriction, so that both spellings are one rule.
        (1, u16::MAX) => Ok(Service::Any),
        _ if min > max => Err(RuleError::ReversedPortRange {
            min: first,
            max: last,
        }),
        _ => Ok(Service::Ports { min, max }),
    }
}

fn port(value: i64) -> Result<u16, RuleError> {
    u16::try_from(value)
        .ok()
        .filter(|port| *port > 0)
        .ok_or(RuleError::Port(value))
}

fn remote(draft: &RuleDraft) -> Result<Remote, RuleError> {
    match (
        &draft.remote_ip_prefix,
        draft.remote_group,
        draft.remote_address_group,
    ) {
        (None, None, None) => Ok(Remote::Any),
        (Some(text), None, None) => prefix(text, draft.ethertype),
        (None, Some(group), None) => Ok(Remote::Group(group)),
        (None, None, Some(group)) => Ok(Remote::AddressGroup(group)),
        _ => Err(RuleError::SeveralRemotes),
    }
}

fn prefix(text: &str, ethertype: Ethertype) -> Result<Remote, RuleError> {
    let host = || text.parse::<IpAddr>().map(IpNet::from);
    let prefix = text.parse::<IpNet>().or_else(|_| host());
    let prefix = prefix.map_err(|_| RuleError::Prefix(text.to_owned()))?;
    if Ethertype::of(prefix.addr()) != ethertype {
        return Err(RuleError::PrefixFamily { prefix, ethertype });
    }
    match prefix.prefix_len() {
        0 => Ok(Remote::Any),
        _ => Ok(Remote::Prefix(prefix.trunc())),
    }
}
