//! What a guest, or its absence, can do to the others: nothing.

#![allow(
    clippy::unwrap_used,
    reason = "a test says what it expects by panicking"
)]

use netns_tests::{
    Plan, carries, eventually,
    rules::{any_in, udp_in},
};
use packet::build::frame;
use std::{
    thread,
    time::{Duration, Instant},
};
use tap::{Links, PacketMode};

/// How long a guest sends garbage.
const GARBAGE: Duration = Duration::from_secs(10);
/// What the daemon may grow by meanwhile: its tables have limits, and are far from them.
const GROWTH_KIB: u64 = 64 << 10;

/// Marsaglia's xorshift64: the same garbage each time.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.next() as u8).collect()
    }
}

#[test]
fn a_guest_that_sends_garbage_at_full_speed_harms_nobody() {
    let plan = Plan::new()
        .group("five", &[udp_in(5000)])
        .group("open", &[any_in()]);
    let plan = plan
        .guest("bad", &["open"])
        .guest("b", &["out"])
        .guest("c", &["five"]);
    let mut lab = plan.start();
    let (b, c) = lab.pair("b", "c");
    b.knows(&[c]);
    c.knows(&[b]);
    let (client, server) = (b.udp(4000), c.udp(5000));
    // Some of the garbage is a datagram to this very port.
    server.connect((b.ip(), 4000)).unwrap();
    let receiving = thread::spawn(move || {
        let mut buffer = [0; 64];
        server
            .set_read_timeout(Some(Duration::from_secs(2)))
            .unwrap();
        std::iter::from_fn(|| server.recv(&mut buffer).ok()).count()
    });
    let bad = lab.guest("bad").clone();
    let victim = c.clone();
    let target = c.ip();
    let garbage = thread::spawn(move || flood(&bad, &victim));
    let before = lab.daemon().resident_kib();
    let (start, mut sent) = (Instant::now(), 0);
    while start.elapsed() < GARBAGE {
        client.send_to(b"modest", (target, 5000)).unwrap();
        sent += 1;
        thread::sleep(Duration::from_millis(10));
    }
    let frames = garbage.join().unwrap();
    let received = receiving.join().unwrap();
    assert!(frames > 10_000, "{frames} frames of garbage");
    assert!(lab.daemon().runs());
    let growth = lab.daemon().resident_kib().saturating_sub(before);
    assert!(growth < GROWTH_KIB, "{growth} KiB more");
    let records = lab.finish();
    let recorded = records.packets("c ingress udp b:4000>c:5000 ACCEPT");
    assert_eq!(
        (received, recorded),
        (sent, sent as u64),
        "the others' packets, under {frames} frames of garbage"
    );
}

/// Random bytes; good Ethernet with random bytes in it; good headers with random tuples and lies.
fn flood(bad: &netns_tests::Guest, victim: &netns_tests::Guest) -> u64 {
    let (socket, mut random) = (bad.raw(PacketMode::Send), Random(0x9e37_79b9_7f4a_7c15));
    let (start, mut frames) = (Instant::now(), 0);
    while start.elapsed() < GARBAGE {
        for _ in 0..64 {
            let len = 14 + random.next() as usize % 600;
            let mut bytes = random.bytes(len);
            let pick = random.next();
            if pick % 4 > 0 {
                bytes[..6].copy_from_slice(&victim.port().mac().0);
                bytes[6..12].copy_from_slice(&bad.port().mac().0);
                let ethertype = [[8, 0], [8, 6], [0x86, 0xdd], [0x81, 0]][(pick >> 8) as usize % 4];
                bytes[12..14].copy_from_slice(&ethertype);
            }
            if pick % 4 == 2 {
                let (src, dst) = (random.next() as u16, random.next() as u16);
                let ip = bad.packet(victim);
                bytes = match (pick >> 16) % 3 {
                    0 => ip.tcp(src, dst).flags(random.next() as u8).build(),
                    1 => ip.udp(src, dst).build(),
                    _ => ip
                        .fragment(random.next() as u32, src & 0x1ff8, true)
                        .udp(src, dst)
                        .payload(&bytes)
                        .build(),
                };
            }
            // The queue may be full, and the kernel may refuse what is too long.
            frames += u64::from(socket.send(&bytes).is_ok());
        }
    }
    frames
}

