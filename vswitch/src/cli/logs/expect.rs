//! `--expect FILE`: exactly these flows, or the difference.
//!
//! A row of FILE is a flow: the fields that it names, times excepted, and what records must have in them.
//! Every record belongs to a flow of FILE, and every flow of FILE has a record; counters that a row names
//! are the sums over its records, since an interval's end parts one flow into several. Of CSV all rows
//! name the columns of the heading; of JSON lines each names its own.
//!
//! **Limits**: [`FLOWS_MAX`] flows, [`DIFFERENCE_BYTES_MAX`] of records that were not expected; what is
//! beyond that is counted.

use crate::cli::failure::Usage;
use crate::cli::output::Output;
use crate::cli::plain;
use crate::control::LogRow;
use crate::messages::note;
use anyhow::{Context as _, Result, bail};
use flowlog::{Field, Kind, read};
use secgroup::protocol_number;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::{self, Read as _, Write};
use std::net::IpAddr;
use std::path::Path;
use uuid::Uuid;

/// Flows of a file at most: what a person or a test writes, with room.
const FLOWS_MAX: usize = 100_000;

/// Bytes of the file at most.
const FILE_BYTES_MAX: u64 = 64 << 20;

/// Bytes of records that were not expected, which are held until all are read.
const DIFFERENCE_BYTES_MAX: usize = 16 << 20;

/// Fields that no two runs have in common.
const TIMES: [&str; 4] = ["timestamp_start", "timestamp_end", "first_ns", "last_ns"];

/// Fields that are summed over a flow's records.
const COUNTS: [&str; 3] = ["packets", "bytes", "connections"];

