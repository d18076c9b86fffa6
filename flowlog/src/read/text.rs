//! Text: a header line with the columns' names, then rows.

use super::{LINE_MAX, ReadError, Row, Value, Wrong, parse_value, shown};
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

/// What Windows programs begin a text with (U+FEFF in UTF-8).
const BYTE_ORDER_MARK: char = '\u{feff}';

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
            // What `vswitch logs` adds where several loggers have written.
            Self::Csv if name == "logger" => Some(None),
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
///
/// Several files in one (`cat`) are read as such: where a header line stands again, be it of another
/// profile, the rows below have its columns. Blank lines are passed over, values may stand in quotes
/// (RFC 4180), lines may end as Windows ends them.
#[derive(Debug)]
pub struct TextReader<R> {
    input: R,
    file: Arc<str>,
    line: u64,
    dialect: Dialect,
    /// The header line as it stands there.
    header: Arc<str>,
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
            header: "".into(),
            columns: Arc::new([]),
            fields: Arc::new([]),
            buffer: Vec::new(),
            ended: false,
        };
        let header = match reader.next_line()? {
            Some(line) => Header::parse(line),
            None => Err(Wrong::NoHeader),
        };
        match header {
            Ok(header) => {
                reader.turn_to(header);
                Ok(reader)
            }
            Err(wrong) => Err(reader.wrong(wrong)),
        }
    }

    /// The rows from here on have these columns.
    fn turn_to(&mut self, header: Header) {
        self.dialect = header.dialect;
        self.header = header.line;
        self.fields = header.columns.iter().copied().flatten().collect();
        self.columns = header.columns.into();
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
        loop {
            let (fields, columns) = (Arc::clone(&self.fields), Arc::clone(&self.columns));
            let (dialect, header) = (self.dialect, Arc::clone(&self.header));
            let line = match self.next_line() {
                Ok(Some(line)) => Line::parse(line, dialect, &columns, &header),
                Ok(None) => {
                    self.ended = true;
                    return None;
                }
                Err(error) => return Some(Err(error)),
            };
            match line {
                Line::Row(values) => return Some(Ok(Row { fields, values })),
                Line::Header(header) => self.turn_to(header),
                Line::Blank => {}
                Line::Wrong(wrong) => return Some(Err(self.wrong(wrong))),
            }
        }
    }
}

/// What a line below the first one is.
enum Line {
    Row(Vec<Value>),
    /// Another file begins.
    Header(Header),
    Blank,
    Wrong(Wrong),
}

impl Line {
    fn parse(line: &str, dialect: Dialect, columns: &[Option<Field>], header: &str) -> Self {
        if line.is_empty() && columns.len() > 1 {
            return Self::Blank;
        }
        let is_same = line.trim_start_matches(BYTE_ORDER_MARK) == header;
        let row = match is_same {
            true => Err(Wrong::NoHeader),
            false => parse_row(dialect, columns, line),
        };
        // No row of ids, numbers and addresses has the names of columns in their places.
        match row {
            Ok(values) => Self::Row(values),
            Err(wrong) => Header::parse(line).map_or(Self::Wrong(wrong), Self::Header),
        }
    }
}

/// A header line.
struct Header {
    line: Arc<str>,
    dialect: Dialect,
    columns: Vec<Option<Field>>,
}

impl Header {
    fn parse(line: &str) -> Result<Self, Wrong> {
        let line = line.trim_start_matches(BYTE_ORDER_MARK);
        let dialect = Dialect::of(line);
        let mut columns = Vec::new();
        for name in cells(dialect, line) {
            let field = dialect
                .field(&name)
                .ok_or_else(|| Wrong::Column(shown(&name)))?;
            if let Some(twice) = field.filter(|_| columns.contains(&field)) {
                return Err(Wrong::ColumnTwice(twice));
            }
            columns.push(field);
        }
        Ok(Self {
            line: line.into(),
            dialect,
            columns,
        })
    }
}

fn parse_row(dialect: Dialect, columns: &[Option<Field>], line: &str) -> Result<Vec<Value>, Wrong> {
    if dialect == Dialect::Csv && line.contains(QUOTE) {
        let cells = quoted(line);
        return parse_cells(dialect, columns, cells.iter().map(String::as_str));
    }
    parse_cells(dialect, columns, line.split(dialect.separator()))
}

