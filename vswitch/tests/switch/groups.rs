//! G: groups, remote groups and address groups.

use crate::laboratory::Lab;
use crate::setup::{EG, NONE, OPEN, Setup, mac};
use crate::talk::Talk;
use secgroup::Pair;

const PING: &str = "icmp A > B echo-request id=1";

/// B lets the members of RG ping it; A is one.
fn with_remote() -> Setup {
    Setup::of_b("out, in icmp from group RG")
        .group("RG", NONE)
        .groups_of("A", &["A", "RG"])
}

/// G01.
#[test]
fn a_group_taken_off_a_port_takes_its_rules_along_and_no_other() {
    let setup = Setup::new()
        .group("G1", "in tcp 22")
        .group("G2", "in icmp")
        .groups_of("B", &["G1", "G2"]);
    let mut lab = Lab::new(setup);
    let mut ssh = Talk::opens(("A", 4000), ("B", 22), &mut lab);
    for (groups, side) in [
        (&["G1", "G2"][..], "rule"),
        (&["G1"], "revoked"),
        (&["G1", "G2"], "rule"),
    ] {
        lab.reload(|setup| setup.groups_of("B", groups));
        lab.sees("A", PING, &format!("A> rule, >B {side}"));
        ssh.passes(&mut lab, 0, "psh,ack", 10);
        ssh.passes(&mut lab, 1, "psh,ack", 10);
    }
    lab.logs("A> rule 8, >B rule 7, >B revoked 1, B> reply 4, >A reply 4");
}

/// G02.
#[test]
fn what_two_groups_allow_passes_while_one_of_them_is_left() {
    let setup = Setup::new()
        .group("G1", "in icmp")
        .group("G2", "in icmp")
        .groups_of("B", &["G1", "G2"]);
    let mut lab = Lab::new(setup);
    for groups in [&["G1", "G2"][..], &["G1"], &["G2"], &["G1", "G2"]] {
        lab.reload(|setup| setup.groups_of("B", groups));
        lab.sees("A", PING, "A> rule, >B rule");
    }
}

/// G04.
#[test]
fn a_remote_group_speaks_of_its_members_its_protocol_and_its_direction() {
    let mut lab = Lab::new(with_remote());
    lab.all_see(&[
        ("A", PING, "A> rule, >B rule"),
        ("A", "icmp A6 > B6 echo-request id=1", "A> rule, >B rule"),
        (
            "C",
            "icmp C > B echo-request id=1",
            "C> rule, >B default_deny",
        ),
        ("A", "tcp A:1 > B:80", "A> rule, >B default_deny"),
        (
            "B",
            "icmp B > A echo-request id=1",
            "B> rule, >A default_deny",
        ),
    ]);
}

/// G06.
#[test]
fn who_leaves_a_remote_group_is_cut_at_the_next_packet() {
    let mut lab = Lab::new(with_remote());
    lab.sees("A", PING, "A> rule, >B rule");
    lab.reload(|setup| setup.groups_of("A", &["A"]));
    lab.sees("A", PING, "A> rule, >B revoked");
    lab.sees(
        "A",
        "icmp A > B echo-request id=2",
        "A> rule, >B default_deny",
    );
    lab.logs("A> rule 3, >B rule 1, >B revoked 1, >B default_deny 1");
}

/// G07.
#[test]
fn a_remote_group_without_members_is_nobody() {
    let mut lab = Lab::new(Setup::of_b("in from group RG").group("RG", NONE));
    for (from, text, egress) in [
        ("A", "udp A:1 > B:9", "rule"),
        ("C", "udp C6:1 > B6:9", "rule"),
        ("U", "udp X:1 > B:9", "unfiltered"),
    ] {
        lab.sees(from, text, &format!("{from}> {egress}, >B default_deny"));
    }
}

/// G08.
#[test]
fn a_member_matches_with_every_address_it_has() {
    let mut lab = Lab::new(with_remote());
    let second = "icmp 10.0.0.20 > B echo-request id=1";
    lab.sees("A", second, "A> spoof_ip");
    lab.reload(|setup| setup.port("A", |port| port.spec.fixed_ips.push([10, 0, 0, 20].into())));
    lab.sees("A", second, "A> rule, >B rule");
}

/// G09.
#[test]
fn a_member_matches_with_the_addresses_of_its_pairs() {
    let pair = Pair {
        prefix: "10.9.9.9/32".parse().unwrap(),
        mac: None,
    };
    let mut lab =
        Lab::new(with_remote().port("A", |port| port.spec.allowed_address_pairs.push(pair)));
    lab.sees(
        "A",
        "icmp 10.9.9.9 > B echo-request id=1",
        "A> rule, >B rule",
    );
}

/// A pair of everything speaks for its MAC only, also when a policy is judged again.
#[test]
fn a_pair_of_everything_opens_a_rule_to_its_owner_and_not_to_the_world() {
    let pair = Pair {
        prefix: "0.0.0.0/0".parse().unwrap(),
        mac: None,
    };
    let mut lab =
        Lab::new(with_remote().port("A", |port| port.spec.allowed_address_pairs.push(pair)));
    lab.sees(
        "A",
        "icmp 10.8.8.8 > B echo-request id=1",
        "A> rule, >B rule",
    );
    lab.sees(
        "C",
        "icmp C > B echo-request id=1",
        "C> rule, >B default_deny",
    );
    lab.reload(|setup| setup);
    lab.sees(
        "A",
        "icmp 10.8.8.8 > B echo-request id=1",
        "A> rule, >B rule",
    );
}

