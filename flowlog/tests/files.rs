//! What the files are called, when they appear, and that they are whole (SPEC section 6).

mod support;

use flowlog::{
    Cause, Collector, EmptyIntervals, Field, FileName, Layout, LoggerSpec, Partition, State,
    Storage, Window, Zone,
    read::{TextReader, Value},
};
use proptest::prelude::*;
use std::{fs, num::NonZeroU32};
use support::*;

const HEADER: &str = "timestamp_start,timestamp_end,interface_id,vm_id,subnet_id,vpc_id,region,protocol,src_addr,dst_addr,src_port,dst_port,tcp_flag,packets,bytes,direction,filter,status\n";
const ID: &str = "00000000-0000-0000-0000-000000000001";

#[test]
fn a_file_is_a_header_line_and_a_row_for_each_record() {
    let dir = TempDir::new().unwrap();
    let mut collector = collector(&[logger(1, dir.path())]);
    let o = sent(tcp(40_000, 80), ACCEPT, tally(&[(1.0, SYN), (2.5, ACK)]));
    collector.observe(minute(0), &Lab::new(), &o);
    let closed = collector.close(minute(0), &Lab::new(), &[]);
    assert_eq!((closed[0].window, closed[0].rows), (minute(0), 1));
    let [id, vm] = [interface(1), uuid::Uuid::from_u128(0x2001)];
    let row = format!(
        "{},{},{id},{vm},{SUBNET},{VPC},KR1,6,10.77.1.11,10.77.1.12,40000,80,2,2,200,egress,ACCEPT,OK\n",
        T0 + 1,
        T0 + 2
    );
    assert_eq!(
        fs::read_to_string(&closed[0].files[0]).unwrap(),
        format!("{HEADER}{row}")
    );
}

#[test]
fn a_list_of_fields_is_written_in_its_order() {
    let dir = TempDir::new().unwrap();
    let fields = Field::parse_list("packets, filter,src_addr").unwrap();
    let mut collector = collector(&[LoggerSpec {
        fields,
        ..logger(1, dir.path())
    }]);
    collector.observe(minute(0), &Lab::new(), &sent(udp(1, 53), DROP, packets(3)));
    let closed = collector.close(minute(0), &Lab::new(), &[]);
    let text = fs::read_to_string(&closed[0].files[0]).unwrap();
    assert_eq!(text, "packets,filter,src_addr\n3,DROP,10.77.1.11\n");
}

#[test]
fn an_empty_interval_leaves_a_header_or_nothing_and_never_an_empty_file() {
    let dir = TempDir::new().unwrap();
    let write = LoggerSpec {
        empty_intervals: EmptyIntervals::Write,
        ..logger(1, dir.path())
    };
    let slow = LoggerSpec {
        interval_s: 180,
        ..write.clone()
    };
    let slow = LoggerSpec {
        storage: Storage::Directory(dir.path().join("slow")),
        id: uuid::Uuid::from_u128(3),
        ..slow
    };
    let mut collector = collector(&[write, logger(2, dir.path()), slow]);
    let closed: Vec<_> = (0..4)
        .flat_map(|n| collector.close(minute(n), &Lab::new(), &[]))
        .collect();
    assert_eq!(
        closed
            .iter()
            .filter(|closed| &*closed.logger == "logger1")
            .count(),
        5
    );
    for file in closed.iter().flat_map(|closed| &closed.files) {
        assert_eq!(fs::read_to_string(file).unwrap(), HEADER);
    }
    assert_eq!(tree(&dir.path().join("1")).len(), 4);
    assert!(tree(&dir.path().join("2")).is_empty());
    assert_eq!(tree(&dir.path().join("slow")).len(), 1);
}

#[test]
fn more_rows_than_a_file_holds_make_parts() {
    let dir = TempDir::new().unwrap();
    let layout = Layout {
        rows_per_file: NonZeroU32::new(4).unwrap(),
        ..Layout::default()
    };
    let mut collector = collector(&[LoggerSpec {
        layout,
        ..logger(1, dir.path())
    }]);
    for (window, flows) in [(0, 4), (1, 9)] {
        for n in 0..flows {
            collector.observe(
                minute(window),
                &Lab::new(),
                &sent(udp(n, 53), ACCEPT, packets(1)),
            );
        }
        let closed = collector.close(minute(window), &Lab::new(), &[]);
        assert_eq!(closed[0].rows, u64::from(flows));
        let sizes = closed[0].files.iter().map(|file| read_back(file).len());
        let expected = if flows == 4 { vec![4] } else { vec![4, 4, 1] };
        assert_eq!(sizes.collect::<Vec<_>>(), expected);
        let ports = rows(&closed, &["src_port"]);
        assert_eq!(ports, (0..flows).map(|n| n.to_string()).collect::<Vec<_>>());
    }
    assert_eq!(
        tree(&dir.path().join("1")),
        [
            format!("2026/11/23/05/{ID}_2026-11-23T05:00:00Z.csv"),
            format!("2026/11/23/05/{ID}_2026-11-23T05:01:00Z_part1.csv"),
            format!("2026/11/23/05/{ID}_2026-11-23T05:01:00Z_part2.csv"),
            format!("2026/11/23/05/{ID}_2026-11-23T05:01:00Z_part3.csv"),
        ]
    );
}

