//! Q: situations that other switches' tests, and clouds' documents, speak of beyond the cases.

use crate::laboratory::Lab;
use crate::setup::{EG, NONE, OPEN, Setup, mac};
use crate::talk::Talk;
use packet::Reason;
use secgroup::Pair;
use secgroup::conntrack::State;

fn pair(prefix: &str, mac: Option<packet::Mac>) -> Pair {
    Pair {
        prefix: prefix.parse().unwrap(),
        mac,
    }
}

/// AWS: responses leave regardless of the outbound rules.
#[test]
fn a_server_without_any_egress_rule_answers_and_asks_nothing() {
    let mut lab = Lab::new(Setup::of_b("in tcp 80, in udp 53, in icmp"));
    let mut talk = Talk::opens(("A", 4000), ("B", 80), &mut lab);
    talk.passes(&mut lab, 1, "psh,ack", 100);
    lab.all_see(&[
        ("A", "udp A:1 > B:53", "A> rule, >B rule"),
        ("B", "udp B:53 > A:1", "B> reply, >A reply"),
        ("A", "icmp A > B echo-request id=1", "A> rule, >B rule"),
        ("B", "icmp B > A echo-reply id=1", "B> reply, >A reply"),
        ("B", "icmp B > A echo-request id=1", "B> default_deny"),
        ("B", "udp B:53 > A:2", "B> default_deny"),
    ]);
}

/// A stateless filter that lets source port 53 in is open; a stateful one is not.
#[test]
fn an_answer_counts_only_from_whom_and_where_it_was_asked() {
    let mut lab = Lab::new(Setup::of_b(OPEN).group("C", OPEN));
    lab.all_see(&[
        ("B", "udp B:53 > A:4000", "B> rule, >A default_deny"),
        ("A", "udp A:4000 > B:53", "A> rule, >B rule"),
        ("B", "udp B:54 > A:4000", "B> rule, >A default_deny"),
        ("B", "udp B:53 > A:4001", "B> rule, >A default_deny"),
        ("C", "udp C:53 > A:4000", "C> rule, >A default_deny"),
        ("B", "tcp B:53 > A:4000 syn", "B> rule, >A default_deny"),
        ("B", "udp B:53 > A:4000", "B> reply, >A reply"),
    ]);
}

/// AWS: a rule for IPv4 says nothing of IPv6, also where it names a group.
#[test]
fn a_rule_for_one_family_of_a_remote_group_matches_its_members_in_that_alone() {
    let setup = Setup::of_b("out, in4 udp from group RG")
        .group("RG", EG)
        .groups_of("A", &["RG"]);
    let mut lab = Lab::new(setup);
    lab.sees("A", "udp A:1 > B:9", "A> rule, >B rule");
    lab.sees("A", "udp A6:1 > B6:9", "A> rule, >B default_deny");
}

/// A closed port answers by a reset; the next attempt from the same port is followed at once.
#[test]
fn an_attempt_that_was_reset_can_be_made_again_from_the_same_port() {
    let mut lab = Lab::new(Setup::of_b("in tcp 80"));
    for seq in [1000, 2000, 3000] {
        lab.all_see(&[
            (
                "A",
                &format!("tcp A:4000 > B:80 syn seq={seq}"),
                "A> rule, >B rule",
            ),
            (
                "B",
                &format!("tcp B:80 > A:4000 rst,ack seq=0 ack={}", seq + 1),
                "B> reply, >A reply",
            ),
        ]);
        assert_eq!(lab.connections()[0].state, State::Close);
    }
}

/// RFC 7413: the first SYN carries data.
#[test]
fn a_syn_with_data_and_congestion_flags_opens_like_any_other() {
    let mut lab = Lab::new(Setup::of_b("in tcp 80"));
    lab.all_see(&[
        (
            "A",
            "tcp A:4000 > B:80 syn,ece,cwr seq=1000 len=100",
            "A> rule, >B rule",
        ),
        (
            "B",
            "tcp B:80 > A:4000 syn,ece,ack seq=5000 ack=1101",
            "B> reply, >A reply",
        ),
        (
            "A",
            "tcp A:4000 > B:80 ack seq=1101 ack=5001",
            "A> rule, >B rule",
        ),
    ]);
    assert_eq!(lab.connections()[0].state, State::Established);
}

