//! P: what a guest may claim to be.

use crate::laboratory::Lab;
use crate::setup::{NONE, OPEN, Setup, mac};
use flowlog::NotRecorded;
use packet::Reason;
use secgroup::Pair;

fn lab() -> Lab {
    Lab::new(Setup::of_b(OPEN))
}

const M2: &str = "from fa:16:3e:00:00:77";

/// P01, P02, P03.
#[test]
fn a_foreign_mac_or_address_is_one_refusal_at_the_sender() {
    let mut lab = lab();
    lab.all_see(&[
        ("A", &format!("udp A:1 > B:9 {M2}"), "A> spoof_mac"),
        ("A", "udp 10.0.0.99:1 > B:9", "A> spoof_ip"),
        ("A", "udp 10.0.0.11:1 > C:9", "A> spoof_ip"),
        ("A", &format!("udp 10.0.0.99:2 > B:9 {M2}"), "A> spoof_mac"),
        ("A", "udp [2001:db8::99]:1 > B6:9", "A> spoof_ip"),
    ]);
    let known: Vec<packet::Mac> = lab.switch.fdb().map(|(_, mac, _)| mac).collect();
    assert!(
        !known.contains(&mac(0x77)),
        "a refused frame teaches nothing"
    );
    lab.logs("A> spoof_mac 2, A> spoof_ip 2");
}

/// P04.
#[test]
fn without_port_security_every_source_passes() {
    let mut lab = Lab::new(Setup::of_b(OPEN).unfiltered("A"));
    for text in [
        format!("udp A:1 > B:9 {M2}"),
        "udp 10.0.0.99:1 > B:9".into(),
        format!("udp 10.0.0.99:2 > B:9 {M2}"),
    ] {
        lab.sees("A", &text, "A> unfiltered, >B rule");
    }
    lab.logs("A> unfiltered 3, >B rule 3");
}

/// P05.
#[test]
fn asking_for_an_address_excuses_no_foreign_source() {
    let mut lab = lab();
    lab.sees("A", "udp 10.0.0.99:68 > 255.255.255.255:67", "A> spoof_ip");
    lab.sees("A", "udp 0.0.0.0:9 > B:9", "A> spoof_ip");
}

/// P06, P07.
#[test]
fn mac_and_address_are_couples() {
    let pair = |prefix: &str, mac| Pair {
        prefix: prefix.parse().unwrap(),
        mac,
    };
    let pairs = vec![
        pair("10.0.0.50/32", Some(mac(0x77))),
        pair("10.0.0.60/32", None),
    ];
    let mut lab =
        Lab::new(Setup::of_b(OPEN).port("A", |port| port.spec.allowed_address_pairs = pairs));
    lab.all_see(&[
        ("A", "udp A:1 > B:9", "A> rule, >B rule"),
        (
            "A",
            &format!("udp 10.0.0.50:1 > B:9 {M2}"),
            "A> rule, >B rule",
        ),
        ("A", "udp 10.0.0.50:1 > B:9", "A> spoof_ip"),
        ("A", &format!("udp A:1 > B:9 {M2}"), "A> spoof_ip"),
        ("A", "udp 10.0.0.70:1 > B:9", "A> spoof_ip"),
        (
            "A",
            "udp 10.0.0.50:1 > B:9 from fa:16:3e:00:00:78",
            "A> spoof_mac",
        ),
        ("A", "udp 10.0.0.60:1 > B:9", "A> rule, >B rule"),
        // The second MAC is known, so what goes to it arrives.
        (
            "B",
            "udp B:9 > 10.0.0.50:1 to fa:16:3e:00:00:77",
            "B> reply, >A reply",
        ),
    ]);
}

