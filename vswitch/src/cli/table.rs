//! Tables for people: aligned columns, two blanks between them, no frame, so that `grep` and `awk` work.

use super::plain::escaped;
use super::style::{Paint, Style};
use std::borrow::Cow;
use std::io;

/// Blanks between columns.
const GAP: &str = "  ";

/// Where a column's values stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Align {
    /// Words.
    Left,
    /// Numbers.
    Right,
}

/// One value and how it looks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cell {
    text: String,
    paint: Paint,
}

impl Cell {
    /// A value with a colour.
    #[must_use]
    pub fn painted(paint: Paint, text: impl ToString) -> Self {
        Self {
            text: one_line(text.to_string()),
            paint,
        }
    }

    /// The value.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// How it looks.
    #[must_use]
    pub const fn paint(&self) -> Paint {
        self.paint
    }

    /// A counter: nothing is worth no attention.
    #[must_use]
    pub fn count(number: u64) -> Self {
        Self::painted(
            if number == 0 {
                Paint::Faint
            } else {
                Paint::Plain
            },
            number,
        )
    }

    /// A counter of what should not happen.
    #[must_use]
    pub fn loss(number: u64) -> Self {
        Self::painted(
            if number == 0 {
                Paint::Faint
            } else {
                Paint::Warn
            },
            number,
        )
    }
}

impl<T: ToString> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::painted(Paint::Plain, text)
    }
}

/// A value that would break the table's lines, or act on the terminal, is escaped.
fn one_line(text: String) -> String {
    match escaped(&text) {
        Cow::Owned(plain) => plain,
        Cow::Borrowed(_) => text,
    }
}

/// A table in the making.
#[derive(Debug, Clone)]
pub struct Table {
    columns: Vec<(&'static str, Align)>,
    rows: Vec<Vec<Cell>>,
}

impl Table {
    /// A table without rows.
    #[must_use]
    pub fn new(columns: &[(&'static str, Align)]) -> Self {
        Self {
            columns: columns.to_vec(),
            rows: Vec::new(),
        }
    }

    /// Titles of the columns, and where their values stand.
    #[must_use]
    pub fn columns(&self) -> &[(&'static str, Align)] {
        &self.columns
    }

    /// The rows, a cell per column.
    #[must_use]
    pub fn rows(&self) -> &[Vec<Cell>] {
        &self.rows
    }

    /// Adds a row: a cell per column. Missing ones are empty, superfluous ones are not shown.
    pub fn row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        let mut cells: Vec<Cell> = cells.into_iter().take(self.columns.len()).collect();
        cells.resize_with(self.columns.len(), || Cell::from(""));
        self.rows.push(cells);
    }

    /// Writes the heading and the rows; nothing at all for a table without rows.
    ///
    /// # Errors
    /// What `out` says.
    pub fn write(&self, out: &mut dyn io::Write, style: Style) -> io::Result<()> {
        if self.rows.is_empty() {
            return Ok(());
        }
        let widths = self.widths();
        let heading: Vec<Cell> = self
            .columns
            .iter()
            .map(|(title, _)| Cell::painted(Paint::Strong, title))
            .collect();
        for row in std::iter::once(&heading).chain(&self.rows) {
            self.write_row(out, style, row, &widths)?;
        }
        Ok(())
    }

    /// Characters of each column's widest value or title.
    #[must_use]
    pub fn widths(&self) -> Vec<usize> {
        let mut widths: Vec<usize> = self
            .columns
            .iter()
            .map(|(title, _)| title.chars().count())
            .collect();
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.text.chars().count());
            }
        }
        widths
    }

    fn write_row(
        &self,
        out: &mut dyn io::Write,
        style: Style,
        row: &[Cell],
        widths: &[usize],
    ) -> io::Result<()> {
        let last = row
            .iter()
            .rposition(|cell| !cell.text.is_empty())
            .unwrap_or(0);
        for (place, (cell, &width)) in row.iter().zip(widths).enumerate().take(last + 1) {
            let gap = if place == 0 { "" } else { GAP };
            let painted = style.paint(cell.paint, &cell.text);
            match self.columns[place].1 {
                Align::Right => write!(out, "{gap}{painted:>width$}")?,
                // Nothing is padded at the end of a line.
                Align::Left if place == last => write!(out, "{gap}{painted}")?,
                Align::Left => write!(out, "{gap}{painted:<width$}")?,
            }
        }
        writeln!(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(table: &Table) -> String {
        let mut out = Vec::new();
        table.write(&mut out, Style::PLAIN).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_value_and_lines_end_without_blanks() {
        let mut table = Table::new(&[
            ("PORT", Align::Left),
            ("RX", Align::Right),
            ("STATE", Align::Left),
        ]);
        table.row(["vm1".into(), Cell::count(7), "up".into()]);
        table.row(["bastion".into(), Cell::count(12345), "".into()]);
        assert_eq!(
            text(&table),
            "PORT        RX  STATE\nvm1          7  up\nbastion  12345\n"
        );
    }

    #[test]
    fn a_table_without_rows_writes_nothing() {
        assert_eq!(text(&Table::new(&[("PORT", Align::Left)])), "");
    }

    #[test]
    fn a_value_cannot_break_the_line_or_talk_to_the_terminal() {
        let mut table = Table::new(&[("NAME", Align::Left)]);
        table.row(["a\nb\x1b[31mc".into()]);
        assert_eq!(text(&table), "NAME\na\\nb\\u{1b}[31mc\n");
    }

    #[test]
    fn rows_of_the_wrong_width_are_cut_or_filled() {
        let mut table = Table::new(&[("A", Align::Left), ("B", Align::Left)]);
        table.row(["1".into()]);
        table.row(["1".into(), "2".into(), "3".into()]);
        assert_eq!(text(&table), "A  B\n1\n1  2\n");
    }
}
