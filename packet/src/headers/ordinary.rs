//! Whether a frame is what nearly every frame is: a TCP segment or a UDP datagram of two hosts, whole and
//! sound.
//!
//! The guards, the exclusions of the log and the connection tracker look for a great many things that a
//! frame may be instead. Looked for once, while the headers are in registers, the answer is one bit, and
//! each of them passes such a frame on at its first line.

use super::{Headers, Ip, L4, Net, Vlan};
use std::net::IpAddr;

/// First octet of IPv4 multicast; above it nothing is a host's address either.
const GROUPS_FROM: u8 = 224;
/// Link-local, where the metadata service is.
const LINK_LOCAL: [u8; 2] = [169, 254];
/// First octet of IPv6 multicast.
const GROUPS_V6: u8 = 0xff;

/// See [`Headers::ordinary`].
#[inline]
pub(super) fn is_ordinary(headers: &Headers) -> bool {
    let Net::Ip(ip) = &headers.net else {
        return false;
    };
    let eth = &headers.eth;
    headers.defect.is_none()
        && !headers.bad_checksum
        && ip.fragment.is_none()
        && eth.vlan == Vlan::Untagged
        && eth.src.is_legal_source()
        && !eth.dst.is_group()
        && eth.src != eth.dst
        && between_ports(&ip.l4)
        && between_hosts(ip)
}

#[inline]
fn between_ports(l4: &L4) -> bool {
    match l4 {
        L4::Tcp(_) => true,
        L4::Udp { src_port, dst_port } => !is_dhcp(*src_port) && !is_dhcp(*dst_port),
        L4::Ports { .. } | L4::Sctp(_) | L4::Dccp(_) | L4::Icmp(_) | L4::Opaque => false,
    }
}

/// Ports of DHCP and DHCPv6, which pass by rules of their own.
#[inline]
const fn is_dhcp(port: u16) -> bool {
    matches!(port, 67 | 68 | 546 | 547)
}

#[inline(always)]
fn between_hosts(ip: &Ip) -> bool {
    let is_host_v4 = |[a, b, ..]: [u8; 4]| a < GROUPS_FROM && [a, b] != LINK_LOCAL;
    match (ip.src, ip.dst) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => {
            src != dst && is_host_v4(src.octets()) && is_host_v4(dst.octets())
        }
        (IpAddr::V6(src), IpAddr::V6(dst)) => {
            src != dst && src.octets()[0] != GROUPS_V6 && dst.octets()[0] != GROUPS_V6
        }
        _ => false,
    }
}
