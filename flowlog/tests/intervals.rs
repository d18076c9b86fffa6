//! What becomes a row, and of which interval (SPEC sections 5.1, 5.2, 5.5).

mod support;

use flowlog::{
    Filter, Limits, Recording, Resource, Skipped, State, Tally, Tick, Window, base_window_s,
};
use packet::{Direction, Reason, Verdict, Wire};
use proptest::prelude::*;
use std::collections::BTreeMap;
use support::*;

const SUMS: &[&str] = &["direction", "filter", "packets", "bytes"];

#[test]
fn an_interval_holds_its_first_moment_and_not_its_end() {
    let dir = TempDir::new().unwrap();
    let mut collector = collector(&[logger(1, dir.path())]);
    let edges = tally(&[(0.0, 0), (59.9999, 0)]);
    collector.observe(minute(0), &Lab::new(), &sent(udp(1, 53), ACCEPT, edges));
    collector.observe(
        minute(1),
        &Lab::new(),
        &sent(udp(1, 53), ACCEPT, tally(&[(0.0, 0)])),
    );
    let times = ["timestamp_start", "timestamp_end", "packets"];
    let closed = collector.close(minute(0), &Lab::new(), &[]);
    assert_eq!(rows(&closed, &times), [format!("{T0} {} 2", T0 + 59)]);
    let closed = collector.close(minute(1), &Lab::new(), &[]);
    assert_eq!(
        rows(&closed, &times),
        [format!("{} {} 1", T0 + 60, T0 + 60)]
    );
}

#[test]
fn a_moment_beyond_the_window_stays_within_the_interval() {
    let dir = TempDir::new().unwrap();
    let mut collector = collector(&[logger(1, dir.path())]);
    collector.observe(
        minute(0),
        &Lab::new(),
        &sent(udp(1, 53), ACCEPT, tally(&[(1000.0, 0)])),
    );
    let closed = collector.close(minute(0), &Lab::new(), &[]);
    assert_eq!(rows(&closed, &["timestamp_end"]), [(T0 + 59).to_string()]);
}

/// O08.
#[test]
fn a_flow_of_three_and_a_half_minutes_has_four_rows_whose_sums_are_exact() {
    let dir = TempDir::new().unwrap();
    let mut collector = collector(&[logger(1, dir.path())]);
    let mut found = Vec::new();
    for (n, last_s) in [(0, 59.0), (1, 59.0), (2, 59.0), (3, 29.0)] {
        let o = sent(udp(1, 53), ACCEPT, tally(&[(1.0, 0), (last_s, 0)]));
        collector.observe(minute(n), &Lab::new(), &o);
        let closed = collector.close(minute(n), &Lab::new(), &[]);
        found.extend(rows(
            &closed,
            &["timestamp_start", "timestamp_end", "packets", "bytes"],
        ));
    }
    let expected = [(1, 59), (61, 119), (121, 179), (181, 209)]
        .map(|(first, last)| format!("{} {} 2 200", T0 + first, T0 + last));
    assert_eq!(found, expected);
}

/// O04.
#[test]
fn a_verdict_that_changes_within_an_interval_gives_two_rows_whose_sum_is_what_passed() {
    let dir = TempDir::new().unwrap();
    let mut collector = collector(&[logger(1, dir.path())]);
    collector.observe(
        minute(0),
        &Lab::new(),
        &received(udp(1, 53), ACCEPT, packets(30)),
    );
    collector.observe(
        minute(0),
        &Lab::new(),
        &received(udp(1, 53), DROP, packets(12)),
    );
    let closed = collector.close(minute(0), &Lab::new(), &[]);
    assert_eq!(
        rows(&closed, SUMS),
        ["ingress ACCEPT 30 3000", "ingress DROP 12 1200"]
    );
}

#[test]
fn reasons_of_one_verdict_share_a_row() {
    let dir = TempDir::new().unwrap();
    let mut collector = collector(&[logger(1, dir.path())]);
    let revoked = Verdict::Drop(Reason::Revoked);
    collector.observe(
        minute(0),
        &Lab::new(),
        &received(tcp(1, 80), DROP, packets(1)),
    );
    collector.observe(
        minute(0),
        &Lab::new(),
        &received(tcp(1, 80), revoked, packets(2)),
    );
    let closed = collector.close(minute(0), &Lab::new(), &[]);
    assert_eq!(rows(&closed, SUMS), ["ingress DROP 3 300"]);
}

