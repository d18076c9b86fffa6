//! Records to bytes. A format is a variant of [`Format`] and an [`Encoder`] behind it; formats see
//! [`Field`]s and [`Record`]s and nothing of loggers or stores.
//!
//! ```text
//!   Record ─▶ Text<Field>      comma    ─▶ Packed: as it is, gzip, zstd ─▶ file
//!          ─▶ Text<AwsColumn>  space    ─▶ Packed: gzip                 ─▶ file
//!          ─▶ Parquet: rows of a group, then column by column           ─▶ file
//! ```
//! **Limits**: text holds a buffer of 256 KiB, Parquet one row group ([`ROW_GROUP_ROWS`] records)
//! and what its columns compress to.

mod account;
mod aws;
mod packed;
mod parquet;
mod text;

pub use account::{Account, AccountError};
pub(crate) use aws::field_of_column;
pub use aws::{AwsText, AwsVersion};
pub use packed::Compression;
pub use parquet::ROW_GROUP_ROWS;

use crate::{Field, Record};
use packed::Packed;
use parquet::Parquet;
use std::io;
use text::{COMMA, SPACE, Text};

/// What a file is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Format {
    /// A header line and comma-separated rows; the whole file is compressed.
    Csv(Compression),
    /// Typed columns, compressed inside the file.
    Parquet(Compression),
    /// The text form of AWS: its column names, separated by spaces, always gzip.
    Aws(AwsText),
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
    #[error("`{0}` is no log format; write CSV or PARQUET")]
    Format(String),
    /// No such `compression_type`.
    #[error("`{0}` is no compression; write RAW, GZIP or ZSTD")]
    Compression(String),
}

impl Format {
    /// The format of the configuration's `log_format` and `compression_type`. That of an AWS profile
    /// is given by the profile.
    ///
    /// # Errors
    /// [`FormatError`] for a word that is neither.
    pub fn parse(log_format: &str, compression: &str) -> Result<Self, FormatError> {
        let compression = || {
            Compression::named(compression)
                .ok_or_else(|| FormatError::Compression(compression.to_owned()))
        };
        match log_format {
            "CSV" => Ok(Self::Csv(compression()?)),
            "PARQUET" => Ok(Self::Parquet(compression()?)),
            _ => Err(FormatError::Format(log_format.to_owned())),
        }
    }

    /// `CSV`, `PARQUET` or `AWS`, the text form of its profiles.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Csv(_) => "CSV",
            Self::Parquet(_) => "PARQUET",
            Self::Aws(_) => "AWS",
        }
    }

    /// How it is compressed.
    #[must_use]
    pub const fn compression(&self) -> Compression {
        match self {
            Self::Csv(compression) | Self::Parquet(compression) => *compression,
            Self::Aws(_) => Compression::Gzip,
        }
    }

    /// Columns of a file for a logger with these fields; an AWS profile has its own.
    #[must_use]
    pub fn columns(&self, fields: &[Field]) -> usize {
        match self {
            Self::Csv(_) | Self::Parquet(_) => fields.len(),
            Self::Aws(aws) => aws.columns().len(),
        }
    }

    /// What ends the name of a file of this format.
    #[must_use]
    pub const fn extension(&self) -> &'static str {
        match self {
            Self::Csv(Compression::Raw) => ".csv",
            Self::Csv(Compression::Gzip) => ".csv.gz",
            Self::Csv(Compression::Zstd) => ".csv.zst",
            Self::Parquet(_) => ".parquet",
            Self::Aws(_) => ".log.gz",
        }
    }

    /// Begins a file of these columns; those of an AWS profile are the profile's.
    ///
    /// # Errors
    /// Those of the file.
    pub fn encoder<'a>(
        &self,
        fields: &'a [Field],
        file: &'a mut dyn io::Write,
    ) -> io::Result<Box<dyn Encoder + 'a>> {
        Ok(match self {
            Self::Csv(compression) => {
                let file = Packed::begin(*compression, file)?;
                Box::new(Text::begin(fields.to_vec(), COMMA, file))
            }
            Self::Parquet(compression) => Box::new(Parquet::begin(fields, *compression, file)?),
            Self::Aws(aws) => {
                let file = Packed::begin(Compression::Gzip, file)?;
                Box::new(Text::begin(aws.columns(), SPACE, file))
            }
        })
    }
}
