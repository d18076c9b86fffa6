//! CSV: a header line with the field names, commas, `\n`. No value ever needs quoting.

use super::Encoder;
use crate::{Field, Record};
use std::io;

/// Bytes gathered before they are written to the file.
const BUFFER: usize = 256 * 1024;

/// Room beyond the buffer for the row that fills it: the longest row of all fields fits.
const ROW_MAX: usize = 4096;

/// A CSV file in the making.
pub(super) struct Csv<'a> {
    fields: &'a [Field],
    buffer: Vec<u8>,
    file: &'a mut dyn io::Write,
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
        Self {
            fields,
            buffer,
            file,
        }
    }
}

impl Encoder for Csv<'_> {
    fn row(&mut self, record: &Record) -> io::Result<()> {
        for field in self.fields {
            field.write(record, &mut self.buffer);
            self.buffer.push(b',');
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

/// Turns the comma behind the last value into the end of the line.
fn end_line(buffer: &mut [u8]) {
    if let Some(last) = buffer.last_mut() {
        *last = b'\n';
    }
}
