//! Sums over records: who was allowed and refused how much.

use super::print::Printer;
use crate::cli::output::Output;
use crate::cli::select::utc;
use crate::cli::style::Paint;
use crate::cli::table::{Align, Cell, Table};
use crate::control::LogRow;
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::{self, Write};

/// Lines of a summary; more than the ports of any switch have.
const LINES_MAX: usize = 300_000;

/// Sums by port, direction and verdict.
#[derive(Debug, Default)]
pub(super) struct Summary {
    lines: BTreeMap<[String; 3], Sum>,
    total: Sum,
    /// Earliest and latest second.
    span: Option<(u64, u64)>,
    /// Records beyond [`LINES_MAX`] lines: in the total only.
    unlisted: u64,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize)]
struct Sum {
    records: u64,
    packets: u64,
    bytes: u64,
    /// Records whose port's interval is incomplete.
    incomplete: u64,
}

impl Sum {
    fn add(&mut self, row: &LogRow) {
        let counter = |field| row.number(field).unwrap_or_default();
        self.records += 1;
        self.packets = self.packets.saturating_add(counter("packets"));
        self.bytes = self.bytes.saturating_add(counter("bytes"));
        self.incomplete += u64::from(row.text("status") == Some("SKIPDATA"));
    }
}

/// For scripts.
#[derive(Serialize)]
struct Line<'a> {
    port: &'a str,
    direction: &'a str,
    filter: &'a str,
    #[serde(flatten)]
    sum: Sum,
}

impl Summary {
    /// Adds a record.
    pub(super) fn add(&mut self, row: &LogRow) {
        self.total.add(row);
        if let (Some(start), Some(end)) =
            (row.number("timestamp_start"), row.number("timestamp_end"))
        {
            let (first, last) = self.span.unwrap_or((start, end));
            self.span = Some((first.min(start), last.max(end)));
        }
        let word = |field| row.text(field).unwrap_or("-").to_owned();
        let port = row
            .text("interface_name")
            .or_else(|| row.text("interface_id"))
            .unwrap_or("-")
            .to_owned();
        let key = [port, word("direction"), word("filter")];
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
            for ([port, direction, filter], sum) in &self.lines {
                out.json_line(&Line {
                    port,
                    direction,
                    filter,
                    sum: *sum,
                })?;
            }
            return Ok(());
        }
        out.table(&self.table(printer))?;
        let Sum {
            records,
            packets,
            bytes,
            incomplete,
        } = self.total;
        if let Some((first, last)) = self.span {
            writeln!(out)?;
            writeln!(
                out,
                "{records} records, {packets} packets, {bytes} bytes, from {} to {} UTC",
                utc(first),
                utc(last)
            )?;
        } else {
            writeln!(out, "{records} records")?;
        }
        if incomplete > 0 {
            writeln!(
                out,
                "{incomplete} records belong to intervals with SKIPDATA: there was more than is recorded"
            )?;
        }
        if self.unlisted > 0 {
            writeln!(
                out,
                "{} records stand in the total only: more than {LINES_MAX} lines",
                self.unlisted
            )?;
        }
        Ok(())
    }

    fn table(&self, printer: &Printer<'_>) -> Table {
        let (left, right) = (Align::Left, Align::Right);
        let mut table = Table::new(&[
            ("PORT", left),
            ("DIRECTION", left),
            ("VERDICT", left),
            ("RECORDS", right),
            ("PACKETS", right),
            ("BYTES", right),
        ]);
        for ([port, direction, filter], sum) in &self.lines {
            let port = printer.name(port).unwrap_or(port);
            table.row([
                port.into(),
                direction.into(),
                Cell::painted(Paint::of_verdict(filter == "ACCEPT"), filter),
                sum.records.into(),
                sum.packets.into(),
                sum.bytes.into(),
            ]);
        }
        table
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_summed_by_port_direction_and_verdict() {
        let mut summary = Summary::default();
        for (port, filter, packets) in [
            ("a", "ACCEPT", 3),
            ("a", "ACCEPT", 4),
            ("a", "DROP", 1),
            ("b", "DROP", 2),
        ] {
            let row = serde_json::json!({
                "interface_id": port, "direction": "egress", "filter": filter, "packets": packets, "bytes": 100,
                "timestamp_start": packets, "timestamp_end": 10 + packets, "status": "OK",
            });
            summary.add(&serde_json::from_value(row).unwrap());
        }
        let key =
            |port: &str, filter: &str| [port.to_owned(), "egress".to_owned(), filter.to_owned()];
        assert_eq!(
            summary.lines[&key("a", "ACCEPT")],
            Sum {
                records: 2,
                packets: 7,
                bytes: 200,
                incomplete: 0
            }
        );
        assert_eq!(
            (summary.lines.len(), summary.total.packets, summary.span),
            (3, 10, Some((1, 14)))
        );
    }
}