/// O05.
#[test]
fn a_short_connection_shows_3_to_its_opener_and_19_on_the_other_side_and_a_reset_adds_4() {
    let dir = TempDir::new().unwrap();
    let mut collector = collector(&[logger(1, dir.path())]);
    let there = [(0.0, SYN), (0.1, ACK), (0.2, PSH_ACK), (0.3, FIN_ACK)];
    let back = [(0.05, SYN_ACK), (0.2, PSH_ACK), (0.4, FIN_ACK)];
    let (first, second) = (tcp(40_000, 80), tcp(40_001, 80));
    for o in [
        sent(first, ACCEPT, tally(&there)),
        received(first.reversed(), ACCEPT, tally(&back)),
        sent(second, ACCEPT, tally(&there)),
        sent(second, ACCEPT, tally(&[(0.5, RST)])),
        sent(
            tcp(40_002, 80),
            ACCEPT,
            tally(&[(0.0, ACK), (0.1, PSH_ACK)]),
        ),
    ] {
        collector.observe(minute(0), &Lab::new(), &o);
    }
    let closed = collector.close(minute(0), &Lab::new(), &[]);
    let flags = rows(&closed, &["src_port", "tcp_flag"]);
    assert_eq!(flags, ["40000 3", "40001 7", "40002 0", "80 19"]);
}

#[test]
fn loggers_of_one_port_with_different_intervals_and_filters_do_not_disturb_each_other() {
    let dir = TempDir::new().unwrap();
    let [mut short, mut long, mut drops] = [1, 2, 3].map(|id| logger(id, dir.path()));
    (short.interval_s, long.interval_s, drops.interval_s) = (60, 180, 120);
    drops.filter = Filter::Drop;
    let specs = [short, long, drops];
    assert_eq!(base_window_s(&specs), 60);
    let mut collector = collector(&specs);
    let mut found = [Vec::new(), Vec::new(), Vec::new()];
    for n in 0..6 {
        collector.observe(
            minute(n),
            &Lab::new(),
            &sent(udp(1, 53), ACCEPT, packets(10)),
        );
        collector.observe(
            minute(n),
            &Lab::new(),
            &received(udp(1, 53), DROP, packets(1)),
        );
        for closed in collector.close(minute(n), &Lab::new(), &[]) {
            let place = ["logger1", "logger2", "logger3"].map(|name| *name == *closed.logger);
            let of = place.iter().position(|is| *is).unwrap();
            found[of].extend(rows(&[closed], SUMS));
        }
    }
    let short = ["egress ACCEPT 10 1000", "ingress DROP 1 100"];
    assert_eq!(found[0], [short; 6].concat());
    let long = ["egress ACCEPT 30 3000", "ingress DROP 3 300"];
    assert_eq!(found[1], [long; 2].concat());
    assert_eq!(found[2], ["ingress DROP 2 200"; 3]);
}

#[test]
fn two_windows_are_open_at_once_while_the_sweep_of_the_first_is_under_way() {
    let dir = TempDir::new().unwrap();
    let mut collector = collector(&[logger(1, dir.path())]);
    collector.observe(
        minute(1),
        &Lab::new(),
        &sent(udp(1, 53), ACCEPT, packets(1)),
    );
    collector.observe(
        minute(0),
        &Lab::new(),
        &sent(udp(1, 53), ACCEPT, packets(5)),
    );
    let first = collector.close(minute(0), &Lab::new(), &[]);
    let second = collector.close(minute(1), &Lab::new(), &[]);
    assert_eq!(rows(&first, &["packets"]), ["5"]);
    assert_eq!(rows(&second, &["packets"]), ["1"]);
}

