//! Files below a directory.
//!
//! ```text
//! {root}/.{owner}.writing   ──sync, rename, sync the folder──▶   {root}/2026/11/23/05/{name}.csv
//! ```
//!
//! The file is written aside in the root, so that finding the leftover of a killed process takes one
//! look instead of a walk through years of folders; its name ends with no data extension.

use super::{Cause, Store, StoreError};
use crate::{Access, files, spool::Body};
use rustix::{
    fs::{CWD, RenameFlags, renameat_with},
    io::Errno,
};
use std::{
    fs::{self, File},
    io::{self, ErrorKind, Read as _},
    path::{Path, PathBuf},
};
use uuid::Uuid;

/// Bytes compared at a time.
const COMPARED: usize = 64 * 1024;

/// A directory as a store, used by one owner for one file at a time.
#[derive(Debug)]
pub(crate) struct Directory {
    root: PathBuf,
    aside: PathBuf,
    access: Access,
}

impl Directory {
    /// The store of the logger `owner` below `root`, whose files those read whom `access` names.
    /// Nothing is touched yet.
    pub(crate) fn new(root: PathBuf, owner: Uuid, access: Access) -> Self {
        let aside = root.join(format!(".{owner}.writing"));
        Self {
            root,
            aside,
            access,
        }
    }

    /// Makes a folder, and opens those between it and the root to the readers: a run without a readers'
    /// group may have made them. The root, where it is there, is the user's and stays as it is.
    fn make_folders(&self, folder: &Path) -> Result<(), StoreError> {
        files::make_folders(folder, self.access)
            .map_err(|(folder, error)| failed("create the folder", &folder, &error))?;
        let below = folder.ancestors().take_while(|above| *above != self.root);
        for folder in below {
            let shared = self.access.share(folder);
            shared.map_err(|error| failed("open to its readers", folder, &error))?;
        }
        Ok(())
    }

    /// Removes the leftover of an earlier life. What else bears its name is not followed or reused.
    fn remove_leftover(&self) -> Result<(), StoreError> {
        match fs::remove_file(&self.aside) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            removed => removed.map_err(|error| self.unremoved(&error)),
        }
    }

    /// A file system that is read-only says so before it looks whether there is anything to remove.
    fn unremoved(&self, error: &io::Error) -> StoreError {
        if error.kind() == ErrorKind::ReadOnlyFilesystem {
            let root = self.root.display();
            let text = format!("cannot write into {root}: it is on a read-only file system");
            return StoreError::new(Cause::Permission, text);
        }
        failed("remove the unfinished file", &self.aside, error)
    }

    /// Writes the file aside, durably.
    fn write_aside(&self, body: &mut Body) -> Result<(), StoreError> {
        let file = self.access.create_new(&self.aside);
        let mut file = file.map_err(|error| failed("create", &self.aside, &error))?;
        body.copy_to(&mut file)
            .and_then(|()| file.sync_all())
            .map_err(|error| failed("write", &self.aside, &error))
    }

    /// Puts what was written aside in place; finds out whether what is there already is the same.
    fn publish(&self, target: &Path, body: &mut Body) -> Result<(), StoreError> {
        match rename_to_free_name(&self.aside, target) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                let same = is_same(target, body);
                match same.map_err(|error| failed("compare with", target, &error))? {
                    true => Ok(()),
                    false => Err(StoreError::new(
                        Cause::Taken,
                        format!("{} exists already and is another", target.display()),
                    )),
                }
            }
            Err(error) => Err(failed("rename to", target, &error)),
        }
    }
}

impl Store for Directory {
    fn probe(&mut self) -> Result<(), StoreError> {
        self.make_folders(&self.root)?;
        self.remove_leftover()?;
        // Whether a file can be made here is known once one was.
        let made = self.access.create_new(&self.aside);
        made.map_err(|error| failed("create", &self.aside, &error))?;
        self.remove_leftover()
    }

    fn put(&mut self, name: &str, body: &mut Body) -> Result<(), StoreError> {
        let target = self.root.join(name);
        let folder = target.parent().unwrap_or(&self.root);
        self.make_folders(folder)?;
        self.remove_leftover()?;
        let put = self
            .write_aside(body)
            .and_then(|()| self.publish(&target, body));
        // Gone already where all went well; else the next attempt would remove it.
        let _ = fs::remove_file(&self.aside);
        put?;
        files::sync_folder(folder).map_err(|error| failed("sync the folder", folder, &error))
    }
}

