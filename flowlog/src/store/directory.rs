//! Files below a directory.
//!
//! ```text
//! {root}/.{owner}.writing   ──sync, rename, sync the folder──▶   {root}/2026/11/23/05/{name}.csv
//! ```
//!
//! The draft lies in the root, so that finding the leftover of a killed process takes one look
//! instead of a walk through years of folders; its name ends with no data extension.

use super::{Draft, Store, StoreError};
use rustix::{
    fs::{CWD, RenameFlags, renameat_with},
    io::Errno,
};
use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};
use uuid::Uuid;

/// A directory as a store, used by one owner for one file at a time.
#[derive(Debug)]
pub struct Directory {
    root: PathBuf,
    draft: PathBuf,
}

impl Directory {
    /// The store of the logger `owner` below `root`. Nothing is touched yet.
    #[must_use]
    pub fn new(root: PathBuf, owner: Uuid) -> Self {
        let draft = root.join(format!(".{owner}.writing"));
        Self { root, draft }
    }

    /// Removes the draft of an earlier life. What else bears its name is not followed or reused.
    fn remove_leftover(&self) -> Result<(), StoreError> {
        match fs::remove_file(&self.draft) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(StoreError::system(
                "remove the unfinished file",
                &self.draft,
                error,
            )),
            _ => Ok(()),
        }
    }
}

impl Store for Directory {
    fn prepare(&self) -> Result<(), StoreError> {
        make_folders(&self.root)?;
        self.remove_leftover()
    }

    fn draft(&self) -> Result<Box<dyn Draft>, StoreError> {
        self.prepare()?;
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&self.draft);
        let file = file.map_err(|error| StoreError::system("create", &self.draft, error))?;
        let (root, path) = (self.root.clone(), self.draft.clone());
        Ok(Box::new(Aside {
            file,
            root,
            path,
            published: false,
        }))
    }
}

/// A file written aside.
#[derive(Debug)]
struct Aside {
    file: File,
    root: PathBuf,
    path: PathBuf,
    published: bool,
}

impl Write for Aside {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Draft for Aside {
    fn publish(&mut self, name: &str) -> Result<PathBuf, StoreError> {
        self.file
            .sync_all()
            .map_err(|error| StoreError::system("sync", &self.path, error))?;
        let target = self.root.join(name);
        let folder = target.parent().unwrap_or(&self.root);
        make_folders(folder)?;
        rename_to_free_name(&self.path, &target)?;
        self.published = true;
        sync_folder(folder)?;
        Ok(target)
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        if !self.published {
            // Where this fails, too, the next draft or start removes it.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Renames unless the target exists, atomically where the file system can.
fn rename_to_free_name(from: &Path, to: &Path) -> Result<(), StoreError> {
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        Ok(()) => Ok(()),
        Err(Errno::EXIST) => Err(StoreError::Taken(to.to_owned())),
        // A file system without the flag, such as NFS.
        Err(Errno::INVAL | Errno::NOSYS) if to.exists() => Err(StoreError::Taken(to.to_owned())),
        Err(Errno::INVAL | Errno::NOSYS) => {
            fs::rename(from, to).map_err(|error| StoreError::system("rename to", to, error))
        }
        Err(error) => Err(StoreError::system("rename to", to, error)),
    }
}

/// Creates a folder and those above it that are missing, each made durable in the one above.
fn make_folders(folder: &Path) -> Result<(), StoreError> {
    if folder.is_dir() {
        return Ok(());
    }
    let above = match folder.parent() {
        Some(above) if !above.as_os_str().is_empty() => above,
        _ => Path::new("."),
    };
    make_folders(above)?;
    match fs::create_dir(folder) {
        // Another logger may have been faster.
        Err(error) if !folder.is_dir() => {
            Err(StoreError::system("create the folder", folder, error))
        }
        _ => sync_folder(above),
    }
}

/// Makes a change of names in a folder durable.
fn sync_folder(folder: &Path) -> Result<(), StoreError> {
    let synced = File::open(folder).and_then(|folder| folder.sync_all());
    synced.map_err(|error| StoreError::system("sync the folder", folder, error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_whole_under_its_name_or_absent() {
        let root = tempfile::tempdir().unwrap();
        let store = Directory::new(root.path().to_owned(), Uuid::from_u128(1));
        let mut draft = store.draft().unwrap();
        draft.write_all(b"half").unwrap();
        assert_eq!(
            names(root.path()),
            [".00000000-0000-0000-0000-000000000001.writing"]
        );
        drop(draft);
        assert!(names(root.path()).is_empty());
        let mut draft = store.draft().unwrap();
        draft.write_all(b"whole").unwrap();
        let path = draft.publish("2026/11/a.csv").unwrap();
        drop(draft);
        assert_eq!(fs::read(path).unwrap(), b"whole");
        assert_eq!(names(root.path()), ["2026"]);
    }

    #[test]
    fn what_a_killed_process_left_is_removed_and_what_is_another_owners_is_not() {
        let root = tempfile::tempdir().unwrap();
        for owner in [1, 2] {
            fs::write(
                root.path()
                    .join(format!(".{}.writing", Uuid::from_u128(owner))),
                "half",
            )
            .unwrap();
        }
        Directory::new(root.path().to_owned(), Uuid::from_u128(1))
            .prepare()
            .unwrap();
        assert_eq!(
            names(root.path()),
            [".00000000-0000-0000-0000-000000000002.writing"]
        );
    }

    #[test]
    fn a_file_never_replaces_another() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("a.csv"), "first").unwrap();
        let store = Directory::new(root.path().to_owned(), Uuid::from_u128(1));
        let mut draft = store.draft().unwrap();
        draft.write_all(b"second").unwrap();
        assert!(matches!(draft.publish("a.csv"), Err(StoreError::Taken(_))));
        draft.publish("b.csv").unwrap();
        assert_eq!(fs::read(root.path().join("a.csv")).unwrap(), b"first");
        assert_eq!(fs::read(root.path().join("b.csv")).unwrap(), b"second");
    }

    #[test]
    fn a_refusal_names_the_place() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("file");
        fs::write(&file, "").unwrap();
        let error = Directory::new(file.join("logs"), Uuid::from_u128(1))
            .prepare()
            .unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with(&format!("cannot create the folder {}", file.display()))
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
