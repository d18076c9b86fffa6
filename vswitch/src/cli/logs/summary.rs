//! Sums over records: who was allowed and refused how much.
//!
//! Several loggers may watch one port, and each records all of its packets. What they recorded is summed
//! logger by logger, and never over loggers.

use super::print::Printer;
use super::top::Tops;
use crate::cli::output::Output;
use crate::cli::select::utc;
use crate::cli::style::Paint;
use crate::cli::table::{Align, Cell, Table};
use crate::control::LogRow;
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::{self, Write};
use uuid::Uuid;

/// Lines of a summary; more than the ports of any switch have.
const LINES_MAX: usize = 300_000;

/// Sums by logger, port, direction and verdict. Records in files that name no logger are taken together.
#[derive(Debug, Default)]
pub(super) struct Summary {
    lines: BTreeMap<(Option<Uuid>, [String; 3]), Sum>,
    totals: BTreeMap<Option<Uuid>, Total>,
    /// Records beyond [`LINES_MAX`] lines: in the totals only.
    unlisted: u64,
    tops: Tops,
}

/// Of one logger.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Total {
    sum: Sum,
    /// Earliest and latest second.
    span: Option<(u64, u64)>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) struct Sum {
    pub(super) records: u64,
    pub(super) packets: u64,
    pub(super) bytes: u64,
    /// Records whose port's interval is incomplete.
    incomplete: u64,
}

impl Sum {
    /// Adds a record.
    pub(super) fn add(&mut self, row: &LogRow) {
        let counter = |field| row.number(field).unwrap_or_default();
        self.records += 1;
        self.packets = self.packets.saturating_add(counter("packets"));
        self.bytes = self.bytes.saturating_add(counter("bytes"));
        self.incomplete += u64::from(row.text("status") == Some("SKIPDATA"));
    }
}

impl Total {
    fn add(&mut self, row: &LogRow) {
        self.sum.add(row);
        if let (Some(start), Some(end)) =
            (row.number("timestamp_start"), row.number("timestamp_end"))
        {
            let (first, last) = self.span.unwrap_or((start, end));
            self.span = Some((first.min(start), last.max(end)));
        }
    }

    fn print(&self, out: &mut Output) -> io::Result<()> {
        let Sum {
            records,
            packets,
            bytes,
            incomplete,
        } = self.sum;
        write!(out, "{records} records, {packets} packets, {bytes} bytes")?;
        if let Some((first, last)) = self.span {
            write!(out, ", from {} to {} UTC", utc(first), utc(last))?;
        }
        writeln!(out)?;
        if incomplete > 0 {
            writeln!(
                out,
                "{incomplete} records belong to intervals with SKIPDATA: there was more than is recorded"
            )?;
        }
        Ok(())
    }
}

/// For scripts.
#[derive(Serialize)]
struct Line<'a> {
    /// Id; absent where the file's name tells none.
    #[serde(skip_serializing_if = "Option::is_none")]
    logger: Option<Uuid>,
    port: &'a str,
    direction: &'a str,
    filter: &'a str,
    #[serde(flatten)]
    sum: Sum,
}

impl Summary {
    /// Adds a record of a logger.
    pub(super) fn add(&mut self, logger: Option<Uuid>, row: &LogRow) {
        self.totals.entry(logger).or_default().add(row);
        self.tops.add(logger, row);
        let word = |field| row.text(field).unwrap_or("-").to_owned();
        let port = row
            .text("interface_name")
            .or_else(|| row.text("interface_id"))
            .unwrap_or("-")
            .to_owned();
        let key = (logger, [port, word("direction"), word("filter")]);
        if self.lines.len() < LINES_MAX || self.lines.contains_key(&key) {
            self.lines.entry(key).or_default().add(row);
        } else {
            self.unlisted += 1;
        }
    }

