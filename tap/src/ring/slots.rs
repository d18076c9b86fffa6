//! The buffers of one queue: slots that the kernel reads frames into, and the ring through which it
//! is told which.
//!
//! ```text
//!   free (a stack) ──offer──▶ offered (kernel's) ──a frame──▶ filled (ours) ──free──▶ free
//! ```
//!
//! Each slot holds any frame, and is resident only as far as frames reached into it. How many are on
//! offer follows the traffic: many while a burst of small frames empties the offer, [`FEW`] once a
//! frame is [`LARGE`]. So a stream of 64 KiB segments goes round in slots that are still in the cache,
//! and a queue that is used little touches little memory.

use super::memory::{Memory, PAGE};
use crate::MAX_FRAME;
use io_uring::types::BufRingEntry;
use std::{
    io, slice,
    sync::atomic::{AtomicU16, Ordering},
};

/// Slots of a queue: the most frames that are read at once, so that no queue starves the others.
pub(super) const SLOTS: u16 = 64;
/// Slots on offer at first, and again where frames are large.
const FEW: u16 = 4;
/// A frame longer than this is large, in bytes: it reaches beyond its slot's first page.
const LARGE: u32 = 2048;
/// Slots that may keep the memory that a large frame has made resident.
const WARM: u16 = 2 * FEW;
/// Distance of two slots in bytes. A stride of exactly 64 KiB would map the heads of all slots to the
/// same sets of the first- and second-level caches: 2 KiB and a line apart, they spread.
const STRIDE: usize = 64 * 1024 + 2 * 1024 + 64;

const _: () = assert!(MAX_FRAME <= STRIDE && SLOTS.is_power_of_two());

/// Whether a frame of that many bytes is large.
#[inline]
pub(super) const fn is_large(len: u32) -> bool {
    len > LARGE
}

/// Who has a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Nobody.
    Free,
    /// The kernel, to read into.
    Offered,
    /// The user, holding a frame of this many bytes.
    Filled(u32),
}

/// The slots of one queue. Whoever drops them has ended the kernel's reading before.
#[derive(Debug)]
pub(super) struct Slots {
    frames: Memory,
    ring: Memory,
    state: [State; SLOTS as usize],
    free: Vec<u16>,
    /// Slots with more than a page resident.
    is_warm: [bool; SLOTS as usize],
    warm: u16,
    offered: u16,
    /// How many are to be on offer.
    depth: u16,
    /// Of the kernel's ring, as it counts: modulo 2^16.
    tail: u16,
}

