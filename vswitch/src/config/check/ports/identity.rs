//! What no two ports may share: MAC addresses, IP addresses, TAP devices.

use super::Context;
use crate::config::check::addresses::host_address;
use crate::config::check::network::check_in_subnet;
use crate::config::check::values::{check_limit, parsed};
use crate::config::file::{File, PortRole};
use crate::config::ids::derive_mac;
use crate::config::mistake::{Findings, quoted};
use crate::config::places::Place;
use packet::Mac;
use secgroup::Limit;
use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
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
    pub(super) taps: HashMap<(Option<String>, String), Place>,
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
    let key = (
        netns.map(canonical_netns).map(str::to_owned),
        name.to_owned(),
    );
    if let Some(first) = taken.taps.insert(key, context.at.clone()) {
        let place = netns.map_or("the daemon's namespace".to_owned(), |netns| {
            format!("namespace {}", quoted(netns))
        });
        let problem = format!("{} is also the TAP of {first} in {place}", quoted(name));
        findings.mistake(at, problem, "give each TAP of a namespace its own name");
    }
}

/// `vm1`, `/run/netns/vm1` and `/var/run/netns/vm1` are one namespace (`ip-netns(8)`).
fn canonical_netns(netns: &str) -> &str {
    let stripped = ["/var/run/netns/", "/run/netns/"]
        .iter()
        .find_map(|folder| netns.strip_prefix(folder));
    stripped.filter(|name| !name.contains('/')).unwrap_or(netns)
}
