//! How far a long reading has come, on standard error.

use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

/// What takes no longer is not worth a line.
const QUIET: Duration = Duration::from_secs(1);

/// Time between two lines.
const EVERY: Duration = Duration::from_millis(200);

/// One line that replaces itself, and is gone when the reading is.
#[derive(Debug)]
pub(super) struct Progress {
    /// When the next line is due; never where nobody looks, or where it would run into the records.
    due: Option<Instant>,
    shown: bool,
}

impl Progress {
    /// `is_printing`: records go to standard output while they are read.
    pub(super) fn new(is_printing: bool) -> Self {
        let mixed = is_printing && io::stdout().is_terminal();
        let due = (io::stderr().is_terminal() && !mixed).then(|| Instant::now() + QUIET);
        Self { due, shown: false }
    }

    /// Shows this if it is time.
    pub(super) fn show(&mut self, what: impl FnOnce() -> String) {
        let now = Instant::now();
        if self.due.is_none_or(|due| now < due) {
            return;
        }
        self.due = Some(now + EVERY);
        self.shown = true;
        // Without a place to show it nothing is lost.
        let _ = write!(io::stderr(), "\r\x1b[K{}", what());
    }

    /// Removes the line, so that something else can be written.
    pub(super) fn clear(&mut self) {
        if std::mem::take(&mut self.shown) {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.clear();
    }
}

/// Bytes for people.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bytes(pub u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
        let (mut size, mut unit) = (self.0 as f64 / 1024.0, 0);
        while size >= 1024.0 && unit + 1 < UNITS.len() {
            size /= 1024.0;
            unit += 1;
        }
        write!(f, "{size:.1} {}", UNITS[unit])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_told_in_the_unit_that_fits() {
        for (bytes, text) in [
            (512, "0.5 KiB"),
            (3 << 20, "3.0 MiB"),
            (1536 << 30, "1.5 TiB"),
        ] {
            assert_eq!(Bytes(bytes).to_string(), text);
        }
    }
}
