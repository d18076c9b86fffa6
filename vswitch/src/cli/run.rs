//! `vswitch run`: the daemon in the foreground, with its control socket beside it.

use crate::control::Server;
use crate::run::{load, serve};
use anyhow::Result;
use std::path::Path;
use std::process::ExitCode;

/// Runs until a signal ends it.
pub(super) fn run(config: &Path) -> Result<ExitCode> {
    let plan = load(config)?;
    let socket = plan.control_socket.clone();
    serve(config, plan, |daemon| {
        let server = Server::start(&socket, daemon.shared())?;
        tracing::info!(socket = %socket.display(), "answering");
        Ok(server)
    })?;
    Ok(ExitCode::SUCCESS)
}
