//! Who sends most, what is refused most, and what each security group decided.

use super::names::Names;
use super::summary::{Room, Sum, logger_name};
use crate::cli::output::Output;
use crate::cli::table::{Align, Cell, Table};
use crate::control::LogRow;
use serde_json::json;
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::io::{self, Write};
use uuid::Uuid;

/// Lines of a ranking, of each logger.
const SHOWN: usize = 10;

/// Memory of all rankings' keys, bytes: some 300,000 sums. A scan of many addresses ends here.
const KEYS_BYTES_MAX: usize = 128 << 20;

/// Sums that belong to a logger and to some words.
type Sums = BTreeMap<(Option<Uuid>, Vec<String>), Sum>;

/// A logger, some words, and their sum.
type Line<'a> = (Option<Uuid>, &'a [String], Sum);

/// Rankings, logger by logger.
#[derive(Debug)]
pub(super) struct Tops {
    /// By source and direction, of what was accepted.
    sources: Sums,
    /// By source, destination, protocol and port, of what was refused.
    refused: Sums,
    /// By security group and verdict.
    groups: Sums,
    room: Room,
    /// Records for whose sums there was no room.
    unlisted: u64,
}

impl Default for Tops {
    fn default() -> Self {
        Self {
            sources: Sums::new(),
            refused: Sums::new(),
            groups: Sums::new(),
            room: Room::of(KEYS_BYTES_MAX),
            unlisted: 0,
        }
    }
}

impl Tops {
    /// Adds a record of a logger.
    pub(super) fn add(&mut self, logger: Option<Uuid>, row: &LogRow) {
        let words = |fields: &[&str]| fields.iter().map(|field| word(row, field)).collect();
        let mut is_listed = true;
        if row.address("src_addr").is_some() {
            is_listed = match row.text("filter") {
                Some("ACCEPT") => {
                    let key = (logger, words(&["src_addr", "direction"]));
                    add(&mut self.sources, &mut self.room, key, row)
                }
                Some("DROP") => {
                    let ends = ["src_addr", "dst_addr", "protocol", "dst_port"];
                    add(
                        &mut self.refused,
                        &mut self.room,
                        (logger, words(&ends)),
                        row,
                    )
                }
                _ => true,
            };
        }
        if row.text("security_group_id").is_some() {
            let key = (logger, words(&["security_group_id", "filter"]));
            is_listed &= add(&mut self.groups, &mut self.room, key, row);
        }
        self.unlisted += u64::from(!is_listed);
    }

    /// Prints the rankings; `several` loggers are told apart.
    pub(super) fn print(&self, out: &mut Output, names: &Names, several: bool) -> io::Result<()> {
        let talkers = self.talkers();
        let rankings = [
            (
                "Top talkers, accepted",
                &["SOURCE"][..],
                lines(&talkers, bytes),
            ),
            (
                "Top refused",
                &["SOURCE", "DESTINATION", "PROTOCOL", "PORT"],
                lines(&self.refused, packets),
            ),
            ("Security groups", &["GROUP", "VERDICT"], self.group_lines()),
        ];
        for (title, columns, lines) in rankings {
            if !lines.is_empty() {
                writeln!(out, "\n{title}")?;
                out.table(&table(columns, &lines, names, several))?;
            }
        }
        if self.groups.is_empty() && !(self.sources.is_empty() && self.refused.is_empty()) {
            writeln!(
                out,
                "\nNo sums by security group: these records do not have the field security_group_id, or it is empty"
            )?;
        }
        if self.unlisted > 0 {
            let records = self.unlisted;
            writeln!(
                out,
                "{records} records are not in the rankings: their sums would take more than {KEYS_BYTES_MAX} bytes"
            )?;
        }
        Ok(())
    }

    /// The same for scripts, a line each.
    pub(super) fn print_json(&self, out: &mut Output) -> io::Result<()> {
        for (logger, words, sum) in lines(&self.talkers(), bytes) {
            out.json_line(&json!({ "logger": logger, "talker": words[0], "sum": sum }))?;
        }
        for (logger, words, sum) in lines(&self.refused, packets) {
            let [source, destination, protocol, port] = words else {
                continue;
            };
            out.json_line(&json!({
                "logger": logger, "refused": { "src_addr": source, "dst_addr": destination,
                "protocol": protocol, "dst_port": port }, "sum": sum,
            }))?;
        }
        for (logger, words, sum) in self.group_lines() {
            out.json_line(&json!({
                "logger": logger, "security_group_id": words[0], "filter": words[1], "sum": sum,
            }))?;
        }
        if self.unlisted > 0 {
            out.json_line(&json!({ "records_not_ranked": self.unlisted }))?;
        }
        Ok(())
    }

