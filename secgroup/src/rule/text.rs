//! The one text form of a rule:
//!
//! ```text
//!   DIRECTION ETHERTYPE PROTOCOL [PORT | MIN-MAX | type N [code N]] [sport MIN-MAX] from|to REMOTE
//!   ingress IPv4 tcp 80 from 10.0.0.0/8
//!   egress IPv6 ipv6-icmp type 128 to any
//!   ingress IPv4 any from group 5f7c0c5e-5a5e-5b43-9d3e-1d1c0c7f8a55
//! ```
//!
//! It round-trips, but for the id and for source ports, which no configuration can ask for.

use super::error::ProtocolText;
use super::{Ethertype, Remote, Rule, RuleDraft, RuleError, Service};
use packet::Direction;
use std::{fmt, net::IpAddr, str::FromStr};
use uuid::Uuid;

impl Ethertype {
    /// The family of an address.
    #[inline]
    #[must_use]
    pub const fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::Ipv4,
            IpAddr::V6(_) => Self::Ipv6,
        }
    }

    /// `IPv4` or `IPv6`, as OpenStack writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ipv4 => "IPv4",
            Self::Ipv6 => "IPv6",
        }
    }
}

impl fmt::Display for Ethertype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A word that is no address family.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an ethertype; write IPv4 or IPv6")]
pub struct EthertypeSyntax(String);

/// In any case, as Neutron reads it.
impl FromStr for Ethertype {
    type Err = EthertypeSyntax;

    fn from_str(text: &str) -> Result<Self, EthertypeSyntax> {
        [Self::Ipv4, Self::Ipv6]
            .into_iter()
            .find(|family| family.as_str().eq_ignore_ascii_case(text))
            .ok_or_else(|| EthertypeSyntax(text.to_owned()))
    }
}

impl fmt::Display for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("any"),
            Self::Prefix(prefix) => write!(f, "{prefix}"),
            Self::Group(id) => write!(f, "group {id}"),
            Self::AddressGroup(id) => write!(f, "address-group {id}"),
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} ", self.direction, self.ethertype)?;
        match self.protocol {
            Some(number) => write!(f, "{}", ProtocolText(number))?,
            None => f.write_str("any")?,
        }
        match self.service {
            Service::Any => {}
            Service::Ports { min, max } if min == max => write!(f, " {min}")?,
            Service::Ports { min, max } => write!(f, " {min}-{max}")?,
            Service::Icmp { kind, code: None } => write!(f, " type {kind}")?,
            Service::Icmp {
                kind,
                code: Some(code),
            } => write!(f, " type {kind} code {code}")?,
        }
        if let Some((min, max)) = self.source_ports {
            write!(f, " sport {min}-{max}")?;
        }
        let preposition = if self.direction == Direction::Egress {
            "to"
        } else {
            "from"
        };
        write!(f, " {preposition} {}", self.remote)
    }
}

impl Rule {
    /// Reads the text form as a rule of `group`, with the derived id.
    ///
    /// # Errors
    /// [`RuleError`], as for a draft.
    pub fn parse(text: &str, group: Uuid) -> Result<Self, RuleError> {
        Self::from_draft(text.parse()?, group)
    }
}

impl FromStr for RuleDraft {
    type Err = RuleError;

    fn from_str(text: &str) -> Result<Self, RuleError> {
        read(text).ok_or_else(|| RuleError::Text(text.to_owned()))
    }
}

fn read(text: &str) -> Option<RuleDraft> {
    let mut words = text.split_whitespace().peekable();
    let direction = match words.next()? {
        "ingress" => Direction::Ingress,
        "egress" => Direction::Egress,
        _ => return None,
    };
    let mut draft = RuleDraft::any(direction, words.next()?.parse().ok()?);
    draft.protocol = Some(words.next()?.to_owned());
    loop {
        match words.next()? {
            "type" => draft.icmp_type = Some(words.next()?.parse().ok()?),
            "code" => draft.icmp_code = Some(words.next()?.parse().ok()?),
            "from" if direction == Direction::Ingress => break,
            "to" if direction == Direction::Egress => break,
            ports => {
                let (min, max) = ports.split_once('-').unwrap_or((ports, ports));
                draft.port_range_min = Some(min.parse().ok()?);
                draft.port_range_max = Some(max.parse().ok()?);
            }
        }
    }
    match words.next()? {
        "any" => {}
        "group" => draft.remote_group = Some(words.next()?.parse().ok()?),
        "address-group" => draft.remote_address_group = Some(words.next()?.parse().ok()?),
        prefix => draft.remote_ip_prefix = Some(prefix.to_owned()),
    }
    words.next().is_none().then_some(draft)
}
