//! A kill at any moment: every interval that was closed is in the store once and whole, whatever the
//! process was doing, and what was only in memory is named.
//!
//! The writer is this test program itself, started anew as another process and killed. Two hundred times
//! by default; `FLOWLOG_KILLS` says otherwise.
#![allow(clippy::unwrap_used, reason = "a test may stop")]

mod support;

use flowlog::{Collector, Delivery, LoggerSpec, OpenError, SpoolError, Storage};
use std::{
    collections::BTreeMap,
    env, fs,
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
    time::{Duration, Instant},
};
use support::s3::{Fault, Server};
use support::*;

/// Kills unless the environment says otherwise.
const KILLS: u32 = 200;

/// What the writer is told, in its environment.
const DIRECTORY: &str = "FLOWLOG_CRASH_DIRECTORY";
const ENDPOINT: &str = "FLOWLOG_CRASH_ENDPOINT";
const LIFE: &str = "FLOWLOG_CRASH_LIFE";
const FROM: &str = "FLOWLOG_CRASH_FROM";

/// Rows of an interval; more than a file holds, so that there are parts.
fn rows_of_interval(n: u64) -> u16 {
    1 + (n % 7) as u16
}

fn spec(dir: &Path, endpoint: &str) -> LoggerSpec {
    let storage = match endpoint {
        "" => Storage::Directory(dir.join("1")),
        endpoint => Storage::Bucket(bucket(endpoint, dir)),
    };
    LoggerSpec {
        storage,
        layout: flowlog::Layout {
            rows_per_file: std::num::NonZeroU32::new(4).unwrap(),
            ..Default::default()
        },
        ..logger(1, dir)
    }
}

fn collector(dir: &Path, endpoint: &str) -> Collector {
    // A process that another test starts meanwhile has every open file of this one, locks included, until it
    // becomes its program.
    let deadline = Instant::now() + Duration::from_secs(5);
    let delivery = loop {
        match Delivery::open(&dir.join("state"), SPOOL_MAX, flowlog::Access::default()) {
            Err(OpenError::Spool(SpoolError::InUse(_))) if Instant::now() < deadline => {
                thread::sleep(Duration::from_millis(5));
            }
            opened => break opened.unwrap(),
        }
    };
    Collector::new(vec![spec(dir, endpoint)], delivery)
}

/// Not a test: the process that is killed. Writes interval after interval until then, and says which
/// are closed. A row's source port is the life it was written in.
#[test]
#[ignore = "the other process of the tests below"]
fn writer() {
    let Ok(dir) = env::var(DIRECTORY) else { return };
    let (endpoint, life) = (env::var(ENDPOINT).unwrap(), env::var(LIFE).unwrap());
    let (life, from) = (life.parse().unwrap(), env::var(FROM).unwrap());
    let from: u64 = from.parse().unwrap();
    let mut collector = collector(Path::new(&dir), &endpoint);
    let mut said = std::io::stdout();
    for n in from.. {
        writeln!(said, "@ opened {n}").unwrap();
        for row in 0..rows_of_interval(n) {
            let o = sent(udp(life, row), ACCEPT, packets(1));
            collector.observe(minute(n), &Lab::new(), &o);
        }
        let closed = collector.close(minute(n), &Lab::new(), &[]);
        assert!(closed.iter().all(|closed| closed.error.is_none()));
        writeln!(said, "@ closed {n}").unwrap();
        thread::sleep(Duration::from_millis(3));
    }
}

struct Writer {
    child: Child,
    lines: Receiver<String>,
}

impl Writer {
    fn start(dir: &Path, endpoint: &str, life: u32, from: u64) -> Self {
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--exact", "writer", "--ignored", "--nocapture"])
            .env(DIRECTORY, dir)
            .env(ENDPOINT, endpoint)
            .env(LIFE, life.to_string())
            .env(FROM, from.to_string())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (sender, lines) = channel();
        let output = BufReader::new(child.stdout.take().unwrap());
        thread::spawn(move || {
            let words = output.lines().map_while(Result::ok);
            // The test harness may have begun a line of its own.
            let words = words.filter_map(|line| Some(line.split_once("@ ")?.1.to_owned()));
            words.for_each(|line| drop(sender.send(line)));
        });
        Self { child, lines }
    }

