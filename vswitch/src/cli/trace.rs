//! `vswitch trace`: what would happen to a packet, from the daemon or from a switch made of a file.

use super::args::TraceArgs;
use super::failure::Usage;
use super::output::Output;
use super::style::{Paint, Style};
use crate::control::{Reply, Request, ask};
use crate::run::{Clock, load, switch_config};
use crate::switch::{Prepared, Switch};
use crate::trace::{Trace, TraceError};
use anyhow::{Context, Result, bail};
use secgroup::RuleTable;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

/// Width of a stage's name.
const STAGE_WIDTH: usize = 12;

/// Traces and prints. A packet that is refused is an answer, not a failure: the exit code is 0.
pub(super) fn trace(args: TraceArgs) -> Result<ExitCode> {
    let TraceArgs { port, packet, config, ask: from } = args;
    let trace = match config {
        Some(config) => offline(&config, &port, &packet)?,
        None => match ask(&from.socket, &Request::Trace { port, packet })? {
            Reply::Trace(trace) => trace,
            _ => bail!("the daemon answered something else than was asked; is it of another version?"),
        },
    };
    let mut out = Output::stdout();
    if from.json {
        out.json(&trace)?;
    } else {
        let style = out.style();
        write(&mut out, style, &trace)?;
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

/// A switch without threads and TAPs, made by the same steps as the daemon's.
fn offline(config: &Path, port: &str, packet: &str) -> Result<Trace> {
    let plan = load(config)?;
    let mut rules = RuleTable::default();
    let prepared = Prepared::new(switch_config(&plan), &mut rules).context("the policy cannot be built")?;
    let now = Clock::start().now();
    let mut switch = Switch::new(now, 0, plan.conntrack.limit, flowlog::base_window_s(&plan.loggers));
    switch.apply(now, prepared);
    crate::trace::trace(&plan, &switch, &rules, now, port, packet).map_err(|error| match error {
        TraceError::NoPort { .. } | TraceError::NoPacket { .. } => Usage(error.to_string()).into(),
        TraceError::NotAttached(_) => error.into(),
    })
}

/// Writes a trace for people.
///
/// # Errors
/// What `out` says.
pub(crate) fn write(out: &mut dyn Write, style: Style, trace: &Trace) -> io::Result<()> {
    writeln!(out, "{}", style.paint(Paint::Strong, &trace.packet))?;
    for told in &trace.stages {
        writeln!(out, "  {:<STAGE_WIDTH$}  {}", told.stage, told.text)?;
    }
    for side in &trace.sides {
        let paint = Paint::of_verdict(side.remedy.is_none());
        let verdict = style.paint(paint, &side.verdict);
        writeln!(out, "  {:<STAGE_WIDTH$}  at {}: {verdict}, {}", side.direction, side.port, side.why)?;
        if let Some(remedy) = &side.remedy {
            writeln!(out, "  {:<STAGE_WIDTH$}  {remedy}", "remedy")?;
        }
    }
    if trace.more_receivers > 0 {
        writeln!(out, "  {:<STAGE_WIDTH$}  and {} more receivers", "", trace.more_receivers)?;
    }
    writeln!(out, "{}", style.paint(Paint::of_verdict(trace.accepted), &trace.verdict))
}
