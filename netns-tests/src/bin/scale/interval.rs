//! An interval of a minute with a million flows, of which each has a record at its sender and one at its
//! receiver: they are all there, once, in CSV and in Parquet, and nobody felt them being written.
//!
//! ```text
//!   :00 ── flood ── quiet, round trips of two others ── :60 ── the same while it is swept, sorted, written ──▶ done
//! ```

use crate::{
    Options,
    probe::Memory,
    report::{Figure, Report, figure},
    trips::Trips,
    two_guests,
};
use anyhow::{Result, ensure};
use netns_tests::{Found, Grid, Lab};
use std::{
    sync::Mutex,
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

const GRID: Grid = Grid {
    sources: 1000,
    destinations: 1000,
};
/// Records of an interval of each logger.
const RECORDS: f64 = 2e6;
const INTERVAL_S: u64 = 60;
/// Second of the minute by which the flood has to begin.
const BEGIN_BY_S: u64 = 15;
/// Round trips to compare with.
const QUIET: Duration = Duration::from_secs(5);
/// How long files may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// Goal of TARGETS.
const EXTRA_MIB: f64 = 64.0;

pub(crate) fn measure(_: &Options, report: &mut Report) -> Result<()> {
    for formats in [&["CSV"][..], &["PARQUET"], &["CSV", "PARQUET"]] {
        let subject = format!("a minute with 1,000,000 flows, {}", formats.join(" and "));
        let figures = minute(formats)?;
        report.add("interval", &subject, &figures);
    }
    Ok(())
}

fn minute(formats: &[&str]) -> Result<Vec<Figure>> {
    let mut lab = start(formats);
    wait_for_room_in_the_minute();
    let (a, b) = (lab.guest("a").clone(), lab.guest("b").clone());
    let (c, d) = (lab.guest("c").clone(), lab.guest("d").clone());
    b.hears_nothing();
    c.knows(&[&d]);
    d.knows(&[&c]);
    let end_s = (now().as_secs() / INTERVAL_S + 1) * INTERVAL_S;
    let sending = Instant::now();
    GRID.send(&a, &b);
    let sent_s = sending.elapsed().as_secs_f64();
    ensure!(
        now().as_secs() < end_s - 10,
        "the flood took {sent_s:.0} s: too long for the minute"
    );
    lab.audit();

    let memory = Memory::watch(lab.daemon().pid());
    let quiet = Instant::now();
    let before = Trips::until(&c, &d, || quiet.elapsed() > QUIET);
    thread::sleep(until(end_s).saturating_sub(Duration::from_millis(500)));
    let (begun, closes) = (Instant::now(), SystemTime::now());
    let written = Mutex::new(None);
    let during = thread::scope(|scope| {
        let watching = scope.spawn(|| {
            let done = wait_for_files(&lab, end_s, begun + PATIENCE);
            *written
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner) = Some(done);
        });
        let trips = Trips::until(&c, &d, || watching.is_finished());
        let _ = watching.join();
        trips
    });
    let written = written
        .into_inner()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    let late = written.flatten();
    ensure!(late.is_some(), "the files are not there after {PATIENCE:?}");
    let samples = memory.end();
    lab.audit();
    let skipped = total(&lab, "ports", "skipped") + total(&lab, "loggers", "rows_lost");
    let folder = |number: usize| lab.dir().join(format!("flowlogs/{number}"));
    let found: Vec<_> = (0..formats.len())
        .map(|number| GRID.count(&folder(number)))
        .collect();
    lab.end();

    let memory = Peaks::of(&samples, closes, &found);
    let mut figures = vec![
        figure("flood", sent_s, "s"),
        figure(
            "files there after the minute's end",
            late.unwrap_or(f64::NAN),
            "s",
        ),
        figure("resident, all flows in the table", memory.before, "MiB"),
        figure("peak while records are collected", memory.collecting, "MiB"),
        figure(
            "peak beyond that while they are encoded",
            memory.encoding,
            "MiB",
        )
        .at_most(EXTRA_MIB),
        figure("round trip before, median", before.quantile_us(0.5), "µs"),
        figure("round trip before, p99", before.quantile_us(0.99), "µs"),
        figure(
            "round trip meanwhile, median",
            during.quantile_us(0.5),
            "µs",
        ),
        figure("round trip meanwhile, p99", during.quantile_us(0.99), "µs"),
        figure(
            "round trip meanwhile, longest",
            during.quantile_us(1.0),
            "µs",
        ),
        figure("round trips meanwhile", during.count() as f64, ""),
        figure("round trips lost", f64::from(before.lost + during.lost), "").exactly(0.0),
        figure("not recorded for lack of room", skipped, "").exactly(0.0),
    ];
    for found in &found {
        figures.extend(check(found, end_s - INTERVAL_S));
    }
    Ok(figures)
}

