//! `vswitch check`: is the configuration right, and what would it build?

use super::failure::USAGE;
use super::output::Output;
use crate::config::{Config, ConfigError, Io, Mistake, Notice, Overrides, Plan};
use crate::lab::LabPort;
use crate::messages::note;
use crate::run::lab_ports;
use anyhow::Result;
use flowlog::{LoggerSpec, Secret, Storage};
use serde::Serialize;
use std::io::Write;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;
use std::process::ExitCode;

/// What `check --json` prints.
#[derive(Debug, Serialize)]
struct Checked<'a> {
    valid: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    plan: Option<&'a Plan>,
    notices: &'a [Notice],
    /// All mistakes of meaning.
    mistakes: &'a [Mistake],
    /// The whole in words, where it is not valid.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// Prints what would be built, the JSON Schema, or the mistakes.
pub(super) fn check(
    config: Option<&Path>,
    overrides: &Overrides,
    json: bool,
    schema: bool,
) -> Result<ExitCode> {
    let mut out = Output::stdout();
    let Some(path) = config.filter(|_| !schema) else {
        out.json(&Config::schema())?;
        out.flush()?;
        return Ok(ExitCode::SUCCESS);
    };
    let code = match Config::check(path, overrides) {
        Ok((plan, notices)) if json => {
            out.json(&Checked {
                valid: true,
                plan: Some(&plan),
                notices: &notices,
                mistakes: &[],
                error: None,
            })?;
            ExitCode::SUCCESS
        }
        Ok((plan, notices)) => {
            write!(out, "{plan}")?;
            out.flush()?;
            notices
                .iter()
                .for_each(|notice| note(format_args!("note: {}: {notice}", path.display())));
            let here = missing_secrets(&plan)
                .chain(missing_namespaces(&plan))
                .chain(missing_ring(&plan))
                .chain(occupied_paths(&plan));
            here.for_each(|lacks| note(format_args!("note: {}: {lacks}", path.display())));
            ExitCode::SUCCESS
        }
        Err(error) if json => {
            let mistakes = match &error {
                ConfigError::Meaning { mistakes, .. } => mistakes.as_slice(),
                ConfigError::Read { .. } | ConfigError::Syntax { .. } => &[],
            };
            let error = Some(error.to_string());
            out.json(&Checked {
                valid: false,
                plan: None,
                notices: &[],
                mistakes,
                error,
            })?;
            ExitCode::from(USAGE)
        }
        Err(error) => return Err(error.into()),
    };
    out.flush()?;
    Ok(code)
}

/// Secrets that cannot be read here and now. No mistake: the daemon may run elsewhere, or as somebody else.
fn missing_secrets(plan: &Plan) -> impl Iterator<Item = String> {
    let uses_store = |logger: &LoggerSpec| matches!(logger.storage, Storage::Bucket(_));
    let store = plan.object_storage.as_ref();
    let store = store.filter(|_| plan.loggers.iter().any(uses_store));
    let keys = store.map(|store| {
        let token = store
            .session_token
            .as_ref()
            .map(|token| ("session token", token));
        let keys = [
            ("access key", &store.access_key),
            ("secret key", &store.secret_key),
        ];
        keys.into_iter().chain(token)
    });
    let told = |(key, secret): (&str, &Secret)| {
        let error = secret.check().err()?;
        Some(format!(
            "object_storage: the {key} is not to be had here: {error}"
        ))
    };
    keys.into_iter().flatten().filter_map(told)
}

/// Namespaces named by path that are not here and now. No mistake: a container's comes with the container.
fn missing_namespaces(plan: &Plan) -> impl Iterator<Item = String> {
    let missing = lab_ports(plan).into_iter().filter(LabPort::is_gone);
    missing.map(|port| {
        format!(
            "port {}: there is no network namespace at {} here; until it is there the port is down",
            port.name,
            port.netns.unwrap_or_default()
        )
    })
}

/// What `io: io_uring` lacks here. The daemon may run elsewhere.
fn missing_ring(plan: &Plan) -> Option<String> {
    let error = tap::Ring::probe().err()?;
    (plan.io == Io::Uring).then(|| format!("io: io_uring cannot be had here: {error}"))
}

/// Paths of the daemon's at which something else stands here.
fn occupied_paths(plan: &Plan) -> impl Iterator<Item = String> {
    let kind = |path: &Path| std::fs::metadata(path).ok().map(|found| found.file_type());
    let (socket, state_dir) = (&plan.control_socket, &plan.state_dir);
    let no_socket = kind(socket).filter(|kind| !kind.is_socket()).map(|_| {
        format!(
            "control_socket: {} exists here and is no socket",
            socket.display()
        )
    });
    let no_directory = kind(state_dir).filter(|kind| !kind.is_dir()).map(|_| {
        format!(
            "state_dir: {} exists here and is no directory",
            state_dir.display()
        )
    });
    no_socket.into_iter().chain(no_directory)
}
