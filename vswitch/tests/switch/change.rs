//! X: the policy changes under live connections.

use crate::laboratory::Lab;
use crate::setup::{EG, NONE, Setup};
use crate::talk::Talk;
use packet::{Basis, Direction, Reason, Verdict};
use secgroup::RuleTable;
use vswitch::switch::Prepared;

const WEB: &str = "out, in tcp 80";

/// A connection of A's to B:80 that stands.
fn established(setup: Setup) -> (Lab, Talk) {
    let mut lab = Lab::new(setup);
    let talk = Talk::opens(("A", 4000), ("B", 80), &mut lab);
    lab.rows();
    (lab, talk)
}

/// X01, X02, X03.
#[test]
fn a_connection_whose_rule_goes_is_cut_both_ways_and_resumes_when_the_rule_returns() {
    let (mut lab, talk) = established(Setup::of_b(WEB));
    lab.group("B", EG);
    // The server alone is sending: it is cut without waiting for a packet of the client.
    talk.clone().says(&mut lab, 1, "psh,ack", 100, "B> revoked");
    talk.clone()
        .says(&mut lab, 0, "psh,ack", 10, "A> rule, >B revoked");
    assert_eq!(lab.refused("B", Reason::Revoked), 2);
    lab.logs("A> rule 1, >B revoked 1, B> revoked 1");
    lab.group("B", WEB);
    let mut talk = talk;
    talk.passes(&mut lab, 1, "psh,ack", 100);
    talk.passes(&mut lab, 0, "psh,ack", 100);
    lab.logs("A> rule 1, >B rule 1, B> reply 1, >A reply 1");
    assert_eq!(lab.connections().len(), 1, "the same connection");
}

#[test]
fn a_connection_is_shown_as_judged_before_until_its_next_packet_after_a_reload() {
    let (mut lab, mut talk) = established(Setup::of_b(WEB));
    let shown = |lab: &Lab| {
        let view = lab.connections()[0];
        (view.judged_now, view.sides[1].unwrap().0)
    };
    let rule = Verdict::Accept(Basis::Rule);
    assert_eq!(shown(&lab), (true, rule));
    lab.group("B", EG);
    assert_eq!(shown(&lab), (false, rule));
    talk.says(&mut lab, 0, "psh,ack", 10, "A> rule, >B revoked");
    assert_eq!(shown(&lab), (true, Verdict::Drop(Reason::Revoked)));
}

/// A cut connection keeps its tuple for ten seconds, and not for the five days of an established one: then the
/// rules count again, also those of the other direction.
#[test]
fn a_cut_connection_leaves_its_tuple_to_the_other_direction_soon() {
    let (mut lab, talk) = established(Setup::of_b(WEB).group("A", "out, in"));
    lab.group("B", EG);
    talk.clone().says(&mut lab, 1, "psh,ack", 10, "B> revoked");
    assert_eq!(lab.connections()[0].expires_in_ms, 10_000);
    lab.wait(9_999);
    talk.clone().says(&mut lab, 1, "psh,ack", 10, "B> revoked");
    lab.wait(1);
    lab.sees("B", "tcp B:80 > A:4000 syn seq=5", "B> rule, >A rule");
    lab.sees(
        "A",
        "tcp A:4000 > B:80 syn,ack seq=9 ack=6",
        "A> reply, >B reply",
    );
}

/// The server that dials back is no valid packet of the old connection: it ends that one all the same.
#[test]
fn a_cut_connection_ends_soon_also_where_only_the_other_side_s_new_one_is_sent() {
    for (syn, fate) in [
        ("tcp B:80 > A:4000 syn seq=5", "B> ct_invalid"),
        ("tcp B:80 > A:4000 rst seq=5", "B> ct_invalid"),
    ] {
        let (mut lab, _) = established(Setup::of_b(WEB).group("A", "out, in"));
        lab.sees("B", syn, fate);
        assert!(lab.connections()[0].expires_in_ms > 10_000, "it is allowed");
        lab.group("B", EG);
        lab.sees("B", syn, fate);
        assert_eq!(lab.connections()[0].expires_in_ms, 10_000);
        lab.wait(5_000);
        lab.sees("B", syn, fate);
        lab.wait(5_000);
        lab.sees("B", "tcp B:80 > A:4000 syn seq=5", "B> rule, >A rule");
    }
}

