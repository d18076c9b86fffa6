//! What passes and what does not, with the kernel's stack at both ends, and what the log says of it.

#![allow(
    clippy::unwrap_used,
    reason = "a test says what it expects by panicking"
)]

use netns_tests::{
    Guest, Plan, Seen, carries, eventually,
    rules::{any_in, any_in_v6, ping_in, tcp_in, tcp_out, udp_in},
};
use packet::build::fragments;
use std::{io::ErrorKind, time::Duration};

/// Long enough for a frame to have arrived, had it been let through.
const SHORT: Duration = Duration::from_millis(700);

#[test]
fn a_ping_passes_where_a_rule_lets_it_in_and_its_answer_needs_none() {
    let plan = Plan::new().group("ping", &[ping_in()]);
    let mut lab = plan.guest("a", &["out"]).guest("b", &["ping"]).start();
    let (a, b) = lab.pair("a", "b");
    assert!(a.pings(b.ip(), 5, 56));
    assert!(!b.pings(a.ip(), 1, 56), "nothing lets it in at a");

    let records = lab.finish();
    records.are(&[
        "a egress icmp a>b ACCEPT",
        "b ingress icmp a>b ACCEPT",
        "b egress icmp b>a ACCEPT",
        "a ingress icmp b>a ACCEPT",
        "a ingress icmp b>a DROP",
    ]);
    assert_eq!(records.packets("a egress icmp a>b ACCEPT"), 5);
    assert_eq!(records.packets("a ingress icmp b>a ACCEPT"), 5);
    assert_eq!(records.packets("b egress icmp b>a ACCEPT"), 5 + 1);
}

#[test]
fn a_connection_that_a_rule_allows_carries_data_both_ways() {
    let plan = Plan::new().group("web", &[tcp_in(80)]);
    let mut lab = plan.guest("a", &["out"]).guest("b", &["web"]).start();
    let (a, b) = lab.pair("a", "b");
    let (mut client, mut server) = a.connect(b, 80);
    assert!(carries(&mut client, &mut server, 1 << 20));
    assert!(carries(&mut server, &mut client, 1 << 20));
    drop((client, server));
    std::thread::sleep(SHORT);

    let records = lab.finish();
    records.are(&[
        "a egress tcp a>b:80 ACCEPT",
        "b ingress tcp a>b:80 ACCEPT",
        "b egress tcp b:80>a ACCEPT",
        "a ingress tcp b:80>a ACCEPT",
    ]);
    // SYN and FIN from the opener; SYN with ACK and FIN from the other side.
    assert_eq!(records.flags("a egress tcp a>b:80 ACCEPT") & !4, 3);
    assert_eq!(records.flags("b egress tcp b:80>a ACCEPT") & !4, 19);
}

#[test]
fn a_connection_refused_at_the_sender_leaves_one_record_and_nothing_at_the_receiver() {
    let plan = Plan::new()
        .group("ssh-out", &[tcp_out(22, "0.0.0.0/0")])
        .group("open", &[any_in()]);
    let mut lab = plan.guest("a", &["ssh-out"]).guest("b", &["open"]).start();
    let (a, b) = lab.pair("a", "b");
    let connect = || {
        let error = a.connect_within((b.ip(), 80), SHORT).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
    };
    assert!(!b.sees(SHORT, connect, |frame| frame.is_to(6, 80)));
    assert!(lab.drops("a", "default_deny") >= 1);
    lab.finish().are(&["a egress tcp a>b:80 DROP"]);
}

#[test]
fn a_connection_refused_at_the_receiver_is_accepted_there_refused_here_and_leaves_no_state() {
    let plan = Plan::new().guest("a", &["out"]).guest("b", &["out"]);
    let mut lab = plan.start();
    let (a, b) = lab.pair("a", "b");
    let connect = || {
        let error = a.connect_within((b.ip(), 80), SHORT).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
    };
    assert!(!b.sees(SHORT, connect, |frame| frame.is_to(6, 80)));

    // The very tuple of an answer: without state it is a new packet that nothing lets in (S05).
    let request = a.packet(b).udp(4000, 53).payload(b"?").build();
    let answer = b.packet(a).udp(53, 4000).payload(b"!").build();
    assert!(!b.sees(SHORT, || a.send_raw(&request), |frame| frame.is_to(17, 53)));
    assert!(!a.sees(SHORT, || b.send_raw(&answer), |frame| frame.is_to(17, 4000)));

    lab.finish().are(&[
        "a egress tcp a>b:80 ACCEPT",
        "b ingress tcp a>b:80 DROP",
        "a egress udp a:4000>b:53 ACCEPT",
        "b ingress udp a:4000>b:53 DROP",
        "b egress udp b:53>a:4000 ACCEPT",
        "a ingress udp b:53>a:4000 DROP",
    ]);
}

