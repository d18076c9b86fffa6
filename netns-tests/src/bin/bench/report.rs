//! A table while it runs; JSON and a plot in the end.

use crate::{
    goals::{self, Held},
    measures::Kind,
    outcome::{Outcome, STEAL_MAX, Turn},
    plot::{Bar, Group, svg},
    stats::Spread,
    systems::SWITCH,
};
use anyhow::{Context, Result};
use serde_json::{Map, Value, json};
use std::{fs, path::Path};

/// Of what goes along with a figure: what is told as a ratio too.
const RATED: [&str; 2] = ["p50 µs", "p99 µs"];

/// Everything that was measured.
#[derive(Debug)]
pub(crate) struct Report {
    about: Value,
    left_out: Vec<Value>,
    measures: Vec<Value>,
    plot: Vec<Group>,
    held: Vec<Held>,
}

impl Report {
    /// `about` goes along with the figures: the machine, the options, versions.
    pub(crate) fn new(about: Value) -> Self {
        println!(
            "{:24} {:28} {:>9} {:>19} {:>19} {:>5}  beside (medians)",
            "measure", "system", "median", "to the reference", "switch / it", "kept"
        );
        Self {
            about,
            left_out: vec![],
            measures: vec![],
            plot: vec![],
            held: vec![],
        }
    }

    /// A system that cannot take part.
    pub(crate) fn leave_out(&mut self, system: &str, why: &str) {
        eprintln!("{system} is left out: {why}");
        self.left_out.push(json!({ "system": system, "why": why }));
    }

    /// Takes a measure in, and prints it.
    pub(crate) fn add(&mut self, outcome: &Outcome<'_>) {
        let reference = outcome.reference();
        let systems = outcome.systems();
        let mut rows = Map::new();
        for system in &systems {
            let row = Row::of(outcome, system, reference);
            println!("{}", row.text(outcome.measure.name));
            rows.insert((*system).to_owned(), row.json());
        }
        let (name, unit) = (outcome.measure.name, outcome.measure.unit);
        self.measures.push(json!({
            "measure": name, "unit": unit, "reference": reference, "systems": rows,
            "turns": outcome.turns.iter().map(turn_json).collect::<Vec<_>>(),
        }));
        self.plot.push(group(outcome, reference));
        self.held.extend(goals::held(outcome));
    }

    /// Prints what the goals have come to, and writes the files.
    pub(crate) fn finish(&self, json_file: &Path, svg_file: &Path) -> Result<()> {
        println!("\n{:68} {:>10} {:>20}", "goal", "wanted", "found");
        for held in &self.held {
            let verdict = if held.is_met { "met" } else { "missed" };
            println!(
                "{:68} {:>10} {:>20} {verdict}",
                held.what,
                held.wanted,
                held.found.text()
            );
        }
        let goals = self.held.iter().map(|held| {
            json!({
                "goal": held.what, "wanted": held.wanted, "median": held.found.median,
                "least": held.found.least, "greatest": held.found.greatest, "met": held.is_met,
            })
        });
        let all = json!({
            "about": self.about, "left_out": self.left_out, "measures": self.measures,
            "goals": goals.collect::<Vec<_>>(),
        });
        write(json_file, &serde_json::to_string_pretty(&all)?)?;
        let about = &self.about["machine"];
        let caption = format!(
            "{} × {}, Linux {}, {}",
            about["cores"],
            about["cpu"].as_str().unwrap_or_default(),
            about["kernel"].as_str().unwrap_or_default(),
            about["date"].as_str().unwrap_or_default(),
        );
        write(svg_file, &svg(&self.plot, &caption))?;
        println!(
            "\nmedian (least–greatest) of ratios within a round; the reference is the best pump, or one flow\n\
             kept: rounds kept-dropped (a failure, or more than {:.0} % steal in either turn)\n\
             every turn and ratio in {}, a plot in {}",
            STEAL_MAX * 100.0,
            json_file.display(),
            svg_file.display()
        );
        Ok(())
    }
}

fn write(file: &Path, text: &str) -> Result<()> {
    fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))
}

