//! What a guest may claim in neighbour discovery (RFC 4861) and listener messages (RFC 3810).
//! That the message is whole and from this link was checked before.

use super::couples::Couples;
use super::is_link_local;
use super::shape::icmpv6;
use packet::{Ip, Mac, Reason, neighbour};
use std::net::{IpAddr, Ipv6Addr};

/// Refuses a router advertisement, also behind extension headers and in fragments (RFC 7113).
#[inline]
pub(super) fn refuse_advertisement(ip: &Ip) -> Result<(), Reason> {
    match icmpv6(ip) {
        Some(icmp) if icmp.kind == 134 => Err(Reason::RaGuard),
        _ => Ok(()),
    }
}

/// Router solicitation and advertisement, neighbour solicitation and advertisement, listener messages.
#[inline]
pub(super) fn is_neighbour_or_listener(ip: &Ip) -> bool {
    icmpv6(ip).is_some_and(|icmp| matches!(icmp.kind, 131..=136 | 143))
}

/// Source, target and link-layer address must all be the port's.
///
/// For these messages the link-local address that follows from the MAC is the port's in any case: a kernel
/// announces it on every interface, also where the port has IPv4 alone. Only a port that may advertise routes
/// comes here with an advertisement of them.
pub(super) fn admit(couples: &Couples, mac: Mac, frame: &[u8], ip: &Ip) -> Result<(), Reason> {
    let Some(icmp) = icmpv6(ip) else {
        return Ok(());
    };
    let nameless = ip.src == IpAddr::V6(Ipv6Addr::UNSPECIFIED);
    let owns = |address: IpAddr| couples.owns(mac, address) || address == mac.link_local();
    if !nameless && !owns(ip.src) {
        return Err(Reason::SpoofIp);
    }
    if matches!(icmp.kind, 131 | 132 | 143) {
        return if !nameless || is_link_multicast(ip.dst) {
            Ok(())
        } else {
            Err(Reason::SpoofIp)
        };
    }
    let claim = neighbour(frame, ip).map_err(|_| Reason::Malformed)?;
    let target_is_own = claim.target.is_some_and(|target| owns(target.into()));
    let holds = match (claim.kind, nameless) {
        // Without an address there is nothing that the option could bind (RFC 4861, section 4.1).
        (133, true) => claim.link_layer.is_none(),
        // RFC 4861, section 6.1.2.
        (134, false) => is_link_local(ip.src) && claim.link_layer.is_none_or(|own| own == mac),
        // Duplicate address detection (RFC 4862, section 5.4.2).
        (135, true) => claim.link_layer.is_none() && target_is_own && is_link_multicast(ip.dst),
        (133 | 135, false) => claim.link_layer.is_none_or(|own| own == mac),
        (136, false) => target_is_own && claim.link_layer.is_none_or(|own| own == mac),
        _ => false,
    };
    if holds { Ok(()) } else { Err(Reason::SpoofNd) }
}

/// ff02::/16.
fn is_link_multicast(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(v6) if v6.segments()[0] == 0xff02)
}
