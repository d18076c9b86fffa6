//! What a port may say and hear before any rule is asked (reference A7, A8, A9).

use crate::model::filters;
use crate::seen::{Seen, Tag, dhcp, icmpv6, is_group};
use ipnet::IpNet;
use packet::{Direction, IpSpec, Mac, Reason, SpecBody, protocol};
use std::net::{IpAddr, Ipv6Addr};
use vswitch::switch::PortConfig;

const ROUTER_SOLICITATION: u8 = 133;
const ROUTER_ADVERTISEMENT: u8 = 134;
const NEIGHBOUR_SOLICITATION: u8 = 135;
const NEIGHBOUR_ADVERTISEMENT: u8 = 136;
const REDIRECT: u8 = 137;
const LISTENER_QUERY: u8 = 130;
const LISTENER_REPORT: u8 = 131;
const LISTENER_DONE: u8 = 132;
const LISTENER_REPORT_2: u8 = 143;

/// Whether the port may use this address with this MAC; `None` asks for any MAC.
pub(crate) fn owns(port: &PortConfig, mac: Option<Mac>, address: IpAddr) -> bool {
    let is = |owned: Mac| mac.is_none_or(|mac| mac == owned);
    let spec = &port.spec;
    let fixed = is(spec.mac) && spec.fixed_ips.contains(&address);
    let mut pairs = spec.allowed_address_pairs.iter();
    fixed
        || macs_with_v6(port).any(|own| is(own) && address == IpAddr::V6(own.link_local()))
        || pairs.any(|pair| is(pair.mac.unwrap_or(spec.mac)) && pair.prefix.contains(&address))
}

/// The MACs that have an IPv6 address, and so the link-local one that follows from the MAC.
pub(crate) fn macs_with_v6(port: &PortConfig) -> impl Iterator<Item = Mac> {
    let spec = &port.spec;
    let mut fixed = spec.fixed_ips.iter();
    let own = fixed.any(IpAddr::is_ipv6).then_some(spec.mac);
    let pairs = spec.allowed_address_pairs.iter();
    let of_pairs = pairs.filter(|pair| matches!(pair.prefix, IpNet::V6(_)));
    own.into_iter()
        .chain(of_pairs.map(|pair| pair.mac.unwrap_or(spec.mac)))
}

/// Whether the port has an address, not only a prefix around it.
fn has_exactly(port: &PortConfig, address: IpAddr) -> bool {
    let mut pairs = port.spec.allowed_address_pairs.iter();
    port.spec.fixed_ips.contains(&address)
        || macs_with_v6(port).any(|mac| address == IpAddr::V6(mac.link_local()))
        || pairs.any(|pair| pair.prefix == IpNet::from(address))
}

/// Whether it is the declared IPv6 router of its subnet.
pub(crate) fn is_router(port: &PortConfig) -> bool {
    let mut gateways = port.spec.gateway_ips.iter();
    gateways.any(|gateway| gateway.is_ipv6() && has_exactly(port, *gateway))
}

/// Whether it is a declared DHCPv6 server, so that its link-local address is one.
pub(crate) fn serves_dhcp6(port: &PortConfig) -> bool {
    let mut servers = port.spec.gateway_ips.iter().chain(&port.spec.dhcp_servers);
    servers.any(|server| server.is_ipv6() && has_exactly(port, *server))
}

fn is_link_local(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(v6) if v6.segments()[0] & 0xffc0 == 0xfe80)
}

/// What hosts tell routers and DHCP servers by group addresses: it passes those by that ask for none of it.
pub(crate) fn is_announcement(seen: &Seen<'_>) -> bool {
    let Some(ip) = seen.ip() else { return false };
    let told = match icmpv6(ip).map(|icmp| icmp.kind) {
        Some(kind) => matches!(
            kind,
            ROUTER_SOLICITATION | LISTENER_REPORT | LISTENER_DONE | LISTENER_REPORT_2
        ),
        None => dhcp(ip) == Some(true),
    };
    seen.dst.is_group() && told
}

pub(crate) fn owns_mac(port: &PortConfig, mac: Mac) -> bool {
    let mut pairs = port.spec.allowed_address_pairs.iter();
    port.spec.mac == mac || pairs.any(|pair| pair.mac == Some(mac))
}

