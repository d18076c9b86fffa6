//! What is shown at one moment, in words.

use super::history::{Counted, History, PortRate, Rate};
use super::units::{length, rate};
use crate::cli::output::Output;
use crate::cli::style::Paint;
use crate::cli::table::{
    Align::{Left, Right},
    Cell, Table,
};
use crate::control::{ConnectionRow, LoggerRow, PortRow};
use std::io::{self, Write};
use std::time::Duration;

/// Rows of a table at most: more than a screen has.
const ROWS_MAX: usize = 100;

/// What ports are sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Sort {
    /// Bits of both ways, the most first.
    #[default]
    Bits,
    /// Packets of both ways, the most first.
    Packets,
    /// Refusals and losses, the most first.
    Drops,
    /// The port's name.
    Name,
}

impl Sort {
    /// The one that the next key press chooses.
    pub(super) const fn next(self) -> Self {
        match self {
            Self::Bits => Self::Packets,
            Self::Packets => Self::Drops,
            Self::Drops => Self::Name,
            Self::Name => Self::Bits,
        }
    }

    /// As the screen calls it.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Bits => "bit/s",
            Self::Packets => "packets/s",
            Self::Drops => "drops/s",
            Self::Name => "name",
        }
    }

    /// What the greatest comes first of.
    fn weight(self, rate: &PortRate) -> f64 {
        match self {
            Self::Bits => rate.rx.bits + rate.tx.bits,
            Self::Packets => rate.rx.packets + rate.tx.packets,
            Self::Drops => rate.drops,
            Self::Name => 0.0,
        }
    }
}

/// A title, and the table below it.
#[derive(Debug)]
pub(super) struct Section {
    pub(super) title: String,
    /// What is said instead of a table without rows.
    pub(super) nothing: String,
    pub(super) table: Table,
}

/// Everything that is shown.
#[derive(Debug)]
pub(super) struct Frame {
    pub(super) header: Vec<Cell>,
    pub(super) sections: [Section; 3],
}

impl Frame {
    pub(super) fn of(history: &History, sort: Sort) -> Self {
        let rates = history.ports();
        let mut ports: Vec<(&PortRow, Option<PortRate>)> = history
            .now
            .ports
            .rows
            .iter()
            .map(|row| {
                (
                    row,
                    rates.as_ref().and_then(|rates| rates.get(&row.id)).cloned(),
                )
            })
            .collect();
        let weight = |rate: &Option<PortRate>| rate.as_ref().map_or(0.0, |rate| sort.weight(rate));
        ports.sort_by(|(a, a_rate), (b, b_rate)| {
            let heavier = weight(b_rate).total_cmp(&weight(a_rate));
            heavier.then_with(|| a.name.cmp(&b.name))
        });
        Self {
            header: header(history, &ports),
            sections: [
                ports_section(history, &ports, sort),
                flows_section(history),
                refused_section(history),
            ],
        }
    }

    /// Writes the frame as text.
    ///
    /// # Errors
    /// What standard output says.
    pub(super) fn write(&self, out: &mut Output) -> io::Result<()> {
        let style = out.style();
        for line in &self.header {
            writeln!(out, "{}", style.paint(line.paint(), line.text()))?;
        }
        for section in &self.sections {
            writeln!(out, "\n{}", style.paint(Paint::Strong, &section.title))?;
            if section.table.rows().is_empty() {
                writeln!(out, "{}", section.nothing)?;
            }
            out.table(&section.table)?;
        }
        Ok(())
    }
}

fn header(history: &History, ports: &[(&PortRow, Option<PortRate>)]) -> Vec<Cell> {
    let status = &history.now.status;
    let up = ports.iter().filter(|(row, _)| row.up).count();
    let first = format!(
        "vswitch {}  up {}  ports {up} of {} up  connections {} of {}",
        status.version,
        length(Duration::from_secs(status.uptime_s)),
        ports.len(),
        status.connections,
        status.connections_max
    );
    let sum = |part: fn(&PortRate) -> f64| {
        let parts: Option<Vec<f64>> = ports
            .iter()
            .map(|(_, rate)| rate.as_ref().map(part))
            .collect();
        rate(parts.map(|parts| parts.iter().sum()))
    };
    let second = format!(
        "rx {} packets/s {} bit/s  tx {} packets/s {} bit/s  drops {}/s",
        sum(|rate| rate.rx.packets),
        sum(|rate| rate.rx.bits),
        sum(|rate| rate.tx.packets),
        sum(|rate| rate.tx.bits),
        sum(|rate| rate.drops)
    );
    let mut lines = vec![Cell::painted(Paint::Strong, first), second.into()];
    lines.extend(loggers(&history.now.loggers.rows));
    lines
}

