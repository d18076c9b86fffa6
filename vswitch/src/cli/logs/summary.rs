//! Sums over records: who was allowed and refused how much.
//!
//! Several loggers may watch one port, and each records all of its packets. What they recorded is summed
//! logger by logger, and never over loggers.

use super::names::Names;
use super::top::Tops;
use crate::cli::output::Output;
use crate::cli::plain::escaped;
use crate::cli::select::utc;
use crate::cli::style::Paint;
use crate::cli::table::{Align, Cell, Table};
use crate::control::LogRow;
use serde::Serialize;
use serde_json::json;
use std::collections::BTreeMap;
use std::io::{self, Write};
use uuid::Uuid;

/// Memory of the lines' keys, bytes: of three times the ports that any switch has.
const KEYS_BYTES_MAX: usize = 64 << 20;

/// Loggers that are summed apart; a switch has few, and each costs its file's name.
const LOGGERS_MAX: usize = 10_000;

/// Sums by logger, port, direction and verdict. Records in files that name no logger are taken together.
#[derive(Debug, Default)]
pub(super) struct Summary {
    lines: BTreeMap<(Option<Uuid>, [String; 3]), Sum>,
    /// Of the lines' keys.
    room: Room,
    totals: BTreeMap<Option<Uuid>, Total>,
    /// Records for whose line there was no room: in the totals only.
    unlisted: u64,
    /// Records of loggers beyond [`LOGGERS_MAX`].
    unsummed: u64,
    tops: Tops,
}

/// Memory of a table's keys, which come from files and may be of any length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Room {
    left: usize,
}

impl Room {
    /// Room for so many bytes.
    pub(super) const fn of(bytes: usize) -> Self {
        Self { left: bytes }
    }

    /// Takes what a key of these words costs, an entry of the table with it; whether there was room.
    pub(super) fn take(&mut self, words: &[String]) -> bool {
        let words = words
            .iter()
            .map(|word| word.capacity() + size_of::<String>());
        let bytes = words.sum::<usize>() + size_of::<(Option<Uuid>, [String; 3], Sum)>();
        let left = self.left.checked_sub(bytes);
        self.left = left.unwrap_or(self.left);
        left.is_some()
    }
}

impl Default for Room {
    fn default() -> Self {
        Self::of(KEYS_BYTES_MAX)
    }
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
        if self.totals.len() >= LOGGERS_MAX && !self.totals.contains_key(&logger) {
            self.unsummed += 1;
            return;
        }
        self.totals.entry(logger).or_default().add(row);
        self.tops.add(logger, row);
        let word = |field| row.text(field).unwrap_or("-").to_owned();
        let port = row
            .text("interface_name")
            .or_else(|| row.text("interface_id"))
            .unwrap_or("-")
            .to_owned();
        let key = (logger, [port, word("direction"), word("filter")]);
        if self.lines.contains_key(&key) || self.room.take(&key.1) {
            self.lines.entry(key).or_default().add(row);
        } else {
            self.unlisted += 1;
        }
    }

    /// Prints the sums.
    pub(super) fn print(&self, out: &mut Output, json: bool, names: &Names) -> io::Result<()> {
        if json {
            self.print_json(out)?;
            return self.tops.print_json(out);
        }
        let several = self.totals.len() > 1;
        out.table(&self.table(names, several))?;
        writeln!(out)?;
        for (logger, total) in &self.totals {
            if several {
                write!(out, "{}: ", escaped(&logger_name(*logger, names)))?;
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
                "{} records stand in the totals only: the lines would take more than {KEYS_BYTES_MAX} bytes",
                self.unlisted
            )?;
        }
        if self.unsummed > 0 {
            writeln!(
                out,
                "{} records are left out: they are of more than {LOGGERS_MAX} loggers",
                self.unsummed
            )?;
        }
        self.tops.print(out, names, several)
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
        if self.unlisted + self.unsummed > 0 {
            out.json_line(&json!({ "records_left_out": self.unlisted + self.unsummed }))?;
        }
        Ok(())
    }

    fn table(&self, names: &Names, several: bool) -> Table {
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
            let port = names.name(port).unwrap_or(port);
            let cells = [
                port.into(),
                direction.into(),
                Cell::painted(Paint::of_verdict(filter == "ACCEPT"), filter),
                sum.records.into(),
                sum.packets.into(),
                sum.bytes.into(),
            ];
            let logger = several.then(|| logger_name(*logger, names).into());
            table.row(logger.into_iter().chain(cells));
        }
        table
    }
}

/// A logger's name, else its id.
pub(super) fn logger_name(logger: Option<Uuid>, names: &Names) -> String {
    let Some(id) = logger.map(|id| id.to_string()) else {
        return "(files without a logger's id)".to_owned();
    };
    names.name(&id).map_or_else(|| id.clone(), str::to_owned)
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

    #[test]
    fn long_words_of_a_hostile_file_take_no_more_memory_than_the_lines_have() {
        let mut summary = Summary::default();
        let records = 10_000;
        for n in 0..records {
            add(
                &mut summary,
                None,
                &format!("{n:08}{}", "x".repeat(8000)),
                "DROP",
                1,
            );
        }
        let words = summary.lines.keys().flat_map(|(_, words)| words);
        let bytes: usize = words.map(String::capacity).sum();
        assert!(bytes <= KEYS_BYTES_MAX && summary.unlisted > 0);
        assert_eq!(summary.lines.len() as u64 + summary.unlisted, records);
        assert_eq!(
            summary.totals[&None].sum.records, records,
            "the totals have all"
        );
    }
}
