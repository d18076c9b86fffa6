//! Everything around the build, without a tool that cargo does not bring:
//!
//! ```text
//! cargo xtask test          all that has to hold, in order, up to the first step that fails
//! cargo xtask bench         the switch against a pump that inspects nothing, and other switches
//! cargo xtask scale         a thousand ports, an interval of a million flows, ten thousand members and rules
//! cargo xtask instructions  instructions per packet, held against those expected
//! cargo xtask captures      captures of other projects' test suites, replayed and read by tshark
//! cargo xtask tidy          links and commands in the documents
//! ```
#![forbid(unsafe_code)]

mod bench;
mod captures;
mod command;
mod instructions;
mod packages;
mod scale;
mod test;
mod tidy;

use clap::{Parser, Subcommand};
use std::{path::Path, process::ExitCode};

#[derive(Debug, Parser)]
#[command(name = "cargo xtask", about = "Everything around the build")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Runs every check and test; installs the Debian packages they need where it may.
    Test {
        /// Names of the steps to run, all unless given.
        steps: Vec<String>,
    },
    /// Measures end to end and in memory, and prints ratios (see docs/benchmarks.md).
    Bench(bench::Options),
    /// Shows how the switch holds at scale, and how its cost grows (see docs/scale.md).
    Scale(scale::Options),
    /// Counts instructions per packet and holds them against those expected (see docs/benchmarks.md).
    Instructions {
        /// Takes what is counted for what is expected from now on.
        #[arg(long)]
        accept: bool,
    },
    /// Compares replays with tshark over the captures of other projects' suites (see docs/captures.md).
    Captures(captures::Options),
    /// Checks that links in documents lead somewhere and that the README's commands exist.
    Tidy,
}

fn main() -> ExitCode {
    let result = match Cli::parse().task {
        Task::Test { steps } => test::run(&steps),
        Task::Bench(options) => bench::run(&options),
        Task::Scale(options) => scale::run(&options),
        Task::Instructions { accept } => instructions::run(accept),
        Task::Captures(options) => captures::run(&options),
        Task::Tidy => tidy::run(),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The top folder of the project.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the crate lies in the workspace")
}
