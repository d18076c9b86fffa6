//! Records in another order than that of the files.
//!
//! ```text
//!   records ─▶ held, up to HELD_BYTES_MAX ─sort─▶ run ┐
//!                                         ─sort─▶ run ┼─ merge ─▶ printed
//!                                         ─sort───────┘
//! ```
//! Where all fit into memory there is no run; else runs lie in one file without a name (`spill.rs`).

use super::spill::Spill;
use crate::control::LogRow;
use anyhow::{Result, bail};
use clap::ValueEnum;
use std::cmp::Reverse;
use std::net::IpAddr;

/// Bytes of records held in memory while they are sorted.
const HELD_BYTES_MAX: usize = 64 << 20;

/// Runs at most, each of [`HELD_BYTES_MAX`]: some hundred million records.
const RUNS_MAX: usize = 1024;

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

/// Where a record stands among others; those of one [`Key`] are of one kind.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rank {
    Up(Option<u64>),
    Down(Reverse<Option<u64>>),
    Names([Option<String>; 2]),
    Socket(Option<IpAddr>, Option<u64>),
}

impl Key {
    pub(super) fn rank(self, row: &LogRow) -> Rank {
        let name = |field| row.text(field).map(str::to_owned);
        match self {
            Self::Start => Rank::Up(row.number("timestamp_start")),
            Self::End => Rank::Up(row.number("timestamp_end")),
            Self::Packets => Rank::Down(Reverse(row.number("packets"))),
            Self::Bytes => Rank::Down(Reverse(row.number("bytes"))),
            Self::Port => Rank::Names([name("interface_name"), name("interface_id")]),
            Self::Source => Rank::Socket(row.address("src_addr"), row.number("src_port")),
            Self::Destination => Rank::Socket(row.address("dst_addr"), row.number("dst_port")),
        }
    }
}

impl Rank {
    /// Memory behind it.
    fn bytes(&self) -> usize {
        match self {
            Self::Names(names) => names.iter().flatten().map(String::capacity).sum(),
            Self::Up(_) | Self::Down(_) | Self::Socket(..) => 0,
        }
    }
}

/// A record as its line of JSON, a quarter of what its fields take.
#[derive(Debug)]
struct Held {
    rank: Rank,
    line: Box<[u8]>,
}

/// Takes records, gives them back in order; equal ones stay in the order in which they came.
#[derive(Debug)]
pub(super) struct Sorter {
    key: Key,
    held_max: usize,
    held: Vec<Held>,
    held_bytes: usize,
    spill: Option<Spill>,
}

impl Sorter {
    pub(super) const fn new(key: Key) -> Self {
        Self::holding(key, HELD_BYTES_MAX)
    }

    const fn holding(key: Key, held_max: usize) -> Self {
        Self {
            key,
            held_max,
            held: Vec::new(),
            held_bytes: 0,
            spill: None,
        }
    }

    /// Takes a record.
    ///
    /// # Errors
    /// No room in the folder for temporary files, or too many records.
    pub(super) fn add(&mut self, row: &LogRow) -> Result<()> {
        let line = serde_json::to_vec(row)?.into_boxed_slice();
        let rank = self.key.rank(row);
        self.held_bytes += line.len() + size_of::<Held>() + rank.bytes();
        self.held.push(Held { rank, line });
        if self.held_bytes >= self.held_max {
            self.spill()?;
        }
        Ok(())
    }

    /// Hands all records over, in order.
    ///
    /// # Errors
    /// Those of `print` and of the folder for temporary files.
    pub(super) fn sorted(mut self, mut print: impl FnMut(&LogRow) -> Result<()>) -> Result<()> {
        if self.spill.is_some() && !self.held.is_empty() {
            self.spill()?;
        }
        match self.spill {
            Some(spill) => spill.merged(self.key, print),
            None => {
                self.held.sort_by(|a, b| a.rank.cmp(&b.rank));
                let mut lines = self.held.into_iter();
                lines.try_for_each(|held| print(&serde_json::from_slice(&held.line)?))
            }
        }
    }

    /// Makes a run of what is held.
    fn spill(&mut self) -> Result<()> {
        self.held.sort_by(|a, b| a.rank.cmp(&b.rank));
        let spill = match &mut self.spill {
            Some(spill) => spill,
            none => none.insert(Spill::new()?),
        };
        if spill.runs() >= RUNS_MAX {
            bail!(
                "more than {RUNS_MAX} × {HELD_BYTES_MAX} bytes of records are not sorted; narrow them down with --since, --port or --verdict"
            );
        }
        spill.write(self.held.drain(..).map(|held| held.line))?;
        self.held_bytes = 0;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(packets: u64, src: &str, note: u64) -> LogRow {
        serde_json::from_value(
            serde_json::json!({ "packets": packets, "src_addr": src, "bytes": note }),
        )
        .unwrap()
    }

    fn sorted(mut sorter: Sorter, rows: &[LogRow]) -> Vec<(u64, u64)> {
        rows.iter().for_each(|row| sorter.add(row).unwrap());
        let mut out = Vec::new();
        let print = |row: &LogRow| {
            out.push((row.number("packets").unwrap(), row.number("bytes").unwrap()));
            Ok(())
        };
        sorter.sorted(print).unwrap();
        out
    }

    #[test]
    fn counters_go_downwards_and_addresses_by_number_not_by_text() {
        let rows = [row(5, "10.0.0.10", 0), row(7, "10.0.0.9", 0)];
        let order = |key| sorted(Sorter::new(key), &rows);
        assert_eq!(order(Key::Packets), [(7, 0), (5, 0)]);
        assert_eq!(order(Key::Source), [(7, 0), (5, 0)]);
        assert_eq!(order(Key::Start), [(5, 0), (7, 0)]);
    }

    #[test]
    fn more_records_than_memory_may_hold_come_out_in_the_same_order() {
        let rows: Vec<_> = (0..500)
            .map(|n| row(n * 7919 % 50, "10.0.0.1", n))
            .collect();
        let whole = sorted(Sorter::new(Key::Packets), &rows);
        let mut expected = whole.clone();
        expected.sort_by_key(|&(packets, came)| (Reverse(packets), came));
        assert_eq!(whole, expected, "equal ones stay as they came");
        for held_max in [1, 2_000, 20_000] {
            let sorter = Sorter::holding(Key::Packets, held_max);
            assert_eq!(sorted(sorter, &rows), whole, "{held_max} bytes");
        }
    }
}
