//! One daemon per state directory: an advisory lock (flock(2)) on the directory itself, which ends with
//! the process however that ends, and leaves no file.
//!
//! What a run has made is in a ledger there. Only who holds the lock may take what it finds in that
//! ledger for the left-overs of a run that was killed.

use super::LabError;
use std::fs::{self, File, TryLockError};
use std::path::Path;

/// The right to run on a state directory. Dropping it lets the next one in.
#[derive(Debug)]
pub struct RunLock {
    _directory: File,
}

impl RunLock {
    /// Takes the lock; the directory is made where it is missing.
    ///
    /// # Errors
    /// [`LabError::InUse`] where another daemon has it, [`LabError::StateDir`] where there can be no such
    /// directory.
    pub fn take(state_dir: &Path) -> Result<Self, LabError> {
        let failed = |cause| LabError::StateDir {
            directory: state_dir.to_owned(),
            cause,
        };
        fs::create_dir_all(state_dir).map_err(failed)?;
        let directory = File::open(state_dir).map_err(failed)?;
        match directory.try_lock() {
            Ok(()) => Ok(Self {
                _directory: directory,
            }),
            Err(TryLockError::WouldBlock) => Err(LabError::InUse(state_dir.to_owned())),
            Err(TryLockError::Error(cause)) => Err(failed(cause)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_directory_is_one_daemons_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().join("state");
        let first = RunLock::take(&state).unwrap();
        assert!(matches!(RunLock::take(&state), Err(LabError::InUse(_))));
        drop(first);
        assert!(RunLock::take(&state).is_ok());
        fs::write(dir.path().join("file"), "").unwrap();
        let error = RunLock::take(&dir.path().join("file")).unwrap_err();
        assert!(matches!(error, LabError::StateDir { .. }), "{error}");
    }
}