impl Slots {
    /// Slots of which none is on offer yet.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub(super) fn new() -> io::Result<Self> {
        let len = (usize::from(SLOTS) * STRIDE).next_multiple_of(PAGE);
        Ok(Self {
            frames: Memory::new(len)?,
            ring: Memory::new(usize::from(SLOTS) * size_of::<BufRingEntry>())?,
            state: [State::Free; _],
            free: (0..SLOTS).rev().collect(),
            is_warm: [false; _],
            warm: 0,
            offered: 0,
            depth: FEW,
            tail: 0,
        })
    }

    /// Where the kernel's ring lies, for its registration.
    pub(super) fn ring_address(&self) -> u64 {
        self.ring.at(0) as u64
    }

    /// Puts free slots on offer up to the depth; whether any is on offer now.
    pub(super) fn offer(&mut self) -> bool {
        let before = self.tail;
        while self.offered < self.depth
            && let Some(slot) = self.free.pop()
        {
            self.state[usize::from(slot)] = State::Offered;
            self.offered += 1;
            self.enter(slot);
        }
        if self.tail != before {
            self.publish();
        }
        self.offered > 0
    }

    /// Writes a slot to the ring's next entry, which the kernel does not look at before `publish`.
    fn enter(&mut self, slot: u16) {
        let place = usize::from(self.tail % SLOTS) * size_of::<BufRingEntry>();
        let entry = self.ring.at(place).cast::<BufRingEntry>();
        let address = self.frames.at(usize::from(slot) * STRIDE) as u64;
        // SAFETY: the place lies in the ring's mapping, aligned as every multiple of an entry's size
        // is, and zeroes are a valid entry. No other reference to it exists, and the kernel reads
        // only entries before the tail, of which there are never more than the ring holds. Field by
        // field, because the tail lies in what would be the padding of the first entry.
        let entry = unsafe { &mut *entry };
        entry.set_addr(address);
        entry.set_len(MAX_FRAME as u32);
        entry.set_bid(slot);
        self.tail = self.tail.wrapping_add(1);
    }

    fn publish(&self) {
        let first = self.ring.at(0).cast::<BufRingEntry>();
        // SAFETY: the first entry of a registered ring, whose padding is the ring's tail by the
        // kernel's layout (`struct io_uring_buf_ring`): aligned, shared with the kernel alone, hence
        // atomic; the release makes the entries visible before it.
        let tail = unsafe { AtomicU16::from_ptr(BufRingEntry::tail(first).cast_mut()) };
        tail.store(self.tail, Ordering::Release);
    }

    /// The kernel has read `len` bytes into a slot.
    pub(super) fn filled(&mut self, slot: u16, len: u32) {
        let state = &mut self.state[usize::from(slot)];
        assert_eq!(*state, State::Offered, "the kernel fills what it was given");
        *state = State::Filled(len);
        self.offered -= 1;
        if is_large(len) {
            self.depth = FEW;
            let is_warm = &mut self.is_warm[usize::from(slot)];
            self.warm += u16::from(!*is_warm);
            *is_warm = true;
        }
    }

    /// The kernel found no slot on offer: there was a burst.
    pub(super) fn ran_out(&mut self, all_small: bool) {
        if all_small {
            self.depth = (self.depth * 2).min(SLOTS);
        }
    }

    /// What a slot holds.
    ///
    /// # Panics
    /// Where it is not the caller's.
    #[inline]
    pub(super) fn bytes(&self, slot: u16) -> &[u8] {
        let State::Filled(len) = self.state[usize::from(slot)] else {
            panic!("slot {slot} holds no frame");
        };
        let start = self.frames.at(usize::from(slot) * STRIDE);
        // SAFETY: the kernel has filled that many bytes, at most the slot's, and has been given no
        // right to the slot since; `free`, after which it may be offered again, takes `&mut self`.
        unsafe { slice::from_raw_parts(start, len as usize) }
    }

    /// Takes a slot back from the user.
    ///
    /// # Panics
    /// Where it is not the user's.
    #[inline]
    pub(super) fn free(&mut self, slot: u16) {
        let place = usize::from(slot);
        let State::Filled(_) = self.state[place] else {
            panic!("slot {slot} is given back twice");
        };
        self.state[place] = State::Free;
        if self.is_warm[place] && self.warm > WARM {
            self.cool(slot);
        }
        self.free.push(slot);
    }

    #[cold]
    fn cool(&mut self, slot: u16) {
        let start = usize::from(slot) * STRIDE;
        // Its first page stays: the next small frame needs it.
        self.frames.release(start + PAGE..start + STRIDE);
        self.is_warm[usize::from(slot)] = false;
        self.warm -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(slots: &mut Slots, count: u16, len: u32) -> Vec<u16> {
        let offered = |slots: &Slots| {
            (0..SLOTS).find(|&slot| slots.state[usize::from(slot)] == State::Offered)
        };
        let mut taken = vec![];
        for _ in 0..count {
            let slot = offered(slots).expect("one is on offer");
            slots.filled(slot, len);
            taken.push(slot);
        }
        taken
    }

    #[test]
    fn bursts_of_small_frames_deepen_the_offer_and_a_large_frame_makes_it_shallow() {
        let mut slots = Slots::new().expect("memory");
        let mut depths = vec![];
        for _ in 0..6 {
            assert!(slots.offer());
            depths.push(slots.offered);
            let offered = slots.offered;
            let taken = take(&mut slots, offered, 60);
            slots.ran_out(true);
            taken.into_iter().for_each(|slot| slots.free(slot));
        }
        assert_eq!(depths, [4, 8, 16, 32, 64, 64]);
        slots.offer();
        let taken = take(&mut slots, 64, 60_000);
        slots.ran_out(false);
        taken.into_iter().for_each(|slot| slots.free(slot));
        slots.offer();
        assert_eq!(slots.offered, FEW);
        assert_eq!(slots.warm, WARM, "the others' memory went back");
    }

    #[test]
    fn the_slot_that_was_used_last_is_offered_next() {
        let mut slots = Slots::new().expect("memory");
        slots.offer();
        let slot = take(&mut slots, 1, 60)[0];
        assert_eq!(slots.bytes(slot).len(), 60);
        slots.free(slot);
        slots.offer();
        assert_eq!(slots.state[usize::from(slot)], State::Offered);
    }

    #[test]
    #[should_panic(expected = "given back twice")]
    fn a_slot_is_given_back_once() {
        let mut slots = Slots::new().expect("memory");
        slots.offer();
        let slot = take(&mut slots, 1, 60)[0];
        slots.free(slot);
        slots.free(slot);
    }
}
