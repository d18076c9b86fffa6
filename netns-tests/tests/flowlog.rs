//! The flow log against what really crossed, counted by other means.

#![allow(
    clippy::unwrap_used,
    reason = "a test says what it expects by panicking"
)]

use netns_tests::{
    Guest, Lab, Plan, Records, carries,
    rules::{ping_in, tcp_in, udp_in},
    truth::{assert_same, count, logged},
};
use std::{thread, time::Duration};

/// For what the kernels still have to say to each other after the last close.
const SETTLED: Duration = Duration::from_millis(600);

fn server_plan() -> Plan {
    let plan = Plan::new().group("server", &[tcp_in(80), tcp_in(81), udp_in(53), ping_in()]);
    plan.guest("a", &["out"]).guest("b", &["server"])
}

/// Of everything a little: bulk both ways, a short connection, one that is reset, UDP, pings.
fn talk(a: &Guest, b: &Guest) {
    let (mut client, mut server) = a.connect(b, 80);
    assert!(carries(&mut client, &mut server, 3 << 20));
    assert!(carries(&mut server, &mut client, 2 << 20));
    drop((client, server));
    let (mut client, server) = a.connect(b, 81);
    assert!(std::io::Write::write_all(&mut client, b"unread").is_ok());
    // Closed with data unread: the kernel answers with a reset.
    thread::sleep(Duration::from_millis(50));
    drop(server);
    drop(client);
    let (client, server) = (a.udp(4000), b.udp(53));
    for size in [0, 1, 1000, 1472] {
        client.send_to(&vec![1; size], (b.ip(), 53)).unwrap();
        let (_, from) = server.recv_from(&mut [0; 2000]).unwrap();
        server.send_to(&vec![2; size / 2], from).unwrap();
        client.recv_from(&mut [0; 2000]).unwrap();
    }
    assert!(a.pings(b.ip(), 3, 100));
    thread::sleep(SETTLED);
}

/// Every record of both guests, in both directions, against a capture in the guest.
fn the_log_is_the_truth(offload: bool) {
    let mut lab = server_plan().start();
    let (a, b) = lab.pair("a", "b");
    if !offload {
        a.offload_off();
        b.offload_off();
    }
    let (at_a, at_b) = (a.watch(), b.watch());
    talk(a, b);
    let (seen_a, seen_b) = (at_a.stop(), at_b.stop());
    let any_segments = seen_a.iter().any(|frame| frame.offload.gso.is_some());
    assert_eq!(any_segments, offload);
    let macs = [("a", a.port().mac(), seen_a), ("b", b.port().mac(), seen_b)];
    let records = lab.finish();
    assert!(
        records
            .rows()
            .iter()
            .all(|row| row.filter == "ACCEPT" && row.status == "OK"),
        "{:?}",
        records.lines()
    );
    for (port, mac, seen) in &macs {
        for (direction, outgoing) in [("egress", true), ("ingress", false)] {
            let rows = records.pick(|row| row.port == *port && row.direction == direction);
            assert_same(
                &format!("{port} {direction}"),
                &logged(&rows),
                &count(seen, *mac, outgoing),
            );
        }
    }
}

#[test]
fn the_log_tells_what_a_capture_tells_with_offloads_on() {
    the_log_is_the_truth(true);
}

#[test]
fn the_log_tells_what_a_capture_tells_with_offloads_off() {
    the_log_is_the_truth(false);
}

/// Rows without their times, in order.
fn values(records: &Records) -> Vec<String> {
    let mut rows: Vec<String> = records
        .rows()
        .iter()
        .map(|row| {
            format!(
                "{} {} {} {:?} {} {} {}",
                row.port,
                row.direction,
                row.filter,
                row.tuple,
                row.tcp_flag,
                row.packets,
                row.bytes
            )
        })
        .collect();
    rows.sort();
    rows
}