/// O14.
#[test]
fn the_rows_of_the_filters_nest_exactly() {
    let dir = TempDir::new().unwrap();
    let filters = [Filter::All, Filter::Accept, Filter::Drop, Filter::All];
    let mut id = 0;
    let mut specs = filters.map(|filter| {
        id += 1;
        flowlog::LoggerSpec {
            filter,
            ..logger(id, dir.path())
        }
    });
    specs[3].connection_setup_only = true;
    assert!(Recording::of(&specs).setup_apart && !Recording::of(&specs[..3]).setup_apart);
    let mut collector = collector(&specs);
    let reply = |o: flowlog::Observation| flowlog::Observation { reply: true, ..o };
    for o in [
        sent(tcp(1, 80), ACCEPT, tally(&[(0.0, SYN)])),
        sent(tcp(1, 80), ACCEPT, tally(&[(0.1, ACK), (0.2, FIN_ACK)])),
        reply(received(tcp(80, 1), ACCEPT, tally(&[(0.0, SYN_ACK)]))),
        reply(received(tcp(80, 1), ACCEPT, tally(&[(0.1, PSH_ACK)]))),
        sent(tcp(2, 80), ACCEPT, tally(&[(0.0, ACK)])),
        sent(udp(3, 53), ACCEPT, packets(1)),
        reply(received(udp(53, 3), ACCEPT, packets(1))),
        sent(tcp(4, 80), DROP, tally(&[(0.0, ACK)])),
        reply(received(udp(5, 53), DROP, packets(1))),
    ] {
        collector.observe(minute(0), &Lab::new(), &o);
    }
    let closed = collector.close(minute(0), &Lab::new(), &[]);
    let of = |n: usize| rows(&closed[n..=n], &["protocol", "src_port", "filter"]);
    let sorted = |mut rows: Vec<String>| {
        rows.sort();
        rows
    };
    assert_eq!(of(0).len(), 7);
    assert_eq!(sorted([of(1), of(2)].concat()), sorted(of(0)));
    assert!(of(2).iter().all(|row| row.ends_with("DROP")));
    let setup = [
        "6 1 ACCEPT",
        "17 3 ACCEPT",
        "6 80 ACCEPT",
        "6 4 DROP",
        "17 5 DROP",
    ];
    assert_eq!(sorted(of(3)), sorted(setup.map(str::to_owned).to_vec()));
    let setup_packets = rows(&closed[3..], &["src_port", "packets"]);
    assert!(setup_packets.contains(&"1 1".into()) && setup_packets.contains(&"80 1".into()));
}

#[test]
fn a_setup_tally_is_handed_over_where_a_packet_without_syn_follows_one_with() {
    let syn = tally(&[(0.0, SYN)]);
    assert!(syn.setup_ends(ACK) && !syn.setup_ends(SYN) && !syn.setup_ends(SYN_ACK));
    let established = tally(&[(0.0, ACK)]);
    assert!(established.setup_ends(SYN) && !established.setup_ends(PSH_ACK));
    assert!(!Tally::default().setup_ends(SYN) && !Tally::default().setup_ends(ACK));
}

#[test]
fn a_vpc_and_a_subnet_leave_uplinks_out_and_a_port_logger_may_name_one() {
    let dir = TempDir::new().unwrap();
    let [vpc, mut subnet, mut uplink, mut other] = [1, 2, 3, 4].map(|id| logger(id, dir.path()));
    subnet.resource = Resource::Subnet(SUBNET);
    uplink.resource = Resource::Port(interface(9));
    other.resource = Resource::Vpc(uuid::Uuid::from_u128(0xdddd));
    let mut collector = collector(&[vpc, subnet, uplink, other]);
    for port in [1, 2, 9] {
        let o = flowlog::Observation {
            port,
            ..sent(udp(port, 53), ACCEPT, packets(1))
        };
        collector.observe(minute(0), &Lab::new(), &o);
    }
    let closed = collector.close(minute(0), &Lab::new(), &[]);
    let names: Vec<&str> = closed.iter().map(|closed| &*closed.logger).collect();
    assert_eq!(names, ["logger1", "logger2", "logger3"]);
    let ports: Vec<_> = closed
        .iter()
        .map(|c| rows(std::slice::from_ref(c), &["src_port"]))
        .collect();
    assert_eq!(ports, [vec!["1", "2"], vec!["1", "2"], vec!["9"]]);
}

#[test]
fn what_matches_no_port_is_recorded_by_the_vpc_with_the_ports_fields_empty() {
    let dir = TempDir::new().unwrap();
    let mut collector = collector(&[logger(1, dir.path())]);
    let o = flowlog::Observation {
        port: 77,
        direction: Direction::Unknown,
        ..sent(udp(1, 53), ACCEPT, packets(1))
    };
    collector.observe(minute(0), &Lab::new(), &o);
    let closed = collector.close(minute(0), &Lab::new(), &[]);
    let columns = ["interface_id", "vpc_id", "region", "direction", "packets"];
    assert_eq!(rows(&closed, &columns), ["   unknown 1"]);
}

