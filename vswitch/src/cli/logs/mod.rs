//! `vswitch logs`: what was written, or with `--follow` what is being written.

mod files;
mod filter;
mod follow;
mod line;
mod place;
mod print;
mod progress;
mod sort;
mod spill;
mod summary;
mod top;

pub use line::{LineColumns, LiveLine, line_heading};

use super::args::{DirectionArg, SOCKET, VerdictArg};
use super::failure::FAILED;
use super::output::Output;
use super::select::{Moment, Prefix};
use crate::control::LogRow;
use crate::messages::note;
use crate::run::load;
use anyhow::Result;
use clap::Args;
use files::Files;
use filter::Filter;
use flowlog::Storage;
use place::places;
use print::Printer;
use progress::Progress;
use serde_json::Value;
use sort::{Key, Sorter};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use summary::Summary;
use uuid::Uuid;

/// When records become files, and how to see them before.
const WHEN: &str = "files are written when an interval closes (`aggregation_interval`, one minute by default) \
    and when the daemon stops. Until then: vswitch show flows; as they close: vswitch logs --follow";

const AFTER_HELP: &str = "\
Without PATH the files are those of the configuration given by --config, else of ./flowlogs.
For a bucket the configuration's object_storage has endpoint and keys; the key must be allowed to list and to get.
A port is named by its name or UUID; files hold UUIDs, so that names need --config, or the port's derived id.

Examples:
  vswitch logs --verdict DROP --since 10m --sort packets
  vswitch logs flowlogs/2026/11/23 --address 10.77.1.0/24 --dst-port 22 --json
  vswitch logs s3://flowlogs/lab/2026/11/23 --config lab.yaml --verdict DROP
  vswitch logs --summary
  zcat old.csv.gz | vswitch logs - --src-address 10.77.1.11
  vswitch logs --follow --verdict DROP";

/// `logs`.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub struct LogsArgs {
    /// Files, directories, `-` for standard input, or s3://bucket/prefix, where the prefix is as a directory.
    #[arg(value_name = "PATH", conflicts_with = "follow")]
    paths: Vec<PathBuf>,
    /// Take directories, buckets and names of ports from this configuration.
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
    /// Only from this address, or an address in this prefix.
    #[arg(long, value_name = "ADDRESS")]
    src_address: Option<Prefix>,
    /// Only to this address, or an address in this prefix.
    #[arg(long, value_name = "ADDRESS")]
    dst_address: Option<Prefix>,
    /// Only from this source port.
    #[arg(long, value_name = "PORT")]
    src_port: Option<u16>,
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
    /// Sums instead of records: by port, direction and verdict; top talkers, top refused, security groups.
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
    let places = places(&args, plan.as_ref())?;
    let named = !args.paths.is_empty() || plan.is_none();
    // A directory that is only configured is made with the daemon's start.
    let is_there = |place: &&Storage| named || place.directory().is_none_or(Path::exists);
    let is_printing = !args.summary && args.sort.is_none();
    let progress = Progress::new(is_printing);
    let mut files = Files::find(places.iter().filter(is_there), progress)?;
    let loggers = files.loggers();
    printer.expect_loggers(loggers);
    let mut lacking = Lacking::default();
    let mut taken = 0_u64;
    let rows = files
        .rows()
        .filter(|(_, row)| filter.takes(row) || lacking.note(&filter, row))
        .inspect(|_| taken += 1);
    if args.summary {
        let mut summary = Summary::default();
        rows.for_each(|(logger, row)| summary.add(logger, &row));
        summary.print(&mut out, args.json, &printer)?;
    } else {
        let mut sorter = args.sort.map(Sorter::new);
        for (logger, mut row) in rows {
            if loggers > 1 {
                row.push("logger", logger_word(logger, &printer));
            }
            match &mut sorter {
                Some(sorter) => sorter.add(&row)?,
                None => printer.print(&mut out, &row)?,
            }
        }
        if let Some(sorter) = sorter {
            sorter.sorted(|row| Ok(printer.print(&mut out, row)?))?;
        }
    }
    out.flush()?;
    lacking.tell();
    if taken == 0
        && let Some(text) = nothing(&places, &files, &filter)
    {
        note(&text);
    }
    Ok(if files.failed() {
        ExitCode::from(FAILED)
    } else {
        ExitCode::SUCCESS
    })
}

/// The logger of a record: its name, else its id, else nothing.
fn logger_word(logger: Option<Uuid>, printer: &Printer<'_>) -> Value {
    logger.map_or(Value::Null, |id| {
        let id = id.to_string();
        printer.name(&id).unwrap_or(&id).into()
    })
}

/// Records that a filter could not judge, by the filter.
#[derive(Debug, Default)]
struct Lacking(BTreeMap<&'static str, (&'static [&'static str], u64)>);

impl Lacking {
    /// Notes a record that does not pass; `false`, so that it is left out.
    fn note(&mut self, filter: &Filter, row: &LogRow) -> bool {
        if let Some((option, fields)) = filter.lacks(row) {
            self.0.entry(option).or_insert((fields, 0)).1 += 1;
        }
        false
    }

    fn tell(&self) {
        for (option, (fields, records)) in &self.0 {
            let fields = fields.join(" or ");
            note(format_args!(
                "vswitch: {option}: left out {records} records whose files have no field {fields}"
            ));
        }
    }
}

/// Why no record was printed, and where there may be some. Where files could not be read, that was told.
fn nothing(places: &[Storage], files: &Files, filter: &Filter) -> Option<String> {
    let (found, rows) = files.counts();
    if rows == 0 && files.failed() {
        return None;
    }
    let places: Vec<_> = places.iter().map(Storage::to_string).collect();
    let places = places.join(", ");
    let files = if found == 1 { "file" } else { "files" };
    Some(match (found, rows) {
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
    })
}
