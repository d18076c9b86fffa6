//! Ratios with their spread, as a table and as JSON.

use crate::{
    Options,
    measure::{Figure, Measure},
    system::{PUMP, System},
};
use anyhow::{Context, Result};
use serde_json::{Value, json};
use std::{path::Path, time::Duration};

/// A round is dropped where another tenant had more than this share of the machine.
pub(crate) const STEAL_MAX: f64 = 0.15;

/// One turn of one system.
#[derive(Debug)]
pub(crate) struct Taken {
    system: String,
    figure: Option<Figure>,
    steal: f64,
}

/// Everything that was measured.
#[derive(Debug)]
pub(crate) struct Report {
    machine: Value,
    rows: Vec<Value>,
    /// Of the measure at hand: rounds that count, and how many do not.
    rounds: Vec<Vec<(String, f64)>>,
    dropped: u32,
    values: Vec<(String, f64)>,
    beside: Vec<(String, &'static str, f64)>,
}

/// Takes a turn. A failure is told and leaves no figure.
pub(crate) fn take(measure: &Measure, system: &System, time: Duration) -> Taken {
    let before = jiffies();
    let figure = (measure.take)(system, time)
        .inspect_err(|error| eprintln!("{} of {}: {error:#}", measure.name, system.name))
        .ok();
    let after = jiffies();
    let steal = (after.0 - before.0) / (after.1 - before.1).max(1.0);
    Taken {
        system: system.name.clone(),
        figure,
        steal,
    }
}

/// Stolen and total time since boot, in ticks (proc(5), the line `cpu`).
fn jiffies() -> (f64, f64) {
    let text = std::fs::read_to_string("/proc/stat").unwrap_or_default();
    let line = text.lines().next().unwrap_or_default();
    let ticks: Vec<f64> = line
        .split_whitespace()
        .skip(1)
        .take(8)
        .filter_map(|tick| tick.parse().ok())
        .collect();
    (
        ticks.get(7).copied().unwrap_or_default(),
        ticks.iter().sum(),
    )
}

impl Report {
    pub(crate) fn new(options: &Options) -> Result<Self> {
        let read = |file: &str| std::fs::read_to_string(file).unwrap_or_default();
        let cpuinfo = read("/proc/cpuinfo");
        let cpu = cpuinfo
            .lines()
            .find_map(|line| line.strip_prefix("model name"))
            .unwrap_or_default();
        let cores = std::thread::available_parallelism()
            .context("the number of processors")?
            .get();
        let kernel = read("/proc/sys/kernel/osrelease").trim().to_owned();
        let cpu = cpu.trim_start_matches(['\t', ' ', ':']).to_owned();
        println!(
            "{cores} × {cpu}, Linux {kernel}; {} rounds of {} s",
            options.pairs, options.seconds
        );
        println!(
            "{:14} {:>24} {:>9} {:>17} {:>5}  beside (medians)",
            "measure", "system", "median", "to the best pump", "kept"
        );
        Ok(Self {
            machine: json!({ "cores": cores, "cpu": cpu, "kernel": kernel, "pairs": options.pairs, "seconds": options.seconds, "instructions_per_packet": options.instructions_per_packet }),
            rows: vec![],
            rounds: vec![],
            dropped: 0,
            values: vec![],
            beside: vec![],
        })
    }

    /// A turn of each system that is compared.
    pub(crate) fn round(&mut self, measure: &Measure, round: u32, taken: Vec<Taken>) {
        let is_quiet = taken.iter().all(|taken| taken.steal <= STEAL_MAX);
        let values: Vec<_> = taken
            .iter()
            .filter_map(|taken| Some((taken.system.clone(), taken.figure.as_ref()?.value)))
            .collect();
        if is_quiet && values.len() == taken.len() {
            self.rounds.push(values);
        } else {
            self.dropped += 1;
        }
        self.others(measure, round, taken);
    }

