//! Memory is bounded, whatever is written or read: measured of a process of its own, because a peak is
//! the process's.
#![allow(clippy::unwrap_used, reason = "a test may stop")]

mod support;

use flowlog::{Account, AwsText, AwsVersion, Compression, Field, Format, LoggerSpec, Objects};
use packet::FiveTuple;
use std::{env, fs, net::Ipv4Addr, num::NonZeroU32, path::Path, process::Command, thread};
use support::s3::Server;
use support::*;

/// What the other process is told, in its environment: what to do, where, and with which store.
const TASK: &str = "FLOWLOG_MEMORY_TASK";
const DIRECTORY: &str = "FLOWLOG_MEMORY_DIRECTORY";
const ENDPOINT: &str = "FLOWLOG_MEMORY_ENDPOINT";

/// Records of an interval.
const RECORDS: u32 = 1_000_000;

/// What encoding them may take beside them, KiB.
const ENCODING_KIB_MAX: u64 = 64 << 10;

/// What an encoder of text may take, KiB; its rows are some MiB.
const BUFFER_KIB_MAX: u64 = 2 << 10;

/// An object that memory must not hold, and what reading it may take, KiB.
const OBJECT_BYTES: usize = 64 << 20;
const READING_KIB_MAX: u64 = 24 << 10;

/// Length of that object's lines.
const LINE: usize = 8000;

/// Not a test: the process that is measured. Says by how many KiB its memory grew at most.
#[test]
#[ignore = "the other process of the tests below"]
fn measured() {
    let Ok(task) = env::var(TASK) else { return };
    let dir = env::var(DIRECTORY).unwrap();
    let dir = Path::new(&dir);
    let (task, place) = task.split_once(' ').unwrap();
    let place: usize = place.parse().unwrap();
    let grown = match task {
        "close" => close(dir, INTERVALS[place].clone()),
        "stream" => stream(dir, &streams()[place]),
        _ => read(dir, &env::var(ENDPOINT).unwrap()),
    };
    println!("@ {grown}");
}

/// Of which whole intervals are closed.
const INTERVALS: [Format; 2] = [
    Format::Csv(Compression::Zstd),
    Format::Parquet(Compression::Zstd),
];

/// What is streamed through a buffer: the encoder alone is measured.
fn streams() -> [Format; 3] {
    let account = Account::parse("123456789012").unwrap();
    let version = AwsVersion::V2;
    [
        Format::Csv(Compression::Raw),
        Format::Csv(Compression::Gzip),
        Format::Aws(AwsText { version, account }),
    ]
}

/// Closes an interval of [`RECORDS`], in one file: that is the most that is held of one.
fn close(dir: &Path, format: Format) -> u64 {
    let spec = LoggerSpec {
        layout: flowlog::Layout {
            rows_per_file: NonZeroU32::new(RECORDS).unwrap(),
            ..Default::default()
        },
        format,
        ..logger(1, dir)
    };
    let mut collector = remembering(&[spec], &dir.join("state"));
    let lab = Lab::new();
    for n in 0..RECORDS {
        // Neighbours are far from each other, so that sorting has something to do.
        let tuple = tuple(n.wrapping_mul(0x9e37_79b1) % (1 << 24));
        collector.observe(minute(0), &lab, &sent(tuple, ACCEPT, packets(3)));
    }
    let before = Memory::before();
    let closed = collector.close(minute(0), &lab, &[]);
    let grown = before.grown();
    assert!(closed.iter().all(|closed| closed.error.is_none()));
    let rows: u64 = closed.iter().map(|closed| closed.rows).sum();
    assert_eq!(rows, u64::from(RECORDS));
    grown
}

