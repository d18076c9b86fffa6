//! Profiles, formats and extra fields: what the files hold, and that they are read back as they were
//! meant (SPEC section 6).
#![allow(clippy::unwrap_used, reason = "a test may stop")]

mod support;

use flowlog::{
    Account, AwsKey, AwsText, AwsVersion, Closed, Compression, EmptyIntervals, Field, Format,
    Layout, LoggerSpec, Observation, Profile, ROW_GROUP_ROWS, Skipped, read,
};
use packet::{Basis, Direction, Mac, Reason, Verdict};
use proptest::prelude::*;
use std::{fs, io::Read as _, num::NonZeroU32, path::Path};
use support::*;

const EVERY_FORMAT: [Format; 6] = [
    Format::Csv(Compression::Raw),
    Format::Csv(Compression::Gzip),
    Format::Csv(Compression::Zstd),
    Format::Parquet(Compression::Raw),
    Format::Parquet(Compression::Gzip),
    Format::Parquet(Compression::Zstd),
];

fn aws(version: AwsVersion, directory: &Path) -> LoggerSpec {
    let account = Account::parse("123456789012").unwrap();
    let profile = Profile::Aws(version);
    let layout = Layout {
        aws: Some(AwsKey {
            account: account.clone(),
            region: "KR1".into(),
            by_hour: false,
        }),
        ..Layout::default()
    };
    LoggerSpec {
        fields: profile.fields(),
        no_data_rows: profile.has_no_data_rows(),
        layout,
        format: Format::Aws(AwsText { version, account }),
        ..logger(1, directory)
    }
}

/// Closes a minute in which port 1 sent a few packets and port 2 may have heard some.
fn minute_of(spec: LoggerSpec, observations: &[Observation]) -> Vec<Closed> {
    let mut collector = collector(&[spec]);
    for o in observations {
        collector.observe(minute(0), &Lab::new(), o);
    }
    collector.close(minute(0), &Lab::new(), &[])
}

fn gunzipped(file: &Path) -> String {
    let mut text = String::new();
    let mut decoder = flate2::read::GzDecoder::new(fs::File::open(file).unwrap());
    decoder.read_to_string(&mut text).unwrap();
    text
}

fn some_flows(n: u16) -> Vec<Observation> {
    let flow = |n: u16| {
        let verdict = if n.is_multiple_of(3) { DROP } else { ACCEPT };
        let o = match n % 4 {
            0 => sent(udp(n, 53), verdict, packets(u32::from(n) + 1)),
            1 => received(udp(n, 53), verdict, packets(1)),
            2 => sent(tcp(n, 80), verdict, tally(&[(1.5, SYN), (2.5, FIN_ACK)])),
            _ => received(tuple(1, 0, 0), verdict, packets(2)),
        };
        Observation {
            rule: u32::from(n % 25),
            reply: n % 5 == 1,
            icmp: (o.tuple.protocol == 1).then_some((8, (n % 3) as u8)),
            policy_epoch: Some(n % 7 + 1),
            macs: Some([Mac([2, 0, 0, 0, 0, n as u8]), Mac::BROADCAST]),
            ..o
        }
    };
    (0..n).map(flow).collect()
}

#[test]
fn every_format_gives_back_what_was_recorded_of_every_field() {
    let mut all: Vec<Vec<read::Row>> = Vec::new();
    for format in EVERY_FORMAT {
        let dir = TempDir::new().unwrap();
        let spec = LoggerSpec {
            format: format.clone(),
            fields: Field::ALL.to_vec(),
            no_data_rows: true,
            ..logger(1, dir.path())
        };
        let closed = minute_of(spec, &some_flows(200));
        let file = &closed[0].files[0];
        assert!(file.to_string_lossy().ends_with(format.extension()));
        let rows = read_back(file);
        assert_eq!(rows.len() as u64, closed[0].rows, "{format:?}");
        assert_eq!(read::open(file).unwrap().fields(), Field::ALL);
        all.push(rows);
    }
    let [first, others @ ..] = all.as_slice() else {
        unreachable!()
    };
    assert!(first.len() > 100);
    for other in others {
        assert_eq!(first, other);
    }
}

