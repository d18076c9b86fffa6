//! How a logger fares.

use crate::{Skipped, Window};
use std::{fmt, sync::Arc};
use uuid::Uuid;

/// The state of a logger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Its files appear.
    Active,
    /// It has not delivered yet.
    Build,
    /// Its `admin_state_up` is false.
    Inactive,
    /// Its last delivery failed, or its directory cannot be used.
    Error,
}

impl State {
    /// `ACTIVE`, `BUILD`, `INACTIVE` or `ERROR`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "ACTIVE",
            Self::Build => "BUILD",
            Self::Inactive => "INACTIVE",
            Self::Error => "ERROR",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What is to say of a logger. Counts are since it was configured; a reload keeps them.
#[derive(Debug, Clone)]
pub struct LoggerStatus {
    /// The logger's id.
    pub id: Uuid,
    /// The logger's name.
    pub name: Arc<str>,
    /// How it fares.
    pub state: State,
    /// Why, in state ERROR.
    pub cause: Option<String>,
    /// The interval that was closed last.
    pub last_interval: Option<Window>,
    /// Files written.
    pub files: u64,
    /// Rows written.
    pub rows: u64,
    /// Rows that could not be written.
    pub rows_lost: u64,
    /// Packets that could not be recorded, in closed intervals.
    pub skipped: Skipped,
    /// The last error there was, even if it has passed.
    pub last_error: Option<String>,
}
