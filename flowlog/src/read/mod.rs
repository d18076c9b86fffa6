//! Reading back what was written: CSV and AWS text, plain, gzip or zstd, and Parquet, with known
//! columns in any order.
//!
//! ```text
//!   first bytes ─┬─ PAR1 ─▶ Parquet, row group by row group
//!                ├─ gzip ─┐
//!                ├─ zstd ─┼─▶ header line ─┬─ commas ─▶ CSV
//!                └─ else ─┘                └─ spaces ─▶ AWS
//! ```
//! The bytes decide, the name only where there are none. Pipes are read too: text as it comes, Parquet
//! through a nameless file below `TMPDIR`. **Limits**: a line has [`LINE_MAX`] bytes, a
//! zstd window 32 MiB, a Parquet footer 16 MiB, the pages of a row group 256 MiB. **Failure**: a row that is wrong is told with its
//! place and the next one is read; nothing that a file holds makes the reader stop or grow.

mod open;
mod pages;
mod parquet;
mod text;

pub use open::{Rows, from_bytes, from_file, is_flow_log, open};
pub use text::TextReader;

use crate::{Field, Kind};
use packet::Mac;
use std::{fmt, io, net::IpAddr, sync::Arc};
use uuid::Uuid;

/// Longest line, bytes; a row of every field takes a tenth of it.
pub const LINE_MAX: usize = 8192;

/// A value of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// The field was empty.
    Empty,
    /// A whole number.
    Number(i64),
    /// `true` or `false`.
    Flag(bool),
    /// A UUID.
    Id(Uuid),
    /// An IP address.
    Address(IpAddr),
    /// A MAC address.
    Mac(Mac),
    /// A word.
    Word(Box<str>),
}

/// As the file has it.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.pad(""),
            Self::Number(number) => number.fmt(f),
            Self::Id(id) => id.fmt(f),
            Self::Flag(flag) => flag.fmt(f),
            Self::Address(address) => address.fmt(f),
            Self::Mac(mac) => mac.fmt(f),
            Self::Word(word) => f.pad(word),
        }
    }
}

/// A row: a value for each field of the file's header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    fields: Arc<[Field]>,
    values: Vec<Value>,
}

impl Row {
    /// The file's fields, in its order.
    #[must_use]
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// The values, in the same order.
    #[must_use]
    pub fn values(&self) -> &[Value] {
        &self.values
    }

    /// The value of a field, `None` where the file has no such column.
    #[must_use]
    pub fn get(&self, field: Field) -> Option<&Value> {
        let place = self.fields.iter().position(|known| *known == field)?;
        self.values.get(place)
    }
}

/// Why a file, or a line of it, could not be read. Every text begins with the file and the line; of
/// Parquet the row.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The system refused.
    #[error("{file}:{line}: cannot be read: {source}")]
    System {
        /// The file.
        file: Arc<str>,
        /// The line, from 1.
        line: u64,
        /// What the system said.
        source: io::Error,
    },
    /// The bytes are not a flow log's.
    #[error("{file}:{line}: {wrong}")]
    Wrong {
        /// The file.
        file: Arc<str>,
        /// The line, from 1.
        line: u64,
        /// What is wrong.
        wrong: Wrong,
    },
}

/// What is wrong with a line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Wrong {
    /// A file without any line.
    #[error("the file is empty; a flow log begins with a header line")]
    NoHeader,
    /// A column that is no field.
    #[error("the column `{0}` is not a field of the log")]
    Column(String),
    /// A column twice.
    #[error("the column `{0}` stands twice")]
    ColumnTwice(Field),
    /// Longer than any line of a log.
    #[error("the line is longer than {LINE_MAX} bytes; this is not a flow log")]
    Long,
    /// Not text.
    #[error("the line is not UTF-8 text; this is not a flow log")]
    NotText,
    /// Parquet by its name or its first bytes, but not by the rest.
    #[error("not a Parquet file that can be read: {0}")]
    Parquet(String),
    /// The last line has no end.
    #[error("the last line is cut short")]
    Cut,
    /// A row with more or fewer values than the header has columns.
    #[error("{found} values, but the header has {expected} columns")]
    Width {
        /// Columns.
        expected: usize,
        /// Values.
        found: usize,
    },
    /// A value that is not of its field's kind.
    #[error("`{text}` is not a value of `{field}`")]
    Value {
        /// The field.
        field: Field,
        /// What was found.
        text: String,
    },
}

/// Characters of a wrong value or name that a message repeats.
const SHOWN_MAX: usize = 200;

/// As much of a text as a message repeats.
fn shown(text: &str) -> String {
    match text.char_indices().nth(SHOWN_MAX) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or(text)),
        None => text.to_owned(),
    }
}

/// The value that a text is, of its field's kind; `None` where it is none.
fn parse_value(field: Field, text: &str) -> Option<Value> {
    if text.is_empty() {
        return Some(Value::Empty);
    }
    match field.kind() {
        Kind::Int => whole(text)
            .filter(|number| i32::try_from(*number).is_ok())
            .map(Value::Number),
        Kind::Long => whole(text)
            .filter(|number| *number >= 0 || field.may_be_negative())
            .map(Value::Number),
        Kind::Flag => text.parse().ok().map(Value::Flag),
        Kind::Id => text.parse().ok().map(Value::Id),
        Kind::Address => text.parse().ok().map(Value::Address),
        Kind::Mac => text.parse().ok().map(Value::Mac),
        Kind::Word => Some(Value::Word(text.into())),
    }
}

/// A whole number as the log writes it: digits, a minus before them at most.
fn whole(text: &str) -> Option<i64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let is_plain = digits.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_plain)
}
