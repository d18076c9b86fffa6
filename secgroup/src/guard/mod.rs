//! What a port may say and hear before any rule is asked: anti-spoofing, built-in essentials and
//! the link layer. One guard per port.
//!
//! ```text
//!   sender:    admit ─▶ essential(egress) ─▶ rules
//!   receiver:  receives ─▶ essential(ingress) ─▶ rules
//! ```
//!
//! At a port without port security, and at an uplink, nothing of this holds: it is `unfiltered`.
//! What such a port sends is examined by the first port that filters, the receiver.

mod admit;
mod couples;
mod essential;
mod nd;
mod receive;
mod shape;

pub use essential::{Essential, Sender, is_announcement};

use crate::PortSpec;
use couples::Couples;
use packet::{Headers, Ip, L4, Mac, Net, Reason, protocol};
use std::net::{IpAddr, Ipv4Addr};

/// The anti-spoofing state of one port; built anew when the port's configuration changes.
#[derive(Debug, Clone)]
pub struct Guard {
    mac: Mac,
    couples: Couples,
    unfiltered: bool,
    permitted_ethertypes: Box<[u16]>,
    strict_rx: bool,
    /// Gateway and declared servers of the subnet: whose DHCP answers are taken.
    dhcp_servers: Box<[IpAddr]>,
    /// It has the IPv6 address of one of them itself, not only a prefix around it: a router or VPN guest
    /// with a pair for whole networks is no server by that.
    serves_dhcp6: bool,
    /// It has the subnet's IPv6 gateway address.
    is_router: bool,
    broadcast: Option<Ipv4Addr>,
}

impl Guard {
    /// The guard of a port.
    #[must_use]
    pub fn new(port: &PortSpec) -> Self {
        let couples = Couples::new(port);
        let servers = || port.gateway_ips.iter().chain(&port.dhcp_servers);
        let mut gateways = port.gateway_ips.iter();
        Self {
            serves_dhcp6: servers().any(|ip| ip.is_ipv6() && couples.owns_exactly(*ip)),
            is_router: gateways.any(|ip| ip.is_ipv6() && couples.owns_exactly(*ip)),
            mac: port.mac,
            couples,
            unfiltered: port.is_unfiltered(),
            permitted_ethertypes: port.permitted_ethertypes.as_slice().into(),
            strict_rx: port.strict_rx,
            dhcp_servers: servers().copied().collect(),
            broadcast: port.broadcast,
        }
    }

    /// What a receiver must know of this port.
    #[inline]
    #[must_use]
    pub const fn as_sender(&self) -> Sender {
        Sender {
            trusted: self.unfiltered,
            serves_dhcp6: self.serves_dhcp6,
            is_router: self.is_router,
        }
    }

    /// Whether the port may use this address as its own.
    #[must_use]
    pub fn owns(&self, address: IpAddr) -> bool {
        self.couples.owns_address(address)
    }

    /// The port's own MAC, then those of its allowed address pairs: the static FDB entries of a
    /// port with port security, which learns nothing.
    #[must_use]
    pub fn owned_macs(&self) -> &[Mac] {
        self.couples.macs()
    }

    /// What remains of [`shape::addresses`] for an ordinary packet: the broadcast address of its subnet,
    /// which the packet alone does not show.
    #[inline]
    fn addresses(&self, ip: &Ip) -> Result<(), Reason> {
        let is_broadcast = |address| match (address, self.broadcast) {
            (IpAddr::V4(address), Some(broadcast)) => address == broadcast,
            _ => false,
        };
        if is_broadcast(ip.src) || is_broadcast(ip.dst) && ip.protocol == protocol::TCP {
            Err(Reason::Malformed)
        } else {
            Ok(())
        }
    }

    /// Whether DHCP answers may come from this address.
    #[inline]
    fn is_known_server(&self, address: IpAddr) -> bool {
        self.dhcp_servers.contains(&address)
    }
}

/// Whether rules judge this packet without connection state, each copy by itself: multicast and
/// broadcast (an answer comes from an address that was never asked), ICMP redirects, and
/// neighbour discovery and listener messages.
///
/// A subnet's broadcast address sent to a unicast MAC is no business of this function: who knows the
/// subnet asks for it.
#[inline]
#[must_use]
pub fn untracked(h: &Headers) -> bool {
    if h.ordinary {
        return false;
    }
    let Net::Ip(ip) = &h.net else { return true };
    h.eth.dst.is_group()
        || is_group_address(ip.dst, None)
        || match ip.l4 {
            L4::Icmp(icmp) if ip.protocol == protocol::ICMP => icmp.kind == ICMP_REDIRECT,
            L4::Icmp(icmp) if ip.protocol == protocol::ICMPV6 => {
                matches!(icmp.kind, 130..=137 | 143)
            }
            _ => false,
        }
}

/// ICMP type 5 (RFC 792).
const ICMP_REDIRECT: u8 = 5;

/// Multicast or broadcast.
#[inline]
fn is_group_address(address: IpAddr, broadcast: Option<Ipv4Addr>) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_multicast() || v4.is_broadcast() || broadcast == Some(v4),
        IpAddr::V6(v6) => v6.is_multicast(),
    }
}

/// fe80::/10.
fn is_link_local(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(v6) if v6.is_unicast_link_local())
}

/// Which half of a DHCP exchange a packet belongs to (RFC 2131 section 4.1, RFC 8415 section 7.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Dhcp {
    /// 68 → 67, or 546 → 547.
    ToServer,
    /// 67 → 68, or 547 → 546.
    ToClient,
}

#[inline]
fn dhcp(ip: &Ip) -> Option<Dhcp> {
    let L4::Udp { src_port, dst_port } = ip.l4 else {
        return None;
    };
    match (ip.src, src_port, dst_port) {
        (IpAddr::V4(_), 68, 67) | (IpAddr::V6(_), 546, 547) => Some(Dhcp::ToServer),
        (IpAddr::V4(_), 67, 68) | (IpAddr::V6(_), 547, 546) => Some(Dhcp::ToClient),
        _ => None,
    }
}
