//! What of a packet a rule matches.

use super::support::{A, B, C, World, flow, group, icmp, id, tcp, udp, v4, v6};
use packet::Direction;
use secgroup::{FlowService, Rule, RuleIdentity};
use std::net::IpAddr;

/// R01, R02.
#[test]
fn a_tcp_rule_lets_no_udp_in_and_no_tcp_out() {
    let rules = group("g", &["ingress IPv4 tcp from any"]);
    let mut world = World::default();
    assert!(world.lets_in(&[&rules], tcp(80, v4(A))));
    assert!(!world.lets_in(&[&rules], udp(80, v4(A))));
    assert!(!world.lets_out(&[&rules], tcp(80, v4(A))));
}

/// R06, R07.
#[test]
fn a_port_range_ends_exactly_where_it_says() {
    let mut world = World::default();
    for (min, max) in [
        (42, 42),
        (1, 1),
        (65_535, 65_535),
        (32_767, 32_768),
        (4_095, 4_097),
    ] {
        let group = group("g", &[&format!("ingress IPv4 udp {min}-{max} from any")]);
        let policy = world.compile(&[&group]);
        let passes = |port: u16| {
            policy
                .classify(Direction::Ingress, &udp(port, v4(A)), &world.members)
                .is_some()
        };
        assert!(passes(min) && passes(max), "{min}-{max}");
        assert!(min == 1 || !passes(min - 1), "{min}-{max}");
        assert!(max == 65_535 || !passes(max + 1), "{min}-{max}");
    }
}

/// R12, R14.
#[test]
fn a_rule_for_one_address_matches_that_address_alone() {
    let group = group(
        "g",
        &[
            "ingress IPv4 tcp from 10.0.0.10/32",
            "egress IPv4 tcp to 10.0.0.11",
        ],
    );
    let mut world = World::default();
    assert!(world.lets_in(&[&group], tcp(80, v4(A))));
    assert!(!world.lets_in(&[&group], tcp(80, v4(C))));
    assert!(world.lets_out(&[&group], tcp(80, v4(B))));
    assert!(!world.lets_out(&[&group], tcp(80, v4(C))));
}

/// R15.
#[test]
fn a_prefix_ends_exactly_where_it_says() {
    let mut world = World::default();
    let cases = [
        ("IPv4", "0.0.0.0/0", "0.0.0.0", "255.255.255.255", None),
        (
            "IPv4",
            "128.0.0.0/1",
            "128.0.0.0",
            "255.255.255.255",
            Some("127.255.255.255"),
        ),
        (
            "IPv4",
            "10.0.0.0/8",
            "10.0.0.0",
            "10.255.255.255",
            Some("11.0.0.0"),
        ),
        (
            "IPv4",
            "10.0.0.2/31",
            "10.0.0.2",
            "10.0.0.3",
            Some("10.0.0.4"),
        ),
        (
            "IPv4",
            "10.0.0.2/32",
            "10.0.0.2",
            "10.0.0.2",
            Some("10.0.0.1"),
        ),
        (
            "IPv6",
            "::/0",
            "::",
            "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
            None,
        ),
        ("IPv6", "8000::/1", "8000::", "ffff::", Some("7fff::")),
        (
            "IPv6",
            "2001:db8::/64",
            "2001:db8::",
            "2001:db8::ffff:ffff:ffff:ffff",
            Some("2001:db8:0:1::"),
        ),
        (
            "IPv6",
            "2001:db8::2/127",
            "2001:db8::2",
            "2001:db8::3",
            Some("2001:db8::4"),
        ),
        (
            "IPv6",
            "2001:db8::2/128",
            "2001:db8::2",
            "2001:db8::2",
            Some("2001:db8::1"),
        ),
    ];
    for (family, prefix, first, last, outside) in cases {
        let group = group("g", &[&format!("ingress {family} udp from {prefix}")]);
        let mut passes = |address: &str| {
            let address: IpAddr = address.parse().unwrap();
            world.lets_in(&[&group], udp(9, address))
        };
        assert!(passes(first) && passes(last), "{prefix}");
        assert!(outside.is_none_or(|address| !passes(address)), "{prefix}");
    }
}

/// R16, R17.
#[test]
fn a_rule_for_a_protocol_without_ports_matches_that_protocol_alone() {
    let mut world = World::default();
    for ruled in [112, 47, 50, 89] {
        let group = group("g", &[&format!("ingress IPv4 {ruled} from any")]);
        for sent in [112, 47, 50, 89] {
            let passes = world.lets_in(&[&group], flow(sent, FlowService::None, v4(A)));
            assert_eq!(passes, sent == ruled);
        }
    }
    let sctp = group("g", &["ingress IPv4 sctp 5000 from any"]);
    let to = |dst| flow(132, FlowService::Ports { src: 1, dst }, v4(A));
    assert!(world.lets_in(&[&sctp], to(5_000)));
    assert!(!world.lets_in(&[&sctp], to(5_001)));
}