/// Values by field, in the order of the file.
type Fields = Vec<(&'static str, String)>;

/// A flow that is expected, and what was found of it.
#[derive(Debug)]
struct Flow {
    fields: Fields,
    counts: BTreeMap<&'static str, u64>,
    found: BTreeMap<&'static str, u64>,
    records: u64,
}

/// Flows that name the same fields, by their values.
#[derive(Debug)]
struct Shape {
    fields: Vec<&'static str>,
    flows: HashMap<Vec<String>, usize>,
}

/// A record's flow that is not expected, in all fields that the file names.
#[derive(Debug, Default)]
struct Unexpected {
    flows: BTreeMap<Fields, BTreeMap<&'static str, u64>>,
    bytes: usize,
    /// Records of flows for which there was no room.
    unlisted: u64,
}

/// The flows that are expected, and what was seen.
#[derive(Debug)]
pub(super) struct Expected {
    name: String,
    is_json: bool,
    /// Every field that a flow names, in the order of the file; counters apart.
    fields: Vec<&'static str>,
    counts: Vec<&'static str>,
    flows: Vec<Flow>,
    shapes: Vec<Shape>,
    unexpected: Unexpected,
    records: u64,
    /// Records of intervals with SKIPDATA.
    incomplete: u64,
    /// Fields that flows name and records do not have.
    lacking: BTreeSet<&'static str>,
    /// Loggers whose records were seen, two at most.
    loggers: BTreeSet<Option<Uuid>>,
}

impl Expected {
    /// Reads the file; `-` is standard input.
    ///
    /// # Errors
    /// [`Usage`] for a file that cannot be read, or whose rows are no flows.
    pub(super) fn read(path: &Path) -> Result<Self> {
        let name = path.display().to_string();
        let rows = rows(path).map_err(|error| Usage(format!("--expect: {error:#}")))?;
        let (is_json, columns, rows) = rows;
        let mut expected = Self {
            name,
            is_json,
            fields: Vec::new(),
            counts: Vec::new(),
            flows: Vec::new(),
            shapes: Vec::new(),
            unexpected: Unexpected::default(),
            records: 0,
            incomplete: 0,
            lacking: BTreeSet::new(),
            loggers: BTreeSet::new(),
        };
        expected.note_fields(columns.iter().map(String::as_str));
        for row in rows {
            expected.note_fields(row.names());
            expected.add(&row)?;
        }
        Ok(expected)
    }

    /// Holds a record of a logger against the flows.
    ///
    /// # Errors
    /// [`Usage`] where counters are expected and several loggers counted the same packets.
    pub(super) fn see(&mut self, logger: Option<Uuid>, row: &LogRow) -> Result<()> {
        self.incomplete += u64::from(row.text("status") == Some("SKIPDATA"));
        if row.has("filter") && row.get("filter").is_none() {
            // It tells a port's status alone.
            return Ok(());
        }
        self.records += 1;
        if self.loggers.len() < 2 {
            self.loggers.insert(logger);
        }
        if self.loggers.len() > 1 && !self.counts.is_empty() {
            bail!(Usage(
                "--expect: several loggers recorded the same packets, so that sums would count them twice; \
                 name the files of one logger, or leave the counters out of the expected file"
                    .to_owned()
            ));
        }
        let mut is_expected = false;
        for shape in &self.shapes {
            let lacking = shape.fields.iter().filter(|field| !row.has(field));
            self.lacking.extend(lacking);
            let key: Vec<String> = shape.fields.iter().map(|field| text(row, field)).collect();
            let Some(flow) = shape.flows.get(&key).map(|place| &mut self.flows[*place]) else {
                continue;
            };
            is_expected = true;
            flow.records += 1;
            add_counts(&mut flow.found, row);
        }
        if !is_expected {
            let fields = self.fields.iter().map(|field| (*field, text(row, field)));
            self.unexpected.add(fields.collect(), row);
        }
        Ok(())
    }

    /// Prints the difference; whether there is none.
    ///
    /// # Errors
    /// What standard output says.
    pub(super) fn print(self, out: &mut Output, json: bool) -> io::Result<bool> {
        let mut lines = Vec::new();
        let mut sums = [0_u64; 3];
        for flow in &self.flows {
            let differs = flow
                .counts
                .iter()
                .any(|(name, count)| flow.found[name] != *count);
            if flow.records > 0 && !differs {
                continue;
            }
            sums[if flow.records == 0 { 0 } else { 2 }] += 1;
            lines.push((&flow.fields, '-', &flow.counts));
            if flow.records > 0 {
                lines.push((&flow.fields, '+', &flow.found));
            }
        }
        sums[1] = self.unexpected.flows.len() as u64;
        for (fields, found) in &self.unexpected.flows {
            lines.push((fields, '+', found));
        }
        // The same flow under another verdict stands beside the one that is missing.
        lines.sort_by_key(|(fields, sign, _)| ((*fields).clone(), *sign == '+'));
        let is_met = lines.is_empty()
            && self.unexpected.unlisted == 0
            && self.incomplete == 0
            && (self.lacking.is_empty() || self.records == 0);
        if json {
            for (fields, sign, counts) in &lines {
                let sign = if *sign == '-' { "expected" } else { "found" };
                out.json_line(&json!({ sign: self.object(fields, counts) }))?;
            }
            let (flows, records) = (self.flows.len(), self.records);
            out.json_line(&json!({ "met": is_met, "flows": flows, "records": records }))?;
        } else if is_met {
            let (flows, records) = (self.flows.len(), self.records);
            writeln!(out, "as expected: {flows} flows in {records} records")?;
        } else {
            self.print_lines(out, &lines)?;
        }
        if !is_met {
            self.tell(sums);
        }
        Ok(is_met)
    }

    fn print_lines(&self, out: &mut Output, lines: &[Line<'_>]) -> io::Result<()> {
        writeln!(out, "--- {}", plain::escaped(&self.name))?;
        writeln!(out, "+++ found in {} records", self.records)?;
        if !self.is_json {
            writeln!(
                out,
                " {}",
                [&self.fields[..], &self.counts].concat().join(",")
            )?;
        }
        for (fields, sign, counts) in lines {
            if self.is_json {
                write!(out, "{sign}")?;
                out.json_line(&self.object(fields, counts))?;
                continue;
            }
            let fields = fields
                .iter()
                .map(|(_, value)| plain::csv(value).into_owned());
            let counts = self.counts.iter().map(|name| counts.get(name));
            let counts = counts.map(|count| count.map_or_else(String::new, u64::to_string));
            let values: Vec<String> = fields.chain(counts).collect();
            writeln!(out, "{sign}{}", values.join(","))?;
        }
        Ok(())
    }

    /// A flow as a line of JSON has it.
    fn object(&self, fields: &Fields, counts: &BTreeMap<&'static str, u64>) -> LogRow {
        let mut row = LogRow::default();
        for (name, value) in fields {
            row.push(*name, json_value(name, value));
        }
        for (name, count) in counts {
            if self.counts.contains(name) {
                row.push(*name, (*count).into());
            }
        }
        row
    }

    /// Says on standard error what the difference comes to.
    fn tell(&self, [missing, unexpected, differing]: [u64; 3]) {
        let mut parts = Vec::new();
        for (count, what) in [
            (missing, "flows are missing"),
            (unexpected, "are not expected"),
            (differing, "have other counts"),
        ] {
            if count > 0 {
                parts.push(format!("{count} {what}"));
            }
        }
        if self.unexpected.unlisted > 0 {
            parts.push(format!(
                "{} further records are not expected and not listed: more than {DIFFERENCE_BYTES_MAX} bytes",
                self.unexpected.unlisted
            ));
        }
        if self.incomplete > 0 {
            parts.push(format!(
                "{} records belong to intervals with SKIPDATA: there was more than is recorded",
                self.incomplete
            ));
        }
        if !self.lacking.is_empty() && self.records > 0 {
            let lacking: Vec<_> = self.lacking.iter().copied().collect();
            parts.push(format!(
                "records without the field {}: `fields: lab` in the logger has names and reasons",
                lacking.join(", ")
            ));
        }
        note(format_args!(
            "vswitch: not as expected: {}",
            parts.join("; ")
        ));
    }

    /// Takes fields into the union, in the order in which they come.
    fn note_fields<'a>(&mut self, names: impl Iterator<Item = &'a str>) {
        for name in names.filter_map(compared) {
            let to = match COUNTS.contains(&name) {
                true => &mut self.counts,
                false => &mut self.fields,
            };
            if !to.contains(&name) {
                to.push(name);
            }
        }
    }

    fn add(&mut self, row: &LogRow) -> Result<()> {
        let mut fields = Fields::new();
        let mut counts = BTreeMap::new();
        for name in row.names().filter_map(compared) {
            if !COUNTS.contains(&name) {
                fields.push((name, text(row, name)));
            } else if let Some(count) = row.number(name) {
                counts.insert(name, count);
            }
        }
        if fields.is_empty() {
            bail!(Usage(format!(
                "--expect: {}: a row names no field that is compared; name at least one besides times and counters",
                self.name
            )));
        }
        let (names, key): (Vec<&'static str>, Vec<String>) = fields.iter().cloned().unzip();
        let known = self.shapes.iter().position(|shape| shape.fields == names);
        let shape = known.unwrap_or_else(|| {
            self.shapes.push(Shape {
                fields: names,
                flows: HashMap::new(),
            });
            self.shapes.len() - 1
        });
        let place = *self.shapes[shape]
            .flows
            .entry(key)
            .or_insert(self.flows.len());
        if place == self.flows.len() {
            if place == FLOWS_MAX {
                let name = &self.name;
                bail!(Usage(format!(
                    "--expect: {name} has more than {FLOWS_MAX} flows"
                )));
            }
            let zero = counts.keys().map(|name| (*name, 0));
            self.flows.push(Flow {
                fields,
                found: zero.clone().collect(),
                counts: zero.collect(),
                records: 0,
            });
        }
        // A flow in several rows, as a saved log has it, is expected with the sum of them.
        for (name, count) in counts {
            let sum = self.flows[place].counts.entry(name).or_default();
            *sum = sum.saturating_add(count);
            self.flows[place].found.entry(name).or_default();
        }
        Ok(())
    }
}

/// A flow, whether it is found or expected, and its counters.
type Line<'a> = (&'a Fields, char, &'a BTreeMap<&'static str, u64>);

impl Unexpected {
    fn add(&mut self, fields: Fields, row: &LogRow) {
        let bytes = fields
            .iter()
            .map(|(_, value)| value.len() + size_of::<(&str, String)>());
        let bytes = bytes.sum::<usize>();
        if !self.flows.contains_key(&fields) {
            if self.bytes + bytes > DIFFERENCE_BYTES_MAX {
                self.unlisted += 1;
                return;
            }
            self.bytes += bytes;
        }
        let found = self.flows.entry(fields).or_insert_with(|| {
            let zero = COUNTS.iter().map(|name| (*name, 0));
            zero.collect()
        });
        add_counts(found, row);
    }
}

/// Adds a record's counters to those that are wanted.
fn add_counts(sums: &mut BTreeMap<&'static str, u64>, row: &LogRow) {
    for (name, sum) in sums {
        *sum = sum.saturating_add(row.number(name).unwrap_or_default());
    }
}

/// The field of a name, unless it is a time or none of the log's.
fn compared(name: &str) -> Option<&'static str> {
    let field: Field = name.parse().ok()?;
    Some(field.name()).filter(|name| !TIMES.contains(name))
}