/// RFC 9293, section 3.8.4: a keep-alive repeats the byte before the window.
#[test]
fn a_keep_alive_and_a_probe_of_a_closed_window_are_valid() {
    let mut lab = Lab::new(Setup::of_b("in tcp 80"));
    let talk = Talk::opens(("A", 4000), ("B", 80), &mut lab);
    lab.all_see(&[
        (
            "A",
            "tcp A:4000 > B:80 ack seq=1000 ack=500001",
            "A> rule, >B rule",
        ),
        (
            "B",
            "tcp B:80 > A:4000 ack seq=500001 ack=1001 win=0",
            "B> reply, >A reply",
        ),
        (
            "A",
            "tcp A:4000 > B:80 ack seq=1000 ack=500001 len=1",
            "A> rule, >B rule",
        ),
    ]);
    let (from, text) = talk.segment(0, "psh,ack");
    lab.sees(&from, &format!("{text} len=1"), "A> rule, >B rule");
}

/// RFC 9293, section 3.5: both ends open at once, each with a rule of its own.
#[test]
fn two_guests_that_open_at_once_have_one_connection() {
    let mut lab = Lab::new(Setup::of_b("out, in tcp").group("A", "out, in tcp"));
    lab.all_see(&[
        ("A", "tcp A:1 > B:2 syn seq=1000", "A> rule, >B rule"),
        ("B", "tcp B:2 > A:1 syn seq=5000", "B> reply, >A reply"),
        (
            "A",
            "tcp A:1 > B:2 syn,ack seq=1000 ack=5001",
            "A> rule, >B rule",
        ),
        (
            "B",
            "tcp B:2 > A:1 syn,ack seq=5000 ack=1001",
            "B> reply, >A reply",
        ),
        (
            "A",
            "tcp A:1 > B:2 ack seq=1001 ack=5001",
            "A> rule, >B rule",
        ),
    ]);
    assert_eq!(lab.connections().len(), 1);
    assert_eq!(lab.connections()[0].state, State::Established);
}

/// Several guests may have the same identifier towards one server, and one guest several pings.
#[test]
fn pings_with_one_identifier_are_kept_apart_by_guest() {
    let mut lab = Lab::new(Setup::of_b("in icmp"));
    lab.all_see(&[
        ("A", "icmp A > B echo-request id=7", "A> rule, >B rule"),
        ("C", "icmp C > B echo-request id=7", "C> rule, >B rule"),
        ("A", "icmp A > B echo-request id=8", "A> rule, >B rule"),
        ("B", "icmp B > A echo-reply id=8", "B> reply, >A reply"),
        ("B", "icmp B > C echo-reply id=7", "B> reply, >C reply"),
        ("B", "icmp B > C echo-reply id=8", "B> ct_invalid"),
    ]);
    assert_eq!(lab.connections().len(), 3);
}

/// The last group taken off a port cuts everything but the essentials.
#[test]
fn a_port_whose_last_group_goes_is_cut_off_and_still_found() {
    let mut lab = Lab::new(Setup::of_b("out, in tcp 80"));
    let talk = Talk::opens(("A", 4000), ("B", 80), &mut lab);
    lab.reload(|setup| setup.groups_of("B", &[]));
    let (from, text) = talk.segment(0, "ack");
    lab.sees(&from, &text, "A> rule, >B revoked");
    let (from, text) = talk.segment(1, "ack");
    lab.sees(&from, &text, "B> revoked");
    lab.all_see(&[
        (
            "A",
            "arp who-has 10.0.0.11 tell 10.0.0.10 to B.mac",
            "A> essential, >B essential",
        ),
        ("B", "udp B:68 > 10.0.0.1:67", "B> essential, >U unfiltered"),
        ("B", "udp B:1 > A:9", "B> default_deny"),
    ]);
}

