//! One allow rule: its canonical form, the way there from a draft, and its text.
//!
//! ```text
//!   configuration ──▶ RuleDraft ──Rule::from_draft──▶ Rule ⇄ "ingress IPv4 tcp 80 from 10.0.0.0/8"
//! ```
//!
//! The semantics are OpenStack Neutron's (`neutron/extensions/securitygroup.py`): allow-only,
//! order-free, one rule is one rule however it was spelled.

mod draft;
mod error;
mod protocol;
mod text;

pub use draft::RuleDraft;
pub use error::RuleError;
pub use protocol::{protocol_name, protocol_number};
pub use text::EthertypeSyntax;

use ipnet::IpNet;
use packet::{Direction, protocol::IGMP};
use uuid::Uuid;

/// The address family of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Ethertype {
    /// IPv4.
    Ipv4,
    /// IPv6.
    Ipv6,
}

/// Whom a rule speaks of on the other side.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Remote {
    /// Everybody (no remote, 0.0.0.0/0 and ::/0 are the same).
    Any,
    /// An address prefix, host bits masked.
    Prefix(IpNet),
    /// The members of a group: their fixed addresses and allowed address pairs, in the same VPC.
    Group(Uuid),
    /// A named list of prefixes.
    AddressGroup(Uuid),
}

/// The upper layer a rule allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Service {
    /// Any upper-layer header of the rule's protocol.
    Any,
    /// Destination ports, both ends included.
    Ports {
        /// First port, at least 1.
        min: u16,
        /// Last port, at least `min`.
        max: u16,
    },
    /// ICMP or ICMPv6 of this type, and this code or every code. 0 is a value, not "unset".
    Icmp {
        /// Type.
        kind: u8,
        /// Code; `None` is every code.
        code: Option<u8>,
    },
}

/// One allow rule in canonical form: two spellings of one rule are equal but for `id`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Its UUID, as the flow log's `rule_id`.
    pub id: Uuid,
    /// Direction seen from the instance.
    pub direction: Direction,
    /// Address family.
    pub ethertype: Ethertype,
    /// IANA number; `None` is every protocol.
    pub protocol: Option<u8>,
    /// Ports or ICMP type.
    pub service: Service,
    /// Source ports; internal, not in the configuration (Neutron keeps it for its own rules).
    pub source_ports: Option<(u16, u16)>,
    /// The other side.
    pub remote: Remote,
}

impl Rule {
    /// Whether both allow the same: equal but for the id.
    #[must_use]
    pub fn allows_the_same(&self, other: &Self) -> bool {
        self.direction == other.direction
            && self.ethertype == other.ethertype
            && self.protocol == other.protocol
            && self.service == other.service
            && self.source_ports == other.source_ports
            && self.remote == other.remote
    }

    /// Why no packet of an ordinary host is of this protocol and family, where that is so: the rule is
    /// legal and allows nothing.
    #[must_use]
    pub fn why_it_matches_nothing(&self) -> Option<&'static str> {
        match (self.ethertype, self.protocol?) {
            (Ethertype::Ipv6, number) if protocol::is_walked_past(number) => Some(
                "it is an extension header in IPv6, and rules see the protocol behind those: name that one",
            ),
            (Ethertype::Ipv6, IGMP) => {
                Some("IGMP is of IPv4; listeners in IPv6 send `ipv6-icmp`, types 131, 132 and 143")
            }
            _ => None,
        }
    }

    /// The id of a rule that was given none: UUIDv5 in the URL namespace of
    /// `vswitch:rule:GROUP:TEXT`, hence the same after every restart.
    #[must_use]
    pub fn derived_id(&self, group: Uuid) -> Uuid {
        let name = format!("vswitch:rule:{group}:{self}");
        Uuid::new_v5(&Uuid::NAMESPACE_URL, name.as_bytes())
    }
}
