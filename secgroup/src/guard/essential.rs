//! What passes without a rule, so that a guest without any can still get an address and be found.
//! None of it makes connection state.

use super::{Dhcp, Guard, dhcp, is_link_local, shape};
use packet::{Direction, Headers, Ip, Net, Reason};

/// Whether a packet is one of the built-in essentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Essential {
    /// It passes without a rule and without state.
    Pass,
    /// It would be one, but not from this sender.
    Refuse(Reason),
    /// It is none: the rules decide.
    No,
}

/// What the receiver must know of the sending port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sender {
    /// An uplink, or port security is off: whatever is not filtered at its own port may be router and DHCP
    /// server, as Neutron has it (`OVSFirewallDriver` drops their messages at filtered senders alone).
    pub trusted: bool,
    /// It has the IPv6 address of a declared DHCP server, so that its link-local one is the server's too.
    pub serves_dhcp6: bool,
    /// It has the subnet's IPv6 gateway address, so that it may advertise routes.
    pub is_router: bool,
}

impl Guard {
    /// Whether this packet, already admitted or received by the guard, needs no rule. Ports that
    /// filter nothing have no essentials.
    ///
    /// Besides ARP these are the guest's side of DHCP, address resolution, and of the routers the
    /// trusted ones. An ethertype that the port permits is none of the rules' business either.
    #[inline]
    #[must_use]
    pub fn essential(&self, direction: Direction, h: &Headers, sender: Sender) -> Essential {
        if self.unfiltered || h.ordinary {
            return Essential::No;
        }
        match (&h.net, direction) {
            (Net::Arp(_) | Net::Other, _) => Essential::Pass,
            (Net::Ip(ip), Direction::Egress) => said(ip),
            (Net::Ip(ip), Direction::Ingress | Direction::Unknown) => self.heard(ip, sender),
        }
    }

    #[inline]
    fn heard(&self, ip: &Ip, sender: Sender) -> Essential {
        if let Some(icmp) = shape::icmpv6(ip) {
            return match icmp.kind {
                130 | 135 | 136 => Essential::Pass,
                134 if sender.trusted || sender.is_router => Essential::Pass,
                134 => Essential::Refuse(Reason::RaGuard),
                _ => Essential::No,
            };
        }
        match dhcp(ip) {
            Some(Dhcp::ToClient)
                if sender.trusted
                    || self.is_known_server(ip.src)
                    || sender.serves_dhcp6 && is_link_local(ip.src) =>
            {
                Essential::Pass
            }
            Some(Dhcp::ToClient) => Essential::Refuse(Reason::DhcpServer),
            Some(Dhcp::ToServer) | None => Essential::No,
        }
    }
}

/// Whether this is what every host tells the routers and DHCP servers of its link by a group address:
/// listener reports, router solicitations, requests of DHCP clients. A port whose rules do not ask for
/// them is none of those, so that they pass it by instead of being refused there (RFC 4541, section 2.1.1,
/// forwards reports to routers alone; switches that snoop on DHCP do the same with requests).
#[cold]
#[must_use]
pub fn is_announcement(h: &Headers) -> bool {
    let Net::Ip(ip) = &h.net else { return false };
    let by_kind = || match shape::icmpv6(ip) {
        Some(icmp) => matches!(icmp.kind, 131..=133 | 143),
        None => dhcp(ip) == Some(Dhcp::ToServer),
    };
    h.eth.dst.is_group() && ip.fragment.is_none() && by_kind()
}

#[inline]
fn said(ip: &Ip) -> Essential {
    let essential = match shape::icmpv6(ip) {
        Some(icmp) => matches!(icmp.kind, 131 | 132 | 133 | 135 | 136 | 143),
        None => dhcp(ip) == Some(Dhcp::ToServer),
    };
    if essential {
        Essential::Pass
    } else {
        Essential::No
    }
}
