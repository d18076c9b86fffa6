//! SCTP, DCCP and the protocols without a machine of their own, in the switch.

use crate::laboratory::Lab;
use crate::setup::{EG, Setup};

/// Sends each packet and expects, besides that it passes, the connection's state and timeout.
#[track_caller]
fn walk(lab: &mut Lab, steps: &[(&str, &str, &str, u32)]) {
    for (from, text, state, expires_s) in steps {
        let fate = match *from {
            "A" => "A> rule, >B rule",
            _ => "B> reply, >A reply",
        };
        lab.sees(from, text, fate);
        let views = lab.connections();
        assert_eq!(views.len(), 1, "{text}");
        let told = (
            views[0].state.name(views[0].tuple.protocol),
            views[0].expires_in_ms / 1000,
        );
        assert_eq!(told, (*state, *expires_s), "{text}");
    }
}

#[test]
fn an_sctp_association_is_followed_from_its_init_to_its_end() {
    let mut lab = Lab::new(Setup::of_b("in sctp 5001"));
    walk(
        &mut lab,
        &[
            (
                "A",
                "sctp A:5000 > B:5001 init init-tag=7",
                "cookie_wait",
                3,
            ),
            (
                "B",
                "sctp B:5001 > A:5000 init-ack tag=7 init-tag=9",
                "cookie_wait",
                3,
            ),
            (
                "A",
                "sctp A:5000 > B:5001 cookie-echo tag=9 len=40",
                "cookie_echoed",
                3,
            ),
            (
                "B",
                "sctp B:5001 > A:5000 cookie-ack tag=7",
                "established",
                432_000,
            ),
            (
                "A",
                "sctp A:5000 > B:5001 data tag=9 len=100",
                "established",
                432_000,
            ),
            (
                "B",
                "sctp B:5001 > A:5000 sack tag=7 len=12",
                "established",
                432_000,
            ),
            (
                "A",
                "sctp A:5000 > B:5001 shutdown tag=9 len=4",
                "shutdown_sent",
                3,
            ),
            (
                "B",
                "sctp B:5001 > A:5000 shutdown-ack tag=7",
                "shutdown_ack_sent",
                3,
            ),
            (
                "A",
                "sctp A:5000 > B:5001 shutdown-complete tag=9",
                "closed",
                10,
            ),
        ],
    );
    lab.sees(
        "A",
        "sctp A:5000 > B:5001 init init-tag=8",
        "A> rule, >B rule",
    );
    assert_eq!(lab.connections().len(), 1);
    lab.rows();
}

#[test]
fn an_sctp_packet_with_a_wrong_tag_is_invalid_and_ends_nothing() {
    let mut lab = Lab::new(Setup::of_b("in sctp"));
    walk(
        &mut lab,
        &[
            ("A", "sctp A6:1 > B6:2 init init-tag=7", "cookie_wait", 3),
            (
                "B",
                "sctp B6:2 > A6:1 init-ack tag=7 init-tag=9",
                "cookie_wait",
                3,
            ),
            (
                "A",
                "sctp A6:1 > B6:2 cookie-echo tag=9",
                "cookie_echoed",
                3,
            ),
            (
                "B",
                "sctp B6:2 > A6:1 cookie-ack tag=7",
                "established",
                432_000,
            ),
        ],
    );
    for (from, text) in [
        ("A", "sctp A6:1 > B6:2 abort tag=8"),
        ("B", "sctp B6:2 > A6:1 abort tag=9"),
        ("B", "sctp B6:2 > A6:1 shutdown-complete tag=6"),
        ("A", "sctp A6:1 > B6:2 none tag=9"),
        ("A", "sctp A6:9 > B6:2 init tag=5"),
        ("A", "sctp A6:9 > B6:2 cookie-echo tag=5"),
    ] {
        lab.sees(from, text, &format!("{from}> ct_invalid"));
    }
    walk(
        &mut lab,
        &[(
            "A",
            "sctp A6:1 > B6:2 data tag=9 len=9",
            "established",
            432_000,
        )],
    );
    walk(
        &mut lab,
        &[("B", "sctp B6:2 > A6:1 abort reflected tag=9", "closed", 10)],
    );
}

