//! Records as lines, JSON lines or CSV.

use super::line::{LineColumns, LiveLine, line_heading};
use crate::cli::output::Output;
use crate::config::Plan;
use crate::control::LogRow;
use std::borrow::Cow;
use std::collections::HashMap;
use std::io::{self, Write};

/// Prints records one after the other; what has a heading gets it with the first.
#[derive(Debug)]
pub(super) struct Printer<'a> {
    form: Form,
    lines: LineColumns,
    /// Names of ports, loggers and security groups by id.
    names: HashMap<String, &'a str>,
    /// Of CSV: the columns, those of the first record.
    columns: Vec<String>,
    begun: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Lines,
    Json,
    Csv,
}

impl<'a> Printer<'a> {
    pub(super) fn new(json: bool, csv: bool, plan: Option<&'a Plan>) -> Self {
        let form = match (json, csv) {
            (true, _) => Form::Json,
            (false, true) => Form::Csv,
            (false, false) => Form::Lines,
        };
        let ports = plan.into_iter().flat_map(|plan| &plan.ports);
        let ports = ports.map(|port| (port.id.to_string(), port.name.as_str()));
        let loggers = plan.into_iter().flat_map(|plan| &plan.loggers);
        let loggers = loggers.map(|logger| (logger.id.to_string(), logger.name.as_str()));
        let groups = plan.into_iter().flat_map(|plan| &plan.groups);
        let groups = groups.map(|group| (group.id.to_string(), group.name.as_str()));
        let names = ports.chain(loggers).chain(groups).collect();
        Self {
            form,
            lines: LineColumns::of_log(1),
            names,
            columns: Vec::new(),
            begun: false,
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
            Form::Json => out.json_line(row),
            Form::Csv => self.print_csv(out, row, first),
            Form::Lines => {
                if first {
                    writeln!(out, "{}", line_heading(self.lines, style))?;
                }
                let row = self.named(row);
                writeln!(out, "{}", LiveLine::of(&row, self.lines, style))
            }
        }
    }

    /// The name of a port, logger or security group, where it is known.
    pub(super) fn name(&self, id: &str) -> Option<&str> {
        self.names.get(id).copied()
    }

    /// The record with its port's name, where files have only the id.
    fn named<'r>(&self, row: &'r LogRow) -> Cow<'r, LogRow> {
        match row.text("interface_id").and_then(|id| self.name(id)) {
            Some(name) if row.text("interface_name").is_none() => {
                let mut row = row.clone();
                row.push("interface_name", name.into());
                Cow::Owned(row)
            }
            _ => Cow::Borrowed(row),
        }
    }

    /// Files of other loggers may have other columns: those of the first record stay.
    fn print_csv(&mut self, out: &mut Output, row: &LogRow, first: bool) -> io::Result<()> {
        if first {
            self.columns = row.names().map(str::to_owned).collect();
            writeln!(out, "{}", self.columns.join(","))?;
        }
        for (place, column) in self.columns.iter().enumerate() {
            let comma = if place == 0 { "" } else { "," };
            write!(out, "{comma}{}", row.plain(column))?;
        }
        writeln!(out)
    }
}
