//! What no filtering port sends or takes, whoever it is: frames whose form is wrong.
//!
//! The sender's guard asks first. The receiver's asks again, for senders that are not filtered.

use super::is_group_address;
use packet::{
    Defect, Ethernet, Fragment, Headers, Icmp, Ip, L4, Mac, Reason, Vlan, ethertype, protocol,
};
use std::net::Ipv4Addr;

/// Below this an "ethertype" is an 802.3 length (IEEE 802.3, section 3.2.6).
const ETHERTYPE_MIN: u16 = 0x0600;

/// The link layer's form.
#[inline]
pub(super) fn link(frame: &[u8], eth: &Ethernet, permitted: &[u16]) -> Result<(), Reason> {
    if !eth.src.is_legal_source() || eth.src == eth.dst {
        return Err(Reason::SpoofMac);
    }
    // IP and ARP are in no list, so that nothing of them goes there.
    if is_reserved(eth.dst) && !(permitted.contains(&eth.ethertype) && may_be_permitted(eth)) {
        return Err(Reason::L2Reserved);
    }
    // What is behind a tag was not parsed, so a tag must never pass.
    match eth.vlan {
        Vlan::Untagged | Vlan::Priority => {}
        Vlan::Tagged(_) | Vlan::Double => return Err(Reason::Vlan),
    }
    match eth.ethertype {
        ethertype::IPV4 | ethertype::IPV6 | ethertype::ARP | ethertype::RARP => Ok(()),
        // A tag that is cut short.
        ethertype::VLAN => Err(Reason::Malformed),
        // LLC and SNAP: no list permits them. SNAP can carry IP, so it counts as what it hides.
        length if length < ETHERTYPE_MIN && is_snap(frame, eth) => Err(Reason::Ethertype),
        length if length < ETHERTYPE_MIN => Err(Reason::L2Reserved),
        ethertype::MAC_CONTROL => Err(Reason::L2Reserved),
        other if permitted.contains(&other) => Ok(()),
        _ => Err(Reason::Ethertype),
    }
}

/// An ethertype in an 802.2 SNAP header (RFC 1042).
#[cold]
fn is_snap(frame: &[u8], eth: &Ethernet) -> bool {
    frame
        .get(eth.header_len()..)
        .is_some_and(|llc| llc.starts_with(&[0xaa, 0xaa, 3]))
}

/// Whether a permission can let a frame to a reserved address through. Never MAC control, pause frames above
/// all, whatever their ethertype says: they are for the other end of a cable (IEEE 802.3, annex 31A).
const fn may_be_permitted(eth: &Ethernet) -> bool {
    const MAC_CONTROL: Mac = Mac([0x01, 0x80, 0xc2, 0, 0, 1]);
    eth.ethertype != ethertype::MAC_CONTROL && !matches!(eth.dst, MAC_CONTROL)
}

/// 01:80:c2:00:00:00 to 0f: not forwarded by a bridge (IEEE 802.1D, table 7-10) that is not told to.
#[inline]
fn is_reserved(mac: Mac) -> bool {
    matches!(mac.0, [0x01, 0x80, 0xc2, 0, 0, last] if last < 0x10)
}

/// Headers that lie about the frame.
#[inline]
pub(super) fn headers(h: &Headers) -> Result<(), Reason> {
    match h.defect {
        Some(Defect::TinyFragment) => Err(Reason::FragTiny),
        Some(_) => Err(Reason::Malformed),
        None => Ok(()),
    }
}

/// Who can speak to whom at all. `broadcast` is the subnet's.
#[inline]
pub(super) fn addresses(ip: &Ip, broadcast: Option<Ipv4Addr>) -> Result<(), Reason> {
    // Land packets, and those whose answers would go to everybody.
    let nonsense = ip.src == ip.dst
        || is_group_address(ip.src, broadcast)
        // TCP is between two (RFC 9293, section 3.9.2.3).
        || ip.protocol == protocol::TCP && is_group_address(ip.dst, broadcast);
    if nonsense {
        Err(Reason::Malformed)
    } else {
        Ok(())
    }
}

/// Neighbour discovery comes from the same link (hop limit 255), has code 0 (RFC 4861, sections 6.1, 7.1
/// and 8.1) and is whole (RFC 6980): a fragmented one could hide what it claims.
#[inline]
pub(super) fn neighbour(ip: &Ip) -> Result<(), Reason> {
    let Some(Icmp {
        kind: kind @ 133..=137,
        code,
        ..
    }) = icmpv6(ip)
    else {
        return Ok(());
    };
    match ip.fragment {
        Some(Fragment { .. }) if kind == 134 => Err(Reason::RaGuard),
        Some(Fragment { .. }) => Err(Reason::SpoofNd),
        None if ip.hop_limit != 255 || code != 0 => Err(Reason::Malformed),
        None => Ok(()),
    }
}

/// The ICMPv6 header, where this is ICMPv6 over IPv6.
#[inline]
pub(super) fn icmpv6(ip: &Ip) -> Option<Icmp> {
    match ip.l4 {
        L4::Icmp(icmp) if ip.protocol == protocol::ICMPV6 => Some(icmp),
        _ => None,
    }
}
