//! `vswitch run`: the daemon in the foreground, with its control socket beside it.

use super::failure::Usage;
use crate::config::Overrides;
use crate::control::{Server, SocketError};
use crate::run::{Source, Starter, hold_hangups, serve};
use anyhow::Result;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::ExitCode;

/// Runs until a signal ends it.
pub(super) fn run(
    config: PathBuf,
    overrides: Overrides,
    ready_fd: Option<i32>,
) -> Result<ExitCode> {
    // First of all: a number that was not inherited could be that of a file of our own later.
    let ready = ready_fd.map(inherited).transpose()?;
    let signals = hold_hangups()?;
    let source = Source {
        path: config,
        overrides,
    };
    let plan = source.load()?;
    let socket = plan.control_socket.clone();
    // Before anything is made. One that binds it in the meantime is found when the server starts.
    if UnixStream::connect(&socket).is_ok() {
        return Err(SocketError::Live(socket).into());
    }
    serve(&source, plan, signals, Starter::new(ready), |daemon| {
        let server = Server::start(&socket, daemon.shared())?;
        tracing::info!(socket = %socket.display(), "answering");
        Ok(server)
    })?;
    Ok(ExitCode::SUCCESS)
}

fn inherited(number: i32) -> Result<OwnedFd, Usage> {
    tap::inherited_file(number).map_err(|error| {
        Usage(format!(
            "--ready-fd {number}: {error}; open it for writing in the shell that starts this, as in \
             `{number}>ready`"
        ))
    })
}