#[test]
fn names_and_folders_follow_the_time_zone() {
    let korean = Layout {
        zone: Zone::parse("Asia/Seoul").unwrap(),
        ..Layout::default()
    };
    assert_eq!(
        written(korean),
        format!("2026/11/23/14/{ID}_2026-11-23T14:00:00KST.csv")
    );
}

#[test]
fn a_template_makes_hive_folders_and_a_custom_name_stands_as_it_is() {
    let hive = Layout {
        partition: Partition::parse("year=#{year}/month=#{month}/day=#{day}").unwrap(),
        ..Layout::default()
    };
    let name = format!("{ID}_2026-11-23T05:00:00Z.csv");
    assert_eq!(written(hive), format!("year=2026/month=11/day=23/{name}"));
    let day = Layout {
        partition: Partition::parse("DAY").unwrap(),
        ..Layout::default()
    };
    assert_eq!(written(day), format!("2026/11/23/{name}"));
    let custom = "#{hour}#{minute}#{second}-#{year}#{month}#{day}-flows-#{logger_id}";
    let custom = Layout {
        file_name: FileName::parse(custom).unwrap(),
        partition: Partition::parse("all").unwrap(),
        ..Layout::default()
    };
    assert_eq!(
        written(custom),
        format!("all/050000-20261123-flows-{ID}.csv")
    );
}

#[test]
fn the_final_flush_writes_open_intervals_as_they_are_and_nothing_else() {
    let dir = TempDir::new().unwrap();
    let write = LoggerSpec {
        empty_intervals: EmptyIntervals::Write,
        ..logger(2, dir.path())
    };
    let long = LoggerSpec {
        interval_s: 900,
        ..logger(1, dir.path())
    };
    let mut collector = collector(&[
        long,
        LoggerSpec {
            filter: flowlog::Filter::Drop,
            ..write
        },
    ]);
    collector.observe(
        minute(0),
        &Lab::new(),
        &sent(udp(1, 53), ACCEPT, packets(5)),
    );
    let closed = collector.finish(minute(0), &Lab::new(), &[]);
    assert_eq!(rows(&closed, &["packets"]), ["5"]);
    assert_eq!(closed.len(), 1);
    assert!(collector.finish(minute(0), &Lab::new(), &[]).is_empty());
}

#[test]
fn a_clock_that_steps_back_adds_a_part_and_overwrites_nothing() {
    let dir = TempDir::new().unwrap();
    let spec = LoggerSpec {
        empty_intervals: EmptyIntervals::Write,
        ..logger(1, dir.path())
    };
    let mut collector = collector(&[spec]);
    for (n, flows) in [(0, 1), (1, 2), (0, 3), (1, 0), (1, 4)] {
        if flows > 0 {
            collector.observe(
                minute(n),
                &Lab::new(),
                &sent(udp(1, 53), ACCEPT, packets(flows)),
            );
        }
        collector.close(minute(n), &Lab::new(), &[]);
    }
    let root = dir.path().join("1");
    let packets = |file: &String| rows_of(&root.join(file), &["packets"]).join(" ");
    let found: Vec<_> = tree(&root)
        .iter()
        .map(|file| format!("{} {}", &file[file.rfind('T').unwrap()..], packets(file)))
        .collect();
    let expected = [
        "T05:00:00Z.csv 1",
        "T05:00:00Z_part2.csv 3",
        "T05:01:00Z.csv 2",
        "T05:01:00Z_part2.csv 4",
    ];
    assert_eq!(found, expected);
}

