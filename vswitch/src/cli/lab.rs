//! `vswitch lab`: guests that outlive the daemon.

use super::args::LabCommand;
use super::output::Output;
use crate::config::{Overrides, Plan};
use crate::lab::Lab;
use crate::run::{lab_ports, load_with, name_of};
use anyhow::{Context, Result};
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

/// Makes or removes.
pub(super) fn lab(command: LabCommand) -> Result<ExitCode> {
    let mut out = Output::stdout();
    match command {
        LabCommand::Up { config, paths } => up(&mut out, &config, &paths.overrides())?,
        LabCommand::Down {
            config,
            force,
            paths,
        } => down(&mut out, &config, &paths.overrides(), force)?,
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

fn up(out: &mut Output, config: &Path, overrides: &Overrides) -> Result<()> {
    let plan = load_with(config, overrides)?;
    plan.access
        .create_dir_all(&plan.state_dir)
        .with_context(|| {
            format!(
                "cannot make the state directory {}",
                plan.state_dir.display()
            )
        })?;
    let report = lab_of(&plan, config).up(&lab_ports(&plan))?;
    for thing in &report.made {
        writeln!(out, "made     {thing}")?;
    }
    for thing in &report.existed {
        writeln!(out, "existed  {thing}")?;
    }
    for thing in &report.retired.removed {
        writeln!(
            out,
            "removed  {thing}: it is not in the configuration any more"
        )?;
    }
    for (thing, tap) in &report.retired.left {
        writeln!(
            out,
            "left     {thing}: it is not in the configuration any more, and TAP {tap} is in use or not of this lab; \
             reload the daemon (SIGHUP) and repeat `lab up`"
        )?;
    }
    for (port, lack) in &report.lacks {
        writeln!(out, "missing  {} of port `{port}`: {}", lack.what, lack.why)?;
    }
    Ok(())
}

fn down(out: &mut Output, config: &Path, overrides: &Overrides, force: bool) -> Result<()> {
    let plan = load_with(config, overrides)?;
    let done = lab_of(&plan, config).down(force)?;
    for thing in &done.removed {
        writeln!(out, "removed  {thing}")?;
    }
    for (thing, tap) in &done.left {
        writeln!(
            out,
            "left     {thing}: TAP {tap} in it is not of this lab; repeat `lab down` when it has gone"
        )?;
    }
    Ok(())
}

fn lab_of(plan: &Plan, config: &Path) -> Lab {
    Lab::new(&plan.state_dir, &name_of(config), plan.access)
}