/// Resident memory, MiB.
struct Peaks {
    before: f64,
    /// Until the first file is there.
    collecting: f64,
    /// From then on, beyond what there was then.
    encoding: f64,
}

impl Peaks {
    fn of(samples: &[(SystemTime, u64)], closes: SystemTime, found: &[Found]) -> Self {
        let files = found.iter().flat_map(|found| &found.files);
        let written = files.filter_map(|file| file.metadata().ok()?.modified().ok());
        // One of an earlier minute has nothing to do with it.
        let first = written.filter(|at| *at > closes).min().unwrap_or(closes);
        let peak = |wanted: &dyn Fn(SystemTime) -> bool| {
            let wanted = samples.iter().filter(|(at, _)| wanted(*at));
            wanted
                .map(|(_, kib)| *kib as f64 / 1024.0)
                .fold(0.0, f64::max)
        };
        let at_first = samples.iter().rfind(|(at, _)| *at <= first);
        let at_first = at_first.map_or(0.0, |(_, kib)| *kib as f64 / 1024.0);
        Self {
            before: peak(&|at| at < closes),
            collecting: peak(&|at| at <= first),
            encoding: (peak(&|at| at > first) - at_first).max(0.0),
        }
    }
}

fn start(formats: &[&str]) -> Lab {
    let roomy = "conntrack_limit: 1500000, flow_limit: 2500000";
    let mut plan = two_guests()
        .guest("c", &["open"])
        .guest("d", &["open"])
        .top("conntrack: { limit: 2000000, timeouts: { udp: 60 } }");
    for name in ["a", "b"] {
        plan = plan.change(name, |port| port.keys = roomy.into());
    }
    for format in formats {
        plan = plan.logger(&format!(
            "name: {format}, resource_type: VPC, resource: lab, aggregation_interval: {INTERVAL_S}s, \
             log_format: {format}"
        ));
    }
    plan.start()
}

/// What the files of the minute that began at `start_s` have to say.
fn check(found: &Found, start_s: u64) -> Vec<Figure> {
    // The name ends with the beginning of the interval: …T14:31:00Z_part7.csv.
    let minute = format!("{:02}:{:02}:00Z", start_s / 3600 % 24, start_s / 60 % 60);
    let named = |file: &std::path::PathBuf| file.to_string_lossy().contains(&minute);
    let of_minute = found
        .files
        .iter()
        .zip(&found.rows)
        .filter(|(file, _)| named(file));
    let rows: Vec<usize> = of_minute.map(|(_, rows)| *rows).collect();
    let full = rows.iter().filter(|&&rows| rows == 20_000).count();
    vec![
        figure("flows with a record at each end", found.exact() as f64, "")
            .exactly(GRID.flows() as f64),
        figure("records of them", found.records() as f64, "").exactly(RECORDS),
        figure("rows with a status other than OK", found.not_ok as f64, "").exactly(0.0),
        figure("files named after the minute", rows.len() as f64, ""),
        figure("those with 20,000 rows", full as f64, "")
            .exactly(rows.len().saturating_sub(1) as f64),
    ]
}

/// Waits until every logger has closed the interval that ends at `end_s`, and no file waits; seconds since
/// then. `None`: not by `deadline`.
fn wait_for_files(lab: &Lab, end_s: u64, deadline: Instant) -> Option<f64> {
    loop {
        thread::sleep(Duration::from_millis(50));
        let loggers = lab.show("loggers");
        let loggers = loggers.as_array().cloned().unwrap_or_default();
        let is_done = |logger: &serde_json::Value| {
            let closed = logger["last_interval"].as_u64() >= Some(end_s - INTERVAL_S);
            closed && logger["waiting_files"] == 0
        };
        if !loggers.is_empty() && loggers.iter().all(is_done) {
            return Some(now().as_secs_f64() - end_s as f64);
        }
        if Instant::now() > deadline {
            return None;
        }
    }
}

fn total(lab: &Lab, what: &str, field: &str) -> f64 {
    let rows = lab.show(what);
    let rows = rows.as_array().cloned().unwrap_or_default();
    rows.iter().filter_map(|row| row[field].as_f64()).sum()
}

fn now() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}

fn until(second: u64) -> Duration {
    Duration::from_secs(second).saturating_sub(now())
}

/// A minute that is too far gone is let go.
fn wait_for_room_in_the_minute() {
    let second = now().as_secs() % INTERVAL_S;
    if second > BEGIN_BY_S {
        thread::sleep(until((now().as_secs() / INTERVAL_S + 1) * INTERVAL_S));
    }
}