#[test]
fn a_clock_that_steps_back_closes_the_interval_of_the_future_at_the_step() {
    for length_s in [60, 300, 900] {
        let dir = TempDir::new().unwrap();
        let mut collector = collector(&[LoggerSpec {
            interval_s: length_s,
            ..logger(1, dir.path())
        }]);
        let o = sent(udp(1, 53), ACCEPT, packets(1));
        collector.observe(minute(60 * 24 * 365), &Lab::new(), &o);
        let (future, present) = (minute(60 * 24 * 365), minute(0));
        let closed = collector.close_before(future, present, &Lab::new(), &[]);
        let windows: Vec<_> = closed.iter().map(|closed| closed.window).collect();
        assert_eq!(windows, [Window::of(future.start_s, length_s)]);
        assert!(collector.finish(present, &Lab::new(), &[]).is_empty());
    }
}

#[test]
fn a_clock_that_steps_back_within_an_interval_leaves_it_open() {
    let dir = TempDir::new().unwrap();
    let mut collector = collector(&[LoggerSpec {
        interval_s: 300,
        ..logger(1, dir.path())
    }]);
    for (n, next) in [(3, 1), (1, 2), (2, 3), (3, 4)] {
        let o = sent(udp(1, 53), ACCEPT, packets(1));
        collector.observe(minute(n), &Lab::new(), &o);
        let closed = collector.close_before(minute(n), minute(next), &Lab::new(), &[]);
        assert!(closed.is_empty(), "{n}");
    }
    let closed = collector.close(minute(4), &Lab::new(), &[]);
    assert_eq!(rows(&closed, &["packets"]), ["4"]);
}

