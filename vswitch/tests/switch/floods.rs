//! B: broadcast, multicast, unknown unicast; H: what ports learn.

use crate::laboratory::Lab;
use crate::setup::{NONE, OPEN, Setup};
use vswitch::switch::AGEING_S;

/// B01, B10 and SPEC section 5.1.
#[test]
fn a_broadcast_is_one_egress_record_and_one_for_each_receiver() {
    let mut lab = Lab::new(Setup::of_b("out, in udp 5000"));
    let fate = "A> rule, >B rule, >C default_deny, >U unfiltered";
    lab.sees("A", "udp A:1 > 255.255.255.255:5000", fate);
    lab.sees("A", "udp A:1 > 10.0.0.255:5000", fate);
    assert!(lab.connections().is_empty());
    lab.logs("A> rule 2, >B rule 2, >C default_deny 2, >U unfiltered 2");

    let many = (20..170).fold(
        Setup::of_b("out, in udp 5000").unplug("C").unplug("U"),
        |setup, host| {
            let name = format!("G{host}");
            let setup = setup.guest(&name, host);
            if host % 2 == 0 {
                setup.groups_of(&name, &["B"])
            } else {
                setup
            }
        },
    );
    let mut lab = Lab::new(many);
    let sent = lab.send("A", "udp A:1 > 255.255.255.255:5000");
    assert_eq!(sent.got.len(), 1 + 75);
    let rows = lab.rows();
    let refused = rows
        .iter()
        .filter(|row| !row.key.verdict.is_accept())
        .count();
    assert_eq!((rows.len(), refused), (1 + 76 + 75, 75));
    assert!(rows.iter().all(|row| row.count.packets == 1));
}

/// B04, B05, B08.
#[test]
fn multicast_is_judged_copy_by_copy_without_state() {
    let mut lab = Lab::new(Setup::of_b("out, in udp 1900").group("C", NONE));
    lab.all_see(&[
        (
            "A",
            "udp A:1 > 239.255.255.250:1900",
            "A> rule, >B rule, >C default_deny, >U unfiltered",
        ),
        ("B", "udp B:1900 > A:1", "B> rule, >A default_deny"),
        ("A", "tcp A:1 > 239.1.1.1:80", "A> malformed"),
        ("A", "tcp A:1 > 255.255.255.255:80", "A> malformed"),
        ("A", "tcp A:1 > 10.0.0.255:80", "A> malformed"),
        ("C", "udp C:1 > 239.1.1.1:9", "C> default_deny"),
    ]);
    assert_eq!(lab.not_recorded("A", flowlog::NotRecorded::Multicast), 2);
    lab.logs("B> rule 1, >A default_deny 1, A> malformed 2");
}

/// B06: only an uplink gets it, with state like any unicast.
#[test]
fn an_unknown_mac_is_looked_for_behind_the_uplink_alone() {
    let mut lab = Lab::new(Setup::of_b(OPEN).group("C", OPEN));
    lab.sees(
        "A",
        "udp A:1 > 10.0.0.99:9 to 02:00:00:00:00:99",
        "A> rule, >U unfiltered",
    );
    lab.sees(
        "U",
        "udp 10.0.0.99:9 > A:1 from 02:00:00:00:00:99",
        "U> unfiltered, >A reply",
    );
    lab.reload(|setup| setup.unplug("U"));
    lab.sees(
        "A",
        "udp A:1 > 10.0.0.99:9 to 02:00:00:00:00:99",
        "A> rule, nobody",
    );
    assert_eq!(lab.of("A").no_port, 1);
    lab.logs("A> rule 2, >U unfiltered 1, U> unfiltered 1, >A reply 1");
}

/// Two ports may have it: both get a copy, and whichever answers is heard.
#[test]
fn an_unknown_mac_is_looked_for_at_every_port_that_may_have_it() {
    let mut lab = Lab::new(Setup::new().unfiltered("C"));
    let asks = "udp A:1 > 10.0.0.99:9 to 02:00:00:00:00:99";
    lab.sees("A", asks, "A> rule, >C unfiltered, >U unfiltered");
    lab.sees("A", asks, "A> rule, >C unfiltered, >U unfiltered");
    lab.sees(
        "C",
        "udp 10.0.0.99:9 > A:1 from 02:00:00:00:00:99",
        "C> unfiltered, >A reply",
    );
    lab.sees("A", asks, "A> rule, >C unfiltered");
    lab.logs("A> rule 3, >C unfiltered 3, >U unfiltered 2, C> unfiltered 1, >A reply 1");
}

