//! I: ICMP queries, and errors about connections.

use crate::laboratory::Lab;
use crate::setup::{EG, NONE, Setup};
use crate::talk::Talk;
use packet::{Reason, build};
use std::net::IpAddr;

/// An error of this type and code, from a router behind `from` (or a guest), that quotes `len` bytes of
/// the IP packet of `about`.
fn error(
    lab: &Lab,
    (from, src): (&str, &str),
    to: &str,
    (kind, code): (u8, u8),
    about: &[u8],
    len: usize,
) -> Vec<u8> {
    let port = |name: &str| {
        lab.setup
            .config
            .ports
            .iter()
            .find(|port| port.name == name)
            .unwrap()
            .spec
            .clone()
    };
    let src: IpAddr = src.parse().unwrap();
    let dst = *port(to)
        .fixed_ips
        .iter()
        .find(|ip| ip.is_ipv4() == src.is_ipv4())
        .unwrap();
    let frame = build::frame(port(from).mac, port(to).mac).ip(src, dst);
    frame.icmp(kind, code).quote(about, len).build()
}

/// I01, O22.
#[test]
fn an_error_about_an_allowed_connection_passes_without_a_rule_and_says_so() {
    let mut lab = Lab::new(Setup::of_b("in udp 9"));
    let asks = lab.frame("A", "udp A:4000 > B:9 len=100");
    lab.send_frame("A", &asks);
    let unreachable = error(&lab, ("B", "10.0.0.11"), "A", (3, 3), &asks, 28);
    let sent = lab.send_frame("B", &unreachable);
    assert_eq!(sent.fate, "B> related, >A related");
    let rows: Vec<String> = lab.rows().iter().map(ToString::to_string).collect();
    assert_eq!(
        rows,
        [
            "A> rule 17 10.0.0.10:4000 > 10.0.0.11:9 1p 128b f0",
            ">A related 1 10.0.0.11:0 > 10.0.0.10:0 1p 56b f0",
            "B> related 1 10.0.0.11:0 > 10.0.0.10:0 1p 56b f0",
            ">B rule 17 10.0.0.10:4000 > 10.0.0.11:9 1p 128b f0",
        ]
    );
}

/// I02, I03, I04: from any router on the way, IPv4 and IPv6.
#[test]
fn a_router_on_the_way_may_report_an_error() {
    let mut lab = Lab::new(Setup::new());
    let asks = lab.frame("A", "icmp A > X echo-request id=7 len=56");
    lab.send_frame("A", &asks);
    for (kind, code) in [(3, 0), (3, 4), (4, 0), (11, 0), (12, 0)] {
        let report = error(&lab, ("U", "192.0.2.254"), "A", (kind, code), &asks, 28);
        assert_eq!(
            lab.send_frame("U", &report).fate,
            "U> unfiltered, >A related"
        );
    }
    let asks = lab.frame("A", "tcp A6:4000 > X6:80 syn");
    lab.send_frame("A", &asks);
    for kind in 1..=4 {
        let report = error(&lab, ("U", "2001:db8:ffff::fe"), "A", (kind, 0), &asks, 60);
        assert_eq!(
            lab.send_frame("U", &report).fate,
            "U> unfiltered, >A related"
        );
    }
    lab.logs("A> rule 1, >U unfiltered 1, U> unfiltered 5, >A related 5");
}

/// I05, I07, I11, N14.
#[test]
fn an_error_about_no_known_connection_is_invalid_although_a_rule_matches() {
    let mut lab = Lab::new(Setup::new().group("A", "out, in icmp"));
    let unknown = lab.frame("A", "udp A:4000 > X:9");
    let unknown6 = lab.frame("A", "udp A6:4000 > X6:9");
    let about = [
        (
            error(&lab, ("U", "192.0.2.254"), "A", (3, 3), &unknown, 28),
            "an unknown flow",
        ),
        (
            error(&lab, ("U", "2001:db8:ffff::fe"), "A", (2, 0), &unknown6, 48),
            "an unknown flow, IPv6",
        ),
    ];
    for (frame, what) in about {
        assert_eq!(
            lab.send_frame("U", &frame).fate,
            "U> unfiltered, >A ct_invalid",
            "{what}"
        );
    }
    lab.send_frame("A", &unknown);
    let cases = [
        ("udp C:4000 > X:9", "another source"),
        ("udp A:4001 > X:9", "another port"),
        ("udp A:4000 > X:9 ", "itself"),
        ("udp A > X frag=5:8:16", "a later fragment"),
    ];
    for (text, what) in cases {
        let quoted = lab.frame("A", text);
        let frame = error(&lab, ("U", "192.0.2.254"), "A", (3, 3), &quoted, 28);
        let fate = if what == "itself" {
            "related"
        } else {
            "ct_invalid"
        };
        assert_eq!(
            lab.send_frame("U", &frame).fate,
            format!("U> unfiltered, >A {fate}"),
            "{what}"
        );
    }
    assert_eq!(lab.refused("A", Reason::CtInvalid), 5);
}

/// I08.
#[test]
fn an_error_whose_quote_contradicts_itself_is_malformed() {
    let mut lab = Lab::new(Setup::new().group("A", "out, in icmp"));
    let asks = lab.frame("A", "udp A:4000 > X:9 len=100");
    lab.send_frame("A", &asks);
    let mut long_header = asks.clone();
    long_header[14] = 0x4f;
    let mut lying_length = asks.clone();
    lying_length[16..18].copy_from_slice(&[0, 12]);
    for (about, len) in [
        (&asks, 24),
        (&asks, 12),
        (&asks, 0),
        (&long_header, 40),
        (&lying_length, 28),
    ] {
        let frame = error(&lab, ("U", "192.0.2.254"), "A", (3, 3), about, len);
        assert_eq!(
            lab.send_frame("U", &frame).fate,
            "U> unfiltered, >A malformed"
        );
    }
}

