//! The open window's log: what left the table, in chunks for the log thread.
//!
//! ```text
//!   leave ──▶ open chunk ───────────────┐ full, or window closed and swept
//!        └──▶ closing chunk (older) ────┴──▶ handed out ──▶ log thread: window → records → files
//! ```
//! At most two windows are in the table at a time: the sweep of a closed one is finished before the
//! next one closes. Chunks that nobody fetches are limited; past that, what leaves is counted as skipped.

use super::step::Left;
use flowlog::{Skipped, Window};
use secgroup::PortId;

/// Entries in a chunk: 1 MiB.
pub(super) const CHUNK_ENTRIES: usize = 16_384;

/// Chunks that may wait for the log thread: 256 MiB, over two million flows that nobody has fetched.
pub(super) const CHUNKS_WAITING_MAX: usize = 256;

/// Part of what left the table in one window.
#[derive(Debug)]
pub struct Chunk {
    /// The window it belongs to.
    pub window: Window,
    /// What left.
    pub left: Vec<Left>,
    /// Set on the window's last chunk: nothing more will come, and this was skipped.
    pub closes: Option<Vec<(PortId, Skipped)>>,
}

/// The door's other side.
#[derive(Debug)]
pub(super) struct Log {
    /// The open window.
    window: Window,
    open: Vec<Left>,
    closing: Option<(Window, Vec<Left>)>,
    waiting: Vec<Chunk>,
}

impl Log {
    /// A log whose first window is `window`.
    #[must_use]
    pub(super) const fn new(window: Window) -> Self {
        Self {
            window,
            open: Vec::new(),
            closing: None,
            waiting: Vec::new(),
        }
    }

    /// The open window.
    #[inline]
    #[must_use]
    pub(super) const fn window(&self) -> Window {
        self.window
    }

    /// Whether a closed window still has tallies in the table.
    #[must_use]
    pub(super) const fn is_closing(&self) -> bool {
        self.closing.is_some()
    }

    /// Whether there is room for another entry; asked before it leaves.
    #[inline]
    #[must_use]
    pub(super) fn has_room(&self) -> bool {
        self.waiting.len() < CHUNKS_WAITING_MAX
    }

    /// Takes what left; `older`: it belongs to the window that is closing.
    #[inline]
    pub(super) fn take(&mut self, older: bool, left: Left) {
        let (window, chunk) = match (&mut self.closing, older) {
            (Some((window, chunk)), true) => (*window, chunk),
            _ => (self.window, &mut self.open),
        };
        chunk.push(left);
        if chunk.len() >= CHUNK_ENTRIES {
            let left = std::mem::take(chunk);
            self.waiting.push(Chunk {
                window,
                left,
                closes: None,
            });
        }
    }

    /// Makes what was taken so far ready, though its window stays open.
    pub(super) fn cut(&mut self) {
        let window = self.window;
        let left = std::mem::take(&mut self.open);
        self.waiting.push(Chunk {
            window,
            left,
            closes: None,
        });
    }

    /// Closes the open window and opens `next`. The window before must be finished.
    pub(super) fn close(&mut self, next: Window) {
        debug_assert!(
            self.closing.is_none(),
            "a window closes only after the sweep of the one before"
        );
        self.closing = Some((self.window, std::mem::take(&mut self.open)));
        self.window = next;
    }

    /// The sweep has found every tally of the closed window.
    pub(super) fn finish(&mut self, skipped: Vec<(PortId, Skipped)>) {
        if let Some((window, left)) = self.closing.take() {
            self.waiting.push(Chunk {
                window,
                left,
                closes: Some(skipped),
            });
        }
    }

    /// The chunks that are ready, oldest first.
    #[must_use]
    pub(super) fn fetch(&mut self) -> Vec<Chunk> {
        std::mem::take(&mut self.waiting)
    }

    /// Whether [`Self::fetch`] would give any.
    #[inline]
    #[must_use]
    pub(super) const fn is_ready(&self) -> bool {
        !self.waiting.is_empty()
    }
}
