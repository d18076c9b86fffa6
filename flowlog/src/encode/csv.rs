//! CSV: a header line with the field names, commas, `\n`. No value ever needs quoting.

use super::Encoder;
use crate::{Field, PortInfo, Record};
use std::{io, sync::Arc};

/// Bytes gathered before they are written to the file.
const BUFFER: usize = 256 * 1024;

/// Room beyond the buffer for the row that fills it: the longest row of all fields fits.
const ROW_MAX: usize = 4096;

/// A CSV file in the making.
pub(super) struct Csv<'a> {
    columns: Vec<Columns<'a>>,
    /// Whose values stand in the columns of the port.
    port: Option<Arc<PortInfo>>,
    buffer: Vec<u8>,
    file: &'a mut dyn io::Write,
}

/// Columns side by side.
enum Columns<'a> {
    /// Of the port: their text, commas included, is made once for all its records, which follow
    /// each other. It is more than half of a row.
    Port { fields: &'a [Field], text: Vec<u8> },
    /// Of the record: made for each.
    Record(&'a [Field]),
}

impl<'a> Csv<'a> {
    /// Begins with the header line.
    pub(super) fn begin(fields: &'a [Field], file: &'a mut dyn io::Write) -> Self {
        let mut buffer = Vec::with_capacity(BUFFER + ROW_MAX);
        for field in fields {
            buffer.extend_from_slice(field.name().as_bytes());
            buffer.push(b',');
        }
        end_line(&mut buffer);
        let columns = fields
            .chunk_by(|a, b| a.is_of_port() == b.is_of_port())
            .map(|fields| match fields {
                [first, ..] if first.is_of_port() => Columns::Port {
                    fields,
                    text: Vec::new(),
                },
                _ => Columns::Record(fields),
            })
            .collect();
        Self {
            columns,
            port: None,
            buffer,
            file,
        }
    }

    /// Makes the text of the port's columns anew where another port's records begin.
    fn turn_to_port(&mut self, record: &Record) {
        if self
            .port
            .as_ref()
            .is_some_and(|port| Arc::ptr_eq(port, &record.port))
        {
            return;
        }
        for columns in &mut self.columns {
            if let Columns::Port { fields, text } = columns {
                text.clear();
                write_values(fields, record, text);
            }
        }
        self.port = Some(Arc::clone(&record.port));
    }
}

impl Encoder for Csv<'_> {
    fn row(&mut self, record: &Record) -> io::Result<()> {
        self.turn_to_port(record);
        for columns in &self.columns {
            match columns {
                Columns::Port { text, .. } => self.buffer.extend_from_slice(text),
                Columns::Record(fields) => write_values(fields, record, &mut self.buffer),
            }
        }
        end_line(&mut self.buffer);
        if self.buffer.len() >= BUFFER {
            self.file.write_all(&self.buffer)?;
            self.buffer.clear();
        }
        Ok(())
    }

    fn finish(self: Box<Self>) -> io::Result<()> {
        self.file.write_all(&self.buffer)
    }
}

/// Appends values, a comma behind each.
fn write_values(fields: &[Field], record: &Record, out: &mut Vec<u8>) {
    for field in fields {
        field.write(record, out);
        out.push(b',');
    }
}

/// Turns the comma behind the last value into the end of the line.
fn end_line(buffer: &mut [u8]) {
    if let Some(last) = buffer.last_mut() {
        *last = b'\n';
    }
}
