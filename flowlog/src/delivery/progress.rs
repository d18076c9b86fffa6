//! How a logger's deliveries go, for whoever asks.

use crate::{
    spool::Entry,
    store::{Cause, StoreError},
};
use std::{
    fmt::Display,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

/// What became of a logger's objects, wherever they went: couriers of old stores count on.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    files: AtomicU64,
    rows: AtomicU64,
    rows_lost: AtomicU64,
}

impl Counts {
    /// Objects that stores have acknowledged; messages sent.
    pub(crate) fn files(&self) -> u64 {
        self.files.load(Relaxed)
    }

    /// Rows in them.
    pub(crate) fn rows(&self) -> u64 {
        self.rows.load(Relaxed)
    }

    /// Rows that cannot be delivered any more.
    pub(crate) fn rows_lost(&self) -> u64 {
        self.rows_lost.load(Relaxed)
    }

    fn delivered(&self, files: u64, rows: u64) {
        self.files.fetch_add(files, Relaxed);
        self.rows.fetch_add(rows, Relaxed);
    }
}

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
}

/// Written by the courier, read by the log thread.
#[derive(Debug, Default)]
pub(crate) struct Board {
    progress: Mutex<Progress>,
    counts: Arc<Counts>,
}

impl Board {
    pub(crate) fn new(counts: Arc<Counts>) -> Self {
        Self {
            progress: Mutex::default(),
            counts,
        }
    }

    pub(crate) fn counts(&self) -> &Arc<Counts> {
        &self.counts
    }

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
        self.counts.delivered(1, entry.rows);
        let mut progress = self.progress();
        progress.answered = true;
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
        self.counts.delivered(messages, rows);
        let mut progress = self.progress();
        progress.answered = true;
        if progress.trouble_is_over {
            progress.trouble = None;
        }
        progress.trouble_is_over = true;
    }

    /// Records that could not be sent; without an error they found no room in the queue.
    pub(crate) fn not_exported(&self, rows: u64, error: Option<&StoreError>) {
        self.counts.rows_lost.fetch_add(rows, Relaxed);
        let mut progress = self.progress();
        if let Some(error) = error {
            progress.last_error = Some(error.to_string());
            progress.trouble = Some((error.cause, error.to_string()));
            progress.trouble_is_over = false;
        }
    }

    /// The message before had gone out, and nobody was there.
    pub(crate) fn retracted(&self, rows: u64, error: &StoreError) {
        if rows > 0 {
            self.counts.files.fetch_sub(1, Relaxed);
            self.counts.rows.fetch_sub(rows, Relaxed);
        }
        self.not_exported(rows, Some(error));
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
