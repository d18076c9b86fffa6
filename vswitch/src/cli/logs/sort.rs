//! Records in another order than that of the files.

use crate::control::LogRow;
use anyhow::{Result, bail};
use clap::ValueEnum;
use std::cmp::{Ordering, Reverse};

/// Records held to be sorted: some 2 GiB.
const ROWS_MAX: usize = 2_000_000;

/// What records are sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Key {
    /// First packet.
    Start,
    /// Last packet.
    End,
    /// Packets, the most first.
    Packets,
    /// Bytes, the most first.
    Bytes,
    /// The port's name or id.
    Port,
    /// Source address and port.
    Source,
    /// Destination address and port.
    Destination,
}

/// Sorts records.
#[derive(Debug)]
pub(super) struct Sorted;

impl Sorted {
    /// All records in order; equal ones stay in the order of the files.
    pub(super) fn collect(rows: impl Iterator<Item = LogRow>, key: Key) -> Result<Vec<LogRow>> {
        let mut rows: Vec<LogRow> = rows.take(ROWS_MAX + 1).collect();
        if rows.len() > ROWS_MAX {
            bail!(
                "more than {ROWS_MAX} records cannot be sorted; narrow them down with --since, --port or --verdict"
            );
        }
        rows.sort_by(|a, b| compare(a, b, key));
        Ok(rows)
    }
}

fn compare(a: &LogRow, b: &LogRow, key: Key) -> Ordering {
    let number = |field| (a.number(field), b.number(field));
    let up = |field| number(field).0.cmp(&number(field).1);
    let down = |field| Reverse(number(field).0).cmp(&Reverse(number(field).1));
    let address = |field| a.address(field).cmp(&b.address(field));
    match key {
        Key::Start => up("timestamp_start"),
        Key::End => up("timestamp_end"),
        Key::Packets => down("packets"),
        Key::Bytes => down("bytes"),
        Key::Port => {
            let names = a.text("interface_name").cmp(&b.text("interface_name"));
            names.then_with(|| a.text("interface_id").cmp(&b.text("interface_id")))
        }
        Key::Source => address("src_addr").then_with(|| up("src_port")),
        Key::Destination => address("dst_addr").then_with(|| up("dst_port")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_go_downwards_and_addresses_by_number_not_by_text() {
        let rows = || {
            [(5, "10.0.0.10"), (7, "10.0.0.9")].map(|(packets, src)| {
                serde_json::from_value::<LogRow>(
                    serde_json::json!({ "packets": packets, "src_addr": src }),
                )
                .unwrap()
            })
        };
        let order = |key| -> Vec<_> {
            Sorted::collect(rows().into_iter(), key)
                .unwrap()
                .iter()
                .map(|row| row.number("packets").unwrap())
                .collect()
        };
        assert_eq!(order(Key::Packets), [7, 5]);
        assert_eq!(order(Key::Source), [7, 5]);
        assert_eq!(order(Key::Start), [5, 7]);
    }
}