/// A value in the form that files have, so that two spellings of one value are one.
fn text(row: &LogRow, name: &str) -> String {
    let plain = row.plain(name);
    let kind = name.parse::<Field>().map(Field::kind);
    let normal = match kind {
        Ok(Kind::Address) => plain.parse::<IpAddr>().ok().map(|value| value.to_string()),
        // `tcp` as well as 6: a line written by hand has the name.
        Ok(Kind::Int) if name == "protocol" => protocol_number(&plain)
            .flatten()
            .map(|number| number.to_string()),
        Ok(Kind::Id) => Uuid::try_parse(&plain).ok().map(|value| value.to_string()),
        _ => None,
    };
    normal.unwrap_or_else(|| plain.into_owned())
}

fn json_value(name: &str, value: &str) -> Value {
    let kind = name.parse::<Field>().map(Field::kind);
    match kind {
        _ if value.is_empty() => Value::Null,
        Ok(Kind::Int | Kind::Long) => value
            .parse::<i64>()
            .map_or_else(|_| value.into(), Value::from),
        Ok(Kind::Flag) => (value == "true").into(),
        _ => value.into(),
    }
}

/// Whether the file is JSON lines, its columns if it is not, and its rows.
fn rows(path: &Path) -> Result<(bool, Vec<String>, Vec<LogRow>)> {
    let name = path.display().to_string();
    let mut bytes = Vec::new();
    let input: Box<dyn io::Read> = match path == Path::new("-") {
        true => Box::new(io::stdin()),
        false => Box::new(std::fs::File::open(path).with_context(|| name.clone())?),
    };
    let read = input.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes);
    if read.with_context(|| name.clone())? as u64 > FILE_BYTES_MAX {
        bail!("{name} has more than {FILE_BYTES_MAX} bytes");
    }
    let is_json = bytes.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{');
    if !is_json {
        let rows = read::from_bytes(&name, bytes)?;
        let columns = rows.fields().iter().map(|field| field.name().to_owned());
        let columns = columns.collect();
        let rows: Result<Vec<LogRow>, _> =
            rows.map(|row| row.map(|row| LogRow::from(&row))).collect();
        return Ok((false, columns, rows?));
    }
    let text = String::from_utf8(bytes).with_context(|| name.clone())?;
    let mut rows = Vec::new();
    for (place, line) in text
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty())
    {
        let at = || format!("{name}:{}", place + 1);
        let row: LogRow = serde_json::from_str(line).with_context(at)?;
        let is_unknown = |field: &&str| *field != super::LOGGER && field.parse::<Field>().is_err();
        if let Some(unknown) = row.names().find(is_unknown) {
            bail!("{}: `{unknown}` is not a field of the log", at());
        }
        rows.push(row);
    }
    Ok((true, Vec::new(), rows))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expected(text: &str) -> Expected {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        Expected::read(file.path()).unwrap()
    }

    fn row(value: Value) -> LogRow {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn rows_of_json_compare_the_fields_that_each_of_them_names() {
        let mut expected = expected(
            "{\"dst_port\":22,\"filter\":\"DROP\",\"reason\":\"default_deny\"}\n\n{\"dst_addr\":\"FD00::1\",\"packets\":5}\n",
        );
        for packets in [2, 3] {
            let row = row(
                json!({ "dst_addr": "fd00::1", "dst_port": 80, "filter": "ACCEPT", "packets": packets, "reason": "rule" }),
            );
            expected.see(None, &row).unwrap();
        }
        assert_eq!(expected.flows[0].records, 0);
        assert_eq!(
            (
                expected.flows[1].records,
                expected.flows[1].found["packets"]
            ),
            (2, 5)
        );
        assert!(expected.unexpected.flows.is_empty() && expected.lacking.is_empty());
    }

    #[test]
    fn a_saved_log_is_expected_with_the_sums_of_its_rows_and_without_its_times() {
        let text = "timestamp_start,src_addr,packets\n1,10.0.0.1,2\n61,10.0.0.1,3\n";
        let expected = expected(text);
        assert_eq!(expected.flows.len(), 1);
        assert_eq!(expected.flows[0].counts["packets"], 5);
        assert_eq!(expected.fields, ["src_addr"]);
    }

    #[test]
    fn what_is_not_expected_is_held_within_its_limit_and_counted_beyond() {
        let mut expected = expected("interface_name\nweb\n");
        for n in 0..5000 {
            let name = format!("{n:04}{}", "x".repeat(8000));
            let row = row(json!({ "interface_name": name, "filter": "DROP" }));
            expected.see(None, &row).unwrap();
        }
        assert!(expected.unexpected.bytes <= DIFFERENCE_BYTES_MAX);
        assert_eq!(
            expected.unexpected.flows.len() as u64 + expected.unexpected.unlisted,
            5000
        );
        assert!(expected.unexpected.unlisted > 0);
    }

    #[test]
    fn several_loggers_have_no_sums_in_common() {
        let row = row(json!({ "src_addr": "10.0.0.1", "packets": 1 }));
        let [one, two] = [1, 2].map(|id| Some(Uuid::from_u128(id)));
        let mut counted = expected("src_addr,packets\n10.0.0.1,1\n");
        counted.see(one, &row).unwrap();
        assert!(counted.see(two, &row).unwrap_err().is::<Usage>());
        let mut flows = expected("src_addr\n10.0.0.1\n");
        flows.see(one, &row).unwrap();
        flows.see(two, &row).unwrap();
    }
}
