//! What no two ports may share: MAC addresses, IP addresses, TAP devices.

use super::Context;
use crate::config::check::addresses::host_address;
use crate::config::check::network::check_in_subnet;
use crate::config::check::values::{check_limit, parsed};
use crate::config::file::{File, PortRole};
use crate::config::ids::derive_mac;
use crate::config::limits::PREFIX_LEN_WITHOUT_CIDR6;
use crate::config::mistake::{Findings, quoted};
use crate::config::places::Place;
use ipnet::Ipv6Net;
use packet::Mac;
use secgroup::Limit;
use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use uuid::Uuid;

/// Who has what so far.
#[derive(Default)]
pub(super) struct Taken {
    /// Every MAC of the file, so that a derived one meets none of them.
    all_macs: HashSet<Mac>,
    macs: HashMap<(usize, Mac), Place>,
    elsewhere: HashMap<Mac, Place>,
    /// By VPC.
    ips: HashMap<(usize, IpAddr), Place>,
    /// By namespace and name.
    pub(super) taps: HashMap<(Option<PathBuf>, String), Place>,
    /// By subnet.
    pub(super) uplinks: HashMap<usize, Place>,
}

impl Taken {
    /// Given MACs come first, in whatever order ports stand: a derived one gives way.
    pub(super) fn of_given_macs(file: &File) -> Self {
        let given = file
            .ports
            .iter()
            .filter_map(|port| port.mac_address.as_ref()?.parse().ok());
        Self {
            all_macs: given.collect(),
            ..Self::default()
        }
    }
}

/// The port's MAC, given or derived.
pub(super) fn mac(
    context: &Context<'_>,
    id: Uuid,
    taken: &mut Taken,
    findings: &mut Findings,
) -> Mac {
    let at = context.at.key("mac_address");
    let Some(text) = &context.typed.mac_address else {
        let mac = derive_mac(id, &taken.all_macs);
        taken.all_macs.insert(mac);
        return mac;
    };
    let Some(mac) = parsed::<Mac>(text, &at, findings) else {
        return Mac::ZERO;
    };
    if !mac.is_legal_source() {
        // Of an uplink too: Linux gives no interface such an address.
        let problem = format!("{mac} cannot be a source address (group bit set, or all zeros)");
        findings.mistake(&at, problem, "choose another");
    }
    if let Some(first) = context
        .subnet
        .and_then(|(subnet, _)| taken.macs.insert((subnet, mac), context.at.clone()))
    {
        let remedy = "give each port of a subnet its own, or leave the key out to have one derived";
        findings.mistake(&at, format!("`{mac}` is also the MAC of {first}"), remedy);
    } else if let Some(other) = taken.elsewhere.insert(mac, context.at.clone()) {
        let text = format!(
            "`{mac}` is also the MAC of {other} in another subnet: a replay by source MAC takes the first"
        );
        findings.notice(&at, text);
    }
    mac
}

/// The port's own addresses.
pub(super) fn fixed_ips(
    context: &Context<'_>,
    taken: &mut Taken,
    findings: &mut Findings,
) -> Vec<IpAddr> {
    let at = context.at.key("fixed_ips");
    check_limit(
        Limit::FixedIpsPerPort,
        context.typed.fixed_ips.len(),
        &at,
        findings,
    );
    let mut addresses = Vec::new();
    for (i, text) in context.typed.fixed_ips.iter().enumerate() {
        let at = at.item(i);
        let Some(address) = host_address(text, &at, findings) else {
            continue;
        };
        check_address(context, address, &at, taken, findings);
        addresses.push(address);
    }
    if addresses.is_empty() && context.typed.role == PortRole::Instance && filtered(context) {
        findings.notice(
            context.at,
            "without fixed_ips the guest can send nothing but DHCP requests",
        );
    }
    addresses
}