    /// Kills it; what it had said.
    fn kill(mut self) -> Vec<String> {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.lines.iter().collect()
    }
}

/// Kills writers, and returns (interval, life) of every interval that was said to be closed.
fn kill_again_and_again(dir: &Path, endpoint: &str, mut vary: impl FnMut(u64)) -> Vec<(u64, u32)> {
    let kills: u32 = env::var("FLOWLOG_KILLS").map_or(KILLS, |text| text.parse().unwrap());
    // Two kinds of store share the kills.
    let kills = kills / 2;
    let mut closed = Vec::new();
    let mut next = 0;
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    for life in 1..=kills {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        vary(seed >> 33);
        let writer = Writer::start(dir, endpoint, life, next);
        // Some do not come as far as their first interval.
        let first = writer.lines.recv_timeout(Duration::from_secs(20));
        thread::sleep(Duration::from_micros(seed >> 40 & 0x7fff));
        let said = writer.kill();
        for line in first.into_iter().chain(said) {
            let (what, n) = line.split_once(' ').unwrap();
            let n: u64 = n.parse().unwrap();
            // The killed interval goes on in the next life, as the clock does.
            next = n;
            if what == "closed" {
                closed.push((n, life));
            }
        }
    }
    closed
}

/// Checks the store's objects against what was closed.
fn check(objects: &BTreeMap<String, String>, closed: &[(u64, u32)]) {
    let mut found: BTreeMap<(u64, u32), Vec<u16>> = BTreeMap::new();
    for (name, text) in objects {
        assert!(text.ends_with('\n'), "{name} is not whole");
        let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split(',').collect()).collect();
        let place = |column| lines[0].iter().position(|name| *name == column).unwrap();
        let (start, src, dst) = (
            place("timestamp_start"),
            place("src_port"),
            place("dst_port"),
        );
        for line in &lines[1..] {
            assert_eq!(line.len(), lines[0].len(), "{name} is not whole");
            let start_s: u64 = line[start].parse().unwrap();
            let of = ((start_s - T0) / 60, line[src].parse().unwrap());
            found
                .entry(of)
                .or_default()
                .push(line[dst].parse().unwrap());
        }
    }
    for (of, rows) in &mut found {
        rows.sort_unstable();
        let whole: Vec<u16> = (0..rows_of_interval(of.0)).collect();
        if closed.contains(of) {
            assert_eq!(*rows, whole, "interval and life {of:?}");
        } else {
            // Killed while it was closed: what is there is there once.
            rows.dedup();
            assert!(rows.iter().all(|row| whole.contains(row)) && rows.len() <= whole.len());
        }
    }
    for of in closed {
        assert!(
            found.contains_key(of),
            "interval and life {of:?} is missing"
        );
    }
}

#[test]
fn after_any_kill_a_directory_holds_every_closed_interval_once_and_whole() {
    let dir = TempDir::new().unwrap();
    let closed = kill_again_and_again(dir.path(), "", |_| {});
    assert!(closed.len() > 10, "{}", closed.len());
    let last = collector(dir.path(), "");
    assert_eq!(last.shut(Duration::from_secs(10)), 0);
    let root = dir.path().join("1");
    let files = tree(&root);
    assert!(files.iter().all(|file| file.ends_with(".csv")), "{files:?}");
    let read = |file: String| {
        let text = fs::read_to_string(root.join(&file)).unwrap();
        (file, text)
    };
    check(&files.into_iter().map(read).collect(), &closed);
    no_leftovers(&dir.path().join("state"));
}

