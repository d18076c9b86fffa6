//! Measures end to end: the switch, with Security Groups and the flow log on, against pumps that
//! inspect nothing and against the Linux bridge, in turn within one run. `cargo xtask bench` builds
//! what it needs and starts it; `docs/benchmarks.md` says how to read it.
//!
//! ```text
//!   for each measure:   switch pump pump'  |  pump' pump switch  | …   (A B B A: drift cancels)
//!                       └─── one round ───┘                       bridge after every second round
//! ```
//! Only the ratios within a round are kept; a round during which the hypervisor took more than
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
    /// Rounds for each measure: a turn of each system.
    #[arg(long, default_value_t = 4)]
    pairs: u32,
    /// Seconds of each turn.
    #[arg(long, default_value_t = 3)]
    seconds: u32,
    /// Only measures whose name contains this.
    #[arg(long, default_value = "")]
    only: String,
    /// A further switch in each round, with this line at the top of its configuration.
    #[arg(long)]
    variant: Vec<String>,
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
    let switch = System::switch("switch", "", true)?;
    let pumps = [System::pump("read_write")?, System::pump("io_uring")?];
    let variants = options.variant.iter();
    let variants: Vec<System> = variants
        .map(|line| System::switch(&format!("switch, {line}"), line, true))
        .collect::<Result<_>>()?;
    let bridge = System::bridge()?;
    let silent = System::switch("switch without loggers", "", false)?;
    let mut report = Report::new(&options)?;
    for measure in MEASURES
        .iter()
        .filter(|measure| measure.name.contains(&options.only))
    {
        for round in 0..options.pairs {
            let mut order: Vec<&System> = vec![&switch];
            order.extend(&variants);
            order.extend(&pumps);
            if round % 2 == 1 {
                order.reverse();
            }
            report.round(measure, round, take(measure, &order, time));
            if round % 2 == 1 {
                let others = take(measure, &[&bridge, &silent], time);
                report.others(measure, round, others);
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