#[test]
fn nhn_24_has_the_services_columns_and_a_row_for_a_port_with_nothing_to_report() {
    let dir = TempDir::new().unwrap();
    let spec = LoggerSpec {
        fields: Profile::Nhn24.fields(),
        no_data_rows: true,
        ..logger(1, dir.path())
    };
    let closed = minute_of(spec, &[sent(udp(1, 53), ACCEPT, packets(3))]);
    let text = fs::read_to_string(&closed[0].files[0]).unwrap();
    let [id, silent] = [interface(1), interface(2)];
    let [vm, silent_vm] = [0x2001, 0x2002].map(uuid::Uuid::from_u128);
    assert_eq!(
        text,
        format!(
            "timestamp_start,timestamp_end,interface_id,owner_type,owner_id,subnet_id,vpc_id,region,\
             protocol,src_addr,dst_addr,src_port,dst_port,tcp_flag,packets,bytes,direction,filter,\
             transithub_drop_no_route_packets,transithub_drop_no_route_bytes,\
             transithub_drop_black_hole_packets,transithub_drop_black_hole_bytes,status,traffic_path\n\
             {T0},{T0},{id},instance,{vm},{SUBNET},{VPC},KR1,17,10.77.1.11,10.77.1.12,1,53,0,3,300,\
             egress,ACCEPT,-1,-1,-1,-1,OK,1\n\
             {T0},{},{silent},instance,{silent_vm},{SUBNET},{VPC},KR1,,,,,,,,,,,,,,,NODATA,\n",
            T0 + 59
        )
    );
}

#[test]
fn the_path_of_traffic_is_1_within_the_vpc_and_2_beyond_it() {
    let dir = TempDir::new().unwrap();
    let to = |address: &str| {
        let dst = address.parse().unwrap();
        sent(packet::FiveTuple { dst, ..udp(1, 53) }, ACCEPT, packets(1))
    };
    let from = |address: &str| {
        let src = address.parse().unwrap();
        received(packet::FiveTuple { src, ..udp(1, 53) }, DROP, packets(1))
    };
    let spec = LoggerSpec {
        fields: Field::parse_list("src_addr,dst_addr,traffic_path").unwrap(),
        ..logger(1, dir.path())
    };
    let observations = [
        to("10.77.9.9"),
        to("198.51.100.7"),
        to("255.255.255.255"),
        from("10.77.1.99"),
        from("198.51.100.8"),
    ];
    let unknown = Observation {
        direction: Direction::Unknown,
        ..to("192.0.2.1")
    };
    let closed = minute_of(spec, &[&observations[..], &[unknown]].concat());
    let paths = rows(&closed, &["src_addr", "dst_addr", "traffic_path"]);
    assert_eq!(
        paths,
        [
            "10.77.1.11 10.77.9.9 1",
            "10.77.1.11 198.51.100.7 2",
            "10.77.1.11 255.255.255.255 1",
            "10.77.1.11 192.0.2.1 ",
            "10.77.1.99 10.77.1.12 1",
            "198.51.100.8 10.77.1.12 2",
        ]
    );
}

#[test]
fn aws_v2_is_the_default_format_of_aws_as_gzip_text() {
    let dir = TempDir::new().unwrap();
    let observations = [
        sent(
            tcp(40_000, 22),
            ACCEPT,
            tally(&[(1.0, SYN), (2.0, FIN_ACK)]),
        ),
        sent(tcp(40_001, 22), DROP, tally(&[(3.0, SYN)])),
    ];
    let closed = minute_of(aws(AwsVersion::V2, dir.path()), &observations);
    let file = &closed[0].files[0];
    let (id, silent) = (interface(1), interface(2));
    assert_eq!(
        gunzipped(file),
        format!(
            "version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes \
             start end action log-status\n\
             2 123456789012 {id} 10.77.1.11 10.77.1.12 40000 22 6 2 200 {} {} ACCEPT OK\n\
             2 123456789012 {id} 10.77.1.11 10.77.1.12 40001 22 6 1 100 {} {} REJECT OK\n\
             2 123456789012 {silent} - - - - - - - {T0} {} - NODATA\n",
            T0 + 1,
            T0 + 2,
            T0 + 3,
            T0 + 3,
            T0 + 59
        )
    );
    let name = file.strip_prefix(dir.path().join("1")).unwrap();
    let logger = uuid::Uuid::from_u128(1);
    assert_eq!(
        name.to_str().unwrap(),
        format!(
            "AWSLogs/123456789012/vpcflowlogs/KR1/2026/11/23/\
             123456789012_vpcflowlogs_KR1_{logger}_20261123T0500Z_{T0:08x}.log.gz"
        )
    );
}

