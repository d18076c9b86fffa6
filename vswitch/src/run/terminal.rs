//! The terminal that the daemon was started from.

use std::io::{IsTerminal, stderr, stdin, stdout};

/// Whether a standard stream is a terminal, and was one.
#[derive(Debug)]
pub(super) struct Terminal {
    is_open: bool,
}

impl Terminal {
    /// Looks at the standard streams.
    pub(super) fn find() -> Self {
        Self {
            is_open: is_there(),
        }
    }

    /// Whether it was closed since; true once. The kernel then sends SIGHUP, with which nobody asks for a
    /// reload.
    pub(super) fn has_closed(&mut self) -> bool {
        let has_closed = self.is_open && !is_there();
        self.is_open &= !has_closed;
        has_closed
    }
}

/// A terminal that was closed answers every question with an error.
fn is_there() -> bool {
    stdin().is_terminal() || stdout().is_terminal() || stderr().is_terminal()
}
