//! Flow-log files on disk, found and read one after the other.

use crate::cli::failure::Usage;
use crate::control::LogRow;
use anyhow::Result;
use flowlog::read::{self, Rows};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use uuid::Uuid;
use uuid::fmt::Hyphenated;

/// Directories within directories; partitions have four levels.
const DEPTH_MAX: usize = 16;

/// Files read at once: three years of hours, times forty loggers.
const FILES_MAX: usize = 1_000_000;

/// The files, in order of their names, which is the order of time.
#[derive(Debug)]
pub(super) struct Files {
    files: Vec<PathBuf>,
    found: usize,
    rows: u64,
    failed: bool,
}

/// A record, and the logger in whose file it stands, where the file's name tells.
pub(super) type Found = (Option<Uuid>, LogRow);

impl Files {
    /// Finds the files in directories; a file that is named is taken whatever it is called.
    pub(super) fn find<'a>(paths: impl IntoIterator<Item = &'a PathBuf>) -> Result<Self> {
        let mut found = Self {
            files: Vec::new(),
            found: 0,
            rows: 0,
            failed: false,
        };
        for path in paths {
            let kind = fs::metadata(path).map_err(|error| missing(path, &error))?;
            if kind.is_dir() {
                found.search(path, 0);
            } else {
                found.files.push(path.clone());
            }
        }
        if found.files.len() >= FILES_MAX {
            found.tell(format_args!(
                "only the first {FILES_MAX} files are read; name a narrower directory"
            ));
        }
        found.found = found.files.len();
        Ok(found)
    }

    /// Files found, and records read of them so far.
    pub(super) const fn counts(&self) -> (usize, u64) {
        (self.found, self.rows)
    }

    /// Whether anything could not be read.
    pub(super) const fn failed(&self) -> bool {
        self.failed
    }

    /// The rows of all files. What cannot be read is told on standard error and passed over.
    pub(super) fn rows(&mut self) -> impl Iterator<Item = Found> + '_ {
        let files = std::mem::take(&mut self.files);
        let (failed, rows) = (&mut self.failed, &mut self.rows);
        let mut told = move |error: &dyn std::fmt::Display| {
            eprintln!("vswitch: {error}");
            *failed = true;
        };
        let mut files = files.into_iter();
        let mut open: Option<Rows> = None;
        let mut logger = None;
        std::iter::from_fn(move || {
            loop {
                match open.as_mut().and_then(Iterator::next) {
                    Some(Ok(row)) => {
                        *rows += 1;
                        return Some((logger, LogRow::from(&row)));
                    }
                    Some(Err(error)) => told(&error),
                    None => {
                        let path = files.next()?;
                        logger = logger_of(&path);
                        open = read::open(&path).map_err(|error| told(&error)).ok();
                    }
                }
            }
        })
    }

    fn search(&mut self, directory: &Path, depth: usize) {
        if depth > DEPTH_MAX {
            return self.tell(format_args!(
                "{}: more than {DEPTH_MAX} directories deep",
                directory.display()
            ));
        }
        let entries = fs::read_dir(directory).and_then(Iterator::collect::<io::Result<Vec<_>>>);
        let mut entries = match entries {
            Ok(entries) => entries,
            Err(error) => return self.tell(format_args!("{}: {error}", directory.display())),
        };
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            // Not of what a link leads to: a link may lead back here.
            let Ok(kind) = entry.file_type() else {
                continue;
            };
            let path = entry.path();
            let hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
            if kind.is_dir() && !hidden {
                self.search(&path, depth + 1);
            } else if kind.is_file()
                && read::is_flow_log(&entry.file_name().to_string_lossy())
                && self.files.len() < FILES_MAX
            {
                self.files.push(path);
            }
        }
    }

    fn tell(&mut self, what: std::fmt::Arguments<'_>) {
        eprintln!("vswitch: {what}");
        self.failed = true;
    }
}

/// The logger of a file: its id is part of every name, also of a customized one (`#{logger_id}`).
fn logger_of(path: &Path) -> Option<Uuid> {
    let name = path.file_name()?.as_encoded_bytes();
    name.windows(Hyphenated::LENGTH)
        .find_map(|part| Uuid::try_parse_ascii(part).ok())
}

fn missing(path: &Path, error: &io::Error) -> Usage {
    Usage(format!(
        "{}: {error}; name the files or directories of a flow log",
        path.display()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(directory: &Path, name: &str, text: &str) {
        let path = directory.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    #[test]
    fn files_are_found_in_partitions_read_in_order_and_a_broken_one_stops_nothing() {
        let dir = tempfile::tempdir().unwrap();
        write(
            dir.path(),
            "2026/11/23/05/b.csv",
            "packets,filter\n3,ACCEPT\n",
        );
        write(
            dir.path(),
            "2026/11/23/04/a.csv",
            "packets,filter\n1,DROP\nx,DROP\n2,DROP\n",
        );
        write(dir.path(), "2026/11/23/05/c.csv", "");
        write(dir.path(), ".vswitch/names.csv", "packets\n9\n");
        write(dir.path(), "readme.txt", "no log");
        let mut files = Files::find([&dir.path().to_owned()]).unwrap();
        let packets: Vec<_> = files.rows().map(|(_, row)| row.number("packets")).collect();
        assert_eq!(packets, [Some(1), Some(2), Some(3)]);
        assert!(files.failed());
        assert_eq!(files.counts(), (3, 3));
    }

    #[test]
    fn a_files_name_tells_its_logger_wherever_it_stands() {
        let id = "8a85f556-0000-5000-8000-123456789abc";
        let logger = Some(Uuid::try_parse(id).unwrap());
        for name in [
            format!("{id}_2026-11-23T08:49:09Z.csv"),
            format!("x/20261123-084909-é{id}_part2.csv"),
        ] {
            assert_eq!(logger_of(Path::new(&name)), logger, "{name}");
        }
        assert_eq!(logger_of(Path::new("a.csv")), None);
    }

    #[test]
    fn a_path_that_is_not_there_is_wrong_usage() {
        let error = Files::find([&"/nowhere/logs".into()]).unwrap_err();
        assert!(error.is::<Usage>() && error.to_string().contains("/nowhere/logs"));
    }
}
