//! Where data goes: standard output, buffered, with or without colours.

use super::style::Style;
use super::table::Table;
use serde::Serialize;
use std::io::{self, BufWriter, StdoutLock, Write};

/// Standard output of one command.
#[derive(Debug)]
pub struct Output {
    out: BufWriter<StdoutLock<'static>>,
    style: Style,
}

impl Output {
    /// Takes standard output.
    #[must_use]
    pub fn stdout() -> Self {
        let out = io::stdout().lock();
        let style = Style::of(&out);
        Self {
            out: BufWriter::new(out),
            style,
        }
    }

    /// How text is painted here.
    #[must_use]
    pub const fn style(&self) -> Style {
        self.style
    }

    /// Writes a value as indented JSON.
    ///
    /// # Errors
    /// What standard output says.
    pub fn json(&mut self, value: &impl Serialize) -> io::Result<()> {
        serde_json::to_writer_pretty(&mut self.out, value)?;
        writeln!(self.out)
    }

    /// Writes a value as one line of JSON, at once.
    ///
    /// # Errors
    /// What standard output says.
    pub fn json_line(&mut self, value: &impl Serialize) -> io::Result<()> {
        serde_json::to_writer(&mut self.out, value)?;
        writeln!(self.out)
    }

    /// Writes a table.
    ///
    /// # Errors
    /// What standard output says.
    pub fn table(&mut self, table: &Table) -> io::Result<()> {
        table.write(&mut self.out, self.style)
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.out.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
