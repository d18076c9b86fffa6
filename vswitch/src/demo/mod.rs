//! `vswitch demo`: the whole program in half a minute.
//!
//! ```text
//!   demo.yaml ─▶ Lab (namespaces) ─▶ Daemon ─▶ scenes: real traffic by real kernels, narrated
//!                    │                  └────▶ records of each interval, as it closes
//!                    └─ removed when dropped: at the end, after an error or a panic, on Ctrl-C
//! ```
//! Every scene checks what it saw: a demo that did not go as it should have says so and exits with 1.

mod lab;
mod rights;
mod scenes;
mod services;
mod stage;

use crate::cli::{Align, Cell, Output, Paint, Table};
use crate::config::{Config, Plan};
use crate::control::AuditRow;
use crate::run::Daemon;
use anyhow::{Context, Result, bail, ensure};
use lab::Lab;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use stage::Stage;
use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The lab's configuration.
const CONFIG: &str = include_str!("demo.yaml");

/// The rule that a scene takes away, as the configuration has it.
const SSH_RULE: &str = "      - { direction: ingress, ethertype: IPv4, protocol: tcp, port_range_min: 22, \
                        port_range_max: 22, remote_group: bastion }\n";

/// Runs the demo.
///
/// # Errors
/// A right that is missing, or whatever did not go as it should have. Nothing is left behind then.
pub fn demo() -> Result<ExitCode> {
    rights::check()?;
    let interrupted = Interrupted::catch()?;
    let lab = Lab::make()?;
    let mut daemon = Daemon::start(plan(&lab, CONFIG)?, "demo")?;
    let mut stage = Stage::open(Output::stdout(), &daemon.shared(), interrupted)?;
    let played = scenes::play(&mut stage, &mut daemon, &lab);

    let shared = daemon.shared();
    let audit = shared.audit();
    // The open interval is written too, and its records are told with the others.
    let stopped = daemon.stop();
    drop(lab);
    stage.tell_intervals()?;
    if stage.is_interrupted() {
        bail!(
            "interrupted; the namespaces and TAPs are removed, the files written so far stay in ./flowlogs"
        );
    }
    played
        .and(stopped)
        .context("the demo did not go as it should have")?;
    end(
        &mut stage,
        audit.ports.into_iter().map(Into::into).collect(),
    )
}

fn end(stage: &mut Stage, audit: Vec<AuditRow>) -> Result<ExitCode> {
    let holds = audit.iter().all(|row| row.holds);
    stage.chapter("The audit: every packet that a port counted stands in exactly one record, or is accounted for")?;
    stage.out.table(&table(&audit))?;
    let totals = stage.totals();
    let style = stage.out.style();
    let verdict = if holds {
        style.paint(Paint::Good, "it holds")
    } else {
        style.paint(Paint::Bad, "it does NOT hold")
    };
    writeln!(
        stage.out,
        "\n{verdict}. {} records: {} packets accepted, {} refused. The namespaces and TAPs are removed.",
        totals.records, totals.accepted, totals.refused
    )?;
    if let Some(file) = totals.last_file {
        writeln!(
            stage.out,
            "The files stay in ./flowlogs (last {}); read them with: vswitch logs",
            file.display()
        )?;
    }
    stage.out.flush()?;
    ensure!(holds, "the audit does not hold");
    Ok(ExitCode::SUCCESS)
}

/// The audit as far as a terminal of 80 columns goes; `vswitch show audit` has the rest.
fn table(audit: &[AuditRow]) -> Table {
    let (left, right) = (Align::Left, Align::Right);
    let mut table = Table::new(&[
        ("PORT", left),
        ("RECEIVED FROM IT", right),
        ("IN RECORDS", right),
        ("OFFERED TO IT", right),
        ("IN RECORDS", right),
        ("NOT RECORDED (ARP)", right),
    ]);
    for row in audit {
        table.row([
            (&row.port).into(),
            row.rx[0].into(),
            (row.egress_accept + row.egress_drop).into(),
            row.offered[0].into(),
            (row.ingress_accept + row.ingress_drop).into(),
            Cell::count(row.not_recorded),
        ]);
    }
    table
}

/// The plan of this run's lab.
fn plan(lab: &Lab, config: &str) -> Result<Plan> {
    let text = config.replace("RUN", &lab.run());
    let (mut plan, _) = Config::parse(&text, "the demo's configuration")?;
    plan.state_dir = lab.state_dir().to_owned();
    Ok(plan)
}

/// Whether somebody wants the demo to end.
#[derive(Debug, Clone)]
struct Interrupted(Arc<AtomicBool>);

impl Interrupted {
    /// Notes signals instead of dying of them, so that everything is removed.
    fn catch() -> Result<Self> {
        let flag = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            signal_hook::flag::register(signal, Arc::clone(&flag))
                .context("cannot catch signals")?;
        }
        Ok(Self(flag))
    }

    fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_holds_with_and_without_the_rule_that_a_scene_takes_away() {
        let rules = |text: &str| {
            let (plan, notices) = Config::parse(&text.replace("RUN", "1"), "demo").unwrap();
            assert!(notices.is_empty(), "{notices:?}");
            plan.groups
                .iter()
                .map(|group| group.rules.len())
                .sum::<usize>()
        };
        assert!(CONFIG.contains(SSH_RULE));
        assert_eq!(rules(&CONFIG.replace(SSH_RULE, "")), rules(CONFIG) - 1);
    }
}
