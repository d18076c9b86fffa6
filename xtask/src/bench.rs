//! `cargo xtask bench`: builds with optimisation and hands over to the measuring program, which
//! shares the namespace tests' harness.

use crate::{
    command::{cargo, target, watch},
    packages,
};
use anyhow::{Context, Result, bail};
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
    let per_packet = instructions()?;
    println!("instructions per established TCP packet, parse to counters: {per_packet:.1}");
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

/// Instructions per packet: two runs under callgrind that differ in the number of packets alone.
fn instructions() -> Result<f64> {
    const PACKETS: [u64; 2] = [12_800, 128_000];
    let [few, many] = PACKETS.map(instructions_of);
    Ok((many? - few?) as f64 / (PACKETS[1] - PACKETS[0]) as f64)
}

fn instructions_of(packets: u64) -> Result<u64> {
    let log = target("callgrind.log");
    let runner = format!(
        "valgrind --tool=callgrind --callgrind-out-file=/dev/null --log-file={}",
        log.display()
    );
    let host = host()?.to_uppercase().replace(['-', '.'], "_");
    let status = cargo(&["bench", "-q", "-p", "vswitch", "--bench", "packets", "--"])
        .arg(packets.to_string())
        .env(format!("CARGO_TARGET_{host}_RUNNER"), runner)
        .status()?;
    if !status.success() {
        bail!("the packet path does not run under valgrind; is it installed?");
    }
    let text = std::fs::read_to_string(&log)?;
    let count = text
        .lines()
        .find_map(|line| line.split_once("Collected : "));
    let (_, count) = count.context("callgrind tells what it collected")?;
    Ok(count.trim().parse()?)
}

/// The target that cargo builds for, unless told otherwise.
fn host() -> Result<String> {
    let output = Command::new("rustc").arg("-vV").output()?;
    let text = String::from_utf8(output.stdout)?;
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("rustc tells its host")?.to_owned())
}
