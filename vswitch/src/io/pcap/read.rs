//! One reader for both formats: the first four bytes tell which it is.

use super::{
    Captured, Foreign, PcapError, Problem, classic::Classic, input, ng::Ng, source::Source,
};
use std::{
    io::Read,
    path::{Path, PathBuf},
};

/// The frames of a capture in file order, Ethernet all of them. Ends after the first error, or where the
/// file ends.
#[derive(Debug)]
pub struct PcapReader<'a> {
    file: PathBuf,
    is_packed: bool,
    source: Source<'a>,
    format: Format,
    frames: u64,
    ended: bool,
}

#[derive(Debug)]
enum Format {
    Classic(Classic),
    Ng(Ng),
}

impl PcapReader<'static> {
    /// Opens a capture file, or standard input where `path` is `-`.
    ///
    /// # Errors
    /// Where the file cannot be read, is no capture, or of a link type that is not read.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, PcapError> {
        let path = path.as_ref();
        let name = input::name(path);
        let from = input::open(path).map_err(|error| PcapError {
            file: name.to_owned(),
            is_packed: false,
            offset: 0,
            problem: error.into(),
        })?;
        Self::new(name, from)
    }
}

impl<'a> PcapReader<'a> {
    /// Reads a capture from a stream, which may be compressed; `name` is for messages.
    ///
    /// # Errors
    /// As [`PcapReader::open`].
    pub fn new(name: impl Into<PathBuf>, from: impl Read + 'a) -> Result<Self, PcapError> {
        let file = name.into();
        let error = |is_packed, problem| PcapError {
            file: file.clone(),
            is_packed,
            offset: 0,
            problem,
        };
        let (from, packed) =
            input::unpack(Box::new(from)).map_err(|problem| error(false, problem))?;
        let is_packed = packed.is_some();
        let mut source = Source::new(from);
        let format = open_format(&mut source).map_err(|problem| error(is_packed, problem))?;
        Ok(Self {
            file,
            is_packed,
            source,
            format,
            frames: 0,
            ended: false,
        })
    }

    /// Frames so far of link types that are not read, by interface. Only a pcapng has them: a classic
    /// file of such a link type is refused whole.
    pub fn foreign(&self) -> impl Iterator<Item = Foreign> {
        let ng = match &self.format {
            Format::Classic(_) => None,
            Format::Ng(ng) => Some(ng),
        };
        ng.into_iter().flat_map(Ng::foreign)
    }

    /// How messages call the capture.
    #[must_use]
    pub fn name(&self) -> &Path {
        &self.file
    }

    fn read(&mut self) -> Result<Option<Captured>, Problem> {
        let next = match &mut self.format {
            Format::Classic(classic) => classic.next(&mut self.source)?,
            Format::Ng(ng) => ng.next(&mut self.source)?,
        };
        if next.is_none()
            && self.frames == 0
            && let Some(foreign) = self.foreign().next()
        {
            return Err(Problem::LinkType(foreign.link_type));
        }
        Ok(next)
    }
}

impl Iterator for PcapReader<'_> {
    type Item = Result<Captured, PcapError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let offset = self.source.offset;
        let next = self.read();
        match next {
            Ok(Some(_)) => self.frames += 1,
            Ok(None) | Err(_) => self.ended = true,
        }
        next.map_err(|problem| PcapError {
            file: self.file.clone(),
            is_packed: self.is_packed,
            offset,
            problem,
        })
        .transpose()
    }
}

fn open_format(source: &mut Source<'_>) -> Result<Format, Problem> {
    let mut magic = [0; 4];
    match source.fill(&mut magic, "the file header") {
        Ok(true) => {}
        Ok(false) | Err(Problem::CutOff(_)) => return Err(Problem::NotACapture),
        Err(problem) => return Err(problem),
    }
    match magic {
        [0x0a, 0x0d, 0x0d, 0x0a] => Ng::open(source).map(Format::Ng),
        magic => Classic::open(magic, source).map(Format::Classic),
    }
}