/// P08, P09, P14.
#[test]
fn a_pair_may_be_a_prefix_of_its_family() {
    let with = |prefix: &str| {
        let pair = Pair {
            prefix: prefix.parse().unwrap(),
            mac: None,
        };
        Lab::new(Setup::of_b(OPEN).port("A", |port| port.spec.allowed_address_pairs.push(pair)))
    };
    let mut lab = with("10.1.0.0/24");
    lab.sees("A", "udp 10.1.0.255:1 > B:9", "A> rule, >B rule");
    lab.sees("A", "udp 10.1.1.0:1 > B:9", "A> spoof_ip");
    lab.sees(
        "A",
        "arp who-has 10.0.0.11 tell 10.1.0.7 to B.mac",
        "A> essential, >B essential",
    );
    let mut lab = with("0.0.0.0/0");
    lab.sees("A", "udp 198.51.100.1:1 > B:9", "A> rule, >B rule");
    lab.sees("A", "udp [2001:db8:7::1]:1 > B6:9", "A> spoof_ip");
}

/// P10, P11, P12, P13, P17.
#[test]
fn arp_speaks_for_its_own_addresses_alone() {
    let mut lab = Lab::new(Setup::new().group("A", NONE).group("B", NONE));
    let essential = "A> essential, >B essential";
    lab.all_see(&[
        (
            "A",
            "arp who-has 10.0.0.11 tell 10.0.0.10 to B.mac",
            essential,
        ),
        (
            "A",
            "arp reply 10.0.0.10 is-at fa:16:3e:00:00:0a to B.mac",
            essential,
        ),
        (
            "A",
            "arp reply 10.0.0.1 is-at fa:16:3e:00:00:0a to B.mac",
            "A> spoof_arp",
        ),
        (
            "A",
            "arp who-has 10.0.0.12 tell 10.0.0.11 to B.mac",
            "A> spoof_arp",
        ),
        (
            "A",
            "arp reply 10.0.0.10 is-at fa:16:3e:00:00:77 to B.mac",
            "A> spoof_arp",
        ),
        (
            "A",
            "arp who-has 10.0.0.10 tell 0.0.0.0 to B.mac",
            essential,
        ),
        (
            "A",
            "arp who-has 10.0.0.11 tell 0.0.0.0 to B.mac",
            "A> spoof_arp",
        ),
        ("A", "rarp op=3 0.0.0.0 > 0.0.0.0 to B.mac", essential),
        (
            "A",
            "rarp op=3 0.0.0.0 > 0.0.0.0 to B.mac from fa:16:3e:00:00:77",
            "A> spoof_mac",
        ),
    ]);
    assert_eq!(lab.not_recorded("A", NotRecorded::Arp), 9);
    lab.logs("");
}

/// P22.
#[test]
fn a_trusted_port_may_say_any_arp() {
    let mut lab = lab();
    lab.sees(
        "U",
        "arp reply 10.0.0.99 is-at fa:16:3e:00:00:77 to B.mac",
        "U> unfiltered, >B essential",
    );
}

/// P18, V12.
#[test]
fn a_source_mac_that_no_interface_can_have_is_refused() {
    let mut lab = lab();
    for source in [
        "ff:ff:ff:ff:ff:ff",
        "01:00:5e:00:00:01",
        "00:00:00:00:00:00",
    ] {
        lab.sees("A", &format!("udp A:1 > B:9 from {source}"), "A> spoof_mac");
        lab.sees(
            "U",
            &format!("udp X:1 > B:9 from {source}"),
            "U> unfiltered, >B spoof_mac",
        );
    }
    let learned = lab
        .switch
        .fdb()
        .filter(|(_, _, place)| place.heard_ms.is_some())
        .count();
    assert_eq!(learned, 0, "an illegal source is not learned");
}

/// P19, P20.
#[test]
fn a_strict_receiver_takes_what_is_for_its_own_addresses() {
    let mut lab = lab();
    let foreign = "udp A:1 > 10.0.0.77:9 to B.mac";
    lab.sees("A", foreign, "A> rule, >B rule");
    lab.reload(|setup| setup.port("B", |port| port.spec.strict_rx = true));
    lab.sees(
        "A",
        "udp A:2 > 10.0.0.77:9 to B.mac",
        "A> rule, >B spoof_ip",
    );
    lab.sees("A", foreign, "A> rule, >B spoof_ip");
    lab.sees("A", "udp A:2 > B:9", "A> rule, >B rule");
    lab.logs("A> rule 4, >B rule 2, >B spoof_ip 2");
}