#[test]
fn aws_v5_has_every_column_of_its_versions_and_a_dash_for_what_there_is_not() {
    let dir = TempDir::new().unwrap();
    let closed = minute_of(
        aws(AwsVersion::V5, dir.path()),
        &[
            sent(udp(1, 53), ACCEPT, packets(1)),
            received(udp(1, 53), ACCEPT, packets(1)),
        ],
    );
    let text = gunzipped(&closed[0].files[0]);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(
        lines[0],
        "version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start \
         end action log-status vpc-id subnet-id instance-id tcp-flags type pkt-srcaddr pkt-dstaddr \
         region az-id sublocation-type sublocation-id pkt-src-aws-service pkt-dst-aws-service \
         flow-direction traffic-path"
    );
    let vm = uuid::Uuid::from_u128(0x2001);
    let tail = format!("{VPC} {SUBNET} {vm} 0 IPv4 10.77.1.11 10.77.1.12 KR1 - - - - - egress 1");
    assert!(
        lines[1].starts_with("5 ") && lines[1].ends_with(&tail),
        "{}",
        lines[1]
    );
    assert!(
        lines[2].ends_with("KR1 - - - - - ingress -"),
        "{}",
        lines[2]
    );
}

#[test]
fn parts_of_an_aws_file_are_told_by_a_hyphen_and_read_back_as_fields() {
    let dir = TempDir::new().unwrap();
    let mut spec = aws(AwsVersion::V5, dir.path());
    spec.layout.rows_per_file = NonZeroU32::new(2).unwrap();
    if let Some(key) = &mut spec.layout.aws {
        key.by_hour = true;
    }
    let flows: Vec<_> = (1..=3)
        .map(|n| sent(udp(n, 53), DROP, packets(1)))
        .collect();
    let closed = minute_of(spec, &flows);
    let names = tree(&dir.path().join("1"));
    assert_eq!(names.len(), 2);
    assert!(names[0].contains("/2026/11/23/05/"), "{names:?}");
    assert!(names[0].ends_with("-part1.log.gz") && names[1].ends_with("-part2.log.gz"));
    let rows: Vec<_> = closed[0]
        .files
        .iter()
        .flat_map(|file| read_back(file))
        .collect();
    assert_eq!(rows.len(), 4);
    assert_eq!(
        rows[0].get(Field::Filter),
        Some(&read::Value::Word("DROP".into()))
    );
    assert_eq!(rows[0].get(Field::SrcPort), Some(&read::Value::Number(1)));
    assert_eq!(
        rows[3].get(Field::Status),
        Some(&read::Value::Word("NODATA".into()))
    );
    assert_eq!(rows[3].get(Field::SrcAddr), Some(&read::Value::Empty));
}

#[test]
fn a_port_that_only_lost_packets_says_how_many_and_one_with_records_says_it_in_each() {
    let dir = TempDir::new().unwrap();
    let spec = LoggerSpec {
        fields: Field::parse_list("src_port,status,skipped_packets,skipped_bytes").unwrap(),
        no_data_rows: true,
        ..logger(1, dir.path())
    };
    let mut collector = collector(&[spec]);
    let lab = Lab::new();
    for n in 1..=2 {
        collector.observe(minute(0), &lab, &sent(udp(n, 53), ACCEPT, packets(1)));
    }
    let lost = |packets| Skipped {
        packets,
        bytes: packets * 60,
    };
    let closed = collector.close(minute(0), &lab, &[(1, lost(7)), (2, lost(9))]);
    assert_eq!(
        rows(
            &closed,
            &["src_port", "status", "skipped_packets", "skipped_bytes"]
        ),
        ["1 SKIPDATA 7 420", "2 SKIPDATA 7 420", " SKIPDATA 9 540"]
    );
}