/// Whether the port may send this.
pub(crate) fn admit(port: &PortConfig, seen: &Seen<'_>) -> Result<(), Reason> {
    if !filters(port) {
        return Ok(());
    }
    if !owns_mac(port, seen.src) {
        return Err(Reason::SpoofMac);
    }
    link(port, seen)?;
    match seen.body {
        SpecBody::Other { .. } => Ok(()),
        SpecBody::Arp {
            reverse,
            operation,
            sender_mac,
            sender_ip,
            target_ip,
        } => {
            // RARP announces a MAC; a probe speaks of the address that it is about to use.
            let is_probe = sender_ip.is_unspecified() && *operation == 1;
            let claimed = if is_probe { target_ip } else { sender_ip };
            let own_mac = sender_mac.is_none_or(|mac| mac == seen.src);
            if own_mac && *reverse && ![3, 4].contains(operation) {
                return Err(Reason::Malformed);
            }
            if own_mac && (*reverse || owns(port, Some(seen.src), (*claimed).into())) {
                Ok(())
            } else {
                Err(Reason::SpoofArp)
            }
        }
        SpecBody::Ip(ip) => {
            let advertises = icmpv6(ip).is_some_and(|icmp| icmp.kind == ROUTER_ADVERTISEMENT);
            if advertises && !is_router(port) {
                return Err(Reason::RaGuard);
            }
            form(seen, ip)?;
            source(port, seen, ip)?;
            sense(port, ip)?;
            let is_known = is_server(port, ip.src) || serves_dhcp6(port) && is_link_local(ip.src);
            match dhcp(ip) {
                Some(false) if !is_known => Err(Reason::DhcpServer),
                _ => Ok(()),
            }
        }
    }
}

/// Whether the port takes this.
pub(crate) fn receive(port: &PortConfig, seen: &Seen<'_>) -> Result<(), Reason> {
    if seen.longest > u64::from(port.mtu) {
        return Err(Reason::Mtu);
    }
    if !filters(port) {
        return Ok(());
    }
    link(port, seen)?;
    if !seen.dst.is_group() && !owns_mac(port, seen.dst) {
        return Err(Reason::SpoofMac);
    }
    let Some(ip) = seen.ip() else { return Ok(()) };
    form(seen, ip)?;
    sense(port, ip)?;
    let is_for_it = is_group(ip.dst, broadcast(port)) || owns(port, None, ip.dst);
    if port.spec.strict_rx && !is_for_it {
        return Err(Reason::SpoofIp);
    }
    Ok(())
}

/// What needs no rule: `Some` is the verdict, `None` leaves it to the rules.
pub(crate) fn essential(
    port: &PortConfig,
    direction: Direction,
    seen: &Seen<'_>,
    sender: &PortConfig,
) -> Option<Result<(), Reason>> {
    // ARP, and an ethertype that the port permits.
    let Some(ip) = seen.ip() else {
        return Some(Ok(()));
    };
    let egress = direction == Direction::Egress;
    let from_trusted = !filters(sender);
    match (icmpv6(ip).map(|icmp| icmp.kind), dhcp(ip)) {
        (Some(ROUTER_SOLICITATION | LISTENER_REPORT | LISTENER_DONE | LISTENER_REPORT_2), _)
            if egress =>
        {
            Some(Ok(()))
        }
        (Some(NEIGHBOUR_SOLICITATION | NEIGHBOUR_ADVERTISEMENT), _) => Some(Ok(())),
        (Some(LISTENER_QUERY), _) if !egress => Some(Ok(())),
        (Some(ROUTER_ADVERTISEMENT), _) if !egress => Some(if from_trusted || is_router(sender) {
            Ok(())
        } else {
            Err(Reason::RaGuard)
        }),
        (_, Some(true)) if egress => Some(Ok(())),
        (_, Some(false)) if !egress => {
            let is_good = from_trusted
                || is_server(port, ip.src)
                || serves_dhcp6(sender) && is_link_local(ip.src);
            Some(if is_good {
                Ok(())
            } else {
                Err(Reason::DhcpServer)
            })
        }
        _ => None,
    }
}

/// Whether a packet is judged without connection state wherever it goes.
pub(crate) fn is_untracked(seen: &Seen<'_>, receiver: &PortConfig) -> bool {
    let Some(ip) = seen.ip() else { return true };
    let is_redirect =
        matches!(ip.l4, packet::L4::Icmp(icmp) if ip.protocol == protocol::ICMP && icmp.kind == 5);
    let of_the_link = icmpv6(ip)
        .is_some_and(|icmp| matches!(icmp.kind, LISTENER_QUERY..=REDIRECT | LISTENER_REPORT_2));
    seen.dst.is_group()
        || is_group(ip.dst, broadcast(receiver))
        || is_redirect
        || of_the_link
        || dhcp(ip).is_some()
}

fn broadcast(port: &PortConfig) -> Option<IpAddr> {
    port.spec.broadcast.map(IpAddr::V4)
}

fn is_server(port: &PortConfig, address: IpAddr) -> bool {
    port.spec.gateway_ips.contains(&address) || port.spec.dhcp_servers.contains(&address)
}

