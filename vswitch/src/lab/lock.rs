//! One daemon per state directory: an advisory lock (flock(2)) on a file in it that root alone can open,
//! which ends with the process however that ends.
//!
//! What a run has made is in a ledger there. Only who holds the lock may take what it finds in that
//! ledger for the left-overs of a run that was killed.

use super::LabError;
use flowlog::{Access, access};
use std::fs::File;
use std::io;
use std::path::Path;

/// The lock's file in the state directory. It stays: a file that is removed while another process
/// opens it would be locked twice.
const LOCK: &str = "lock";

/// The right to run on a state directory. Dropping it lets the next one in.
#[derive(Debug)]
pub struct RunLock {
    _file: File,
}

impl RunLock {
    /// Takes the lock; the directory is made where it is missing, for those whom `access` names.
    ///
    /// # Errors
    /// [`LabError::InUse`] where another daemon has it, [`LabError::StateDir`] where there can be no such
    /// directory.
    pub fn take(state_dir: &Path, access: Access) -> Result<Self, LabError> {
        let failed = |cause: io::Error| LabError::StateDir {
            directory: state_dir.to_owned(),
            cause,
        };
        access.create_dir_all(state_dir).map_err(failed)?;
        match access::lock_file(&state_dir.join(LOCK)) {
            Ok(file) => Ok(Self { _file: file }),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                Err(LabError::InUse(state_dir.to_owned()))
            }
            Err(cause) => Err(failed(cause)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_on_the_directory_itself_keeps_no_daemon_from_starting() {
        let dir = tempfile::tempdir().unwrap();
        let others = File::open(dir.path()).unwrap();
        others.lock().unwrap();
        RunLock::take(dir.path(), Access::default()).unwrap();
    }

    #[test]
    fn a_state_directory_is_one_daemons_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().join("state");
        let first = RunLock::take(&state, Access::default()).unwrap();
        assert!(matches!(
            RunLock::take(&state, Access::default()),
            Err(LabError::InUse(_))
        ));
        drop(first);
        assert!(RunLock::take(&state, Access::default()).is_ok());
        std::fs::write(dir.path().join("file"), "").unwrap();
        let error = RunLock::take(&dir.path().join("file"), Access::default()).unwrap_err();
        assert!(matches!(error, LabError::StateDir { .. }), "{error}");
    }
}