/// Its rule returns in time: it has its whole time again.
#[test]
fn a_cut_connection_whose_rule_returns_in_time_lives_on() {
    let (mut lab, mut talk) = established(Setup::of_b(WEB));
    lab.group("B", EG);
    talk.clone()
        .says(&mut lab, 0, "psh,ack", 10, "A> rule, >B revoked");
    lab.wait(9_000);
    lab.group("B", WEB);
    talk.passes(&mut lab, 0, "psh,ack", 10);
    talk.passes(&mut lab, 1, "ack", 0);
    assert_eq!(lab.connections()[0].expires_in_ms, 432_000_000);
}

/// X01 in IPv6, which is not recorded but cut all the same.
#[test]
fn an_ipv6_connection_is_cut_and_resumes_likewise() {
    let mut lab = Lab::new(Setup::of_b(WEB));
    let mut talk = Talk::opens(("A6", 4000), ("B6", 80), &mut lab);
    lab.group("B", EG);
    talk.clone().says(&mut lab, 1, "psh,ack", 100, "B> revoked");
    lab.group("B", WEB);
    talk.passes(&mut lab, 1, "psh,ack", 100);
    assert_eq!(lab.refused("B", Reason::Revoked), 1);
    lab.logs("");
}

/// X04.
#[test]
fn a_group_detached_and_attached_again_stops_and_resumes_the_same_connection() {
    let (mut lab, mut talk) = established(Setup::new().group("G", WEB).groups_of("B", &["B", "G"]));
    lab.reload(|setup| setup.groups_of("B", &["B"]));
    talk.clone()
        .says(&mut lab, 0, "psh,ack", 10, "A> rule, >B revoked");
    lab.reload(|setup| setup.groups_of("B", &["B", "G"]));
    talk.passes(&mut lab, 0, "psh,ack", 10);
}

/// X05.
#[test]
fn a_sender_who_may_send_no_more_is_cut_at_its_own_port() {
    let (mut lab, talk) = established(Setup::of_b(WEB));
    lab.group("A", NONE);
    talk.clone().says(&mut lab, 0, "psh,ack", 10, "A> revoked");
    talk.clone()
        .says(&mut lab, 1, "psh,ack", 10, "B> reply, >A revoked");
    assert_eq!(lab.refused("A", Reason::Revoked), 2);
    lab.logs("A> revoked 1, B> reply 1, >A revoked 1");
}

/// X06.
#[test]
fn a_narrower_prefix_cuts_those_outside_alone() {
    let mut lab = Lab::new(Setup::of_b("in tcp 80 from 10.0.0.0/24"));
    let mut a = Talk::opens(("A", 4000), ("B", 80), &mut lab);
    let mut c = Talk::opens(("C", 4000), ("B", 80), &mut lab);
    lab.group("B", "in tcp 80 from 10.0.0.12/32");
    a.says(&mut lab, 0, "psh,ack", 10, "A> rule, >B revoked");
    c.passes(&mut lab, 0, "psh,ack", 10);
    c.passes(&mut lab, 1, "psh,ack", 10);
}

/// X07.
#[test]
fn a_rule_exchanged_for_another_that_allows_it_too_loses_no_packet() {
    let (mut lab, mut talk) = established(Setup::of_b(WEB));
    lab.group("B", "out, in tcp 1-1000");
    talk.passes(&mut lab, 0, "psh,ack", 10);
    talk.passes(&mut lab, 1, "psh,ack", 10);
    lab.logs("A> rule 1, >B rule 1, B> reply 1, >A reply 1");
}

/// X09.
#[test]
fn a_thousand_changes_elsewhere_disturb_nothing() {
    let mut lab = Lab::new(Setup::of_b("out, in icmp"));
    for change in 0..1000 {
        lab.group("C", if change % 2 == 0 { WEB } else { EG });
        if change % 20 == 0 {
            lab.sees("A", "icmp A > B echo-request id=1", "A> rule, >B rule");
            lab.sees("B", "icmp B > A echo-reply id=1", "B> reply, >A reply");
        }
    }
    lab.logs("A> rule 50, >B rule 50, B> reply 50, >A reply 50");
}

/// X11.
#[test]
fn port_security_turned_off_and_on_takes_effect_at_once() {
    let mut lab = Lab::new(Setup::of_b("in udp 9"));
    let spoofed = "udp 10.0.0.99:1 > B:9";
    lab.sees("A", spoofed, "A> spoof_ip");
    let secured = lab.setup.clone();
    lab.reload(|setup| setup.unfiltered("A"));
    lab.sees("A", spoofed, "A> unfiltered, >B rule");
    lab.reload(|_| secured);
    lab.sees("A", spoofed, "A> spoof_ip");
    lab.logs("A> spoof_ip 2, A> unfiltered 1, >B rule 1");
}