/// The link layer.
fn link(port: &PortConfig, seen: &Seen<'_>) -> Result<(), Reason> {
    if seen.src.is_group() || seen.src == Mac::ZERO || seen.src == seen.dst {
        return Err(Reason::SpoofMac);
    }
    let permits = |ethertype: u16| port.spec.permitted_ethertypes.contains(&ethertype);
    let is_reserved = seen.dst.0[..5] == [0x01, 0x80, 0xc2, 0, 0] && seen.dst.0[5] < 0x10;
    let is_pause = seen.dst.0[5] == 1
        || matches!(seen.body, SpecBody::Other { ethertype, .. } if *ethertype == 0x8808);
    let wins = matches!(seen.body, SpecBody::Other { ethertype, .. } if permits(*ethertype));
    if is_reserved && (is_pause || !wins) {
        return Err(Reason::L2Reserved);
    }
    if matches!(seen.tag, Tag::Vlan | Tag::Several) {
        return Err(Reason::Vlan);
    }
    match seen.body {
        SpecBody::Ip(_) | SpecBody::Arp { .. } => Ok(()),
        SpecBody::Other { ethertype, .. } if *ethertype < 0x600 || *ethertype == 0x8808 => {
            Err(Reason::L2Reserved)
        }
        SpecBody::Other { ethertype, .. } if permits(*ethertype) => Ok(()),
        SpecBody::Other { .. } => Err(Reason::Ethertype),
    }
}

/// Lengths, and that neighbour discovery was not forwarded and has its one code.
fn form(seen: &Seen<'_>, ip: &IpSpec) -> Result<(), Reason> {
    let neighbour = icmpv6(ip).filter(|icmp| matches!(icmp.kind, ROUTER_SOLICITATION..=REDIRECT));
    if seen.is_cut || neighbour.is_some_and(|icmp| ip.ttl != 255 || icmp.code != 0) {
        return Err(Reason::Malformed);
    }
    Ok(())
}

/// Who can speak to whom at all.
fn sense(port: &PortConfig, ip: &IpSpec) -> Result<(), Reason> {
    let to_group = is_group(ip.dst, broadcast(port));
    if ip.src == ip.dst
        || is_group(ip.src, broadcast(port))
        || to_group && ip.protocol == protocol::TCP
    {
        return Err(Reason::Malformed);
    }
    Ok(())
}

/// Whether the source is the port's, and what neighbour discovery claims.
fn source(port: &PortConfig, seen: &Seen<'_>, ip: &IpSpec) -> Result<(), Reason> {
    let kind = icmpv6(ip).map(|icmp| icmp.kind);
    // Of the link-local address that follows from the MAC every kernel speaks, if of nothing else.
    let of_the_link = matches!(
        kind,
        Some(LISTENER_REPORT..=NEIGHBOUR_ADVERTISEMENT | LISTENER_REPORT_2)
    );
    let own = |address: IpAddr| {
        owns(port, Some(seen.src), address)
            || of_the_link && address == IpAddr::V6(seen.src.link_local())
    };
    let nameless = ip.src == IpAddr::V6(Ipv6Addr::UNSPECIFIED);
    let to_link = matches!(ip.dst, IpAddr::V6(v6) if v6.segments()[0] == 0xff02);
    let claim = match kind {
        Some(LISTENER_REPORT | LISTENER_DONE | LISTENER_REPORT_2) if nameless => {
            return if to_link {
                Ok(())
            } else {
                Err(Reason::SpoofIp)
            };
        }
        Some(kind @ (ROUTER_SOLICITATION..=NEIGHBOUR_ADVERTISEMENT)) => kind,
        _ if own(ip.src) => return Ok(()),
        // Before it has an address a guest may ask for one.
        _ if ip.src == IpAddr::from([0; 4])
            && seen.src == port.spec.mac
            && dhcp(ip) == Some(true) =>
        {
            return Ok(());
        }
        _ => return Err(Reason::SpoofIp),
    };
    if !nameless && !own(ip.src) {
        return Err(Reason::SpoofIp);
    }
    let target_is_own = ip.target.is_some_and(|target| own(target.into()));
    let is_true = match (claim, ip.link_layer) {
        (ROUTER_SOLICITATION, None) => true,
        (ROUTER_ADVERTISEMENT, link_layer) => {
            is_link_local(ip.src) && link_layer.is_none_or(|mac| mac == seen.src)
        }
        (NEIGHBOUR_SOLICITATION, None) => !nameless || target_is_own && to_link,
        (NEIGHBOUR_ADVERTISEMENT, link_layer) => {
            !nameless && target_is_own && link_layer.is_none_or(|mac| mac == seen.src)
        }
        (_, Some(mac)) => !nameless && mac == seen.src,
        _ => false,
    };
    if is_true {
        Ok(())
    } else {
        Err(Reason::SpoofNd)
    }
}
