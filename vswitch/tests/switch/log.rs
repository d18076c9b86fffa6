//! O: what the log holds, and what it says of what it cannot hold.

use crate::laboratory::Lab;
use crate::setup::{NONE, OPEN, Setup};
use crate::talk::Talk;
use packet::{Direction, Reason};

fn limited(name: &str, flows: u32) -> Setup {
    Setup::of_b("out, in udp").port(name, |port| port.flow_limit = flows)
}

/// O03.
#[test]
fn a_packet_between_two_guests_is_recorded_at_both() {
    let mut lab = Lab::new(Setup::of_b("in tcp 80"));
    Talk::opens(("A", 4000), ("B", 80), &mut lab);
    let rows: Vec<String> = lab.rows().iter().map(ToString::to_string).collect();
    assert_eq!(
        rows,
        [
            "A> rule 6 10.0.0.10:4000 > 10.0.0.11:80 2p 80b f2",
            ">A reply 6 10.0.0.11:80 > 10.0.0.10:4000 1p 40b f18",
            "B> reply 6 10.0.0.11:80 > 10.0.0.10:4000 1p 40b f18",
            ">B rule 6 10.0.0.10:4000 > 10.0.0.11:80 2p 80b f2",
        ]
    );
}

/// O10, O12: refused tuples without end.
#[test]
fn a_flood_of_tuples_uses_up_its_own_share_and_the_rest_is_counted() {
    let mut lab = Lab::new(limited("A", 10));
    for port in 1..=100 {
        lab.sees("A", &format!("udp 10.0.9.9:{port} > B:9"), "A> spoof_ip");
        lab.sees("C", &format!("udp C:{port} > B:9"), "C> rule, >B rule");
    }
    let rows = lab.rows();
    assert_eq!(rows.iter().filter(|row| row.place == "A>").count(), 10);
    let others: u64 = rows
        .iter()
        .filter(|row| row.place != "A>")
        .map(|row| row.count.packets)
        .sum();
    assert_eq!(others, 200, "the others' records are complete");
    assert_eq!(lab.of("A").skipped.refused(Direction::Egress), 90);
    assert_eq!(
        (
            lab.told_skipped("A"),
            lab.told_skipped("C"),
            lab.told_skipped("B")
        ),
        (90, 0, 0)
    );
    // In the next window it has its share again.
    lab.tick(60_000);
    lab.sees("A", "udp 10.0.9.9:7 > B:9", "A> spoof_ip");
    lab.logs("A> spoof_ip 1");
}

/// Tuples that are let pass cost their sender too, at both ends of them.
#[test]
fn a_guest_that_has_used_up_its_share_is_in_its_victims_log_all_the_same() {
    let mut lab = Lab::new(limited("A", 10));
    flood(&mut lab, 30);
    let rows = lab.rows();
    let out = lab.of("A").skipped.both(Direction::Egress);
    assert_eq!(lab.told_skipped("A"), out);
    assert!(out >= 40, "{out}");
    assert_eq!(lab.of("B").skipped.both(Direction::Ingress), 0);
    let at_b = |verdict: &str| {
        rows.iter()
            .filter(|row| row.to_string().starts_with(verdict))
            .count()
    };
    assert_eq!((at_b(">B rule"), at_b(">B default_deny")), (30, 30));
}

/// What a port keeps for such senders is as much as its own share, beside it: the traffic of others is
/// recorded, and so is its own.
#[test]
fn what_a_port_keeps_for_floods_is_bounded_and_nobody_elses() {
    let mut lab = Lab::new(limited("A", 10).port("B", |port| port.flow_limit = 10));
    flood(&mut lab, 30);
    for port in 1..=10 {
        lab.sees("C", &format!("udp C:{port} > B:9"), "C> rule, >B rule");
    }
    // Two records each.
    for port in 1..=5 {
        let text = format!("udp B:{port} > C:99");
        lab.sees("B", &text, "B> rule, >C default_deny");
    }
    let rows = lab.rows();
    assert!(lab.told_skipped("B") >= 30, "{}", lab.told_skipped("B"));
    assert_eq!(lab.told_skipped("C"), 0);
    let count = |start: &str| {
        rows.iter()
            .filter(|row| row.to_string().starts_with(start))
            .count()
    };
    assert_eq!(count("C> rule"), 10);
    assert_eq!((count("B> rule"), count(">C default_deny")), (5, 5));
}

/// Allowed and refused tuples of A to B.
fn flood(lab: &mut Lab, ports: u16) {
    for port in 1..=ports {
        lab.sees("A", &format!("udp A:{port} > B:9"), "A> rule, >B rule");
        lab.sees(
            "A",
            &format!("tcp A:{port} > B:9"),
            "A> rule, >B default_deny",
        );
    }
}