/// A range that is narrowed cuts what lies outside now and nothing else; a wider protocol cuts nothing.
#[test]
fn a_rule_that_changes_its_ports_or_protocol_cuts_what_it_no_longer_covers() {
    let mut lab = Lab::new(Setup::of_b("in tcp 80-90"));
    let low = Talk::opens(("A", 4000), ("B", 80), &mut lab);
    let mut high = Talk::opens(("A", 4001), ("B", 90), &mut lab);
    lab.group("B", "in tcp 85-90");
    let (from, text) = low.segment(0, "ack");
    lab.sees(&from, &text, "A> rule, >B revoked");
    high.passes(&mut lab, 0, "ack", 0);
    lab.group("B", "in any");
    high.passes(&mut lab, 1, "psh,ack", 10);
    lab.sees(&from, &text, "A> rule, >B rule");
}

/// A change undone before anybody sends is no change.
#[test]
fn a_rule_gone_and_back_between_two_packets_is_not_noticed() {
    let mut lab = Lab::new(Setup::of_b("in tcp 80"));
    let mut talk = Talk::opens(("A", 4000), ("B", 80), &mut lab);
    lab.group("B", NONE);
    lab.group("B", "in tcp 80");
    talk.passes(&mut lab, 1, "psh,ack", 10);
    talk.passes(&mut lab, 0, "ack", 0);
    lab.logs("A> rule 3, >B rule 3, B> reply 2, >A reply 2");
}

/// `persist_established` taken back cuts at the next packet.
#[test]
fn what_persisted_is_cut_when_persistence_ends() {
    let persists = |setup: Setup, on| setup.set(|config| config.persist_established = on);
    let mut lab = Lab::new(persists(Setup::of_b("in tcp 80, in udp"), true));
    let mut talk = Talk::opens(("A", 4000), ("B", 80), &mut lab);
    lab.sees("A", "udp A:1 > B:9", "A> rule, >B rule");
    lab.group("B", NONE);
    talk.passes(&mut lab, 0, "psh,ack", 10);
    talk.passes(&mut lab, 1, "ack", 0);
    lab.sees("A", "udp A:1 > B:9", "A> rule, >B revoked");
    lab.sees("A", "tcp A:4001 > B:80 syn", "A> rule, >B default_deny");
    lab.reload(|setup| persists(setup, false));
    let (from, text) = talk.segment(1, "psh,ack");
    lab.sees(&from, &text, "B> revoked");
}

/// A connection is judged by the rule in force: also the rule that the log names.
#[test]
fn the_log_names_the_rule_that_allows_a_connection_now() {
    let mut lab = Lab::new(Setup::of_b("in tcp 80"));
    let talk = Talk::opens(("A", 4000), ("B", 80), &mut lab);
    let rule = |lab: &mut Lab, talk: &Talk| {
        let (from, text) = talk.segment(0, "ack");
        lab.send(&from, &text).steps[0].ingress.unwrap().rule
    };
    let narrow = rule(&mut lab, &talk);
    lab.group("B", "in tcp");
    let wide = rule(&mut lab, &talk);
    assert_ne!(narrow, wide);
    lab.group("B", "in tcp 80");
    assert_eq!(
        rule(&mut lab, &talk),
        narrow,
        "a rule that comes back has its old number"
    );
}

/// Every ACCEPT that a rule stands behind names it, whatever it is based on.
#[test]
fn an_answer_and_an_error_name_the_rule_of_what_they_answer() {
    let mut lab = Lab::new(Setup::of_b("in udp 9"));
    let asked = lab.send("A", "udp A:1 > B:9");
    let rules = [asked.steps[0].egress, asked.steps[0].ingress].map(|side| side.unwrap().rule);
    assert!(rules.iter().all(|rule| lab.rules.lookup(*rule).is_some()));
    let answer = lab.send("B", "udp B:9 > A:1");
    let told = [answer.steps[0].ingress, answer.steps[0].egress].map(|side| side.unwrap().rule);
    assert_eq!(told, rules);
    let quoted = lab.frame("A", "udp A:1 > B:9");
    let (a, b) = (mac(10), mac(11));
    let error = packet::build::frame(b, a)
        .ip(
            "10.0.0.11".parse::<std::net::Ipv4Addr>().unwrap(),
            "10.0.0.10".parse::<std::net::Ipv4Addr>().unwrap(),
        )
        .icmp(3, 3)
        .quote(&quoted, 28)
        .build();
    let sent = lab.send_frame("B", &error);
    assert_eq!(sent.fate, "B> related, >A related");
    let told = [sent.steps[0].ingress, sent.steps[0].egress].map(|side| side.unwrap().rule);
    assert_eq!(told, rules);
}

