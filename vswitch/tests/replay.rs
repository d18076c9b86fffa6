//! `vswitch replay` from outside: captures that are whole, broken off, or not worth a record.

#![expect(
    clippy::unwrap_used,
    reason = "a test says what it expects by panicking"
)]

use packet::{Mac, build, tcp_flags};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::process::Stdio;
use vswitch::io::pcap::PcapWriter;

const LAB: &str = "
region: KR1
vpcs: [{ name: lab }]
subnets: [{ name: app, vpc: lab, cidr: 10.77.1.0/24 }]
ports:
  - { name: a, subnet: app, mac_address: 'fa:16:3e:00:00:01', fixed_ips: [10.77.1.1], tap: { name: t1 } }
  - { name: b, subnet: app, mac_address: 'fa:16:3e:00:00:02', fixed_ips: [10.77.1.2], tap: { name: t2 } }
flowlog_loggers:
  - { name: everything, resource_type: VPC, resource: lab, aggregation_interval: 10s, empty_intervals: skip, storage_url: ./logs }
";

/// A capture's start, in nanoseconds; an interval begins with it.
const START_NS: u64 = 1_700_000_000_000_000_000;

fn mac(of: u8) -> Mac {
    Mac([0xfa, 0x16, 0x3e, 0, 0, of])
}

/// A SYN of one to another, from this port.
fn syn(from: u8, to: u8, src_port: u16) -> Vec<u8> {
    build::frame(mac(from), mac(to))
        .ip([10, 77, 1, from], [10, 77, 1, to])
        .tcp(src_port, 80)
        .flags(tcp_flags::SYN)
        .build()
}

/// Writes a capture with a second between two frames.
fn capture(path: &Path, frames: &[Vec<u8>]) {
    let mut file = PcapWriter::create(path).unwrap();
    for (frame, second) in frames.iter().zip(0..) {
        let time_ns = START_NS + second * 1_000_000_000;
        file.write(time_ns, frame, frame.len() as u32).unwrap();
    }
    file.flush().unwrap();
}

struct Replayed {
    code: i32,
    out: String,
    err: String,
    directory: tempfile::TempDir,
}

/// Replays captures (made by `prepare`) with further arguments.
fn replay(prepare: impl FnOnce(&Path), arguments: &[&str]) -> Replayed {
    replay_with(LAB, prepare, &[&["--out", "out"], arguments].concat())
}

/// The same with another configuration, and files where its loggers want them.
fn replay_with(config: &str, prepare: impl FnOnce(&Path), arguments: &[&str]) -> Replayed {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("lab.yaml"), config).unwrap();
    prepare(directory.path());
    replay_in(directory, arguments)
}

