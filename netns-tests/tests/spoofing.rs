//! A guest that says it is another.

use netns_tests::{Guest, Lab, Plan, rules::any_in};
use packet::{Arp, Mac, build::frame};
use std::{net::Ipv4Addr, time::Duration};

const SHORT: Duration = Duration::from_millis(500);
/// Belongs to nobody.
const STRANGER: Mac = Mac([0xfa, 0x16, 0x3e, 0xee, 0xee, 0xee]);

fn lab() -> Lab {
    let plan = Plan::new().group("open", &[any_in()]);
    plan.guest("a", &["open"]).guest("b", &["open"]).start()
}

fn udp(src_mac: Mac, src: Ipv4Addr, to: &Guest) -> Vec<u8> {
    frame(src_mac, to.port().mac())
        .ip(src, to.ip())
        .udp(4000, 5000)
        .payload(b"it is me")
        .build()
}

/// Whether `to` gets the frame, whoever it says it is from.
fn delivered(from: &Guest, to: &Guest, bytes: &[u8]) -> bool {
    to.sees(SHORT, || from.send_raw(bytes), |frame| frame.bytes == bytes)
}

#[test]
fn a_foreign_mac_is_refused_and_not_learned() {
    let mut lab = lab();
    let (a, b) = lab.pair("a", "b");
    assert!(delivered(a, b, &udp(a.port().mac(), a.ip(), b)));
    assert!(!delivered(a, b, &udp(STRANGER, a.ip(), b)));
    assert_eq!(lab.drops("a", "spoof_mac"), 1);
    assert!(
        !lab.fdb().contains(&STRANGER.to_string()),
        "{:?}",
        lab.fdb()
    );
    // Nor does a neighbour's MAC move.
    assert!(!delivered(a, b, &udp(b.port().mac(), a.ip(), b)));
    assert!(delivered(a, b, &udp(a.port().mac(), a.ip(), b)));
    let records = lab.finish();
    assert_eq!(records.packets("a egress udp a:4000>b:5000 DROP"), 2);
    assert_eq!(records.packets("b ingress udp a:4000>b:5000 ACCEPT"), 2);
    assert_eq!(records.packets("b ingress udp a:4000>b:5000 DROP"), 0);
}

#[test]
fn a_foreign_address_is_refused_also_that_of_a_neighbour() {
    let mut lab = lab();
    let (a, b) = lab.pair("a", "b");
    for address in [
        Ipv4Addr::new(10, 77, 1, 99),
        b.ip(),
        Ipv4Addr::new(8, 8, 8, 8),
    ] {
        assert!(
            !delivered(a, b, &udp(a.port().mac(), address, b)),
            "{address}"
        );
    }
    assert_eq!(lab.drops("a", "spoof_ip"), 3);
    lab.finish().are(&[
        "a egress udp 10.77.1.99:4000>b:5000 DROP",
        "a egress udp b:4000>b:5000 DROP",
        "a egress udp 8.8.8.8:4000>b:5000 DROP",
    ]);
}

#[test]
fn group_and_zero_source_macs_are_refused() {
    let mut lab = lab();
    let (a, b) = lab.pair("a", "b");
    for mac in [Mac([0xff; 6]), Mac([1, 0, 0x5e, 0, 0, 1]), Mac::ZERO] {
        assert!(!delivered(a, b, &udp(mac, a.ip(), b)), "{mac}");
    }
    assert_eq!(lab.drops("a", "spoof_mac"), 3);
    let _ = lab.finish();
}

#[test]
fn an_address_pair_is_a_couple_and_not_two_lists() {
    let (other_mac, other_ip) = (
        Mac([0xfa, 0x16, 0x3e, 0, 0, 0x77]),
        Ipv4Addr::new(10, 77, 9, 9),
    );
    let plan = Plan::new()
        .group("open", &[any_in()])
        .guest("a", &["open"])
        .guest("b", &["open"]);
    let pair = format!(
        "allowed_address_pairs: [{{ ip_address: {other_ip}, mac_address: \"{other_mac}\" }}]"
    );
    let mut lab = plan.change("a", |port| port.keys = pair).start();
    let (a, b) = lab.pair("a", "b");
    let (mac, ip) = (a.port().mac(), a.ip());
    let further = Ipv4Addr::new(10, 77, 9, 10);
    assert!(delivered(a, b, &udp(mac, ip, b)));
    assert!(delivered(a, b, &udp(other_mac, other_ip, b)));
    assert!(!delivered(a, b, &udp(mac, other_ip, b)));
    assert!(!delivered(a, b, &udp(other_mac, ip, b)));
    assert!(!delivered(a, b, &udp(mac, further, b)));
    assert!(!delivered(a, b, &udp(STRANGER, other_ip, b)));
    let _ = lab.finish();
}