#[test]
fn udp_passes_by_port_and_its_answers_pass_without_a_rule() {
    let plan = Plan::new().group("dns", &[udp_in(53)]);
    let mut lab = plan.guest("a", &["out"]).guest("b", &["dns"]).start();
    let (a, b) = lab.pair("a", "b");
    let (client, server) = (a.udp(4000), b.udp(53));
    let refused = b.udp(54);
    refused.set_read_timeout(Some(SHORT)).unwrap();
    for _ in 0..10 {
        client.send_to(b"question", (b.ip(), 53)).unwrap();
        let mut buffer = [0; 64];
        let (len, from) = server.recv_from(&mut buffer).unwrap();
        assert_eq!(&buffer[..len], b"question");
        server.send_to(b"answer", from).unwrap();
        client.recv_from(&mut buffer).unwrap();
    }
    client.send_to(b"question", (b.ip(), 54)).unwrap();
    assert!(refused.recv_from(&mut [0; 64]).is_err());

    let records = lab.finish();
    records.are(&[
        "a egress udp a:4000>b:53 ACCEPT",
        "b ingress udp a:4000>b:53 ACCEPT",
        "b egress udp b:53>a:4000 ACCEPT",
        "a ingress udp b:53>a:4000 ACCEPT",
        "a egress udp a:4000>b:54 ACCEPT",
        "b ingress udp a:4000>b:54 DROP",
    ]);
    assert_eq!(records.packets("b ingress udp a:4000>b:53 ACCEPT"), 10);
}

#[test]
fn a_guest_without_groups_says_and_hears_nothing() {
    let plan = Plan::new()
        .group("open", &[any_in()])
        .guest("a", &[])
        .guest("b", &["open"]);
    let mut lab = plan.start();
    let (a, b) = lab.pair("a", "b");
    assert!(!a.pings(b.ip(), 1, 56));
    assert!(!b.pings(a.ip(), 1, 56));
    lab.finish().are(&[
        "a egress icmp a>b DROP",
        "b egress icmp b>a ACCEPT",
        "a ingress icmp b>a DROP",
    ]);
}

#[test]
fn ipv6_is_judged_by_its_own_rules_and_not_recorded() {
    let plan = Plan::new().group("six", &[any_in_v6()]);
    let mut lab = plan
        .guest("a", &["out"])
        .guest("b", &["six"])
        .guest("c", &["out"])
        .start();
    let (a, b) = lab.pair("a", "b");
    assert!(a.pings(b.port().ip6(), 3, 56));
    assert!(a.pings(b.port().ip6(), 1, 3200), "fragments too");
    assert!(!a.pings(b.ip(), 1, 56));
    assert!(!a.pings(lab.guest("c").port().ip6(), 1, 56));
    lab.finish()
        .are(&["a egress icmp a>b ACCEPT", "b ingress icmp a>b DROP"]);
}

#[test]
fn two_subnets_never_meet() {
    let plan = Plan::new()
        .group("open", &[any_in()])
        .guest("a", &["open"])
        .port("b", |port| {
            port.subnet = 2;
            port.groups = vec!["open".into()];
        });
    let mut lab = plan.start();
    let (a, b) = lab.pair("a", "b");
    // By its MAC, as if it were a neighbour, and by everybody's.
    let direct = a.packet(b).udp(4000, 5000).payload(b"x").build();
    let mut broadcast = direct.clone();
    broadcast[..6].fill(0xff);
    let send = || {
        for _ in 0..5 {
            a.send_raw(&direct);
            a.send_raw(&broadcast);
        }
    };
    assert!(!b.sees(SHORT, send, |frame| frame.is_from(a.port().mac())));
    lab.finish().are(&["a egress udp a:4000>b:5000 ACCEPT"]);
}

#[test]
fn one_broadcast_is_one_egress_record_and_a_verdict_for_each_receiver() {
    let plan = Plan::new().group("five", &[udp_in(5000)]);
    let plan = plan
        .guest("a", &["out"])
        .guest("b", &["five"])
        .guest("c", &["out"]);
    let mut lab = plan.start();
    let (a, b) = lab.pair("a", "b");
    let c = lab.guest("c").watch();
    let socket = b.udp(5000);
    let sender = a.udp(4000);
    // A directed broadcast: the limited one has no route in a guest without gateway.
    sender.send_to(b"all", ("10.77.1.255", 5000)).unwrap();
    let mut buffer = [0; 16];
    socket.recv_from(&mut buffer).unwrap();
    let limited = packet::build::frame(a.port().mac(), packet::Mac([0xff; 6]));
    let limited = limited
        .ip(a.ip(), std::net::Ipv4Addr::BROADCAST)
        .udp(4000, 5000)
        .payload(b"all")
        .build();
    a.send_raw(&limited);
    socket.recv_from(&mut buffer).unwrap();
    assert!(!c.until(SHORT, |frame| frame.is_to(17, 5000)));
    drop(c);

    let records = lab.finish();
    let mut lines = vec![];
    for to in ["10.77.1.255:5000", "255.255.255.255:5000"] {
        lines.push(format!("a egress udp a:4000>{to} ACCEPT"));
        lines.push(format!("b ingress udp a:4000>{to} ACCEPT"));
        lines.push(format!("c ingress udp a:4000>{to} DROP"));
    }
    records.are(&lines.iter().map(String::as_str).collect::<Vec<_>>());
    assert!(records.rows().iter().all(|row| row.packets == 1));
}