/// X12.
#[test]
fn another_fixed_address_ends_the_old_identity_at_once() {
    let setup = Setup::of_b("in udp 9 from group RG")
        .group("RG", NONE)
        .groups_of("A", &["A", "RG"]);
    let mut lab = Lab::new(setup);
    lab.sees("A", "udp 10.0.0.10:1 > B:9", "A> rule, >B rule");
    lab.reload(|setup| setup.port("A", |port| port.spec.fixed_ips[0] = [10, 0, 0, 20].into()));
    lab.sees("A", "udp 10.0.0.10:1 > B:9", "A> spoof_ip");
    lab.sees("A", "udp 10.0.0.20:1 > B:9", "A> rule, >B rule");
}

/// An address that was taken away and given back keeps no connection from before.
#[test]
fn an_address_given_back_begins_anew() {
    let (mut lab, mut talk) = established(Setup::of_b(WEB));
    lab.reload(|setup| setup.port("A", |port| port.spec.fixed_ips[0] = [10, 0, 0, 20].into()));
    lab.tick(1_000);
    assert_eq!(lab.connections().len(), 0);
    lab.reload(|setup| setup.port("A", |port| port.spec.fixed_ips[0] = [10, 0, 0, 10].into()));
    talk.says(&mut lab, 1, "psh,ack", 10, "B> rule, >A default_deny");
}

/// X14 and its contrast.
#[test]
fn persisting_connections_are_those_that_were_answered() {
    let persist = |setup: Setup| setup.set(|config| config.persist_established = true);
    let (mut lab, mut talk) = established(persist(Setup::of_b(WEB)));
    lab.group("B", EG);
    talk.passes(&mut lab, 0, "psh,ack", 10);
    talk.passes(&mut lab, 1, "psh,ack", 10);
    lab.sees("A", "tcp A:4001 > B:80", "A> rule, >B default_deny");

    let mut lab = Lab::new(persist(
        Setup::of_b("in udp 9").stateless("A").stateless("B"),
    ));
    lab.sees("A", "udp A:1 > B:9", "A> rule, >B rule");
    lab.group("B", NONE);
    lab.sees("A", "udp A:1 > B:9", "A> rule, >B default_deny");
}

/// X15.
#[test]
fn a_configuration_that_contradicts_itself_is_refused_whole() {
    let (mut lab, mut talk) = established(Setup::of_b(WEB));
    let broken = lab
        .setup
        .clone()
        .group("B", "in4 tcp from list NOWHERE")
        .config;
    assert!(Prepared::new(broken, &mut RuleTable::default()).is_err());
    talk.passes(&mut lab, 0, "psh,ack", 10);
}

/// X19.
#[test]
fn of_two_members_the_one_that_leaves_is_cut() {
    let setup = Setup::of_b("in tcp 80 from group RG").group("RG", NONE);
    let mut lab = Lab::new(
        setup
            .groups_of("A", &["A", "RG"])
            .groups_of("C", &["C", "RG"]),
    );
    let mut a = Talk::opens(("A", 4000), ("B", 80), &mut lab);
    let mut c = Talk::opens(("C", 4000), ("B", 80), &mut lab);
    lab.reload(|setup| setup.groups_of("A", &["A"]));
    a.says(&mut lab, 0, "psh,ack", 10, "A> rule, >B revoked");
    c.passes(&mut lab, 0, "psh,ack", 10);
}

/// O04.
#[test]
fn a_verdict_that_changes_within_a_window_makes_two_records_that_add_up() {
    let mut lab = Lab::new(Setup::of_b("in udp 9"));
    for sent in 0..30 {
        if sent == 20 {
            lab.group("B", NONE);
        }
        lab.send("A", "udp A:1 > B:9");
    }
    lab.logs("A> rule 30, >B rule 20, >B revoked 10");
}

