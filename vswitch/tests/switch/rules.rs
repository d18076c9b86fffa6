//! R: which packets a rule matches.

use crate::laboratory::Lab;
use crate::setup::{NONE, OPEN, Setup};
use packet::build;

/// R01, R02.
#[test]
fn a_rule_speaks_of_one_protocol_and_one_direction() {
    for (ruled, other) in [("tcp", "udp"), ("udp", "tcp")] {
        for family in ["", "6"] {
            let mut lab = Lab::new(Setup::of_b(&format!("out, in {ruled}")));
            let packet = |what: &str, from: &str, to: &str| {
                format!("{what} {from}{family}:1 > {to}{family}:80")
            };
            lab.sees("A", &packet(ruled, "A", "B"), "A> rule, >B rule");
            lab.sees("A", &packet(other, "A", "B"), "A> rule, >B default_deny");
            lab.sees("B", &packet(ruled, "B", "A"), "B> rule, >A default_deny");
        }
    }
}

/// R06.
#[test]
fn the_ports_beside_a_port_are_closed() {
    let mut lab = Lab::new(Setup::of_b("in tcp 42"));
    lab.all_see(&[
        ("A", "tcp A:1 > B:41", "A> rule, >B default_deny"),
        ("A", "tcp A:1 > B:42", "A> rule, >B rule"),
        ("A", "tcp A:1 > B:43", "A> rule, >B default_deny"),
    ]);
    lab.logs("A> rule 3, >B rule 1, >B default_deny 2");
}

/// R07.
#[test]
fn a_port_range_ends_where_it_says() {
    let mut random = 1_u64;
    let mut next = move || {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (random >> 48) as u16
    };
    let edges = [
        (1, 1),
        (65535, 65535),
        (1, 65535),
        (32767, 32768),
        (4095, 4097),
    ];
    let pairs = (0..100)
        .map(|_| (next().max(1), next().max(1)))
        .map(|(a, b)| (a.min(b), a.max(b)));
    let mut lab = Lab::new(Setup::new());
    for (low, high) in edges.into_iter().chain(pairs) {
        lab.group("B", &format!("in udp {low}-{high}"));
        for port in [low - 1, low, high, high.wrapping_add(1)]
            .into_iter()
            .filter(|port| *port > 0)
        {
            let fate = if (low..=high).contains(&port) {
                "A> rule, >B rule"
            } else {
                "A> rule, >B default_deny"
            };
            // Without what was opened under the ranges before.
            lab.tick(31_000);
            lab.sees("A", &format!("udp A:1 > B:{port}"), fate);
        }
    }
    lab.rows();
}

/// R12.
#[test]
fn a_rule_for_one_sender_matches_that_sender_alone() {
    let mut lab = Lab::new(Setup::of_b(
        "in tcp from 10.0.0.10/32, in tcp from 2001:db8::10",
    ));
    lab.all_see(&[
        ("A", "tcp A:1 > B:80", "A> rule, >B rule"),
        ("C", "tcp C:1 > B:80", "C> rule, >B default_deny"),
        ("A", "tcp A6:1 > B6:80", "A> rule, >B rule"),
        ("C", "tcp C6:1 > B6:80", "C> rule, >B default_deny"),
    ]);
}

/// R14.
#[test]
fn a_rule_for_one_destination_is_judged_at_the_sender() {
    let setup = Setup::new()
        .group("A", "out tcp to 10.0.0.11")
        .group("B", OPEN)
        .group("C", OPEN);
    let mut lab = Lab::new(setup);
    lab.sees("A", "tcp A:1 > B:80", "A> rule, >B rule");
    lab.sees("A", "tcp A:1 > C:80", "A> default_deny");
    lab.logs("A> rule 1, >B rule 1, A> default_deny 1");
}

/// R15.
#[test]
fn a_prefix_ends_where_it_says() {
    let mut lab = Lab::new(Setup::new());
    let cases = [
        ("0.0.0.0/0", "udp 198.51.100.9:1 > B:9", true),
        ("128.0.0.0/1", "udp 127.255.255.255:1 > B:9", false),
        ("128.0.0.0/1", "udp 128.0.0.0:1 > B:9", true),
        ("198.0.0.0/8", "udp 198.255.255.255:1 > B:9", true),
        ("198.0.0.0/8", "udp 199.0.0.0:1 > B:9", false),
        ("198.51.100.8/31", "udp 198.51.100.9:1 > B:9", true),
        ("198.51.100.8/31", "udp 198.51.100.10:1 > B:9", false),
        ("198.51.100.9/32", "udp 198.51.100.8:1 > B:9", false),
        ("::/0", "udp [2001:db8:ffff::9]:1 > B6:9", true),
        ("8000::/1", "udp [7fff::1]:1 > B6:9", false),
        (
            "2001:db8:ffff::/64",
            "udp [2001:db8:ffff::9]:1 > B6:9",
            true,
        ),
        (
            "2001:db8:ffff::/64",
            "udp [2001:db8:ffff:1::9]:1 > B6:9",
            false,
        ),
        (
            "2001:db8:ffff::8/127",
            "udp [2001:db8:ffff::9]:1 > B6:9",
            true,
        ),
        (
            "2001:db8:ffff::8/127",
            "udp [2001:db8:ffff::a]:1 > B6:9",
            false,
        ),
        (
            "2001:db8:ffff::9/128",
            "udp [2001:db8:ffff::8]:1 > B6:9",
            false,
        ),
    ];
    for (prefix, text, inside) in cases {
        lab.group("B", &format!("in udp from {prefix}"));
        lab.tick(31_000);
        let side = if inside { "rule" } else { "default_deny" };
        lab.sees("U", text, &format!("U> unfiltered, >B {side}"));
    }
}