#[test]
fn without_a_layer_4_header_only_rules_that_name_no_port_match() {
    let port = group("port", &["ingress IPv4 tcp 80 from any"]);
    let all = group("all", &["ingress IPv4 tcp from any"]);
    let headless = flow(6, FlowService::None, v4(A));
    let mut world = World::default();
    assert!(!world.lets_in(&[&port], headless));
    assert!(world.lets_in(&[&all], headless));
}

#[test]
fn an_icmp_rule_of_type_0_code_0_matches_nothing_else() {
    let mut world = World::default();
    let exact = group("g", &["ingress IPv4 icmp type 0 code 0 from any"]);
    assert!(world.lets_in(&[&exact], icmp(0, 0, v4(A))));
    assert!(!world.lets_in(&[&exact], icmp(0, 1, v4(A))));
    assert!(!world.lets_in(&[&exact], icmp(1, 0, v4(A))));
    let every_code = group("g", &["ingress IPv6 icmp type 128 from any"]);
    for (kind, code, passes) in [
        (128, 0, true),
        (128, 255, true),
        (127, 255, false),
        (129, 0, false),
    ] {
        assert_eq!(
            world.lets_in(&[&every_code], icmp(kind, code, v6(A.into()))),
            passes
        );
    }
}

/// R23.
#[test]
fn the_rules_of_several_groups_are_a_union() {
    let conn = group(
        "CONN",
        &[
            "ingress IPv4 tcp 22 from any",
            "ingress IPv4 tcp 23 from any",
        ],
    );
    let web = group(
        "WEB",
        &[
            "ingress IPv4 tcp 80 from any",
            "ingress IPv4 tcp 8080 from any",
        ],
    );
    let mut world = World::default();
    for port in [22, 23, 80, 8080] {
        assert!(world.lets_in(&[&conn, &web], tcp(port, v4(A))));
    }
    assert!(!world.lets_in(&[&conn, &web], tcp(443, v4(A))));
}

/// R25.
#[test]
fn an_internal_rule_may_name_source_ports() {
    let mut group = group("g", &["egress IPv4 udp to any"]);
    group.rules[0].source_ports = Some((12_345, 12_346));
    let mut world = World::default();
    let from = |src| flow(17, FlowService::Ports { src, dst: 9 }, v4(B));
    let passes = [12_344, 12_345, 12_346, 12_347].map(|src| world.lets_out(&[&group], from(src)));
    assert_eq!(passes, [false, true, true, false]);
    assert_eq!(
        group.rules[0].to_string(),
        "egress IPv4 udp sport 12345-12346 to any"
    );
}

#[test]
fn the_rule_that_is_reported_does_not_depend_on_the_order_of_rules_and_groups() {
    let texts = [
        "ingress IPv4 tcp from any",
        "ingress IPv4 tcp 80 from any",
        "ingress IPv4 any from 10.0.0.0/8",
    ];
    let (one, two) = (group("one", &texts), group("two", &texts));
    let mut reversed = one.clone();
    reversed.rules.reverse();
    let mut world = World::default();
    let mut report = |groups: &[&secgroup::Group]| {
        let policy = world.compile(groups);
        policy
            .classify(Direction::Ingress, &tcp(80, v4(A)), &world.members)
            .unwrap()
    };
    let number = report(&[&one, &two]);
    assert_eq!(number, report(&[&two, &reversed]));
    let rules: Vec<&Rule> = one.rules.iter().chain(&two.rules).collect();
    let least = rules.iter().map(|rule| rule.id).min().unwrap();
    let RuleIdentity { rule, group } = world.table.lookup(number).unwrap();
    assert_eq!(rule, least);
    assert!([id("one"), id("two")].contains(&group));
}

#[test]
fn a_rule_keeps_its_number_over_reloads() {
    let (one, two) = (
        group("one", &["ingress IPv4 tcp from any"]),
        group("two", &["ingress IPv4 udp from any"]),
    );
    let mut world = World::default();
    let before = world.compile(&[&one]);
    let after = world.compile(&[&two, &one]);
    let ask = |policy: &secgroup::Policy| {
        policy.classify(Direction::Ingress, &tcp(1, v4(A)), &world.members)
    };
    assert_eq!(ask(&before), ask(&after));
    assert_eq!(world.table.lookup(secgroup::RuleRef::NONE), None);
}
