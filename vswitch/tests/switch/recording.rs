//! What the switch tells apart where a logger asks for it, and what else it records then.

use crate::laboratory::Lab;
use crate::setup::{NONE, OPEN, Setup, mac};
use flowlog::{NotRecorded, Recording};
use packet::{Direction, Mac};
use secgroup::conntrack::Way;
use std::net::IpAddr;
use vswitch::switch::{Share, icmp_of, tallied, tuple_of};

fn asked(recording: Recording, setup: Setup) -> Lab {
    Lab::new(setup.set(|config| config.recording = recording))
}

fn everything() -> Recording {
    Recording {
        everything: true,
        ..Recording::default()
    }
}

/// What left of one family: the place, the protocol and what `detail` says, with the packets; sorted.
fn left<A: Copy + Into<IpAddr>>(
    lab: &Lab,
    share: &Share<A>,
    detail: impl Fn(usize, Way) -> String,
) -> Vec<String> {
    let mut all = Vec::new();
    for (place, left) in share.left.iter().enumerate() {
        for record in tallied(&left.conn).into_iter().flatten() {
            let packets = left.with[record.way as usize].packets;
            let name = lab.name(record.port);
            let at = match record.direction {
                Direction::Ingress => format!(">{name}"),
                _ => format!("{name}>"),
            };
            let protocol = tuple_of(&left.conn, record.way).protocol;
            if packets > 0 {
                all.push(format!(
                    "{at} {protocol} {} {packets}",
                    detail(place, record.way)
                ));
            }
        }
    }
    all.sort();
    all
}

/// Everything of IPv4 that left until now, with what `detail` says of it.
fn left_v4(lab: &mut Lab, detail: fn(&Share<[u8; 4]>, usize, Way) -> String) -> Vec<String> {
    lab.switch.flush(lab.now);
    lab.check_audit();
    let chunks = lab.switch.fetch_log();
    let of_chunk = |chunk: &vswitch::switch::Chunk| {
        left(lab, &chunk.v4, |place, way| detail(&chunk.v4, place, way))
    };
    chunks.iter().flat_map(of_chunk).collect()
}

fn kind_and_code(share: &Share<[u8; 4]>, place: usize, way: Way) -> String {
    match icmp_of(&share.left[place].conn, way) {
        Some((kind, code)) => format!("{kind}/{code}"),
        None => "-".to_owned(),
    }
}

fn epoch(share: &Share<[u8; 4]>, place: usize, _: Way) -> String {
    format!("epoch {}", share.left[place].conn.policy_epoch)
}

fn pair(share: &Share<[u8; 4]>, place: usize, way: Way) -> String {
    let [src, dst] = share.macs[place][way as usize];
    format!("{src} {dst}")
}

#[test]
fn icmp_messages_are_counted_by_type_and_code() {
    let recording = Recording {
        icmp_apart: true,
        ..Recording::default()
    };
    let mut lab = asked(recording, Setup::of_b("out, in icmp").group("A", OPEN));
    lab.send("A", "icmp A > B echo-request id=7");
    lab.send("B", "icmp B > A echo-reply id=7");
    lab.send("B", "icmp B > A echo-reply id=9");
    lab.send("A", "icmp A > B timestamp-request id=1");
    lab.send("A", "icmp A > B redirect");
    assert_eq!(
        left_v4(&mut lab, kind_and_code),
        [
            ">A 1 0/0 1",
            ">B 1 13/0 1",
            ">B 1 5/0 1",
            ">B 1 8/0 1",
            "A> 1 13/0 1",
            "A> 1 5/0 1",
            "A> 1 8/0 1",
            "B> 1 0/0 1",
            "B> 1 0/0 1",
        ]
        .map(String::from)
    );
}

#[test]
fn nobody_asking_icmp_refusals_of_any_type_are_one_record() {
    let mut lab = asked(Recording::default(), Setup::new());
    lab.send("A", "icmp A > B echo-reply id=9");
    lab.send("A", "icmp A > B echo-reply id=10");
    lab.send("A", "icmp A > B redirect");
    let refused = left_v4(&mut lab, kind_and_code);
    assert!(refused.iter().all(|row| row.contains(" - ")), "{refused:?}");
}

#[test]
fn a_policy_that_changes_within_a_window_parts_the_counts() {
    let recording = Recording {
        epochs_apart: true,
        ..Recording::default()
    };
    let mut lab = asked(recording, Setup::of_b("in udp"));
    let first = lab.switch.policy_epoch();
    for turn in 0..3 {
        lab.send("A", "udp A:1 > B:53");
        lab.send("A", "udp A:1 > B:53");
        lab.send("A", "tcp A:1 > B:80 syn");
        // The sweep finds what is stale before the next packet does.
        lab.tick(1_500);
        if turn < 2 {
            lab.group("C", NONE);
        }
    }
    lab.rows();
    let mut lab = asked(recording, Setup::of_b("in udp"));
    for _ in 0..2 {
        lab.send("A", "udp A:1 > B:53");
        lab.send("A", "tcp A:1 > B:80 syn");
        lab.group("C", NONE);
    }
    let rows = left_v4(&mut lab, epoch);
    let of = |epoch: u16| {
        let end = format!("epoch {epoch} 1");
        rows.iter().filter(|row| row.ends_with(&end)).count()
    };
    assert_eq!(
        (of(first), of(first + 1), rows.len()),
        (4, 4, 8),
        "{rows:?}"
    );
}

