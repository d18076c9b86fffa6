//! `--follow`: the daemon's records as their intervals close.

use super::filter::Filter;
use super::print::Printer;
use crate::cli::output::Output;
use crate::control::{Reply, Request, Select, Session, ask};
use crate::messages::note;
use anyhow::{Result, bail};
use std::io::Write;
use std::path::Path;

/// Prints until the daemon ends, or the user has seen enough.
///
/// # Errors
/// A daemon that cannot be asked, or does not know the port that is asked for.
pub(super) fn follow(
    socket: &Path,
    filter: &Filter,
    out: &mut Output,
    printer: &mut Printer,
) -> Result<()> {
    if let Some(port) = filter.guessed_port() {
        // The daemon refuses a name that it does not know, instead of nothing coming for ever.
        let select = Select {
            port: Some(port.to_owned()),
            ..Select::default()
        };
        ask(socket, &Request::Ports(select))?;
    }
    if let Reply::Loggers(loggers) = ask(socket, &Request::Loggers)? {
        printer.expect_loggers(loggers.rows.len());
    }
    let mut session = Session::ask(socket, &Request::Follow)?;
    while let Some(reply) = session.reply()? {
        match reply {
            Reply::Record(row) if filter.takes(&row) => {
                printer.print(out, &row)?;
                out.flush()?;
            }
            Reply::Record(_) => {}
            Reply::Missed(missed) => {
                printer.print_missed(out, missed)?;
                out.flush()?;
            }
            _ => bail!(
                "the daemon answered something else than was asked; is it of another version?"
            ),
        }
    }
    note(format_args!("vswitch: the daemon has ended"));
    Ok(())
}
