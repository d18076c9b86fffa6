//! S: what a connection lets back, and what it does not.

use crate::laboratory::Lab;
use crate::setup::{NONE, OPEN, Setup};
use crate::talk::Talk;
use secgroup::conntrack::State;

/// S01.
#[test]
fn what_answers_an_allowed_connection_passes_without_a_rule() {
    for family in ["", "6"] {
        let mut lab = Lab::new(Setup::of_b("in tcp 80"));
        let (a, b) = (format!("A{family}"), format!("B{family}"));
        let mut talk = Talk::opens((&a, 4000), (&b, 80), &mut lab);
        for _ in 0..100 {
            talk.passes(&mut lab, 0, "psh,ack", 1400);
            talk.passes(&mut lab, 1, "psh,ack", 1400);
        }
        talk.closes(&mut lab);
        let expected = if family.is_empty() {
            "A> rule 104, >B rule 104, B> reply 103, >A reply 103"
        } else {
            ""
        };
        lab.logs(expected);
        // S02: an answer is no permission to ask.
        lab.sees("B", &format!("tcp {b}:4000 > {a}:80"), "B> default_deny");
    }
}

/// S02.
#[test]
fn a_connection_lets_no_other_in() {
    let mut lab = Lab::new(Setup::of_b("out, in tcp 80"));
    Talk::opens(("A", 4000), ("B", 80), &mut lab);
    lab.rows();
    lab.sees("B", "tcp B:80 > A:80", "B> rule, >A default_deny");
    lab.logs("B> rule 1, >A default_deny 1");
}

/// S03, S04.
#[test]
fn who_asked_first_decides_who_may_answer() {
    for family in ["", "6"] {
        let mut lab = Lab::new(Setup::of_b("out, in udp 53"));
        let asks = format!("udp A{family}:4000 > B{family}:53");
        let answers = format!("udp B{family}:53 > A{family}:4000");
        lab.sees("B", &answers, "B> rule, >A default_deny");
        lab.sees("A", &asks, "A> rule, >B rule");
        lab.sees("B", &answers, "B> reply, >A reply");
    }
}

/// S05.
#[test]
fn a_packet_refused_at_the_receiver_leaves_no_state() {
    let mut lab = Lab::new(Setup::new());
    lab.sees("A", "udp A:4000 > B:53", "A> rule, >B default_deny");
    assert!(lab.connections().is_empty());
    lab.sees("B", "udp B:53 > A:4000", "B> rule, >A default_deny");
    lab.logs("A> rule 1, >B default_deny 1, B> rule 1, >A default_deny 1");
}

/// S07.
#[test]
fn a_protocol_without_ports_is_answered_by_the_same_protocol() {
    let mut lab = Lab::new(Setup::of_b("out, in 112"));
    lab.all_see(&[
        ("A", "proto=112 A > B len=8", "A> rule, >B rule"),
        ("B", "proto=112 B > A len=8", "B> reply, >A reply"),
        ("B", "proto=113 B > A len=8", "B> rule, >A default_deny"),
    ]);
    lab.logs("");
}

/// S08.
#[test]
fn what_nobody_answers_stays_new_and_needs_its_rule() {
    for persist in [false, true] {
        let setup = Setup::of_b("out, in udp 9").set(|config| config.persist_established = persist);
        let mut lab = Lab::new(setup);
        for _ in 0..20 {
            lab.sees("A", "udp A:1 > B:9", "A> rule, >B rule");
        }
        assert_eq!(lab.connections()[0].state, State::New);
        lab.group("B", "out");
        lab.sees("A", "udp A:1 > B:9", "A> rule, >B revoked");
        lab.logs("A> rule 21, >B rule 20, >B revoked 1");
    }
}

/// S10.
#[test]
fn a_reset_closes_its_own_connection() {
    let mut lab = Lab::new(Setup::of_b("in tcp 80"));
    let mut first = Talk::opens(("A", 4000), ("B", 80), &mut lab);
    let mut second = Talk::opens(("A", 4001), ("B", 80), &mut lab);
    first.passes(&mut lab, 0, "rst,ack", 0);
    second.passes(&mut lab, 1, "psh,ack", 100);
    let states: Vec<State> = lab.connections().iter().map(|view| view.state).collect();
    assert!(
        states.contains(&State::Close) && states.contains(&State::Established),
        "{states:?}"
    );
}

/// S13.
#[test]
fn a_stateless_guest_without_rules_still_gets_an_address_and_is_found() {
    let mut lab = Lab::new(Setup::new().stateless("A").group("A", NONE));
    let sees = |lab: &mut Lab, from: &str, text: &str, fate: &str| lab.sees(from, text, fate);
    sees(
        &mut lab,
        "A",
        "arp who-has 10.0.0.1 tell 10.0.0.10 to U.mac",
        "A> essential, >U unfiltered",
    );
    sees(
        &mut lab,
        "U",
        "arp reply 10.0.0.1 is-at fa:16:3e:00:00:01 to A.mac",
        "U> unfiltered, >A essential",
    );
    sees(
        &mut lab,
        "A",
        "udp 0.0.0.0:68 > 10.0.0.1:67 len=240",
        "A> essential, >U unfiltered",
    );
    sees(
        &mut lab,
        "U",
        "udp 10.0.0.1:67 > A:68 len=240",
        "U> unfiltered, >A essential",
    );
    sees(
        &mut lab,
        "A",
        "icmpv6 A.ll > U.ll router-solicitation",
        "A> essential, >U unfiltered",
    );
    sees(
        &mut lab,
        "U",
        "icmpv6 U.ll > A.ll router-advertisement",
        "U> unfiltered, >A essential",
    );
    sees(
        &mut lab,
        "A",
        "icmpv6 A6 > U6 neighbour-solicitation target=U6 lladdr=A.mac",
        "A> essential, >U unfiltered",
    );
    sees(
        &mut lab,
        "U",
        "icmpv6 U6 > A6 neighbour-advertisement target=U6 lladdr=U.mac",
        "U> unfiltered, >A essential",
    );
    assert!(lab.connections().is_empty());
}

