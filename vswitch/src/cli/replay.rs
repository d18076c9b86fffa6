//! `vswitch replay`: captures through the switch, and what came out.

use super::args::ReplayArgs;
use super::failure::{FAILED, Usage};
use super::logs::{LineColumns, LiveLine, line_heading};
use super::output::Output;
use super::show::audit;
use crate::config::Plan;
use crate::control::{AuditRow, LogRow};
use crate::messages::note;
use crate::run::{Input, ReplayError, Summary, load, replay as run};
use anyhow::{Error, Result};
use flowlog::Storage;
use serde::Serialize;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Replays, prints the records, ends with a summary. An audit that does not hold exits with 1, and so
/// does a capture that breaks off, once what came before was replayed.
pub(super) fn replay(args: ReplayArgs) -> Result<ExitCode> {
    let mut plan = load(&args.config)?;
    if let Some(out) = &args.out {
        redirect(&mut plan, out);
    }
    let mut inputs: Vec<Input> = args
        .ports
        .into_iter()
        .map(|(port, file)| Input {
            file,
            port: Some(port),
        })
        .collect();
    inputs.extend(args.capture.map(|file| Input { file, port: None }));

    let mut out = Output::stdout();
    let mut written = Ok(());
    let mut any = false;
    let columns = (!args.json).then_some(LineColumns::of_log(plan.loggers.len()));
    let summary = run(&plan, &inputs, |closed| {
        if written.is_ok() {
            written = records(&mut out, columns, &mut any, closed);
        }
    });
    written?;
    let summary = summary.map_err(|error| match error.downcast_ref::<ReplayError>() {
        Some(ReplayError::NoSuchPort { .. } | ReplayError::StdinTwice) => {
            Usage(error.to_string()).into()
        }
        _ => error,
    })?;
    let good = summary.audit.holds() && summary.damaged.is_empty();
    print(&mut out, args.json, &summary)?;
    complain(&summary);
    Ok(if good {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(FAILED)
    })
}

/// Says of each capture what was not read of it, on standard error.
fn complain(summary: &Summary) {
    for file in &summary.empty {
        let file = file.display();
        note(format_args!("vswitch: {file}: the capture holds no packet"));
    }
    for (file, foreign) in &summary.foreign {
        note(format_args!(
            "vswitch: {}: {} frames of interface {} were not read: its link type is {}",
            file.display(),
            foreign.frames,
            foreign.interface,
            foreign.link_type
        ));
    }
    for error in &summary.damaged {
        note(format_args!("vswitch: {error}"));
    }
}

/// Puts what the loggers write under `out`.
fn redirect(plan: &mut Plan, out: &Path) {
    let several = plan.loggers.len() > 1;
    for logger in &mut plan.loggers {
        logger.storage = Storage::Directory(if several {
            out.join(&logger.name)
        } else {
            out.to_owned()
        });
    }
}

/// Prints the records that came out: lines with these columns, else JSON.
fn records(
    out: &mut Output,
    columns: Option<LineColumns>,
    any: &mut bool,
    closed: &flowlog::Closed,
) -> io::Result<()> {
    if let Some(error) = &closed.error {
        note(format_args!("vswitch: {}: {error}", closed.logger));
    }
    let style = out.style();
    for record in &closed.records {
        let row = LogRow::of(&closed.logger, record);
        let Some(columns) = columns else {
            out.json_line(&row)?;
            continue;
        };
        if !std::mem::replace(any, true) {
            writeln!(out, "{}", line_heading(columns, style))?;
        }
        writeln!(out, "{}", LiveLine::of(&row, columns, style))?;
    }
    Ok(())
}

/// The summary for scripts: the last line.
#[derive(Serialize)]
struct Replayed<'a> {
    frames: u64,
    received: u64,
    unknown: u64,
    unknown_unrecorded: u64,
    runts: u64,
    /// Frames without all their headers, for the capture's snap length.
    cut: u64,
    /// Frames too late in their capture to be sorted by time.
    late: u64,
    /// Quiet intervals without files.
    unfilled: u64,
    delivered: u64,
    /// Fragments whose first one no capture has.
    held: u64,
    rows: u64,
    files: &'a [PathBuf],
    audit_holds: bool,
    /// Of captures that break off: file, byte and what is wrong there.
    damaged: Vec<String>,
    /// Captures without a packet.
    empty: &'a [PathBuf],
    /// Frames that were not read, by interface.
    foreign: Vec<ForeignRow<'a>>,
}

