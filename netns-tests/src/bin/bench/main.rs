//! Measures end to end: the switch, with Security Groups and the flow log on, against a pump that
//! inspects nothing and against the Linux bridge, in turn within one run. `cargo xtask bench` builds
//! what it needs and starts it; `docs/benchmarks.md` says how to read it.
//!
//! ```text
//!   for each measure:   switch pump  |  pump switch  |  switch pump  | …   (A B B A: drift cancels)
//!                       └─ one pair ─┘                 bridge after every second pair
//! ```
//! Only the ratios within a pair are kept; a pair during which the hypervisor took more than
//! [`report::STEAL_MAX`] of the machine is dropped and counted.
#![forbid(unsafe_code)]

mod measure;
mod report;
mod system;

use anyhow::Result;
use clap::Parser;
use measure::{MEASURES, Measure};
use report::{Report, Taken};
use std::{path::PathBuf, time::Duration};
use system::System;

#[derive(Debug, Parser)]
struct Options {
    /// Pairs of turns for each measure.
    #[arg(long, default_value_t = 4)]
    pairs: u32,
    /// Seconds of each turn.
    #[arg(long, default_value_t = 3)]
    seconds: u32,
    /// Only measures whose name contains this.
    #[arg(long, default_value = "")]
    only: String,
    /// Counted beforehand, to go along with the figures.
    #[arg(long, default_value_t = 0.0)]
    instructions_per_packet: f64,
    /// Where the figures go.
    #[arg(long, default_value = "target/bench.json")]
    json: PathBuf,
}

fn main() -> Result<()> {
    let options = Options::parse();
    let time = Duration::from_secs(options.seconds.into());
    let switch = System::switch("switch", true)?;
    let pump = System::pump()?;
    let bridge = System::bridge()?;
    let silent = System::switch("switch without loggers", false)?;
    let mut report = Report::new(&options)?;
    for measure in MEASURES
        .iter()
        .filter(|measure| measure.name.contains(&options.only))
    {
        for pair in 0..options.pairs {
            let order = if pair % 2 == 0 {
                [&switch, &pump]
            } else {
                [&pump, &switch]
            };
            let taken = take(measure, &order, time);
            report.pair(measure, pair, taken);
            if pair % 2 == 1 {
                let others = take(measure, &[&bridge, &silent], time);
                report.others(measure, pair, others);
            }
        }
        report.print(measure);
    }
    report.write(&options.json)
}

fn take(measure: &Measure, systems: &[&System], time: Duration) -> Vec<Taken> {
    systems
        .iter()
        .map(|system| report::take(measure, system, time))
        .collect()
}
