//! Loss: the highest rate without any, and what is lost at 80 % of it while the switch has other work.

use super::Figure;
use crate::{
    systems::{CROSSED_INTERVAL, End, System, many_rules},
    wire::{Drain, Flows, Sender},
};
use anyhow::{Context, Result, ensure};
use netns_tests::Lab;
use std::{
    sync::atomic::{AtomicBool, AtomicU32, Ordering},
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// Halvings of the range between [`LOWEST`] and what is delivered of a flood: to one part in 64.
const STEPS: u32 = 6;
/// Where the search begins, of what is delivered of a flood.
const LOWEST: f64 = 0.1;
/// Of a turn's time: one trial of a rate.
const TRIAL: u32 = 3;
/// Trials of a rate; one without loss is enough, since the machine may be away during another.
const TRIALS: u32 = 2;
/// Of the highest rate: the one at which nothing must get lost.
const SHARE: f64 = 0.8;
/// How long the records of an interval may take after that.
const WRITING_MAX: Duration = Duration::from_secs(30);
/// How long a sender waits for a reload that does not come.
const RELOAD_MAX: Duration = Duration::from_secs(30);
/// What is still on its way when the sender stops.
const DRAINING: Duration = Duration::from_millis(50);
/// Before and after what happens meanwhile.
const MARGIN: Duration = Duration::from_secs(1);
/// After the boundary: the log is taken over, encoded and written.
const AFTER_BOUNDARY: Duration = Duration::from_secs(10);

/// The highest rate at which nothing is lost, by halving.
pub(super) fn highest_rate(system: &mut System, time: Duration) -> Result<Figure> {
    system.prepare(1)?;
    let (rate, flooded) = search(system, time)?;
    Ok(Figure {
        value: rate / 1e6,
        beside: vec![("of a flood Mpps", flooded / 1e6)],
    })
}

/// Lost while an interval closes in which every flow had packets.
pub(super) fn across_interval(system: &mut System, time: Duration) -> Result<Figure> {
    system.prepare(1)?;
    let (highest, _) = search(system, time)?;
    let rate = highest * SHARE;
    // All flows have their turn within the window that then closes.
    let around = Duration::from_secs_f64(f64::from(system.flows) / rate) + MARGIN;
    ensure!(
        around < Duration::from_secs(CROSSED_INTERVAL),
        "{rate:.0} packets a second do not touch every flow in {CROSSED_INTERVAL} s"
    );
    let boundary = next_boundary(around)?;
    thread::sleep(boundary.saturating_sub(around + now()?));
    let end = Instant::now() + boundary.saturating_sub(now()?) + AFTER_BOUNDARY;
    let (written, dropped) = (records(&system.lab), dropped(&system.lab));
    let trial = trial(system, rate, || Instant::now() < end)?;
    let mut figure = trial.figure(rate);
    let written = written_since(written, system)?;
    figure.beside.push(("records written", written));
    figure.beside.extend(dropped_since(dropped, &system.lab));
    Ok(figure)
}

/// Lost while 10,000 rules are read again, one of the groups changed.
pub(super) fn across_reload(system: &mut System, time: Duration) -> Result<Figure> {
    static EDITION: AtomicU32 = AtomicU32::new(1);
    system.prepare(1)?;
    let (highest, _) = search(system, time)?;
    let rate = highest * SHARE;
    let rules = many_rules(EDITION.fetch_add(1, Ordering::Relaxed));
    let dropped = dropped(&system.lab);
    let (is_over, start) = (AtomicBool::new(false), Instant::now());
    let ends = system.pair().map(Clone::clone);
    let (trial, reloaded) = thread::scope(|scope| {
        let sending = scope.spawn(|| {
            trial_between([&ends[0], &ends[1]], system.flows, rate, || {
                !is_over.load(Ordering::Relaxed) && start.elapsed() < RELOAD_MAX
            })
        });
        thread::sleep(MARGIN);
        let start = Instant::now();
        system.lab.reload(|plan| plan.group("many", &rules));
        let reloaded = start.elapsed();
        thread::sleep(MARGIN);
        is_over.store(true, Ordering::Relaxed);
        let trial = sending.join().ok().context("the sender has panicked")??;
        anyhow::Ok((trial, reloaded))
    })?;
    let mut figure = trial.figure(rate);
    let reload_ms = reloaded.as_secs_f64() * 1e3;
    figure.beside.push(("reload ms", reload_ms));
    figure.beside.extend(dropped_since(dropped, &system.lab));
    Ok(figure)
}

/// What became of the packets of a trial.
#[derive(Debug, Clone, Copy)]
struct Trial {
    tried: u64,
    received: u64,
    /// Refused by the queue of the sender's interface.
    tap_dropped: u64,
    elapsed: Duration,
}

impl Trial {
    fn lost(self) -> u64 {
        self.tried.saturating_sub(self.received)
    }

    /// Packets tried per second, which may be less than was wanted.
    fn rate(self) -> f64 {
        self.tried as f64 / self.elapsed.as_secs_f64()
    }

    fn figure(self, wanted: f64) -> Figure {
        let beside = vec![
            ("at kpps", wanted / 1e3),
            ("sent kpps", self.rate() / 1e3),
            ("sent", self.tried as f64),
            ("of the lost at the sender's TAP", self.tap_dropped as f64),
        ];
        Figure {
            value: self.lost() as f64,
            beside,
        }
    }
}

/// The highest rate without loss, and what is delivered of a flood; packets per second.
fn search(system: &System, time: Duration) -> Result<(f64, f64)> {
    let trial_time = time / TRIAL;
    let is_free = |rate: f64| -> Result<Option<f64>> {
        for _ in 0..TRIALS {
            let start = Instant::now();
            let trial = trial(system, rate, || start.elapsed() < trial_time)?;
            if trial.lost() == 0 {
                return Ok(Some(trial.rate()));
            }
        }
        Ok(None)
    };
    let start = Instant::now();
    let flood = trial(system, f64::INFINITY, || start.elapsed() < trial_time)?;
    let flooded = flood.received as f64 / flood.elapsed.as_secs_f64();
    ensure!(flooded > 0.0, "nothing arrived");
    let (mut low, mut high, mut best) = (flooded * LOWEST, flooded, 0.0);
    for _ in 0..STEPS {
        let rate = f64::midpoint(low, high);
        match is_free(rate)? {
            Some(sent) => (low, best) = (rate, sent),
            None => high = rate,
        }
    }
    ensure!(best > 0.0, "packets are lost even at {low:.0} a second");
    Ok((best, flooded))
}

fn trial(system: &System, rate: f64, goes_on: impl FnMut() -> bool) -> Result<Trial> {
    trial_between(system.pair(), system.flows, rate, goes_on)
}

fn trial_between(
    [a, b]: [&End; 2],
    flows: u32,
    rate: f64,
    goes_on: impl FnMut() -> bool,
) -> Result<Trial> {
    let mut sender = Sender::new(a, b, Flows::new(flows))?;
    let drain = Drain::new(b)?;
    let dropped_before = a.stats()?.tx_dropped;
    let start = Instant::now();
    let tried = match rate.is_finite() {
        true => sender.paced(rate, goes_on)?,
        false => sender.flood(goes_on)?,
    };
    let elapsed = start.elapsed();
    thread::sleep(DRAINING);
    Ok(Trial {
        tried,
        received: drain.read()?,
        tap_dropped: a.stats()?.tx_dropped - dropped_before,
        elapsed,
    })
}

/// Records written since there were `before`: at least one of each flow, or there was no boundary to
/// be crossed. A busy machine writes for a while.
fn written_since(before: f64, system: &System) -> Result<f64> {
    let deadline = Instant::now() + WRITING_MAX;
    loop {
        let written = records(&system.lab) - before;
        if written >= f64::from(system.flows) {
            return Ok(written);
        }
        ensure!(
            Instant::now() < deadline,
            "only {written} records were written"
        );
        thread::sleep(DRAINING);
    }
}

/// What the switch itself counts at all ports: refusals, and frames that a guest's queue did not take.
fn dropped(lab: &Lab) -> [f64; 2] {
    let ports = lab.show("ports");
    let sum = |key: &str| {
        let rows = ports.as_array().into_iter().flatten();
        rows.filter_map(|row| row[key].as_f64()).sum()
    };
    [sum("drops"), sum("tx_lost")]
}

fn dropped_since(before: [f64; 2], lab: &Lab) -> [(&'static str, f64); 2] {
    let [refused, lost] = dropped(lab);
    [
        ("refused by the switch", refused - before[0]),
        ("lost by the switch", lost - before[1]),
    ]
}

/// Rows in the files that the loggers' stores have.
fn records(lab: &Lab) -> f64 {
    let loggers = lab.show("loggers");
    let rows = loggers.as_array().into_iter().flatten();
    rows.filter_map(|row| row["rows"].as_f64()).sum()
}

/// Since the epoch.
fn now() -> Result<Duration> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH)?)
}

/// The first end of an interval, since the epoch, that is at least `away`.
fn next_boundary(away: Duration) -> Result<Duration> {
    let seconds = (now()? + away).as_secs() / CROSSED_INTERVAL + 1;
    Ok(Duration::from_secs(seconds * CROSSED_INTERVAL))
}
