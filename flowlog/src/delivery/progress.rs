//! How a logger's deliveries go, for whoever asks.

use crate::{
    spool::Entry,
    store::{Cause, StoreError},
};
use std::{
    fmt::Display,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// What became of the objects so far.
#[derive(Debug, Clone, Default)]
pub(crate) struct Progress {
    /// Whether the store has answered since it was named.
    pub(crate) answered: bool,
    /// Why it does not take what waits.
    pub(crate) trouble: Option<(Cause, String)>,
    /// Whether a message went out since, which alone says little of datagrams.
    trouble_is_over: bool,
    /// The last error there was, even if it has passed.
    pub(crate) last_error: Option<String>,
    /// Objects the store has acknowledged.
    pub(crate) files: u64,
    /// Rows in them.
    pub(crate) rows: u64,
    /// Rows that cannot be delivered any more.
    pub(crate) rows_lost: u64,
}

/// Written by the courier, read by the log thread.
#[derive(Debug, Default)]
pub(crate) struct Board(Mutex<Progress>);

impl Board {
    pub(crate) fn read(&self) -> Progress {
        self.progress().clone()
    }

    /// The store is usable.
    pub(super) fn answered(&self) {
        let mut progress = self.progress();
        progress.answered = true;
        progress.trouble = None;
    }

    /// An object is in the store. `all_well`: and none was refused.
    pub(super) fn delivered(&self, entry: &Entry, all_well: bool) {
        let mut progress = self.progress();
        progress.answered = true;
        progress.files += 1;
        progress.rows += entry.rows;
        if all_well {
            progress.trouble = None;
        }
    }

    /// The store did not take an object, or did not answer.
    pub(super) fn failed(&self, error: &StoreError, is_trouble: bool) {
        let mut progress = self.progress();
        progress.last_error = Some(error.to_string());
        if is_trouble {
            progress.trouble = Some((error.cause, error.to_string()));
        }
    }

    /// Something else went wrong.
    pub(crate) fn noted(&self, error: &dyn Display) {
        self.progress().last_error = Some(error.to_string());
    }

    /// A message went out.
    pub(crate) fn exported(&self, messages: u64, rows: u64) {
        let mut progress = self.progress();
        progress.answered = true;
        progress.files += messages;
        progress.rows += rows;
        if progress.trouble_is_over {
            progress.trouble = None;
        }
        progress.trouble_is_over = true;
    }

    /// Records that could not be sent; without an error they found no room in the queue.
    pub(crate) fn not_exported(&self, rows: u64, error: Option<&StoreError>) {
        let mut progress = self.progress();
        progress.rows_lost += rows;
        if let Some(error) = error {
            progress.last_error = Some(error.to_string());
            progress.trouble = Some((error.cause, error.to_string()));
            progress.trouble_is_over = false;
        }
    }

    /// The message before had gone out, and nobody was there.
    pub(crate) fn retracted(&self, rows: u64, error: &StoreError) {
        let mut progress = self.progress();
        if rows > 0 {
            progress.files -= 1;
            progress.rows -= rows;
        }
        drop(progress);
        self.not_exported(rows, Some(error));
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
