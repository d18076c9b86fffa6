//! `vswitch logs`: what was written, or with `--follow` what is being written.

mod expect;
mod files;
mod filter;
mod follow;
mod line;
mod names;
mod place;
mod print;
mod progress;
mod sort;
mod spill;
mod summary;
mod top;

pub use line::{LineColumns, LiveLine, line_heading};

use super::args::{DirectionArg, VerdictArg};
use super::failure::{FAILED, Usage};
use super::output::Output;
use super::paths::default_socket;
use super::plain::escaped;
use super::select::{Moment, Prefix};
use crate::control::LogRow;
use crate::messages::note;
use crate::run::load;
use anyhow::Result;
use clap::Args;
use expect::Expected;
use files::Files;
use filter::Filter;
use flowlog::{Field, Storage};
use names::Names;
use place::{Places, places};
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
Without PATH the files are those of the configuration given by --config, else of the daemon that runs,
else of ./flowlogs.
For a bucket the configuration's object_storage has endpoint and keys; the key must be allowed to list and to get.
A port is named by its name or UUID. Names come from the files (profile lab), from --config or from the daemon.
With --expect, FILE is CSV, JSON lines or any other flow log. Only the fields that it names are compared, times never;
packets, bytes and connections are sums over all records of the flow.

Examples:
  vswitch logs --since 5m --verdict DROP              who was refused in the last five minutes, and why
  vswitch logs --verdict DROP --since 10m --sort packets
  vswitch logs flowlogs/2026/11/23 --address 10.77.1.0/24 --dst-port 22 --json
  vswitch logs s3://flowlogs/lab/2026/11/23 --config lab.yaml --verdict DROP
  vswitch logs --summary
  zcat old.csv.gz | vswitch logs - --src-address 10.77.1.11
  vswitch logs --csv --fields interface_name,direction,protocol,dst_addr,dst_port,filter > expected.csv
  vswitch logs --expect expected.csv
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
    /// Only these fields of --csv and --json, in this order: a profile (lab), or names with commas between.
    #[arg(long, value_name = "LIST", value_delimiter = ',', conflicts_with_all = ["summary", "expect"])]
    fields: Vec<String>,
    /// Compare with FILE instead of printing: exactly these flows, or the difference and exit code 1.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["follow", "sort", "summary", "csv"])]
    expect: Option<PathBuf>,
    /// Control socket of the daemon.
    #[arg(long, value_name = "SOCKET", default_value_os_t = default_socket())]
    socket: PathBuf,
}

/// Reads, filters and prints. A file that cannot be read is told and the others are read; the exit code
/// is 1 then.
pub(super) fn logs(args: LogsArgs) -> Result<ExitCode> {
    let plan = args.config.as_deref().map(load).transpose()?;
    let fields = chosen(&args)?;
    let mut out = Output::stdout();
    if args.follow {
        let names = Names::default();
        let filter = Filter::new(&args, &names, false)?;
        let mut printer = Printer::new(args.json, args.csv, &fields);
        follow::follow(&args.socket, &filter, &mut out, &mut printer)?;
        return Ok(ExitCode::SUCCESS);
    }
    let expected = args.expect.as_deref().map(Expected::read).transpose()?;
    let Places {
        storages,
        names,
        are_named,
    } = places(&args, plan.as_ref())?;
    let filter = Filter::new(&args, &names, plan.is_some())?;
    let mut printer = Printer::new(args.json, args.csv, &fields);
    let is_there = |place: &&Storage| are_named || place.directory().is_none_or(Path::exists);
    let is_printing = !args.summary && args.sort.is_none() && expected.is_none();
    let progress = Progress::new(is_printing);
    let mut files = Files::find(storages.iter().filter(is_there), progress)?;
    printer.expect_loggers(files.loggers());
    let mut lacking = Lacking::default();
    let read = Read {
        files: &mut files,
        filter: &filter,
        names: &names,
        lacking: &mut lacking,
        taken: 0,
    };
    let (taken, code) = match expected {
        Some(expected) => expect(read, expected, &mut out, args.json)?,
        None => (
            print(read, &args, &mut printer, &mut out)?,
            ExitCode::SUCCESS,
        ),
    };
    out.flush()?;
    lacking.tell();
    printer.tell_left_out();
    if taken == 0
        && let Some(text) = nothing(&storages, &files, &filter)
    {
        note(escaped(&text));
    }
    Ok(if files.failed() {
        ExitCode::from(FAILED)
    } else {
        code
    })
}