/// R16, R17, R18.
#[test]
fn protocols_without_ports_are_matched_by_number_and_those_with_ports_by_port() {
    let mut lab = Lab::new(Setup::new());
    for ruled in [112, 47, 50, 89] {
        lab.group("B", &format!("in {ruled}"));
        lab.tick(601_000);
        for number in [112, 47, 50, 89] {
            let side = if number == ruled {
                "rule"
            } else {
                "default_deny"
            };
            lab.sees(
                "A",
                &format!("proto={number} A > B len=20"),
                &format!("A> rule, >B {side}"),
            );
        }
    }
    lab.group("B", "in sctp 5000, in udp 53");
    lab.all_see(&[
        ("A", "sctp A:1 > B:5000", "A> rule, >B rule"),
        ("A", "sctp A:1 > B:5001", "A> rule, >B default_deny"),
        ("A", "udp A:1 > B:53 len=0", "A> rule, >B rule"),
        ("A", "udp A6:1 > B6:53 len=0", "A> rule, >B rule"),
    ]);
    assert_eq!(
        lab.not_recorded("A", flowlog::NotRecorded::OtherProtocol),
        18
    );
    lab.logs("A> rule 1, >B rule 1");
}

/// R19.
#[test]
fn ip_options_do_not_hide_the_port() {
    let mut lab = Lab::new(Setup::of_b("in tcp 80"));
    for words in 1..=10 {
        for (port, fate) in [(80, "A> rule, >B rule"), (81, "A> rule, >B default_deny")] {
            let frame = lab.frame("A", "tcp A:1 > B:9");
            let (src, dst) = (
                packet::Mac(frame[6..12].try_into().unwrap()),
                packet::Mac(frame[..6].try_into().unwrap()),
            );
            let ip = build::frame(src, dst)
                .ip([10, 0, 0, 10], [10, 0, 0, 11])
                .options(&vec![1; words * 4]);
            let frame = ip
                .tcp(1000 + words as u16, port)
                .flags(packet::tcp_flags::SYN)
                .build();
            assert_eq!(lab.send_frame("A", &frame).fate, fate);
        }
    }
    lab.logs("A> rule 20, >B rule 10, >B default_deny 10");
}

/// R23.
#[test]
fn the_rules_of_two_groups_are_a_union() {
    let setup = Setup::new()
        .group("CONN", "in tcp 22-23")
        .group("WEB", "in tcp 80, in tcp 8080");
    let mut lab = Lab::new(setup.groups_of("B", &["CONN", "WEB"]));
    for port in [22, 23, 80, 8080] {
        lab.sees("A", &format!("tcp A:1 > B:{port}"), "A> rule, >B rule");
    }
    lab.sees("A", "tcp A:1 > B:443", "A> rule, >B default_deny");
}

/// R25.
#[test]
fn an_internal_rule_may_name_source_ports() {
    let setup = Setup::new()
        .group("A", "out udp sport 12345-12346")
        .group("B", OPEN);
    let mut lab = Lab::new(setup);
    for (port, fate) in [
        (12344, "A> default_deny"),
        (12345, "A> rule, >B rule"),
        (12346, "A> rule, >B rule"),
        (12347, "A> default_deny"),
    ] {
        lab.sees("A", &format!("udp A:{port} > B:9"), fate);
    }
}

#[test]
fn the_rule_in_the_record_is_the_one_that_matched() {
    let mut lab = Lab::new(Setup::of_b("in udp 53, in tcp 80").group("A", "out udp, out tcp"));
    for (text, protocol) in [("udp A:1 > B:53", 17), ("tcp A:1 > B:80", 6)] {
        let sent = lab.send("A", text);
        for rule in crate::ledger::rule_of(&sent.steps[0]) {
            let identity = lab.rules.lookup(rule.unwrap()).unwrap();
            let rules = lab
                .setup
                .config
                .model
                .groups
                .iter()
                .flat_map(|group| &group.rules);
            let named = rules.clone().find(|rule| rule.id == identity.rule).unwrap();
            assert_eq!(named.protocol, Some(protocol));
        }
    }
    lab.group("B", NONE);
    let refused = lab.send("A", "udp A:2 > B:53");
    assert_eq!(
        crate::ledger::rule_of(&refused.steps[0])[1],
        Some(secgroup::RuleRef::NONE)
    );
}

/// What rules have refused is remembered for as long as the policy stands, for that very question alone.
#[test]
fn a_refusal_that_is_remembered_is_told_to_the_same_packets_and_no_others() {
    let setup = Setup::of_b("in udp 9").port("B", |port| port.mtu = 1000);
    let mut lab = Lab::new(setup.group("A", "out udp"));
    for _ in 0..3 {
        lab.sees("A", "udp A:1 > B:8", "A> rule, >B default_deny");
        lab.sees("A", "tcp A:1 > B:8 syn", "A> default_deny");
    }
    lab.sees("A", "udp A:1 > B:9", "A> rule, >B rule");
    lab.sees("A", "udp A:8 > B:1", "A> rule, >B default_deny");
    lab.sees("B", "udp B:8 > A:1", "B> default_deny");
    lab.sees("A", "udp A:1 > B:8 len=1400", "A> rule, >B mtu");
    lab.sees("A", "udp A:1 > B:8", "A> rule, >B default_deny");
    lab.group("B", "in udp 8");
    lab.sees("A", "udp A:1 > B:8", "A> rule, >B rule");
    lab.sees("B", "udp B:8 > A:1", "B> reply, >A reply");
}
