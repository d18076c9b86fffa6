//! Where files end up. A store takes a whole file or nothing: what is written to a [`Draft`] is
//! invisible until it is published under its name.

mod directory;

pub use directory::Directory;

use std::{
    io,
    path::{Path, PathBuf},
};

/// A place for files.
pub trait Store: Send {
    /// Makes the store ready and removes what a killed process left half written. Finds out early
    /// what would hinder the first file.
    ///
    /// # Errors
    /// [`StoreError`] with what could not be done.
    fn prepare(&self) -> Result<(), StoreError>;

    /// Begins a file; dropping it unpublished leaves nothing behind.
    ///
    /// # Errors
    /// [`StoreError`] with what could not be done.
    fn draft(&self) -> Result<Box<dyn Draft>, StoreError>;
}

/// A file in the making.
pub trait Draft: io::Write {
    /// Puts the file under `name`, relative to the store's root, durably and never over another.
    /// Returns where it is.
    ///
    /// # Errors
    /// [`StoreError::Taken`] leaves the draft as it is, to be published under another name.
    fn publish(&mut self, name: &str) -> Result<PathBuf, StoreError>;
}

/// Why a store did not take a file.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The name is another file's.
    #[error("{} exists already", .0.display())]
    Taken(PathBuf),
    /// The system refused.
    #[error("cannot {action} {}: {source}", path.display())]
    System {
        /// What was tried.
        action: &'static str,
        /// With which file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl StoreError {
    /// Names the file or folder and what was tried with it.
    fn system(action: &'static str, path: &Path, source: impl Into<io::Error>) -> Self {
        Self::System {
            action,
            path: path.to_owned(),
            source: source.into(),
        }
    }
}
