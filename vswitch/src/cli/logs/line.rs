//! One record in one line with fixed columns, for what is printed as it happens.

use crate::cli::select::utc;
use crate::cli::style::{Paint, Style};
use crate::control::LogRow;
use secgroup::protocol_name;
use std::fmt;

/// A record as a line.
#[derive(Debug, Clone, Copy)]
pub struct LiveLine<'a> {
    row: &'a LogRow,
    style: Style,
}

/// The heading above such lines.
#[must_use]
pub fn line_heading(style: Style) -> String {
    let heading = format!(
        "{:<8}  {:<10}  {:<9}  {:<5}  {:<21}  {:<21}  {:>7}  {:>8}  {:<7}  {}",
        "TIME",
        "PORT",
        "DIRECTION",
        "PROTO",
        "SOURCE",
        "DESTINATION",
        "PACKETS",
        "BYTES",
        "VERDICT",
        "REASON"
    );
    style.paint(Paint::Strong, heading).to_string()
}

impl<'a> LiveLine<'a> {
    /// A record's line.
    #[must_use]
    pub const fn of(row: &'a LogRow, style: Style) -> Self {
        Self { row, style }
    }
}

impl fmt::Display for LiveLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let row = self.row;
        let time = utc(row.number("timestamp_start").unwrap_or_default());
        let time = time.split_once(' ').map_or(time.as_str(), |(_, time)| time);
        let verdict = row.text("filter").unwrap_or("-");
        let verdict = self
            .style
            .paint(Paint::of_verdict(verdict == "ACCEPT"), verdict);
        let status = row
            .text("status")
            .filter(|status| *status != "OK")
            .unwrap_or_default();
        let line = format!(
            "{time:<8}  {:<10}  {:<9}  {:<5}  {:<21}  {:<21}  {:>7}  {:>8}  {verdict:<7}  {} {status}",
            port(row),
            row.text("direction").unwrap_or("-"),
            protocol(row),
            end(row, "src"),
            end(row, "dst"),
            row.plain("packets"),
            row.plain("bytes"),
            row.text("reason").unwrap_or_default(),
        );
        f.write_str(line.trim_end())
    }
}

/// A port's name, or as much of its id as tells ports apart.
#[must_use]
pub(super) fn port(row: &LogRow) -> String {
    let name = row.text("interface_name").filter(|name| !name.is_empty());
    let id = || {
        row.text("interface_id")
            .map(|id| id.chars().take(8).collect())
    };
    name.map(str::to_owned)
        .or_else(id)
        .unwrap_or_else(|| "-".to_owned())
}

/// A protocol's name or number.
#[must_use]
pub(super) fn protocol(row: &LogRow) -> String {
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
#[must_use]
pub(super) fn end(row: &LogRow, which: &str) -> String {
    let Some(address) = row.text(&format!("{which}_addr")) else {
        return "-".to_owned();
    };
    match row.number(&format!("{which}_port")) {
        Some(port) if row.number("protocol") != Some(packet::protocol::ICMP.into()) => {
            match address.contains(':') {
                true => format!("[{address}]:{port}"),
                false => format!("{address}:{port}"),
            }
        }
        _ => address.to_owned(),
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
            "bytes": 180, "filter": "DROP", "reason": "default_deny", "status": "OK",
        }))
        .unwrap();
        assert_eq!(
            format!(
                "{}\n{}",
                line_heading(Style::PLAIN),
                LiveLine::of(&row, Style::PLAIN)
            ),
            "TIME      PORT        DIRECTION  PROTO  SOURCE                 DESTINATION            PACKETS     BYTES  VERDICT  REASON\n\
             00:00:07  web         ingress    tcp    10.77.1.11:40000       10.77.1.12:22                3       180  DROP     default_deny"
        );
    }

    #[test]
    fn a_row_that_only_tells_a_status_is_a_line_too() {
        let row: LogRow = serde_json::from_value(serde_json::json!({
            "interface_id": "5f7c0c5e-5a5e-5b43-9d3e-1d1c0c7f8a55", "status": "SKIPDATA",
        }))
        .unwrap();
        let line = LiveLine::of(&row, Style::PLAIN).to_string();
        assert!(
            line.contains("5f7c0c5e") && line.ends_with("SKIPDATA"),
            "{line}"
        );
    }
}
