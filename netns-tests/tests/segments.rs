//! Offloads: what a guest's kernel leaves to the device crosses the switch as it is.

#![allow(
    clippy::unwrap_used,
    reason = "a test says what it expects by panicking"
)]

use netns_tests::{
    Plan, carries,
    rules::{ping_in, tcp_in, udp_in},
};

#[test]
fn segments_of_64_kib_cross_whole_and_count_as_the_packets_they_stand_for() {
    let plan = Plan::new().group("web", &[tcp_in(80)]);
    let mut lab = plan.guest("a", &["out"]).guest("b", &["web"]).start();
    let (a, b) = lab.pair("a", "b");
    let watch = b.watch();
    let (mut client, mut server) = a.connect(b, 80);
    assert!(carries(&mut client, &mut server, 16 << 20));
    drop((client, server));
    let seen = watch.stop();
    let longest = seen
        .iter()
        .filter(|frame| !frame.is_from(b.port().mac()))
        .max_by_key(|frame| frame.bytes.len());
    let longest = longest.unwrap();
    assert!(
        longest.bytes.len() > 16_000,
        "{} bytes",
        longest.bytes.len()
    );
    let size = longest.offload.gso.expect("it stands for several").size;
    assert_eq!(size, 1448, "1500 less the headers with a timestamp");

    let records = lab.finish();
    let row = records.pick(|row| row.port == "b" && row.direction == "ingress")[0];
    let least = (16 << 20) / 1448;
    assert!(
        row.packets >= least,
        "{} packets for {least} segments",
        row.packets
    );
    assert!(
        row.bytes >= (16 << 20) + least * 52,
        "{} bytes: each packet with its headers",
        row.bytes
    );
}

#[test]
fn a_guest_without_offloads_talks_to_one_with_them() {
    let plan = Plan::new().group("web", &[tcp_in(80), udp_in(53)]);
    let mut lab = plan.guest("a", &["web"]).guest("b", &["web"]).start();
    let (a, b) = lab.pair("a", "b");
    a.offload_off();
    for (from, to) in [(a, b), (b, a)] {
        let (mut client, mut server) = from.connect(to, 80);
        assert!(carries(&mut client, &mut server, 1 << 20));
        assert!(carries(&mut server, &mut client, 1 << 20));
    }
    assert_eq!(
        lab.drops("a", "ct_invalid") + lab.drops("b", "ct_invalid"),
        0
    );
    let _ = lab.finish();
}

#[test]
fn udp_datagrams_that_the_device_is_to_segment_arrive_one_by_one() {
    let plan = Plan::new().group("dns", &[udp_in(53)]);
    let mut lab = plan.guest("a", &["out"]).guest("b", &["dns"]).start();
    let (a, b) = lab.pair("a", "b");
    let server = b.udp(53);
    // UDP_SEGMENT of udp(7): one send, segments of 500 bytes.
    let script = format!(
        "import socket\ns=socket.socket(socket.AF_INET,socket.SOCK_DGRAM)\n\
         s.bind(('',4000))\ns.setsockopt(17,103,500)\ns.sendto(b'x'*4700,('{}',53))\n",
        b.ip()
    );
    let _ = a.feed("python3 -", &script).ok();
    let mut lengths = vec![];
    while lengths.iter().sum::<usize>() < 4700 {
        lengths.push(server.recv(&mut [0; 2000]).unwrap());
    }
    assert_eq!(lengths, [500, 500, 500, 500, 500, 500, 500, 500, 500, 200]);
    let records = lab.finish();
    let row = records.pick(|row| row.port == "b")[0];
    assert_eq!((row.packets, row.bytes), (10, 4700 + 10 * 28));
}

#[test]
fn a_packet_longer_than_the_receivers_mtu_is_refused_and_counted() {
    let plan = Plan::new()
        .group("ping", &[ping_in()])
        .guest("a", &["out"])
        .guest("b", &["ping"]);
    let plan = plan.change("b", |port| port.mtu = 1300);
    let mut lab = plan.start();
    let (a, b) = lab.pair("a", "b");
    assert!(a.pings(b.ip(), 1, 1200));
    assert!(!a.pings(b.ip(), 1, 1400));
    assert!(lab.drops("b", "mtu") > 0, "{}", lab.show("drops"));
    let _ = lab.finish();
}