    /// Prints the sums.
    pub(super) fn print(
        &self,
        out: &mut Output,
        json: bool,
        printer: &Printer<'_>,
    ) -> io::Result<()> {
        if json {
            self.print_json(out)?;
            return self.tops.print_json(out);
        }
        let several = self.totals.len() > 1;
        out.table(&self.table(printer, several))?;
        writeln!(out)?;
        for (logger, total) in &self.totals {
            if several {
                write!(out, "{}: ", logger_name(*logger, printer))?;
            }
            total.print(out)?;
        }
        if self.totals.is_empty() {
            writeln!(out, "0 records")?;
        }
        if several {
            writeln!(
                out,
                "Each logger has counted for itself: a packet that several have recorded stands in each of their sums"
            )?;
        }
        if self.unlisted > 0 {
            writeln!(
                out,
                "{} records stand in the totals only: more than {LINES_MAX} lines",
                self.unlisted
            )?;
        }
        self.tops.print(out, printer, several)
    }

    fn print_json(&self, out: &mut Output) -> io::Result<()> {
        for ((logger, [port, direction, filter]), sum) in &self.lines {
            out.json_line(&Line {
                logger: *logger,
                port,
                direction,
                filter,
                sum: *sum,
            })?;
        }
        Ok(())
    }

    fn table(&self, printer: &Printer<'_>, several: bool) -> Table {
        let (left, right) = (Align::Left, Align::Right);
        let mut columns = vec![
            ("PORT", left),
            ("DIRECTION", left),
            ("VERDICT", left),
            ("RECORDS", right),
            ("PACKETS", right),
            ("BYTES", right),
        ];
        if several {
            columns.insert(0, ("LOGGER", left));
        }
        let mut table = Table::new(&columns);
        for ((logger, [port, direction, filter]), sum) in &self.lines {
            let port = printer.name(port).unwrap_or(port);
            let cells = [
                port.into(),
                direction.into(),
                Cell::painted(Paint::of_verdict(filter == "ACCEPT"), filter),
                sum.records.into(),
                sum.packets.into(),
                sum.bytes.into(),
            ];
            let logger = several.then(|| logger_name(*logger, printer).into());
            table.row(logger.into_iter().chain(cells));
        }
        table
    }
}

/// A logger's name, else its id.
pub(super) fn logger_name(logger: Option<Uuid>, printer: &Printer<'_>) -> String {
    let Some(id) = logger.map(|id| id.to_string()) else {
        return "(files without a logger's id)".to_owned();
    };
    printer.name(&id).map_or_else(|| id.clone(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(summary: &mut Summary, logger: Option<Uuid>, port: &str, filter: &str, packets: u64) {
        let row = serde_json::json!({
            "interface_id": port, "direction": "egress", "filter": filter, "packets": packets, "bytes": 100,
            "timestamp_start": packets, "timestamp_end": 10 + packets, "status": "OK",
        });
        summary.add(logger, &serde_json::from_value(row).unwrap());
    }

    fn key(logger: Option<Uuid>, port: &str, filter: &str) -> (Option<Uuid>, [String; 3]) {
        let words = [port, "egress", filter].map(str::to_owned);
        (logger, words)
    }

    #[test]
    fn records_are_summed_by_port_direction_and_verdict() {
        let mut summary = Summary::default();
        for (port, filter, packets) in [
            ("a", "ACCEPT", 3),
            ("a", "ACCEPT", 4),
            ("a", "DROP", 1),
            ("b", "DROP", 2),
        ] {
            add(&mut summary, None, port, filter, packets);
        }
        let sum = Sum {
            records: 2,
            packets: 7,
            bytes: 200,
            incomplete: 0,
        };
        assert_eq!(summary.lines[&key(None, "a", "ACCEPT")], sum);
        let total = summary.totals[&None];
        assert_eq!(
            (summary.lines.len(), total.sum.packets, total.span),
            (3, 10, Some((1, 14)))
        );
    }

    #[test]
    fn what_two_loggers_recorded_of_the_same_packets_is_not_added_up() {
        let mut summary = Summary::default();
        let loggers = [1, 2].map(|id| Some(Uuid::from_u128(id)));
        for logger in loggers {
            add(&mut summary, logger, "a", "ACCEPT", 3);
        }
        for logger in loggers {
            assert_eq!(summary.lines[&key(logger, "a", "ACCEPT")].packets, 3);
            assert_eq!(summary.totals[&logger].sum.packets, 3);
        }
    }
}