/// The fields of `--fields`, a profile's among them.
fn chosen(args: &LogsArgs) -> Result<Vec<String>, Usage> {
    if args.fields.is_empty() {
        return Ok(Vec::new());
    }
    if !args.csv && !args.json {
        let text = "--fields chooses the columns of --csv or --json; name one of them too";
        return Err(Usage(text.to_owned()));
    }
    let (own, rest): (Vec<&str>, Vec<&str>) = args
        .fields
        .iter()
        .map(String::as_str)
        .partition(|name| *name == LOGGER);
    let fields = match rest.is_empty() {
        true => Vec::new(),
        false => Field::from_names(rest).map_err(|error| Usage(format!("--fields: {error}")))?,
    };
    let fields = fields.into_iter().map(|field| field.name().to_owned());
    Ok(own
        .iter()
        .map(|name| (*name).to_owned())
        .chain(fields)
        .collect())
}

/// The records that are wanted, as they are read.
struct Read<'a> {
    files: &'a mut Files,
    filter: &'a Filter,
    names: &'a Names,
    lacking: &'a mut Lacking,
    taken: u64,
}

impl Read<'_> {
    /// Hands each record that passes the filter to `take`, with the names that are known.
    fn each(&mut self, mut take: impl FnMut(Option<Uuid>, LogRow) -> Result<()>) -> Result<()> {
        for (logger, mut row) in self.files.rows() {
            if self.filter.takes(&row) || self.lacking.note(self.filter, &row) {
                self.names.add_to(&mut row);
                self.taken += 1;
                take(logger, row)?;
            }
        }
        Ok(())
    }
}

/// Prints the records, or their sums; how many there were.
fn print(
    mut read: Read<'_>,
    args: &LogsArgs,
    printer: &mut Printer,
    out: &mut Output,
) -> Result<u64> {
    let names = read.names;
    if args.summary {
        let mut summary = Summary::default();
        read.each(|logger, row| {
            summary.add(logger, &row);
            Ok(())
        })?;
        summary.print(out, args.json, names)?;
        return Ok(read.taken);
    }
    let loggers = read.files.loggers();
    let mut sorter = args.sort.map(Sorter::new);
    read.each(|logger, mut row| {
        if loggers > 1 {
            row.push(LOGGER, logger_word(logger, names));
        }
        match &mut sorter {
            Some(sorter) => sorter.add(&row),
            None => Ok(printer.print(out, &row)?),
        }
    })?;
    if let Some(sorter) = sorter {
        sorter.sorted(|row| Ok(printer.print(out, row)?))?;
    }
    Ok(read.taken)
}

/// Holds the records against what is expected; 1 where they differ.
fn expect(
    mut read: Read<'_>,
    mut expected: Expected,
    out: &mut Output,
    json: bool,
) -> Result<(u64, ExitCode)> {
    read.each(|logger, row| expected.see(logger, &row))?;
    let is_met = expected.print(out, json)?;
    let code = if is_met {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(FAILED)
    };
    Ok((read.taken, code))
}

/// The column that says whose a record is, where several loggers have written.
const LOGGER: &str = "logger";

/// The logger of a record: its name, else its id, else nothing.
fn logger_word(logger: Option<Uuid>, names: &Names) -> Value {
    logger.map_or(Value::Null, |id| {
        let id = id.to_string();
        names.name(&id).unwrap_or(&id).into()
    })
}

/// Records whose fields a filter could not find, by the filter.
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