/// How the loggers are, and the first one that is not well.
fn loggers(rows: &[LoggerRow]) -> Vec<Cell> {
    if rows.is_empty() {
        return vec!["loggers none".into()];
    }
    let states: Vec<_> = ["ACTIVE", "BUILD", "INACTIVE", "ERROR"]
        .into_iter()
        .map(|state| (state, rows.iter().filter(|row| row.status == state).count()))
        .filter(|(_, count)| *count > 0)
        .map(|(state, count)| format!("{count} {state}"))
        .collect();
    let sum = |part: fn(&LoggerRow) -> u64| rows.iter().map(part).sum::<u64>();
    let line = format!(
        "loggers {}; {} files, {} KiB wait; {} rows lost",
        states.join(", "),
        sum(|row| row.waiting_files),
        sum(|row| row.waiting_bytes).div_ceil(1024),
        sum(|row| row.rows_lost)
    );
    let ill = rows.iter().find(|row| row.status == "ERROR");
    let ill = ill.map(|row| {
        let cause = row.cause.as_deref().unwrap_or("no cause is told");
        Cell::painted(Paint::Bad, format!("{}: {cause}", row.name))
    });
    std::iter::once(line.into()).chain(ill).collect()
}

fn ports_section(history: &History, ports: &[(&PortRow, Option<PortRate>)], sort: Sort) -> Section {
    let mut table = Table::new(&[
        ("PORT", Left),
        ("RX P/S", Right),
        ("RX BIT/S", Right),
        ("TX P/S", Right),
        ("TX BIT/S", Right),
        ("DROPS/S", Right),
        ("MOSTLY", Left),
    ]);
    for (row, rates) in ports.iter().take(ROWS_MAX) {
        let name = match row.up {
            true => Cell::from(&row.name),
            false => Cell::painted(Paint::Bad, format!("{} (down)", row.name)),
        };
        let of = |part: fn(&PortRate) -> f64| rate(rates.as_ref().map(part));
        let drops = rates.as_ref().is_some_and(|rate| rate.drops > 0.0);
        let paint = if drops { Paint::Warn } else { Paint::Plain };
        let reason = rates.as_ref().and_then(|rate| rate.reason.as_deref());
        table.row([
            name,
            of(|rate| rate.rx.packets).into(),
            of(|rate| rate.rx.bits).into(),
            of(|rate| rate.tx.packets).into(),
            of(|rate| rate.tx.bits).into(),
            Cell::painted(paint, of(|rate| rate.drops)),
            Cell::painted(paint, reason.unwrap_or_default()),
        ]);
    }
    let more = if history.now.ports.more {
        format!(", the first {}", ports.len())
    } else {
        String::new()
    };
    Section {
        title: format!("ports by {}{more}", sort.word()),
        nothing: "no ports".to_owned(),
        table,
    }
}

fn flows_section(history: &History) -> Section {
    let mut table = Table::new(&[
        ("FLOW", Left),
        ("BIT/S >", Right),
        ("BIT/S <", Right),
        ("PACKETS/S", Right),
    ]);
    let connections = history.connections();
    let is_measured = connections.is_some();
    for (row, [there, back]) in connections.into_iter().flatten().take(ROWS_MAX) {
        let number = |part: f64| rate(Some(part)).into();
        let Rate { packets, .. } = there;
        table.row([
            flow(row).into(),
            number(there.bits),
            number(back.bits),
            number(packets + back.packets),
        ]);
    }
    let more = match history.now.connections.more {
        true => format!(
            ", of the first {} connections",
            history.now.connections.rows.len()
        ),
        false => String::new(),
    };
    Section {
        title: format!("flows by bit/s{more}"),
        nothing: if is_measured {
            "no connection carries anything"
        } else {
            "being measured"
        }
        .to_owned(),
        table,
    }
}

fn flow(row: &ConnectionRow) -> String {
    format!("{} {} > {}", row.protocol, row.source, row.destination)
}

fn refused_section(history: &History) -> Section {
    let mut table = Table::new(&[
        ("AGO", Right),
        ("PORT", Left),
        ("DIRECTION", Left),
        ("FLOW", Left),
        ("REASON", Left),
        ("PACKETS", Right),
    ]);
    for refused in history.refused().into_iter().take(ROWS_MAX) {
        let row = &refused.row;
        let ago = history.now.at.saturating_duration_since(refused.at);
        table.row([
            length(ago).into(),
            (&row.port).into(),
            (&row.direction).into(),
            format!("{} {} > {}", row.protocol, row.source, row.destination).into(),
            Cell::painted(Paint::Bad, &row.reason),
            refused.packets.into(),
        ]);
    }
    Section {
        title: "refused lately".to_owned(),
        nothing: nothing_refused(history.counted()),
        table,
    }
}

/// What is known where no refused flow is listed. A flow is listed while its interval is open: what was
/// refused before stands in the log, and in the ports' counters.
fn nothing_refused(counted: Counted) -> String {
    const WHERE: &str = "vswitch logs --verdict DROP, vswitch show drops";
    let packets = |count: u64| match count {
        1 => "1 packet was".to_owned(),
        count => format!("{count} packets were"),
    };
    match counted {
        Counted::Unknown => {
            format!("whether anything was refused is not known here: {WHERE}")
        }
        Counted::Packets {
            lately: 0,
            before: 0,
            ..
        } => "nothing was refused at these ports since they were attached".to_owned(),
        Counted::Packets {
            within,
            lately: 0,
            before,
        } => format!(
            "nothing was refused in the last {}; {} refused before: {WHERE}",
            length(within),
            packets(before)
        ),
        Counted::Packets { within, lately, .. } => format!(
            "{} refused in the last {}, of which no flow is listed (gone since, or ARP and others that are not recorded): {WHERE}",
            packets(lately),
            length(within)
        ),
    }
}

#[cfg(test)]
mod tests;