#[test]
fn a_logger_with_a_limit_holds_no_more_records_and_counts_the_rest() {
    let dir = TempDir::new().unwrap();
    let spec = LoggerSpec {
        flow_limit: Some(3),
        fields: Field::parse_list("src_port,status,skipped_packets").unwrap(),
        ..logger(1, dir.path())
    };
    let flows: Vec<_> = (1..=10)
        .map(|n| sent(udp(n, 53), ACCEPT, packets(1)))
        .collect();
    let closed = minute_of(spec, &flows);
    assert_eq!(
        rows(&closed, &["src_port", "status", "skipped_packets"]),
        ["1 SKIPDATA 7", "2 SKIPDATA 7", "3 SKIPDATA 7"]
    );
}

#[test]
fn an_interval_without_anything_has_a_row_for_each_logging_port_and_none_for_an_uplink() {
    let dir = TempDir::new().unwrap();
    let spec = LoggerSpec {
        fields: Profile::Nhn24.fields(),
        no_data_rows: true,
        empty_intervals: EmptyIntervals::Write,
        ..logger(1, dir.path())
    };
    let closed = minute_of(spec, &[]);
    assert_eq!(rows(&closed, &["status"]), ["NODATA", "NODATA"]);
}

/// Ten packets of one tuple that differ in everything that a logger may tell apart.
fn varied() -> Vec<Observation> {
    let base = Observation {
        rule: 11,
        reply: false,
        policy_epoch: Some(3),
        macs: Some([Mac([2, 0, 0, 0, 0, 1]), Mac([2, 0, 0, 0, 0, 9])]),
        ..sent(udp(1, 53), ACCEPT, packets(1))
    };
    let mac = |last| Some([Mac([2, 0, 0, 0, 0, last]), Mac([2, 0, 0, 0, 0, 9])]);
    vec![
        base,
        Observation { rule: 12, ..base },
        Observation { rule: 21, ..base },
        Observation {
            policy_epoch: Some(4),
            ..base
        },
        Observation {
            macs: mac(2),
            ..base
        },
        Observation {
            verdict: Verdict::Accept(Basis::Reply),
            reply: true,
            ..base
        },
        Observation {
            verdict: Verdict::Drop(Reason::Revoked),
            rule: 0,
            ..base
        },
        base,
    ]
}

#[test]
fn a_field_that_splits_splits_the_records_of_the_logger_that_names_it_and_nobody_elses() {
    let cases = [
        ("packets,filter", vec!["7 ACCEPT", "1 DROP"]),
        ("packets,reason", vec!["1 reply", "1 revoked", "6 rule"]),
        ("packets,policy_epoch", vec!["1 3", "1 4", "6 3"]),
        ("packets,is_reply", vec!["1 false", "1 true", "6 false"]),
        (
            "packets,mac_src",
            vec![
                "1 02:00:00:00:00:01",
                "1 02:00:00:00:00:02",
                "6 02:00:00:00:00:01",
            ],
        ),
        (
            "packets,mac_dst",
            vec!["1 02:00:00:00:00:09", "7 02:00:00:00:00:09"],
        ),
    ];
    let dir = TempDir::new().unwrap();
    let specs: Vec<_> = (0..)
        .zip(&cases)
        .map(|(n, (fields, _))| LoggerSpec {
            fields: Field::parse_list(fields).unwrap(),
            ..logger(n, dir.path())
        })
        .collect();
    let mut collector = collector(&specs);
    for o in varied() {
        collector.observe(minute(0), &Lab::new(), &o);
    }
    let closed = collector.close(minute(0), &Lab::new(), &[]);
    for (closed, (fields, expected)) in closed.chunks(1).zip(cases) {
        let columns: Vec<&str> = fields.split(',').collect();
        let mut found = rows(closed, &columns);
        found.sort();
        let mut expected = expected;
        expected.sort_unstable();
        assert_eq!(found, expected, "{fields}");
    }
}

#[test]
fn a_rule_and_its_group_are_named_by_their_ids_each_splitting_by_itself() {
    let dir = TempDir::new().unwrap();
    let spec = |n, fields| LoggerSpec {
        fields: Field::parse_list(fields).unwrap(),
        ..logger(n, dir.path())
    };
    let specs = [
        spec(1, "packets,rule_id"),
        spec(2, "packets,security_group_id"),
    ];
    let mut collector = collector(&specs);
    for o in varied() {
        collector.observe(minute(0), &Lab::new(), &o);
    }
    let closed = collector.close(minute(0), &Lab::new(), &[]);
    let id = |n: u128| uuid::Uuid::from_u128(n);
    let mut rules = rows(&closed[..1], &["packets", "rule_id"]);
    rules.sort();
    let [a, b, c] = [0x5000 + 11, 0x5000 + 12, 0x5000 + 21].map(id);
    assert_eq!(
        rules,
        [
            "1 ".to_owned(),
            format!("1 {b}"),
            format!("1 {c}"),
            format!("5 {a}")
        ]
    );
    let mut groups = rows(&closed[1..], &["packets", "security_group_id"]);
    groups.sort();
    let [first, second] = [0x6001, 0x6002].map(id);
    assert_eq!(
        groups,
        ["1 ".to_owned(), format!("1 {second}"), format!("6 {first}")]
    );
}

