//! From a hash to a slot: buckets of one cache line.
//!
//! ```text
//!   bucket, 64 bytes:  word[0] … word[14]  passed
//!   word, 32 bits:     1 tag…tag slot…slot        0 = free
//! ```
//!
//! A full bucket overflows into the next one; each bucket that was passed on the way counts it in
//! `passed`, so a search knows where to stop and a removal leaves no tombstone behind (the idea is
//! F14's). With eight entries per bucket on average, one in 250 lives outside its first bucket, and
//! the index costs 8 bytes per entry at capacity.

use super::Advise;

/// Words of a bucket that hold an entry; the last one holds the count.
const LANES: usize = 15;
/// Words of a bucket: one cache line.
const WORDS: usize = LANES + 1;
/// Entries per bucket at capacity, of [`LANES`]: room enough for the spread of a random hash.
const MEAN_LOAD: u32 = 8;

/// Greatest capacity: 26 bits of slot leave 6 bits of tag in a word.
pub(super) const MAX_CAPACITY: u32 = 1 << 26;

pub(super) type Bucket = [u32; WORDS];

pub(super) struct Index {
    /// Zeroed by the allocator, so that memory becomes resident with use.
    words: Vec<u32>,
    /// Words before the first cache line boundary.
    skip: usize,
    buckets: usize,
    slot_mask: u32,
}

impl Index {
    pub(super) fn new(capacity: u32, advise: Advise) -> Self {
        let buckets = capacity.div_ceil(MEAN_LOAD).max(1) as usize;
        let words = vec![0_u32; (buckets + 1) * WORDS];
        let skip = words.as_ptr().align_offset(size_of::<Bucket>()).min(WORDS);
        let memory = words.as_ptr_range();
        advise(memory.start.cast()..memory.end.cast());
        let slot_bits = u32::BITS - capacity.saturating_sub(1).leading_zeros();
        Self {
            words,
            skip,
            buckets,
            slot_mask: (1 << slot_bits) - 1,
        }
    }

    /// Where [`Self::find`] of this hash begins to look.
    #[inline]
    pub(super) fn first_look(&self, hash: u64) -> &Bucket {
        self.bucket(self.home(hash))
    }

    /// The slot of this hash for which `is_it` holds.
    #[inline(always)]
    pub(super) fn find(&self, hash: u64, is_it: impl Fn(u32) -> bool + Copy) -> Option<u32> {
        let (at, tag) = (self.home(hash), self.tag(hash));
        let bucket = self.bucket(at);
        let found = self.find_in(bucket, tag, is_it);
        if found.is_some() || bucket[LANES] == 0 {
            return found;
        }
        self.find_beyond(at, tag, is_it)
    }

    /// Word by word, for the lower ones are filled first: a hit is nearly always among them.
    #[inline(always)]
    fn find_in(
        &self,
        bucket: &Bucket,
        tag: u32,
        is_it: impl Fn(u32) -> bool + Copy,
    ) -> Option<u32> {
        for word in &bucket[..LANES] {
            if word & !self.slot_mask == tag && is_it(word & self.slot_mask) {
                return Some(word & self.slot_mask);
            }
        }
        None
    }

    /// In the buckets that a full one has overflowed into.
    #[cold]
    fn find_beyond(
        &self,
        mut at: usize,
        tag: u32,
        is_it: impl Fn(u32) -> bool + Copy,
    ) -> Option<u32> {
        for _ in 1..self.buckets {
            at = self.next(at);
            let bucket = self.bucket(at);
            let found = self.find_in(bucket, tag, is_it);
            if found.is_some() || bucket[LANES] == 0 {
                return found;
            }
        }
        None
    }

    /// Adds a slot. There is room for every slot below the capacity once.
    pub(super) fn insert(&mut self, hash: u64, slot: u32) {
        let word = self.tag(hash) | slot;
        let mut at = self.home(hash);
        loop {
            let bucket = self.bucket_mut(at);
            if let Some(free) = bucket[..LANES].iter_mut().find(|word| **word == 0) {
                *free = word;
                return;
            }
            bucket[LANES] += 1;
            at = self.next(at);
        }
    }

    /// Takes out a slot that was inserted under this hash.
    pub(super) fn remove(&mut self, hash: u64, slot: u32) {
        let word = self.tag(hash) | slot;
        let mut at = self.home(hash);
        for _ in 0..self.buckets {
            let bucket = self.bucket_mut(at);
            if let Some(found) = bucket[..LANES].iter_mut().find(|other| **other == word) {
                *found = 0;
                return;
            }
            bucket[LANES] -= 1;
            at = self.next(at);
        }
        unreachable!("every slot in use stands in the index");
    }

    /// The first bucket of a hash, from its upper half: a multiplication maps it onto any number of
    /// buckets, so the index need not be a power of two.
    #[inline]
    fn home(&self, hash: u64) -> usize {
        (((hash >> 32) * self.buckets as u64) >> 32) as usize
    }

    /// The tag of a hash, from its lower half; never 0, which means free.
    #[inline]
    fn tag(&self, hash: u64) -> u32 {
        (hash as u32 | 1 << 31) & !self.slot_mask
    }

    #[inline]
    fn next(&self, at: usize) -> usize {
        if at + 1 == self.buckets { 0 } else { at + 1 }
    }

    #[inline(always)]
    fn bucket(&self, at: usize) -> &Bucket {
        let words = self.words.get(self.skip + at * WORDS..);
        words
            .and_then(<[u32]>::first_chunk)
            .expect("buckets are made with the index")
    }

    #[inline]
    fn bucket_mut(&mut self, at: usize) -> &mut Bucket {
        &mut self.words[self.skip..].as_chunks_mut().0[at]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_lie_on_cache_lines() {
        let index = Index::new(1000, |_| {});
        assert_eq!(index.bucket(0).as_ptr().align_offset(64), 0);
        assert_eq!(size_of_val(index.bucket(3)), 64);
    }

    #[test]
    fn a_hundred_equal_hashes_overflow_and_leave_nothing_behind() {
        let mut index = Index::new(100, |_| {});
        let hash = u64::MAX;
        for slot in 0..100 {
            index.insert(hash, slot);
        }
        for slot in (0..100).rev() {
            assert_eq!(index.find(hash, |other| other == slot), Some(slot));
        }
        for slot in 0..100 {
            index.remove(hash, slot);
            assert_eq!(index.find(hash, |other| other == slot), None);
        }
        assert!(index.words.iter().all(|word| *word == 0));
    }
}
