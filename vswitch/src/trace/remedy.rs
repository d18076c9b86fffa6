//! One port's decision in words: the rule that allowed, or what a refusal would have needed.

use super::SideTold;
use super::reasons::{meaning, stage};
use crate::config::{Plan, Port};
use crate::control::RuleBook;
use crate::switch::Judged;
use ipnet::IpNet;
use packet::{Basis, Direction, Headers, Ip, Mac, Net, Reason, Verdict, ethertype};
use secgroup::{Ethertype, Flow, FlowService, Remote, Rule, Service};
use uuid::Uuid;

/// What `port` decided.
pub(super) fn side(
    plan: &Plan,
    rules: &RuleBook,
    headers: &Headers,
    direction: Direction,
    port: &str,
    judged: Judged,
) -> SideTold {
    let (why, remedy) = match judged.verdict {
        Verdict::Accept(basis) => (accepted(basis, rules.words(judged.rule)), None),
        Verdict::Drop(reason) => {
            let config = plan.ports.iter().find(|known| known.name == port);
            (
                meaning(reason).meaning.to_owned(),
                Some(remedy(plan, config, headers, direction, reason)),
            )
        }
    };
    let identity = rules.identity(judged.rule);
    SideTold {
        direction: direction.to_string(),
        port: port.to_owned(),
        verdict: judged.verdict.to_string(),
        stage: stage(judged.verdict).to_owned(),
        rule_id: identity.map(|identity| identity.rule),
        security_group_id: identity.map(|identity| identity.group),
        why,
        remedy,
    }
}

fn accepted(basis: Basis, rule: Option<&str>) -> String {
    let by = |what: &str| match rule {
        Some(rule) => format!("{what} {rule}"),
        None => what.trim_end_matches(" of").to_owned(),
    };
    match basis {
        Basis::Rule => rule.unwrap_or("a rule").to_owned(),
        Basis::Reply => by("answers a connection of"),
        Basis::Related => by("an ICMP error about a connection of"),
        Basis::Essential => {
            "needs no rule: ARP, neighbour discovery, DHCP and their like".to_owned()
        }
        Basis::Unfiltered => "the port filters nothing".to_owned(),
    }
}

fn remedy(
    plan: &Plan,
    port: Option<&Port>,
    headers: &Headers,
    direction: Direction,
    reason: Reason,
) -> String {
    let needed = headers.ip().filter(|_| reason == Reason::DefaultDeny);
    match (
        needed.and_then(|ip| rule_needed(headers, ip, direction)),
        port,
    ) {
        (Some(rule), Some(port)) if port.groups.is_empty() => {
            format!("the port is in no group; put it into one with a rule like: {rule}")
        }
        (Some(rule), Some(port)) => format!(
            "a rule like this in one of its groups ({}): {rule}",
            group_names(plan, port)
        ),
        (None, Some(port)) if direction == Direction::Egress => {
            let by_packet = match reason {
                Reason::SpoofIp | Reason::SpoofMac | Reason::SpoofArp => {
                    couple_needed(headers, port)
                }
                Reason::L2Reserved | Reason::Ethertype => permission_needed(headers),
                _ => None,
            };
            by_packet.unwrap_or_else(|| meaning(reason).remedy.to_owned())
        }
        _ => meaning(reason).remedy.to_owned(),
    }
}

/// The couple of MAC and address that a refused sender would need.
fn couple_needed(headers: &Headers, port: &Port) -> Option<String> {
    let address = match &headers.net {
        Net::Ip(ip) => ip.src,
        Net::Arp(arp) => arp.sender_ip.into(),
        Net::Other => return None,
    };
    let mac = headers.eth.src;
    if address.is_unspecified() || !mac.is_legal_source() {
        return None;
    }
    let other = port.allowed_address_pairs.iter().find(|pair| {
        pair.prefix.contains(&address) && pair.mac.is_some_and(|allowed| allowed != mac)
    });
    if let Some(allowed) = other.and_then(|pair| pair.mac) {
        return Some(format!(
            "address and MAC are a couple: the port may use {address} with {allowed} only; add \
             `{{ ip_address: \"{address}\", mac_address: \"{mac}\" }}` to its `allowed_address_pairs` if the guest may use both \
             together"
        ));
    }
    Some(match mac == port.mac {
        true => format!(
            "add {address} to the port's `fixed_ips` or `allowed_address_pairs` if the guest may use it"
        ),
        false => format!(
            "address and MAC are a couple: add `{{ ip_address: \"{address}\", mac_address: \"{mac}\" }}` to the port's \
             `allowed_address_pairs` if the guest may use both together"
        ),
    })
}

/// The permission that would let a frame through which is neither IP nor ARP; `None` where none can.
fn permission_needed(headers: &Headers) -> Option<String> {
    let kind = headers.eth.ethertype;
    let may_be_permitted = headers.net == Net::Other
        && kind >= FIRST_ETHERTYPE
        && kind != ethertype::MAC_CONTROL
        && headers.eth.dst != MAC_CONTROL;
    may_be_permitted.then(|| {
        format!("add 0x{kind:04x} to `permitted_ethertypes` of the port, and of each that is to receive it")
    })
}

/// Least value of an ethertype; below are lengths (IEEE 802.3).
const FIRST_ETHERTYPE: u16 = 0x600;
/// Where pause frames go (IEEE 802.3, annex 31A).
const MAC_CONTROL: Mac = Mac([0x01, 0x80, 0xc2, 0, 0, 1]);

fn group_names(plan: &Plan, port: &Port) -> String {
    let name = |id: &Uuid| {
        plan.groups
            .iter()
            .find(|group| group.id == *id)
            .map(|group| group.name.as_str())
    };
    port.groups
        .iter()
        .filter_map(name)
        .collect::<Vec<_>>()
        .join(", ")
}

/// The narrowest rule that would allow the packet.
fn rule_needed(headers: &Headers, ip: &Ip, direction: Direction) -> Option<Rule> {
    let flow = Flow::of(direction, 0, headers, ip);
    let service = match flow.service {
        FlowService::Ports { dst: 0, .. } => return None,
        FlowService::Ports { dst, .. } => Service::Ports { min: dst, max: dst },
        FlowService::Icmp { kind, code: _ } => Service::Icmp { kind, code: None },
        FlowService::None => Service::Any,
    };
    Some(Rule {
        id: Uuid::nil(),
        direction,
        ethertype: Ethertype::of(flow.remote),
        protocol: Some(ip.protocol),
        service,
        source_ports: None,
        remote: Remote::Prefix(IpNet::from(flow.remote)),
    })
}