#[test]
fn an_icmp_error_about_an_allowed_flow_comes_back_without_a_rule() {
    let plan = Plan::new().group("nine", &[udp_in(9)]);
    let mut lab = plan.guest("a", &["out"]).guest("b", &["nine"]).start();
    let (a, b) = lab.pair("a", "b");
    let socket = a.udp(4000);
    socket.connect((b.ip(), 9)).unwrap();
    socket.send(b"anyone?").unwrap();
    let error = socket.recv(&mut [0; 16]).unwrap_err();
    assert_eq!(
        error.kind(),
        ErrorKind::ConnectionRefused,
        "port unreachable"
    );
    lab.finish().are(&[
        "a egress udp a:4000>b:9 ACCEPT",
        "b ingress udp a:4000>b:9 ACCEPT",
        "b egress icmp b>a ACCEPT",
        "a ingress icmp b>a ACCEPT",
    ]);
}

#[test]
fn an_icmp_error_about_nothing_is_refused_even_where_a_rule_lets_icmp_in() {
    let icmp = "direction: ingress, protocol: icmp";
    let plan = Plan::new().group("icmp", &[icmp]);
    let mut lab = plan.guest("a", &["out"]).guest("b", &["icmp"]).start();
    let (a, b) = lab.pair("a", "b");
    let quoted = b.packet(a).udp(7, 7).payload(b"never sent").build();
    let error = a.packet(b).icmp(3, 3).quote(&quoted, 28).build();
    assert!(!b.sees(SHORT, || a.send_raw(&error), |frame| frame.is_to(1, 0)));
    assert_eq!(
        lab.drops("a", "ct_invalid"),
        1,
        "told by the first filtering port"
    );
    lab.finish().are(&["a egress icmp a>b DROP"]);
}

#[test]
fn fragments_that_follow_their_first_pass_and_count_one_packet_each() {
    let plan = Plan::new().group("ping", &[ping_in()]);
    let mut lab = plan.guest("a", &["out"]).guest("b", &["ping"]).start();
    let (a, b) = lab.pair("a", "b");
    assert!(a.pings(b.ip(), 1, 3200));
    let records = lab.finish();
    assert_eq!(records.packets("a egress icmp a>b ACCEPT"), 3);
    assert_eq!(records.packets("b ingress icmp a>b ACCEPT"), 3);
    assert_eq!(records.packets("b egress icmp b>a ACCEPT"), 3);
    assert_eq!(records.packets("a ingress icmp b>a ACCEPT"), 3);
    assert_eq!(records.lines().len(), 4, "{:?}", records.lines());
}

