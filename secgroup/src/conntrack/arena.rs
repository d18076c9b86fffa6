//! Where entries live: chunks of groups, never moved.
//!
//! ```text
//!   chunk ─▶ group, group, …          up to 65,536 entries, reserved at once, resident with use
//!              └─▶ 8 entries, 8 TCP windows     eleven cache lines for IPv4, one page look-up
//! ```
//!
//! Growth opens another chunk and copies nothing. The lowest chunk with a free slot is filled first,
//! so that after a peak the last chunks run empty and can be given back.

use super::{Advise, Entry, TcpWindow};

/// Entries of a chunk: 5.5 MiB for IPv4.
const CHUNK: u32 = 1 << CHUNK_BITS;
const CHUNK_BITS: u32 = 16;
/// Entries of a group. A multiple of a cache line whatever the entry's size.
const GROUP: u32 = 8;
/// End of a free list.
const NONE: u32 = u32::MAX;

/// Aligned so that an entry of 64 bytes is one cache line.
#[repr(C, align(64))]
struct Group<A, T> {
    entries: [Entry<A, T>; GROUP as usize],
    windows: [TcpWindow; GROUP as usize],
}

/// A part of the arena. Slots in here are counted from its start.
struct Chunk<A, T> {
    groups: Vec<Group<A, T>>,
    /// One bit per slot.
    alive: Vec<u64>,
    /// Slots ever used.
    used: u32,
    live: u32,
    /// First free slot; each names the next one in its window.
    free: u32,
}

impl<A: Copy, T: Copy> Chunk<A, T> {
    fn new(capacity: u32, advise: Advise) -> Self {
        let capacity = capacity.min(CHUNK);
        let groups: Vec<Group<A, T>> = Vec::with_capacity(capacity.div_ceil(GROUP) as usize);
        let start = groups.as_ptr();
        advise(start.cast()..start.wrapping_add(groups.capacity()).cast());
        Self {
            groups,
            alive: vec![0; capacity.div_ceil(u64::BITS) as usize],
            used: 0,
            live: 0,
            free: NONE,
        }
    }

    fn is_full(&self) -> bool {
        self.free == NONE && self.used == CHUNK
    }

    fn put(&mut self, entry: Entry<A, T>) -> u32 {
        let slot = self.claim(&entry);
        let group = &mut self.groups[(slot / GROUP) as usize];
        group.entries[(slot % GROUP) as usize] = entry;
        group.windows[(slot % GROUP) as usize] = TcpWindow::default();
        self.alive[(slot / u64::BITS) as usize] |= 1 << (slot % u64::BITS);
        self.live += 1;
        slot
    }

    /// A slot off the free list, else the next one never used.
    fn claim(&mut self, filler: &Entry<A, T>) -> u32 {
        if self.free != NONE {
            let slot = self.free;
            let group = &self.groups[(slot / GROUP) as usize];
            self.free = group.windows[(slot % GROUP) as usize].peers[0].end;
            return slot;
        }
        if self.used.is_multiple_of(GROUP) {
            let windows = [TcpWindow::default(); GROUP as usize];
            self.groups.push(Group {
                entries: [*filler; GROUP as usize],
                windows,
            });
        }
        self.used += 1;
        self.used - 1
    }

    fn take(&mut self, slot: u32) -> Entry<A, T> {
        let group = &mut self.groups[(slot / GROUP) as usize];
        group.windows[(slot % GROUP) as usize].peers[0].end = self.free;
        self.free = slot;
        self.alive[(slot / u64::BITS) as usize] &= !(1 << (slot % u64::BITS));
        self.live -= 1;
        group.entries[(slot % GROUP) as usize]
    }
}

pub(super) struct Arena<A, T> {
    chunks: Vec<Chunk<A, T>>,
    /// No chunk before this one has a free slot.
    open: usize,
    capacity: u32,
    advise: Advise,
}

