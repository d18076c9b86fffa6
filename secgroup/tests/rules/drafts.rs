//! What makes a rule, and when two are one.

use super::support::{group, id};
use packet::Direction;
use secgroup::{Ethertype, Remote, Rule, RuleDraft, RuleError, Service};

fn draft(change: impl FnOnce(&mut RuleDraft)) -> RuleDraft {
    let mut draft = RuleDraft::any(Direction::Ingress, Ethertype::Ipv4);
    change(&mut draft);
    draft
}

fn rule(change: impl FnOnce(&mut RuleDraft)) -> Result<Rule, RuleError> {
    Rule::from_draft(draft(change), id("g"))
}

fn protocol(name: &str) -> impl FnOnce(&mut RuleDraft) {
    let name = name.to_owned();
    |draft| draft.protocol = Some(name)
}

/// M07.
#[test]
fn icmp_in_an_ipv6_rule_is_58_however_it_is_written() {
    let of = |name: &str| {
        rule(|d| (d.ethertype, d.protocol) = (Ethertype::Ipv6, Some(name.to_owned()))).unwrap()
    };
    let rules = ["icmp", "ICMPv6", "ipv6-icmp", "1", "58"].map(of);
    assert!(
        rules
            .iter()
            .all(|rule| rule.protocol == Some(58) && *rule == rules[0])
    );
}

#[test]
fn zero_any_and_nothing_are_every_protocol() {
    for name in ["any", "0", "ip", "hopopt", "Any"] {
        assert_eq!(rule(protocol(name)).unwrap().protocol, None, "{name}");
    }
    assert_eq!(rule(|_| {}).unwrap().protocol, None);
}

#[test]
fn a_protocol_is_a_known_name_or_a_number_of_eight_bits() {
    assert_eq!(rule(protocol("VRRP")).unwrap().protocol, Some(112));
    assert_eq!(rule(protocol("255")).unwrap().protocol, Some(255));
    for wrong in ["256", "-1", "http", "", "+6", "6.0"] {
        let error = rule(protocol(wrong)).unwrap_err();
        assert_eq!(error, RuleError::UnknownProtocol(wrong.to_owned()));
    }
}

/// M13.
#[test]
fn an_ipv4_rule_takes_neither_an_ipv6_protocol_nor_an_ipv6_prefix() {
    for name in [
        "ipv6-route",
        "43",
        "ipv6-icmp",
        "ipv6-frag",
        "ipv6-opts",
        "ipv6-nonxt",
    ] {
        assert!(
            matches!(rule(protocol(name)), Err(RuleError::Ipv6Only(_))),
            "{name}"
        );
    }
    let error = rule(|d| d.remote_ip_prefix = Some("2001:db8::/32".into())).unwrap_err();
    assert!(matches!(error, RuleError::PrefixFamily { .. }));
}

/// Every number in both families: refused in IPv4 is what exists in IPv6 alone, and nothing else is refused.
#[test]
fn every_protocol_but_icmpv6_and_extension_headers_may_stand_in_a_rule_of_either_family() {
    let of = |family, number: u8| {
        rule(|d| (d.ethertype, d.protocol) = (family, Some(number.to_string())))
    };
    let refused: Vec<u8> = (0..=255)
        .filter(|n| of(Ethertype::Ipv4, *n).is_err())
        .collect();
    assert_eq!(refused, [43, 44, 58, 59, 60]);
    assert!((0..=255).all(|n| of(Ethertype::Ipv6, n).is_ok()));
    // Tunnels of one family in the other.
    for name in ["ipip", "ipv6-encap", "gre"] {
        assert!(rule(protocol(name)).is_ok(), "{name}");
        let v6 = rule(|d| (d.ethertype, d.protocol) = (Ethertype::Ipv6, Some(name.to_owned())));
        assert!(v6.is_ok(), "{name}");
    }
    let idle = |family| -> Vec<u8> {
        let matches_nothing = |n: &u8| {
            let rule = of(family, *n);
            rule.is_ok_and(|rule| rule.why_it_matches_nothing().is_some())
        };
        (0..=255).filter(matches_nothing).collect()
    };
    assert_eq!(idle(Ethertype::Ipv4), []);
    assert_eq!(idle(Ethertype::Ipv6), [2, 43, 44, 51, 60]);
}

