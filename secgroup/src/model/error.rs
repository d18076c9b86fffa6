//! What can be wrong with a model. The texts go to the user as they are.

use crate::limits::Limit;
use crate::{PortId, RuleTableFull};
use ipnet::IpNet;
use packet::Mac;
use std::{fmt, net::IpAddr};
use uuid::Uuid;

/// A contradiction between parts that are right in themselves. The texts go to the user.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ModelError {
    /// A rule's remote group is not there.
    #[error(
        "group `{group}`, rule `{rule}`: there is no security group {id}; define it or correct the rule's remote_group"
    )]
    UnknownRemoteGroup {
        /// Name of the group with the rule.
        group: String,
        /// The rule's text.
        rule: String,
        /// What it names.
        id: Uuid,
    },
    /// A rule's address group is not there.
    #[error(
        "group `{group}`, rule `{rule}`: there is no address group {id}; define it or correct the rule's remote_address_group"
    )]
    UnknownAddressGroup {
        /// Name of the group with the rule.
        group: String,
        /// The rule's text.
        rule: String,
        /// What it names.
        id: Uuid,
    },
    /// As [`Self::UnknownAddressGroup`], seen by the compiler, which knows no names.
    #[error("there is no address group {id}; define it or correct the rules that name it")]
    NoAddressGroup {
        /// What a rule names.
        id: Uuid,
    },
    /// A port's group is not there.
    #[error(
        "port {port}: there is no security group {id}; define it, or take it from the port first if it is to go"
    )]
    UnknownGroup {
        /// The port.
        port: PortId,
        /// What it names.
        id: Uuid,
    },
    /// Stateful and stateless groups on one port.
    #[error(
        "port {port}: group `{stateful}` is stateful and group `{stateless}` is not; a port's groups must agree"
    )]
    MixedGroups {
        /// The port.
        port: PortId,
        /// Name of a stateful group.
        stateful: String,
        /// Name of a stateless group.
        stateless: String,
    },
    /// As [`Self::MixedGroups`], seen by the compiler.
    #[error("stateful and stateless groups cannot be on one port")]
    MixedPolicy,
    /// A group in use changed between stateful and stateless.
    #[error(
        "group `{group}` is used by port {port}; `stateful` can change only while no port uses the group"
    )]
    StatefulChanged {
        /// Name of the group.
        group: String,
        /// A port that uses it.
        port: PortId,
    },
    /// Groups or pairs without port security.
    #[error(
        "port {port}: security_groups and allowed_address_pairs need port_security_enabled; remove them or turn it on"
    )]
    PortSecurityOff {
        /// The port.
        port: PortId,
    },
    /// A MAC that no interface can have.
    #[error(
        "port {port}: {mac} cannot be a source address (group bit set, or all zeros); choose another"
    )]
    IllegalMac {
        /// The port.
        port: PortId,
        /// Its MAC, or a pair's.
        mac: Mac,
    },
    /// A fixed address that no interface can have.
    #[error(
        "port {port}: {address} cannot be a fixed address (multicast, broadcast or unspecified); choose another"
    )]
    IllegalAddress {
        /// The port.
        port: PortId,
        /// The address.
        address: IpAddr,
    },
    /// An allowed address pair with multicast addresses.
    #[error(
        "port {port}: the pair {prefix} holds multicast addresses, which are no source addresses; use unicast prefixes"
    )]
    MulticastPair {
        /// The port.
        port: PortId,
        /// The pair's prefix.
        prefix: IpNet,
    },
    /// Two groups, address groups or rules with one id.
    #[error("the id {0} is given twice; ids are unique, leave one out to have it derived")]
    DuplicateId(Uuid),
    /// More than a limit allows.
    #[error("{}{count} {}; the limit is {}", Prefix(*.port), .limit.what(), .limit.value())]
    TooMany {
        /// Which limit.
        limit: Limit,
        /// How many there are.
        count: usize,
        /// The port that has them, where one has.
        port: Option<PortId>,
    },
    /// The compiled form would pass [`crate::limits::POLICY_CHUNKS_MAX`] or
    /// [`crate::limits::PREFIXES_PER_POLICY_MAX`].
    #[error(
        "the rules of one port overlap in too many ways to be compiled; merge port ranges and prefixes that overlap"
    )]
    PolicyTooLarge,
    /// No rule number is left.
    #[error(transparent)]
    RuleTableFull(#[from] RuleTableFull),
}

impl ModelError {
    /// The port that the error speaks of, for those who know it by another name than its number.
    #[must_use]
    pub const fn port(&self) -> Option<PortId> {
        match self {
            Self::UnknownGroup { port, .. }
            | Self::MixedGroups { port, .. }
            | Self::StatefulChanged { port, .. }
            | Self::PortSecurityOff { port }
            | Self::IllegalMac { port, .. }
            | Self::IllegalAddress { port, .. }
            | Self::MulticastPair { port, .. } => Some(*port),
            Self::TooMany { port, .. } => *port,
            Self::UnknownRemoteGroup { .. }
            | Self::UnknownAddressGroup { .. }
            | Self::NoAddressGroup { .. }
            | Self::MixedPolicy
            | Self::DuplicateId(_)
            | Self::PolicyTooLarge
            | Self::RuleTableFull(_) => None,
        }
    }
}

/// `port 7: `, or nothing.
struct Prefix(Option<PortId>);

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(port) => write!(f, "port {port}: "),
            None => Ok(()),
        }
    }
}
