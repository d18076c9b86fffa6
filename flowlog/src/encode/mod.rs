//! Records to bytes. A format is a variant of [`Format`] and an [`Encoder`] behind it; formats see
//! [`Field`]s and [`Record`]s and nothing of loggers or stores.

mod csv;

use crate::{Field, Pending, Record, pending};
use std::io;

/// What a file is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A header line and comma-separated rows, not compressed.
    Csv,
}

/// Writes records one after the other; never holds an interval in memory.
pub trait Encoder {
    /// Writes one record.
    ///
    /// # Errors
    /// Those of the file.
    fn row(&mut self, record: &Record) -> io::Result<()>;

    /// Writes what is still buffered and what belongs to the end of the format.
    ///
    /// # Errors
    /// Those of the file.
    fn finish(self: Box<Self>) -> io::Result<()>;
}

/// Why a format is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// No such `log_format`.
    #[error("`{0}` is no log format; write CSV")]
    Format(String),
    /// No such `compression_type`.
    #[error("`{0}` is no compression; write RAW")]
    Compression(String),
    /// Known, but still to come.
    #[error(transparent)]
    Pending(#[from] Pending),
}

impl Format {
    /// The format of the configuration's `log_format` and `compression_type`.
    ///
    /// # Errors
    /// [`FormatError`] for a word that is neither.
    pub fn parse(log_format: &str, compression: &str) -> Result<Self, FormatError> {
        pending(log_format)?;
        pending(compression)?;
        match (log_format, compression) {
            ("CSV", "RAW") => Ok(Self::Csv),
            ("CSV", _) => Err(FormatError::Compression(compression.to_owned())),
            _ => Err(FormatError::Format(log_format.to_owned())),
        }
    }

    /// What ends the name of a file of this format.
    #[must_use]
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Csv => ".csv",
        }
    }

    /// Begins a file.
    ///
    /// # Errors
    /// Those of the file.
    pub fn encoder<'a>(
        self,
        fields: &'a [Field],
        file: &'a mut dyn io::Write,
    ) -> io::Result<Box<dyn Encoder + 'a>> {
        match self {
            Self::Csv => Ok(Box::new(csv::Csv::begin(fields, file))),
        }
    }
}