#[test]
fn ports_are_for_protocols_that_have_them_and_need_both_ends() {
    let ports = |name: Option<&str>, min, max| {
        rule(|d| {
            d.protocol = name.map(str::to_owned);
            (d.port_range_min, d.port_range_max) = (min, max);
        })
    };
    for name in ["tcp", "udp", "sctp", "dccp", "udplite", "136"] {
        let service = ports(Some(name), Some(80), Some(81)).unwrap().service;
        assert_eq!(service, Service::Ports { min: 80, max: 81 }, "{name}");
    }
    assert_eq!(
        ports(None, Some(1), Some(2)),
        Err(RuleError::PortsWithoutProtocol)
    );
    assert_eq!(
        ports(Some("any"), Some(1), Some(2)),
        Err(RuleError::PortsWithoutProtocol)
    );
    assert_eq!(
        ports(Some("112"), Some(1), Some(2)),
        Err(RuleError::NoPorts(112))
    );
    assert_eq!(
        ports(Some("tcp"), Some(80), None),
        Err(RuleError::HalfPortRange)
    );
    assert_eq!(
        ports(Some("tcp"), None, Some(80)),
        Err(RuleError::HalfPortRange)
    );
    assert_eq!(
        ports(Some("tcp"), Some(0), Some(80)),
        Err(RuleError::Port(0))
    );
    assert_eq!(
        ports(Some("tcp"), Some(1), Some(65_536)),
        Err(RuleError::Port(65_536))
    );
    let reversed = RuleError::ReversedPortRange { min: 81, max: 80 };
    assert_eq!(ports(Some("tcp"), Some(81), Some(80)), Err(reversed));
    assert_eq!(
        ports(Some("tcp"), Some(1), Some(65_535)).unwrap().service,
        Service::Any
    );
}

/// M12.
#[test]
fn icmp_type_and_code_0_are_values_and_a_code_needs_a_type() {
    let icmp = |kind, code| {
        rule(|d| {
            d.protocol = Some("icmp".into());
            (d.icmp_type, d.icmp_code) = (kind, code);
        })
    };
    let service = |kind, code| icmp(kind, code).unwrap().service;
    assert_eq!(
        service(Some(0), Some(0)),
        Service::Icmp {
            kind: 0,
            code: Some(0)
        }
    );
    assert_eq!(
        service(Some(8), None),
        Service::Icmp {
            kind: 8,
            code: None
        }
    );
    assert_eq!(service(None, None), Service::Any);
    assert_eq!(icmp(None, Some(0)), Err(RuleError::CodeWithoutType));
    assert_eq!(icmp(Some(256), None), Err(RuleError::IcmpRange(256)));
    assert_eq!(icmp(Some(3), Some(-1)), Err(RuleError::IcmpRange(-1)));
}

#[test]
fn icmp_type_and_code_may_stand_in_the_port_fields_but_not_in_both() {
    let neutron = rule(|d| {
        d.protocol = Some("icmp".into());
        (d.port_range_min, d.port_range_max) = (Some(3), Some(4));
    });
    assert_eq!(
        neutron.unwrap().service,
        Service::Icmp {
            kind: 3,
            code: Some(4)
        }
    );
    let twice = rule(|d| {
        d.protocol = Some("icmp".into());
        (d.port_range_min, d.icmp_type) = (Some(3), Some(3));
    });
    assert_eq!(twice, Err(RuleError::IcmpTwice));
    let tcp = rule(|d| (d.protocol, d.icmp_type) = (Some("tcp".into()), Some(8)));
    assert_eq!(tcp, Err(RuleError::NotIcmp));
}