#[test]
fn after_any_kill_a_bucket_holds_every_closed_interval_once_and_whole() {
    let dir = TempDir::new().unwrap();
    write_keys(dir.path());
    let server = Server::start();
    let closed = kill_again_and_again(dir.path(), &server.endpoint, |random| {
        let faults = [
            Fault::Status(500, "InternalError"),
            Fault::Status(503, "SlowDown"),
            Fault::Cut,
            Fault::LostAnswer,
            Fault::Slow(Duration::from_millis(5)),
        ];
        let fault = |n: u64| faults[((random >> (3 * n)) % 5) as usize];
        server.state().faults = (0..4).map(fault).collect();
    });
    assert!(closed.len() > 10, "{}", closed.len());
    server.state().faults.clear();
    let last = collector(dir.path(), &server.endpoint);
    assert_eq!(last.shut(Duration::from_secs(10)), 0);
    let state = server.state();
    let objects = state.objects.iter();
    let objects = objects.filter(|(key, _)| !key.starts_with("_vswitch_probe_"));
    let text = |body: &Vec<u8>| String::from_utf8(body.clone()).unwrap();
    let objects = objects.map(|(key, body)| (key.clone(), text(body)));
    check(&objects.collect(), &closed);
    no_leftovers(&dir.path().join("state"));
}

fn no_leftovers(state: &Path) {
    let left = tree(&state.join("spool"));
    assert_eq!(left, ["lock"]);
}

#[test]
fn the_next_start_names_what_was_only_in_memory_and_since_when() {
    let dir = TempDir::new().unwrap();
    let writer = Writer::start(dir.path(), "", 1, 3);
    // One interval is closed for sure, the next is open or is about to be.
    while writer.lines.recv().unwrap() != "closed 3" {}
    let said = writer.kill();
    let last = said.iter().rfind(|line| line.starts_with("closed"));
    let last = last.map_or(3, |line| line["closed ".len()..].parse().unwrap());
    let interrupted = collector(dir.path(), "").status()[0].interrupted.unwrap();
    // The spool may have an interval more than was said.
    let expected = [minute(last + 1), minute(last + 2)];
    assert!(expected.contains(&interrupted.window), "{interrupted:?}");
    assert_eq!(interrupted.since_s, interrupted.window.start_s);
}

#[test]
fn a_life_that_ended_before_anything_reached_the_log_is_named_in_place_of_the_one_before() {
    let dir = TempDir::new().unwrap();
    for life in [T0 + 7, T0 + 130] {
        let mut short = collector(dir.path(), "");
        short.begin(life);
        // Without its final flush.
        assert_eq!(short.shut(Duration::from_secs(5)), 0);
    }
    let interrupted = collector(dir.path(), "").status()[0].interrupted.unwrap();
    assert_eq!(
        (interrupted.since_s, interrupted.window),
        (T0 + 130, minute(2))
    );
}

#[test]
fn a_life_that_began_within_its_open_interval_is_named_since_then() {
    let dir = TempDir::new().unwrap();
    let mut short = collector(dir.path(), "");
    short.begin(T0 + 7);
    let o = sent(udp(1, 53), ACCEPT, packets(1));
    short.observe(minute(0), &Lab::new(), &o);
    // A base window that ends before the interval does.
    short.close(flowlog::Window::of(T0 + 10, 10), &Lab::new(), &[]);
    assert_eq!(short.shut(Duration::from_secs(5)), 0);
    let interrupted = collector(dir.path(), "").status()[0].interrupted.unwrap();
    assert_eq!(
        (interrupted.since_s, interrupted.window),
        (T0 + 7, minute(0))
    );
}

#[test]
fn an_orderly_end_leaves_nothing_to_name() {
    let dir = TempDir::new().unwrap();
    let mut orderly = collector(dir.path(), "");
    let o = sent(udp(1, 53), ACCEPT, packets(1));
    orderly.observe(minute(0), &Lab::new(), &o);
    orderly.finish(minute(0), &Lab::new(), &[]);
    assert_eq!(orderly.shut(Duration::from_secs(5)), 0);
    assert_eq!(collector(dir.path(), "").status()[0].interrupted, None);
}
