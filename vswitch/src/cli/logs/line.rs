//! One record in one line with fixed columns, for what is printed as it happens.
//!
//! Which columns there are is settled before the first line: nobody knows then on which days the records
//! will be, so that a log's lines have the date, in the form that `--since` takes.

use crate::cli::plain::escaped;
use crate::cli::select::utc;
use crate::cli::style::{Paint, Style};
use crate::control::LogRow;
use secgroup::protocol_name;
use std::borrow::Cow;
use std::fmt;
use uuid::Uuid;

/// Width of the column of loggers: longer names push what follows.
const LOGGER_WIDTH: usize = 12;

/// What a line tells beyond the record itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LineColumns {
    /// The whole moment, UTC, and not the time of day alone.
    pub date: bool,
    /// Whose record it is: several loggers may record one packet.
    pub logger: bool,
    /// The id of the rule behind its group, last: it is wide, and refused packets have none.
    pub rule: bool,
}

impl LineColumns {
    /// The time of day: for what is over in a minute.
    pub const BRIEF: Self = Self {
        date: false,
        logger: false,
        rule: false,
    };

    /// For the records of so many loggers.
    #[must_use]
    pub const fn of_log(loggers: usize) -> Self {
        Self {
            date: true,
            logger: loggers > 1,
            rule: true,
        }
    }

    fn time(self, seconds: u64) -> String {
        let moment = utc(seconds);
        match moment.split_once(' ') {
            Some((date, time)) if self.date => format!("{date}T{time}Z"),
            Some((_, time)) => time.to_owned(),
            None => moment,
        }
    }

    const fn time_width(self) -> usize {
        if self.date { 20 } else { 8 }
    }

    fn logger(self, name: &str) -> String {
        if self.logger {
            format!("{name:<LOGGER_WIDTH$}  ")
        } else {
            String::new()
        }
    }
}

/// A record as a line.
#[derive(Debug, Clone, Copy)]
pub struct LiveLine<'a> {
    row: &'a LogRow,
    columns: LineColumns,
    style: Style,
}

/// The heading above such lines.
#[must_use]
pub fn line_heading(columns: LineColumns, style: Style) -> String {
    let heading = format!(
        "{:<width$}  {}{:<10}  {:<9}  {:<10}  {:<5}  {:<21}  {:<21}  {:>7}  {:>8}  {:<7}  {:<12}  {:<8}  {}",
        "TIME",
        columns.logger("LOGGER"),
        "PORT",
        "DIRECTION",
        "PEER",
        "PROTO",
        "SOURCE",
        "DESTINATION",
        "PACKETS",
        "BYTES",
        "VERDICT",
        "REASON",
        "GROUP",
        if columns.rule { "RULE" } else { "" },
        width = columns.time_width(),
    );
    let heading = heading.trim_end();
    style.paint(Paint::Strong, heading).to_string()
}

impl<'a> LiveLine<'a> {
    /// A record's line.
    #[must_use]
    pub const fn of(row: &'a LogRow, columns: LineColumns, style: Style) -> Self {
        Self {
            row,
            columns,
            style,
        }
    }
}

impl fmt::Display for LiveLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (row, columns) = (self.row, self.columns);
        let time = row.number("timestamp_start");
        let time = time.map_or_else(String::new, |seconds| columns.time(seconds));
        let verdict = word(row, "filter").unwrap_or("-".into());
        let verdict = self
            .style
            .paint(Paint::of_verdict(verdict == "ACCEPT"), verdict);
        let status = word(row, "status").filter(|status| status != "OK");
        let status = status.unwrap_or_default();
        let line = format!(
            "{time:<width$}  {}{:<10}  {:<9}  {:<10}  {:<5}  {:<21}  {:<21}  {:>7}  {:>8}  {verdict:<7}  {:<12}  {:<8}  {} {status}",
            columns.logger(&logger(row)),
            port(row),
            word(row, "direction").unwrap_or("-".into()),
            word(row, "peer_name").unwrap_or("-".into()),
            protocol(row),
            end(row, "src"),
            end(row, "dst"),
            row.plain("packets"),
            row.plain("bytes"),
            word(row, "reason").unwrap_or_default(),
            group(row),
            if columns.rule {
                word(row, "rule_id")
            } else {
                None
            }
            .unwrap_or_default(),
            width = columns.time_width(),
        );
        f.write_str(line.trim_end())
    }
}

/// A word of the record, as a terminal may have it.
fn word<'r>(row: &'r LogRow, field: &str) -> Option<Cow<'r, str>> {
    row.text(field).filter(|text| !text.is_empty()).map(escaped)
}

