//! The command line: reads it, runs a command, ends with an exit code (`failure.rs`).

mod args;
mod check;
mod failure;
mod lab;
mod logs;
mod output;
mod replay;
mod run;
mod select;
mod show;
mod style;
mod table;
mod trace;

pub use args::Cli;
pub use logs::{LiveLine, line_heading};
pub use output::Output;
pub use style::{Paint, Painted, Style};
pub use table::{Align, Cell, Table};

use args::Command;
use clap::Parser;
use std::io::IsTerminal;
use std::process::ExitCode;
use tracing_subscriber::EnvFilter;

/// Environment variable with the level of what is told while running, or levels by module.
const LOG_ENV: &str = "VSWITCH_LOG";

/// The level without it: things that somebody may want to act upon, and what a daemon does.
const LOG_DEFAULT: &str = "info";

/// The program: what `main` calls.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    tell_on_stderr(&cli.command);
    failure::end(run(cli.command))
}

fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Demo => crate::demo::demo(),
        Command::Run { config } => run::run(&config),
        Command::Check {
            config,
            json,
            schema,
        } => check::check(config.as_deref(), json, schema),
        Command::Lab(command) => lab::lab(command),
        Command::Show(command) => show::show(command),
        Command::Trace(args) => trace::trace(args),
        Command::Logs(args) => logs::logs(args),
        Command::Replay(args) => replay::replay(args),
    }
}

/// What the program tells of itself goes to standard error. A demo speaks for itself, and is only
/// interrupted by warnings.
fn tell_on_stderr(command: &Command) {
    let default = if matches!(command, Command::Demo) {
        "warn"
    } else {
        LOG_DEFAULT
    };
    let filter = EnvFilter::try_from_env(LOG_ENV).unwrap_or_else(|_| EnvFilter::new(default));
    let style = Style::of(&std::io::stderr());
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal() && style != Style::PLAIN)
        .init();
}
