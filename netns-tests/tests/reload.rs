//! A change of policy while connections live.

#![allow(
    clippy::unwrap_used,
    reason = "a test says what it expects by panicking"
)]

use netns_tests::{
    Lab, Plan, carries, eventually,
    rules::{from_prefix, ping_in, tcp_in, tcp_out},
};
use std::{
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

/// Less than the 200 ms that the kernel waits at least before it sends again, times a few.
const SHORT: Duration = Duration::from_millis(900);

fn web() -> Lab {
    let plan = Plan::new().group("web", &[tcp_in(80)]);
    plan.guest("a", &["out"]).guest("b", &["web"]).start()
}

/// Whether `reader` gets what `writer` sends now.
fn arrives(writer: &mut TcpStream, reader: &mut TcpStream) -> bool {
    writer.write_all(b"ping").unwrap();
    reader.set_read_timeout(Some(SHORT)).unwrap();
    let arrived = reader.read_exact(&mut [0; 4]).is_ok();
    reader
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    arrived
}

fn without_rules(plan: Plan) -> Plan {
    plan.group("web", &[] as &[&str])
}

fn with_rules(plan: Plan) -> Plan {
    plan.group("web", &[tcp_in(80)])
}

#[test]
fn a_live_connection_is_cut_at_once_in_both_directions_and_resumes_when_allowed_again() {
    let mut lab = web();
    let (a, b) = lab.pair("a", "b");
    let (mut client, mut server) = a.connect(b, 80);
    assert!(carries(&mut client, &mut server, 10_000));

    lab.reload(without_rules);
    assert!(!arrives(&mut client, &mut server));
    assert!(!arrives(&mut server, &mut client));
    assert!(
        lab.drops("b", "revoked") > 0,
        "at the port whose rule is gone"
    );
    assert_eq!(lab.drops("a", "revoked"), 0);

    lab.reload(with_rules);
    // What was sent meanwhile comes too: the same connection goes on, no byte is lost.
    client.read_exact(&mut [0; 4]).unwrap();
    server.read_exact(&mut [0; 4]).unwrap();
    assert!(carries(&mut client, &mut server, 10_000));
    assert!(carries(&mut server, &mut client, 10_000));
    let records = lab.finish();
    assert!(records.packets("b ingress tcp a>b:80 DROP") > 0);
    assert!(
        records.packets("b egress tcp b:80>a DROP") > 0,
        "{:?}",
        records.lines()
    );
}

#[test]
fn a_download_is_cut_without_waiting_for_a_packet_of_its_client() {
    let mut lab = web();
    let (a, b) = lab.pair("a", "b");
    let (mut client, mut server) = a.connect(b, 80);
    assert!(carries(&mut client, &mut server, 100));
    lab.reload(without_rules);
    let a = lab.guest("a");
    let push = || server.write_all(b"push").unwrap();
    let delivered = a.sees(SHORT, push, |frame| {
        frame.is_to(6, client.local_addr().unwrap().port())
    });
    assert!(
        !delivered,
        "the first packet of the server is refused already"
    );
    let _ = lab.finish();
}

#[test]
fn egress_rules_that_go_cut_the_connections_of_their_port() {
    let plan = Plan::new()
        .group("client", &[tcp_out(80, "0.0.0.0/0")])
        .group("web", &[tcp_in(80)]);
    let mut lab = plan.guest("a", &["client"]).guest("b", &["web"]).start();
    let (a, b) = lab.pair("a", "b");
    let (mut client, mut server) = a.connect(b, 80);
    lab.reload(|plan| plan.group("client", &[tcp_out(81, "0.0.0.0/0")]));
    assert!(!arrives(&mut client, &mut server));
    assert!(!arrives(&mut server, &mut client));
    assert!(lab.drops("a", "revoked") > 0);
    assert_eq!(lab.drops("b", "revoked"), 0);
    let _ = lab.finish();
}

#[test]
fn a_narrowed_rule_cuts_those_whom_it_no_longer_covers_and_nobody_else() {
    let plan = Plan::new().group("web", &[from_prefix(tcp_in(80), "10.77.1.0/24")]);
    let plan = plan
        .guest("a", &["out"])
        .guest("b", &["web"])
        .guest("c", &["out"]);
    let mut lab = plan.start();
    let (a, b, c) = (lab.guest("a"), lab.guest("b"), lab.guest("c"));
    let (mut from_a, mut to_a) = a.connect(b, 80);
    let (mut from_c, mut to_c) = c.connect(b, 80);
    lab.reload(|plan| plan.group("web", &[from_prefix(tcp_in(80), "10.77.1.13/32")]));
    assert!(!arrives(&mut from_a, &mut to_a));
    assert!(arrives(&mut from_c, &mut to_c));
    let _ = lab.finish();
}

#[test]
fn another_rule_that_allows_the_same_takes_over_without_a_lost_packet() {
    let mut lab = web();
    let (a, b) = lab.pair("a", "b");
    let (mut client, mut server) = a.connect(b, 80);
    let range = "direction: ingress, protocol: tcp, port_range_min: 1, port_range_max: 1000";
    lab.reload(|plan| plan.group("web", &[range]));
    assert!(carries(&mut client, &mut server, 10_000));
    assert_eq!(lab.drops("b", "revoked"), 0);
    let _ = lab.finish();
}

#[test]
fn a_broken_file_leaves_the_policy_in_force_and_says_why() {
    let mut lab = web();
    let (a, b) = lab.pair("a", "b");
    let (mut client, mut server) = a.connect(b, 80);
    for broken in ["ports: [", "ports:\n  - { name: x, subnet: nowhere }\n"] {
        let said = lab.reload_text(broken);
        assert!(said.contains("WARN") || said.contains("ERROR"), "{said}");
        assert!(carries(&mut client, &mut server, 1000));
    }
    lab.reload(|plan| plan);
    assert!(carries(&mut server, &mut client, 1000));
    let _ = lab.finish();
}

#[test]
fn unrelated_reloads_lose_no_packet() {
    let plan = Plan::new()
        .group("ping", &[ping_in()])
        .group("other", &[tcp_in(1)]);
    let plan = plan
        .guest("a", &["out"])
        .guest("b", &["ping"])
        .guest("c", &["other"]);
    let mut lab = plan.start();
    let (a, b) = (lab.guest("a").clone(), lab.guest("b").ip());
    let pings = std::thread::spawn(move || a.pings(b, 60, 56));
    let mut port = 1;
    while !pings.is_finished() {
        port = port % 1000 + 1;
        lab.reload(|plan| plan.group("other", &[tcp_in(port)]));
    }
    assert!(pings.join().unwrap());
    let _ = lab.finish();
}

#[test]
fn ports_come_and_go_with_a_reload_and_the_others_go_on() {
    let mut lab = Plan::new()
        .group("web", &[tcp_in(80)])
        .guest("a", &["out"])
        .guest("b", &["web"])
        .start();
    let (a, b) = lab.pair("a", "b");
    let (mut client, mut server) = a.connect(b, 80);
    lab.reload(|plan| plan.guest("c", &["out"]));
    eventually("the new port is up", || {
        let ports = lab.show("ports");
        ports.as_array().is_some_and(|ports| ports.len() == 3)
    });
    assert!(carries(&mut client, &mut server, 1000));
    assert!(
        !lab.guest("c").pings(lab.guest("b").ip(), 1, 56),
        "nothing lets it in"
    );
    lab.reload(|plan| plan.without("c"));
    assert!(carries(&mut server, &mut client, 1000));
    eventually("the port is gone", || {
        let ports = lab.show("ports");
        ports.as_array().is_some_and(|ports| ports.len() == 2)
    });
    let records = lab.finish();
    assert_eq!(
        records.packets("b ingress icmp c>b DROP"),
        1,
        "but it is heard"
    );
}