/// Memory that a table no longer needs. Drop it outside the table's lock: that is a system call.
pub struct Spare<A, T>(#[expect(dead_code, reason = "held to be dropped")] Chunk<A, T>);

impl<A: Copy, T: Copy> Arena<A, T> {
    pub(super) const fn new(capacity: u32, advise: Advise) -> Self {
        Self {
            chunks: Vec::new(),
            open: 0,
            capacity,
            advise,
        }
    }

    /// Slots ever used, and not given back.
    pub(super) fn len(&self) -> u32 {
        let full = (self.chunks.len() as u32).saturating_sub(1) << CHUNK_BITS;
        self.chunks.last().map_or(0, |last| full + last.used)
    }

    #[inline]
    pub(super) fn entry(&self, slot: u32) -> &Entry<A, T> {
        let (group, lane) = self.group(slot);
        &group.entries[lane]
    }

    #[inline]
    pub(super) fn entry_mut(&mut self, slot: u32) -> &mut Entry<A, T> {
        let (group, lane) = self.group_mut(slot);
        &mut group.entries[lane]
    }

    #[inline]
    pub(super) fn pair(&self, slot: u32) -> (&Entry<A, T>, &TcpWindow) {
        let (group, lane) = self.group(slot);
        (&group.entries[lane], &group.windows[lane])
    }

    #[inline]
    pub(super) fn pair_mut(&mut self, slot: u32) -> (&mut Entry<A, T>, &mut TcpWindow) {
        let (group, lane) = self.group_mut(slot);
        (&mut group.entries[lane], &mut group.windows[lane])
    }

    #[inline]
    pub(super) fn window(&self, slot: u32) -> &TcpWindow {
        let (group, lane) = self.group(slot);
        &group.windows[lane]
    }

    #[inline]
    pub(super) fn window_mut(&mut self, slot: u32) -> &mut TcpWindow {
        let (group, lane) = self.group_mut(slot);
        &mut group.windows[lane]
    }

    /// Puts an entry into the lowest chunk with a free slot. The caller minds the capacity.
    pub(super) fn put(&mut self, entry: Entry<A, T>) -> u32 {
        while self.chunks.get(self.open).is_some_and(Chunk::is_full) {
            self.open += 1;
        }
        if self.open == self.chunks.len() {
            self.chunks.push(Chunk::new(self.capacity, self.advise));
        }
        (self.open as u32) << CHUNK_BITS | self.chunks[self.open].put(entry)
    }

    pub(super) fn take(&mut self, slot: u32) -> Entry<A, T> {
        let chunk = (slot >> CHUNK_BITS) as usize;
        self.open = self.open.min(chunk);
        self.chunks[chunk].take(slot % CHUNK)
    }

    /// The first live slot at or after `from`, in the same 64, and where to look next.
    #[inline]
    pub(super) fn live_near(&self, from: u32) -> (Option<u32>, u32) {
        let slot = from % CHUNK;
        let word = self
            .chunks
            .get((from >> CHUNK_BITS) as usize)
            .and_then(|chunk| chunk.alive.get((slot / u64::BITS) as usize))
            .map_or(0, |word| word >> (slot % u64::BITS));
        match word.trailing_zeros() {
            u64::BITS => (None, (from | (u64::BITS - 1)).saturating_add(1)),
            ahead => (Some(from + ahead), from + ahead + 1),
        }
    }

    /// The last chunk, if nothing lives in it.
    pub(super) fn spare(&mut self) -> Option<Spare<A, T>> {
        let chunk = self.chunks.pop_if(|last| last.live == 0)?;
        self.open = self.open.min(self.chunks.len());
        Some(Spare(chunk))
    }

    #[inline(always)]
    fn group(&self, slot: u32) -> (&Group<A, T>, usize) {
        let chunk = &self.chunks[(slot >> CHUNK_BITS) as usize];
        (
            &chunk.groups[(slot % CHUNK / GROUP) as usize],
            (slot % GROUP) as usize,
        )
    }

    #[inline(always)]
    fn group_mut(&mut self, slot: u32) -> (&mut Group<A, T>, usize) {
        let chunk = &mut self.chunks[(slot >> CHUNK_BITS) as usize];
        (
            &mut chunk.groups[(slot % CHUNK / GROUP) as usize],
            (slot % GROUP) as usize,
        )
    }
}
