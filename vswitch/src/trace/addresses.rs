//! The MAC address that the guest's kernel would send to, for packets written without `to`.

use crate::config::{Plan, Port, Role};
use packet::{Mac, PacketSpec, SpecBody};
use std::net::IpAddr;

/// A MAC that nobody has: an address that no port owns, in a subnet without a way out. Locally
/// administered (IEEE 802, U/L), so that it can be no real one.
const NOBODY: Mac = Mac([0x02, 0, 0, 0, 0, 0]);

/// Where the packet of the port at `sender` would be sent to: the port of its subnet that owns the
/// destination address, else the way out.
#[must_use]
pub(super) fn destination_mac(plan: &Plan, sender: usize, spec: &PacketSpec) -> Mac {
    let sender = &plan.ports[sender];
    match spec.body {
        SpecBody::Arp {
            operation: 2,
            target_ip,
            ..
        } => unicast(plan, sender, target_ip.into()),
        SpecBody::Arp { .. } | SpecBody::Other { .. } => Mac::BROADCAST,
        SpecBody::Ip(ip) => {
            group(plan, sender, ip.dst).unwrap_or_else(|| unicast(plan, sender, ip.dst))
        }
    }
}

/// Broadcast, and multicast as RFC 1112 (section 6.4) and RFC 2464 (section 7) map it.
fn group(plan: &Plan, sender: &Port, address: IpAddr) -> Option<Mac> {
    match address {
        IpAddr::V4(v4) if v4.is_multicast() => {
            let [_, b, c, d] = v4.octets();
            Some(Mac([0x01, 0x00, 0x5e, b & 0x7f, c, d]))
        }
        IpAddr::V4(v4) => {
            let subnet = plan
                .subnets
                .get(sender.subnet)
                .and_then(|subnet| subnet.cidr);
            let broadcast = subnet
                .filter(|net| net.prefix_len() <= 30)
                .map(|net| net.broadcast());
            (v4.is_broadcast() || broadcast == Some(v4)).then_some(Mac::BROADCAST)
        }
        IpAddr::V6(v6) if v6.is_multicast() => {
            let [.., a, b, c, d] = v6.octets();
            Some(Mac([0x33, 0x33, a, b, c, d]))
        }
        IpAddr::V6(_) => None,
    }
}

fn unicast(plan: &Plan, sender: &Port, address: IpAddr) -> Mac {
    let here = || {
        plan.ports
            .iter()
            .filter(|port| port.subnet == sender.subnet)
    };
    let pairs = |port: &Port| {
        port.allowed_address_pairs
            .iter()
            .any(|pair| pair.prefix.contains(&address))
    };
    let owner =
        here().find(|port| port.fixed_ips.contains(&address) || port.mac.link_local() == address);
    let owner = owner.or_else(|| here().find(|port| pairs(port)));
    let way_out = || {
        here()
            .find(|port| port.role == Role::Uplink)
            .or_else(|| gateway(plan, sender))
    };
    owner.or_else(way_out).map_or(NOBODY, |port| port.mac)
}

/// A guest that is the subnet's router.
fn gateway<'a>(plan: &'a Plan, sender: &Port) -> Option<&'a Port> {
    let gateways = &plan.subnets.get(sender.subnet)?.gateway_ips;
    let mut here = plan
        .ports
        .iter()
        .filter(|port| port.subnet == sender.subnet);
    here.find(|port| {
        port.fixed_ips
            .iter()
            .any(|address| gateways.contains(address))
    })
}
