//! The way out: an uplink to a namespace that plays the host, behind it one that plays the world.

#![allow(
    clippy::unwrap_used,
    reason = "a test says what it expects by panicking"
)]

use netns_tests::{
    Lab, Plan, carries,
    rules::{tcp_in, tcp_out},
    run,
};
use std::{
    net::{Ipv4Addr, TcpListener},
    process::Command,
    time::Duration,
};
use tap::Netns;

const SHORT: Duration = Duration::from_millis(700);
/// The world's address, a documentation prefix (RFC 5737).
const WORLD: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);

fn lab() -> Lab {
    let plan = Plan::new()
        .group("web", &[tcp_in(80)])
        .group("https", &[tcp_out(443, "192.0.2.0/24")]);
    plan.uplink("host")
        .guest("a", &["web"])
        .guest("b", &["https"])
        .start()
}

fn sh(netns: &Netns, script: &str) {
    let _ = run(
        Some(netns),
        Command::new("sh").args(["-ec", script]),
        "",
        Duration::from_secs(10),
    )
    .ok();
}

/// Joins the host to a world, with masquerading between them.
fn build_world(lab: &mut Lab) -> Netns {
    let world = lab.namespace("world");
    let host = lab.guest("host").netns().clone();
    let uplink = lab.guest("host").port().tap();
    sh(
        &host,
        &format!(
            "ip link add out type veth peer name in netns {world}
             ip address add 192.0.2.1/24 dev out; ip link set out up
             echo 1 > /proc/sys/net/ipv4/ip_forward
             nft add table ip nat
             nft 'add chain ip nat post {{ type nat hook postrouting priority 100; }}'
             nft add rule ip nat post iifname {uplink} oifname out masquerade",
        ),
    );
    sh(
        &world,
        "ip address add 192.0.2.2/24 dev in; ip link set in up",
    );
    world
}

#[test]
fn a_guest_reaches_the_host_and_the_host_reaches_what_the_groups_let_in() {
    let mut lab = lab();
    let (host, a) = lab.pair("host", "a");
    assert!(a.pings(host.ip(), 3, 56), "the gateway answers");
    let (mut client, mut server) = host.connect(a, 80);
    assert!(carries(&mut client, &mut server, 1 << 20));
    assert!(carries(&mut server, &mut client, 1 << 20));
    assert!(host.connect_within((a.ip(), 81), SHORT).is_err());
    let records = lab.finish();
    assert!(
        records.rows().iter().all(|row| row.port != "host"),
        "no logger names the uplink"
    );
    assert!(
        records.lines().contains("a ingress tcp host>a:80 ACCEPT"),
        "{:?}",
        records.lines()
    );
    assert!(records.lines().contains("a ingress tcp host>a:81 DROP"));
}

#[test]
fn guests_reach_the_world_through_masquerading_and_the_groups_see_their_own_addresses() {
    let mut lab = lab();
    let world = build_world(&mut lab);
    let listen = |port| {
        world
            .run_in(|| TcpListener::bind((WORLD, port)).unwrap())
            .unwrap()
    };
    let (https, http) = (listen(443), listen(80));
    for name in ["a", "b"] {
        let mut client = lab
            .guest(name)
            .connect_within((WORLD, 443), Duration::from_secs(5))
            .unwrap();
        let (mut server, from) = https.accept().unwrap();
        assert_eq!(from.ip(), Ipv4Addr::new(192, 0, 2, 1), "masqueraded");
        assert!(carries(&mut client, &mut server, 200_000));
        assert!(carries(&mut server, &mut client, 200_000));
    }
    assert!(lab.guest("a").connect_within((WORLD, 80), SHORT).is_ok());
    assert!(
        lab.guest("b").connect_within((WORLD, 80), SHORT).is_err(),
        "b may only do 443"
    );
    drop(http);
    let records = lab.finish();
    let lines = records.lines();
    assert!(
        lines.contains("b egress tcp b>192.0.2.2:443 ACCEPT"),
        "{lines:?}"
    );
    assert!(lines.contains("b ingress tcp 192.0.2.2:443>b ACCEPT"));
    assert!(lines.contains("b egress tcp b>192.0.2.2:80 DROP"));
}

#[test]
fn the_world_does_not_reach_a_guest_whose_groups_let_nothing_in() {
    let mut lab = lab();
    let world = build_world(&mut lab);
    sh(&world, "ip route add 10.77.0.0/16 via 192.0.2.1");
    let b = lab.guest("b").ip();
    let try_it = || std::net::TcpStream::connect_timeout(&(b, 22).into(), SHORT).is_ok();
    assert!(!world.run_in(try_it).unwrap());
    assert!(lab.drops("b", "default_deny") > 0);
    let records = lab.finish();
    assert!(
        records
            .lines()
            .contains("b ingress tcp 192.0.2.2>b:22 DROP"),
        "{:?}",
        records.lines()
    );
}

#[test]
fn a_frame_for_an_unknown_mac_goes_to_the_uplink_alone() {
    let mut lab = lab();
    let (host, a) = lab.pair("host", "a");
    let nobody = packet::Mac([2, 0, 0, 0, 0, 9]);
    let frame = packet::build::frame(a.port().mac(), nobody);
    let frame = frame
        .ip(a.ip(), Ipv4Addr::new(10, 77, 1, 200))
        .udp(4000, 5000)
        .payload(b"?")
        .build();
    let at_b = lab.guest("b").watch();
    assert!(host.sees(SHORT, || a.send_raw(&frame), |seen| seen.bytes == frame));
    assert!(!at_b.until(SHORT, |seen| seen.bytes == frame));
    drop(at_b);
    let _ = lab.finish();
}