#[test]
fn a_port_number_that_passes_to_another_port_mixes_nothing_and_names_are_those_at_the_close() {
    let dir = TempDir::new().unwrap();
    let mut collector = collector(&[logger(1, dir.path())]);
    let mut lab = Lab::new();
    collector.observe(minute(0), &lab, &sent(udp(1, 53), ACCEPT, packets(1)));
    lab.change(1, |port| port.interface_id = interface(5));
    collector.observe(minute(0), &lab, &sent(udp(1, 53), ACCEPT, packets(2)));
    lab.change(1, |port| port.region = "KR2".into());
    let closed = collector.close(minute(0), &lab, &[]);
    let expected = [
        format!("{} KR1 1", interface(1)),
        format!("{} KR2 2", interface(5)),
    ];
    assert_eq!(
        rows(&closed, &["interface_id", "region", "packets"]),
        expected
    );
}

#[test]
fn a_port_that_is_gone_at_the_close_keeps_its_rows() {
    let dir = TempDir::new().unwrap();
    let mut collector = collector(&[logger(1, dir.path())]);
    let mut lab = Lab::new();
    collector.observe(minute(0), &lab, &sent(udp(1, 53), ACCEPT, packets(1)));
    lab.remove(1);
    let closed = collector.close(minute(0), &lab, &[]);
    assert_eq!(rows(&closed, &["interface_id"]), [interface(1).to_string()]);
}

#[test]
fn skipped_packets_mark_every_record_of_their_port_and_no_other() {
    let dir = TempDir::new().unwrap();
    let mut long = logger(1, dir.path());
    long.interval_s = 120;
    let mut collector = collector(&[long]);
    let skipped = Skipped {
        packets: 3,
        bytes: 300,
    };
    for n in 0..2 {
        collector.observe(
            minute(n),
            &Lab::new(),
            &sent(udp(1, 53), ACCEPT, packets(1)),
        );
        collector.observe(minute(n), &Lab::new(), &sent(tcp(1, 80), DROP, packets(1)));
        collector.observe(
            minute(n),
            &Lab::new(),
            &received(udp(1, 53), ACCEPT, packets(1)),
        );
    }
    assert!(
        collector
            .close(minute(0), &Lab::new(), &[(1, skipped)])
            .is_empty()
    );
    let closed = collector.close(minute(1), &Lab::new(), &[(2, Skipped::default())]);
    let found = rows(&closed, &["direction", "status"]);
    assert_eq!(found, ["egress SKIPDATA", "egress SKIPDATA", "ingress OK"]);
    assert_eq!(collector.status()[0].skipped, skipped);
}

#[test]
fn a_port_that_has_nothing_but_skipped_packets_gets_one_row_with_empty_flow_fields() {
    let dir = TempDir::new().unwrap();
    let mut collector = collector(&[logger(1, dir.path())]);
    let closed = collector.close(
        minute(0),
        &Lab::new(),
        &[(
            2,
            Skipped {
                packets: 1,
                bytes: 60,
            },
        )],
    );
    let text = std::fs::read_to_string(&closed[0].files[0]).unwrap();
    let [id, vm] = [interface(2), uuid::Uuid::from_u128(0x2002)];
    let row = format!(
        "{T0},{},{id},{vm},{SUBNET},{VPC},KR1,,,,,,,,,,,SKIPDATA",
        T0 + 59
    );
    assert_eq!(text.lines().collect::<Vec<_>>()[1..], [row]);
}

/// O10, O12.
#[test]
fn a_flood_of_tuples_at_one_port_is_counted_and_takes_nothing_from_another() {
    let dir = TempDir::new().unwrap();
    let limits = Limits {
        records_per_port: 50,
        reserve_per_port: 10,
        records: 30,
    };
    let mut collector = collector(&[logger(1, dir.path())]).with_limits(limits);
    for n in 0..1000 {
        collector.observe(minute(0), &Lab::new(), &sent(udp(n, 53), DROP, packets(2)));
    }
    for n in 0..10 {
        collector.observe(
            minute(0),
            &Lab::new(),
            &received(udp(n, 80), ACCEPT, packets(1)),
        );
    }
    collector.observe(minute(0), &Lab::new(), &sent(udp(0, 53), DROP, packets(7)));
    let closed = collector.close(minute(0), &Lab::new(), &[]);
    let found = rows(&closed, &["direction", "status", "packets"]);
    let count = |row: &str| found.iter().filter(|found| *found == row).count();
    assert_eq!(count("ingress OK 1"), 10);
    assert_eq!(count("egress SKIPDATA 2"), 39);
    assert_eq!(count("egress SKIPDATA 9"), 1);
    let skipped = collector.status()[0].skipped;
    assert_eq!(
        skipped,
        Skipped {
            packets: 2 * 960,
            bytes: 200 * 960
        }
    );
}

