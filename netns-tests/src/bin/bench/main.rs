//! Measures end to end: the switch, with Security Groups and the flow log on, against pumps that
//! inspect nothing and against other switches, in turn within one run. `cargo xtask bench` builds
//! what it needs and starts it; `docs/benchmarks.md` says how to read it.
//!
//! ```text
//!   for each measure:   switch pump pump' bridge ovs …  |  … ovs bridge pump' pump switch  |  …
//!                       └─────────── one round ──────┘     A B B A: drift cancels
//!
//!   fields ─▶ systems ─▶ measures ─▶ outcome ─▶ report (table, JSON), goals, plot
//!             peers      wire: packets sent and counted
//! ```
//! Only the ratios within a round are kept; a turn during which the hypervisor took more than
//! [`outcome::STEAL_MAX`] of the machine enters none, and is counted as dropped.
#![forbid(unsafe_code)]

mod fields;
mod goals;
mod machine;
mod measures;
mod outcome;
mod peers;
mod plot;
mod report;
mod stats;
mod systems;
mod wire;

use anyhow::{Result, ensure};
use clap::Parser;
use fields::caught;
use machine::Ticks;
use measures::{MEASURES, Measure, Take};
use outcome::{Outcome, Turn};
use report::Report;
use serde_json::{Map, json};
use std::{path::PathBuf, time::Duration};
use systems::System;

#[derive(Debug, Parser)]
struct Options {
    /// Rounds for each measure: a turn of each system.
    #[arg(long, default_value_t = 10)]
    pairs: u32,
    /// Seconds of each turn.
    #[arg(long, default_value_t = 3)]
    seconds: u32,
    /// Only measures of these names, or whose name contains one of these.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Other switches to be compared with: all, none, or names.
    #[arg(long, value_delimiter = ',', default_value = "all")]
    peers: Vec<String>,
    /// A further switch in each round, with this line at the top of its configuration.
    #[arg(long)]
    variant: Vec<String>,
    /// Counted beforehand, to go along with the figures.
    #[arg(long, default_value_t = 0.0)]
    instructions_per_packet: f64,
    /// Where the figures go.
    #[arg(long, default_value = "target/bench.json")]
    json: PathBuf,
    /// Where the plot goes.
    #[arg(long, default_value = "target/bench.svg")]
    svg: PathBuf,
}

fn main() -> Result<()> {
    let options = Options::parse();
    let measures: Vec<&Measure> = MEASURES
        .iter()
        .filter(|measure| options.wants(measure.name))
        .collect();
    ensure!(
        !measures.is_empty(),
        "no measure is called so; there are: {}",
        MEASURES
            .iter()
            .map(|measure| measure.name)
            .collect::<Vec<_>>()
            .join(", ")
    );
    peers::Peer::chosen(&options.peers)?;
    // What panics is caught, and told as the reason of a failure.
    std::panic::set_hook(Box::new(|_| ()));
    let mut report = Report::new(about(&options));
    for field in measures.chunk_by(|x, y| x.field == y.field) {
        let mut systems = fields::systems(field[0].field, &options, &mut report)?;
        for measure in field {
            report.add(&run(measure, &mut systems, &options));
        }
    }
    report.finish(&options.json, &options.svg)
}

impl Options {
    fn wants(&self, name: &str) -> bool {
        let is_name = |part: &str| MEASURES.iter().any(|measure| measure.name == part);
        let fits = |part: &String| match is_name(part) {
            true => name == part,
            false => name.contains(part),
        };
        self.only.is_empty() || self.only.iter().any(fits)
    }
}

fn about(options: &Options) -> serde_json::Value {
    let machine = machine::describe();
    println!(
        "{} × {}, Linux {}; {} rounds of {} s",
        machine["cores"],
        machine["cpu"].as_str().unwrap_or_default(),
        machine["kernel"].as_str().unwrap_or_default(),
        options.pairs,
        options.seconds
    );
    let versions = peers::versions().into_iter();
    let versions = versions.map(|(name, version)| (name.to_owned(), json!(version)));
    json!({
        "machine": machine, "versions": versions.collect::<Map<_, _>>(),
        "pairs": options.pairs, "seconds": options.seconds, "variants": options.variant,
        "instructions_per_packet": options.instructions_per_packet,
    })
}

/// A turn within a round: of which system, under which name, taken how.
struct Entrant {
    system: usize,
    name: String,
    take: Take,
}

fn entrants(measure: &Measure, systems: &[System]) -> Vec<Entrant> {
    let mut entrants = vec![];
    for (number, system) in systems.iter().enumerate() {
        let mut enter = |suffix: &str, take| {
            entrants.push(Entrant {
                system: number,
                name: format!("{}{suffix}", system.name),
                take,
            });
        };
        enter("", measure.take);
        if let (Some((suffix, take)), true) = (measure.kernel_also, system.is_kernel()) {
            enter(suffix, take);
        }
    }
    entrants
}

fn run<'a>(measure: &'a Measure, systems: &mut [System], options: &Options) -> Outcome<'a> {
    let time = Duration::from_secs(options.seconds.into());
    let mut order = entrants(measure, systems);
    let mut turns = vec![];
    for round in 0..options.pairs.min(measure.rounds_max) {
        for entrant in &order {
            let system = &mut systems[entrant.system];
            let turn = take_turn(entrant, system, round, time);
            if let Err(why) = &turn.figure {
                eprintln!("{} of {}: {why}", measure.name, entrant.name);
            }
            turns.push(turn);
        }
        order.reverse();
    }
    Outcome { measure, turns }
}

fn take_turn(entrant: &Entrant, system: &mut System, round: u32, time: Duration) -> Turn {
    system.wake();
    let before = Ticks::now();
    let figure = caught(|| (entrant.take)(system, time));
    let steal = Ticks::now().steal_since(before);
    system.rest();
    Turn {
        round,
        system: entrant.name.clone(),
        figure,
        steal,
    }
}
