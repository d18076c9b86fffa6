//! One reader for both formats: the first four bytes tell which it is.

use super::{Captured, PcapError, Problem, classic::Classic, ng::Ng, source::Source};
use std::{
    fs::File,
    io::{BufReader, Read},
    path::{Path, PathBuf},
};

/// The frames of a capture in file order. Ends after the first error, or where the file ends.
#[derive(Debug)]
pub struct PcapReader<R> {
    file: PathBuf,
    source: Source<R>,
    format: Format,
    ended: bool,
}

#[derive(Debug)]
enum Format {
    Classic(Classic),
    Ng(Ng),
}

impl PcapReader<BufReader<File>> {
    /// Opens a capture file.
    ///
    /// # Errors
    /// Where the file cannot be read or is no Ethernet capture.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, PcapError> {
        let path = path.as_ref();
        let file = File::open(path).map_err(|error| PcapError {
            file: path.to_owned(),
            offset: 0,
            problem: error.into(),
        })?;
        Self::new(path, BufReader::with_capacity(1 << 16, file))
    }
}

impl<R: Read> PcapReader<R> {
    /// Reads a capture from a stream; `name` is for messages.
    ///
    /// # Errors
    /// As [`PcapReader::open`].
    pub fn new(name: impl Into<PathBuf>, from: R) -> Result<Self, PcapError> {
        let file = name.into();
        let mut source = Source::new(from);
        match open_format(&mut source) {
            Ok(format) => Ok(Self {
                file,
                source,
                format,
                ended: false,
            }),
            Err(problem) => Err(PcapError {
                file,
                offset: 0,
                problem,
            }),
        }
    }
}

impl<R: Read> Iterator for PcapReader<R> {
    type Item = Result<Captured, PcapError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let offset = self.source.offset;
        let next = match &mut self.format {
            Format::Classic(classic) => classic.next(&mut self.source),
            Format::Ng(ng) => ng.next(&mut self.source),
        };
        self.ended = !matches!(next, Ok(Some(_)));
        next.map_err(|problem| PcapError {
            file: self.file.clone(),
            offset,
            problem,
        })
        .transpose()
    }
}

fn open_format<R: Read>(source: &mut Source<R>) -> Result<Format, Problem> {
    let mut magic = [0; 4];
    match source.fill(&mut magic, "the file header") {
        Ok(true) => {}
        Ok(false) | Err(Problem::CutOff(_)) => return Err(Problem::NotACapture),
        Err(problem) => return Err(problem),
    }
    match magic {
        [0x0a, 0x0d, 0x0d, 0x0a] => Ng::open(source).map(Format::Ng),
        [0x1f, 0x8b, ..] => Err(Problem::Compressed("gzip")),
        [0x28, 0xb5, 0x2f, 0xfd] => Err(Problem::Compressed("zstd")),
        [0xfd, b'7', b'z', b'X'] => Err(Problem::Compressed("xz")),
        magic => Classic::open(magic, source).map(Format::Classic),
    }
}