/// H03, H04, H06.
#[test]
fn a_port_learns_so_many_macs_and_none_that_belong_to_others() {
    let mut lab = Lab::new(Setup::new().unfiltered("B").unfiltered("C"));
    for mac in 0..16 {
        lab.sees(
            "B",
            &format!("udp B:1 > A:9 from 02:00:00:00:01:{mac:02x}"),
            "B> unfiltered, >A default_deny",
        );
    }
    let behind = |lab: &Lab, name: &str| {
        let number = lab.number(name);
        lab.switch
            .fdb()
            .filter(|(_, _, place)| place.port == number && place.heard_ms.is_some())
            .count()
    };
    assert_eq!(behind(&lab, "B"), 8);
    lab.sees(
        "C",
        "udp C:1 > A:9 from 02:00:00:00:02:01",
        "C> unfiltered, >A default_deny",
    );
    assert_eq!(behind(&lab, "C"), 1, "another port learns");
    lab.sees(
        "B",
        "udp B:1 > A:9 from fa:16:3e:00:00:0a",
        "B> unfiltered, >A spoof_mac",
    );
    lab.sees("C", "udp C:1 > A:9", "C> unfiltered, >A default_deny");
    lab.tick(u64::from(AGEING_S) * 1000 + 1);
    assert_eq!((behind(&lab, "B"), behind(&lab, "C")), (0, 0), "forgotten");
    lab.sees(
        "B",
        "udp B:1 > A:9 from 02:00:00:00:01:0f",
        "B> unfiltered, >A default_deny",
    );
    assert_eq!(behind(&lab, "B"), 1, "there is room again");
}

/// A MAC that was learned becomes a port's own: its former place has room for another.
#[test]
fn a_learned_mac_that_is_configured_elsewhere_leaves_its_place() {
    let mut lab = Lab::new(
        Setup::new()
            .unfiltered("B")
            .port("B", |port| port.max_macs = 1),
    );
    lab.sees(
        "B",
        "udp B:1 > A:9 from fa:16:3e:00:00:0d",
        "B> unfiltered, >A default_deny",
    );
    lab.reload(|setup| setup.guest("D", 13));
    lab.sees(
        "B",
        "udp B:1 > A:9 from 02:00:00:00:01:01",
        "B> unfiltered, >A default_deny",
    );
    let number = lab.number("B");
    assert!(
        lab.switch
            .fdb()
            .any(|(_, mac, place)| mac.0[0] == 2 && place.port == number)
    );
}

/// The asker's MAC has aged out of the forwarding database: its connection has not.
#[test]
fn an_answer_to_a_forgotten_mac_passes_by_its_connection() {
    let mut lab = Lab::new(Setup::of_b("in tcp 80").unfiltered("C"));
    let x = "from 02:00:00:00:00:99";
    lab.sees(
        "U",
        &format!("tcp X:4000 > B:80 syn seq=1000 {x}"),
        "U> unfiltered, >B rule",
    );
    let answer = "tcp B:80 > X:4000 syn,ack seq=9 ack=1001 to 02:00:00:00:00:99";
    assert_eq!(lab.send("B", answer).fate, "B> reply, >U unfiltered");
    lab.send("U", &format!("tcp X:4000 > B:80 ack seq=1001 ack=10 {x}"));
    lab.rows();
    lab.tick(301_000);
    // The MAC is forgotten: the copy for U is the connection's, the one for C no connection's.
    let data = "tcp B:80 > X:4000 psh,ack seq=10 ack=1001 len=10 to 02:00:00:00:00:99";
    let sent = lab.send("B", data);
    assert_eq!(sent.fate, "B> reply, >C unfiltered, >U unfiltered");
    assert_eq!(sent.got, ["C", "U"]);
    lab.logs("B> reply 1, >C unfiltered 1, >U unfiltered 1");
}

/// SPEC section 5.1: ports without port security log ACCEPT. One copy is a connection's; the others would
/// be invalid, without a rule, or without room, were they sent alone.
#[test]
fn a_flooded_copy_is_accepted_by_every_port_without_port_security() {
    let fate = "B> reply, >C unfiltered, >U unfiltered";
    let asks = [
        (
            "tcp X:4000 > B:80 syn seq=1000",
            "tcp B:80 > X:4000 syn,ack seq=9 ack=1001",
        ),
        ("icmp X > B echo-request id=1", "icmp B > X echo-reply id=1"),
        ("udp X:4000 > B:80", "udp B:80 > X:4000"),
        (
            "tcp X6:4000 > B6:80 syn seq=1000",
            "tcp B6:80 > X6:4000 syn,ack seq=9 ack=1001",
        ),
    ];
    for (ask, answer) in asks {
        for full in [false, true] {
            let rules = "in tcp 80, in icmp, in udp, in6 tcp 80";
            // U learns no MAC: what answers X is flooded.
            let setup = Setup::of_b(rules).unfiltered("C");
            let mut lab = Lab::new(setup.port("U", |port| port.max_macs = 0));
            let from_x = "from 02:00:00:00:00:99";
            lab.sees("U", &format!("{ask} {from_x}"), "U> unfiltered, >B rule");
            let limit = full.then_some(0);
            lab.reload(|setup| setup.port("B", |port| port.conntrack_limit = limit));
            let sent = lab.send("B", &format!("{answer} to 02:00:00:00:00:99"));
            assert_eq!(sent.fate, fate, "{answer}");
            assert_eq!(sent.got, ["C", "U"], "{answer}");
            lab.rows();
        }
    }
}