/// keepalived: a virtual address with its virtual MAC, advertisements by multicast, and a failover.
#[test]
fn a_virtual_router_moves_its_address_and_clients_follow() {
    let virtual_mac = packet::Mac([0, 0, 0x5e, 0, 1, 7]);
    let vip = || pair("10.0.0.100/32", Some(virtual_mac));
    let with_vip = |setup: Setup, name: &str| {
        setup
            .group(name, "out, in 112, in tcp 80")
            .port(name, |port| port.spec.allowed_address_pairs.push(vip()))
    };
    let setup = with_vip(with_vip(Setup::new(), "A"), "B");
    let mut lab = Lab::new(setup);
    let advert = lab.send("A", "vrrp A > 224.0.0.18 ttl=255");
    assert_eq!(advert.got, ["B", "U"], "{}", advert.fate);
    lab.send(
        "A",
        "arp who-has 10.0.0.100 tell 10.0.0.100 from 00:00:5e:00:01:07",
    );
    let to_vip = "tcp C:4000 > 10.0.0.100:80 syn seq=1 to 00:00:5e:00:01:07";
    lab.sees("C", to_vip, "C> rule, >A rule");
    lab.send(
        "B",
        "arp who-has 10.0.0.100 tell 10.0.0.100 from 00:00:5e:00:01:07",
    );
    lab.sees("C", to_vip, "C> rule, >B rule");
    // What A still says with the address is its own connection's, and nobody takes B's for A's.
    lab.sees(
        "A",
        "tcp 10.0.0.100:80 > C:4000 syn,ack seq=9 ack=2 from 00:00:5e:00:01:07",
        "A> reply, >C reply",
    );
    // The pair is a couple: the address with another MAC is not A's.
    lab.sees("A", "udp 10.0.0.100:1 > B:9", "A> spoof_ip");
    lab.sees("A", "udp A:1 > B:9 from 00:00:5e:00:01:07", "A> spoof_ip");
}

/// IGMP is a protocol like any other: it leaves by the egress rule and is taken by rule alone.
#[test]
fn a_membership_report_passes_by_rule() {
    let mut lab = Lab::new(Setup::of_b("in 2"));
    lab.sees(
        "A",
        "igmp A > 224.0.0.22 ttl=1",
        "A> rule, >B rule, >C default_deny, >U unfiltered",
    );
    lab.group("A", NONE);
    lab.sees("A", "igmp A > 224.0.0.22 ttl=1", "A> default_deny");
}

/// A prefix of global addresses says nothing of link-local ones.
#[test]
fn link_local_addresses_are_matched_as_what_they_are() {
    let mut lab = Lab::new(Setup::of_b("in tcp 80 from 2001:db8::/64"));
    lab.sees("A", "tcp A6:1 > B6:80 syn", "A> rule, >B rule");
    lab.sees(
        "A",
        "tcp [fe80::f816:3eff:fe00:a]:1 > B6:80 syn to B.mac",
        "A> rule, >B default_deny",
    );
    lab.group("B", "in6 tcp 80 from fe80::/10");
    lab.sees(
        "A",
        "tcp [fe80::f816:3eff:fe00:a]:1 > B6:80 syn to B.mac",
        "A> rule, >B rule",
    );
    lab.sees("A", "tcp [fe80::1]:1 > B6:80 syn to B.mac", "A> spoof_ip");
}

/// A tunnel is opened by whoever may send it first; what it carries is not looked into.
#[test]
fn a_tunnel_is_judged_by_its_outside_and_answered_by_its_other_end() {
    let mut lab = Lab::new(Setup::of_b(OPEN));
    for protocol in ["esp", "gre", "ipip", "proto=115"] {
        lab.all_see(&[
            (
                "B",
                &format!("{protocol} B > A len=64"),
                "B> rule, >A default_deny",
            ),
            ("A", &format!("{protocol} A > B len=64"), "A> rule, >B rule"),
            (
                "B",
                &format!("{protocol} B > A len=64"),
                "B> reply, >A reply",
            ),
            (
                "C",
                &format!("{protocol} C > A len=64"),
                "C> rule, >A default_deny",
            ),
        ]);
    }
}

