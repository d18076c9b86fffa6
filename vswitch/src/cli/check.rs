//! `vswitch check`: is the configuration right, and what would it build?

use super::failure::USAGE;
use super::output::Output;
use crate::config::{Config, ConfigError, Mistake, Notice, Plan};
use crate::messages::note;
use anyhow::Result;
use flowlog::{LoggerSpec, Secret, Storage};
use serde::Serialize;
use std::io::Write;
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
pub(super) fn check(config: Option<&Path>, json: bool, schema: bool) -> Result<ExitCode> {
    let mut out = Output::stdout();
    let Some(path) = config.filter(|_| !schema) else {
        out.json(&Config::schema())?;
        out.flush()?;
        return Ok(ExitCode::SUCCESS);
    };
    let code = match Config::load(path) {
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
            missing_secrets(&plan)
                .for_each(|lacks| note(format_args!("note: {}: {lacks}", path.display())));
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