#[test]
fn mac_addresses_are_told_apart_at_ports_that_may_have_several() {
    let recording = Recording {
        macs_apart: true,
        ..Recording::default()
    };
    let mut lab = asked(recording, Setup::of_b("in udp").unfiltered("A"));
    let (own, other) = (mac(10), Mac([2, 0, 0, 0, 0, 9]));
    for source in [own, own, other, own] {
        let mut frame = lab.frame("A", "udp A:1 > B:53");
        frame[6..12].copy_from_slice(&source.0);
        lab.send_frame("A", &frame);
    }
    let to = mac(11);
    let rows = left_v4(&mut lab, pair);
    let mut expected = Vec::new();
    for place in [">B", "A>"] {
        expected.push(format!("{place} 17 {other} {to} 1"));
        expected.push(format!("{place} 17 {own} {to} 1"));
        expected.push(format!("{place} 17 {own} {to} 2"));
    }
    let mut rows = rows;
    rows.sort();
    expected.sort();
    assert_eq!(rows, expected);
}

/// The laboratory holds the log against what was foretold, and the audit at every packet.
#[test]
fn where_a_logger_collects_all_ipv6_and_other_protocols_are_recorded_too() {
    let mut lab = asked(everything(), Setup::of_b(OPEN));
    lab.send("A", "udp A6:1 > B6:53");
    lab.send("B", "udp B6:53 > A6:1");
    lab.send("A", "tcp A6:2 > C6:80 syn");
    lab.send("A", "icmp A6 > B6 echo-request id=3");
    lab.send("A", "udp A:5353 > 224.0.0.251:5353");
    lab.send("A", "udp A:68 > 169.254.169.254:80");
    lab.send("A", "udp A:1 > B:53");
    let rows: Vec<String> = lab.rows().iter().map(ToString::to_string).collect();
    let has = |what: &str| rows.iter().any(|row| row.contains(what));
    assert!(
        has("2001:db8::10") && has("224.0.0.251") && has("169.254.169.254"),
        "{rows:?}"
    );
    assert!(has(">C default_deny 6 [2001:db8::10]:2"), "{rows:?}");
    for kind in [
        NotRecorded::Ipv6,
        NotRecorded::Multicast,
        NotRecorded::Metadata,
    ] {
        assert_eq!(lab.not_recorded("A", kind), 0, "{kind}");
    }
}

#[test]
fn a_group_mac_before_a_unicast_address_is_no_flow_of_that_address() {
    let mut lab = asked(everything(), Setup::of_b(OPEN));
    let mut frame = lab.frame("A", "udp A:1 > B:53");
    frame[..6].copy_from_slice(&[1, 0, 0x5e, 0, 0, 1]);
    lab.send_frame("A", &frame);
    assert!(lab.rows().is_empty());
    assert!(lab.not_recorded("A", NotRecorded::Multicast) > 0);
}

#[test]
fn a_flood_of_ipv6_tuples_takes_no_room_of_ipv4_and_is_counted() {
    let limit = |port: &mut vswitch::switch::PortConfig| port.flow_limit = 20;
    let mut lab = asked(everything(), Setup::of_b("in udp").port("A", limit));
    for port in 1..60 {
        lab.send("A", &format!("tcp A6:{port} > B6:80 syn"));
        lab.send("C", &format!("tcp C:{port} > B:80 syn"));
    }
    lab.rows();
    assert!(lab.told_skipped("A") > 0);
    assert_eq!(lab.told_skipped("C"), 0);
}

#[test]
fn a_flood_of_mac_addresses_uses_up_its_own_share() {
    let recording = Recording {
        macs_apart: true,
        ..Recording::default()
    };
    let limit = |port: &mut vswitch::switch::PortConfig| port.flow_limit = 20;
    let mut lab = asked(recording, Setup::new().unfiltered("A").port("A", limit));
    for last in 0..=99 {
        let mut frame = lab.frame("A", "udp A:1 > B:53");
        frame[11] = last;
        lab.send_frame("A", &frame);
    }
    lab.rows();
    assert!(lab.told_skipped("A") >= 60);
}

#[test]
fn what_all_ask_for_at_once_still_adds_up() {
    let recording = Recording {
        setup_apart: true,
        icmp_apart: true,
        epochs_apart: true,
        macs_apart: true,
        everything: true,
    };
    let mut lab = asked(
        recording,
        Setup::of_b("in icmp, in tcp 80, in udp").group("A", OPEN),
    );
    for round in 0..4 {
        for (from, text) in [
            ("A", "tcp A:4000 > B:80 syn"),
            ("A", "tcp A6:4000 > B6:80 syn"),
            ("B", "tcp B:80 > A:4000 syn,ack"),
            ("A", "udp A6:1 > B6:53"),
            ("B", "udp B6:53 > A6:1"),
            ("A", "icmp A > B echo-request id=7"),
            ("B", "icmp B > A echo-reply id=7"),
            ("A", "udp A:1 > 10.0.0.255:9"),
            ("C", "udp 10.0.9.9:1 > B:9"),
        ] {
            lab.send(from, text);
        }
        lab.tick(31_000);
        if round == 1 {
            lab.group("B", "in udp");
        }
    }
    lab.rows();
}

/// A connection is counted in the record that counts the packet which opened it, and in no other.
#[test]
fn a_connection_opened_while_its_packets_were_not_recorded_is_counted_nowhere() {
    let everything = |on| move |setup: Setup| setup.set(|config| config.recording.everything = on);
    let mut lab = Lab::new(Setup::of_b("out, in udp 9"));
    lab.sees(
        "A",
        "udp [2001:db8::10]:1 > [2001:db8::11]:9",
        "A> rule, >B rule",
    );
    lab.reload(everything(true));
    lab.sees(
        "A",
        "udp [2001:db8::10]:1 > [2001:db8::11]:9",
        "A> rule, >B rule",
    );
    let opened: Vec<u64> = lab.rows().iter().map(|row| row.count.opened).collect();
    assert_eq!(opened, [0, 0]);
}