/// Whether a file holds these bytes and no others.
fn is_same(path: &Path, body: &mut Body) -> io::Result<bool> {
    let mut file = File::open(path)?;
    if file.metadata()?.len() != body.len() {
        return Ok(false);
    }
    body.rewind()?;
    let (mut theirs, mut ours) = (vec![0; COMPARED], vec![0; COMPARED]);
    loop {
        let read = body.read(&mut ours)?;
        if read == 0 {
            return Ok(true);
        }
        file.read_exact(&mut theirs[..read])?;
        if theirs[..read] != ours[..read] {
            return Ok(false);
        }
    }
}

/// Renames unless the target exists, atomically where the file system can.
fn rename_to_free_name(from: &Path, to: &Path) -> io::Result<()> {
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        // A file system without the flag, such as NFS.
        Err(Errno::INVAL | Errno::NOSYS) if to.exists() => Err(ErrorKind::AlreadyExists.into()),
        Err(Errno::INVAL | Errno::NOSYS) => fs::rename(from, to),
        renamed => Ok(renamed?),
    }
}

/// Names the file or folder and what was tried with it.
fn failed(action: &str, path: &Path, error: &io::Error) -> StoreError {
    let cause = match error.kind() {
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => Cause::Permission,
        // A file where a folder should be is as good as no folder.
        ErrorKind::NotFound
        | ErrorKind::NotADirectory
        | ErrorKind::AlreadyExists
        | ErrorKind::IsADirectory => Cause::Missing,
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Cause::Full,
        ErrorKind::InvalidFilename | ErrorKind::InvalidInput => Cause::Refused,
        _ => Cause::Unreachable,
    };
    StoreError::new(
        cause,
        format!("cannot {action} {}: {error}", path.display()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spool::testing::body;

    #[test]
    fn a_file_is_whole_under_its_name_and_nothing_lies_beside_it() {
        let root = tempfile::tempdir().unwrap();
        let mut store = Directory::new(
            root.path().to_owned(),
            Uuid::from_u128(1),
            Access::default(),
        );
        store.put("2026/11/a.csv", &mut body(b"whole")).unwrap();
        assert_eq!(
            fs::read(root.path().join("2026/11/a.csv")).unwrap(),
            b"whole"
        );
        assert_eq!(names(root.path()), ["2026"]);
        assert_eq!(names(&root.path().join("2026/11")), ["a.csv"]);
    }

    #[test]
    fn what_a_killed_process_left_is_removed_and_what_is_another_owners_is_not() {
        let root = tempfile::tempdir().unwrap();
        for owner in [1, 2] {
            let name = format!(".{}.writing", Uuid::from_u128(owner));
            fs::write(root.path().join(name), "half").unwrap();
        }
        let mut store = Directory::new(
            root.path().to_owned(),
            Uuid::from_u128(1),
            Access::default(),
        );
        store.probe().unwrap();
        assert_eq!(
            names(root.path()),
            [".00000000-0000-0000-0000-000000000002.writing"]
        );
    }

    #[test]
    fn the_same_file_again_is_taken_as_delivered_and_another_of_its_name_is_not() {
        let root = tempfile::tempdir().unwrap();
        let mut store = Directory::new(
            root.path().to_owned(),
            Uuid::from_u128(1),
            Access::default(),
        );
        store.put("a.csv", &mut body(b"first")).unwrap();
        store.put("a.csv", &mut body(b"first")).unwrap();
        for other in [&b"other"[..], b"firsts"] {
            let error = store.put("a.csv", &mut body(other)).unwrap_err();
            assert_eq!(error.cause, Cause::Taken);
        }
        assert_eq!(fs::read(root.path().join("a.csv")).unwrap(), b"first");
        assert_eq!(names(root.path()), ["a.csv"]);
    }

    #[test]
    fn a_read_only_directory_is_called_so_and_no_file_is_named_that_is_not_there() {
        let store = Directory::new(
            PathBuf::from("/logs"),
            Uuid::from_u128(1),
            Access::default(),
        );
        let error = store.unremoved(&ErrorKind::ReadOnlyFilesystem.into());
        assert_eq!(error.cause, Cause::Permission);
        assert_eq!(
            error.to_string(),
            "cannot write into /logs: it is on a read-only file system"
        );
        let other = store.unremoved(&ErrorKind::IsADirectory.into()).to_string();
        assert!(other.contains(".writing"), "{other}");
    }

    #[test]
    fn a_refusal_names_the_place() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("file");
        fs::write(&file, "").unwrap();
        let mut store = Directory::new(file.join("logs"), Uuid::from_u128(1), Access::default());
        let error = store.probe().unwrap_err();
        assert_eq!(error.cause, Cause::Missing);
        let text = error.to_string();
        assert!(
            text.starts_with(&format!("cannot create the folder {}", file.display())),
            "{text}"
        );
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<_> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}
