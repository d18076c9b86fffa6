//! The table: an index over an arena.

use super::{
    Conn, Key, KeyAddress, TcpWindow,
    arena::{Arena, Spare},
    hash::Seed,
    index::{Index, MAX_CAPACITY},
};
use std::{fmt, ops::Range};

/// What is told of memory that a table is about to use.
pub type Advise = fn(Range<*const u8>);

/// A place in the table; valid until that entry is removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Slot(pub u32);

/// A connection and what the switch attaches to it.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct Entry<A, T> {
    /// The connection.
    pub conn: Conn<A>,
    /// What the switch attaches.
    pub with: T,
}

/// A hash table of fixed capacity over a flat arena of entries.
///
/// An IPv4 entry with 32 bytes attached costs 96.2 bytes at capacity: 64 for itself, 24 for its TCP
/// window, 8 of the index, a bit. Memory becomes resident with use; nothing is copied to grow.
pub struct Table<A, T> {
    index: Index,
    arena: Arena<A, T>,
    seed: Seed,
    capacity: u32,
    live: u32,
    /// Where [`Self::victim`] looks next.
    hand: u32,
}

impl<A: KeyAddress, T: Copy> Table<A, T> {
    /// An empty table for up to `capacity` entries, at most 67,108,864; `seed` keys the hash.
    #[must_use]
    pub fn new(capacity: u32, seed: u64) -> Self {
        Self::with_advice(capacity, seed, |_| {})
    }

    /// As [`Self::new`]; `advise` is told the addresses of every large piece of memory before it is used, for
    /// who wants to have it in huge pages.
    #[must_use]
    pub fn with_advice(capacity: u32, seed: u64, advise: Advise) -> Self {
        let capacity = capacity.min(MAX_CAPACITY);
        Self {
            index: Index::new(capacity, advise),
            arena: Arena::new(capacity, advise),
            seed: Seed::new(seed),
            capacity,
            live: 0,
            hand: 0,
        }
    }

    /// The hash of a key, keyed with this table's seed.
    #[inline]
    #[must_use]
    pub fn hash(&self, key: &Key<A>, protocol: u8) -> u64 {
        self.seed.hash(key, protocol)
    }

    /// The cache line of the index that [`Self::find`] of this hash will read, to be fetched ahead.
    #[inline]
    #[must_use]
    pub fn first_look(&self, hash: u64) -> &[u32; 16] {
        self.index.first_look(hash)
    }

    /// What [`Self::find`] of this hash will likely yield, by its tag alone, and the 24 bytes beside it: to be
    /// fetched ahead. Reads the index, not the entry.
    #[inline]
    #[must_use]
    pub fn likely(&self, hash: u64) -> Option<(&Entry<A, T>, &TcpWindow)> {
        let slot = self.index.find(hash, |_| true)?;
        Some(self.arena.pair(slot))
    }

    /// The entry of a key.
    #[inline]
    #[must_use]
    pub fn find(&self, hash: u64, key: &Key<A>, protocol: u8) -> Option<Slot> {
        let is_it = |slot| {
            let conn = &self.arena.entry(slot).conn;
            conn.key.addr == key.addr && conn.key.rest() == key.rest() && conn.protocol == protocol
        };
        self.index.find(hash, is_it).map(Slot)
    }

    /// The entry in a slot.
    #[inline]
    #[must_use]
    pub fn entry(&self, slot: Slot) -> &Entry<A, T> {
        self.arena.entry(slot.0)
    }

    /// The entry in a slot that may have been removed: `None` where nothing lives.
    #[must_use]
    pub fn live(&self, slot: Slot) -> Option<&Entry<A, T>> {
        let lives = self.arena.live_near(slot.0).0 == Some(slot.0);
        lives.then(|| self.arena.entry(slot.0))
    }

    /// The entry in a slot, to be changed. The key and the protocol must stay as they are.
    #[inline]
    pub fn entry_mut(&mut self, slot: Slot) -> &mut Entry<A, T> {
        self.arena.entry_mut(slot.0)
    }

    /// The entry in a slot and the 24 bytes beside it.
    #[inline]
    #[must_use]
    pub fn pair(&self, slot: Slot) -> (&Entry<A, T>, &TcpWindow) {
        self.arena.pair(slot.0)
    }

    /// As [`Self::pair`], to be changed as [`Self::entry_mut`] says.
    #[inline]
    pub fn pair_mut(&mut self, slot: Slot) -> (&mut Entry<A, T>, &mut TcpWindow) {
        self.arena.pair_mut(slot.0)
    }