#[test]
fn a_replay_of_what_the_guests_sent_gives_the_records_that_the_taps_gave() {
    let mut lab = server_plan().start();
    let (a, b) = lab.pair("a", "b");
    a.offload_off();
    b.offload_off();
    let (from_a, from_b) = (a.tcpdump(), b.tcpdump());
    talk(a, b);
    assert!(
        a.connect_within((b.ip(), 82), Duration::from_millis(300))
            .is_err()
    );
    let (from_a, from_b) = (from_a.stop(), from_b.stop());
    let live = lab.finish();
    assert!(live.lines().contains("b ingress tcp a>b:82 DROP"));

    let folder = lab.dir().join("flowlogs/0");
    std::fs::rename(&folder, lab.dir().join("live")).unwrap();
    let port = |name: &str, file: &std::path::Path| format!("{name}={}", file.display());
    let config = lab.config();
    let arguments = [
        "replay",
        "--config",
        config.to_str().unwrap(),
        "--port",
        &port("a", &from_a),
        "--port",
        &port("b", &from_b),
    ];
    let _ = lab.vswitch(&arguments).ok();
    assert_eq!(values(&lab.records(0)), values(&live));
}

fn every_second() -> Plan {
    server_plan().no_loggers().logger(
        "name: seconds, resource_type: VPC, resource: lab, aggregation_interval: 1s, empty_intervals: skip",
    )
}

#[test]
fn intervals_are_aligned_and_their_rows_add_up_to_what_passed() {
    let mut lab = every_second().start();
    let (a, b) = lab.pair("a", "b");
    let (client, server) = (a.udp(4000), b.udp(53));
    for _ in 0..70 {
        client.send_to(b"tick", (b.ip(), 53)).unwrap();
        server.recv(&mut [0; 16]).unwrap();
        thread::sleep(Duration::from_millis(50));
    }
    let records = lab.finish();
    let rows = records.pick(|row| row.port == "b");
    assert!(rows.len() >= 4, "3.5 seconds touch 4 intervals: {rows:#?}");
    assert_eq!(rows.iter().map(|row| row.packets).sum::<u64>(), 70);
    for row in rows {
        assert_eq!(row.start_s, row.end_s, "a row lies within its second");
        // The name tells the interval's start, by default as …_2026-11-23T05:00:00Z.
        let seconds = format!(":{:02}Z", row.start_s % 60);
        assert!(
            row.file.to_string_lossy().contains(&seconds),
            "{}: {seconds}",
            row.file.display()
        );
    }
}

#[test]
fn a_file_appears_at_the_end_of_its_interval_while_the_switch_runs() {
    let mut lab = every_second().start();
    let (a, b) = lab.pair("a", "b");
    assert!(a.pings(b.ip(), 1, 56));
    netns_tests::eventually("the interval's file", || lab.records(0).rows().len() >= 4);
    let _ = lab.finish();
}

