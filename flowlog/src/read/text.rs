//! Text: a header line with the columns' names, then rows.

use super::{LINE_MAX, ReadError, Row, Value, Wrong, parse_value};
use crate::{Field, encode::field_of_column};
use std::{
    io::{BufRead, Read as _},
    sync::Arc,
};

/// How a file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Dialect {
    Csv,
    Aws,
}

impl Dialect {
    /// That of a header line. One column alone has no separator: AWS has none so narrow.
    fn of(header: &str) -> Self {
        if header.contains(' ') && !header.contains(',') {
            Self::Aws
        } else {
            Self::Csv
        }
    }

    const fn separator(self) -> char {
        match self {
            Self::Csv => ',',
            Self::Aws => ' ',
        }
    }

    /// The field of a column; `Some(None)` for a column that is known and no field.
    fn field(self, name: &str) -> Option<Option<Field>> {
        match self {
            Self::Csv => name.parse().ok().map(Some),
            Self::Aws => field_of_column(name),
        }
    }

    /// A value as CSV has it.
    fn value(self, field: Field, text: &str) -> &str {
        match (self, field, text) {
            (Self::Aws, _, "-") => "",
            (Self::Aws, Field::Filter, "REJECT") => "DROP",
            _ => text,
        }
    }
}

/// The rows of one text file. After a row that is wrong the next one is read; after a line that is
/// none, or an error of the system, there are no more.
#[derive(Debug)]
pub struct TextReader<R> {
    input: R,
    file: Arc<str>,
    line: u64,
    dialect: Dialect,
    /// The field of each column, if it is one.
    columns: Arc<[Option<Field>]>,
    fields: Arc<[Field]>,
    buffer: Vec<u8>,
    ended: bool,
}

impl<R: BufRead> TextReader<R> {
    /// Reads the header line. `file` is what errors call the input.
    ///
    /// # Errors
    /// [`ReadError`] for a header that is missing or has a column that is no field.
    pub fn new(file: &str, input: R) -> Result<Self, ReadError> {
        let mut reader = Self {
            input,
            file: file.into(),
            line: 0,
            dialect: Dialect::Csv,
            columns: Arc::new([]),
            fields: Arc::new([]),
            buffer: Vec::new(),
            ended: false,
        };
        let header = match reader.next_line()? {
            Some(line) => parse_header(line),
            None => Err(Wrong::NoHeader),
        };
        match header {
            Ok((dialect, columns)) => {
                reader.dialect = dialect;
                reader.fields = columns.iter().copied().flatten().collect();
                reader.columns = columns.into();
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

impl<R: BufRead> Iterator for TextReader<R> {
    type Item = Result<Row, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let (fields, columns) = (Arc::clone(&self.fields), Arc::clone(&self.columns));
        let dialect = self.dialect;
        let values = match self.next_line() {
            Ok(Some(line)) => parse_row(dialect, &columns, line),
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

fn parse_header(line: &str) -> Result<(Dialect, Vec<Option<Field>>), Wrong> {
    let dialect = Dialect::of(line);
    let mut columns = Vec::new();
    for name in line.split(dialect.separator()) {
        let field = dialect
            .field(name)
            .ok_or_else(|| Wrong::Column(name.to_owned()))?;
        if let Some(twice) = field.filter(|_| columns.contains(&field)) {
            return Err(Wrong::ColumnTwice(twice));
        }
        columns.push(field);
    }
    Ok((dialect, columns))
}

fn parse_row(dialect: Dialect, columns: &[Option<Field>], line: &str) -> Result<Vec<Value>, Wrong> {
    let found = line.split(dialect.separator()).count();
    if found != columns.len() {
        return Err(Wrong::Width {
            expected: columns.len(),
            found,
        });
    }
    let value = |(field, text): (&Option<Field>, &str)| {
        let field = (*field)?;
        let value = parse_value(field, dialect.value(field, text));
        Some(value.ok_or_else(|| Wrong::Value {
            field,
            text: text.to_owned(),
        }))
    };
    let texts = line.split(dialect.separator());
    columns.iter().zip(texts).filter_map(value).collect()
}
