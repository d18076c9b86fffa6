//! How a logger fares.

use crate::{Backlog, Cause, Interrupted, Lost, Skipped, Window};
use std::{fmt, sync::Arc};
use uuid::Uuid;

/// The state of a logger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It collects, and its store takes what it writes.
    Active,
    /// It collects, and its store was not heard of yet.
    Build,
    /// Its `admin_state_up` is false.
    Inactive,
    /// It collects, but its store refuses or is down, or the spool cannot be written.
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

/// What is to say of a logger. Counts are since the process started; a reload keeps them.
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
    /// What kind of trouble there is with its store, if there is any.
    pub store: Option<Cause>,
    /// The interval that was closed last.
    pub last_interval: Option<Window>,
    /// Files the store has acknowledged; of a logger that exports, messages sent.
    pub files: u64,
    /// Rows in them.
    pub rows: u64,
    /// Rows that are lost: not spooled, given up by the spool, or not sent.
    pub rows_lost: u64,
    /// What the spool gave up.
    pub lost: Lost,
    /// What waits for delivery.
    pub backlog: Backlog,
    /// Packets that could not be recorded, in closed intervals.
    pub skipped: Skipped,
    /// The last error there was, even if it has passed.
    pub last_error: Option<String>,
    /// What an earlier process had in memory alone when it ended without a final flush.
    pub interrupted: Option<Interrupted>,
}
