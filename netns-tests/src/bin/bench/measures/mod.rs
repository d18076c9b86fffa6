//! What is measured, and among whom.

mod connections;
mod flood;
mod loss;
mod rr;
mod tcp;
mod udp;

use crate::systems::System;
use anyhow::Result;
use std::time::Duration;

/// A figure, and what goes along with it by name.
#[derive(Debug, Default, Clone)]
pub(crate) struct Figure {
    pub(crate) value: f64,
    pub(crate) beside: Vec<(&'static str, f64)>,
}

/// Takes a figure from a system within about that time.
pub(crate) type Take = fn(&mut System, Duration) -> Result<Figure>;

/// Who takes part; measures of one field share their systems.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Field {
    /// Two guests each: the switch with and without loggers, variants, pumps, peers.
    Pairs,
    /// A third guest floods: the switch and pumps.
    Flooded,
    /// One flow, 100,000 and 1,000,000: the switch, and a pump to tell what the harness itself costs.
    ManyFlows,
    /// What goes through without any loss: the switch and pumps.
    LossFree,
    /// The switch with 1,000,000 flows and a logger.
    AcrossInterval,
    /// The switch with 10,000 rules.
    AcrossReload,
}

/// What a figure is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A rate, of which more is better, told by its ratio to others'.
    Rate,
    /// Packets that went missing, of which none is the goal.
    Lost,
}

/// A measure.
pub(crate) struct Measure {
    pub(crate) name: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) field: Field,
    pub(crate) kind: Kind,
    pub(crate) take: Take,
    /// A further turn of systems in the kernel, which use the senders' processors, and what is added
    /// to their names.
    pub(crate) kernel_also: Option<(&'static str, Take)>,
    /// Rounds at most, for what takes long.
    pub(crate) rounds_max: u32,
}

const fn measure(name: &'static str, unit: &'static str, field: Field, take: Take) -> Measure {
    Measure {
        name,
        unit,
        field,
        kind: Kind::Rate,
        take,
        kernel_also: None,
        rounds_max: u32::MAX,
    }
}

const fn lost(name: &'static str, field: Field, take: Take) -> Measure {
    Measure {
        kind: Kind::Lost,
        rounds_max: 3,
        ..measure(name, "packets", field, take)
    }
}

/// All of them, those of one field together.
pub(crate) const MEASURES: &[Measure] = &[
    measure("tcp-1-flow", "Gbit/s", Field::Pairs, |system, time| {
        tcp::stream(system, time, 1)
    }),
    measure("tcp-4-flows", "Gbit/s", Field::Pairs, |system, time| {
        tcp::stream(system, time, 4)
    }),
    Measure {
        kernel_also: Some((", two senders", |system, time| udp::flood(system, time, 2))),
        ..measure("udp-64-bytes", "Mpps", Field::Pairs, |system, time| {
            udp::flood(system, time, 1)
        })
    },
    measure(
        "udp-64-bytes-two-senders",
        "Mpps",
        Field::Pairs,
        |system, time| udp::flood(system, time, 2),
    ),
    measure("tcp-rr-pinned", "k/s", Field::Pairs, |system, time| {
        rr::tcp(system, time, true)
    }),
    measure("udp-rr-pinned", "k/s", Field::Pairs, |system, time| {
        rr::udp(system, time, true)
    }),
    measure("tcp-rr-free", "k/s", Field::Pairs, |system, time| {
        rr::tcp(system, time, false)
    }),
    measure("connections", "k/s", Field::Pairs, connections::make),
    measure(
        "tcp-rr-pinned-flooded",
        "k/s",
        Field::Flooded,
        |system, time| flood::rr(system, time, true),
    ),
    measure(
        "tcp-rr-free-flooded",
        "k/s",
        Field::Flooded,
        |system, time| flood::rr(system, time, false),
    ),
    measure(
        "udp-64-bytes-flows",
        "Mpps",
        Field::ManyFlows,
        |system, time| udp::flood(system, time, 1),
    ),
    Measure {
        rounds_max: 5,
        ..measure("udp-loss-free", "Mpps", Field::LossFree, loss::highest_rate)
    },
    lost(
        "lost-across-interval",
        Field::AcrossInterval,
        loss::across_interval,
    ),
    lost(
        "lost-across-reload",
        Field::AcrossReload,
        loss::across_reload,
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn measures_of_one_field_stand_together_and_names_are_told_apart() {
        let mut fields: Vec<Field> = MEASURES.iter().map(|measure| measure.field).collect();
        fields.dedup();
        for (n, field) in fields.iter().enumerate() {
            assert!(!fields[..n].contains(field), "{field:?} is split");
        }
        for (n, measure) in MEASURES.iter().enumerate() {
            assert!(MEASURES[..n].iter().all(|other| other.name != measure.name));
        }
    }
}
