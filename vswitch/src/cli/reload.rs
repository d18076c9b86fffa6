//! `vswitch reload`: as SIGHUP, with an answer.

use super::args::Ask;
use super::output::Output;
use crate::control::{Reloaded, Reply, Request, ask};
use crate::messages::note;
use anyhow::{Result, bail};
use std::io::Write;
use std::process::ExitCode;

/// Names of one kind of difference that are printed; the others are counted.
const NAMES_PRINTED: usize = 20;

/// Asks for a reload and prints what it changed.
pub(super) fn reload(from: &Ask) -> Result<ExitCode> {
    let Reply::Reloaded(reloaded) = ask(&from.socket, &Request::Reload)? else {
        bail!("the daemon answered something else than was asked; is it of another version?");
    };
    let mut out = Output::stdout();
    if from.json {
        out.json(&reloaded)?;
    } else {
        print(&mut out, &reloaded)?;
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

fn print(out: &mut Output, reloaded: &Reloaded) -> Result<()> {
    let Reloaded {
        attached,
        detached,
        set_up,
        lacks,
        policy_epoch,
        difference,
        notices,
    } = reloaded;
    writeln!(
        out,
        "reloaded: ports attached {attached}, detached {detached}; policy epoch {policy_epoch}"
    )?;
    if difference.is_empty() {
        writeln!(out, "nothing differs from what was in force")?;
    }
    for (verb, names) in [
        ("added", &difference.added),
        ("changed", &difference.changed),
        ("removed", &difference.removed),
        ("set up", set_up),
    ] {
        for name in names.iter().take(NAMES_PRINTED) {
            writeln!(out, "{verb:<8} {name}")?;
        }
        if let Some(more) = names.len().checked_sub(NAMES_PRINTED + 1) {
            writeln!(out, "{verb:<8} and {} more", more + 1)?;
        }
    }
    for lack in lacks {
        note(format_args!("not set: {lack}"));
    }
    notices
        .iter()
        .for_each(|notice| note(format_args!("note: {notice}")));
    Ok(())
}
