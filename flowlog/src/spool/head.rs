//! A file of the spool: what its name says, its first line, and the object behind it.

use super::{Destination, Entry, SpoolError};
use std::{
    fmt,
    fs::File,
    io::{self, BufRead as _, BufReader, Read, Seek as _, SeekFrom},
    path::Path,
};

/// Longest first line: a name of 1024 bytes, as S3 allows, what stands before it, and a path of 4096
/// bytes, each of which may take two.
const HEAD_MAX: u64 = 1100 + 2 * 4096;

const MAGIC: &str = "flowlog-object";

/// The name of a whole object's file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FileName {
    pub(super) number: u64,
    /// Its size is not part of the name.
    pub(super) entry: Entry,
    /// Of its queue; 0 for none, as an older spool has it.
    pub(super) place: u64,
}

impl FileName {
    /// The inverse of its text form.
    pub(super) fn parse(name: &str) -> Option<Self> {
        let mut parts = name.strip_suffix(".object")?.split('.');
        let number = parts.next()?.parse().ok()?;
        let entry = Entry {
            interval_s: parts.next()?.parse().ok()?,
            rows: parts.next()?.parse().ok()?,
            bytes: 0,
        };
        let place = match parts.next() {
            Some(place) => u64::from_str_radix(place, 16).ok()?,
            None => 0,
        };
        let parsed = Self {
            number,
            entry,
            place,
        };
        // A file that is spelled otherwise would not be found again.
        (parsed.to_string() == name).then_some(parsed)
    }
}

impl fmt::Display for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Entry {
            interval_s, rows, ..
        } = self.entry;
        write!(f, "{:012}.{interval_s}.{rows}", self.number)?;
        match self.place {
            0 => f.write_str(".object"),
            place => write!(f, ".{place:016x}.object"),
        }
    }
}

/// The first line: the object's size, its name, and where it belongs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Head {
    /// The object's name, relative to the store's root; without blanks.
    pub(crate) name: String,
    /// The store that it was collected for; an older spool does not say.
    pub(crate) destination: Option<Destination>,
}

impl Head {
    /// As long for every size, so that the size can be filled in when it is known.
    pub(super) fn line(&self, bytes: u64) -> String {
        let name = &self.name;
        match &self.destination {
            Some(destination) => format!("{MAGIC} {bytes:020} {name} {}\n", destination.to_line()),
            None => format!("{MAGIC} {bytes:020} {name}\n"),
        }
    }

    /// Opens a file and checks that all of it is there.
    pub(super) fn read(path: &Path) -> Result<(Self, Body), SpoolError> {
        let system = |error| SpoolError::system("read", path, error);
        let damaged = |reason| SpoolError::Damaged {
            path: path.to_owned(),
            reason,
        };
        let mut file = File::open(path).map_err(system)?;
        let size = file.metadata().map_err(system)?.len();
        let mut line = Vec::new();
        BufReader::new(&mut file)
            .take(HEAD_MAX)
            .read_until(b'\n', &mut line)
            .map_err(system)?;
        let start = line.len() as u64;
        let (len, head) = parse_line(&line).ok_or_else(|| damaged("its first line is another"))?;
        if start.checked_add(len) != Some(size) {
            return Err(damaged("it has another size than was written"));
        }
        let mut body = Body {
            file,
            start,
            len,
            left: len,
        };
        body.rewind().map_err(system)?;
        Ok((head, body))
    }
}

fn parse_line(line: &[u8]) -> Option<(u64, Head)> {
    let line = std::str::from_utf8(line).ok()?.strip_suffix('\n')?;
    let (bytes, rest) = line
        .strip_prefix(MAGIC)?
        .strip_prefix(' ')?
        .split_once(' ')?;
    let (name, destination) = match rest.split_once(' ') {
        Some((name, destination)) => (name, Some(Destination::from_line(destination))),
        None => (rest, None),
    };
    let name = name.to_owned();
    Some((bytes.parse().ok()?, Head { name, destination }))
}

/// An object's bytes, from the spool.
#[derive(Debug)]
pub(crate) struct Body {
    file: File,
    start: u64,
    len: u64,
    left: u64,
}

impl Body {
    /// Bytes of the object.
    pub(crate) const fn len(&self) -> u64 {
        self.len
    }

    /// Copies what is left into a file, inside the kernel where the file systems let it.
    pub(crate) fn copy_to(&mut self, file: &mut File) -> io::Result<()> {
        // Of a reader of ours, `io::copy` would move 8 KiB at a time.
        let copied = io::copy(&mut (&mut self.file).take(self.left), file)?;
        match copied == self.left {
            true => self.left = 0,
            false => return Err(io::ErrorKind::UnexpectedEof.into()),
        }
        Ok(())
    }

    /// Begins again.
    pub(crate) fn rewind(&mut self) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(self.start))?;
        self.left = self.len;
        Ok(())
    }
}

impl Read for Body {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = (&mut self.file).take(self.left).read(buffer)?;
        self.left -= read as u64;
        Ok(read)
    }
}