#[test]
fn the_limit_of_one_port_holds_where_the_common_part_has_room() {
    let dir = TempDir::new().unwrap();
    let limits = Limits {
        records_per_port: 15,
        reserve_per_port: 10,
        records: 1000,
    };
    let mut collector = collector(&[logger(1, dir.path())]).with_limits(limits);
    for n in 0..100 {
        collector.observe(minute(0), &Lab::new(), &sent(udp(n, 53), DROP, packets(1)));
    }
    assert_eq!(collector.close(minute(0), &Lab::new(), &[])[0].rows, 15);
}

#[test]
fn the_same_observations_in_any_order_give_the_same_rows() {
    let mut observations: Vec<_> = (0..200_u16)
        .map(|n| {
            let tuple = if n % 3 == 0 {
                tcp(n / 2, 80)
            } else {
                udp(n / 2, 53)
            };
            let verdict = if n % 5 == 0 { DROP } else { ACCEPT };
            if n % 2 == 0 {
                sent(tuple, verdict, packets(1))
            } else {
                received(tuple, verdict, packets(1))
            }
        })
        .collect();
    let mut texts = Vec::new();
    for _ in 0..3 {
        let dir = TempDir::new().unwrap();
        let mut collector = collector(&[logger(1, dir.path())]);
        for o in &observations {
            collector.observe(minute(0), &Lab::new(), o);
        }
        let closed = collector.close(minute(0), &Lab::new(), &[]);
        texts.push(std::fs::read_to_string(&closed[0].files[0]).unwrap());
        observations.rotate_left(67);
        observations.reverse();
    }
    assert_eq!(texts[0], texts[1]);
    assert_eq!(texts[1], texts[2]);
}