#[test]
fn a_prefix_has_its_host_bits_masked_and_one_of_length_0_is_everybody() {
    let remote = |text: &str| {
        rule(|d| d.remote_ip_prefix = Some(text.into()))
            .unwrap()
            .remote
    };
    assert_eq!(
        remote("10.0.0.77/24"),
        Remote::Prefix("10.0.0.0/24".parse().unwrap())
    );
    assert_eq!(
        remote("10.0.0.77"),
        Remote::Prefix("10.0.0.77/32".parse().unwrap())
    );
    assert_eq!(remote("1.2.3.4/0"), Remote::Any);
    for wrong in ["10.0.0.0/33", "10.0.0", "host", "10.0.0.0/255.0.0.0", ""] {
        let error = rule(|d| d.remote_ip_prefix = Some(wrong.into())).unwrap_err();
        assert_eq!(error, RuleError::Prefix(wrong.to_owned()));
    }
}

/// M14.
#[test]
fn a_rule_has_at_most_one_remote() {
    let error = rule(|d| {
        d.remote_ip_prefix = Some("10.0.0.0/8".into());
        d.remote_group = Some(id("g"));
    });
    assert_eq!(error, Err(RuleError::SeveralRemotes));
}

/// M09, M10.
#[test]
fn rules_that_allow_the_same_in_another_spelling_are_merged() {
    let texts = [
        "ingress IPv4 tcp 80 from 10.0.0.77/24",
        "ingress IPv4 6 80-80 from 10.0.0.0/24",
        "ingress IPv4 udp 1-65535 from any",
        "ingress IPv4 17 from 0.0.0.0/0",
        "ingress IPv4 tcp 81 from 10.0.0.0/24",
    ];
    let mut group = group("g", &texts);
    group.rules[1].id = id("explicit");
    let merged = group.merge_duplicates();
    assert_eq!(group.rules.len(), 3);
    assert_eq!(merged.len(), 2);
    assert_eq!(
        (merged[0].kept, merged[0].dropped),
        (group.rules[0].id, id("explicit"))
    );
    assert_eq!(merged[0].rule, "ingress IPv4 tcp 80 from 10.0.0.0/24");
}

#[test]
fn the_text_of_a_rule_round_trips() {
    let group = id("g");
    for text in [
        "ingress IPv4 tcp 80 from 10.0.0.0/8",
        "ingress IPv4 tcp 80-81 from any",
        "egress IPv6 any to 2001:db8::/32",
        "egress IPv6 ipv6-icmp type 128 code 0 to any",
        "ingress IPv4 icmp type 8 from any",
        "ingress IPv4 200 from any",
        &format!("ingress IPv4 any from group {group}"),
        &format!("egress IPv4 sctp 5000 to address-group {group}"),
    ] {
        assert_eq!(Rule::parse(text, group).unwrap().to_string(), text);
    }
    for wrong in [
        "",
        "ingress",
        "ingress IPv4 tcp 80 to any",
        "ingress IPv4 tcp 80 from any more",
    ] {
        assert_eq!(
            Rule::parse(wrong, group),
            Err(RuleError::Text(wrong.to_owned()))
        );
    }
}

#[test]
fn a_derived_id_depends_on_group_and_content_and_on_nothing_else() {
    let text = "ingress IPv4 tcp 80 from 10.0.0.0/8";
    let rule = Rule::parse(text, id("g")).unwrap();
    assert_eq!(
        rule.id,
        Rule::parse("ingress ipv4 6 80-80 from 10.1.2.3/8", id("g"))
            .unwrap()
            .id
    );
    assert_ne!(rule.id, Rule::parse(text, id("h")).unwrap().id);
    let name = format!("vswitch:rule:{}:{text}", id("g"));
    assert_eq!(rule.id, id(&name));
}
