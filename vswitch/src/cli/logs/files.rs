//! Flow-log files and objects, found and read one after the other.

use super::progress::{Bytes, Progress};
use crate::cli::failure::Usage;
use crate::cli::plain::escaped;
use crate::control::LogRow;
use crate::messages::note;
use anyhow::Result;
use flowlog::read::{self, Rows};
use flowlog::{Bucket, Cause, Object, ObjectError, Objects, Storage};
use std::collections::{HashSet, VecDeque};
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use uuid::Uuid;
use uuid::fmt::Hyphenated;

/// Directories within directories; partitions have four levels.
const DEPTH_MAX: usize = 16;

/// Files read at once: three years of hours, times forty loggers.
const FILES_MAX: usize = 1_000_000;

/// Bytes of the names of all files that are held: a million of usual length.
const NAMES_BYTES_MAX: usize = 128 << 20;

/// Records between two looks at the clock.
const ROWS_PER_LOOK: u64 = 1024;

/// The files, place by place in order of their names, which is the order of time.
#[derive(Debug)]
pub(super) struct Files {
    files: Vec<Source>,
    /// Bytes of their names.
    names_bytes: usize,
    found: usize,
    rows: u64,
    failed: bool,
    progress: Progress,
}

/// What stands for standard input, and what messages call it.
const STDIN: &str = "-";
const STDIN_NAME: &str = "(standard input)";

/// A file or an object.
#[derive(Debug)]
enum Source {
    Stdin,
    File(PathBuf),
    Object(Rc<Objects>, Object),
}

/// A record, and the logger in whose file it stands, where the file's name tells.
pub(super) type Found = (Option<Uuid>, LogRow);

impl Files {
    /// Finds the files in directories and buckets; a file that is named is taken whatever it is called.
    ///
    /// # Errors
    /// A place that is not there, or a bucket that cannot be listed.
    pub(super) fn find<'a>(
        places: impl IntoIterator<Item = &'a Storage>,
        progress: Progress,
    ) -> Result<Self> {
        let mut found = Self {
            files: Vec::new(),
            names_bytes: 0,
            found: 0,
            rows: 0,
            failed: false,
            progress,
        };
        for place in places {
            match place {
                Storage::Directory(path) => found.find_files(path)?,
                Storage::Bucket(bucket) => found.find_objects(bucket)?,
                Storage::Ipfix(_) => {}
            }
        }
        if found.is_full() {
            let files = found.files.len();
            found.tell(format_args!(
                "only the first {files} files are read, for there are more than {FILES_MAX}, or their names take more \
                 than {NAMES_BYTES_MAX} bytes; name a narrower directory or prefix"
            ));
        }
        found.found = found.files.len();
        Ok(found)
    }

    /// Files found, and records read of them so far.
    pub(super) const fn counts(&self) -> (usize, u64) {
        (self.found, self.rows)
    }

    /// How many loggers have written them, by their names.
    pub(super) fn loggers(&self) -> usize {
        let loggers = self.files.iter().map(|file| logger_of(file.name()));
        loggers.collect::<HashSet<_>>().len()
    }

    /// Whether anything could not be read.
    pub(super) const fn failed(&self) -> bool {
        self.failed
    }

    /// The rows of all files. What cannot be read is told on standard error and passed over.
    pub(super) fn rows(&mut self) -> impl Iterator<Item = Found> + '_ {
        let mut files = VecDeque::from(std::mem::take(&mut self.files));
        let mut open: Option<Rows> = None;
        let mut logger = None;
        let (mut begun, mut bytes) = (0, 0);
        std::iter::from_fn(move || {
            loop {
                match open.as_mut().and_then(Iterator::next) {
                    Some(Ok(row)) => {
                        self.rows += 1;
                        if self.rows.is_multiple_of(ROWS_PER_LOOK) {
                            self.show(begun, bytes);
                        }
                        return Some((logger, LogRow::from(&row)));
                    }
                    Some(Err(error)) => self.tell(format_args!("{error}")),
                    None => {
                        let Some(file) = files.pop_front() else {
                            self.progress.clear();
                            return None;
                        };
                        self.show(begun, bytes);
                        begun += 1;
                        bytes += file.bytes();
                        logger = logger_of(file.name());
                        open = self.open(&file, &mut files);
                    }
                }
            }
        })
    }

    /// Opens a file. Where its bucket fails as a whole, what is left of that bucket is left out.
    fn open(&mut self, file: &Source, left: &mut VecDeque<Source>) -> Option<Rows> {
        let opened = match file {
            Source::Stdin => stdin().map_err(ObjectError::Read),
            Source::File(path) => read::open(path).map_err(ObjectError::Read),
            Source::Object(objects, object) => objects.open(object),
        };
        let error = match opened {
            Ok(rows) => return Some(rows),
            Err(error) => error,
        };
        let before = left.len();
        if let (Source::Object(objects, _), ObjectError::Store(error)) = (file, &error)
            && !is_of_one_object(error.cause)
        {
            left.retain(|other| !other.is_of(objects));
        }
        match before - left.len() {
            0 => self.tell(format_args!("{error}")),
            more => self.tell(format_args!(
                "{error}; {more} more files of it are left out"
            )),
        }
        None
    }

    fn show(&mut self, begun: usize, bytes: u64) {
        let (found, rows) = (self.found, self.rows);
        self.progress.show(|| {
            let bytes = Bytes(bytes);
            format!("vswitch: reading: {begun} of {found} files, {bytes}, {rows} records")
        });
    }

    fn is_full(&self) -> bool {
        self.files.len() >= FILES_MAX || self.names_bytes >= NAMES_BYTES_MAX
    }

    /// Takes a file, if there is room for one more.
    fn push(&mut self, file: Source) {
        if !self.is_full() {
            self.names_bytes += file.name().as_os_str().len();
            self.files.push(file);
        }
    }

    fn find_files(&mut self, path: &Path) -> Result<()> {
        if path == Path::new(STDIN) {
            self.push(Source::Stdin);
            return Ok(());
        }
        let kind = fs::metadata(path).map_err(|error| missing(path, &error))?;
        if kind.is_dir() {
            self.search(path, 0);
        } else {
            self.push(Source::File(path.to_owned()));
        }
        Ok(())
    }

    fn find_objects(&mut self, bucket: &Bucket) -> Result<()> {
        let objects = Rc::new(Objects::new(bucket)?);
        let room = FILES_MAX.saturating_sub(self.files.len());
        let progress = &mut self.progress;
        let listing = objects.list(room, |found| {
            progress.show(|| format!("vswitch: listing: {found} files"));
        })?;
        // At the limit of files that is told for all places.
        if listing.is_cut && listing.objects.len() < room {
            self.tell(format_args!(
                "s3://{}: the listing does not end; name a narrower prefix",
                bucket.name
            ));
        }
        if listing.too_long > 0 {
            self.tell(format_args!(
                "s3://{}: {} objects are left out: their keys are longer than any of S3's",
                bucket.name, listing.too_long
            ));
        }
        for object in listing.objects {
            self.push(Source::Object(Rc::clone(&objects), object));
        }
        Ok(())
    }

    fn search(&mut self, directory: &Path, depth: usize) {
        if depth > DEPTH_MAX {
            return self.tell(format_args!(
                "{}: more than {DEPTH_MAX} directories deep",
                directory.display()
            ));
        }
        let entries = match entries(directory) {
            Ok(entries) => entries,
            Err(error) => return self.tell(format_args!("{}: {error}", directory.display())),
        };
        if entries.len() > FILES_MAX {
            self.tell(format_args!(
                "{}: only some of its entries are looked at: there are more than {FILES_MAX}",
                directory.display()
            ));
        }
        for (name, is_directory) in entries {
            if self.is_full() {
                return;
            }
            let path = directory.join(name);
            match is_directory {
                true => self.search(&path, depth + 1),
                false => self.push(Source::File(path)),
            }
        }
    }

    fn tell(&mut self, what: std::fmt::Arguments<'_>) {
        self.progress.clear();
        note(format_args!("vswitch: {}", escaped(&what.to_string())));
        self.failed = true;
    }
}

