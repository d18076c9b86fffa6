//! Text: a header line with the columns' names, one line for each record, `\n`. No value ever needs
//! quoting.

use super::{Encoder, packed::Packed};
use crate::{Field, PortInfo, Record};
use std::{io, sync::Arc};

/// Bytes gathered before they are written on.
const BUFFER: usize = 256 * 1024;

/// Room beyond the buffer for the row that fills it: the longest row of all fields fits.
const ROW_MAX: usize = 4096;

/// What stands between two values, and for one that there is not.
#[derive(Debug, Clone, Copy)]
pub(super) struct Dialect {
    separator: u8,
    missing: &'static [u8],
}

/// CSV.
pub(super) const COMMA: Dialect = Dialect {
    separator: b',',
    missing: b"",
};

/// AWS.
pub(super) const SPACE: Dialect = Dialect {
    separator: b' ',
    missing: b"-",
};

/// A column of a text file.
pub(super) trait Column {
    /// As the header line has it.
    fn name(&self) -> &'static str;

    /// Whether all records of a port have the same value.
    fn is_of_port(&self) -> bool;

    /// Appends the record's value; nothing where it has none.
    fn write(&self, record: &Record, out: &mut Vec<u8>);
}

impl Column for Field {
    fn name(&self) -> &'static str {
        (*self).name()
    }

    fn is_of_port(&self) -> bool {
        (*self).is_of_port()
    }

    #[inline]
    fn write(&self, record: &Record, out: &mut Vec<u8>) {
        (*self).write(record, out);
    }
}

/// A text file in the making.
pub(super) struct Text<'a, C> {
    dialect: Dialect,
    groups: Vec<Group<C>>,
    /// Whose values stand in the columns of the port.
    port: Option<Arc<PortInfo>>,
    buffer: Vec<u8>,
    file: Packed<'a>,
}

/// Columns side by side.
enum Group<C> {
    /// Of the port: their text, separators included, is made once for all its records, which follow
    /// each other. It is more than half of a row.
    Port { columns: Vec<C>, text: Vec<u8> },
    /// Of the record: made for each.
    Record(Vec<C>),
}

impl<'a, C: Column> Text<'a, C> {
    /// Begins with the header line.
    pub(super) fn begin(columns: Vec<C>, dialect: Dialect, file: Packed<'a>) -> Self {
        let mut buffer = Vec::with_capacity(BUFFER + ROW_MAX);
        for column in &columns {
            buffer.extend_from_slice(column.name().as_bytes());
            buffer.push(dialect.separator);
        }
        end_line(&mut buffer);
        Self {
            dialect,
            groups: grouped(columns),
            port: None,
            buffer,
            file,
        }
    }

    /// Makes the text of the port's columns anew where another port's records begin.
    fn turn_to_port(&mut self, record: &Record) {
        let is_same = |port| Arc::ptr_eq(port, &record.port);
        if self.port.as_ref().is_some_and(is_same) {
            return;
        }
        for group in &mut self.groups {
            if let Group::Port { columns, text } = group {
                text.clear();
                write_values(columns, self.dialect, record, text);
            }
        }
        self.port = Some(Arc::clone(&record.port));
    }
}

impl<C: Column> Encoder for Text<'_, C> {
    fn row(&mut self, record: &Record) -> io::Result<()> {
        self.turn_to_port(record);
        for group in &self.groups {
            match group {
                Group::Port { text, .. } => self.buffer.extend_from_slice(text),
                Group::Record(columns) => {
                    write_values(columns, self.dialect, record, &mut self.buffer);
                }
            }
        }
        end_line(&mut self.buffer);
        if self.buffer.len() >= BUFFER {
            self.file.write(&self.buffer)?;
            self.buffer.clear();
        }
        Ok(())
    }

    fn finish(self: Box<Self>) -> io::Result<()> {
        let Self {
            mut file, buffer, ..
        } = *self;
        file.write(&buffer)?;
        file.finish()
    }
}

fn grouped<C: Column>(columns: Vec<C>) -> Vec<Group<C>> {
    let mut groups: Vec<Group<C>> = Vec::new();
    for column in columns {
        match (column.is_of_port(), groups.last_mut()) {
            (true, Some(Group::Port { columns, .. })) | (false, Some(Group::Record(columns))) => {
                columns.push(column);
            }
            (true, _) => groups.push(Group::Port {
                columns: vec![column],
                text: Vec::new(),
            }),
            (false, _) => groups.push(Group::Record(vec![column])),
        }
    }
    groups
}

/// Appends values, a separator behind each.
fn write_values<C: Column>(columns: &[C], dialect: Dialect, record: &Record, out: &mut Vec<u8>) {
    for column in columns {
        let before = out.len();
        column.write(record, out);
        if out.len() == before {
            out.extend_from_slice(dialect.missing);
        }
        out.push(dialect.separator);
    }
}

/// Turns the separator behind the last value into the end of the line.
fn end_line(buffer: &mut [u8]) {
    if let Some(last) = buffer.last_mut() {
        *last = b'\n';
    }
}
