//! `cargo xtask scale`: builds with optimisation and hands over to the program that shows how the switch
//! holds at scale.

use crate::{
    command::{cargo, target, watch},
    packages,
};
use anyhow::{Result, bail};
use std::{path::PathBuf, process::Command};

/// What to measure.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Only the parts whose name contains this: ports, packets, interval, members, growth, slow.
    #[arg(long, default_value = "")]
    only: String,
    /// Seconds for which an idle daemon is watched.
    #[arg(long, default_value_t = 20)]
    idle: u64,
    /// Pairs of turns in which 1,000 ports are held against 2.
    #[arg(long, default_value_t = 6)]
    pairs: u32,
    /// Where the figures go as JSON.
    #[arg(long, default_value = "target/scale.json")]
    json: PathBuf,
    /// Where the plot goes.
    #[arg(long, default_value = "target/scale.svg")]
    svg: PathBuf,
}

/// Builds and measures. `Ok(false)`: something that must be exact was not.
pub(crate) fn run(options: &Options) -> Result<bool> {
    if !packages::is_root() {
        bail!("a switch with its ports needs network namespaces and TAPs; run it as root");
    }
    let build = [
        "build",
        "-q",
        "--release",
        "-p",
        "vswitch",
        "-p",
        "netns-tests",
        "--bins",
    ];
    if !cargo(&build).status()?.success() {
        bail!("cargo {} failed", build.join(" "));
    }
    let release = target("release");
    let mut command = Command::new(release.join("scale"));
    command
        .current_dir(crate::root())
        .args(["--only", &options.only])
        .args(["--idle", &options.idle.to_string()])
        .args(["--pairs", &options.pairs.to_string()])
        .arg("--json")
        .arg(&options.json)
        .arg("--svg")
        .arg(&options.svg)
        .env("VSWITCH_BIN", release.join("vswitch"));
    watch(&mut command, |_| ())
}
