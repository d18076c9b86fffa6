//! What a port may send and receive: groups, address pairs, ethertypes; what an uplink may not have.

use super::Context;
use super::identity::{Taken, filtered};
use crate::config::check::addresses::prefix;
use crate::config::check::values::{check_count, check_limit, parsed};
use crate::config::file::AllowedAddressPair;
use crate::config::limits::MAX_ETHERTYPES;
use crate::config::mistake::{Findings, quoted};
use crate::config::places::Place;
use ipnet::IpNet;
use packet::{Mac, ethertype};
use secgroup::{Group, Limit, Pair};
use std::net::IpAddr;
use uuid::Uuid;

/// Least value of an ethertype; below are lengths (IEEE 802.3).
const FIRST_ETHERTYPE: u16 = 0x600;
/// A pair shorter than this stands for more than one operator's addresses: IANA gives out IPv4 by /8.
const WIDE_V4: u8 = 8;
/// The same of IPv6, where the registries give an operator a /32.
const WIDE_V6: u8 = 32;

/// The port's groups; where the key is absent, the VPC's `default`.
pub(super) fn groups(context: &Context<'_>, findings: &mut Findings) -> Vec<Uuid> {
    let at = context.at.key("security_groups");
    let Some((_, subnet)) = context.subnet else {
        return Vec::new();
    };
    let default = context
        .network
        .vpcs
        .get(subnet.vpc)
        .map(|vpc| vpc.default_group);
    let Some(listed) = &context.typed.security_groups else {
        return default.filter(|_| filtered(context)).into_iter().collect();
    };
    if !check_limit(Limit::GroupsPerPort, listed.len(), &at, findings) {
        return Vec::new();
    }
    let mut groups: Vec<Uuid> = Vec::new();
    for (i, reference) in listed.iter().enumerate() {
        let at = at.item(i);
        match group(context, reference, default) {
            Some(id) if groups.contains(&id) => {
                findings.notice(&at, format!("{} stands here twice", quoted(reference)));
            }
            Some(id) => groups.push(id),
            None => {
                let names = &context.security.group_names;
                let problem = format!("no security group has the name or id {}", quoted(reference));
                findings.mistake(
                    &at,
                    problem,
                    names.suggestion(reference, &[Group::DEFAULT_NAME], findings),
                );
            }
        }
    }
    groups
}

/// A group by name or id; `default` is that of the port's VPC.
fn group(context: &Context<'_>, reference: &str, default: Option<Uuid>) -> Option<Uuid> {
    let security = context.security;
    let named = || {
        security
            .group_names
            .find(reference)
            .map(|number| security.groups[number].id)
    };
    let built_in =
        || default.filter(|id| reference == Group::DEFAULT_NAME || reference == id.to_string());
    named().or_else(built_in)
}

/// The port's allowed address pairs.
pub(super) fn pairs(context: &Context<'_>, findings: &mut Findings) -> Vec<Pair> {
    let at = context.at.key("allowed_address_pairs");
    let typed = &context.typed.allowed_address_pairs;
    if !check_limit(Limit::PairsPerPort, typed.len(), &at, findings) {
        return Vec::new();
    }
    let mut pairs: Vec<Pair> = Vec::new();
    for (i, typed) in typed.iter().enumerate() {
        let at = at.item(i);
        let Some(pair) = pair(typed, &at, findings) else {
            continue;
        };
        check_gateway(context, &pair, &at, findings);
        if pairs.contains(&pair) {
            findings.notice(
                &at,
                format!("the pair with `{}` stands here twice", pair.prefix),
            );
            continue;
        }
        pairs.push(pair);
    }
    pairs
}

/// Notes a pair that makes the port its subnet's router.
fn check_gateway(context: &Context<'_>, pair: &Pair, at: &Place, findings: &mut Findings) {
    let Some((_, subnet)) = context.subnet else {
        return;
    };
    let address = pair.prefix.addr();
    let is_host = pair.prefix.prefix_len() == pair.prefix.max_prefix_len();
    if is_host && subnet.gateway_ips.contains(&address) {
        let may = match address {
            IpAddr::V4(_) => "answer DHCP",
            IpAddr::V6(_) => "advertise routes and answer DHCPv6",
        };
        let text = format!(
            "`{address}` is the gateway_ip of subnet `{}`: the port may {may}",
            subnet.name
        );
        findings.notice(&at.key("ip_address"), text);
    }
}

fn pair(typed: &AllowedAddressPair, at: &Place, findings: &mut Findings) -> Option<Pair> {
    let prefix = prefix(&typed.ip_address, &at.key("ip_address"), findings);
    let mac = typed
        .mac_address
        .as_ref()
        .map(|text| source_mac(text, &at.key("mac_address"), findings));
    let prefix = prefix?;
    if prefix.prefix_len() == 0 {
        findings.notice(
            &at.key("ip_address"),
            format!("`{prefix}` lets the guest send from every address"),
        );
    }
    match mac {
        None => Some(Pair { prefix, mac: None }),
        Some(mac) => Some(Pair {
            prefix,
            mac: Some(mac?),
        }),
    }
}