#[test]
fn addresses_of_ipv6_stand_behind_those_of_ipv4() {
    let dir = TempDir::new().unwrap();
    let all = flowlog::LoggerSpec {
        scope: flowlog::Scope::All,
        ..logger(1, dir.path())
    };
    let mut collector = collector(&[all, logger(2, dir.path())]);
    let v6 = packet::FiveTuple {
        src: "fd00:0::1".parse().unwrap(),
        dst: "fd00:0::2".parse().unwrap(),
        ..udp(1, 53)
    };
    collector.observe(minute(0), &Lab::new(), &sent(v6, ACCEPT, packets(1)));
    collector.observe(
        minute(0),
        &Lab::new(),
        &received(udp(1, 53), ACCEPT, packets(1)),
    );
    let closed = collector.close(minute(0), &Lab::new(), &[]);
    assert_eq!(
        rows(&closed[..1], &["src_addr", "dst_addr"]),
        ["10.77.1.11 10.77.1.12", "fd00::1 fd00::2"]
    );
    let of_the_seed = rows(&closed[1..], &["src_addr"]);
    assert_eq!(of_the_seed, ["10.77.1.11"]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// The oracle: a plain sorted map that adds up.
    #[test]
    fn rows_are_the_sums_of_what_was_observed_and_what_was_skipped_is_the_rest(
        seen in proptest::collection::vec((any::<bool>(), 0..20_u16, any::<bool>(), 1..9_u32), 0..300),
        room in 1..60_usize,
    ) {
        let dir = TempDir::new().unwrap();
        let limits = Limits { records_per_port: room, reserve_per_port: 5, records: 20 };
        let mut all = collector(&[logger(1, dir.path())]);
        let mut few = collector(&[logger(2, dir.path())]).with_limits(limits);
        let mut sums = BTreeMap::new();
        for (egress, src_port, accepted, count) in &seen {
            let verdict = if *accepted { ACCEPT } else { DROP };
            let observe = if *egress { sent } else { received };
            let o = observe(udp(*src_port, 53), verdict, packets(*count));
            all.observe(minute(0), &Lab::new(), &o);
            few.observe(minute(0), &Lab::new(), &o);
            *sums.entry((o.port, *src_port, !accepted)).or_insert(0) += count;
        }
        let closed = all.finish(minute(0), &Lab::new(), &[]);
        let found = rows(&closed, &["src_port", "filter", "packets"]);
        let expected: Vec<_> = sums
            .iter()
            .map(|((_, src_port, dropped), packets)| {
                format!("{src_port} {} {packets}", if *dropped { "DROP" } else { "ACCEPT" })
            })
            .collect();
        prop_assert_eq!(found, expected);
        let closed = few.finish(minute(0), &Lab::new(), &[]);
        let kept: u64 = rows(&closed, &["packets"]).iter().map(|n| n.parse::<u64>().unwrap()).sum();
        let offered: u64 = seen.iter().map(|(.., count)| u64::from(*count)).sum();
        prop_assert_eq!(kept + few.status()[0].skipped.packets, offered);
    }
}

#[test]
fn a_reload_keeps_the_open_interval_of_what_stays_and_flushes_what_goes() {
    let dir = TempDir::new().unwrap();
    let [stays, goes, mut changes] = [1, 2, 3].map(|id| logger(id, dir.path()));
    let mut collector = collector(&[stays.clone(), goes, changes.clone()]);
    collector.observe(
        minute(0),
        &Lab::new(),
        &sent(udp(1, 53), ACCEPT, packets(1)),
    );
    changes.filter = Filter::Drop;
    let flushed = collector.reconfigure(vec![logger(4, dir.path()), changes, stays], &Lab::new());
    let names: Vec<&str> = flushed.iter().map(|closed| &*closed.logger).collect();
    assert_eq!(names, ["logger3", "logger2"]);
    assert_eq!(rows(&flushed, &["packets"]), ["1", "1"]);
    collector.observe(
        minute(0),
        &Lab::new(),
        &sent(udp(1, 53), ACCEPT, packets(2)),
    );
    let closed = collector.close(minute(0), &Lab::new(), &[]);
    let names: Vec<&str> = closed.iter().map(|closed| &*closed.logger).collect();
    assert_eq!(names, ["logger4", "logger1"]);
    assert_eq!(rows(&closed, &["packets"]), ["2", "3"]);
}

#[test]
fn a_logger_that_is_down_collects_nothing_and_says_so() {
    let dir = TempDir::new().unwrap();
    let spec = flowlog::LoggerSpec {
        admin_state_up: false,
        ..logger(1, dir.path())
    };
    let mut collector = collector(&[spec]);
    collector.observe(
        minute(0),
        &Lab::new(),
        &sent(udp(1, 53), ACCEPT, packets(1)),
    );
    assert!(collector.close(minute(0), &Lab::new(), &[]).is_empty());
    assert_eq!(collector.status()[0].state, State::Inactive);
    assert!(
        tree(dir.path())
            .iter()
            .all(|file| file.starts_with(".state"))
    );
}

#[test]
fn the_live_tail_gets_records_only_if_it_asks() {
    let dir = TempDir::new().unwrap();
    let mut collector = collector(&[logger(1, dir.path())]);
    for keep in [false, true] {
        collector.keep_records(keep);
        collector.observe(minute(0), &Lab::new(), &sent(udp(1, 53), DROP, packets(1)));
        let closed = collector.close(minute(0), &Lab::new(), &[]);
        assert_eq!(closed[0].records.len(), usize::from(keep));
        if let Some(record) = closed[0].records.first() {
            assert_eq!(record.flow.unwrap().verdict, DROP);
            assert_eq!(record.port.name, "port1");
        }
    }
}

#[test]
fn counts_beyond_32_bits_are_kept() {
    let dir = TempDir::new().unwrap();
    let mut collector = collector(&[logger(1, dir.path())]);
    let mut full = Tally::default();
    full.count(
        Tick::default(),
        Wire {
            packets: u32::MAX,
            bytes: u32::MAX,
        },
        0,
    );
    for _ in 0..4 {
        collector.observe(minute(0), &Lab::new(), &sent(udp(1, 53), ACCEPT, full));
    }
    let closed = collector.close(minute(0), &Lab::new(), &[]);
    assert_eq!(
        rows(&closed, &["packets", "bytes"]),
        ["17179869180 17179869180"]
    );
}

#[test]
fn the_base_window_is_the_greatest_common_divisor_and_a_minute_without_loggers() {
    let dir = TempDir::new().unwrap();
    let of = |intervals: &[u32]| {
        let spec = |s: &u32| flowlog::LoggerSpec {
            interval_s: *s,
            ..logger(1, dir.path())
        };
        base_window_s(&intervals.iter().map(spec).collect::<Vec<_>>())
    };
    assert_eq!(of(&[]), 60);
    assert_eq!(of(&[900, 600]), 300);
    assert_eq!(of(&[7, 60]), 1);
    assert_eq!(of(&[0]), 1);
    assert_eq!(of(&[u32::MAX]), 900);
    assert_eq!(Window::of(T0 + 59, of(&[60])), minute(0));
}