/// The same with a MAC of its own, which a connection does not remember.
#[test]
fn a_pair_of_everything_with_another_mac_survives_a_change_of_policy() {
    let pair = Pair {
        prefix: "0.0.0.0/0".parse().unwrap(),
        mac: Some(mac(0x77)),
    };
    let mut lab =
        Lab::new(with_remote().port("A", |port| port.spec.allowed_address_pairs.push(pair)));
    let text = "icmp 10.8.8.8 > B echo-request id=1 from fa:16:3e:00:00:77";
    lab.sees("A", text, "A> rule, >B rule");
    lab.reload(|setup| setup);
    lab.sees("A", text, "A> rule, >B rule");
}

/// G11.
#[test]
fn a_remote_named_in_two_ways_matches_while_one_of_them_is_left() {
    let both = "in icmp from group RG, in4 icmp from list AG";
    let mut lab = Lab::new(with_remote().list("AG", &["10.0.0.10/32"]).group("B", both));
    lab.sees("A", PING, "A> rule, >B rule");
    lab.group("B", "in4 icmp from list AG");
    lab.sees("A", PING, "A> rule, >B rule");
    lab.group("B", NONE);
    lab.sees("A", PING, "A> rule, >B revoked");
}

/// G12.
#[test]
fn an_address_group_changes_for_all_who_name_it_in_one_step() {
    let rules = "out, in4 udp from list AG";
    let setup = Setup::of_b(rules)
        .guest("D", 13)
        .list("AG", &["10.0.0.77/32"])
        .group("D", rules);
    let mut lab = Lab::new(setup);
    for (prefixes, side) in [
        (&["10.0.0.77/32"][..], "default_deny"),
        (&["10.0.0.77/32", "10.0.0.12/32"], "rule"),
        (&["10.0.0.77/32"], "revoked"),
    ] {
        lab.reload(|setup| setup.list("AG", prefixes));
        lab.sees("C", "udp C:1 > B:9", &format!("C> rule, >B {side}"));
        lab.sees("C", "udp C:1 > D:9", &format!("C> rule, >D {side}"));
    }
}

/// G13.
#[test]
fn of_two_rules_with_one_remote_each_goes_alone() {
    let mut lab = Lab::new(with_remote().group(
        "B",
        "in tcp 80-81 from group RG, in tcp 82-83 from group RG",
    ));
    lab.group("B", "in tcp 82-83 from group RG");
    for (port, side) in [
        (80, "default_deny"),
        (81, "default_deny"),
        (82, "rule"),
        (83, "rule"),
    ] {
        lab.sees(
            "A",
            &format!("tcp A:1 > B:{port}"),
            &format!("A> rule, >B {side}"),
        );
    }
}

/// G16.
#[test]
fn a_remote_group_of_an_egress_rule_is_whom_one_may_speak_to() {
    let setup = Setup::new()
        .group("RG", OPEN)
        .groups_of("B", &["RG"])
        .group("C", OPEN);
    let mut lab = Lab::new(setup.group("A", "out udp to group RG"));
    lab.sees("A", "udp A:1 > B:9", "A> rule, >B rule");
    lab.sees("A", "udp A:1 > C:9", "A> default_deny");
}

/// G17.
#[test]
fn an_address_means_nothing_in_another_network() {
    let other = |port: &mut vswitch::switch::PortConfig| {
        port.subnet = uuid::Uuid::from_u128(2);
        port.vpc = uuid::Uuid::from_u128(2);
        port.spec.fixed_ips = vec![[10, 0, 0, 12].into()];
    };
    let setup = Setup::of_b("in from group RG")
        .group("RG", NONE)
        .guest("N", 50);
    let mut lab = Lab::new(setup.port("N", other).groups_of("N", &["N", "RG"]));
    lab.sees("C", "udp C:1 > B:9", "C> rule, >B default_deny");
}

/// G18.
#[test]
fn a_constant_member_notices_nothing_of_those_who_come_and_go() {
    let pairs = |shift: u32| {
        (0..100).map(move |n| Pair {
            prefix: ipnet::Ipv4Net::new((0x0a63_0000 + shift + n).into(), 32)
                .unwrap()
                .into(),
            mac: None,
        })
    };
    let mut lab = Lab::new(with_remote().guest("D", 13).groups_of("D", &["D", "RG"]));
    for round in 0..30 {
        lab.reload(|setup| {
            setup.port("D", |port| {
                port.spec.allowed_address_pairs = pairs(round * 50).collect();
            })
        });
        lab.sees("A", PING, "A> rule, >B rule");
        let theirs = format!(
            "icmp 10.99.{}.{} > B echo-request id=1",
            round * 50 / 256,
            round * 50 % 256
        );
        lab.sees("D", &theirs, "D> rule, >B rule");
        lab.sees(
            "C",
            "icmp C > B echo-request id=1",
            "C> rule, >B default_deny",
        );
    }
}

/// G20.
#[test]
fn two_who_share_no_group_can_still_talk() {
    let mut lab = Lab::new(Setup::of_b("in icmp from 10.0.0.0/24"));
    lab.sees("A", PING, "A> rule, >B rule");
}

/// G21.
#[test]
fn a_rule_added_to_a_group_holds_at_every_port_of_it() {
    let setup = Setup::new()
        .group("G", EG)
        .groups_of("B", &["G"])
        .groups_of("C", &["G"]);
    let mut lab = Lab::new(setup);
    for (rules, side) in [(EG, "default_deny"), ("out, in udp 9", "rule")] {
        lab.group("G", rules);
        lab.sees("A", "udp A:1 > B:9", &format!("A> rule, >B {side}"));
        lab.sees("A", "udp A:1 > C:9", &format!("A> rule, >C {side}"));
    }
}
