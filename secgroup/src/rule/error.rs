//! What can be wrong with a rule. The texts go to the user as they are.

use super::{Ethertype, protocol::protocol_name};
use ipnet::IpNet;
use std::fmt;

/// A draft that is no rule: what is wrong and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// Neither ingress nor egress.
    #[error("a rule's direction is `ingress` or `egress`")]
    Direction,
    /// No name of the list and no number from 0 to 255.
    #[error(
        "`{0}` is not a protocol; write a name such as tcp, udp, icmp or sctp, a number from 0 to 255, or any"
    )]
    UnknownProtocol(String),
    /// An IPv6 protocol in an IPv4 rule.
    #[error("protocol {} exists in IPv6 only; set `ethertype: IPv6` or choose another protocol", ProtocolText(*.0))]
    Ipv6Only(u8),
    /// Ports, and every protocol.
    #[error(
        "ports need a protocol; set `protocol` to tcp, udp, sctp, dccp or udplite, or leave the ports out"
    )]
    PortsWithoutProtocol,
    /// Ports, and a protocol without.
    #[error("protocol {} has no ports; leave the port range out, or use tcp, udp, sctp, dccp or udplite", ProtocolText(*.0))]
    NoPorts(u8),
    /// One end of the range only.
    #[error(
        "a port range needs both ends; set `port_range_min` and `port_range_max` (the same for a single port)"
    )]
    HalfPortRange,
    /// Beyond 1 to 65535.
    #[error("port {0} is out of range; ports are 1 to 65535, and no range at all means every port")]
    Port(i64),
    /// The first port is behind the last.
    #[error("port_range_min {min} is greater than port_range_max {max}; swap them")]
    ReversedPortRange {
        /// First port as written.
        min: i64,
        /// Last port as written.
        max: i64,
    },
    /// An ICMP type without ICMP.
    #[error("an ICMP type or code needs `protocol: icmp` (or ipv6-icmp)")]
    NotIcmp,
    /// Both ways of writing type and code at once.
    #[error(
        "type and code are written twice; keep `icmp_type` and `icmp_code`, leave port_range_min and port_range_max out"
    )]
    IcmpTwice,
    /// A code and no type.
    #[error("an ICMP code needs a type; set `icmp_type`")]
    CodeWithoutType,
    /// Beyond 0 to 255.
    #[error("ICMP type or code {0} is out of range; both are 0 to 255")]
    IcmpRange(i64),
    /// No address and no prefix.
    #[error(
        "`{0}` is not an address or a prefix; write for example 10.0.0.0/8, 10.0.0.7 or 2001:db8::/64"
    )]
    Prefix(String),
    /// A prefix of the other family.
    #[error("{prefix} is not {ethertype}; correct the prefix or the rule's `ethertype`")]
    PrefixFamily {
        /// The prefix as written.
        prefix: IpNet,
        /// The rule's family.
        ethertype: Ethertype,
    },
    /// More than one remote.
    #[error(
        "a rule has one remote; keep one of remote_ip_prefix, remote_group and remote_address_group"
    )]
    SeveralRemotes,
    /// A rule's text that does not read.
    #[error("`{0}` is not a rule; write for example `ingress IPv4 tcp 80 from 10.0.0.0/8`")]
    Text(String),
}

/// A protocol for the eye: its name, else its number.
pub(super) struct ProtocolText(pub(super) u8);

impl fmt::Display for ProtocolText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match protocol_name(self.0) {
            Some(name) => f.write_str(name),
            None => write!(f, "{}", self.0),
        }
    }
}