/// Names of what is looked at in a directory, in order, and whether each is a directory: folders and flow
/// logs, but no hidden ones. One more than the limit where there are more.
fn entries(directory: &Path) -> io::Result<Vec<(OsString, bool)>> {
    let mut entries = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        // Not of what a link leads to: a link may lead back here.
        let Ok(kind) = entry.file_type() else {
            continue;
        };
        let name = entry.file_name();
        let is_log = kind.is_file() && read::is_flow_log(&name.to_string_lossy());
        let is_hidden = name.as_encoded_bytes().starts_with(b".");
        if is_log || kind.is_dir() && !is_hidden {
            entries.push((name, kind.is_dir()));
        }
        if entries.len() > FILES_MAX {
            break;
        }
    }
    entries.sort();
    Ok(entries)
}

impl Source {
    fn name(&self) -> &Path {
        match self {
            Self::Stdin => Path::new(STDIN_NAME),
            Self::File(path) => path,
            Self::Object(_, object) => Path::new(&object.key),
        }
    }

    fn is_of(&self, bucket: &Rc<Objects>) -> bool {
        matches!(self, Self::Object(objects, _) if Rc::ptr_eq(objects, bucket))
    }

    /// Its size; of a file that is gone, none.
    fn bytes(&self) -> u64 {
        match self {
            Self::Stdin => 0,
            Self::File(path) => fs::metadata(path).map_or(0, |file| file.len()),
            Self::Object(_, object) => object.bytes,
        }
    }
}

/// Whether the next object may be given all the same. One that may not be read stands for all: else a
/// key that may list and not get would be told for each.
const fn is_of_one_object(cause: Cause) -> bool {
    matches!(cause, Cause::Missing | Cause::Refused | Cause::Taken)
}

fn stdin() -> Result<Rows, read::ReadError> {
    let input = io::stdin().as_fd().try_clone_to_owned();
    let input = input.map_err(|source| read::ReadError::System {
        file: STDIN_NAME.into(),
        line: 1,
        source,
    })?;
    read::from_file(STDIN_NAME, input.into())
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
        let mut files = Files::find(
            [&Storage::Directory(dir.path().to_owned())],
            Progress::new(false),
        )
        .unwrap();
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
        let error = Files::find(
            [&Storage::Directory("/nowhere/logs".into())],
            Progress::new(false),
        )
        .unwrap_err();
        assert!(error.is::<Usage>() && error.to_string().contains("/nowhere/logs"));
    }
}