/// Frames of a link type that is not read.
#[derive(Serialize)]
struct ForeignRow<'a> {
    file: &'a Path,
    interface: u32,
    link_type: u32,
    frames: u64,
}

impl<'a> From<&'a Summary> for Replayed<'a> {
    fn from(summary: &'a Summary) -> Self {
        let foreign = summary.foreign.iter().map(|(file, foreign)| ForeignRow {
            file,
            interface: foreign.interface,
            link_type: foreign.link_type,
            frames: foreign.frames,
        });
        Self {
            frames: summary.frames,
            received: summary.received,
            unknown: summary.unknown,
            unknown_unrecorded: summary.unknown_unrecorded,
            runts: summary.runts,
            cut: summary.cut,
            late: summary.late,
            unfilled: summary.unfilled,
            delivered: summary.delivered,
            held: held(summary),
            rows: summary.rows,
            files: &summary.files,
            audit_holds: summary.audit.holds(),
            damaged: summary.damaged.iter().map(ToString::to_string).collect(),
            empty: &summary.empty,
            foreign: foreign.collect(),
        }
    }
}

/// Fragments that still wait for their first one at the end.
fn held(summary: &Summary) -> u64 {
    summary.audit.ports.iter().map(|port| port.held).sum()
}

fn print(out: &mut Output, json: bool, summary: &Summary) -> Result<(), Error> {
    if json {
        out.json_line(&Replayed::from(summary))?;
        return Ok(out.flush()?);
    }
    writeln!(
        out,
        "\nframes replayed: {}; copies delivered: {}",
        summary.frames, summary.delivered
    )?;
    let notes = [
        (
            "left out of a port's capture, for another port had sent them",
            summary.received,
        ),
        (
            "of no port, hence recorded with direction unknown",
            summary.unknown,
        ),
        (
            "of no port, and of a kind that is not recorded (ARP, IPv6, multicast and the like)",
            summary.unknown_unrecorded,
        ),
        (
            "not replayed, for they are too short for an Ethernet header",
            summary.runts,
        ),
        (
            "not replayed, for the capture's snap length cut their headers off",
            summary.cut,
        ),
        (
            "later in their capture than sorting by time reaches, hence replayed where they stood \
             (sort it first, as by `reordercap`)",
            summary.late,
        ),
        (
            "quiet intervals without files, for there were too many of them",
            summary.unfilled,
        ),
        (
            "fragments that still waited for their first one at the end, hence not recorded",
            held(summary),
        ),
    ];
    for (what, frames) in notes.into_iter().filter(|&(_, frames)| frames > 0) {
        writeln!(out, "{what}: {frames}")?;
    }
    writeln!(
        out,
        "rows: {}; files: {}",
        summary.rows,
        summary.files.len()
    )?;
    for file in &summary.files {
        writeln!(out, "  {}", file.display())?;
    }
    if !summary.audit.holds() {
        let ports = summary.audit.ports.iter().cloned();
        let rows: Vec<AuditRow> = ports.map(Into::into).collect();
        writeln!(out, "\nthe audit does not hold:")?;
        out.table(&audit(&rows))?;
    }
    Ok(out.flush()?)
}

/// `PORT=FILE`.
pub(super) fn port_capture(text: &str) -> Result<(String, PathBuf), String> {
    match text.split_once('=') {
        Some((port, file)) if !port.is_empty() && !file.is_empty() => {
            Ok((port.to_owned(), file.into()))
        }
        _ => Err(format!("`{text}` is not PORT=FILE, as in vm1=vm1.pcap")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ports_capture_is_written_with_an_equals_sign() {
        assert_eq!(
            port_capture("vm1=a=b.pcap"),
            Ok(("vm1".to_owned(), "a=b.pcap".into()))
        );
        for wrong in ["vm1", "=a", "vm1="] {
            assert!(port_capture(wrong).is_err(), "{wrong}");
        }
    }
}
