//! Records as lines, JSON lines or CSV.

use super::line::{LineColumns, LiveLine, line_heading};
use crate::cli::output::Output;
use crate::cli::plain;
use crate::cli::style::Paint;
use crate::control::{LogRow, MissedRow};
use crate::messages::note;
use serde_json::json;
use std::collections::BTreeSet;
use std::io::{self, Write};

/// Prints records one after the other; what has a heading gets it with the first.
#[derive(Debug)]
pub(super) struct Printer {
    form: Form,
    lines: LineColumns,
    /// Of CSV: the columns, those that were asked for or those of the first record.
    columns: Vec<String>,
    begun: bool,
    /// The columns were asked for.
    is_chosen: bool,
    /// Of CSV: fields that later records have and the columns do not, and how many such records.
    left_out: (BTreeSet<String>, u64),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Lines,
    Json,
    Csv,
}

impl Printer {
    /// `fields` are the only ones that JSON and CSV have, if any are named.
    pub(super) fn new(json: bool, csv: bool, fields: &[String]) -> Self {
        let form = match (json, csv) {
            (true, _) => Form::Json,
            (false, true) => Form::Csv,
            (false, false) => Form::Lines,
        };
        Self {
            form,
            lines: LineColumns::of_log(1),
            columns: fields.to_vec(),
            begun: false,
            is_chosen: false,
            left_out: Default::default(),
        }
    }

    /// Lines tell whose each record is, if it is of one of several loggers.
    pub(super) const fn expect_loggers(&mut self, loggers: usize) {
        self.lines = LineColumns::of_log(loggers);
    }

    /// Prints a record.
    pub(super) fn print(&mut self, out: &mut Output, row: &LogRow) -> io::Result<()> {
        let first = !std::mem::replace(&mut self.begun, true);
        let style = out.style();
        match self.form {
            Form::Json if self.columns.is_empty() => out.json_line(row),
            Form::Json => out.json_line(&row.with_only(&self.columns)),
            Form::Csv => self.print_csv(out, row, first),
            Form::Lines => {
                if first {
                    writeln!(out, "{}", line_heading(self.lines, style))?;
                }
                writeln!(out, "{}", LiveLine::of(row, self.lines, style))
            }
        }
    }

    /// Prints what the stream lacks at this point: in its own form, so that its reader knows. CSV has a row
    /// for it with the status MISSED and nothing else, and the number on standard error.
    pub(super) fn print_missed(&mut self, out: &mut Output, missed: MissedRow) -> io::Result<()> {
        let MissedRow { intervals, records } = missed;
        let text = match intervals {
            0 => format!("{records} records of a long interval are in its files alone"),
            _ => format!(
                "{records} records of {intervals} intervals are missing here: read too slowly; the files have them"
            ),
        };
        match self.form {
            Form::Json => out.json_line(&json!({ "missed": missed })),
            Form::Lines => {
                let text = out.style().paint(Paint::Warn, format!("-- {text}"));
                writeln!(out, "{text}")
            }
            Form::Csv => {
                note(format_args!("vswitch: {text}"));
                let mut row = LogRow::default();
                row.push("status", "MISSED".into());
                match self.begun {
                    true => self.print(out, &row),
                    // No record has said yet what the columns are.
                    false => Ok(()),
                }
            }
        }
    }

    /// Says on standard error what did not fit the columns of CSV.
    pub(super) fn tell_left_out(&self) {
        let (fields, records) = &self.left_out;
        if *records > 0 {
            let fields = fields.iter().map(String::as_str).collect::<Vec<_>>();
            note(format_args!(
                "vswitch: {records} records have fields that the first one does not have, which are left out: {}; \
                 name the wanted ones with --fields, or take --json",
                plain::escaped(&fields.join(", "))
            ));
        }
    }

    /// Files of other loggers may have other columns: those of the first record stay.
    fn print_csv(&mut self, out: &mut Output, row: &LogRow, first: bool) -> io::Result<()> {
        if first {
            let is_chosen = !self.columns.is_empty();
            if !is_chosen {
                self.columns = row.names().map(str::to_owned).collect();
            }
            let heading: Vec<_> = self.columns.iter().map(|name| plain::csv(name)).collect();
            writeln!(out, "{}", heading.join(","))?;
            self.is_chosen = is_chosen;
        }
        if !self.is_chosen {
            self.note_left_out(row);
        }
        for (place, column) in self.columns.iter().enumerate() {
            let comma = if place == 0 { "" } else { "," };
            write!(out, "{comma}{}", plain::csv(&row.plain(column)))?;
        }
        writeln!(out)
    }

    fn note_left_out(&mut self, row: &LogRow) {
        let is_left_out = |name: &&str| !self.columns.iter().any(|column| column == name);
        let mut fields = row.names().filter(is_left_out).peekable();
        if fields.peek().is_some() {
            self.left_out.1 += 1;
            self.left_out.0.extend(fields.map(str::to_owned));
        }
    }
}