/// The MAC of a pair: one that a frame can come from.
fn source_mac(text: &str, at: &Place, findings: &mut Findings) -> Option<Mac> {
    let mac = parsed::<Mac>(text, at, findings)?;
    if mac.is_legal_source() {
        return Some(mac);
    }
    let problem = format!("`{mac}` cannot be a source address (group bit set, or all zeros)");
    findings.mistake(at, problem, "choose another");
    None
}

/// Notes pairs so wide that rules for a group of theirs are open to a good part of the world. One of
/// length 0 is not among them: it speaks for its MAC alone.
pub(super) fn check_wide_pairs(
    context: &Context<'_>,
    groups: &[Uuid],
    pairs: &[Pair],
    findings: &mut Findings,
) {
    let remotes = &context.security.remote_groups;
    if !groups.iter().any(|group| remotes.contains(group)) {
        return;
    }
    for pair in pairs {
        let narrowest_wide = match pair.prefix {
            IpNet::V4(_) => WIDE_V4,
            IpNet::V6(_) => WIDE_V6,
        };
        if (1..narrowest_wide).contains(&pair.prefix.prefix_len()) {
            let text = format!(
                "`{}` is shorter than /{narrowest_wide}: rules that name a group of this port as `remote_group` let all of it in",
                pair.prefix
            );
            findings.notice(&context.at.key("allowed_address_pairs"), text);
        }
    }
}

/// Ethertypes, written `0x88cc`.
pub(super) fn ethertypes(context: &Context<'_>, findings: &mut Findings) -> Vec<u16> {
    let at = context.at.key("permitted_ethertypes");
    let typed = &context.typed.permitted_ethertypes;
    check_count(typed.len(), MAX_ETHERTYPES, &at, findings);
    let kinds = typed
        .iter()
        .enumerate()
        .filter_map(|(i, text)| ethertype(text, &at.item(i), findings));
    kinds.collect()
}

fn ethertype(text: &str, at: &Place, findings: &mut Findings) -> Option<u16> {
    let digits = text
        .strip_prefix("0x")
        .filter(|digits| digits.len() == 4 && !digits.starts_with('+'));
    let Some(kind) = digits.and_then(|digits| u16::from_str_radix(digits, 16).ok()) else {
        findings.mistake(
            at,
            format!("{} is not an ethertype", quoted(text)),
            "write `0x` and four hexadecimal digits, as 0x88cc",
        );
        return None;
    };
    let problem = match kind {
        ethertype::IPV4 | ethertype::IPV6 | ethertype::ARP | ethertype::RARP => {
            "is always handled, and by its own rules"
        }
        ethertype::VLAN | ethertype::QINQ | ethertype::QINQ_BEFORE => {
            "is a VLAN tag: tagged frames are refused"
        }
        ethertype::MAC_CONTROL => "is MAC control: pause frames end at the next device",
        _ if kind < FIRST_ETHERTYPE => {
            "is a length, not an ethertype: spanning tree and its like have none"
        }
        _ => return Some(kind),
    };
    findings.mistake(at, format!("`0x{kind:04x}` {problem}"), "leave it out");
    None
}

/// An uplink carries the gateway of its subnet, alone, and nothing of a guest's.
pub(super) fn check_uplink(context: &Context<'_>, taken: &mut Taken, findings: &mut Findings) {
    let Context {
        typed, at, subnet, ..
    } = *context;
    if let Some((number, subnet)) = subnet {
        if subnet.gateway_ips.is_empty() {
            let problem = format!(
                "an uplink carries the gateway, and subnet `{}` has no `gateway_ip`",
                subnet.name
            );
            findings.mistake(
                &at.key("role"),
                problem,
                format!("add `gateway_ip` to subnets[{number}]"),
            );
        }
        if let Some(first) = taken.uplinks.insert(number, at.clone()) {
            let problem = format!("subnet `{}` has its uplink at {first}", subnet.name);
            findings.mistake(&at.key("role"), problem, "leave one uplink in each subnet");
        }
    }
    let not_of_an_uplink = [
        (
            "fixed_ips",
            !typed.fixed_ips.is_empty(),
            "it carries the subnet's `gateway_ip`",
        ),
        (
            "security_groups",
            typed
                .security_groups
                .as_ref()
                .is_some_and(|groups| !groups.is_empty()),
            "it is trusted; write the rules at the guests",
        ),
        (
            "allowed_address_pairs",
            !typed.allowed_address_pairs.is_empty(),
            "it is trusted and may send from every address",
        ),
        (
            "port_security_enabled",
            typed.port_security_enabled == Some(true),
            "it is trusted",
        ),
        (
            "strict_rx",
            typed.strict_rx == Some(true),
            "unknown destinations go to it",
        ),
    ];
    for (key, is_there, why) in not_of_an_uplink {
        if is_there {
            findings.mistake(
                &at.key(key),
                format!("an uplink has no `{key}`: {why}"),
                "leave the key out",
            );
        }
    }
}