/// An address that moves to another guest takes no connection with it.
#[test]
fn an_address_that_moves_to_another_guest_takes_no_connection_along() {
    let mut lab = Lab::new(Setup::of_b("in tcp 80"));
    let talk = Talk::opens(("A", 4000), ("B", 80), &mut lab);
    lab.reload(|setup| {
        let moved: std::net::IpAddr = [10, 0, 0, 10].into();
        setup
            .port("A", |port| port.spec.fixed_ips.retain(|ip| *ip != moved))
            .port("C", |port| port.spec.fixed_ips.push(moved))
    });
    let (_, reply) = talk.segment(1, "psh,ack");
    let reply = reply.replace("A:4000", "10.0.0.10:4000");
    let sent = lab.send("B", &format!("{reply} to C.mac"));
    assert!(sent.got.is_empty(), "{}", sent.fate);
    let (_, text) = talk.segment(0, "ack");
    let text = text.replace("A:4000", "10.0.0.10:4000");
    lab.sees("A", &text, "A> spoof_ip");
    // The new owner may pick it up by its own rules, as anything in the middle.
    lab.sees("C", &text, "C> rule, >B rule");
}

/// A renewal goes to the server by its address; only the server, or the gateway, answers.
#[test]
fn a_lease_is_renewed_with_the_server_and_with_nobody_else() {
    let mut lab = Lab::new(Setup::of_b(OPEN).group("A", NONE));
    lab.all_see(&[
        ("A", "udp A:68 > 10.0.0.1:67", "A> essential, >U unfiltered"),
        ("U", "udp 10.0.0.1:67 > A:68", "U> unfiltered, >A essential"),
        ("B", "udp B:67 > A:68", "B> dhcp_server"),
    ]);
    assert!(lab.connections().is_empty());
}

/// A server behind the uplink and a guest without port security: what filters nothing still tracks for others.
#[test]
fn a_guest_that_filters_nothing_is_still_the_other_end_of_a_connection() {
    let mut lab = Lab::new(Setup::new().unfiltered("C"));
    lab.all_see(&[
        ("C", "udp C:1 > A:9", "C> unfiltered, >A default_deny"),
        ("A", "udp A:9 > C:1", "A> rule, >C unfiltered"),
        ("C", "udp C:1 > A:9", "C> unfiltered, >A reply"),
        ("A", "udp A:5 > X:53", "A> rule, >U unfiltered"),
        ("U", "udp X:53 > A:5", "U> unfiltered, >A reply"),
        (
            "U",
            "udp 198.51.100.10:53 > A:5",
            "U> unfiltered, >A default_deny",
        ),
    ]);
}

/// A port scan is refused probe by probe, and no kind of probe finds a gap.
#[test]
fn no_kind_of_scan_finds_a_gap() {
    let mut lab = Lab::new(Setup::of_b("in tcp 80"));
    for (flags, fate) in [
        ("syn", "A> rule, >B default_deny"),
        ("ack", "A> rule, >B default_deny"),
        ("none", "A> ct_invalid"),
        ("fin", "A> ct_invalid"),
        ("fin,psh,urg", "A> ct_invalid"),
        ("fin,ack", "A> ct_invalid"),
        ("syn,ack", "A> ct_invalid"),
        ("rst", "A> ct_invalid"),
        ("syn,fin", "A> ct_invalid"),
    ] {
        lab.sees("A", &format!("tcp A:4000 > B:22 {flags}"), fate);
    }
    lab.sees("A", "sctp A:4000 > B:22 init", "A> rule, >B default_deny");
    lab.sees("A", "udp A:4000 > B:22", "A> rule, >B default_deny");
    assert!(lab.connections().is_empty());
    assert_eq!(lab.refused("B", Reason::DefaultDeny), 4);
}