#[test]
fn arp_that_claims_what_is_not_the_ports_is_refused() {
    let mut lab = lab();
    let (a, b) = lab.pair("a", "b");
    let (mac, gateway) = (a.port().mac(), Ipv4Addr::new(10, 77, 1, 1));
    let to_b = frame(mac, b.port().mac());
    let honest = to_b.clone().arp_request(a.ip(), b.ip());
    assert!(delivered(a, b, &honest));
    let reply_for_gateway = to_b.clone().arp_reply(gateway, b.ip());
    let request_as_b = to_b.clone().arp_request(b.ip(), b.ip());
    let inner_mac = Arp {
        operation: 2,
        sender_mac: STRANGER,
        sender_ip: a.ip(),
        target_ip: b.ip(),
    };
    let mac_inside_wrong = to_b.arp(inner_mac);
    for lie in [&reply_for_gateway, &request_as_b, &mac_inside_wrong] {
        assert!(!delivered(a, b, lie));
    }
    assert_eq!(lab.drops("a", "spoof_arp"), 3);
    let cache = b.run("ip neigh show").ok();
    assert!(!cache.contains("10.77.1.1 "), "{cache}");
    let _ = lab.finish();
}

#[test]
fn a_port_without_port_security_may_say_anything_and_is_recorded_as_accepted() {
    let plan = Plan::new()
        .group("open", &[any_in()])
        .guest("a", &[])
        .guest("b", &["open"]);
    let plan = plan.change("a", |port| {
        port.keys = "port_security_enabled: false".into();
    });
    let mut lab = plan.start();
    let (a, b) = lab.pair("a", "b");
    assert!(delivered(
        a,
        b,
        &udp(STRANGER, Ipv4Addr::new(8, 8, 8, 8), b)
    ));
    assert!(lab.fdb().contains(&STRANGER.to_string()), "{:?}", lab.fdb());
    lab.finish().are(&[
        "a egress udp 8.8.8.8:4000>b:5000 ACCEPT",
        "b ingress udp 8.8.8.8:4000>b:5000 ACCEPT",
    ]);
}

#[test]
fn frames_that_no_guest_may_send_are_refused_by_their_reason() {
    let mut lab = lab();
    let (a, b) = lab.pair("a", "b");
    let (mac, to) = (a.port().mac(), b.port().mac());
    let inner = frame(mac, to).vlan(7).ip(a.ip(), b.ip()).udp(1, 2).build();
    let dhcp_server = frame(mac, to)
        .ip(a.ip(), b.ip())
        .udp(67, 68)
        .payload(&[2; 300])
        .build();
    for (bytes, reason) in [
        (inner, "vlan"),
        (frame(mac, to).payload(0x88cc, &[0; 46]), "ethertype"),
        (
            frame(mac, Mac([1, 0x80, 0xc2, 0, 0, 0])).payload(0x88cc, &[0; 46]),
            "l2_reserved",
        ),
        (dhcp_server, "dhcp_server"),
    ] {
        assert!(!delivered(a, b, &bytes), "{reason}");
        assert_eq!(lab.drops("a", reason), 1, "{reason}: {}", lab.show("drops"));
    }
    let _ = lab.finish();
}

/// What kernels say of interfaces that come up, and a client that asks for a lease in vain: nothing of it is
/// a refusal, at ports with and without IPv6.
#[test]
fn a_lab_at_rest_refuses_nothing() {
    let plan = Plan::new()
        .guest("a", &["out"])
        .guest("b", &[])
        .guest("c", &["out"])
        .change("a", |port| port.only_v4 = true)
        .change("b", |port| port.only_v4 = true);
    let mut lab = plan.start();
    let (a, b) = lab.pair("a", "b");
    let discover = frame(a.port().mac(), Mac::BROADCAST)
        .ip(Ipv4Addr::UNSPECIFIED, Ipv4Addr::BROADCAST)
        .udp(68, 67)
        .payload(&[0; 240])
        .build();
    assert!(!delivered(a, b, &discover), "b is no server");
    // Listener reports and solicitations come within the first seconds.
    std::thread::sleep(Duration::from_secs(2));
    for port in ["a", "b", "c"] {
        for reason in ["spoof_ip", "spoof_nd", "default_deny", "ra_guard"] {
            assert_eq!(lab.drops(port, reason), 0, "{port} {reason}");
        }
    }
    let _ = lab.finish();
}