/// A system's line of the table.
struct Row {
    system: String,
    median: Option<f64>,
    /// Of the median, behind the point.
    digits: usize,
    to_reference: Vec<f64>,
    of_switch: Vec<f64>,
    rounds: usize,
    kept: usize,
    /// Name, median, and the ratios to the reference's where these say something.
    beside: Vec<(&'static str, f64, Vec<f64>)>,
}

impl Row {
    fn of(outcome: &Outcome<'_>, system: &str, reference: Option<&str>) -> Self {
        let to = |beside| reference.map_or(vec![], |other| outcome.ratios(system, other, beside));
        let is_lost = outcome.measure.kind == Kind::Lost;
        let of_switch = match system == SWITCH || is_lost {
            true => vec![],
            false => outcome.ratios(SWITCH, system, None),
        };
        let beside = outcome.beside(system).into_iter().filter_map(|name| {
            let ratios = match RATED.contains(&name) && Some(system) != reference {
                true => to(Some(name)),
                false => vec![],
            };
            Some((name, outcome.median(system, Some(name))?, ratios))
        });
        let to_reference = to(None);
        Self {
            system: system.to_owned(),
            median: outcome.median(system, None),
            digits: digits(outcome.measure.kind),
            kept: match reference {
                Some(_) => to_reference.len(),
                None => outcome.all(system, None).len(),
            },
            to_reference,
            of_switch,
            rounds: outcome.rounds(system),
            beside: beside.collect(),
        }
    }

    fn text(&self, measure: &str) -> String {
        let spread = |ratios: &[f64]| Spread::of(ratios).map_or(String::new(), |all| all.text());
        let (digits, median) = (self.digits, self.median);
        let median = median.map_or("-".to_owned(), |value| format!("{value:.digits$}"));
        let kept = format!("{}-{}", self.kept, self.rounds - self.kept);
        let beside = self.beside.iter().map(|(name, median, ratios)| {
            let ratio =
                Spread::of(ratios).map_or(String::new(), |all| format!(" [{}]", all.text()));
            format!("{name} {median:.2}{ratio}")
        });
        format!(
            "{measure:24} {:28} {median:>9} {:>19} {:>19} {kept:>5}  {}",
            self.system,
            spread(&self.to_reference),
            spread(&self.of_switch),
            beside.collect::<Vec<_>>().join(", ")
        )
    }

    fn json(&self) -> Value {
        let beside = self.beside.iter().map(|(name, median, ratios)| {
            let value = json!({ "median": median, "to_reference": ratios });
            ((*name).to_owned(), value)
        });
        json!({
            "median": self.median, "to_reference": self.to_reference, "switch_to_it": self.of_switch,
            "kept": self.kept, "dropped": self.rounds - self.kept, "beside": beside.collect::<Map<_, _>>(),
        })
    }
}

/// Packets are whole.
const fn digits(kind: Kind) -> usize {
    match kind {
        Kind::Rate => 3,
        Kind::Lost => 0,
    }
}

fn turn_json(turn: &Turn) -> Value {
    let (value, beside, failed) = match &turn.figure {
        Ok(figure) => {
            let beside = figure.beside.iter();
            let beside = beside.map(|(name, value)| ((*name).to_owned(), json!(value)));
            (Some(figure.value), beside.collect::<Map<_, _>>(), None)
        }
        Err(why) => (None, Map::new(), Some(why)),
    };
    json!({
        "round": turn.round, "system": turn.system, "value": value, "steal": turn.steal,
        "beside": beside, "failed": failed,
    })
}

fn group(outcome: &Outcome<'_>, reference: Option<&str>) -> Group {
    let digits = digits(outcome.measure.kind);
    let bars = outcome.systems().into_iter().filter_map(|system| {
        let median = outcome.median(system, None)?;
        let spread = reference.and_then(|other| outcome.ratio(system, other, None));
        Some(Bar {
            system: system.to_owned(),
            figure: format!("{median:.digits$} {}", outcome.measure.unit),
            spread,
        })
    });
    Group {
        measure: outcome.measure.name.to_owned(),
        reference: reference.map(str::to_owned),
        bars: bars.collect(),
    }
}