#[test]
fn an_sctp_association_is_cut_with_its_rule_and_resumes_with_it() {
    let mut lab = Lab::new(Setup::of_b("in sctp 5001"));
    walk(
        &mut lab,
        &[
            (
                "A",
                "sctp A:5000 > B:5001 init init-tag=7",
                "cookie_wait",
                3,
            ),
            (
                "B",
                "sctp B:5001 > A:5000 init-ack tag=7 init-tag=9",
                "cookie_wait",
                3,
            ),
        ],
    );
    lab.group("B", EG);
    lab.sees(
        "A",
        "sctp A:5000 > B:5001 cookie-echo tag=9",
        "A> rule, >B revoked",
    );
    lab.group("B", "in sctp 5001");
    walk(
        &mut lab,
        &[(
            "A",
            "sctp A:5000 > B:5001 cookie-echo tag=9",
            "cookie_echoed",
            3,
        )],
    );
    // A switch that has just started meets associations in the middle.
    let mut lab = Lab::new(Setup::of_b("in sctp 5001"));
    walk(
        &mut lab,
        &[
            (
                "A",
                "sctp A:5000 > B:5001 data tag=9 len=9",
                "heartbeat_sent",
                30,
            ),
            (
                "B",
                "sctp B:5001 > A:5000 sack tag=7 len=12",
                "established",
                432_000,
            ),
        ],
    );
}

#[test]
fn a_dccp_connection_is_followed_from_its_request_to_its_end() {
    let mut lab = Lab::new(Setup::of_b("in dccp 5001"));
    walk(
        &mut lab,
        &[
            ("A", "dccp A:5000 > B:5001 request", "request", 240),
            ("B", "dccp B:5001 > A:5000 response", "respond", 480),
            ("A", "dccp A:5000 > B:5001 ack", "partopen", 480),
            ("B", "dccp B:5001 > A:5000 dataack len=100", "open", 43_200),
            ("B", "dccp B:5001 > A:5000 closereq", "closereq", 64),
            ("A", "dccp A:5000 > B:5001 close", "closing", 64),
            ("B", "dccp B:5001 > A:5000 reset", "timewait", 240),
        ],
    );
    lab.sees("B", "dccp B:5001 > A:7 response", "B> ct_invalid");
    lab.sees("A", "dccp A:5000 > B:5001 request", "A> rule, >B rule");
    lab.sees(
        "A",
        "dccp A:5000 > B:5002 request",
        "A> rule, >B default_deny",
    );
    lab.rows();
}

/// (c): UDP-Lite as UDP, GRE with its two timeouts, ESP and the rest by the general one.
#[test]
fn other_protocols_have_the_timeouts_of_their_class() {
    for (ask, answer, asked, answered) in [
        (
            "udplite A:1 > B:2",
            "udplite B:2 > A:1",
            ("new", 30),
            ("replied", 30),
        ),
        ("gre A > B", "gre B > A", ("new", 30), ("replied", 180)),
        ("esp A > B", "esp B > A", ("new", 600), ("replied", 600)),
        ("ah A > B", "ah B > A", ("new", 600), ("replied", 600)),
        (
            "ospf A6 > B6",
            "ospf B6 > A6",
            ("new", 600),
            ("replied", 600),
        ),
        (
            "proto=253 A > B",
            "proto=253 B > A",
            ("new", 600),
            ("replied", 600),
        ),
    ] {
        let mut lab = Lab::new(Setup::of_b("in any"));
        walk(
            &mut lab,
            &[
                ("A", ask, asked.0, asked.1),
                ("B", answer, answered.0, answered.1),
            ],
        );
    }
    let mut lab = Lab::new(Setup::of_b("in udplite 2"));
    walk(&mut lab, &[("A", "udplite A:1 > B:2", "new", 30)]);
    lab.wait(2_001);
    walk(&mut lab, &[("B", "udplite B:2 > A:1", "stream", 120)]);
}

/// Tunnels whose outer and inner family differ, and those whose do not: rules see the outer protocol.
#[test]
fn a_tunnel_passes_by_the_rule_of_its_outer_protocol_in_both_families() {
    let rules = "in4 ipv6-encap, in4 ipip, in6 ipip, in6 41";
    let mut lab = Lab::new(Setup::of_b(rules));
    for (from, to) in [("A", "B"), ("A6", "B6")] {
        for protocol in ["ipip", "ipv6-encap"] {
            let there = format!("{protocol} {from} > {to} len=60");
            let back = format!("{protocol} {to} > {from} len=60");
            lab.sees("A", &there, "A> rule, >B rule");
            lab.sees("B", &back, "B> reply, >A reply");
            lab.sees(
                "A",
                &format!("{protocol} {from} > {} len=60", to.replace('B', "C")),
                "A> rule, >C default_deny",
            );
        }
    }
}

/// An authenticated packet of IPv6 is what stands behind the header; of IPv4 it is AH.
#[test]
fn a_rule_for_ah_is_one_of_ipv4() {
    let mut lab = Lab::new(Setup::of_b("in4 ah, in6 ah"));
    lab.sees("A", "ah A > B len=40", "A> rule, >B rule");
}
