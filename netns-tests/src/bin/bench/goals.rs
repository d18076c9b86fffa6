//! What the project wants to reach, end to end; the figures of docs/benchmarks.md.

use crate::{
    measures::Kind,
    outcome::{ONE_FLOW, Outcome},
    stats::Spread,
    systems::SWITCH,
};

/// Against whom.
#[derive(Debug, Clone, Copy)]
enum By {
    /// The best pump of the run.
    Pump,
    /// A system by name.
    System(&'static str),
}

#[derive(Debug, Clone, Copy)]
enum Bound {
    AtLeast(f64),
    AtMost(f64),
}
use Bound::{AtLeast, AtMost};

struct Goal {
    measure: &'static str,
    system: &'static str,
    beside: Option<&'static str>,
    by: By,
    bound: Bound,
}

const fn goal(measure: &'static str, by: By, bound: Bound) -> Goal {
    Goal {
        measure,
        system: SWITCH,
        beside: None,
        by,
        bound,
    }
}

const fn p99(measure: &'static str, most: f64) -> Goal {
    Goal {
        beside: Some("p99 µs"),
        ..goal(measure, By::Pump, AtMost(most))
    }
}

const fn flows(system: &'static str, least: f64) -> Goal {
    Goal {
        system,
        ..goal("udp-64-bytes-flows", By::System(ONE_FLOW), AtLeast(least))
    }
}

/// The log may cost 1.5 %.
const WITH_LOG: Bound = AtLeast(1.0 / 1.015);
const SILENT: By = By::System("switch without loggers");

const GOALS: &[Goal] = &[
    goal("tcp-1-flow", By::Pump, AtLeast(0.97)),
    goal("tcp-4-flows", By::Pump, AtLeast(0.97)),
    goal("udp-64-bytes", By::Pump, AtLeast(0.92)),
    goal("udp-64-bytes", By::System("ovs+ct"), AtLeast(1.8)),
    goal("udp-64-bytes", By::System("ovs+ct+ipfix"), AtLeast(4.0)),
    goal("udp-64-bytes", By::System("bridge+iptables"), AtLeast(2.0)),
    goal(
        "udp-64-bytes",
        By::System("bridge+iptables, two senders"),
        AtLeast(1.05),
    ),
    goal("udp-64-bytes", SILENT, WITH_LOG),
    goal("tcp-rr-pinned", SILENT, WITH_LOG),
    flows("switch, 100,000 flows", 0.92),
    flows("switch, 1,000,000 flows", 0.85),
    goal("tcp-rr-pinned", By::Pump, AtLeast(0.95)),
    p99("tcp-rr-pinned", 1.1),
    goal("udp-rr-pinned", By::Pump, AtLeast(0.95)),
    p99("udp-rr-pinned", 1.1),
    goal("tcp-rr-free", By::Pump, AtLeast(2.0)),
    goal("connections", By::Pump, AtLeast(0.95)),
    p99("tcp-rr-pinned-flooded", 1.5),
    p99("tcp-rr-free-flooded", 1.5),
];

/// A goal, and what was measured.
#[derive(Debug)]
pub(crate) struct Held {
    /// Such as `udp-64-bytes: switch / ovs+ct`.
    pub(crate) what: String,
    /// Such as `≥ 1.80`.
    pub(crate) wanted: String,
    pub(crate) found: Spread,
    /// By the median; of lost packets, by the worst.
    pub(crate) is_met: bool,
}

/// The goals that an outcome has figures for.
pub(crate) fn held(outcome: &Outcome<'_>) -> Vec<Held> {
    if outcome.measure.kind == Kind::Lost {
        return nothing_lost(outcome);
    }
    let goals = GOALS
        .iter()
        .filter(|goal| goal.measure == outcome.measure.name);
    goals.filter_map(|goal| hold(goal, outcome)).collect()
}

fn hold(goal: &Goal, outcome: &Outcome<'_>) -> Option<Held> {
    let other = match goal.by {
        By::Pump => outcome.reference()?,
        By::System(name) => name,
    };
    let found = outcome.ratio(goal.system, other, goal.beside)?;
    let (wanted, is_met) = match goal.bound {
        AtLeast(least) => (format!("≥ {least:.3}"), found.median >= least),
        AtMost(most) => (format!("≤ {most:.3}"), found.median <= most),
    };
    let beside = goal
        .beside
        .map_or(String::new(), |name| format!(", {name}"));
    let what = format!("{}: {} / {other}{beside}", goal.measure, goal.system);
    Some(Held {
        what,
        wanted,
        found,
        is_met,
    })
}

fn nothing_lost(outcome: &Outcome<'_>) -> Vec<Held> {
    let systems = outcome.systems().into_iter();
    let held = systems.filter_map(|system| {
        let found = Spread::of(&outcome.all(system, None))?;
        Some(Held {
            what: format!("{}: {system}", outcome.measure.name),
            wanted: "0 packets".to_owned(),
            found,
            is_met: found.greatest == 0.0,
        })
    });
    held.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{measures::MEASURES, outcome::made_up};

    #[test]
    fn every_goal_names_a_measure() {
        for goal in GOALS {
            let mut measures = MEASURES.iter();
            assert!(
                measures.any(|measure| measure.name == goal.measure),
                "{}",
                goal.measure
            );
        }
    }

    #[test]
    fn a_goal_is_held_against_the_median_of_the_ratios() {
        let held = held(&made_up(&MEASURES[0]));
        assert_eq!(held.len(), 1);
        assert_eq!(held[0].what, "tcp-1-flow: switch / pump, io_uring");
        assert_eq!(held[0].wanted, "≥ 0.970");
        assert!(!held[0].is_met, "{:?}", held[0].found);
    }
}
