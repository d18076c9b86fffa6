//! `vswitch logs`: what was written, or with `--follow` what is being written.

mod files;
mod filter;
mod follow;
mod line;
mod print;
mod sort;
mod summary;

pub use line::{LiveLine, line_heading};

use super::args::{DirectionArg, SOCKET, VerdictArg};
use super::failure::FAILED;
use super::output::Output;
use super::select::{Moment, Prefix};
use crate::config::Plan;
use crate::run::load;
use anyhow::Result;
use clap::Args;
use files::Files;
use filter::Filter;
use print::Printer;
use sort::{Key, Sorted};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use summary::Summary;

/// Where the files are if nobody says so: the demo's directory, and the examples'.
const DIRECTORY: &str = "flowlogs";

/// When records become files, and how to see them before.
const WHEN: &str = "files are written when an interval closes (`aggregation_interval`, one minute by default) \
    and when the daemon stops. Until then: vswitch show flows; as they close: vswitch logs --follow";

const AFTER_HELP: &str = "\
Without PATH the files are those of the configuration given by --config, else of ./flowlogs.
A port is named by its name or UUID; files hold UUIDs, so that names need --config, or the port's derived id.

Examples:
  vswitch logs --verdict DROP --since 10m --sort packets
  vswitch logs flowlogs/2026/11/23 --address 10.77.1.0/24 --dst-port 22 --json
  vswitch logs --summary
  vswitch logs --follow --verdict DROP";

/// `logs`.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub struct LogsArgs {
    /// Files or directories.
    #[arg(value_name = "PATH", conflicts_with = "follow")]
    paths: Vec<PathBuf>,
    /// Take directories and names of ports from this configuration.
    #[arg(long, conflicts_with = "follow")]
    config: Option<PathBuf>,
    /// Stream the records of the running daemon as their intervals close.
    #[arg(long, conflicts_with_all = ["sort", "summary"])]
    follow: bool,
    /// Only of this port: name or UUID (of the port or its instance).
    #[arg(long)]
    port: Option<String>,
    /// Only from or to this address, or an address in this prefix.
    #[arg(long, value_name = "ADDRESS")]
    address: Option<Prefix>,
    /// Only to this destination port.
    #[arg(long, value_name = "PORT")]
    dst_port: Option<u16>,
    /// Only with this verdict.
    #[arg(long, ignore_case = true)]
    verdict: Option<VerdictArg>,
    /// Only in this direction, seen from the instance.
    #[arg(long, ignore_case = true)]
    direction: Option<DirectionArg>,
    /// Only with packets at or after this moment: UNIX seconds, 2026-11-23T05:00:00Z, or 10m for ten minutes ago.
    #[arg(long, value_name = "WHEN")]
    since: Option<Moment>,
    /// Only with packets before this moment.
    #[arg(long, value_name = "WHEN")]
    until: Option<Moment>,
    /// Sort: moments, ports and addresses upwards, counters downwards. Unsorted is the order of the files.
    #[arg(long, value_enum)]
    sort: Option<Key>,
    /// One JSON object per line.
    #[arg(long, conflicts_with = "csv")]
    json: bool,
    /// CSV with a header line.
    #[arg(long)]
    csv: bool,
    /// Sums by port, direction and verdict instead of records.
    #[arg(long, conflicts_with_all = ["sort", "csv"])]
    summary: bool,
    /// Control socket of the daemon, for --follow.
    #[arg(long, value_name = "SOCKET", default_value = SOCKET)]
    socket: PathBuf,
}

/// Reads, filters and prints. A file that cannot be read is told and the others are read; the exit code
/// is 1 then.
pub(super) fn logs(args: LogsArgs) -> Result<ExitCode> {
    let plan = args.config.as_deref().map(load).transpose()?;
    let filter = Filter::new(&args, plan.as_ref())?;
    let mut out = Output::stdout();
    let mut printer = Printer::new(args.json, args.csv, plan.as_ref());
    if args.follow {
        follow::follow(&args.socket, &filter, &mut out, &mut printer)?;
        return Ok(ExitCode::SUCCESS);
    }
    let paths = paths(&args, plan.as_ref());
    let named = !args.paths.is_empty() || plan.is_none();
    // A directory that is only configured is made with the daemon's start.
    let there = paths.iter().filter(|path| named || path.exists());
    let mut files = Files::find(there)?;
    let mut taken = 0_u64;
    let rows = files
        .rows()
        .filter(|(_, row)| filter.takes(row))
        .inspect(|_| taken += 1);
    if args.summary {
        let mut summary = Summary::default();
        rows.for_each(|(logger, row)| summary.add(logger, &row));
        summary.print(&mut out, args.json, &printer)?;
    } else if let Some(key) = args.sort {
        for row in Sorted::collect(rows.map(|(_, row)| row), key)? {
            printer.print(&mut out, &row)?;
        }
    } else {
        for (_, row) in rows {
            printer.print(&mut out, &row)?;
        }
    }
    out.flush()?;
    if taken == 0 {
        eprintln!("{}", nothing(&paths, files.counts(), &filter));
    }
    Ok(if files.failed() {
        ExitCode::from(FAILED)
    } else {
        ExitCode::SUCCESS
    })
}

/// Why no record was printed, and where there may be some.
fn nothing(paths: &[PathBuf], (found, rows): (usize, u64), filter: &Filter) -> String {
    let places: Vec<_> = paths
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    let places = places.join(", ");
    let files = if found == 1 { "file" } else { "files" };
    match (found, rows) {
        (0, _) => format!("no file of a flow log in {places} yet; {WHEN}"),
        (_, 0) => format!("{found} {files} in {places}, but no record in them yet; {WHEN}"),
        _ => {
            let mut text =
                format!("of {rows} records in {found} {files} in {places}, none is of that kind");
            if let Some(name) = filter.guessed_port() {
                text.push_str(&format!(
                    "; files hold no names: `{name}` was taken for the port whose id follows from that name. \
                     Is it spelt so? A port that was given another id is found with --config, or by its UUID"
                ));
            }
            text
        }
    }
}

fn paths(args: &LogsArgs, plan: Option<&Plan>) -> Vec<PathBuf> {
    if !args.paths.is_empty() {
        return args.paths.clone();
    }
    let mut paths: Vec<PathBuf> = match plan {
        Some(plan) => plan
            .loggers
            .iter()
            .filter_map(|logger| logger.storage.directory())
            .map(Path::to_owned)
            .collect(),
        None => vec![DIRECTORY.into()],
    };
    paths.sort();
    paths.dedup();
    paths
}
