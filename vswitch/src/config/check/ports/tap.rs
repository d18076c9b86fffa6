//! TAP devices: names that Linux takes, namespaces, MTUs.

use super::Context;
use super::identity::{Taken, take_tap};
use crate::config::check::network::mtu;
use crate::config::file::PortRole;
use crate::config::limits::{MAX_TAP_MTU, MAX_TAP_NAME_BYTES, MIN_MTU_IPV6};
use crate::config::mistake::{Findings, quoted};
use crate::config::names::has_name_characters;
use crate::config::places::Place;
use crate::config::plan::TapPlan;
use std::net::IpAddr;
use std::path::Path;
use uuid::Uuid;

/// Names with another meaning: the loopback device, and sysctl folders beside the interfaces'.
const RESERVED: [&str; 3] = ["lo", "all", "default"];

/// Greatest length of a path (Linux `PATH_MAX`).
const MAX_PATH_BYTES: usize = 4096;

/// The port's TAP.
pub(super) fn resolve(
    context: &Context<'_>,
    id: Uuid,
    fixed_ips: &[IpAddr],
    taken: &mut Taken,
    findings: &mut Findings,
) -> TapPlan {
    let typed = &context.typed.tap;
    let at = context.at.key("tap");
    let name = typed.name.clone().unwrap_or_else(|| derived_name(id));
    check_name(&name, &at.key("name"), findings);
    if let Some(netns) = &typed.netns {
        check_netns(netns, &at.key("netns"), findings);
    }
    take_tap(
        context,
        typed.netns.as_deref(),
        &name,
        &at.key("name"),
        taken,
        findings,
    );
    let subnet_mtu = context.subnet.map(|(_, subnet)| subnet.mtu);
    let gateways = context
        .subnet
        .map(|(_, subnet)| subnet.gateway_ips.as_slice());
    let carried = gateways.filter(|_| context.typed.role == PortRole::Uplink);
    let ipv6 = fixed_ips
        .iter()
        .chain(carried.unwrap_or_default())
        .any(IpAddr::is_ipv6)
        || context
            .subnet
            .is_some_and(|(_, subnet)| subnet.cidr6.is_some());
    let mtu = match (typed.mtu, subnet_mtu) {
        (Some(bytes), _) => mtu(bytes, MAX_TAP_MTU, ipv6, &at.key("mtu"), findings),
        // Linux gives an interface with less no IPv6 address.
        (None, Some(subnet)) if ipv6 && u32::from(subnet) < MIN_MTU_IPV6 => {
            let problem = format!("the port has an IPv6 address, and its subnet's mtu is {subnet}");
            let remedy = format!("write at least {MIN_MTU_IPV6} there or here (RFC 8200)");
            findings.mistake(&at.key("mtu"), problem, remedy);
            subnet
        }
        (None, Some(subnet)) => subnet,
        (None, None) => 0,
    };
    if let Some(subnet) = subnet_mtu.filter(|subnet| *subnet < mtu) {
        findings.notice(
            &at.key("mtu"),
            format!("{mtu} is greater than the subnet's mtu, {subnet}"),
        );
    }
    TapPlan {
        name,
        netns: typed.netns.clone(),
        mtu,
        threaded: typed.threaded,
    }
}

/// Neutron's convention: `tap` and the first 11 characters of the port's id.
fn derived_name(id: Uuid) -> String {
    let id = id.to_string();
    format!("tap{}", &id[..11])
}

fn check_name(name: &str, at: &Place, findings: &mut Findings) {
    let problem = if name.len() > MAX_TAP_NAME_BYTES {
        format!("{} has {} characters", quoted(name), name.len())
    } else if name.is_empty() || !has_name_characters(name) || name.starts_with('.') {
        format!("{} is not an interface name", quoted(name))
    } else if RESERVED.contains(&name) {
        format!("{} means something else to Linux", quoted(name))
    } else {
        return;
    };
    let remedy = format!("use at most {MAX_TAP_NAME_BYTES} letters, digits, `. _ -`");
    findings.mistake(at, problem, remedy);
}

fn check_netns(netns: &str, at: &Place, findings: &mut Findings) {
    let is_path = netns.contains('/');
    let is_good = if is_path {
        netns.len() <= MAX_PATH_BYTES
            && !netns.contains('\0')
            && !netns.ends_with('/')
            && !netns.ends_with("/.")
            && Path::new(netns).file_name().is_some()
    } else {
        !netns.is_empty()
            && netns.len() <= 255
            && has_name_characters(netns)
            && !netns.starts_with('.')
    };
    if !is_good {
        let remedy = "write a name of letters, digits, `. _ -` as in `ip netns`, or the path of a namespace file";
        findings.mistake(
            at,
            format!("{} is not a network namespace", quoted(netns)),
            remedy,
        );
    }
}