/// P26.
#[test]
fn spoofed_packets_make_no_state_and_one_record_for_each_tuple() {
    let mut lab = Lab::new(Setup::of_b("out, in udp"));
    for source in 0..200 {
        lab.sees("A", &format!("tcp 10.0.9.{source}:1 > B:9"), "A> spoof_ip");
        lab.sees("C", "udp C:1 > B:9", "C> rule, >B rule");
    }
    assert_eq!(lab.connections().len(), 1);
    assert_eq!(lab.refused("A", Reason::SpoofIp), 200);
    lab.logs("A> spoof_ip 200, C> rule 200, >B rule 200");
}

/// A bond over two ports whose second side sends with the MAC of the first, in turn.
#[test]
fn traffic_follows_the_mac_of_a_sibling_that_a_pair_names_there_and_back() {
    let pair = Pair {
        prefix: "10.0.0.10/32".parse().unwrap(),
        mac: Some(mac(10)),
    };
    let setup = Setup::of_b("out, in").group("A", "out, in");
    let mut lab = Lab::new(setup.port("B", |port| port.spec.allowed_address_pairs.push(pair)));
    let sent = |lab: &mut Lab| {
        let to_bond = "tcp C:4000 > 10.0.0.10:80 syn seq=1 to fa:16:3e:00:00:0a";
        lab.send("C", to_bond).fate
    };
    let speaks = "arp who-has 10.0.0.10 tell 10.0.0.10 from fa:16:3e:00:00:0a";
    let to_all = "B> essential, >A essential, >C essential, >U unfiltered";
    assert_eq!(sent(&mut lab), "C> rule, >A rule");
    lab.sees("A", "udp A:7 > X:9", "A> rule, >U unfiltered");
    lab.sees("U", "udp X:9 > A:7", "U> unfiltered, >A reply");
    // Failover: the other port speaks for the MAC, and has its traffic.
    lab.sees("B", speaks, to_all);
    assert_eq!(sent(&mut lab), "C> rule, >B rule");
    // And back, by a packet of a connection that stands.
    lab.sees("A", "udp A:7 > X:9", "A> rule, >U unfiltered");
    assert_eq!(sent(&mut lab), "C> rule, >A rule");
    // What is refused takes nothing over.
    let foreign = "udp B:7 > C:9 from fa:16:3e:00:00:0a";
    lab.sees("B", foreign, "B> spoof_ip");
    assert_eq!(sent(&mut lab), "C> rule, >A rule");
    // Without the pair the MAC is its owner's again, whichever port had it.
    lab.sees("B", speaks, to_all);
    lab.reload(|setup| setup.port("B", |port| port.spec.allowed_address_pairs.clear()));
    assert_eq!(sent(&mut lab), "C> rule, >A rule");
    lab.sees("B", speaks, "B> spoof_mac");
}

/// Link-local senders (mDNS, VRRPv3) are members as much as their other addresses are.
#[test]
fn a_members_link_local_address_counts_for_rules_that_name_its_group() {
    let setup = Setup::of_b("in6 udp 5353 from group G, in6 112 from group G");
    let setup = setup.group("G", "out").groups_of("A", &["G"]);
    let mut lab = Lab::new(setup);
    let from = |host: &str, rest: &str| rest.replace("LL", &format!("fe80::f816:3eff:fe00:{host}"));
    let mdns = "udp [LL]:5353 > [ff02::fb]:5353 ttl=255";
    lab.sees(
        "A",
        &from("a", mdns),
        "A> rule, >B rule, >C default_deny, >U unfiltered",
    );
    lab.sees(
        "C",
        &from("c", mdns),
        "C> rule, >A default_deny, >B default_deny, >U unfiltered",
    );
    let vrrp = "vrrp LL > ff02::12 ttl=255";
    lab.sees(
        "A",
        &from("a", vrrp),
        "A> rule, >B rule, >C default_deny, >U unfiltered",
    );
    lab.sees(
        "C",
        &from("c", vrrp),
        "C> rule, >A default_deny, >B default_deny, >U unfiltered",
    );
}