/// A tuple that has a record keeps it, however full the share is.
#[test]
fn a_flow_that_is_recorded_stays_recorded() {
    let mut lab = Lab::new(limited("A", 2));
    for _ in 0..50 {
        lab.sees("A", "udp 10.0.9.9:1 > B:9", "A> spoof_ip");
        lab.sees("A", "udp 10.0.9.9:2 > B:9", "A> spoof_ip");
        lab.sees("A", "udp 10.0.9.9:3 > B:9", "A> spoof_ip");
    }
    let rows = lab.rows();
    assert_eq!(
        rows.iter().map(|row| row.count.packets).collect::<Vec<_>>(),
        [50, 50]
    );
    assert_eq!(lab.told_skipped("A"), 50);
}

/// A share is for each window: flows that go on from one into the next are charged in both.
#[test]
fn flows_that_go_on_are_charged_in_every_window() {
    let mut lab = Lab::new(limited("A", 10));
    for window in 0..5 {
        // Old tuples first, before the sweep of the closed window has been there.
        for port in 1..=10 * (window + 1) {
            lab.send("A", &format!("udp 10.0.9.9:{port} > B:9"));
        }
        lab.wait(60_000);
    }
    lab.tick(60_000);
    let mut windows = std::collections::BTreeMap::<u64, usize>::new();
    for row in lab.rows() {
        *windows.entry(row.key.window_s).or_default() += 1;
    }
    assert_eq!(windows.into_values().collect::<Vec<_>>(), [10; 5]);
    assert_eq!(
        lab.told_skipped("A"),
        (1..=5).map(|n| 10 * (n - 1)).sum::<u64>()
    );
}

/// What one tuple can be made to leave in the log within a window is charged as well.
#[test]
fn records_made_by_alternating_rules_are_charged() {
    let rules = "out4 icmp type 8, out4 icmp type 13";
    let setup = Setup::new()
        .group("A", rules)
        .port("A", |port| port.flow_limit = 4);
    let mut lab = Lab::new(setup.unplug("B").unplug("C").unplug("U"));
    for _ in 0..20 {
        for kind in ["echo-request", "timestamp-request"] {
            lab.sees(
                "A",
                &format!("icmp A > 255.255.255.255 {kind} id=1"),
                "A> rule",
            );
        }
    }
    // Four records; the last of them goes on counting its own kind.
    let left: u64 = lab.rows().iter().map(|row| row.count.packets).sum();
    assert_eq!((left, lab.told_skipped("A")), (22, 18));
}

/// O11.
#[test]
fn a_refused_packet_sent_again_and_again_is_one_record() {
    let mut lab = Lab::new(Setup::new());
    for _ in 0..2000 {
        lab.send("A", "tcp A:1 > B:80 syn");
    }
    let rows: Vec<String> = lab.rows().iter().map(ToString::to_string).collect();
    assert_eq!(
        rows,
        [
            "A> rule 6 10.0.0.10:1 > 10.0.0.11:80 2000p 80000b f2",
            ">B default_deny 6 10.0.0.10:1 > 10.0.0.11:80 2000p 80000b f2",
        ]
    );
}

/// O13.
#[test]
fn a_queue_that_is_full_is_congestion_and_no_drop() {
    let mut lab = Lab::new(Setup::of_b("in udp"));
    lab.full = vec!["B"];
    for _ in 0..10 {
        lab.sees("A", "udp A:1 > B:9", "A> rule, >B rule");
    }
    let counters = lab.of("B");
    assert_eq!((counters.delivered, counters.tx_lost), (0, 10));
    assert_eq!(counters.refused.iter().sum::<u64>(), 0);
    lab.logs("A> rule 10, >B rule 10");
}

/// O16 and SPEC section 5.3: what is not recorded is counted by kind.
#[test]
fn what_is_not_recorded_is_counted_by_kind() {
    use flowlog::NotRecorded as N;
    let mut lab = Lab::new(Setup::of_b(OPEN));
    let cases = [
        ("udp A6:1 > B6:9", N::Ipv6),
        ("udp A:1 > 239.1.1.1:9", N::Multicast),
        ("udp A:1 > 169.254.169.254:80", N::Metadata),
        ("arp who-has 10.0.0.11 tell 10.0.0.11", N::Arp),
        ("proto=112 A > B", N::OtherProtocol),
        ("eth 0x88cc len=46", N::NonIp),
    ];
    for (text, kind) in cases {
        let before = lab.not_recorded("A", kind);
        lab.send("A", text);
        assert_eq!(lab.not_recorded("A", kind), before + 1, "{text}");
    }
    let broken = lab.frame("A", "udp A:1 > B:9")[..30].to_vec();
    lab.send_frame("A", &broken);
    lab.send_frame("A", &[0; 5]);
    assert_eq!(lab.not_recorded("A", N::Malformed), 2);
    assert_eq!(lab.refused("A", Reason::Malformed), 2);
    lab.logs("");
}

