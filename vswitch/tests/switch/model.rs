//! M: model and defaults, as a packet sees them.

use crate::laboratory::Lab;
use crate::setup::{EG, NONE, OPEN, Setup};

/// M01.
#[test]
fn with_the_rules_of_a_new_group_a_guest_speaks_and_hears_nothing() {
    let mut lab = Lab::new(Setup::new());
    lab.sees(
        "A",
        "icmp A > B echo-request id=1",
        "A> rule, >B default_deny",
    );
    lab.sees(
        "A",
        "icmp A6 > B6 echo-request id=1",
        "A> rule, >B default_deny",
    );
    lab.logs("A> rule 1, >B default_deny 1");
}

/// M02.
#[test]
fn refused_at_the_sender_leaves_nothing_at_the_receiver() {
    let mut lab = Lab::new(Setup::new().group("A", NONE).group("B", OPEN));
    lab.sees("A", "udp A:1 > B:9", "A> default_deny");
    lab.logs("A> default_deny 1");
    assert_eq!(lab.of("B").offered, 0);
}

/// M04.
#[test]
fn members_of_the_default_group_hear_each_other_and_nobody_outside() {
    let rules = "out, in from group default";
    let mut lab = Lab::new(
        Setup::new()
            .group("default", rules)
            .groups_of("A", &["default"])
            .groups_of("B", &["default"]),
    );
    lab.all_see(&[
        ("A", "icmp A > B echo-request id=1", "A> rule, >B rule"),
        (
            "U",
            "icmp X > B echo-request id=1",
            "U> unfiltered, >B default_deny",
        ),
        (
            "B",
            "icmp B > X echo-request id=2",
            "B> rule, >U unfiltered",
        ),
        ("U", "icmp X > B echo-reply id=2", "U> unfiltered, >B reply"),
    ]);
    lab.logs(
        "A> rule 1, >B rule 1, U> unfiltered 2, >B default_deny 1, B> rule 1, >U unfiltered 1, >B reply 1",
    );
}

/// M05.
#[test]
fn a_new_group_lets_both_families_out_and_neither_in() {
    let mut lab = Lab::new(Setup::new());
    lab.all_see(&[
        ("A", "udp A:1 > X:9", "A> rule, >U unfiltered"),
        ("A", "udp A6:1 > X6:9", "A> rule, >U unfiltered"),
        ("U", "udp X:7 > A:8", "U> unfiltered, >A default_deny"),
        ("U", "udp X6:7 > A6:8", "U> unfiltered, >A default_deny"),
    ]);
    lab.logs("A> rule 1, >U unfiltered 1, U> unfiltered 1, >A default_deny 1");
}

/// M06.
#[test]
fn an_ipv4_rule_lets_no_ipv6_through() {
    let mut lab = Lab::new(Setup::new().group("A", "out4").group("B", OPEN));
    lab.sees("A", "udp A:1 > B:9", "A> rule, >B rule");
    lab.sees("A", "udp A6:1 > B6:9", "A> default_deny");
}

/// M07.
#[test]
fn icmp_in_an_ipv6_rule_is_icmpv6_however_it_is_written() {
    for spelling in ["icmp", "icmpv6", "1", "58"] {
        let mut lab = Lab::new(Setup::of_b(&format!("{EG}, in6 {spelling}")));
        lab.sees("A", "icmp A6 > B6 echo-request id=1", "A> rule, >B rule");
        lab.sees(
            "A",
            "icmp A > B echo-request id=1",
            "A> rule, >B default_deny",
        );
    }
}

/// M09.
#[test]
fn the_host_bits_of_a_prefix_do_not_count() {
    let mut lab = Lab::new(Setup::of_b("in udp from 10.0.0.77/24").guest("D", 200));
    lab.sees("D", "udp D:1 > B:9", "D> rule, >B rule");
}

/// M12.
#[test]
fn an_icmp_rule_of_type_0_code_0_is_a_rule_for_that_alone() {
    // Without state, where a lone answer is judged by the rules.
    let setup = Setup::of_b("in icmp type 0 code 0")
        .stateless("A")
        .stateless("B");
    let mut lab = Lab::new(setup);
    lab.sees("A", "icmp A > B echo-reply id=1", "A> rule, >B rule");
    lab.sees(
        "A",
        "icmp A > B echo-request id=1",
        "A> rule, >B default_deny",
    );
}

#[test]
fn a_port_without_groups_refuses_everything_but_the_essentials() {
    let mut lab = Lab::new(Setup::new().groups_of("A", &[]).group("B", OPEN));
    lab.all_see(&[
        ("A", "udp A:1 > B:9", "A> default_deny"),
        ("B", "udp B:1 > A:9", "B> rule, >A default_deny"),
        (
            "A",
            "arp who-has 10.0.0.11 tell 10.0.0.10 to B.mac",
            "A> essential, >B essential",
        ),
    ]);
    lab.logs("A> default_deny 1, B> rule 1, >A default_deny 1");
}
