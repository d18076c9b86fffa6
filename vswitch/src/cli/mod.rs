//! The command line: reads it, runs a command, ends with an exit code (`failure.rs`).

mod args;
mod check;
mod connections;
mod failure;
mod lab;
mod logs;
mod output;
mod paths;
mod plain;
mod reload;
mod replay;
mod run;
mod select;
mod show;
mod style;
mod table;
mod top;
mod trace;
mod wait;

pub use args::Cli;
pub use logs::{LineColumns, LiveLine, line_heading};
pub use output::Output;
pub use style::{Paint, Painted, Style};
pub use table::{Align, Cell, Table};

use crate::messages::{self, Messages, note};
use args::Command;
use clap::Parser;
use std::ffi::OsStr;
use std::io::IsTerminal;
use std::process::ExitCode;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

/// Environment variable with the level of what is told while running, or levels by module.
const LOG_ENV: &str = "VSWITCH_LOG";

/// The level without it: things that somebody may want to act upon, and what a daemon does.
const LOG_DEFAULT: &str = "info";

/// The program: what `main` calls.
#[must_use]
pub fn main() -> ExitCode {
    tap::give_back_large_allocations();
    let cli = Cli::parse();
    speak_on_stderr(&cli.command);
    let code = failure::end(run(cli.command));
    messages::finish(messages::PATIENCE);
    code
}

fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Demo => crate::demo::demo(),
        Command::Run {
            config,
            paths,
            ready_fd,
        } => run::run(config, paths.overrides(), ready_fd),
        Command::Wait(args) => wait::wait(&args),
        Command::Reload(ask) => reload::reload(&ask),
        Command::Check {
            config,
            paths,
            json,
            schema,
        } => check::check(config.as_deref(), &paths.overrides(), json, schema),
        Command::Lab(command) => lab::lab(command),
        Command::Show(command) => show::show(command),
        Command::Connections(command) => connections::connections(command),
        Command::Trace(args) => trace::trace(args),
        Command::Top(args) => top::top(&args),
        Command::Logs(args) => logs::logs(args),
        Command::Replay(args) => replay::replay(args),
    }
}

/// Sends what the program says of itself to standard error; through a queue where a switch runs, which
/// that must never stop. A demo speaks for itself, and is only interrupted by warnings.
fn speak_on_stderr(command: &Command) {
    let default = if matches!(command, Command::Demo) {
        "warn"
    } else {
        LOG_DEFAULT
    };
    let (filter, mistake) = levels(std::env::var_os(LOG_ENV).as_deref(), default);
    let style = Style::of(&std::io::stderr());
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(Messages::default)
        // Its own errors it would write with `eprintln!`, which panics; `messages` counts what is lost.
        .log_internal_errors(false)
        .with_ansi(std::io::stderr().is_terminal() && style != Style::PLAIN)
        .init();
    if matches!(command, Command::Run { .. } | Command::Demo)
        && let Err(error) = messages::queue()
    {
        note(format_args!("vswitch: no thread for messages: {error}"));
    }
    if let Some(mistake) = mistake {
        note(format_args!("vswitch: {mistake}"));
    }
}

/// What is told, as the environment says; where that names no levels, the default and the mistake.
fn levels(wanted: Option<&OsStr>, default: &str) -> (EnvFilter, Option<String>) {
    let Some(wanted) = wanted.filter(|wanted| !wanted.is_empty()) else {
        return (EnvFilter::new(default), None);
    };
    let text = wanted.to_str().filter(|text| names_levels(text));
    match text.and_then(|text| EnvFilter::try_new(text).ok()) {
        Some(filter) => (filter, None),
        None => {
            let mistake = format!(
                "{LOG_ENV}={} names no level, so that it is {default} as ever; write error, warn, info, debug \
                 or trace, or levels by module, as in vswitch::run=debug",
                wanted.display()
            );
            (EnvFilter::new(default), Some(mistake))
        }
    }
}

/// Whether every part is a level, or says which level of which module. The filter itself takes any word
/// for the name of a module, of which it then tells everything, and of all others nothing.
fn names_levels(text: &str) -> bool {
    let is_level = |word: &str| word.trim().parse::<LevelFilter>().is_ok();
    text.split(',')
        .all(|part| is_level(part.rsplit_once('=').map_or(part, |(_, level)| level)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_taken_and_what_names_none_is_told() {
        let told = |text: &str| levels(Some(OsStr::new(text)), "info").1;
        for text in [
            "",
            "debug",
            "WARN",
            "vswitch::run=debug",
            "info,vswitch::control=trace",
            "off",
        ] {
            assert_eq!(told(text), None, "{text}");
        }
        for text in ["%%%", "verbose", "vswitch=loud", "vswitch::run"] {
            let mistake = told(text).unwrap();
            assert!(
                mistake.contains(text) && mistake.contains("warn"),
                "{mistake}"
            );
        }
        assert!(levels(None, "info").1.is_none());
    }
}
