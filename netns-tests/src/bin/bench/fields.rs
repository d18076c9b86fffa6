//! The systems of each field, made when its first measure begins and gone after its last.

use crate::{
    Options,
    measures::Field,
    outcome::ONE_FLOW,
    peers::Peer,
    report::Report,
    systems::{CROSSED_INTERVAL, LONG_INTERVAL, SWITCH, System},
};
use anyhow::Result;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Ways of the pumps to read and write.
const METHODS: [&str; 2] = ["read_write", "io_uring"];
/// Of the switch that holds many flows, and of its pump.
const MANY: u32 = 100_000;
const VERY_MANY: u32 = 1_000_000;

/// Makes the systems of `field`. One that cannot be had is told and left out.
pub(crate) fn systems(field: Field, options: &Options, report: &mut Report) -> Result<Vec<System>> {
    let mut all = Making {
        systems: vec![],
        report,
    };
    match field {
        Field::Pairs => pairs(options, &mut all)?,
        Field::Flooded => {
            all.add(SWITCH, || System::switch_of_three(SWITCH));
            all.pumps(true);
        }
        Field::ManyFlows => {
            let switches = [
                (ONE_FLOW, 1),
                ("switch, 100,000 flows", MANY),
                ("switch, 1,000,000 flows", VERY_MANY),
            ];
            for (name, flows) in switches {
                all.add(name, || {
                    System::switch_with_flows(name, flows, LONG_INTERVAL)
                });
            }
            for (name, flows) in [("pump, 1 flow", 1), ("pump, 1,000,000 flows", VERY_MANY)] {
                all.add(name, || {
                    let mut pump = System::pump(METHODS[0], false)?;
                    (pump.name, pump.flows) = (name.to_owned(), flows);
                    Ok(pump)
                });
            }
        }
        Field::LossFree => {
            all.add(SWITCH, || System::switch(SWITCH, ""));
            all.pumps(false);
        }
        Field::AcrossInterval => {
            let name = "switch, 1,000,000 flows";
            all.add(name, || {
                System::switch_with_flows(name, VERY_MANY, CROSSED_INTERVAL)
            });
        }
        Field::AcrossReload => {
            let name = "switch, 10,000 rules";
            all.add(name, || System::switch_with_rules(name));
        }
    }
    Ok(all.systems)
}

fn pairs(options: &Options, all: &mut Making<'_>) -> Result<()> {
    all.add(SWITCH, || System::switch(SWITCH, ""));
    let silent = "switch without loggers";
    all.add(silent, || System::silent_switch(silent));
    for line in &options.variant {
        let name = format!("switch, {line}");
        all.add(&name, || System::switch(&name, line));
    }
    all.pumps(false);
    for peer in Peer::chosen(&options.peers)? {
        all.add(peer.name(), || System::peer(peer));
    }
    Ok(())
}

struct Making<'a> {
    systems: Vec<System>,
    report: &'a mut Report,
}

impl Making<'_> {
    /// The harness of the tests panics where it cannot go on; here that is a reason like any other.
    fn add(&mut self, name: &str, make: impl FnOnce() -> Result<System>) {
        match caught(make) {
            Ok(system) => {
                system.rest();
                self.systems.push(system);
            }
            Err(why) => self.report.leave_out(name, &why),
        }
    }

    fn pumps(&mut self, has_third: bool) {
        for method in METHODS {
            self.add(&format!("pump, {method}"), || {
                System::pump(method, has_third)
            });
        }
    }
}

/// The result of `f`, a failure or a panic in words.
pub(crate) fn caught<T>(f: impl FnOnce() -> Result<T>) -> Result<T, String> {
    match catch_unwind(AssertUnwindSafe(f)) {
        Ok(result) => result.map_err(|error| format!("{error:#}")),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or(panic.downcast_ref::<&str>().map(|&text| text.to_owned()));
            Err(text.unwrap_or_else(|| "a panic without words".to_owned()))
        }
    }
}
