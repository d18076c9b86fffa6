//! `cargo xtask bench`: builds with optimisation and hands over to the measuring program, which
//! shares the namespace tests' harness.

use crate::{
    command::{cargo, target, watch},
    packages,
};
use anyhow::{Result, bail};
use std::{path::PathBuf, process::Command};

/// What to measure.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Pairs of turns (A B B A is two).
    #[arg(long, default_value_t = 2)]
    pairs: u32,
    /// Seconds of each measurement.
    #[arg(long, default_value_t = 3)]
    seconds: u32,
    /// Only the instructions per packet in memory.
    #[arg(long)]
    instructions: bool,
    /// Where the figures go as JSON.
    #[arg(long, default_value = "target/bench.json")]
    json: PathBuf,
}

/// Builds and measures. `Ok(false)`: a measurement failed.
pub(crate) fn run(options: &Options) -> Result<bool> {
    packages::install(packages::FOR_MEASURING);
    if !packages::is_root() {
        bail!("measuring needs network namespaces and TAPs; run it as root");
    }
    build(&["-p", "vswitch", "--bins"])?;
    build(&["-p", "tap", "--example", "pump"])?;
    build(&["-p", "netns-tests", "--bins"])?;
    build(&["-p", "examples", "--bins"])?;
    let release = target("release");
    let mut command = Command::new(release.join("bench"));
    command
        .current_dir(crate::root())
        .args(["--pairs", &options.pairs.to_string()])
        .args(["--seconds", &options.seconds.to_string()])
        .arg("--json")
        .arg(&options.json)
        .env("VSWITCH_BIN", release.join("vswitch"))
        .env("PUMP_BIN", release.join("examples/pump"))
        .env("PACKETS_BIN", release.join("packets"));
    if options.instructions {
        command.arg("--instructions");
    }
    watch(&mut command, |_| ())
}

fn build(arguments: &[&str]) -> Result<()> {
    let status = cargo(&["build", "-q", "--release"])
        .args(arguments)
        .status()?;
    if !status.success() {
        bail!("cargo build --release {} failed", arguments.join(" "));
    }
    Ok(())
}
