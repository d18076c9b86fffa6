//! The open window's log: what left the table, in chunks for the log thread.
//!
//! ```text
//!   leave ──▶ open chunk ───────────────┐ full, or window closed and swept
//!        └──▶ closing chunk (older) ────┴──▶ handed out ──▶ log thread: window → records → files
//! ```
//! At most two windows are in the table at a time: the sweep of a closed one is finished before the
//! next one closes. Chunks that nobody fetches are limited; past that, what leaves is counted as skipped.

use super::Attached;
use super::entry::Address;
use super::macs::MacPairs;
use flowlog::{Skipped, Window};
use secgroup::PortId;
use secgroup::conntrack::Entry;

/// Entries in a chunk: 1 MiB.
pub(super) const CHUNK_ENTRIES: usize = 16_384;

/// Chunks that may wait for the log thread: 256 MiB, over two million flows that nobody has fetched.
pub(super) const CHUNKS_WAITING_MAX: usize = 256;

/// What an entry was worth when it left, for the log thread: the entry itself, of IPv4 one cache line.
pub type Left<A> = Entry<A, Attached>;

/// One address family's part of a chunk.
#[derive(Debug)]
pub struct Share<A> {
    /// What left.
    pub left: Vec<Left<A>>,
    /// The MAC addresses of each, in the same order, while they are told apart; else empty.
    pub macs: Vec<MacPairs>,
}

impl<A> Default for Share<A> {
    fn default() -> Self {
        Self {
            left: Vec::new(),
            macs: Vec::new(),
        }
    }
}

/// A chunk in the making.
#[derive(Debug, Default)]
pub(super) struct Open {
    pub(super) v4: Share<[u8; 4]>,
    pub(super) v6: Share<[u8; 16]>,
}

impl Open {
    fn into_chunk(self, window: Window, closes: Option<Closing>) -> Chunk {
        Chunk {
            window,
            v4: self.v4,
            v6: self.v6,
            closes,
        }
    }
}

/// Part of what left the table in one window.
#[derive(Debug)]
pub struct Chunk {
    /// The window it belongs to.
    pub window: Window,
    /// What left of IPv4.
    pub v4: Share<[u8; 4]>,
    /// What left of IPv6: nothing unless a logger collects it.
    pub v6: Share<[u8; 16]>,
    /// Set on the window's last chunk.
    pub closes: Option<Closing>,
}

/// The end of a window: nothing more of it will come.
#[derive(Debug)]
pub struct Closing {
    /// What could not be recorded in it, per port.
    pub skipped: Vec<(PortId, Skipped)>,
    /// The window that is open now. It need not follow: the clock may have stepped.
    pub next: Window,
}

/// The door's other side.
#[derive(Debug)]
pub(super) struct Log {
    /// The open window.
    window: Window,
    open: Open,
    closing: Option<(Window, Open)>,
    waiting: Vec<Chunk>,
}

impl Log {
    /// A log whose first window is `window`.
    #[must_use]
    pub(super) fn new(window: Window) -> Self {
        Self {
            window,
            open: Open::default(),
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
    pub(super) fn take<A: Address>(&mut self, older: bool, left: Left<A>, macs: Option<MacPairs>) {
        let (window, open) = match (&mut self.closing, older) {
            (Some((window, open)), true) => (*window, open),
            _ => (self.window, &mut self.open),
        };
        let share = A::share(open);
        if let Some(macs) = macs {
            // What left before anybody asked has none.
            share.macs.resize(share.left.len(), MacPairs::default());
            share.macs.push(macs);
        }
        share.left.push(left);
        if share.left.len() >= CHUNK_ENTRIES {
            let full = std::mem::take(open);
            self.waiting.push(full.into_chunk(window, None));
        }
    }

    /// Makes what was taken so far ready, though its window stays open.
    pub(super) fn cut(&mut self) {
        let window = self.window;
        let open = std::mem::take(&mut self.open);
        self.waiting.push(open.into_chunk(window, None));
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
        if let Some((window, rest)) = self.closing.take() {
            let closing = Closing {
                skipped,
                next: self.window,
            };
            self.waiting.push(rest.into_chunk(window, Some(closing)));
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