/// A name, or the first characters of an id, which are enough to know it by.
fn short(name: Cow<'_, str>) -> Cow<'_, str> {
    match Uuid::try_parse(&name) {
        Ok(_) => name.chars().take(8).collect::<String>().into(),
        Err(_) => name,
    }
}

fn logger(row: &LogRow) -> Cow<'_, str> {
    short(word(row, "logger").unwrap_or("-".into()))
}

/// A security group's name, or the beginning of its id.
fn group(row: &LogRow) -> Cow<'_, str> {
    let group = word(row, "security_group_name").or_else(|| word(row, "security_group_id"));
    short(group.unwrap_or_default())
}

/// A port's name, or the beginning of its id.
fn port(row: &LogRow) -> Cow<'_, str> {
    let port = word(row, "interface_name").or_else(|| word(row, "interface_id").map(short));
    port.unwrap_or("-".into())
}

/// A protocol's name or number.
fn protocol(row: &LogRow) -> String {
    let number = row
        .number("protocol")
        .and_then(|number| u8::try_from(number).ok());
    match number.map(|number| (number, protocol_name(number))) {
        None => "-".to_owned(),
        Some((_, Some(name))) => name.to_owned(),
        Some((number, None)) => number.to_string(),
    }
}

/// Address and port of the source (`src`) or destination (`dst`); ICMP has no ports.
fn end(row: &LogRow, which: &str) -> String {
    let Some(address) = word(row, &format!("{which}_addr")) else {
        return "-".to_owned();
    };
    match row.number(&format!("{which}_port")) {
        Some(port) if row.number("protocol") != Some(packet::protocol::ICMP.into()) => {
            match address.contains(':') {
                true => format!("[{address}]:{port}"),
                false => format!("{address}:{port}"),
            }
        }
        _ => address.into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_stands_under_its_heading() {
        let row: LogRow = serde_json::from_value(serde_json::json!({
            "timestamp_start": 1_732_320_007, "interface_name": "web", "direction": "ingress", "protocol": 6,
            "src_addr": "10.77.1.11", "src_port": 40000, "dst_addr": "10.77.1.12", "dst_port": 22, "packets": 3,
            "bytes": 180, "filter": "DROP", "reason": "default_deny", "status": "OK", "peer_name": "bastion",
        }))
        .unwrap();
        assert_eq!(
            format!(
                "{}\n{}",
                line_heading(LineColumns::BRIEF, Style::PLAIN),
                LiveLine::of(&row, LineColumns::BRIEF, Style::PLAIN)
            ),
            "TIME      PORT        DIRECTION  PEER        PROTO  SOURCE                 DESTINATION            PACKETS     BYTES  VERDICT  REASON        GROUP\n\
             00:00:07  web         ingress    bastion     tcp    10.77.1.11:40000       10.77.1.12:22                3       180  DROP     default_deny"
        );
    }

    #[test]
    fn a_row_that_only_tells_a_status_is_a_line_too() {
        let row: LogRow = serde_json::from_value(serde_json::json!({
            "interface_id": "5f7c0c5e-5a5e-5b43-9d3e-1d1c0c7f8a55", "status": "SKIPDATA",
        }))
        .unwrap();
        let line = LiveLine::of(&row, LineColumns::BRIEF, Style::PLAIN).to_string();
        assert!(
            line.contains("5f7c0c5e") && line.ends_with("SKIPDATA"),
            "{line}"
        );
    }

    #[test]
    fn a_logs_lines_have_the_date_and_among_several_loggers_whose_they_are() {
        let row: LogRow = serde_json::from_value(serde_json::json!({
            "timestamp_start": 1_732_320_007, "interface_name": "web", "logger": "all",
        }))
        .unwrap();
        let lines = |loggers| {
            let columns = LineColumns::of_log(loggers);
            [
                line_heading(columns, Style::PLAIN),
                LiveLine::of(&row, columns, Style::PLAIN).to_string(),
            ]
            .map(|line| line.chars().take(40).collect::<String>())
        };
        assert_eq!(
            lines(2),
            [
                "TIME                  LOGGER        PORT",
                "2024-11-23T00:00:07Z  all           web ",
            ]
        );
        assert_eq!(
            lines(1),
            [
                "TIME                  PORT        DIRECT",
                "2024-11-23T00:00:07Z  web         -     ",
            ]
        );
    }

    #[test]
    fn a_record_without_a_time_has_none_invented() {
        let row: LogRow = serde_json::from_value(serde_json::json!({ "packets": 3 })).unwrap();
        for columns in [LineColumns::BRIEF, LineColumns::of_log(1)] {
            let line = LiveLine::of(&row, columns, Style::PLAIN).to_string();
            assert!(
                line.starts_with("        ") && !line.contains("00:00"),
                "{line}"
            );
        }
    }
}
