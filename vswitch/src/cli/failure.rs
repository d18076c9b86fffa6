//! How a command ends: exit code, and one readable line on standard error.
//!
//! | code | meaning |
//! | --- | --- |
//! | 0 | done; also where the reader of a pipe had enough |
//! | 1 | failed, or something that was asked about does not hold |
//! | 2 | wrong usage, or an invalid configuration |

use super::plain::escaped;
use crate::config::ConfigError;
use crate::messages::note;
use std::io;
use std::process::ExitCode;

/// Exit code of a command that failed.
pub(super) const FAILED: u8 = 1;

/// Exit code of wrong usage and invalid configurations; what clap uses too.
pub(super) const USAGE: u8 = 2;

/// The command line asks for something that cannot be; the text says what would.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Usage(pub String);

/// Ends a command: prints what went wrong and finds the exit code.
pub(super) fn end(result: anyhow::Result<ExitCode>) -> ExitCode {
    match result {
        Ok(code) => code,
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            note(format_args!("vswitch: {}", lines(&chain(&error))));
            ExitCode::from(code(&error))
        }
    }
}

fn code(error: &anyhow::Error) -> u8 {
    let is_usage = error
        .chain()
        .any(|cause| cause.is::<Usage>() || cause.is::<ConfigError>());
    if is_usage { USAGE } else { FAILED }
}

/// `head` has read enough: nothing is wrong.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        let io = cause.downcast_ref::<io::Error>().map(io::Error::kind);
        let json = cause
            .downcast_ref::<serde_json::Error>()
            .and_then(serde_json::Error::io_error_kind);
        io.or(json) == Some(io::ErrorKind::BrokenPipe)
    })
}

/// The text with its line ends, for a configuration's mistakes have several lines, and nothing else that
/// acts on a terminal.
fn lines(text: &str) -> String {
    let lines = text.split('\n').map(escaped);
    lines.collect::<Vec<_>>().join("\n")
}

/// The error and its causes in one line. A cause whose text its parent tells already is left out.
fn chain(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain() {
        let cause = cause.to_string();
        if text.contains(&cause) {
            continue;
        }
        if !text.is_empty() {
            text.push_str(": ");
        }
        text.push_str(&cause);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::{Context, anyhow};

    #[test]
    fn causes_stand_in_one_line_and_none_is_told_twice() {
        let error = anyhow!("no such file")
            .context("x.yaml: no such file")
            .context("cannot reload");
        assert_eq!(chain(&error), "cannot reload: x.yaml: no such file");
    }

    #[test]
    fn a_reader_that_had_enough_is_no_failure_and_wrong_usage_has_its_own_code() {
        let broken = io::Error::from(io::ErrorKind::BrokenPipe);
        let error = Err::<(), _>(broken).context("cannot write").unwrap_err();
        assert!(is_broken_pipe(&error));
        assert_eq!(code(&anyhow!("x")), FAILED);
        assert_eq!(
            code(&anyhow::Error::from(Usage("x".into())).context("y")),
            USAGE
        );
    }
}