#[test]
fn an_interval_that_the_clock_leaves_has_its_file_even_where_nothing_was_observed_in_it() {
    let dir = TempDir::new().unwrap();
    let spec = LoggerSpec {
        empty_intervals: EmptyIntervals::Write,
        interval_s: 300,
        ..logger(1, dir.path())
    };
    let mut collector = collector(&[spec]);
    for (n, next, expected) in [(0, 601, T0), (601, 1, T0 + 36_000)] {
        let closed = collector.close_before(minute(n), minute(next), &Lab::new(), &[]);
        let starts: Vec<_> = closed.iter().map(|closed| closed.window.start_s).collect();
        assert_eq!(starts, [expected]);
    }
    // It has one already.
    let closed = collector.close_before(minute(1), minute(700), &Lab::new(), &[]);
    assert!(closed.is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_the_clock_does_nothing_is_lost_and_no_interval_outlives_a_step(
        windows in prop::collection::vec(0..200_u64, 1..40),
        length in 0..4_usize,
    ) {
        let dir = tempfile::tempdir_in("/dev/shm").unwrap();
        let interval_s = [60, 120, 300, 900][length];
        let mut collector = collector(&[LoggerSpec { interval_s, ..logger(1, dir.path()) }]);
        let mut packets_written = 0;
        for (place, &n) in windows.iter().enumerate() {
            let o = sent(udp(1, 53), ACCEPT, packets(1));
            collector.observe(minute(n), &Lab::new(), &o);
            let next = minute(windows.get(place + 1).copied().unwrap_or(n));
            let closed = collector.close_before(minute(n), next, &Lab::new(), &[]);
            prop_assert!(closed.iter().all(|closed| !closed.window.contains(next.start_s)));
            packets_written += sum(&closed);
        }
        let last = minute(windows[windows.len() - 1]);
        let open = collector.finish(last, &Lab::new(), &[]);
        prop_assert!(open.iter().all(|closed| closed.window.contains(last.start_s)));
        prop_assert_eq!(packets_written + sum(&open), windows.len());
    }
}

fn sum(closed: &[flowlog::Closed]) -> usize {
    let rows = rows(closed, &["packets"]);
    rows.iter()
        .map(|packets| packets.parse::<usize>().expect("a count of packets"))
        .sum()
}

#[test]
fn a_clock_that_jumps_ahead_closes_what_it_left_behind() {
    let dir = TempDir::new().unwrap();
    let mut collector = collector(&[LoggerSpec {
        interval_s: 300,
        ..logger(1, dir.path())
    }]);
    collector.observe(
        minute(0),
        &Lab::new(),
        &sent(udp(1, 53), ACCEPT, packets(1)),
    );
    let closed = collector.close(minute(601), &Lab::new(), &[]);
    assert_eq!(closed.len(), 1);
    assert_eq!(closed[0].window.start_s, T0);
}

#[test]
fn a_restart_within_an_interval_takes_the_next_part() {
    let dir = TempDir::new().unwrap();
    let state = dir.path().join("state");
    for _ in 0..3 {
        let mut collector = remembering(&[logger(1, dir.path())], &state);
        collector.observe(
            minute(0),
            &Lab::new(),
            &sent(udp(1, 53), ACCEPT, packets(1)),
        );
        collector.finish(minute(0), &Lab::new(), &[]);
    }
    let stem = format!("2026/11/23/05/{ID}_2026-11-23T05:00:00Z");
    let expected = ["_part2.csv", "_part3.csv", ".csv"].map(|end| format!("{stem}{end}"));
    let mut found = tree(&dir.path().join("1"));
    found.sort_by_key(|name| !name.contains("part"));
    assert_eq!(found, expected);
}

#[test]
fn without_its_memory_a_logger_still_overwrites_nothing() {
    let dir = TempDir::new().unwrap();
    for n in 1..=3 {
        let mut collector = collector(&[logger(1, dir.path())]);
        collector.observe(
            minute(0),
            &Lab::new(),
            &sent(udp(1, 53), ACCEPT, packets(n)),
        );
        assert_eq!(collector.finish(minute(0), &Lab::new(), &[])[0].rows, 1);
    }
    assert_eq!(tree(&dir.path().join("1")).len(), 3);
}

#[test]
fn the_hour_that_daylight_saving_repeats_shares_no_name() {
    let dir = TempDir::new().unwrap();
    let custom = "#{logger_id}#{year}#{month}#{day}#{hour}#{minute}#{second}";
    let layout = Layout {
        zone: Zone::parse("America/New_York").unwrap(),
        file_name: FileName::parse(custom).unwrap(),
        ..Layout::default()
    };
    let mut collector = collector(&[LoggerSpec {
        layout,
        ..logger(1, dir.path())
    }]);
    // 2026-11-01T01:30 in New York, twice.
    for start_s in [1_793_511_000, 1_793_514_600] {
        let window = Window {
            start_s,
            length_s: 60,
        };
        collector.observe(window, &Lab::new(), &sent(udp(1, 53), ACCEPT, packets(1)));
        collector.close(window, &Lab::new(), &[]);
    }
    let name = format!("2026/11/01/01/{ID}20261101013000");
    let expected = [format!("{name}.csv"), format!("{name}_part2.csv")];
    assert_eq!(tree(&dir.path().join("1")), expected);
}

#[test]
fn a_directory_that_cannot_be_used_puts_the_logger_into_error_and_loses_nothing() {
    let dir = TempDir::new().unwrap();
    let spec = logger(1, dir.path());
    fs::write(root(&spec), "in the way").unwrap();
    let mut collector = collector(std::slice::from_ref(&spec));
    assert_eq!(collector.status()[0].state, State::Error);
    let close = |collector: &mut Collector, n| {
        let o = sent(udp(1, 53), ACCEPT, packets(1));
        collector.observe(minute(n), &Lab::new(), &o);
        let closed = collector.close(minute(n), &Lab::new(), &[]);
        assert!(closed[0].error.is_none() && closed[0].rows == 1);
    };
    close(&mut collector, 0);
    let status = &collector.status()[0];
    let cause = status.cause.clone().unwrap();
    assert!(cause.starts_with("cannot create the folder "), "{cause}");
    assert_eq!(
        (status.state, status.store),
        (State::Error, Some(Cause::Missing))
    );
    assert_eq!((status.files, status.backlog.files), (0, 1));
    assert_eq!(status.backlog.oldest_s, Some(T0));

    fs::remove_file(root(&spec)).unwrap();
    collector.reconfigure(vec![spec.clone()], &Lab::new());
    close(&mut collector, 1);
    let status = &collector.status()[0];
    assert_eq!((status.state, &status.cause), (State::Active, &None));
    assert_eq!((status.files, status.rows, status.rows_lost), (2, 2, 0));
    assert_eq!(status.backlog.files, 0);
    assert_eq!(status.last_error.as_ref(), Some(&cause));
    assert_eq!(status.last_interval, Some(minute(1)));
    assert_eq!(tree(root(&spec)).len(), 2);
}

#[test]
fn a_logger_is_active_once_its_store_answers_and_removes_what_was_left_half_written() {
    let dir = TempDir::new().unwrap();
    let spec = logger(1, dir.path());
    fs::create_dir(root(&spec)).unwrap();
    fs::write(root(&spec).join(format!(".{ID}.writing")), "half").unwrap();
    let collector = collector(std::slice::from_ref(&spec));
    assert!(tree(root(&spec)).is_empty());
    assert_eq!(collector.status()[0].state, State::Active);
}

#[test]
fn what_was_written_reads_back() {
    let dir = TempDir::new().unwrap();
    let mut collector = collector(&[logger(1, dir.path())]);
    collector.keep_records(true);
    for n in 0..100 {
        let verdict = if n % 2 == 0 { ACCEPT } else { DROP };
        collector.observe(
            minute(0),
            &Lab::new(),
            &sent(tcp(n, 80), verdict, packets(1 + u32::from(n))),
        );
    }
    let skipped = flowlog::Skipped {
        packets: 1,
        bytes: 1,
    };
    let closed = collector.close(minute(0), &Lab::new(), &[(2, skipped)]);
    let rows = read_back(&closed[0].files[0]);
    assert_eq!(rows.len(), 101);
    let text = fs::read_to_string(&closed[0].files[0]).unwrap();
    for (row, line) in rows.iter().zip(text.lines().skip(1)) {
        let values: Vec<_> = row.values().iter().map(Value::to_string).collect();
        assert_eq!(values.join(","), line);
    }
    for (row, record) in rows.iter().zip(&closed[0].records) {
        assert_eq!(row.fields(), Field::NHN_18);
        assert_eq!(
            row.get(Field::InterfaceId),
            Some(&Value::Id(record.port.interface_id))
        );
        assert_eq!(
            row.get(Field::Status),
            Some(&Value::Word(record.status.as_str().into()))
        );
        let flow = record.flow.as_ref();
        let number = |of: fn(&flowlog::Flow) -> u64| {
            flow.map_or(Value::Empty, |f| Value::Number(of(f) as i64))
        };
        assert_eq!(row.get(Field::Packets), Some(&number(|flow| flow.packets)));
        assert_eq!(
            row.get(Field::SrcPort),
            Some(&number(|flow| flow.tuple.src_port.into()))
        );
        let src = flow.map_or(Value::Empty, |flow| Value::Address(flow.tuple.src));
        assert_eq!(row.get(Field::SrcAddr), Some(&src));
    }
}

#[test]
fn a_log_that_is_none_is_refused_with_file_and_line_and_reading_goes_on_where_it_can() {
    let errors = |text: &str| -> Vec<String> {
        match TextReader::new("a.csv", text.as_bytes()) {
            Err(error) => vec![error.to_string()],
            Ok(rows) => rows
                .filter_map(|row| row.err().map(|error| error.to_string()))
                .collect(),
        }
    };
    let long = format!("packets\n{}\n1\n", "1".repeat(9000));
    let cases = [
        (
            "",
            "a.csv:1: the file is empty; a flow log begins with a header line",
        ),
        (
            "packets,color\n",
            "a.csv:1: the column `color` is not a field of the log",
        ),
        (
            "packets,packets\n",
            "a.csv:1: the column `packets` stands twice",
        ),
        (
            "packets,bytes\n1\n",
            "a.csv:2: 1 values, but the header has 2 columns",
        ),
        (
            "packets\n1\n-1\n2\n",
            "a.csv:3: `-1` is not a value of `packets`",
        ),
        (
            "packets\n99999999999999999999\n",
            "a.csv:2: `99999999999999999999` is not a value of `packets`",
        ),
        (
            "src_addr\n10.0.0\n",
            "a.csv:2: `10.0.0` is not a value of `src_addr`",
        ),
        ("vm_id\nx\n", "a.csv:2: `x` is not a value of `vm_id`"),
        ("packets\n1\n2", "a.csv:3: the last line is cut short"),
        (
            &long,
            "a.csv:2: the line is longer than 8192 bytes; this is not a flow log",
        ),
    ];
    for (text, message) in cases {
        assert_eq!(errors(text), [message]);
    }
    let after: Vec<_> = TextReader::new("a.csv", &b"packets\r\nx\r\n\r\n7\r\n"[..])
        .unwrap()
        .collect();
    assert!(after[0].is_err());
    assert_eq!(after[1].as_ref().unwrap().values(), [Value::Empty]);
    assert_eq!(after[2].as_ref().unwrap().values(), [Value::Number(7)]);
    let binary = TextReader::new("a.csv.gz", &b"\x1f\x8b\xff\n"[..])
        .unwrap_err()
        .to_string();
    assert_eq!(
        binary,
        "a.csv.gz:1: the line is not UTF-8 text; this is not a flow log"
    );
}

/// The name of the one file that a logger with this layout writes.
#[allow(clippy::unwrap_used, reason = "a test may stop")]
fn written(layout: Layout) -> String {
    let dir = TempDir::new().unwrap();
    let mut collector = collector(&[LoggerSpec {
        layout,
        ..logger(1, dir.path())
    }]);
    collector.observe(
        minute(0),
        &Lab::new(),
        &sent(udp(1, 53), ACCEPT, packets(1)),
    );
    collector.close(minute(0), &Lab::new(), &[]);
    let [name] = tree(&dir.path().join("1")).try_into().unwrap();
    name
}