/// I12.
#[test]
fn a_redirect_needs_a_rule() {
    let mut lab = Lab::new(Setup::new());
    let asks = lab.frame("A", "udp A:4000 > X:9");
    lab.send_frame("A", &asks);
    let redirect = error(&lab, ("U", "10.0.0.1"), "A", (5, 1), &asks, 28);
    assert_eq!(
        lab.send_frame("U", &redirect).fate,
        "U> unfiltered, >A default_deny"
    );
    lab.group("A", "out, in icmp type 5");
    assert_eq!(
        lab.send_frame("U", &redirect).fate,
        "U> unfiltered, >A rule"
    );
}

/// X17.
#[test]
fn an_error_about_a_cut_connection_is_cut_too() {
    let mut lab = Lab::new(Setup::of_b("out, in tcp 80"));
    Talk::opens(("A", 4000), ("B", 80), &mut lab);
    let about = lab.frame("A", "tcp A:4000 > B:80 ack seq=1001 ack=500001");
    let report = error(&lab, ("B", "10.0.0.11"), "A", (3, 3), &about, 28);
    lab.group("B", EG);
    assert_eq!(lab.send_frame("B", &report).fate, "B> revoked");
    lab.group("B", "out, in tcp 80");
    lab.group("A", NONE);
    assert_eq!(lab.send_frame("B", &report).fate, "B> related, >A revoked");
}

/// A stateless group knows of no connection that an error could speak of.
#[test]
fn without_state_an_error_needs_a_rule_like_any_other_packet() {
    let mut lab = Lab::new(Setup::of_b("out4 udp, in udp 9").stateless("B"));
    let asks = lab.frame("A", "udp A:4000 > B:9");
    lab.send_frame("A", &asks);
    let unreachable = error(&lab, ("B", "10.0.0.11"), "A", (3, 3), &asks, 28);
    assert_eq!(lab.send_frame("B", &unreachable).fate, "B> default_deny");
    lab.group("B", "out, in udp 9");
    assert_eq!(
        lab.send_frame("B", &unreachable).fate,
        "B> rule, >A related"
    );
}

/// L19, I09.
#[test]
fn an_error_neither_keeps_a_connection_alive_nor_ends_it() {
    let mut lab = Lab::new(Setup::of_b("in udp 9"));
    let asks = lab.frame("A", "udp A:4000 > B:9");
    lab.send_frame("A", &asks);
    let report = error(&lab, ("B", "10.0.0.11"), "A", (3, 3), &asks, 28);
    lab.wait(29_000);
    assert_eq!(lab.send_frame("B", &report).fate, "B> related, >A related");
    assert_eq!(lab.connections()[0].expires_in_ms, 1_000);
    lab.wait(1_000);
    assert_eq!(lab.send_frame("B", &report).fate, "B> ct_invalid");
}

/// A query's answer passes by state; an answer that nobody asked for does not, whatever the rules.
#[test]
fn an_answer_that_nobody_asked_for_is_invalid() {
    let mut lab = Lab::new(Setup::of_b("in icmp").group("A", "out, in icmp"));
    for family in ["", "6"] {
        let message =
            |from: &str, to: &str, rest: &str| format!("icmp {from}{family} > {to}{family} {rest}");
        lab.sees("B", &message("B", "A", "echo-reply id=7"), "B> ct_invalid");
        lab.sees(
            "A",
            &message("A", "B", "echo-request id=7"),
            "A> rule, >B rule",
        );
        lab.sees("B", &message("B", "A", "echo-reply id=8"), "B> ct_invalid");
        lab.sees(
            "B",
            &message("B", "A", "echo-reply id=7"),
            "B> reply, >A reply",
        );
        // Not from the end that was asked.
        lab.sees(
            "U",
            &message("X", "A", "echo-reply id=7"),
            "U> unfiltered, >A ct_invalid",
        );
    }
}

/// The ends of an error lie on the switch's ports too: another guest cannot speak about a connection.
#[test]
fn a_third_guest_cannot_report_an_error_about_others() {
    let mut lab = Lab::new(Setup::of_b("in udp 9"));
    let asks = lab.frame("A", "udp A:4000 > B:9");
    lab.send_frame("A", &asks);
    let report = error(&lab, ("C", "10.0.0.12"), "A", (3, 3), &asks, 28);
    assert_eq!(lab.send_frame("C", &report).fate, "C> ct_invalid");
}

/// A query has no ports: it is listed with the type of its request and its identifier, whoever's address is lower.
#[test]
fn a_listed_query_has_a_type_and_an_identifier_and_no_ports() {
    for (from, to) in [("A", "B"), ("B", "A")] {
        for (family, kind) in [("", 8), ("6", 128)] {
            let mut lab = Lab::new(Setup::of_b("out, in icmp").group("A", "out, in icmp"));
            let query = format!("icmp {from}{family} > {to}{family} echo-request id=777");
            lab.send(from, &query);
            let listed = lab.connections();
            let tuple = listed[0].tuple;
            assert_eq!(
                (tuple.src_port, tuple.dst_port, listed[0].icmp),
                (0, 0, Some((kind, 777))),
                "{query}"
            );
        }
    }
}
