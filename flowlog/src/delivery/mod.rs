//! From the spool to the stores, on threads of their own.
//!
//! ```text
//!  log thread: interval ends ─▶ encode ─▶ spool, synced          the promise begins here
//!                                           │
//!  a courier per logger:                    ├─▶ store.put(name) ─▶ acknowledged ─▶ removed
//!                                           └── failed: later, growing pauses; refused: each minute
//! ```
//!
//! A logger has a courier of its own, so that a store that hangs delays nobody else's objects. With
//! [`Delivery::in_place`] there are no threads: what is spooled is delivered before the call returns,
//! which is what a replay and a test want.

mod carrier;
mod courier;
mod pace;
mod progress;

pub(crate) use carrier::Carrier;
pub(crate) use courier::Address;
pub(crate) use progress::{Board, Counts, Progress};

use crate::{
    Access, NameMemory, NameMemoryError,
    spool::{Backlog, Interrupted, Marks, Spool, SpoolError},
};
use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use uuid::Uuid;

/// Folder of the spool in the state directory.
const SPOOL: &str = "spool";

/// What outlives the process, shared by the log thread and the couriers.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) spool: Spool,
    names: Mutex<NameMemory>,
    /// Who may read what stores in directories get.
    pub(crate) access: Access,
}

impl Kept {
    /// The memory of names. A panic elsewhere leaves it as the last name left it.
    pub(crate) fn names(&self) -> MutexGuard<'_, NameMemory> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The way to the stores: spool, memory of names, and the marks of what is not in the spool yet.
#[derive(Debug)]
pub struct Delivery {
    pub(crate) kept: Arc<Kept>,
    pub(crate) marks: Marks,
    pub(crate) on_threads: bool,
}

/// Why delivery cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The spool.
    #[error(transparent)]
    Spool(#[from] SpoolError),
    /// The memory of names.
    #[error(transparent)]
    Names(#[from] NameMemoryError),
    /// The marks.
    #[error("cannot read {}: {source}", path.display())]
    Marks {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl Delivery {
    /// Opens what is kept in the state directory, which is made where it is missing, and recovers what
    /// an earlier process left. `spool_max_bytes` bounds the spool, all loggers together.
    /// `access` says who may read what is written there and into the directories of loggers.
    ///
    /// # Errors
    /// [`OpenError`]: another process uses the directory, or something in it cannot be read.
    pub fn open(
        state_directory: &Path,
        spool_max_bytes: u64,
        access: Access,
    ) -> Result<Self, OpenError> {
        let spool = Spool::open(state_directory.join(SPOOL), spool_max_bytes, access)?;
        let names = Mutex::new(NameMemory::open(state_directory, access)?);
        let marks = Marks::open(state_directory, access)
            .map_err(|(path, source)| OpenError::Marks { path, source })?;
        Ok(Self {
            kept: Arc::new(Kept {
                spool,
                names,
                access,
            }),
            marks,
            on_threads: true,
        })
    }

    /// Without threads: every call that spools something also delivers what is due.
    #[must_use]
    pub fn in_place(self) -> Self {
        Self {
            on_threads: false,
            ..self
        }
    }

    /// Does not issue names again that were issued to these loggers by a process with another state
    /// directory, and forgets what was issued to others. Only reads there; a directory without such a
    /// memory says nothing.
    ///
    /// # Errors
    /// A memory that is there and cannot be read.
    pub fn learn_names(
        &self,
        state_directory: &Path,
        loggers: &[Uuid],
    ) -> Result<(), NameMemoryError> {
        let other = NameMemory::read(state_directory)?;
        self.kept.names().learn(other, loggers);
        Ok(())
    }

    /// Where objects wait.
    #[must_use]
    pub fn spool_folder(&self) -> &Path {
        self.kept.spool.root()
    }

    /// What waits for delivery of loggers other than these: their objects stay until such a logger is
    /// configured again, or until the limit takes them.
    #[must_use]
    pub fn unclaimed(&self, loggers: &[Uuid]) -> Vec<(Uuid, Backlog)> {
        self.kept.spool.others(loggers)
    }

    /// What an earlier process had of a logger in memory alone when it ended without a final flush.
    #[must_use]
    pub fn interrupted(&self, logger: Uuid) -> Option<Interrupted> {
        self.marks.interrupted(logger)
    }
}

#[cfg(test)]
mod tests;