    /// Turns that enter no ratio.
    pub(crate) fn others(&mut self, measure: &Measure, round: u32, taken: Vec<Taken>) {
        for Taken {
            system,
            figure,
            steal,
        } in taken
        {
            let Some(Figure { value, beside }) = figure else {
                continue;
            };
            self.rows.push(json!({
                "measure": measure.name, "unit": measure.unit, "round": round, "system": system, "value": value,
                "steal": steal, "beside": beside.iter().copied().collect::<std::collections::BTreeMap<_, _>>(),
            }));
            self.values.push((system.clone(), value));
            self.beside.extend(
                beside
                    .into_iter()
                    .map(|(name, value)| (system.clone(), name, value)),
            );
        }
    }

    /// Prints the measure at hand and makes room for the next.
    pub(crate) fn print(&mut self, measure: &Measure) {
        let mut systems: Vec<String> = vec![];
        for (system, _) in &self.values {
            if !systems.contains(system) {
                systems.push(system.clone());
            }
        }
        systems.sort_by_key(|system| (!system.starts_with("switch"), !system.starts_with(PUMP)));
        let best = self.best_pump();
        for system in &systems {
            let mut ratios = self.ratios(system, &best);
            let pairs = format!("{}-{}", ratios.len(), self.dropped);
            let ratio = if ratios.is_empty() {
                String::new()
            } else {
                spread(&mut ratios)
            };
            let beside = self.beside_of(system);
            let median = format!("{:.3}", median(&mut self.values_of(system)));
            println!(
                "{:14} {system:>24} {median:>9} {ratio:>17} {pairs:>5}  {beside}",
                measure.name
            );
            self.rows.push(json!({
                "measure": measure.name, "system": system, "best_pump": best, "ratios": ratios,
                "dropped": self.dropped,
            }));
        }
        self.rounds.clear();
        self.values.clear();
        self.beside.clear();
        self.dropped = 0;
    }

    fn values_of(&self, system: &str) -> Vec<f64> {
        let values = self.values.iter().filter(|(name, _)| name == system);
        values.map(|(_, value)| *value).collect()
    }

    /// The pump with the greatest median, which the others are held against.
    fn best_pump(&self) -> String {
        let mut best = (String::new(), 0.0);
        for (name, _) in self
            .values
            .iter()
            .filter(|(name, _)| name.starts_with(PUMP))
        {
            let value = median(&mut self.values_of(name));
            if value > best.1 {
                best = (name.clone(), value);
            }
        }
        best.0
    }

    /// A system's figure by that of `best`, for each round that counts.
    fn ratios(&self, system: &str, best: &str) -> Vec<f64> {
        let value = |round: &[(String, f64)], name: &str| {
            let found = round.iter().find(|(of, _)| of == name);
            found.map(|(_, value)| *value)
        };
        let ratio = |round: &Vec<(String, f64)>| Some(value(round, system)? / value(round, best)?);
        self.rounds.iter().filter_map(ratio).collect()
    }

    fn beside_of(&self, system: &str) -> String {
        let mut names: Vec<&str> = vec![];
        for (_, name, _) in self.beside.iter().filter(|(of, ..)| of == system) {
            if !names.contains(name) {
                names.push(name);
            }
        }
        let text = names.iter().map(|name| {
            let wanted = |row: &&(String, &'static str, f64)| row.0 == system && row.1 == *name;
            let mut values: Vec<f64> = self.beside.iter().filter(wanted).map(|row| row.2).collect();
            format!("{name} {:.2}", median(&mut values))
        });
        text.collect::<Vec<_>>().join(", ")
    }

    /// Writes everything.
    pub(crate) fn write(&self, file: &Path) -> Result<()> {
        let all = json!({ "machine": self.machine, "rows": self.rows });
        std::fs::write(file, serde_json::to_string_pretty(&all)?)
            .with_context(|| format!("cannot write {}", file.display()))?;
        println!(
            "kept: rounds kept-dropped (a failure, or more than {:.0} % steal); figures in {}",
            STEAL_MAX * 100.0,
            file.display()
        );
        Ok(())
    }
}

/// `median (least–greatest)`.
fn spread(values: &mut [f64]) -> String {
    if values.is_empty() {
        return "-".into();
    }
    let middle = median(values);
    format!(
        "{middle:.2} ({:.2}–{:.2})",
        values[0],
        values[values.len() - 1]
    )
}

/// Sorts, and takes the middle.
fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    let half = values.len() / 2;
    match values.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => values[half],
        _ => f64::midpoint(values[half - 1], values[half]),
    }
}
