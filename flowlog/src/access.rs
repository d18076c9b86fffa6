//! Who may read what the daemon writes: modes of files and folders, and the readers' group.
//!
//! Files are made 0640 and folders 0750, whatever the umask: they say who talked to whom, which is not
//! every local user's to know. Readers are the members of one group; without it, of the daemon's own.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError},
    io,
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, chown, fchown},
    path::Path,
};

/// Mode of files: the owner writes, the group reads.
const FILE_MODE: u32 = 0o640;
/// Mode of folders: the owner writes, the group enters and lists.
const FOLDER_MODE: u32 = 0o750;
/// What of a mode says who may do what; the rest are the setuid, setgid and sticky bits.
const PERMISSIONS: u32 = 0o777;
/// What of a folder the group needs.
const GROUP_ENTERS: u32 = 0o050;
/// What of a folder others need to do the same.
const OTHERS_ENTER: u32 = 0o005;
/// Mode of a lock file: a user who can open one can lock it.
const LOCK_MODE: u32 = 0o600;

/// Makes files and folders with their mode and group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Access {
    readers: Option<u32>,
}

impl Access {
    /// For the members of a group; `None` is the group that the process makes files with.
    #[must_use]
    pub const fn of_group(readers: Option<u32>) -> Self {
        Self { readers }
    }

    /// Number of the readers' group, where one is named.
    #[must_use]
    pub const fn readers(&self) -> Option<u32> {
        self.readers
    }

    /// Opens a file for writing, made anew or emptied.
    ///
    /// # Errors
    /// What the system said; of the group, in words.
    pub fn create(&self, path: &Path) -> io::Result<File> {
        self.open(
            OpenOptions::new().write(true).create(true).truncate(true),
            path,
        )
    }

    /// Makes a file that must not exist yet.
    ///
    /// # Errors
    /// As [`Access::create`].
    pub fn create_new(&self, path: &Path) -> io::Result<File> {
        self.open(OpenOptions::new().write(true).create_new(true), path)
    }

    /// Opens a file of the daemon's own, which gets mode and group before anything is in it.
    fn open(&self, options: &mut OpenOptions, path: &Path) -> io::Result<File> {
        let file = options.mode(FILE_MODE).open(path)?;
        let found = file.metadata()?;
        if let Some(group) = self.readers
            && found.gid() != group
        {
            fchown(&file, None, Some(group)).map_err(|error| not_given(group, &error))?;
        }
        if found.mode() & PERMISSIONS != FILE_MODE {
            where_modes_exist(file.set_permissions(Permissions::from_mode(FILE_MODE)))?;
        }
        Ok(file)
    }

    /// Makes a folder, mode 0750. One that is there stays as it is.
    ///
    /// # Errors
    /// What the system said; `AlreadyExists` for one that is there.
    pub fn create_dir(&self, folder: &Path) -> io::Result<()> {
        DirBuilder::new().mode(FOLDER_MODE).create(folder)?;
        let found = fs::metadata(folder)?.mode();
        if found & PERMISSIONS != FOLDER_MODE {
            // What is set besides, as that files get the folder's group, stays.
            let mode = Permissions::from_mode(found & !PERMISSIONS | FOLDER_MODE);
            where_modes_exist(fs::set_permissions(folder, mode))?;
        }
        self.share(folder)
    }

    /// Makes a folder and those above it that are missing, mode 0750, and opens one that is there to the
    /// readers, see [`Access::share`].
    ///
    /// # Errors
    /// What the system said.
    pub fn create_dir_all(&self, folder: &Path) -> io::Result<()> {
        if !folder.is_dir() {
            if let Some(above) = folder
                .parent()
                .filter(|above| !above.as_os_str().is_empty())
                && !above.is_dir()
            {
                self.create_dir_all(above)?;
            }
            match self.create_dir(folder) {
                // Another may have been faster.
                Err(_) if folder.is_dir() => {}
                made => return made,
            }
        }
        self.share(folder)
    }

    /// Opens a folder of this process's user to the readers' group, where one is named and others may
    /// not enter it anyhow: as `/tmp`, or one that its owner has opened.
    ///
    /// # Errors
    /// What the system said; of the group, in words.
    pub fn share(&self, folder: &Path) -> io::Result<()> {
        let Some(group) = self.readers else {
            return Ok(());
        };
        let found = fs::metadata(folder)?;
        let is_own = found.uid() == rustix::process::geteuid().as_raw();
        if !is_own || found.mode() & OTHERS_ENTER == OTHERS_ENTER {
            return Ok(());
        }
        if found.gid() != group {
            chown(folder, None, Some(group)).map_err(|error| not_given(group, &error))?;
        }
        if found.mode() & GROUP_ENTERS != GROUP_ENTERS {
            let mode = found.mode() | GROUP_ENTERS;
            fs::set_permissions(folder, Permissions::from_mode(mode))?;
        }
        Ok(())
    }
}

