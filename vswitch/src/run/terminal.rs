//! The terminal that the daemon was started from.

use std::io::{IsTerminal, stderr, stdin, stdout};
use std::time::{Duration, Instant};

/// How long after the closing of the terminal its SIGHUP is waited for: a shell passes on what it gets.
const PATIENCE: Duration = Duration::from_secs(2);

/// Whether a standard stream is a terminal, or when it ceased to be one.
#[derive(Debug)]
pub(super) struct Terminal {
    is_open: bool,
    /// When it was found closed, until its SIGHUP has come.
    closed: Option<Instant>,
}

impl Terminal {
    /// Looks at the standard streams.
    pub(super) fn find() -> Self {
        Self {
            is_open: is_there(),
            closed: None,
        }
    }

    /// Notices that it was closed. To be called often: a closing without SIGHUP (`disown`) is otherwise found
    /// with the first SIGHUP that asks for a reload.
    pub(super) fn look(&mut self) {
        if self.is_open && !is_there() {
            self.is_closed(Instant::now());
        }
    }

    /// Whether a SIGHUP comes from its closing, and asks for no reload; true once.
    pub(super) fn hangs_up(&mut self) -> bool {
        self.look();
        self.hung_up(Instant::now())
    }

    fn is_closed(&mut self, now: Instant) {
        (self.is_open, self.closed) = (false, Some(now));
    }

    fn hung_up(&mut self, now: Instant) -> bool {
        let closed = self.closed.take();
        closed.is_some_and(|closed| now.duration_since(closed) < PATIENCE)
    }
}

/// A terminal that was closed answers every question with an error.
fn is_there() -> bool {
    stdin().is_terminal() || stdout().is_terminal() || stderr().is_terminal()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_sighup_belongs_to_a_terminal_that_was_closed_and_none_that_comes_later() {
        let open = || Terminal {
            is_open: true,
            closed: None,
        };
        let (closed, soon) = (Instant::now(), Duration::from_millis(50));
        let mut terminal = open();
        assert!(!terminal.hung_up(closed), "it is open");
        terminal.is_closed(closed);
        assert!(terminal.hung_up(closed + soon));
        assert!(!terminal.hung_up(closed + soon), "the next is a reload");
        // Of a job that the shell has disowned, nothing hears of the closing.
        let mut disowned = open();
        disowned.is_closed(closed);
        assert!(!disowned.hung_up(closed + PATIENCE));
    }
}
