//! The MAC address that the guest's kernel would send to, for packets written without `to`, and what to
//! say where there is none.

use crate::config::{Plan, Port, Role};
use packet::{Mac, PacketSpec, SpecBody};
use std::net::IpAddr;

/// Stands for the MAC of an address that no port has. Locally administered (IEEE 802, U/L), so that it
/// can be no vendor's.
const UNKNOWN: Mac = Mac([0x02, 0, 0, 0, 0, 0]);

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
    owner
        .or_else(|| way_out(plan, sender))
        .map_or(UNKNOWN, |port| port.mac)
}

/// The port that takes what leaves the sender's subnet.
fn way_out<'a>(plan: &'a Plan, sender: &Port) -> Option<&'a Port> {
    let uplink = |port: &&Port| port.subnet == sender.subnet && port.role == Role::Uplink;
    let found = plan.ports.iter().find(uplink);
    found.or_else(|| gateway(plan, sender))
}

/// What a reader has to know of a destination address that no port of the sender's subnet has; `None`
/// where one has it, and for packets that name their MAC or are no unicast IP.
#[must_use]
pub(super) fn unowned(plan: &Plan, sender: usize, spec: &PacketSpec) -> Option<String> {
    let SpecBody::Ip(ip) = spec.body else {
        return None;
    };
    let (sender, address) = (&plan.ports[sender], ip.dst);
    let subnet = plan.subnets.get(sender.subnet)?;
    let is_owned = |port: &Port| {
        let pairs = &port.allowed_address_pairs;
        port.fixed_ips.contains(&address)
            || port.mac.link_local() == address
            || pairs.iter().any(|pair| pair.prefix.contains(&address))
    };
    let mut here = plan.ports.iter();
    if spec.dst_mac.is_some()
        || group(plan, sender, address).is_some()
        || here.any(|port| port.subnet == sender.subnet && is_owned(port))
    {
        return None;
    }
    let is_on_link = match address {
        IpAddr::V4(v4) => subnet.cidr.is_some_and(|net| net.contains(&v4)),
        IpAddr::V6(v6) => {
            v6.is_unicast_link_local() || subnet.cidr6.is_some_and(|net| net.contains(&v6))
        }
    };
    let name = &subnet.name;
    let way_out = way_out(plan, sender);
    if way_out.is_some() && subnet.gateway_ips.contains(&address) {
        return None;
    }
    Some(match (is_on_link, way_out) {
        (true, None) => format!(
            "no port of subnet {name} has {address}: the guest asks for its MAC and gets no answer"
        ),
        (true, Some(port)) => format!(
            "no port of subnet {name} has {address}: only what lies behind {} can have it",
            port.name
        ),
        (false, Some(_)) => return None,
        (false, None) => {
            let mut owner = plan.ports.iter().filter(|port| is_owned(port));
            let whose = owner.next().map_or_else(String::new, |port| {
                format!(" (it is {}'s, in another subnet)", port.name)
            });
            format!(
                "{address} lies outside subnet {name}{whose}, which has no gateway and no uplink: \
                 the guest has no route to it"
            )
        }
    })
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
