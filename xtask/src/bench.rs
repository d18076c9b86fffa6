//! `cargo xtask bench`: builds with optimisation and hands over to the measuring program, which
//! shares the namespace tests' harness.

use crate::{
    command::{cargo, target, watch},
    instructions, packages,
};
use anyhow::{Result, bail};
use std::{path::PathBuf, process::Command};

/// What to measure. Defaults but for the files are those of the measuring program.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Rounds for each measure, a turn of each system (A B B A is two).
    #[arg(long, default_value_t = 10)]
    pairs: u32,
    /// Seconds of each turn.
    #[arg(long, default_value_t = 3)]
    seconds: u32,
    /// Only measures of these names, or whose name contains one of these; commas between.
    #[arg(long)]
    only: Option<String>,
    /// Other switches to be compared with: all, none, or of bridge, bridge+iptables, bridge+nftables,
    /// ovs, ovs+ct, ovs+ct+ipfix; commas between. One that is not installed is told and left out.
    #[arg(long, default_value = "all")]
    peers: String,
    /// A further switch in each round, with this line at the top of its configuration.
    #[arg(long)]
    variant: Vec<String>,
    /// Only the instructions per packet in memory.
    #[arg(long)]
    instructions: bool,
    /// Where the figures go as JSON.
    #[arg(long, default_value = "target/bench.json")]
    json: PathBuf,
    /// Where the plot goes.
    #[arg(long, default_value = "target/bench.svg")]
    svg: PathBuf,
}

/// Builds and measures. `Ok(false)`: a measurement failed.
pub(crate) fn run(options: &Options) -> Result<bool> {
    packages::install(packages::FOR_MEASURING);
    let counts = instructions::count()?;
    instructions::compare(&counts)?;
    let per_packet = counts.per_tcp_packet();
    if options.instructions {
        return Ok(true);
    }
    if !packages::is_root() {
        bail!("measuring end to end needs network namespaces and TAPs; run it as root");
    }
    build(&["-p", "vswitch", "--bins"])?;
    build(&["-p", "tap", "--example", "pump"])?;
    build(&["-p", "netns-tests", "--bins"])?;
    let release = target("release");
    let mut command = Command::new(release.join("bench"));
    command
        .current_dir(crate::root())
        .args(["--pairs", &options.pairs.to_string()])
        .args(["--seconds", &options.seconds.to_string()])
        .args(["--peers", &options.peers])
        .args(["--instructions-per-packet", &per_packet.to_string()])
        .arg("--json")
        .arg(&options.json)
        .arg("--svg")
        .arg(&options.svg)
        .env("VSWITCH_BIN", release.join("vswitch"))
        .env("PUMP_BIN", release.join("examples/pump"));
    if let Some(only) = &options.only {
        command.args(["--only", only]);
    }
    for variant in &options.variant {
        command.args(["--variant", variant]);
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