/// Its size is still the receiver's own: what it cannot take is refused there.
#[test]
fn a_flooded_copy_is_refused_by_a_port_without_port_security_for_its_size_alone() {
    let setup = Setup::of_b("in tcp 80").unfiltered("C");
    let setup = setup.port("U", |port| port.max_macs = 0);
    let mut lab = Lab::new(setup.port("C", |port| port.mtu = 576));
    let syn = "tcp X:4000 > B:80 syn seq=1000 from 02:00:00:00:00:99";
    lab.sees("U", syn, "U> unfiltered, >B rule");
    let answer = "tcp B:80 > X:4000 syn,ack seq=9 ack=1001 to 02:00:00:00:00:99";
    lab.sees("B", answer, "B> reply, >C unfiltered, >U unfiltered");
    let long = "tcp B:80 > X:4000 psh,ack seq=10 ack=1001 len=1000 to 02:00:00:00:00:99";
    lab.sees("B", long, "B> reply, >C mtu, >U unfiltered");
    lab.rows();
}

/// The copy that a guest did not answer left an entry in `syn_sent` at the port that it moves to.
#[test]
fn an_established_connection_follows_its_guest_to_a_port_that_got_a_copy_of_its_first_packet() {
    for retries in [1, 2] {
        let mut lab = Lab::new(Setup::new().group("A", OPEN).unfiltered("C"));
        let (from_x, to_x) = ("from 02:00:00:00:00:99", "to 02:00:00:00:00:99");
        for _ in 0..retries {
            let syn = format!("tcp A:4000 > X:80 syn seq=1000 {to_x}");
            lab.sees("A", &syn, "A> rule, >C unfiltered, >U unfiltered");
        }
        let syn_ack = format!("tcp X:80 > A:4000 syn,ack seq=9 ack=1001 {from_x}");
        lab.sees("C", &syn_ack, "C> unfiltered, >A reply");
        let data = |seq: u32| format!("tcp A:4000 > X:80 psh,ack seq={seq} ack=10 len=10 {to_x}");
        lab.sees("A", &data(1001), "A> rule, >C unfiltered");
        // It moves, and is heard at its new place.
        lab.send(
            "U",
            "arp who-has 10.0.0.10 tell 10.0.0.99 from 02:00:00:00:00:99",
        );
        let sent = lab.send("A", &data(1011));
        assert_eq!(
            (sent.fate.as_str(), sent.got),
            ("A> rule, >U unfiltered", vec!["U".to_owned()])
        );
        let answer = format!("tcp X:80 > A:4000 ack seq=10 ack=1021 {from_x}");
        lab.sees("U", &answer, "U> unfiltered, >A reply");
        lab.sees("A", &data(1021), "A> rule, >U unfiltered");
        lab.rows();
    }
}

/// What was asked of one port is still not answered from the middle.
#[test]
fn a_lone_ack_does_not_belong_to_an_unanswered_connection_that_no_flood_opened() {
    let mut lab = Lab::new(Setup::of_b(OPEN));
    lab.sees("A", "tcp A:4000 > B:80 syn seq=1000", "A> rule, >B rule");
    lab.sees("A", "tcp A:4000 > B:80 ack seq=1001 ack=1", "A> ct_invalid");
}

/// What is valid towards nobody is refused where it is sent, as towards a known MAC.
#[test]
fn what_is_invalid_towards_every_receiver_is_refused_at_the_sender() {
    let mut lab = Lab::new(Setup::of_b(OPEN));
    let unknown = "to 02:00:00:00:00:99";
    lab.sees(
        "B",
        &format!("tcp B:80 > X:1 syn,ack {unknown}"),
        "B> ct_invalid",
    );
    lab.sees(
        "B",
        &format!("icmp B > X echo-reply {unknown}"),
        "B> ct_invalid",
    );
    lab.sees(
        "B",
        &format!("tcp B:80 > X:1 syn {unknown}"),
        "B> rule, >U unfiltered",
    );
}
