//! Where data goes: standard output, buffered, with or without colours.

use super::plain;
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
        let text = serde_json::to_string_pretty(value)?;
        writeln!(self, "{}", plain::json(&text))
    }

    /// Writes a value as one line of JSON, at once.
    ///
    /// # Errors
    /// What standard output says.
    pub fn json_line(&mut self, value: &impl Serialize) -> io::Result<()> {
        let text = serde_json::to_string(value)?;
        writeln!(self, "{}", plain::json(&text))
    }

    /// Writes a table.
    ///
    /// # Errors
    /// What standard output says.
    pub fn table(&mut self, table: &Table) -> io::Result<()> {
        let style = self.style;
        table.write(self, style)
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.out.write(bytes).map_err(unwritten)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush().map_err(unwritten)
    }
}

/// The same error, with what it is about. Of an interrupted call nobody is told: it is made again.
fn unwritten(error: io::Error) -> io::Error {
    if error.kind() == io::ErrorKind::Interrupted {
        return error;
    }
    io::Error::new(
        error.kind(),
        format!("cannot write to standard output: {error}"),
    )
}
