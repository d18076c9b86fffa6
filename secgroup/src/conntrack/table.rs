//! The table.

use super::{Conn, Key, TcpWindow};

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
#[derive(Debug)]
pub struct Table<A, T> {
    _a: std::marker::PhantomData<(A, T)>,
}

impl<A: Copy + Eq + std::hash::Hash, T: Copy> Table<A, T> {
    /// An empty table for up to `capacity` entries; `seed` keys the hash.
    #[must_use]
    pub fn new(_capacity: u32, _seed: u64) -> Self { todo!() }
    /// The keyed hash of a key; pure, so that it can be taken outside the lock.
    #[inline]
    #[must_use]
    pub fn hash(&self, _key: &Key<A>, _protocol: u8) -> u64 { todo!() }
    /// Touches the memory that [`Self::find`] of this hash will read.
    #[inline]
    pub fn prefetch(&self, _hash: u64) { todo!() }
    /// The entry of a key.
    #[inline]
    #[must_use]
    pub fn find(&self, _hash: u64, _key: &Key<A>, _protocol: u8) -> Option<Slot> { todo!() }
    /// The entry in a slot.
    #[inline]
    #[must_use]
    pub fn entry(&self, _slot: Slot) -> &Entry<A, T> { todo!() }
    /// The entry in a slot, to be changed.
    #[inline]
    pub fn entry_mut(&mut self, _slot: Slot) -> &mut Entry<A, T> { todo!() }
    /// The 24 bytes beside the entry.
    #[inline]
    #[must_use]
    pub fn window(&self, _slot: Slot) -> &TcpWindow { todo!() }
    /// The 24 bytes beside the entry, to be changed.
    #[inline]
    pub fn window_mut(&mut self, _slot: Slot) -> &mut TcpWindow { todo!() }
    /// Puts a new entry in; `None` when the table is full. The key must not be in the table.
    pub fn insert(&mut self, _hash: u64, _conn: Conn<A>, _with: T) -> Option<Slot> { todo!() }
    /// Takes an entry out.
    pub fn remove(&mut self, _slot: Slot) -> Entry<A, T> { todo!() }
    /// Looks at up to `budget` entries from a moving hand for one that `fits`; for eviction.
    pub fn victim(&mut self, _budget: usize, _fits: impl FnMut(&Entry<A, T>) -> bool) -> Option<Slot> { todo!() }
    /// The live slots among `range` of the arena, for a sweep in slices; the arena's length is [`Self::arena_len`].
    pub fn slots_in(&self, _range: std::ops::Range<u32>) -> impl Iterator<Item = Slot> + '_ { std::iter::empty() }
    /// Slots ever used: the sweep's end.
    #[must_use]
    pub fn arena_len(&self) -> u32 { todo!() }
    /// Live entries.
    #[must_use]
    pub fn len(&self) -> u32 { todo!() }
    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool { self.len() == 0 }
    /// Greatest number of entries.
    #[must_use]
    pub fn capacity(&self) -> u32 { todo!() }
}
