//! What Security Groups need to know of a port.

use ipnet::IpNet;
use packet::Mac;
use std::{
    fmt,
    net::{IpAddr, Ipv4Addr},
};
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

/// The bare number.
impl fmt::Display for PortId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
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
    /// IPv4 broadcast address of the port's subnet besides 255.255.255.255.
    pub broadcast: Option<Ipv4Addr>,
}

impl PortSpec {
    /// Neither anti-spoofing nor groups apply here: an uplink, or port security is off.
    #[must_use]
    pub const fn is_unfiltered(&self) -> bool {
        self.uplink || !self.port_security
    }

    /// Every (MAC, addresses) couple the port may use: fixed addresses with its own MAC, the allowed
    /// address pairs, and with each MAC that has an IPv6 address the link-local one that follows from it
    /// (as Neutron's `iptables_firewall.py`). One that does not follow from the MAC (RFC 7217) needs a pair.
    pub fn couples(&self) -> impl Iterator<Item = (Mac, IpNet)> + '_ {
        self.given_couples().chain(self.link_locals())
    }

    /// What `fixed_ips` and `allowed_address_pairs` say.
    fn given_couples(&self) -> impl Iterator<Item = (Mac, IpNet)> + '_ {
        let fixed = self.fixed_ips.iter().map(|ip| (self.mac, IpNet::from(*ip)));
        let pairs = self.allowed_address_pairs.iter();
        fixed.chain(pairs.map(|pair| (pair.mac.unwrap_or(self.mac), pair.prefix.trunc())))
    }

    /// The link-local address of each MAC that has an IPv6 address, once.
    fn link_locals(&self) -> impl Iterator<Item = (Mac, IpNet)> {
        let mut macs: Vec<Mac> = Vec::new();
        for (mac, prefix) in self.given_couples() {
            if matches!(prefix, IpNet::V6(_)) && !macs.contains(&mac) {
                macs.push(mac);
            }
        }
        let link_local = |mac: Mac| (mac, IpNet::from(IpAddr::from(mac.link_local())));
        macs.into_iter().map(link_local)
    }
}
