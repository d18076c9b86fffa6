//! Figures with their goals, as a table and as JSON.

use anyhow::{Context, Result};
use serde_json::{Value, json};
use std::path::Path;

/// What a figure is to be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Goal {
    /// Nothing in particular.
    None,
    /// A matter of the machine too: told where it is passed.
    AtMost(f64),
    /// A matter of right and wrong.
    Exactly(f64),
}

/// A figure.
#[derive(Debug, Clone)]
pub(crate) struct Figure {
    name: &'static str,
    pub(crate) value: f64,
    unit: &'static str,
    goal: Goal,
}

/// A figure without a goal.
pub(crate) fn figure(name: &'static str, value: f64, unit: &'static str) -> Figure {
    Figure {
        name,
        value,
        unit,
        goal: Goal::None,
    }
}

impl Figure {
    pub(crate) fn at_most(self, most: f64) -> Self {
        Self {
            goal: Goal::AtMost(most),
            ..self
        }
    }

    pub(crate) fn exactly(self, count: f64) -> Self {
        Self {
            goal: Goal::Exactly(count),
            ..self
        }
    }

    fn is_met(&self) -> bool {
        match self.goal {
            Goal::None => true,
            Goal::AtMost(most) => self.value <= most,
            Goal::Exactly(count) => self.value == count,
        }
    }

    fn told_goal(&self) -> String {
        let goal = match self.goal {
            Goal::None => return String::new(),
            Goal::AtMost(most) => format!("at most {}", told(most)),
            Goal::Exactly(count) => format!("exactly {}", told(count)),
        };
        let met = if self.is_met() { "" } else { ", MISSED" };
        format!("({goal}{met})")
    }
}

/// How one thing grows with the number of another.
#[derive(Debug, Clone)]
pub(crate) struct Growth {
    /// What there is more and more of: `ports`.
    pub(crate) of: &'static str,
    /// What grows, with its unit, and points of number and value.
    pub(crate) curves: Vec<(&'static str, Vec<(f64, f64)>)>,
}

/// Everything that was measured.
#[derive(Debug)]
pub(crate) struct Report {
    machine: Value,
    rows: Vec<Value>,
    growth: Vec<Growth>,
    is_exact: bool,
}

impl Report {
    pub(crate) fn new() -> Self {
        let read = |file: &str| std::fs::read_to_string(file).unwrap_or_default();
        let cpuinfo = read("/proc/cpuinfo");
        let cpu = cpuinfo
            .lines()
            .find_map(|line| line.strip_prefix("model name"));
        let cpu = cpu.unwrap_or_default().trim_start_matches(['\t', ' ', ':']);
        let kernel = read("/proc/sys/kernel/osrelease").trim().to_owned();
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        println!("{cores} × {cpu}, Linux {kernel}");
        Self {
            machine: json!({ "cores": cores, "cpu": cpu, "kernel": kernel }),
            rows: vec![],
            growth: vec![],
            is_exact: true,
        }
    }

    /// Prints and keeps what was measured of `subject`.
    pub(crate) fn add(&mut self, part: &str, subject: &str, figures: &[Figure]) {
        println!("\n{part}: {subject}");
        for figure in figures {
            let (name, unit, goal) = (figure.name, figure.unit, figure.told_goal());
            println!("  {name:44} {:>12} {unit:8} {goal}", told(figure.value));
            self.is_exact &= figure.is_met() || !matches!(figure.goal, Goal::Exactly(_));
            self.rows.push(json!({
                "part": part, "subject": subject, "figure": name, "value": figure.value, "unit": unit,
                "goal": figure.told_goal(),
            }));
        }
    }

    /// Prints and keeps how things grow.
    pub(crate) fn add_growth(&mut self, growth: Growth) {
        let names: Vec<_> = growth
            .curves
            .iter()
            .map(|(name, _)| format!("{name:>16}"))
            .collect();
        println!("\ngrowth: {:>12} {}", growth.of, names.join(" "));
        let numbers = growth.curves.first().map(|(_, points)| points.clone());
        for (place, (number, _)) in numbers.unwrap_or_default().into_iter().enumerate() {
            let values = growth
                .curves
                .iter()
                .filter_map(|(_, points)| points.get(place));
            let values: Vec<_> = values
                .map(|(_, value)| format!("{:>16}", told(*value)))
                .collect();
            println!("        {:>12} {}", told(number), values.join(" "));
        }
        for (name, points) in &growth.curves {
            self.rows.push(
                json!({ "part": "growth", "subject": growth.of, "figure": name, "points": points }),
            );
        }
        self.growth.push(growth);
    }

    pub(crate) fn growth(&self) -> &[Growth] {
        &self.growth
    }

    /// Whether every figure that has to be exact is.
    pub(crate) fn is_exact(&self) -> bool {
        self.is_exact
    }

    pub(crate) fn write(&self, file: &Path) -> Result<()> {
        let all = json!({ "machine": self.machine, "rows": self.rows });
        std::fs::write(file, serde_json::to_string_pretty(&all)?)
            .with_context(|| format!("cannot write {}", file.display()))?;
        println!("\nfigures in {}", file.display());
        Ok(())
    }
}

/// Whole numbers with separators, others with three digits that mean something.
fn told(value: f64) -> String {
    if value.fract() != 0.0 {
        let decimals = if value.abs() < 10.0 { 2 } else { 1 };
        return format!("{value:.decimals$}");
    }
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
