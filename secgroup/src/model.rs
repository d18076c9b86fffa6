//! The model: rules, groups and ports as configured, after validation and in canonical form.

use ipnet::IpNet;
use packet::{Direction, Mac};
use std::net::IpAddr;
use uuid::Uuid;

/// A switch port's number. Real ports lie below [`PortId::PSEUDO`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PortId(pub u16);

impl PortId {
    /// First number that is no port: 0xff00 + a verdict's code stands for "nobody, with this verdict"
    /// in entries that count one side only.
    pub const PSEUDO: u16 = 0xff00;

    /// Whether this is a real port.
    #[inline]
    #[must_use]
    pub const fn is_real(self) -> bool {
        self.0 < Self::PSEUDO
    }
}

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

/// A security group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Its UUID, as the flow log's `security_group_id`.
    pub id: Uuid,
    /// Its name.
    pub name: String,
    /// Allow-only, order-free.
    pub rules: Vec<Rule>,
    /// Whether replies pass by connection state.
    pub stateful: bool,
}

/// A named list of prefixes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddressGroup {
    /// Its UUID.
    pub id: Uuid,
    /// Its name.
    pub name: String,
    /// Its prefixes, host bits masked.
    pub prefixes: Vec<IpNet>,
}

/// An allowed address pair: a couple, not two independent lists (OpenStack `allowed_address_pairs`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Pair {
    /// Addresses the port may use as source.
    pub prefix: IpNet,
    /// With this source MAC; absent, the port's own.
    pub mac: Option<Mac>,
}

/// What Security Groups need to know of a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortSpec {
    /// Its number on the switch.
    pub port: PortId,
    /// Index of its VPC: addresses of different VPCs never meet.
    pub vpc: u16,
    /// Its MAC.
    pub mac: Mac,
    /// Its own addresses.
    pub fixed_ips: Vec<IpAddr>,
    /// Further couples it may use.
    pub allowed_address_pairs: Vec<Pair>,
    /// UUIDs of its groups; their rules are a union, none means: all refused.
    pub groups: Vec<Uuid>,
    /// Off: neither anti-spoofing nor groups at this port.
    pub port_security: bool,
    /// An uplink: trusted, unfiltered, may advertise routes and answer DHCP.
    pub uplink: bool,
    /// Ethertypes besides ARP, RARP, IPv4 and IPv6 that may pass, in both directions.
    pub permitted_ethertypes: Vec<u16>,
    /// Receive only packets for own, broadcast and multicast addresses.
    pub strict_rx: bool,
    /// The subnet's gateway, from which DHCP answers are taken.
    pub gateway_ips: Vec<IpAddr>,
    /// Further DHCP servers of the subnet.
    pub dhcp_servers: Vec<IpAddr>,
    /// IPv4 broadcast addresses of the port's subnets besides 255.255.255.255.
    pub broadcast: Option<std::net::Ipv4Addr>,
}

/// A rule as entries remember it: 24 bits, 0 is "no rule". `Policies` knows its UUIDs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct RuleRef(u32);

impl RuleRef {
    /// No rule.
    pub const NONE: Self = Self(0);
    /// Greatest value.
    pub const MAX: u32 = (1 << 24) - 1;

    /// `None` where the number does not fit 24 bits.
    #[must_use]
    pub const fn new(number: u32) -> Option<Self> {
        if number <= Self::MAX { Some(Self(number)) } else { None }
    }

    /// The number.
    #[inline]
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }
}