/// Numbers of policies are 16 bits: what was judged 65,535 changes ago must not look judged today.
#[test]
fn a_policy_number_that_wraps_brings_no_old_judgement_back() {
    let (mut lab, mut talk) = established(Setup::of_b(WEB).unplug("C").unplug("U"));
    let start = lab.switch.policy_epoch();
    // Without groups, so that each of the many changes costs little.
    lab.reload(|setup| setup.groups_of("A", &[]).groups_of("B", &[]));
    let config = lab.setup.config.clone();
    let now = lab.now;
    for _ in 0..u32::from(u16::MAX) - 1 {
        let prepared = Prepared::new(config.clone(), &mut lab.rules).unwrap();
        lab.switch.apply(now, prepared).unwrap();
    }
    assert_eq!(lab.switch.policy_epoch(), start, "once around");
    talk.says(&mut lab, 0, "psh,ack", 10, "A> revoked");
    lab.logs("A> revoked 1");
}

/// A port without port security is judged where it filters: nowhere. Its records say so.
#[test]
fn a_connection_of_a_port_that_filters_no_more_goes_on_unfiltered() {
    let (mut lab, mut talk) = established(Setup::of_b(WEB));
    lab.reload(|setup| setup.unfiltered("B"));
    talk.says(&mut lab, 0, "psh,ack", 10, "A> rule, >B unfiltered");
    talk.says(&mut lab, 1, "psh,ack", 10, "B> unfiltered, >A reply");
    assert_eq!(lab.of("B").skipped.both(Direction::Egress), 0);
    lab.logs("A> rule 1, >B unfiltered 1, B> unfiltered 1, >A reply 1");
}

#[test]
fn a_reordered_file_with_another_subnet_first_moves_nobody() {
    let mut lab = Lab::new(Setup::of_b("in udp 9"));
    let before = ["A", "B"].map(|name| lab.number(name));
    lab.sees("A", "udp A:1 > B:9", "A> rule, >B rule");
    let elsewhere = |port: &mut vswitch::switch::PortConfig| {
        port.subnet = uuid::Uuid::from_u128(9);
        port.vpc = uuid::Uuid::from_u128(9);
    };
    lab.reload(|setup| {
        let setup = setup.guest("N", 50).port("N", elsewhere);
        setup.set(|config| config.ports.reverse())
    });
    assert_eq!(["A", "B"].map(|name| lab.number(name)), before);
    lab.sees("B", "udp B:9 > A:1", "B> reply, >A reply");
}

#[test]
fn the_mac_of_a_shared_address_pair_follows_who_sent_with_it_and_has_an_heir() {
    let mac: packet::Mac = "00:00:5e:00:01:01".parse().unwrap();
    let shares = |port: &mut vswitch::switch::PortConfig| {
        let prefix = "10.0.0.99/32".parse().unwrap();
        let pair = secgroup::Pair {
            prefix,
            mac: Some(mac),
        };
        port.spec.allowed_address_pairs.push(pair);
    };
    let setup = Setup::of_b("out, in udp 9")
        .group("A", "out, in")
        .group("C", "out, in")
        .port("A", shares)
        .port("C", shares);
    let mut lab = Lab::new(setup);
    let announce = "udp 10.0.0.99:1 > B:9 from 00:00:5e:00:01:01";
    let ask = |lab: &mut Lab| {
        lab.send("B", "udp B:7 > 10.0.0.99:9 to 00:00:5e:00:01:01")
            .got
    };
    for owner in ["C", "A", "C"] {
        lab.send(owner, announce);
        assert_eq!(ask(&mut lab), [owner]);
    }
    lab.reload(|setup| setup.unplug("C"));
    assert_eq!(ask(&mut lab), ["A"]);
    // A port that keeps its place but not its pair has an heir too.
    lab.reload(|setup| setup.guest("D", 13).group("D", "out, in").port("D", shares));
    let forgets = |port: &mut vswitch::switch::PortConfig| port.spec.allowed_address_pairs.clear();
    lab.reload(|setup| setup.port("A", forgets));
    assert_eq!(ask(&mut lab), ["D"]);
    // The last one leaves nothing behind: the MAC is unknown again.
    lab.reload(|setup| setup.unplug("D"));
    assert_eq!(ask(&mut lab), ["U"]);
}

#[test]
fn a_connection_cut_before_persistence_came_resumes_when_its_rule_returns() {
    let (mut lab, mut talk) = established(Setup::of_b(WEB));
    lab.group("B", EG);
    talk.clone()
        .says(&mut lab, 0, "psh,ack", 10, "A> rule, >B revoked");
    lab.reload(|setup| setup.set(|config| config.persist_established = true));
    talk.clone().says(&mut lab, 1, "psh,ack", 10, "B> revoked");
    lab.group("B", WEB);
    talk.passes(&mut lab, 0, "psh,ack", 10);
}