/// Notes a gateway that Linux gives the guest no route through: none of its addresses is in the gateway's
/// network. In a subnet with a prefix of the family, all are in that.
pub(super) fn check_gateway(
    context: &Context<'_>,
    fixed_ips: &[IpAddr],
    netns: Option<&str>,
    findings: &mut Findings,
) {
    let Some((_, subnet)) = context.subnet.filter(|(_, subnet)| subnet.cidr6.is_none()) else {
        return;
    };
    // Without a namespace no route is set, and an uplink needs none.
    if netns.is_none() || context.typed.role == PortRole::Uplink {
        return;
    }
    let network = |address: &IpAddr| match address {
        IpAddr::V6(v6) => Some(Ipv6Net::new_assert(*v6, PREFIX_LEN_WITHOUT_CIDR6).trunc()),
        IpAddr::V4(_) => None,
    };
    let own: Vec<Ipv6Net> = fixed_ips.iter().filter_map(network).collect();
    for gateway in &subnet.gateway_ips {
        let IpAddr::V6(v6) = gateway else { continue };
        // A link-local one is in the network of every interface.
        let reachable = v6.is_unicast_link_local() || own.iter().any(|net| net.contains(v6));
        if !own.is_empty() && !reachable {
            let problem = format!(
                "no IPv6 address is in the network of the gateway, `{gateway}` of subnet `{}`",
                subnet.name
            );
            let remedy = format!(
                "choose one of {}, or give the subnet a `cidr6`",
                Ipv6Net::new_assert(*v6, PREFIX_LEN_WITHOUT_CIDR6).trunc()
            );
            findings.mistake(&context.at.key("fixed_ips"), problem, remedy);
        }
    }
}

/// Whether anti-spoofing and groups apply.
pub(super) fn filtered(context: &Context<'_>) -> bool {
    context.typed.role == PortRole::Instance && context.typed.port_security_enabled.unwrap_or(true)
}

fn check_address(
    context: &Context<'_>,
    address: IpAddr,
    at: &Place,
    taken: &mut Taken,
    findings: &mut Findings,
) {
    let Some((_, subnet)) = context.subnet else {
        return;
    };
    check_in_subnet(address, subnet, at, findings);
    // A guest may be the router, but then it forwards for others and cannot have port security.
    if subnet.gateway_ips.contains(&address) && filtered(context) {
        let problem = format!("`{address}` is the gateway_ip of subnet `{}`", subnet.name);
        let remedy = "choose another address; for a guest that is the router, set `port_security_enabled: false`";
        findings.mistake(at, problem, remedy);
    }
    if let Some(first) = taken.ips.insert((subnet.vpc, address), at.clone()) {
        let problem = format!("`{address}` stands at {first} too");
        findings.mistake(at, problem, "give each port of a VPC its own addresses");
    }
}

/// Notes a TAP name that a namespace has twice.
pub(super) fn take_tap(
    context: &Context<'_>,
    netns: Option<&str>,
    name: &str,
    at: &Place,
    taken: &mut Taken,
    findings: &mut Findings,
) {
    let key = (netns.and_then(canonical_netns), name.to_owned());
    if let Some(first) = taken.taps.insert(key, context.at.clone()) {
        let place = netns.map_or("the daemon's namespace".to_owned(), |netns| {
            format!("namespace {}", quoted(netns))
        });
        let problem = format!("{} is also the TAP of {first} in {place}", quoted(name));
        findings.mistake(at, problem, "give each TAP of a namespace its own name");
    }
}

/// Where a namespace is; `vm1`, `/run/netns/vm1` and `/var/run/netns/vm1` are one (`ip-netns(8)`). None
/// for the daemon's own.
fn canonical_netns(netns: &str) -> Option<PathBuf> {
    const OWN: [&str; 2] = ["/proc/self/ns/net", "/proc/thread-self/ns/net"];
    let path = match tap::Netns::parse(netns) {
        Ok(netns) => netns.path().to_owned(),
        // The name is a mistake of its own.
        Err(_) => PathBuf::from(netns),
    };
    // As a text without `.` and doubled slashes.
    let path: PathBuf = path.components().collect();
    let is_own = OWN.iter().any(|own| path == Path::new(own));
    (!is_own).then_some(path)
}