#[test]
fn a_tap_that_vanishes_takes_its_port_down_and_nothing_else() {
    let plan = Plan::new().group("five", &[udp_in(5000)]);
    let plan = plan
        .guest("a", &["out"])
        .guest("b", &["five"])
        .guest("gone", &["out"]);
    let mut lab = plan.start();
    let gone = lab.guest("gone");
    Links::open(Some(gone.netns()))
        .unwrap()
        .remove(&gone.port().tap())
        .unwrap();
    eventually("the port is down", || {
        let ports = lab.show("ports");
        let port = ports
            .as_array()
            .and_then(|rows| rows.iter().find(|row| row["name"] == "gone"))
            .cloned();
        port.is_some_and(|port| port["up"] == false)
    });
    let (a, b) = lab.pair("a", "b");
    let (client, server) = (a.udp(4000), b.udp(5000));
    for _ in 0..20 {
        client.send_to(b"on", (b.ip(), 5000)).unwrap();
        server.recv(&mut [0; 16]).unwrap();
    }
    let idle = lab.daemon().cpu_time();
    thread::sleep(Duration::from_secs(1));
    let busy = lab.daemon().cpu_time() - idle;
    assert!(
        busy < Duration::from_millis(300),
        "{busy:?} of a second for nothing"
    );
    assert_eq!(
        lab.finish().packets("b ingress udp a:4000>b:5000 ACCEPT"),
        20
    );
}

#[test]
fn a_guest_that_does_not_read_loses_its_own_packets_and_they_are_no_refusals() {
    let plan = Plan::new()
        .group("open", &[any_in()])
        .guest("a", &["open"])
        .guest("b", &["open"]);
    let mut lab = plan.start();
    let (a, b) = lab.pair("a", "b");
    let _ = b.run(&format!("ip link set {} down", b.port().tap())).ok();
    let bytes = a.packet(b).udp(4000, 5000).payload(b"lost").build();
    for _ in 0..10 {
        a.send_raw(&bytes);
    }
    thread::sleep(Duration::from_millis(500));
    let records = lab.finish();
    assert_eq!(records.packets("a egress udp a:4000>b:5000 ACCEPT"), 10);
    assert_eq!(
        records.packets("b ingress udp a:4000>b:5000 ACCEPT"),
        10,
        "{:?}",
        records.lines()
    );
}

#[test]
fn spoofed_connections_at_full_speed_make_no_state_and_cost_the_others_nothing() {
    let plan = Plan::new().group("open", &[any_in()]);
    let plan = plan
        .guest("bad", &["open"])
        .guest("b", &["open"])
        .guest("c", &["open"]);
    let mut lab = plan.start();
    let bad = lab.guest("bad").clone();
    let flood = thread::spawn(move || {
        let socket = bad.raw(PacketMode::Send);
        let start = Instant::now();
        for number in 0_u32.. {
            let from = std::net::Ipv4Addr::from(0x0b00_0000 + number);
            let syn = frame(bad.port().mac(), packet::Mac([0xfa, 0x16, 0x3e, 0, 0, 12]));
            let syn = syn
                .ip(from, std::net::Ipv4Addr::new(10, 77, 1, 12))
                .tcp(4000, 80)
                .flags(2)
                .build();
            let _ = socket.send(&syn);
            if start.elapsed() > Duration::from_secs(2) {
                break;
            }
        }
    });
    let (b, c) = lab.pair("b", "c");
    let (mut client, mut server) = b.connect(c, 22);
    assert!(carries(&mut client, &mut server, 4 << 20));
    flood.join().unwrap();
    let connections = lab.show("connections");
    assert_eq!(
        connections.as_array().map(Vec::len),
        Some(1),
        "{connections}"
    );
    assert!(lab.drops("bad", "spoof_ip") > 1000);
    let _ = lab.finish();
}
