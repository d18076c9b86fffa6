//! `vswitch run`: the daemon in the foreground, with its control socket beside it.

use crate::control::{Server, SocketError};
use crate::run::{hold_hangups, load, serve};
use anyhow::Result;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::ExitCode;

/// Runs until a signal ends it.
pub(super) fn run(config: &Path) -> Result<ExitCode> {
    let signals = hold_hangups()?;
    let plan = load(config)?;
    let socket = plan.control_socket.clone();
    // Before anything is made. Whoever binds it in the meantime is found when the server starts.
    if UnixStream::connect(&socket).is_ok() {
        return Err(SocketError::Live(socket).into());
    }
    serve(config, plan, signals, |daemon| {
        let server = Server::start(&socket, daemon.shared())?;
        tracing::info!(socket = %socket.display(), "answering");
        Ok(server)
    })?;
    Ok(ExitCode::SUCCESS)
}
