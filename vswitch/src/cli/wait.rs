//! `vswitch wait`: until the daemon answers and its ports are up, for scripts.

use super::failure::FAILED;
use super::paths::default_socket;
use crate::control::{LIMIT_MAX, Reply, Request, Select, SessionError, ask};
use crate::messages::note;
use anyhow::{Result, bail};
use clap::Args;
use std::path::PathBuf;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

/// Pause between two questions.
const PAUSE: Duration = Duration::from_millis(50);
/// Longest `--timeout`, seconds: a year.
const TIMEOUT_MAX: u64 = 366 * 24 * 3600;
/// Ports that a message names; the others are counted.
const PORTS_NAMED: usize = 8;

/// `wait`.
#[derive(Debug, Args)]
pub struct WaitArgs {
    /// Seconds to wait at most; 0 asks once.
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(..=TIMEOUT_MAX))]
    pub timeout: u64,
    /// Only until this port, by name or UUID, is up; may be given several times.
    #[arg(long = "port", value_name = "PORT")]
    pub ports: Vec<String>,
    /// Control socket of the daemon.
    #[arg(long, visible_alias = "control-socket", value_name = "PATH", default_value_os_t = default_socket())]
    pub socket: PathBuf,
}

/// Waits; says on standard error what is missing when the time is over.
pub(super) fn wait(args: &WaitArgs) -> Result<ExitCode> {
    let deadline = Instant::now() + Duration::from_secs(args.timeout);
    loop {
        let Some(missing) = missing(args)? else {
            return Ok(ExitCode::SUCCESS);
        };
        if Instant::now() >= deadline {
            note(format_args!("vswitch: after {} s {missing}", args.timeout));
            return Ok(ExitCode::from(FAILED));
        }
        thread::sleep(PAUSE.min(deadline.saturating_duration_since(Instant::now())));
    }
}

/// What is not there yet; an error where waiting does not help.
fn missing(args: &WaitArgs) -> Result<Option<String>> {
    let select = Select {
        limit: LIMIT_MAX,
        ..Select::default()
    };
    let rows = match ask(&args.socket, &Request::Ports(select)) {
        Ok(Reply::Ports(listing)) => listing.rows,
        // A daemon that starts, or that ends while it is asked.
        Err(error @ (SessionError::NoDaemon { .. } | SessionError::Broken(_))) => {
            return Ok(Some(error.to_string()));
        }
        Err(error) => return Err(error.into()),
        Ok(_) => {
            bail!("the daemon answered something else than was asked; is it of another version?")
        }
    };
    let is_meant = |name: &str, id: &str| {
        args.ports.is_empty() || args.ports.iter().any(|port| port == name || port == id)
    };
    let known = |port: &&String| {
        rows.iter()
            .any(|row| row.name == **port || row.id.to_string() == **port)
    };
    let unknown = args
        .ports
        .iter()
        .filter(|port| !known(port))
        .map(String::as_str);
    let down = rows
        .iter()
        .filter(|row| !row.up && is_meant(&row.name, &row.id.to_string()))
        .map(|row| row.name.as_str());
    let names: Vec<&str> = unknown.chain(down).collect();
    if names.is_empty() {
        return Ok(None);
    }
    let listed = names
        .iter()
        .take(PORTS_NAMED)
        .copied()
        .collect::<Vec<_>>()
        .join(", ");
    let more = names.len().saturating_sub(PORTS_NAMED);
    let more = if more == 0 {
        String::new()
    } else {
        format!(" and {more} more")
    };
    Ok(Some(format!(
        "these ports are not up: {listed}{more}; `vswitch show ports` and the daemon's log say why"
    )))
}
