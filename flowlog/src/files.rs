//! Folders and renames that last: a name is durable once its folder was synced.

use crate::Access;
use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

/// Creates a folder and those above it that are missing, each made durable in the one above. Those that
/// are there stay as they are.
///
/// # Errors
/// What the system said, and of which folder.
pub(crate) fn make_folders(folder: &Path, access: Access) -> Result<(), (PathBuf, io::Error)> {
    if folder.is_dir() {
        return Ok(());
    }
    let above = match folder.parent() {
        Some(above) if !above.as_os_str().is_empty() => above,
        _ => Path::new("."),
    };
    make_folders(above, access)?;
    let made = match access.create_dir(folder) {
        // Another may have been faster.
        Err(error) if !folder.is_dir() => Err(error),
        _ => sync_folder(above),
    };
    made.map_err(|error| (folder.to_owned(), error))
}

/// Makes a change of names in a folder durable.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Writes a small file aside and puts it in place, durably.
pub(crate) fn replace(path: &Path, aside: &Path, text: &str, access: Access) -> io::Result<()> {
    let mut file = access.create(aside)?;
    io::Write::write_all(&mut file, text.as_bytes())?;
    file.sync_all()?;
    fs::rename(aside, path)?;
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => sync_folder(folder),
        _ => sync_folder(Path::new(".")),
    }
}