#[test]
fn a_large_interval_has_row_groups_and_a_parquet_file_of_none_is_whole_all_the_same() {
    let dir = TempDir::new().unwrap();
    let spec = LoggerSpec {
        format: Format::Parquet(Compression::Zstd),
        fields: Field::parse_list("src_port,dst_port,packets").unwrap(),
        layout: Layout {
            rows_per_file: NonZeroU32::MAX,
            ..Layout::default()
        },
        empty_intervals: EmptyIntervals::Write,
        ..logger(1, dir.path())
    };
    let mut collector = collector(&[spec]);
    let flows = ROW_GROUP_ROWS as u32 + 10;
    for n in 0..flows {
        let tuple = udp((n >> 8) as u16, (n & 0xff) as u16);
        collector.observe(minute(0), &Lab::new(), &sent(tuple, ACCEPT, packets(1)));
    }
    let closed = collector.close(minute(0), &Lab::new(), &[]);
    assert_eq!(
        read::open(&closed[0].files[0]).unwrap().count(),
        flows as usize
    );
    let closed = collector.close(minute(1), &Lab::new(), &[]);
    assert_eq!(closed[0].rows, 0);
    let empty = read::open(&closed[0].files[0]).unwrap();
    assert_eq!(
        empty.fields(),
        [Field::SrcPort, Field::DstPort, Field::Packets]
    );
    assert_eq!(empty.count(), 0);
}

#[test]
fn what_is_not_a_flow_log_is_refused_by_what_it_is() {
    let refused = |name: &str, bytes: &[u8]| match read::from_bytes(name, bytes.to_vec()) {
        Ok(rows) => rows
            .filter_map(Result::err)
            .map(|error| error.to_string())
            .next()
            .unwrap(),
        Err(error) => error.to_string(),
    };
    assert_eq!(
        refused("a.csv", b""),
        "a.csv:1: the file is empty; a flow log begins with a header line"
    );
    assert!(refused("a.parquet", b"").starts_with("a.parquet:1: not a Parquet file"));
    assert!(refused("a.parquet", b"PAR1xxxxPAR1").starts_with("a.parquet:1: not a Parquet file"));
    assert!(refused("a.csv.gz", &[0x1f, 0x8b, 8, 0, 0]).starts_with("a.csv.gz:1: cannot be read"));
    assert_eq!(
        refused("a.log.gz", b"version srcaddr colour\n"),
        "a.log.gz:1: the column `colour` is not a field of the log"
    );
    assert_eq!(
        refused("a.log", b"version srcaddr\n2 10.0.0.1 7\n"),
        "a.log:2: 3 values, but the header has 2 columns"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_damaged_file_of_any_format_neither_panics_nor_goes_on_for_ever(
        format in 0..EVERY_FORMAT.len(),
        damage in proptest::collection::vec((0..10_000_usize, any::<u8>()), 1..6),
        cut in 0..4_000_usize,
    ) {
        let dir = TempDir::new().unwrap();
        let spec = LoggerSpec { format: EVERY_FORMAT[format].clone(), ..logger(1, dir.path()) };
        let closed = minute_of(spec, &some_flows(40));
        let name = closed[0].files[0].to_string_lossy().into_owned();
        let mut bytes = fs::read(&closed[0].files[0]).unwrap();
        for (place, value) in damage {
            let place = place % bytes.len();
            bytes[place] = value;
        }
        if cut % 2 == 0 {
            bytes.truncate(bytes.len().saturating_sub(cut));
        }
        let rows = read::from_bytes(&name, bytes).map(|rows| rows.take(100_000).count());
        prop_assert!(rows.is_err() || rows.is_ok_and(|rows| rows < 100_000));
    }
}
