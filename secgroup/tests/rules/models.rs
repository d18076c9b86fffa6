//! What only the model as a whole can show to be wrong.

use super::support::{A, address_group, group, guest, id, mac, member, pair, v4};
use ipnet::Ipv4Net;
use packet::Mac;
use secgroup::{
    AddressGroup, Group, Limit, Model, ModelError, Policy, PortId, PortSpec, RuleTable, limits,
};
use std::net::{IpAddr, Ipv4Addr};

fn model(groups: Vec<Group>) -> Model {
    Model {
        groups,
        address_groups: vec![address_group("AG", &["10.0.0.0/8"])],
    }
}

fn check(groups: Vec<Group>, port: PortSpec) -> Vec<ModelError> {
    model(groups).check(&[port])
}

const PORT: PortId = PortId(A as u16);

/// M15.
#[test]
fn a_name_that_leads_nowhere_is_refused_wherever_it_stands() {
    let wrong = group(
        "g",
        &[
            &format!("ingress IPv4 any from group {}", id("gone")),
            &format!("ingress IPv4 any from address-group {}", id("gone")),
            &format!("ingress IPv4 any from address-group {}", id("AG")),
        ],
    );
    let errors = check(vec![wrong], member(A, &["nobody"]));
    assert!(matches!(&errors[0], ModelError::UnknownRemoteGroup { group, .. } if group == "g"));
    assert!(matches!(errors[1], ModelError::UnknownAddressGroup { .. }));
    assert_eq!(
        errors[2],
        ModelError::UnknownGroup {
            port: PORT,
            id: id("nobody")
        }
    );
    assert_eq!(errors.len(), 3);
}

/// M17.
#[test]
fn without_port_security_there_are_neither_groups_nor_pairs() {
    let off = |port: PortSpec| PortSpec {
        port_security: false,
        ..port
    };
    let error = vec![ModelError::PortSecurityOff { port: PORT }];
    assert_eq!(check(vec![group("g", &[])], off(member(A, &["g"]))), error);
    let pairs = vec![pair("10.9.9.9/32", None)];
    assert_eq!(
        check(
            vec![],
            off(PortSpec {
                allowed_address_pairs: pairs,
                ..guest(A)
            })
        ),
        error
    );
    assert_eq!(check(vec![], off(guest(A))), []);
}

/// M18.
#[test]
fn a_port_has_stateful_or_stateless_groups_and_keeps_to_it() {
    let stateful = group("S", &[]);
    let stateless = Group {
        stateful: false,
        ..group("T", &[])
    };
    let errors = check(vec![stateful.clone(), stateless], member(A, &["S", "T"]));
    assert!(matches!(
        errors[..],
        [ModelError::MixedGroups { port: PORT, .. }]
    ));

    let flipped = model(vec![Group {
        stateful: false,
        ..stateful.clone()
    }]);
    let running = model(vec![stateful]);
    let errors = flipped.check_change(&running, &[member(A, &["S"])]);
    assert_eq!(
        errors,
        [ModelError::StatefulChanged {
            group: "S".into(),
            port: PORT
        }]
    );
    assert_eq!(flipped.check_change(&running, &[guest(A)]), []);
}

#[test]
fn nothing_multicast_can_be_an_address_of_a_port() {
    let pairs = [
        "224.0.0.0/4",
        "239.1.1.1/32",
        "ff02::/16",
        "0.0.0.0/0",
        "::/0",
    ];
    let mut port = guest(A);
    port.allowed_address_pairs = pairs.iter().map(|p| pair(p, None)).collect();
    port.allowed_address_pairs
        .push(pair("10.9.9.9/32", Some(Mac([1, 0, 0x5e, 0, 0, 1]))));
    port.fixed_ips
        .extend([v4(255), Ipv4Addr::new(224, 0, 0, 1)].map(IpAddr::from));
    let errors = check(vec![], port);
    let count = |what: fn(&ModelError) -> bool| errors.iter().filter(|e| what(e)).count();
    assert_eq!(count(|e| matches!(e, ModelError::MulticastPair { .. })), 3);
    assert_eq!(count(|e| matches!(e, ModelError::IllegalMac { .. })), 1);
    assert_eq!(count(|e| matches!(e, ModelError::IllegalAddress { .. })), 2);
}

/// M21.
#[test]
fn what_passes_a_limit_is_refused_with_the_limit_named() {
    let mut port = guest(A);
    port.allowed_address_pairs = vec![pair("10.9.9.9/32", None); limits::PAIRS_PER_PORT_MAX + 1];
    let errors = check(vec![], port);
    assert_eq!(
        errors,
        [ModelError::TooMany {
            limit: Limit::PairsPerPort,
            count: 101,
            port: Some(PORT),
        }]
    );
    assert_eq!(
        errors[0].to_string(),
        "port 10: 101 allowed address pairs on one port; the limit is 100"
    );
}

#[test]
fn an_id_is_given_once() {
    let mut twice = group(
        "g",
        &["ingress IPv4 tcp from any", "ingress IPv4 udp from any"],
    );
    twice.rules[1].id = twice.rules[0].id;
    let rule = twice.rules[0].id;
    assert_eq!(
        check(vec![twice], guest(A)),
        [ModelError::DuplicateId(rule)]
    );
}

#[test]
fn a_sound_model_has_no_errors() {
    let port = PortSpec {
        allowed_address_pairs: vec![pair("10.9.0.0/16", Some(mac(77)))],
        ..member(A, &["default"])
    };
    assert_eq!(
        check(vec![Group::built_in_default(id("default"))], port),
        []
    );
}

#[test]
fn many_rules_that_name_a_long_list_are_refused_and_not_expanded() {
    let text = |n| format!("ingress IPv4 tcp {n} from address-group {}", id("long"));
    let texts: Vec<_> = (1..=101).map(text).collect();
    let group = group("g", &texts.iter().map(String::as_str).collect::<Vec<_>>());
    let prefixes = (0..10_000).map(|n| Ipv4Net::from(Ipv4Addr::from_bits(n)).into());
    let long = AddressGroup {
        prefixes: prefixes.collect(),
        ..address_group("long", &[])
    };
    let compiled = Policy::compile(&[&group], &[long], &mut RuleTable::default());
    assert_eq!(compiled.unwrap_err(), ModelError::PolicyTooLarge);
}