/// Takes an exclusive advisory lock (flock(2)) on a file that its owner alone can open: on one that others
/// can read, any of them could keep the lock for ever. The lock ends with the returned file, hence with
/// the process at the latest.
///
/// # Errors
/// `WouldBlock` where another has it; otherwise what the system said.
pub fn lock_file(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    let options = options.write(true).create(true).truncate(false);
    let file = options
        .mode(LOCK_MODE)
        .custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed())
        .open(path)?;
    if file.metadata()?.mode() & PERMISSIONS != LOCK_MODE {
        file.set_permissions(Permissions::from_mode(LOCK_MODE))?;
    }
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(io::ErrorKind::WouldBlock.into()),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Passes over that a mode cannot be set: on file systems without modes, as vfat, how it is mounted says
/// who may read. Those with modes let a file's owner set them.
fn where_modes_exist(set: io::Result<()>) -> io::Result<()> {
    match set {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::Unsupported => Ok(()),
        set => set,
    }
}

fn not_given(group: u32, error: &io::Error) -> io::Error {
    io::Error::new(
        error.kind(),
        format!(
            "cannot give it to the group {group} of `readers_group`: {error}; run as root, or name a \
             group that the daemon's user is in"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const GROUP: u32 = 54_321;

    fn mode_and_group(path: &Path) -> (u32, u32) {
        let found = fs::metadata(path).unwrap();
        (found.mode() & PERMISSIONS, found.gid())
    }

    #[test]
    fn files_are_0640_and_folders_0750() {
        let root = tempfile::tempdir().unwrap();
        let access = Access::default();
        let folder = root.path().join("a/b");
        access.create_dir_all(&folder).unwrap();
        access.create(&folder.join("file")).unwrap();
        for folder in [root.path().join("a"), folder.clone()] {
            assert_eq!(mode_and_group(&folder).0, 0o750, "{}", folder.display());
        }
        assert_eq!(mode_and_group(&folder.join("file")).0, 0o640);
        assert!(access.create_new(&folder.join("file")).is_err());
    }

    #[test]
    fn the_readers_group_gets_files_and_folders_new_ones_and_the_daemons_own() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let root = tempfile::tempdir().unwrap();
        let access = Access::of_group(Some(GROUP));
        let folder = root.path().join("a");
        // As another program, or a run without a group, left it.
        fs::create_dir(&folder).unwrap();
        fs::set_permissions(&folder, Permissions::from_mode(0o700)).unwrap();
        access.create_dir_all(&folder.join("b")).unwrap();
        access.create_dir_all(&folder).unwrap();
        access.create(&folder.join("b/file")).unwrap();
        assert_eq!(mode_and_group(&folder), (0o750, GROUP));
        assert_eq!(mode_and_group(&folder.join("b")), (0o750, GROUP));
        assert_eq!(mode_and_group(&folder.join("b/file")), (0o640, GROUP));
    }

    #[test]
    fn a_folder_that_others_may_enter_keeps_its_group() {
        let root = tempfile::tempdir().unwrap();
        fs::set_permissions(root.path(), Permissions::from_mode(0o1777)).unwrap();
        let before = fs::metadata(root.path()).unwrap().gid();
        Access::of_group(Some(GROUP))
            .create_dir_all(root.path())
            .unwrap();
        assert_eq!(mode_and_group(root.path()), (0o777, before));
    }

    #[test]
    fn a_lock_file_is_its_owners_alone_and_one_holders_at_a_time() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("lock");
        // As an older version left it.
        fs::write(&path, "").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        let held = lock_file(&path).unwrap();
        assert_eq!(mode_and_group(&path).0, 0o600);
        let error = lock_file(&path).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        drop(held);
        assert!(lock_file(&path).is_ok());
    }

    #[test]
    fn a_lock_file_is_no_link_to_another_file() {
        let root = tempfile::tempdir().unwrap();
        let target = root.path().join("target");
        fs::write(&target, "precious").unwrap();
        let before = mode_and_group(&target);
        std::os::unix::fs::symlink(&target, root.path().join("lock")).unwrap();
        assert!(lock_file(&root.path().join("lock")).is_err());
        assert_eq!(mode_and_group(&target), before);
        assert_eq!(fs::read_to_string(&target).unwrap(), "precious");
    }
}