    /// The 24 bytes beside the entry.
    #[inline]
    #[must_use]
    pub fn window(&self, slot: Slot) -> &TcpWindow {
        self.arena.window(slot.0)
    }

    /// The 24 bytes beside the entry, to be changed.
    #[inline]
    pub fn window_mut(&mut self, slot: Slot) -> &mut TcpWindow {
        self.arena.window_mut(slot.0)
    }

    /// Puts a new entry in, its 24 bytes zero; `None` when the table is full. The key must not be in
    /// the table.
    pub fn insert(&mut self, hash: u64, conn: Conn<A>, with: T) -> Option<Slot> {
        debug_assert!(
            self.find(hash, &conn.key, conn.protocol).is_none(),
            "a key stands once"
        );
        if self.live == self.capacity {
            return None;
        }
        let slot = self.arena.put(Entry { conn, with });
        self.index.insert(hash, slot);
        self.live += 1;
        Some(Slot(slot))
    }

    /// Takes a live entry out.
    pub fn remove(&mut self, slot: Slot) -> Entry<A, T> {
        let conn = &self.arena.entry(slot.0).conn;
        let hash = self.seed.hash(&conn.key, conn.protocol);
        self.index.remove(hash, slot.0);
        self.live -= 1;
        self.arena.take(slot.0)
    }

    /// Looks at up to `budget` entries from a moving hand for one that `fits`; for eviction. Sixty-four
    /// free slots in a row count as one entry.
    pub fn victim(
        &mut self,
        budget: usize,
        mut fits: impl FnMut(&Entry<A, T>) -> bool,
    ) -> Option<Slot> {
        for _ in 0..budget {
            let (live, next) = self.next_near(self.hand);
            self.hand = next;
            if let Some(slot) = live.filter(|slot| fits(self.arena.entry(*slot))) {
                return Some(Slot(slot));
            }
        }
        None
    }

    /// As [`Self::victim`], without moving the hand: for a decision that changes nothing.
    pub fn candidate(
        &self,
        budget: usize,
        mut fits: impl FnMut(Slot, &Entry<A, T>) -> bool,
    ) -> Option<Slot> {
        let mut hand = self.hand;
        for _ in 0..budget {
            let (live, next) = self.next_near(hand);
            hand = next;
            if let Some(slot) = live.filter(|slot| fits(Slot(*slot), self.arena.entry(*slot))) {
                return Some(Slot(slot));
            }
        }
        None
    }

    /// Moves the hand behind a candidate that was taken.
    pub fn move_hand_past(&mut self, slot: Slot) {
        self.hand = slot.0.saturating_add(1);
    }

    /// Moves the hand over as many entries as a vain search has looked at, so that the next one looks at
    /// others.
    pub fn move_hand(&mut self, budget: usize) {
        for _ in 0..budget {
            (_, self.hand) = self.next_near(self.hand);
        }
    }

    /// The entry at the hand, if it is live, and where the hand goes next.
    fn next_near(&self, hand: u32) -> (Option<u32>, u32) {
        self.arena
            .live_near(if hand >= self.arena.len() { 0 } else { hand })
    }

    /// The live slots among `range` of the arena, for a sweep in slices; the arena's length is
    /// [`Self::arena_len`].
    pub fn slots_in(&self, range: Range<u32>) -> impl Iterator<Item = Slot> + '_ {
        let end = range.end.min(self.arena_len());
        let mut from = range.start;
        std::iter::from_fn(move || {
            while from < end {
                let (live, next) = self.arena.live_near(from);
                from = next;
                if let Some(slot) = live {
                    return (slot < end).then_some(Slot(slot));
                }
            }
            None
        })
    }

    /// Slots ever used: the sweep's end.
    #[must_use]
    pub fn arena_len(&self) -> u32 {
        self.arena.len()
    }

    /// Live entries.
    #[must_use]
    pub const fn len(&self) -> u32 {
        self.live
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Greatest number of entries.
    #[must_use]
    pub const fn capacity(&self) -> u32 {
        self.capacity
    }

    /// Memory that runs empty after a peak, one chunk of 65,536 entries at a time: for the end of a
    /// sweep, to be dropped outside the lock.
    #[must_use]
    pub fn spare(&mut self) -> Option<Spare<A, T>> {
        self.arena.spare()
    }
}

/// The filling level only: entries are many.
impl<A, T> fmt::Debug for Table<A, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table")
            .field("live", &self.live)
            .field("capacity", &self.capacity)
            .finish()
    }
}

#[cfg(test)]
#[path = "table_tests.rs"]
mod tests;