/// A stateless group: each way needs its rule.
#[test]
fn without_state_an_answer_needs_a_rule_of_its_own() {
    let setup = Setup::of_b("in udp 53").stateless("A").stateless("B");
    let mut lab = Lab::new(setup.group("A", "out udp 53"));
    lab.sees("A", "udp A:4000 > B:53", "A> rule, >B rule");
    lab.sees("B", "udp B:53 > A:4000", "B> default_deny");
    lab.group("B", "in udp 53, out");
    lab.sees("B", "udp B:53 > A:4000", "B> rule, >A default_deny");
    lab.group("A", "out udp 53, in udp sport 53-53");
    lab.sees("B", "udp B:53 > A:4000", "B> rule, >A rule");
    assert!(lab.connections().is_empty());
    lab.logs("A> rule 1, >B rule 1, B> default_deny 1, B> rule 2, >A default_deny 1, >A rule 1");
}

/// One side keeps state and lets the answer out; the other does not and needs a rule.
#[test]
fn between_a_stateful_and_a_stateless_guest_each_side_keeps_to_its_own() {
    let mut lab = Lab::new(Setup::of_b("in udp 53").stateless("A"));
    lab.sees("A", "udp A:4000 > B:53", "A> rule, >B rule");
    lab.sees("B", "udp B:53 > A:4000", "B> reply, >A default_deny");
    lab.group("A", "out, in udp 1-65535");
    lab.sees("B", "udp B:53 > A:4000", "B> reply, >A rule");
    lab.logs("A> rule 1, >B rule 1, B> reply 2, >A default_deny 1, >A rule 1");
}

/// What a stateless guest may say and hear its rules say, packet by packet: nothing is revoked there.
#[test]
fn a_stateless_guest_answers_though_it_would_be_asked_no_more() {
    let mut lab = Lab::new(Setup::of_b("out, in udp 53").stateless("B"));
    lab.sees("A", "udp A:4000 > B:53", "A> rule, >B rule");
    lab.group("B", "out");
    lab.sees("A", "udp A:4000 > B:53", "A> rule, >B default_deny");
    lab.sees("B", "udp B:53 > A:4000", "B> rule, >A reply");
}

/// S15.
#[test]
fn a_new_guest_with_an_old_address_inherits_nothing() {
    let mut lab = Lab::new(Setup::of_b("out, in udp 9"));
    lab.sees("A", "udp A:1 > B:9", "A> rule, >B rule");
    lab.sees("B", "udp B:9 > A:1", "B> reply, >A reply");
    let old = lab.number("B");
    lab.reload(|setup| setup.unplug("B").guest("D", 11));
    assert_ne!(lab.number("D"), old, "numbers are not given again");
    lab.sees("D", "udp D:9 > A:1", "D> rule, >A default_deny");
    lab.sees("A", "udp A:1 > D:9", "A> rule, >D default_deny");
    lab.tick(1_000);
    assert!(
        lab.connections().is_empty(),
        "the sweep has removed what belonged to B"
    );
    lab.logs("A> rule 2, >B rule 1, B> reply 1, >A reply 1, D> rule 1, >A default_deny 1, >D default_deny 1");
}

/// S16.
#[test]
fn a_packet_that_a_local_gateway_routes_back_is_judged_at_each_crossing() {
    let mut lab = Lab::new(Setup::of_b("in udp 9"));
    let (asks, answers) = ("udp A:1 > B:9", "udp B:9 > A:1");
    lab.all_see(&[
        ("A", &format!("{asks} to U.mac"), "A> rule, >U unfiltered"),
        ("U", &format!("{asks} to B.mac"), "U> unfiltered, >B rule"),
        (
            "B",
            &format!("{answers} to U.mac"),
            "B> reply, >U unfiltered",
        ),
        (
            "U",
            &format!("{answers} to A.mac"),
            "U> unfiltered, >A reply",
        ),
        // The same tuple on the direct way is another connection.
        ("B", answers, "B> default_deny"),
    ]);
    assert_eq!(lab.connections().len(), 2);
    lab.logs("A> rule 1, >U unfiltered 2, U> unfiltered 2, >B rule 1, B> reply 1, >A reply 1, B> default_deny 1");
}

/// S17, S18.
#[test]
fn first_packets_that_cross_are_one_connection_and_none_is_lost() {
    let mut lab = Lab::new(Setup::of_b(OPEN).group("A", OPEN));
    lab.sees("A", "udp A:9 > B:9", "A> rule, >B rule");
    lab.sees("A", "udp A:9 > B:9", "A> rule, >B rule");
    lab.sees("B", "udp B:9 > A:9", "B> reply, >A reply");
    assert_eq!(lab.connections().len(), 1);
}

/// S19.
#[test]
fn no_helper_opens_a_data_connection() {
    let mut lab = Lab::new(Setup::of_b("out, in tcp 21"));
    Talk::opens(("A", 4000), ("B", 21), &mut lab);
    lab.sees("B", "tcp B:20 > A:5000", "B> rule, >A default_deny");
}
