//! What came out of one measure.

use crate::{
    measures::{Field, Figure, Kind, Measure},
    stats::{Series, Spread, median, ratios},
    systems::PUMP,
};

/// A turn during which another tenant had more than this share of the machine counts in no ratio.
pub(crate) const STEAL_MAX: f64 = 0.15;
/// What many flows are held against.
pub(crate) const ONE_FLOW: &str = "switch, 1 flow";

/// One turn of one system.
#[derive(Debug)]
pub(crate) struct Turn {
    pub(crate) round: u32,
    pub(crate) system: String,
    /// Or why there is none.
    pub(crate) figure: Result<Figure, String>,
    /// Share of the machine that was stolen meanwhile.
    pub(crate) steal: f64,
}

/// All turns of a measure.
pub(crate) struct Outcome<'a> {
    pub(crate) measure: &'a Measure,
    pub(crate) turns: Vec<Turn>,
}

impl Outcome<'_> {
    /// Names, in the order of their first turns.
    pub(crate) fn systems(&self) -> Vec<&str> {
        let mut names: Vec<&str> = vec![];
        for turn in &self.turns {
            if !names.contains(&turn.system.as_str()) {
                names.push(&turn.system);
            }
        }
        names
    }

    fn of<'a>(&'a self, system: &'a str) -> impl Iterator<Item = &'a Turn> {
        self.turns.iter().filter(move |turn| turn.system == system)
    }

    /// Figures of a system, or what is called `beside` them, of every turn that gave one.
    pub(crate) fn all(&self, system: &str, beside: Option<&str>) -> Vec<f64> {
        self.of(system)
            .filter_map(|turn| value(turn, beside))
            .collect()
    }

    /// The middle of [`Outcome::all`].
    pub(crate) fn median(&self, system: &str, beside: Option<&str>) -> Option<f64> {
        median(&mut self.all(system, beside))
    }

    /// Names of what goes along with a system's figures.
    pub(crate) fn beside(&self, system: &str) -> Vec<&'static str> {
        let mut names: Vec<&'static str> = vec![];
        for figure in self.of(system).filter_map(|turn| turn.figure.as_ref().ok()) {
            for (name, _) in &figure.beside {
                if !names.contains(name) {
                    names.push(name);
                }
            }
        }
        names
    }

    fn series(&self, system: &str, beside: Option<&str>) -> Series {
        self.of(system)
            .filter(|turn| turn.steal <= STEAL_MAX)
            .filter_map(|turn| Some((turn.round, value(turn, beside)?)))
            .collect()
    }

    /// `system` by `other`, of each round in which both turns count.
    pub(crate) fn ratios(&self, system: &str, other: &str, beside: Option<&str>) -> Vec<f64> {
        ratios(&self.series(system, beside), &self.series(other, beside))
    }

    /// The same in short.
    pub(crate) fn ratio(&self, system: &str, other: &str, beside: Option<&str>) -> Option<Spread> {
        Spread::of(&self.ratios(system, other, beside))
    }

    /// Rounds in which `system` had a turn.
    pub(crate) fn rounds(&self, system: &str) -> usize {
        self.of(system).count()
    }

    /// What all are held against: the pump with the greatest median, or one flow.
    pub(crate) fn reference(&self) -> Option<&str> {
        if self.measure.kind == Kind::Lost {
            return None;
        }
        let is_wanted = |name: &&str| match self.measure.field {
            Field::ManyFlows => *name == ONE_FLOW,
            _ => name.starts_with(PUMP),
        };
        let found = self.systems().into_iter().filter(is_wanted);
        let rated = found.filter_map(|name| Some((name, self.median(name, None)?)));
        rated
            .max_by(|x, y| x.1.total_cmp(&y.1))
            .map(|(name, _)| name)
    }
}

fn value(turn: &Turn, beside: Option<&str>) -> Option<f64> {
    let figure = turn.figure.as_ref().ok()?;
    match beside {
        None => Some(figure.value),
        Some(wanted) => {
            let mut rows = figure.beside.iter();
            rows.find(|(name, _)| *name == wanted).map(|row| row.1)
        }
    }
}

/// An outcome without a run behind it.
#[cfg(test)]
pub(crate) fn made_up(measure: &Measure) -> Outcome<'_> {
    let turn = |round, system: &str, value, steal| Turn {
        round,
        system: system.to_owned(),
        figure: Ok(Figure {
            value,
            beside: vec![("p99 µs", 10.0 * value)],
        }),
        steal,
    };
    let turns = vec![
        turn(0, "switch", 0.9, 0.0),
        turn(0, "pump, read_write", 0.8, 0.0),
        turn(0, "pump, io_uring", 1.0, 0.0),
        turn(1, "pump, io_uring", 2.0, 0.0),
        turn(1, "pump, read_write", 1.0, 0.0),
        turn(1, "switch", 1.9, 0.0),
        turn(2, "switch", 0.1, 0.5),
        turn(2, "pump, io_uring", 2.0, 0.0),
    ];
    Outcome { measure, turns }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measures::MEASURES;

    #[test]
    fn ratios_are_to_the_best_pump_of_the_same_round_without_stolen_turns() {
        let outcome = made_up(&MEASURES[0]);
        let reference = outcome.reference().expect("there are pumps");
        assert_eq!(reference, "pump, io_uring");
        assert_eq!(outcome.ratios("switch", reference, None), [0.9, 0.95]);
        assert_eq!(outcome.rounds("switch"), 3);
        assert_eq!(outcome.median("switch", None), Some(0.9));
        let p99 = outcome.ratio("switch", reference, Some("p99 µs"));
        assert_eq!(p99.map(|spread| spread.greatest), Some(0.95));
    }
}