#[test]
fn loggers_on_one_port_do_not_disturb_each_other() {
    let base = "resource_type: VPC, resource: lab, empty_intervals: skip";
    let plan = every_second()
        .logger(&format!("name: two, {base}, aggregation_interval: 2s"))
        .logger(&format!("name: accepted, {base}, aggregation_interval: 15m, filter: ACCEPT"))
        .logger(&format!("name: dropped, {base}, aggregation_interval: 15m, filter: DROP"))
        .logger("name: one-port, resource_type: PORT, resource: b, aggregation_interval: 15m, empty_intervals: skip")
        .logger(&format!("name: setups, {base}, aggregation_interval: 15m, connection_setup_only: true"));
    let mut lab = plan.start();
    let (a, b) = lab.pair("a", "b");
    mixed_traffic(a, b);
    let all = lab.finish();
    let [two, accepted, dropped, one_port, setups] =
        [1, 2, 3, 4, 5].map(|number| lab.records(number));
    let sum = |records: &Records, filter: &str| {
        records
            .rows()
            .iter()
            .filter(|row| row.filter == filter)
            .map(|row| row.packets)
            .sum::<u64>()
    };
    for filter in ["ACCEPT", "DROP"] {
        assert_eq!(sum(&two, filter), sum(&all, filter));
    }
    assert_eq!(
        (sum(&accepted, "ACCEPT"), sum(&accepted, "DROP")),
        (sum(&all, "ACCEPT"), 0)
    );
    assert_eq!(
        (sum(&dropped, "DROP"), sum(&dropped, "ACCEPT")),
        (sum(&all, "DROP"), 0)
    );
    assert!(one_port.rows().iter().all(|row| row.port == "b"));
    assert_eq!(
        one_port.lines(),
        all.lines()
            .into_iter()
            .filter(|line| line.starts_with("b "))
            .collect()
    );
    // Two requests, a SYN, the answer's SYN with ACK; no reply, no data. And every refusal.
    assert_eq!(setups.packets("a egress icmp a>b ACCEPT"), 2);
    assert_eq!(
        setups.packets("b egress icmp b>a ACCEPT"),
        1,
        "b's own ping"
    );
    assert_eq!(setups.packets("a ingress icmp b>a ACCEPT"), 0);
    assert_eq!(setups.packets("a egress tcp a>b:80 ACCEPT"), 1);
    assert_eq!(setups.packets("b egress tcp b:80>a ACCEPT"), 1);
    assert_eq!(sum(&setups, "DROP"), sum(&all, "DROP"));
}

fn mixed_traffic(a: &Guest, b: &Guest) {
    assert!(a.pings(b.ip(), 2, 56));
    let (mut client, mut server) = a.connect(b, 80);
    assert!(carries(&mut client, &mut server, 100_000));
    drop((client, server));
    assert!(!b.pings(a.ip(), 1, 56));
    thread::sleep(SETTLED);
}

#[test]
fn what_is_not_recorded_is_counted_and_leaves_no_row() {
    let mut lab = server_plan().start();
    let (a, b) = lab.pair("a", "b");
    let (mac, to) = (a.port().mac(), b.port().mac());
    let multicast = std::net::Ipv4Addr::new(224, 1, 2, 3);
    let metadata = std::net::Ipv4Addr::new(169, 254, 169, 254);
    let group = packet::Mac([1, 0, 0x5e, 1, 2, 3]);
    a.send_raw(
        &packet::build::frame(mac, group)
            .ip(a.ip(), multicast)
            .udp(4000, 5000)
            .build(),
    );
    a.send_raw(
        &packet::build::frame(mac, to)
            .ip(a.ip(), metadata)
            .tcp(4000, 80)
            .flags(2)
            .build(),
    );
    a.send_raw(&a.packet(b).upper(112, &[0; 20]));
    thread::sleep(SETTLED);
    lab.finish().are(&[]);
}

#[test]
fn what_the_open_interval_holds_is_written_when_the_daemon_ends() {
    let mut lab: Lab = server_plan().start();
    let (a, b) = lab.pair("a", "b");
    assert!(a.pings(b.ip(), 4, 56));
    assert!(lab.records(0).rows().is_empty(), "15 minutes are not over");
    let records = lab.finish();
    assert_eq!(records.packets("b ingress icmp a>b ACCEPT"), 4);
    let left = std::fs::read_dir(lab.dir().join("flowlogs"))
        .unwrap()
        .count();
    assert_eq!(left, 1);
}

#[test]
fn a_second_run_in_the_same_interval_takes_another_name_and_overwrites_nothing() {
    let mut lab = server_plan().start();
    for _ in 0..2 {
        let (a, b) = lab.pair("a", "b");
        assert!(a.pings(b.ip(), 2, 56));
        lab.audit();
        lab.end();
        lab.start_daemon();
    }
    let records = lab.finish();
    assert_eq!(records.packets("b ingress icmp a>b ACCEPT"), 4);
    let mut files: Vec<_> = records.rows().iter().map(|row| row.file.clone()).collect();
    files.dedup();
    assert_eq!(files.len(), 2, "{files:?}");
}