fn parse_cells<'a>(
    dialect: Dialect,
    columns: &[Option<Field>],
    cells: impl Iterator<Item = &'a str> + Clone,
) -> Result<Vec<Value>, Wrong> {
    let found = cells.clone().count();
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
            text: shown(text),
        }))
    };
    columns.iter().zip(cells).filter_map(value).collect()
}

const QUOTE: char = '"';

/// The names of a header line.
fn cells(dialect: Dialect, line: &str) -> Vec<String> {
    match dialect == Dialect::Csv && line.contains(QUOTE) {
        true => quoted(line),
        false => line.split(dialect.separator()).map(str::to_owned).collect(),
    }
}

/// The values of a line in which some stand in quotes; within them a quote is written twice.
fn quoted(line: &str) -> Vec<String> {
    let mut cells = vec![String::new()];
    let mut is_inside = false;
    let mut characters = line.chars().peekable();
    while let Some(c) = characters.next() {
        let cell = cells.last_mut().expect("begun with one");
        match (c, is_inside) {
            (QUOTE, true) if characters.next_if_eq(&QUOTE).is_some() => cell.push(QUOTE),
            (QUOTE, true) => is_inside = false,
            (QUOTE, false) if cell.is_empty() => is_inside = true,
            (',', false) => cells.push(String::new()),
            _ => cell.push(c),
        }
    }
    cells
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each row as `field=value`, or what is wrong with it.
    fn rows(text: &str) -> Vec<String> {
        let reader = TextReader::new("x", text.as_bytes()).unwrap();
        let told = |row: Result<Row, ReadError>| match row {
            Ok(row) => {
                let cells = row.fields().iter().zip(row.values());
                let cells: Vec<_> = cells
                    .map(|(field, value)| format!("{field}={value}"))
                    .collect();
                cells.join(" ")
            }
            Err(error) => error.to_string(),
        };
        reader.map(told).collect()
    }

    #[test]
    fn several_files_in_one_are_read_each_with_its_own_columns() {
        let text = "packets,filter\n1,DROP\npackets,filter\n2,ACCEPT\n\nreason,packets\nrule,3\n\
                    version srcaddr packets\n2 10.0.0.1 4\npackets\n5\n";
        let expected = [
            "packets=1 filter=DROP",
            "packets=2 filter=ACCEPT",
            "reason=rule packets=3",
            "src_addr=10.0.0.1 packets=4",
            "packets=5",
        ];
        assert_eq!(rows(text), expected);
    }

    #[test]
    fn a_byte_order_mark_and_the_line_ends_of_windows_do_not_matter_wherever_they_stand() {
        let text = "\u{feff}packets,filter\r\n1,DROP\r\n\u{feff}packets,filter\r\n2,DROP\r\n";
        assert_eq!(
            rows(text),
            ["packets=1 filter=DROP", "packets=2 filter=DROP"]
        );
    }

    #[test]
    fn values_and_names_may_stand_in_quotes() {
        let text = "\"interface_name\",packets\n\"a,\"\"b\"\"\",1\nplain,\"2\"\n";
        let expected = [
            "interface_name=a,\"b\" packets=1",
            "interface_name=plain packets=2",
        ];
        assert_eq!(rows(text), expected);
    }

    #[test]
    fn a_row_that_is_wrong_is_none_of_a_header_and_what_a_message_repeats_is_short() {
        let long = "y".repeat(5000);
        let told = rows(&format!("packets,filter\n1\nx,{long}\n2,DROP\n"));
        assert!(
            told[0].contains("1 values, but the header has 2"),
            "{told:?}"
        );
        assert!(
            told[1].contains("`x` is not a value of `packets`"),
            "{told:?}"
        );
        assert_eq!(told[2], "packets=2 filter=DROP");
        let error = TextReader::new("x", format!("{long}\n").as_bytes()).unwrap_err();
        assert!(error.to_string().len() < 1000);
    }

    #[test]
    fn the_column_of_loggers_that_logs_adds_is_read_over() {
        assert_eq!(rows("packets,logger\n1,a\n"), ["packets=1"]);
    }
}