/// Encodes as many records one by one, each another, with few fields: the buffer is what counts.
fn stream(dir: &Path, format: &Format) -> u64 {
    let mut collector = remembering(&[logger(1, dir)], &dir.join("state"));
    collector.keep_records(true);
    collector.observe(minute(0), &Lab::new(), &sent(tuple(0), ACCEPT, packets(3)));
    let mut closed = collector.close(minute(0), &Lab::new(), &[]);
    let mut record = closed.remove(0).records.remove(0);
    let before = Memory::before();
    let mut nowhere = std::io::sink();
    let fields = [Field::SrcPort, Field::Bytes];
    let mut encoder = format.encoder(&fields, &mut nowhere).unwrap();
    for n in 0..RECORDS {
        let flow = record.flow.as_mut().unwrap();
        flow.bytes = u64::from(n.wrapping_mul(0x9e37_79b1));
        encoder.row(&record).unwrap();
    }
    encoder.finish().unwrap();
    before.grown()
}

fn tuple(n: u32) -> FiveTuple {
    FiveTuple {
        protocol: 17,
        src: Ipv4Addr::from(0x0a4d_0000 | n >> 16).into(),
        dst: Ipv4Addr::from(0xc000_0000 | n).into(),
        src_port: n as u16,
        dst_port: 53,
    }
}

/// Reads the bucket's objects to their ends.
fn read(dir: &Path, endpoint: &str) -> u64 {
    let bucket = bucket(endpoint, dir);
    let objects = Objects::new(&bucket).unwrap();
    let listing = objects.list(10, |_| {}).unwrap();
    let before = Memory::before();
    for object in &listing.objects {
        let rows = objects.open(object).unwrap();
        assert_eq!(rows.map(Result::unwrap).count(), OBJECT_BYTES / LINE);
    }
    before.grown()
}

/// What the process had when the measuring began, KiB.
struct Memory(u64);

impl Memory {
    fn before() -> Self {
        // The peak so far is forgotten (proc(5), clear_refs); where that is not allowed it counts.
        let _ = fs::write("/proc/self/clear_refs", "5");
        Self(kib("VmRSS"))
    }

    fn grown(&self) -> u64 {
        kib("VmHWM").saturating_sub(self.0)
    }
}

fn kib(what: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(what)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// By how many KiB a process grows that does this.
fn measure(task: &str, dir: &Path, endpoint: &str) -> u64 {
    let output = Command::new(env::current_exe().unwrap())
        .args(["--exact", "measured", "--ignored", "--nocapture"])
        .env(TASK, task)
        .env(DIRECTORY, dir)
        .env(ENDPOINT, endpoint)
        // On a disk, not in memory, which would be the process's again.
        .env("TMPDIR", "/var/tmp")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let said = said.lines().find_map(|line| line.split_once("@ "));
    let Some((_, grown)) = said else {
        panic!("{output:?}");
    };
    grown.parse().unwrap()
}

#[test]
fn an_interval_of_a_million_records_is_encoded_in_bounded_memory_beside_them() {
    let close = |(place, format): (usize, &Format)| {
        let dir = TempDir::new().unwrap();
        let grown = measure(&format!("close {place}"), dir.path(), "");
        assert!(grown <= ENCODING_KIB_MAX, "{format:?}: {grown} KiB");
    };
    thread::scope(|scope| {
        for each in INTERVALS.iter().enumerate() {
            scope.spawn(move || close(each));
        }
    });
}

#[test]
fn a_million_rows_of_text_go_through_a_buffer_that_does_not_grow() {
    for (place, format) in streams().iter().enumerate() {
        let dir = TempDir::new().unwrap();
        let grown = measure(&format!("stream {place}"), dir.path(), "");
        assert!(grown <= BUFFER_KIB_MAX, "{format:?}: {grown} KiB");
    }
}

#[test]
fn an_object_greater_than_the_memory_that_is_allowed_is_read_from_a_bucket() {
    let server = Server::start();
    let dir = tempfile::tempdir().unwrap();
    write_keys(dir.path());
    let line = format!("{}\n", "x".repeat(LINE - 1));
    let text = format!("region\n{}", line.repeat(OBJECT_BYTES / LINE));
    let object = ("great.csv".to_owned(), text.into_bytes());
    server.state().objects.extend([object]);
    let grown = measure("read 0", dir.path(), &server.endpoint);
    assert!(grown <= READING_KIB_MAX, "{grown} KiB");
}
