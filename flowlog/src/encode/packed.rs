//! A file that may be compressed as a whole.

use flate2::write::GzEncoder;
use std::io::{self, Write};

/// Fast levels: a log is written while the next interval runs, and its columns repeat so much that
/// the slower levels save a few percent at most.
const GZIP_LEVEL: u32 = 3;
pub(super) const ZSTD_LEVEL: i32 = 1;

/// How a file is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Compression {
    /// Not at all.
    #[default]
    Raw,
    /// gzip (RFC 1952).
    Gzip,
    /// Zstandard (RFC 8878).
    Zstd,
}

impl Compression {
    /// Every compression with its name.
    const NAMES: [(Self, &'static str); 3] = [
        (Self::Raw, "RAW"),
        (Self::Gzip, "GZIP"),
        (Self::Zstd, "ZSTD"),
    ];

    /// The compression of a `compression_type`.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let found = Self::NAMES.iter().find(|(_, known)| *known == name);
        found.map(|(compression, _)| *compression)
    }

    /// `RAW`, `GZIP` or `ZSTD`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        Self::NAMES[self as usize].1
    }
}

/// The file behind a compressor.
pub(super) enum Packed<'a> {
    Raw(&'a mut dyn Write),
    Gzip(GzEncoder<&'a mut dyn Write>),
    Zstd(zstd::Encoder<'static, &'a mut dyn Write>),
}

impl<'a> Packed<'a> {
    pub(super) fn begin(compression: Compression, file: &'a mut dyn Write) -> io::Result<Self> {
        Ok(match compression {
            Compression::Raw => Self::Raw(file),
            Compression::Gzip => {
                Self::Gzip(GzEncoder::new(file, flate2::Compression::new(GZIP_LEVEL)))
            }
            Compression::Zstd => {
                let mut encoder = zstd::Encoder::new(file, ZSTD_LEVEL)?;
                encoder.include_checksum(true)?;
                Self::Zstd(encoder)
            }
        })
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Raw(file) => file.write_all(bytes),
            Self::Gzip(encoder) => encoder.write_all(bytes),
            Self::Zstd(encoder) => encoder.write_all(bytes),
        }
    }

    /// Writes what belongs to the end.
    pub(super) fn finish(self) -> io::Result<()> {
        match self {
            Self::Raw(_) => Ok(()),
            Self::Gzip(encoder) => encoder.finish().map(drop),
            Self::Zstd(encoder) => encoder.finish().map(drop),
        }
    }
}