/// O25.
#[test]
fn connections_that_use_one_tuple_in_a_window_share_its_record() {
    let mut lab = Lab::new(Setup::of_b("in tcp 80"));
    for round in 0..3 {
        let mut talk = Talk::new(("A", 4000), ("B", 80)).starting_at(round * 1_000_000);
        talk.handshake(&mut lab);
        talk.closes(&mut lab);
    }
    let rows = lab.rows();
    assert_eq!(rows.len(), 4);
    let opened: Vec<u64> = rows.iter().map(|row| row.count.opened).collect();
    assert_eq!(opened, [3, 0, 0, 3]);
}

/// Nobody is there: ACCEPT at the sender, and a counter.
#[test]
fn a_packet_that_no_port_takes_was_accepted_and_is_counted() {
    let mut lab = Lab::new(Setup::new().unplug("U"));
    lab.sees("A", "udp A:1 > 10.0.0.99:9", "A> rule, nobody");
    lab.sees(
        "A",
        "udp A:1 > 10.0.0.99:9 to A.mac from fa:16:3e:00:00:0b",
        "A> spoof_mac",
    );
    assert_eq!(lab.of("A").no_port, 1);
    lab.logs("A> rule 1, A> spoof_mac 1");
}

/// SPEC section 5.1: who tells a refusal.
#[test]
fn a_refusal_is_told_at_the_first_port_that_filters() {
    let mut lab = Lab::new(Setup::of_b("in").unfiltered("C"));
    let lone = |from: &str, to: &str| format!("tcp {from}:1 > {to}:80 syn,ack");
    lab.sees("A", &lone("A", "B"), "A> ct_invalid");
    lab.sees("C", &lone("C", "B"), "C> unfiltered, >B ct_invalid");
    lab.sees("A", &lone("A", "C"), "A> ct_invalid");
    // Where nobody filters, nobody keeps state.
    lab.sees("C", &lone("C", "X"), "C> unfiltered, >U unfiltered");
    assert!(lab.connections().is_empty());
}

/// Many packets of one direction, more bytes than a tally holds.
#[test]
fn more_bytes_than_a_tally_holds_are_handed_over_and_not_lost() {
    let mut lab = Lab::new(Setup::of_b("in tcp").port("B", |port| port.mtu = 65535));
    let talk = Talk::opens(("A", 4000), ("B", 80), &mut lab);
    lab.rows();
    let (_, text) = talk.segment(0, "psh,ack");
    let frame = lab.frame("A", &format!("{text} len=65000"));
    // With so small segments that every frame stands for nearly 53 MB of headers and payload.
    let gso = packet::Gso {
        kind: packet::GsoKind::Tcp4,
        size: 1,
    };
    let offload = packet::Offload {
        needs_checksum: true,
        gso: Some(gso),
        data_valid: false,
    };
    let mut frames = 0_u64;
    for _ in 0..2000 {
        frames += u64::from(lab.send_offload("A", offload, &frame).fate == "A> rule, >B rule");
    }
    let rows = lab.rows();
    let count = rows.iter().find(|row| row.place == ">B").unwrap().count;
    assert_eq!(
        (count.packets, count.bytes),
        (frames * 65_000, frames * 65_000 * 41)
    );
    assert!(frames == 2000 && count.bytes > u64::from(u32::MAX));
}

/// With a logger that keeps connection setups alone, setups and the rest are handed over apart.
#[test]
fn setups_are_handed_over_apart_where_a_logger_keeps_them_alone() {
    let mut lab = Lab::new(
        Setup::of_b("in tcp")
            .group("C", NONE)
            .set(|config| config.recording.setup_apart = true),
    );
    let mut talk = Talk::opens(("A", 4000), ("B", 80), &mut lab);
    for _ in 0..10 {
        talk.passes(&mut lab, 0, "psh,ack", 10);
        talk.passes(&mut lab, 1, "ack", 0);
        lab.sees("A", "tcp A:4000 > C:80 syn", "A> rule, >C default_deny");
    }
    lab.logs("A> rule 22, >B rule 12, B> reply 11, >A reply 11, >C default_deny 10");
}
