//! Reading back what was written: CSV with a header line that names known fields, in any order.

use crate::{Field, Kind};
use std::{
    fmt,
    io::{self, BufRead, Read as _},
    net::IpAddr,
    sync::Arc,
};
use uuid::Uuid;

/// Longest line, bytes; a row of every field takes a tenth of it.
pub const LINE_MAX: usize = 8192;

/// A value of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// The field was empty.
    Empty,
    /// A whole number.
    Number(u64),
    /// A UUID.
    Id(Uuid),
    /// An IP address.
    Address(IpAddr),
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
            Self::Address(address) => address.fmt(f),
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

/// Why a file, or a line of it, could not be read. Every text begins with the file and the line.
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
    #[error("the line is not UTF-8 text; this is not a flow log, or it is compressed")]
    NotText,
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

/// The rows of one CSV file. After a row that is wrong the next one is read; after a line that is
/// none, or an error of the system, there are no more.
#[derive(Debug)]
pub struct CsvReader<R> {
    input: R,
    file: Arc<str>,
    line: u64,
    fields: Arc<[Field]>,
    buffer: Vec<u8>,
    ended: bool,
}

impl<R: BufRead> CsvReader<R> {
    /// Reads the header line. `file` is what errors call the input.
    ///
    /// # Errors
    /// [`ReadError`] for a header that is missing or has a column that is no field.
    pub fn new(file: &str, input: R) -> Result<Self, ReadError> {
        let mut reader = Self {
            input,
            file: file.into(),
            line: 0,
            fields: Arc::new([]),
            buffer: Vec::new(),
            ended: false,
        };
        let header = match reader.next_line()? {
            Some(line) => parse_header(line),
            None => Err(Wrong::NoHeader),
        };
        match header {
            Ok(fields) => {
                reader.fields = fields.into();
                Ok(reader)
            }
            Err(wrong) => Err(reader.wrong(wrong)),
        }
    }

    /// The file's fields, in its order.
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// The next line without its end, `None` behind the last.
    fn next_line(&mut self) -> Result<Option<&str>, ReadError> {
        self.line += 1;
        self.buffer.clear();
        let bound = LINE_MAX as u64 + 1;
        let read = self
            .input
            .by_ref()
            .take(bound)
            .read_until(b'\n', &mut self.buffer);
        let wrong = match read {
            Ok(0) => return Ok(None),
            Ok(_) => match self.buffer.pop() {
                Some(b'\n') => None,
                _ if self.buffer.len() >= LINE_MAX => Some(Wrong::Long),
                _ => Some(Wrong::Cut),
            },
            Err(source) => {
                self.ended = true;
                return Err(ReadError::System {
                    file: Arc::clone(&self.file),
                    line: self.line,
                    source,
                });
            }
        };
        if wrong.is_none() && self.buffer.last() == Some(&b'\r') {
            self.buffer.pop();
        }
        let text = match wrong {
            None => std::str::from_utf8(&self.buffer).map_err(|_| Wrong::NotText),
            Some(wrong) => Err(wrong),
        };
        text.map(Some).map_err(|wrong| {
            self.ended = true;
            ReadError::Wrong {
                file: Arc::clone(&self.file),
                line: self.line,
                wrong,
            }
        })
    }

    fn wrong(&self, wrong: Wrong) -> ReadError {
        ReadError::Wrong {
            file: Arc::clone(&self.file),
            line: self.line,
            wrong,
        }
    }
}

impl<R: BufRead> Iterator for CsvReader<R> {
    type Item = Result<Row, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let fields = Arc::clone(&self.fields);
        let values = match self.next_line() {
            Ok(Some(line)) => parse_row(&fields, line),
            Ok(None) => {
                self.ended = true;
                return None;
            }
            Err(error) => return Some(Err(error)),
        };
        Some(
            values
                .map(|values| Row { fields, values })
                .map_err(|wrong| self.wrong(wrong)),
        )
    }
}

fn parse_header(line: &str) -> Result<Vec<Field>, Wrong> {
    let mut fields = Vec::new();
    for name in line.split(',') {
        let field: Field = name.parse().map_err(|_| Wrong::Column(name.to_owned()))?;
        if fields.contains(&field) {
            return Err(Wrong::ColumnTwice(field));
        }
        fields.push(field);
    }
    Ok(fields)
}

fn parse_row(fields: &[Field], line: &str) -> Result<Vec<Value>, Wrong> {
    let found = line.split(',').count();
    if found != fields.len() {
        return Err(Wrong::Width {
            expected: fields.len(),
            found,
        });
    }
    let value = |(field, text): (&Field, &str)| {
        parse_value(field.kind(), text).ok_or_else(|| Wrong::Value {
            field: *field,
            text: text.to_owned(),
        })
    };
    fields.iter().zip(line.split(',')).map(value).collect()
}

fn parse_value(kind: Kind, text: &str) -> Option<Value> {
    if text.is_empty() {
        return Some(Value::Empty);
    }
    match kind {
        Kind::Number if text.bytes().all(|byte| byte.is_ascii_digit()) => {
            text.parse().ok().map(Value::Number)
        }
        Kind::Number => None,
        Kind::Id => text.parse().ok().map(Value::Id),
        Kind::Address => text.parse().ok().map(Value::Address),
        Kind::Word => Some(Value::Word(text.into())),
    }
}