/// Both kernels put them together: what the switch holds back goes on as it came.
#[test]
fn datagrams_whose_fragments_come_backwards_arrive_whole() {
    const LEN: usize = 8000;
    let plan = Plan::new().group("some", &[ping_in(), udp_in(1000)]);
    let mut lab = plan.guest("a", &["out"]).guest("b", &["some"]).start();
    let (a, b) = lab.pair("a", "b");
    let backwards = |from: &Guest, datagram: &[u8], id| {
        let pieces = fragments(datagram, 1480, id);
        for piece in pieces.iter().rev() {
            from.send_raw(piece);
        }
        pieces.len() as u64
    };
    let payload: Vec<u8> = (0..LEN).map(|i| (i * 31 % 251) as u8).collect();
    let (client, server) = (a.udp(4000), b.udp(1000));
    let mut got = [0; LEN + 1];

    let asked = a.packet(b).udp(4000, 1000).payload(&payload).build();
    let pieces = backwards(a, &asked, 1);
    assert_eq!(server.recv(&mut got).unwrap(), LEN);
    assert!(got[..LEN] == payload);
    let answered = b.packet(a).udp(1000, 4000).payload(&payload).build();
    assert_eq!(backwards(b, &answered, 2), pieces);
    assert_eq!(client.recv(&mut got).unwrap(), LEN);
    assert!(got[..LEN] == payload);

    // The answer is the kernel's own, in order.
    let ping = a
        .packet(b)
        .icmp(8, 0)
        .id(77)
        .seq(1)
        .payload(&payload[..4000]);
    let answer = |frame: &Seen| frame.bytes[12..14] == [8, 0] && frame.bytes[23] == 1;
    let answers = a.watch();
    let pings = backwards(a, &ping.build(), 3);
    std::thread::sleep(SHORT);
    let answers = answers.stop();
    let answers = answers
        .iter()
        .filter(|frame| frame.is_from(b.port().mac()) && answer(frame));
    assert_eq!(answers.count() as u64, pings);

    let records = lab.finish();
    for (line, count) in [
        ("a egress udp a:4000>b:1000 ACCEPT", pieces),
        ("b ingress udp a:4000>b:1000 ACCEPT", pieces),
        ("b egress udp b:1000>a:4000 ACCEPT", pieces),
        ("a ingress udp b:1000>a:4000 ACCEPT", pieces),
        ("b ingress icmp a>b ACCEPT", pings),
        ("a ingress icmp b>a ACCEPT", pings),
    ] {
        assert_eq!(
            records.packets(line),
            count,
            "{line}: {:?}",
            records.lines()
        );
    }
}

#[test]
fn every_fragment_of_a_refused_datagram_is_refused() {
    let plan = Plan::new().group("thousand", &[udp_in(1000)]);
    let mut lab = plan.guest("a", &["out"]).guest("b", &["thousand"]).start();
    let (a, b) = lab.pair("a", "b");
    let datagram = |port| a.packet(b).udp(4000, port).payload(&[7; 2000]).build();
    let (good, bad) = (
        fragments(&datagram(1000), 512, 1),
        fragments(&datagram(1001), 512, 2),
    );
    assert!(good.len() >= 4, "four pieces: {}", good.len());
    let watch = b.watch();
    for fragment in good.iter().chain(&bad) {
        a.send_raw(fragment);
    }
    std::thread::sleep(SHORT);
    let arrived = watch.stop();
    let arrived = arrived
        .iter()
        .filter(|frame| frame.is_from(a.port().mac()) && frame.bytes[12..14] == [8, 0]);
    assert_eq!(arrived.count(), good.len());
    let records = lab.finish();
    assert_eq!(
        records.packets("b ingress udp a:4000>b:1000 ACCEPT"),
        good.len() as u64
    );
    assert_eq!(
        records.packets("b ingress udp a:4000>b:1001 DROP"),
        bad.len() as u64
    );
}

#[test]
fn tcp_packets_that_no_connection_explains_are_refused_although_a_rule_matches() {
    let plan = Plan::new().group("open", &[any_in()]);
    let mut lab = plan.guest("a", &["out"]).guest("b", &["open"]).start();
    let (a, b) = lab.pair("a", "b");
    // SYN+ACK, FIN, FIN+ACK, RST, null, Xmas, SYN+FIN, SYN+RST (T01).
    let flags = [0x12, 0x01, 0x11, 0x04, 0x00, 0x29, 0x03, 0x06];
    let send = || {
        for (port, flags) in (4000..).zip(flags) {
            a.send_raw(&a.packet(b).tcp(port, 80).flags(flags).build());
        }
    };
    assert!(!b.sees(SHORT, send, |frame| frame.is_to(6, 80)));
    assert_eq!(lab.drops("a", "ct_invalid"), flags.len() as u64);
    let records = lab.finish();
    assert!(
        records
            .rows()
            .iter()
            .all(|row| row.port == "a" && row.filter == "DROP")
    );
    assert_eq!(records.rows().len(), flags.len());
}

#[test]
fn at_the_level_trace_the_daemon_logs_every_refused_packet() {
    let plan = Plan::new().log_levels("vswitch::refusals=trace");
    let mut lab = plan.guest("a", &["out"]).guest("b", &["out"]).start();
    let (a, b) = lab.pair("a", "b");
    let refused = a.connect_within((b.ip(), 22), SHORT);
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::TimedOut);
    // With another guest's addresses.
    a.send_raw(&b.packet(a).udp(5, 6).build());
    let syn = format!("DROP(default_deny) ingress at b: tcp {}:", a.ip());
    let spoofed = format!(
        "DROP(spoof_mac) egress at a: udp {}:5 > {}:6",
        b.ip(),
        a.ip()
    );
    eventually("both are logged", || {
        let log = lab.daemon().log();
        log.contains(&spoofed)
            && log
                .lines()
                .any(|line| line.contains(&syn) && line.contains(":22 syn"))
    });
    let _ = lab.finish();
}
