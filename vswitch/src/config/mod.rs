//! The configuration file: what was typed, what it means, and every mistake in between.
//!
//! ```text
//!   YAML text ──yaml──▶ File ──check──▶ Plan, notices       the switch is built from a Plan
//!                │         └──────────▶ all mistakes of meaning, each with place and remedy
//!                └────────────────────▶ the first mistake of syntax or type, with its line
//! ```
//!
//! **Limits** stand in [`limits`]. **Failure**: a file with a mistake gives no plan at all, so that a
//! reload is all or nothing.

mod check;
mod error;
pub mod file;
mod ids;
pub mod limits;
mod mistake;
mod names;
mod places;
mod plan;
mod summary;
mod units;
mod view;
mod yaml;

pub use error::ConfigError;
pub use ids::Kind;
pub use mistake::{Mistake, Notice};
pub use places::{Place, Position};
pub use plan::{
    Conntrack, Io, ObjectStorage, Plan, Port, Role, Secret, Subnet, TapPlan, Threaded, Vpc, Workers,
};
pub use yaml::SyntaxError;

use limits::MAX_FILE_BYTES;
use mistake::Findings;
use places::Places;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// Reads configurations.
#[derive(Debug, Clone, Copy)]
pub struct Config;

impl Config {
    /// Reads the file at `path`: what it means, and what is worth knowing about it.
    ///
    /// # Errors
    /// [`ConfigError`] where it cannot be read, is not YAML of this shape, or means nothing that can be
    /// built; its text names the file, the places and the remedies.
    pub fn load(path: &Path) -> Result<(Plan, Vec<Notice>), ConfigError> {
        Self::load_with(path, &Overrides::default())
    }

    /// As [`Self::load`], with what stands outside the file in place of what stands in it.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn load_with(
        path: &Path,
        overrides: &Overrides,
    ) -> Result<(Plan, Vec<Notice>), ConfigError> {
        let (text, file) = open(path)?;
        understand(&text, &file, overrides, |_, _| {})
    }

    /// As [`Self::load_with`], and compiles the policies, as to build a switch of the plan does: what passes
    /// here, `run` can start.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn check(path: &Path, overrides: &Overrides) -> Result<(Plan, Vec<Notice>), ConfigError> {
        let (text, file) = open(path)?;
        understand(&text, &file, overrides, check::check_policies)
    }

    /// As [`Self::load`], of a text; `file` is its name in messages.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn parse(text: &str, file: &str) -> Result<(Plan, Vec<Notice>), ConfigError> {
        understand(text, file, &Overrides::default(), |_, _| {})
    }

    /// The JSON Schema of the file, for editors and for `vswitch check --schema`.
    #[must_use]
    pub fn schema() -> serde_json::Value {
        schemars::schema_for!(file::File).to_value()
    }
}

/// What stands outside the file in place of keys of the same names, so that one file serves several
/// daemons.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overrides {
    /// UNIX socket of the daemon.
    pub control_socket: Option<String>,
    /// Directory of the spool and of the loggers' memory.
    pub state_dir: Option<String>,
}

/// The text at `path`, and its name in messages.
fn open(path: &Path) -> Result<(String, String), ConfigError> {
    let file = path.display().to_string();
    match read(path) {
        Ok(text) => Ok((text, file)),
        Err(source) => Err(ConfigError::Read { file, source }),
    }
}

/// From text to plan; `further` are checks of a plan that has passed the others.
fn understand(
    text: &str,
    file: &str,
    overrides: &Overrides,
    further: impl FnOnce(&Plan, &mut Findings),
) -> Result<(Plan, Vec<Notice>), ConfigError> {
    let mut typed = yaml::read(text).map_err(|error| ConfigError::Syntax {
        file: file.to_owned(),
        error,
    })?;
    let Overrides {
        control_socket,
        state_dir,
    } = overrides.clone();
    typed.control_socket = control_socket.or(typed.control_socket);
    typed.state_dir = state_dir.or(typed.state_dir);
    let mut findings = Findings::default();
    let plan = check::resolve(&typed, &mut findings);
    if let Some(plan) = &plan {
        further(plan, &mut findings);
    }
    let plan = plan.filter(|_| findings.count() == 0);
    let places = if findings.is_empty() {
        Places::default()
    } else {
        Places::of(text)
    };
    let (mistakes, notices) = findings.located(&places);
    match plan {
        Some(plan) => Ok((plan, notices)),
        None => Err(ConfigError::Meaning {
            file: file.to_owned(),
            mistakes,
        }),
    }
}

/// The text of a file that is not too long.
fn read(path: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    // One byte more than may be there tells that there are more; a device without end is cut there too.
    File::open(path)?
        .take(MAX_FILE_BYTES + 1)
        .read_to_string(&mut text)?;
    if text.len() as u64 > MAX_FILE_BYTES {
        let message =
            format!("longer than the {MAX_FILE_BYTES} bytes that a configuration may have");
        return Err(std::io::Error::new(
            std::io::ErrorKind::FileTooLarge,
            message,
        ));
    }
    Ok(text)
}
