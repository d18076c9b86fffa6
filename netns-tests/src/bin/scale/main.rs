//! Shows from outside, through the daemon, that the switch holds at scale: a thousand ports, an interval of
//! a million flows, a group of ten thousand members, a guest whose network stack is slow. `cargo xtask scale` builds what it needs and starts it;
//! `docs/scale.md` says how to read it.
//!
//! ```text
//!   ports ─ packets ─ interval ─ members ─ growth ─ slow ──▶ Report ──▶ table, target/scale.json, target/scale.svg
//! ```
//! A figure that must be exact and is not ends the program with 1; one that takes longer than its goal is
//! told, for the machine may be busy.
#![forbid(unsafe_code)]

mod growth;
mod interval;
mod members;
mod packets;
mod plot;
mod ports;
mod probe;
mod report;
mod slow;
mod trips;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use netns_tests::{Plan, rules::any_in};
use report::Report;
use std::{path::PathBuf, process::ExitCode};

/// Memory that has to be free: a thousand TAPs take 0.3 GiB of the kernel's, a million flows 0.7 GiB of ours.
const FREE_KIB: u64 = 3 << 20;

#[derive(Debug, Parser)]
struct Options {
    /// Only the parts whose name contains this: ports, packets, interval, members, growth, slow.
    #[arg(long, default_value = "")]
    only: String,
    /// Seconds for which an idle daemon is watched.
    #[arg(long, default_value_t = 20)]
    idle: u64,
    /// Pairs of turns in which 1,000 ports are held against 2.
    #[arg(long, default_value_t = 6)]
    pairs: u32,
    /// Where the figures go.
    #[arg(long, default_value = "target/scale.json")]
    json: PathBuf,
    /// Where the plot goes.
    #[arg(long, default_value = "target/scale.svg")]
    svg: PathBuf,
}

type Part = fn(&Options, &mut Report) -> Result<()>;

const PARTS: [(&str, Part); 6] = [
    ("ports", ports::measure),
    ("packets", packets::measure),
    ("interval", interval::measure),
    ("members", members::measure),
    ("growth", growth::measure),
    ("slow", slow::measure),
];

fn main() -> Result<ExitCode> {
    let options = Options::parse();
    let free = probe::meminfo_kib("MemAvailable").context("/proc/meminfo")?;
    ensure!(
        free >= FREE_KIB,
        "{} MiB of memory are free, and {} are needed",
        free >> 10,
        FREE_KIB >> 10
    );
    let mut report = Report::new();
    for (name, part) in PARTS {
        if name.contains(&options.only) {
            part(&options, &mut report).with_context(|| format!("part `{name}`"))?;
        }
    }
    report.write(&options.json)?;
    if !report.growth().is_empty() {
        let svg = plot::draw(report.growth());
        std::fs::write(&options.svg, svg).context("cannot write the plot")?;
        println!("plot in {}", options.svg.display());
    }
    Ok(match report.is_exact() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

/// Two guests that may talk to each other.
fn two_guests() -> Plan {
    let plan = Plan::new().no_loggers().group("open", &[any_in()]);
    plan.guest("a", &["open"]).guest("b", &["open"])
}
