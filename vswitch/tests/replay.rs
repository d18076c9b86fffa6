//! `vswitch replay` from outside: captures that are whole, broken off, or not worth a record.

#![expect(
    clippy::unwrap_used,
    reason = "a test says what it expects by panicking"
)]

use packet::{Mac, build, tcp_flags};
use std::fs;
use std::path::Path;
use std::process::Command;
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
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("lab.yaml"), LAB).unwrap();
    prepare(directory.path());
    let output = Command::new(env!("CARGO_BIN_EXE_vswitch"))
        .args(["replay", "--config", "lab.yaml", "--out", "out"])
        .args(arguments)
        .current_dir(directory.path())
        .output()
        .unwrap();
    Replayed {
        code: output.status.code().unwrap(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
        directory,
    }
}

/// Rows of all files that were written.
fn rows(directory: &Path) -> usize {
    let mut rows = 0;
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rows += self::rows(&path);
        } else if path.extension().is_some_and(|extension| extension == "csv") {
            rows += fs::read_to_string(path).unwrap().lines().count() - 1;
        }
    }
    rows
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