    /// What sources sent. A packet between two ports is recorded at both: the greater of the two
    /// directions has all that was seen of a source, and adding them up would count it twice.
    fn talkers(&self) -> Sums {
        let mut talkers = Sums::new();
        for ((logger, words), sum) in &self.sources {
            let greatest = talkers.entry((*logger, words[..1].to_vec())).or_default();
            if sum.bytes >= greatest.bytes {
                *greatest = *sum;
            }
        }
        talkers
    }

    /// All groups: there are few, and one that is missing would be looked for.
    fn group_lines(&self) -> Vec<Line<'_>> {
        self.groups.iter().map(line).collect()
    }
}

fn bytes(sum: &Sum) -> u64 {
    sum.bytes
}

fn packets(sum: &Sum) -> u64 {
    sum.packets
}

/// Whether there was room for it.
fn add(sums: &mut Sums, room: &mut Room, key: (Option<Uuid>, Vec<String>), row: &LogRow) -> bool {
    let has_room = sums.contains_key(&key) || room.take(&key.1);
    if has_room {
        sums.entry(key).or_default().add(row);
    }
    has_room
}

fn line<'a>((key, sum): (&'a (Option<Uuid>, Vec<String>), &'a Sum)) -> Line<'a> {
    (key.0, &key.1, *sum)
}

/// The greatest of each logger, by loggers.
fn lines(sums: &Sums, by: fn(&Sum) -> u64) -> Vec<Line<'_>> {
    let mut lines: Vec<Line<'_>> = sums.iter().map(line).collect();
    lines.sort_by_key(|(logger, _, sum)| (*logger, Reverse(by(sum))));
    let loggers = lines.chunk_by(|(a, ..), (b, ..)| a == b);
    loggers
        .flat_map(|lines| lines.iter().take(SHOWN))
        .copied()
        .collect()
}

fn table(columns: &[&'static str], lines: &[Line<'_>], names: &Names, several: bool) -> Table {
    let logger = several.then_some("LOGGER");
    let left = logger
        .iter()
        .chain(columns)
        .map(|name| (*name, Align::Left));
    let right = ["RECORDS", "PACKETS", "BYTES"].map(|name| (name, Align::Right));
    let mut table = Table::new(&left.chain(right).collect::<Vec<_>>());
    for (logger, words, sum) in lines {
        let logger = several.then(|| logger_name(*logger, names).into());
        let words = words
            .iter()
            .map(|word| names.name(word).unwrap_or(word).into());
        let sums: [Cell; 3] = [sum.records.into(), sum.packets.into(), sum.bytes.into()];
        table.row(logger.into_iter().chain(words).chain(sums));
    }
    table
}

fn word(row: &LogRow, field: &str) -> String {
    let plain = row.plain(field);
    match plain.is_empty() {
        true => "-".to_owned(),
        false => plain.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(tops: &mut Tops, source: &str, direction: &str, filter: &str, bytes: u64) {
        let row = json!({
            "src_addr": source, "dst_addr": "10.0.0.9", "protocol": 6, "dst_port": 22, "direction": direction,
            "filter": filter, "packets": 1, "bytes": bytes,
        });
        tops.add(None, &serde_json::from_value(row).unwrap());
    }

    #[test]
    fn a_packet_that_two_ports_recorded_counts_once_for_its_source() {
        let mut tops = Tops::default();
        for (source, direction, bytes) in [
            ("10.0.0.1", "egress", 100),
            ("10.0.0.1", "egress", 50),
            ("10.0.0.1", "ingress", 100),
            ("192.0.2.1", "ingress", 200),
        ] {
            add(&mut tops, source, direction, "ACCEPT", bytes);
        }
        let talkers = tops.talkers();
        let found: Vec<_> = lines(&talkers, bytes)
            .iter()
            .map(|(_, words, sum)| (words[0].clone(), sum.bytes))
            .collect();
        let expected = [("192.0.2.1", 200), ("10.0.0.1", 150)];
        assert_eq!(
            found,
            expected.map(|(source, bytes)| (source.to_owned(), bytes))
        );
    }

    #[test]
    fn what_is_refused_is_ranked_by_packets_and_cut() {
        let mut tops = Tops::default();
        for source in 1..=20 {
            for _ in 0..source {
                add(
                    &mut tops,
                    &format!("192.0.2.{source}"),
                    "ingress",
                    "DROP",
                    60,
                );
            }
        }
        let lines = lines(&tops.refused, packets);
        assert_eq!(lines.len(), SHOWN);
        assert_eq!(
            (lines[0].1[0].as_str(), lines[0].2.packets),
            ("192.0.2.20", 20)
        );
        assert!(tops.groups.is_empty() && tops.talkers().is_empty());
    }
}