/// The same in a directory where everything is.
fn replay_in(directory: tempfile::TempDir, arguments: &[&str]) -> Replayed {
    let stdin = directory.path().join("stdin");
    let stdin = fs::File::open(stdin).map_or_else(|_| Stdio::null(), Stdio::from);
    let output = Command::new(env!("CARGO_BIN_EXE_vswitch"))
        .args(["replay", "--config", "lab.yaml"])
        .args(arguments)
        .env("VSWITCH_S3_ACCESS_KEY", "key")
        .env("VSWITCH_S3_SECRET_KEY", "secret")
        .env("XDG_STATE_HOME", directory.path().join("user"))
        .current_dir(directory.path())
        .stdin(stdin)
        .output()
        .unwrap();
    Replayed {
        code: output.status.code().unwrap(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
        directory,
    }
}

/// The files below a directory, in order of their names; none where there is no directory.
fn files(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(self::files(&path));
        } else {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// Rows of all files that were written.
fn rows(directory: &Path) -> usize {
    let rows = |file: &PathBuf| fs::read_to_string(file).unwrap().lines().count() - 1;
    files(directory).iter().map(rows).sum()
}

/// The summary of `--json`.
fn summary(replayed: &Replayed) -> serde_json::Value {
    let last = replayed.out.lines().last();
    let last = last.unwrap_or_else(|| panic!("no summary: {}", replayed.err));
    serde_json::from_str(last).unwrap()
}

fn cut_by_a_byte(path: &Path) {
    let bytes = fs::read(path).unwrap();
    fs::write(path, &bytes[..bytes.len() - 1]).unwrap();
}

#[test]
fn what_came_before_a_capture_breaks_off_is_replayed_and_written() {
    let replayed = replay(
        |directory| {
            let path = directory.join("a.pcap");
            capture(&path, &[syn(1, 2, 1001), syn(1, 2, 1002), syn(1, 2, 1003)]);
            cut_by_a_byte(&path);
        },
        &["a.pcap"],
    );
    let Replayed { code, out, err, .. } = &replayed;
    assert_eq!(*code, 1, "{err}");
    for words in ["10.77.1.1:1001", "10.77.1.1:1002", "frames replayed: 2"] {
        assert!(out.contains(words), "{words}: {out}");
    }
    assert!(!out.contains(":1003"), "{out}");
    assert!(err.contains("a.pcap, byte ") && err.contains("ends within a frame"));
    assert_eq!(err.lines().count(), 1, "{err}");
    assert_eq!(rows(&replayed.directory.path().join("out")), 4);
}

#[test]
fn a_capture_that_breaks_off_does_not_end_the_others() {
    let replayed = replay(
        |directory| {
            let [a, b] = ["a.pcap", "b.pcap"].map(|name| directory.join(name));
            capture(&a, &[syn(1, 2, 1001)]);
            cut_by_a_byte(&a);
            capture(&b, &[syn(2, 1, 1002), syn(2, 1, 1003)]);
        },
        &["--port", "a=a.pcap", "--port", "b=b.pcap", "--json"],
    );
    let last = replayed.out.lines().last().unwrap();
    let summary: serde_json::Value = serde_json::from_str(last).unwrap();
    assert_eq!(
        (replayed.code, &summary["frames"], &summary["rows"]),
        (1, &2.into(), &4.into())
    );
    let damaged = summary["damaged"].as_array().unwrap();
    assert!(damaged.len() == 1 && damaged[0].as_str().unwrap().contains("a.pcap"));
}

#[test]
fn frames_of_no_port_are_told_apart_by_whether_they_are_recorded() {
    let arp = build::frame(mac(9), Mac::BROADCAST)
        .arp_request([10, 77, 1, 9].into(), [10, 77, 1, 1].into());
    let frames = [vec![0xfa, 0x16], vec![0; 13], arp, syn(9, 1, 1001)];
    let replayed = replay(
        |directory| capture(&directory.join("a.pcap"), &frames),
        &["a.pcap"],
    );
    let Replayed { code, out, err, .. } = &replayed;
    assert_eq!((*code, err.as_str()), (0, ""), "{out}");
    for words in [
        "frames replayed: 0",
        "recorded with direction unknown: 1\n",
        "of a kind that is not recorded (ARP, IPv6, multicast and the like): 1\n",
        "too short for an Ethernet header: 2\n",
        "rows: 1;",
    ] {
        assert!(out.contains(words), "{words}: {out}");
    }
}

/// Of the second datagram no capture has the first fragment.
#[test]
fn fragments_out_of_order_pass_and_what_still_waits_at_the_end_is_told() {
    let datagram = build::frame(mac(1), mac(2))
        .ip([10, 77, 1, 1], [10, 77, 1, 2])
        .udp(4000, 53)
        .payload(&[7; 4000])
        .build();
    let mut frames = build::fragments(&datagram, 1480, 1);
    frames.extend(build::fragments(&datagram, 1480, 2).split_off(1));
    frames[..3].reverse();
    let done = replay(
        |directory| capture(&directory.join("a.pcap"), &frames),
        &["--port", "a=a.pcap", "--json"],
    );
    let summary: serde_json::Value =
        serde_json::from_str(done.out.lines().last().unwrap()).unwrap();
    let told = ["frames", "delivered", "held"].map(|field| summary[field].as_u64());
    assert_eq!(told, [Some(5), Some(3), Some(2)], "{}", done.out);
    assert_eq!(summary["audit_holds"], true);
}

#[test]
fn a_runt_of_a_port_is_counted_there_and_is_no_record() {
    let replayed = replay(
        |directory| capture(&directory.join("a.pcap"), &[vec![0; 13]]),
        &["--port", "a=a.pcap"],
    );
    assert_eq!(replayed.code, 0, "{}", replayed.err);
    assert!(
        replayed.out.contains("Ethernet header: 1\nrows: 0;") && !replayed.out.contains("unknown"),
        "{}",
        replayed.out
    );
}

/// Writes a capture with frames at these seconds.
fn capture_at(path: &Path, frames: &[(u64, Vec<u8>)]) {
    let mut file = PcapWriter::create(path).unwrap();
    for (second, frame) in frames {
        let time_ns = START_NS + second * 1_000_000_000;
        file.write(time_ns, frame, frame.len() as u32).unwrap();
    }
    file.flush().unwrap();
}

/// [`LAB`] with files for quiet intervals too, in two loggers' directories.
fn lab_of_two_loggers() -> String {
    let logger = |name, rest: &str| {
        format!(
            "  - {{ name: {name}, resource_type: VPC, resource: lab, {rest}, storage_url: ./{name} }}\n"
        )
    };
    let head = LAB.split("  - { name: everything").next().unwrap();
    let short = logger("short", "aggregation_interval: 10s, fields: nhn-24");
    let long = logger("long", "aggregation_interval: 60s");
    format!("{head}{short}{long}")
}

/// As from TAPs: [`START_NS`] is 20 s after a full minute.
#[test]
fn quiet_intervals_between_two_frames_have_their_files() {
    let frames = [(1, syn(1, 2, 1001)), (75, syn(1, 2, 1002))];
    let replayed = replay_with(
        &lab_of_two_loggers(),
        |directory| capture_at(&directory.join("a.pcap"), &frames),
        &["a.pcap"],
    );
    let [short, long] = ["short", "long"].map(|name| files(&replayed.directory.path().join(name)));
    assert_eq!((short.len(), long.len()), (8, 2), "{}", replayed.out);
    let nodata = fs::read_to_string(&short[3]).unwrap();
    assert_eq!(nodata.matches("NODATA").count(), 2, "{nodata}");
}

#[test]
fn a_pause_of_years_is_not_filled_with_files_and_the_summary_says_so() {
    let frames = [(1, syn(1, 2, 1001)), (400_000_000, syn(1, 2, 1002))];
    let replayed = replay_with(
        &lab_of_two_loggers(),
        |directory| capture_at(&directory.join("a.pcap"), &frames),
        &["a.pcap"],
    );
    let short = files(&replayed.directory.path().join("short"));
    assert_eq!((replayed.code, short.len()), (0, 2), "{}", replayed.out);
    assert!(
        replayed.out.contains("too many of them: 39999999"),
        "{}",
        replayed.out
    );
}

/// The lab with an interval of a second.
fn lab_of_seconds() -> String {
    LAB.replace("interval: 10s", "interval: 1s")
}

#[test]
fn a_dead_connection_stays_dead_over_a_pause_longer_than_32_bits_of_milliseconds_compare() {
    const DAY_S: u64 = 24 * 60 * 60;
    let groups = "
security_groups:
  - { name: asks, rules: [{ direction: egress }] }
  - { name: answers, rules: [{ direction: egress }, { direction: ingress }] }
";
    let config = lab_of_seconds()
        .replace(
            "tap: { name: t1 }",
            "security_groups: [asks], tap: { name: t1 }",
        )
        .replace(
            "tap: { name: t2 }",
            "security_groups: [answers], tap: { name: t2 }",
        );
    let config = config + groups;
    let udp = |from, to, src_port, dst_port| {
        build::frame(mac(from), mac(to))
            .ip([10, 77, 1, from], [10, 77, 1, to])
            .udp(src_port, dst_port)
            .build()
    };
    // 60 days: the milliseconds have wrapped.
    for (pause_s, delivered) in [(10, 2), (30 * DAY_S, 1), (60 * DAY_S, 1)] {
        let frames = [(1, udp(1, 2, 1001, 53)), (1 + pause_s, udp(2, 1, 53, 1001))];
        let replayed = replay_with(
            &config,
            |directory| capture_at(&directory.join("a.pcap"), &frames),
            &["a.pcap", "--json"],
        );
        assert_eq!(summary(&replayed)["delivered"], delivered, "{pause_s} s");
    }
}

#[test]
fn many_pauses_have_no_more_files_together_than_one_may_have() {
    const PAUSE_S: u64 = 43_300;
    let frames: Vec<_> = (0..40).map(|n| (n * PAUSE_S, syn(1, 2, 1001))).collect();
    let replayed = replay_with(
        &lab_of_seconds(),
        |directory| capture_at(&directory.join("a.pcap"), &frames),
        &["a.pcap", "--json"],
    );
    let summary = summary(&replayed);
    assert_eq!(summary["unfilled"], 38 * (PAUSE_S - 1), "{summary}");
}

#[test]
fn an_empty_capture_writes_nothing_and_is_named() {
    let replayed = replay_with(
        &lab_of_two_loggers(),
        |directory| capture(&directory.join("a.pcap"), &[]),
        &["a.pcap", "--json"],
    );
    assert_eq!(replayed.code, 0, "{}", replayed.err);
    assert_eq!(
        replayed.err,
        "vswitch: a.pcap: the capture holds no packet\n"
    );
    assert_eq!(summary(&replayed)["empty"][0], "a.pcap");
    let found = files(replayed.directory.path());
    assert_eq!(found.len(), 2, "{found:?}");
}

#[test]
fn an_empty_capture_beside_another_is_named_and_the_other_replayed() {
    let replayed = replay(
        |directory| {
            capture(&directory.join("a.pcap"), &[]);
            capture(&directory.join("b.pcap"), &[syn(2, 1, 1001)]);
        },
        &["--port", "a=a.pcap", "--port", "b=b.pcap", "--json"],
    );
    let summary = summary(&replayed);
    assert_eq!(
        (&summary["frames"], &summary["empty"][0]),
        (&1.into(), &"a.pcap".into())
    );
}

#[test]
fn a_store_that_nothing_answers_for_is_named_at_once() {
    let config = LAB.replace(
        "storage_url: ./logs",
        "storage_type: OBS, storage_url: 's3://flowlogs/lab'",
    ) + "object_storage: { endpoint: 'http://127.0.0.1:1', region: r, \
           access_key_env: VSWITCH_S3_ACCESS_KEY, secret_key_env: VSWITCH_S3_SECRET_KEY }\n";
    let replayed = replay_with(
        &config,
        |directory| capture(&directory.join("a.pcap"), &[syn(1, 2, 1001)]),
        &["a.pcap"],
    );
    assert_eq!((replayed.code, replayed.out.as_str()), (1, ""));
    for words in ["logger `everything`", "127.0.0.1:1", "Connection refused"] {
        assert!(replayed.err.contains(words), "{words}: {}", replayed.err);
    }
}

/// A reply that stands before its request in the file.
#[test]
fn frames_out_of_order_are_sorted_by_time() {
    let request = build::frame(mac(1), mac(2))
        .ip([10, 77, 1, 1], [10, 77, 1, 2])
        .udp(4000, 53)
        .build();
    let reply = build::frame(mac(2), mac(1))
        .ip([10, 77, 1, 2], [10, 77, 1, 1])
        .udp(53, 4000)
        .build();
    let config = LAB.replace(
        "ports:",
        "security_groups: [{ name: dns, rules: [{ direction: ingress, protocol: udp, \
         port_range_min: 53, port_range_max: 53 }] }]\nports:",
    );
    let config = config.replace("tap:", "security_groups: [dns], tap:");
    let replayed = replay_with(
        &config,
        |directory| capture_at(&directory.join("a.pcap"), &[(2, reply), (1, request)]),
        &["a.pcap", "--json"],
    );
    let summary = summary(&replayed);
    assert_eq!(
        (&summary["delivered"], &summary["late"]),
        (&2.into(), &0.into()),
        "{}",
        replayed.out
    );
    assert!(!replayed.out.contains("DROP"), "{}", replayed.out);
}

#[test]
fn headers_that_the_snap_length_cut_off_are_counted_and_make_no_record() {
    let frame = syn(1, 2, 1001);
    let write_cut = |path: &Path, kept: usize| {
        let mut file = PcapWriter::create(path).unwrap();
        file.write(START_NS, &frame[..kept], frame.len() as u32)
            .unwrap();
        file.flush().unwrap();
    };
    // 14 of Ethernet, 20 of IPv4, 20 of TCP.
    for (kept, cut) in [(13, 1), (14, 1), (33, 1), (34, 1), (53, 1), (54, 0)] {
        for port in [&["a.pcap"][..], &["--port", "a=a.pcap"]] {
            let replayed = replay(|directory| write_cut(&directory.join("a.pcap"), kept), port);
            let told = "not replayed, for the capture's snap length cut their headers off: 1\n";
            assert_eq!(
                replayed.out.contains(told),
                cut == 1,
                "{kept}: {}",
                replayed.out
            );
            assert_eq!(rows(&replayed.directory.path().join("out")), 2 - 2 * cut);
        }
    }
}

/// What has no MAC is matched by address.
#[test]
fn raw_ip_is_matched_by_its_source_address_and_reaches_its_neighbour() {
    let frames: Vec<_> = [syn(1, 2, 1001), syn(2, 1, 1002), syn(9, 1, 1003)]
        .iter()
        .map(|frame| frame[14..].to_vec())
        .collect();
    let write_raw = |directory: &Path| {
        let path = directory.join("a.pcap");
        capture(&path, &frames);
        let mut bytes = fs::read(&path).unwrap();
        bytes[20] = 101;
        fs::write(&path, bytes).unwrap();
    };
    let replayed = replay(write_raw, &["a.pcap", "--json"]);
    let found = ["frames", "delivered", "unknown"].map(|key| summary(&replayed)[key].as_u64());
    assert_eq!(found, [Some(2), Some(2), Some(1)], "{}", replayed.out);
    // Of a port's own capture, what it received is left out.
    let replayed = replay(write_raw, &["--port", "a=a.pcap", "--json"]);
    let found = ["frames", "received"].map(|key| summary(&replayed)[key].as_u64());
    assert_eq!(found, [Some(1), Some(2)], "{}", replayed.out);
}

#[test]
fn a_capture_comes_from_standard_input_too_also_compressed() {
    let write = |directory: &Path| {
        capture(&directory.join("a.pcap"), &[syn(1, 2, 1001)]);
        let plain = fs::read(directory.join("a.pcap")).unwrap();
        let packed = zstd::encode_all(plain.as_slice(), 1).unwrap();
        fs::write(directory.join("stdin"), packed).unwrap();
    };
    for arguments in [&["-", "--json"][..], &["--port", "a=-", "--json"]] {
        let replayed = replay(write, arguments);
        assert_eq!(summary(&replayed)["frames"], 1, "{}", replayed.err);
    }
    let replayed = replay(write, &["--port", "a=-", "-"]);
    assert_eq!(replayed.code, 2);
    assert!(
        replayed.err.contains("one capture only"),
        "{}",
        replayed.err
    );
}

#[test]
fn a_logger_of_everything_has_ipv6_and_other_protocols_of_no_port() {
    let ipv6 = build::frame(mac(9), mac(8))
        .ip(
            [0xfd00_u16, 0, 0, 0, 0, 0, 0, 9],
            [0xfd00_u16, 0, 0, 0, 0, 0, 0, 8],
        )
        .udp(1000, 53)
        .build();
    for (config, recorded) in [
        (LAB.to_owned(), 0),
        (LAB.replace("resource: lab", "resource: lab, scope: all"), 1),
    ] {
        let replayed = replay_with(
            &config,
            |directory| capture(&directory.join("a.pcap"), std::slice::from_ref(&ipv6)),
            &["a.pcap", "--json"],
        );
        let summary = summary(&replayed);
        assert_eq!(
            (&summary["unknown"], &summary["rows"]),
            (&recorded.into(), &recorded.into())
        );
    }
}

/// What a daemon keeps is its own.
#[test]
fn a_replay_leaves_the_daemons_state_as_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path().join("state");
    fs::create_dir_all(state.join("spool")).unwrap();
    let mark = "6f4c7b0e-0000-0000-0000-000000000001 1700000000 60\n";
    fs::write(state.join("flowlog-open"), mark).unwrap();
    fs::write(state.join("flowlog-names"), "").unwrap();
    let config = format!("state_dir: {}\n{LAB}", state.display());
    fs::write(directory.path().join("lab.yaml"), config).unwrap();
    capture(&directory.path().join("a.pcap"), &[syn(1, 2, 1001)]);
    let before = files(&state);
    let first = replay_in(directory, &["a.pcap"]);
    assert_eq!(first.code, 0, "{}", first.err);
    assert_eq!(files(&state), before);
    let after = fs::read_to_string(state.join("flowlog-open")).unwrap();
    assert_eq!(after, mark);

    // A name is taken where a file has it, and free in a fresh folder.
    let again = replay_in(first.directory, &["a.pcap"]);
    assert!(again.out.contains("_part2.csv"), "{}", again.out);
    fs::remove_dir_all(again.directory.path().join("logs")).unwrap();
    let fresh = replay_in(again.directory, &["a.pcap"]);
    assert!(!fresh.out.contains("_part"), "{}", fresh.out);
    let out = replay_in(fresh.directory, &["a.pcap", "--out", "other"]);
    assert!(!out.out.contains("_part"), "{}", out.out);
    assert_eq!(files(&state), before);
}
