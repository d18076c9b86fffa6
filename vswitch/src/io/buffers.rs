//! A worker's pool of frame slots.
//!
//! ```text
//!   slot n: [ virtio header 10 | Ethernet frame … 65,556 ]  stride 64 KiB + 2 KiB + 64
//! ```
//!
//! Slots are used last in, first out: the slot written from last is the one read into next, and is
//! still in the cache. The memory is untouched, hence not resident, until a frame reaches into it:
//! small frames only ever touch the head of a slot.

use super::Frame;
use packet::VNET_HDR_LEN;
use std::io;

/// Distance of two slots in bytes. A stride of exactly 64 KiB would map the heads of all slots to the
/// same sets of the first- and second-level caches (8 ways): 2 KiB and a line apart, they spread.
pub const SLOT_STRIDE: usize = 64 * 1024 + 2 * 1024 + 64;

const _: () = assert!(tap::MAX_FRAME <= SLOT_STRIDE);

/// A received frame, lent by a port. Goes back with [`Buffers::give_back`], once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    /// Where it lies.
    pub slot: u32,
    /// Bytes of the virtio header and the frame.
    pub len: u32,
}

/// A pool of slots; each holds any frame that a TAP can deliver.
#[derive(Debug)]
pub struct Buffers {
    memory: Vec<u8>,
    free: Vec<u32>,
    slots: u32,
}

impl Buffers {
    /// A pool of `slots` slots.
    ///
    /// # Panics
    /// Where `slots` is 0 or the memory does not exist.
    #[must_use]
    pub fn new(slots: u32) -> Self {
        assert!(slots > 0, "a worker needs a slot to read into");
        // Zeroed memory of this size comes as untouched pages.
        let memory = vec![0; slots as usize * SLOT_STRIDE];
        Self {
            memory,
            free: (0..slots).rev().collect(),
            slots,
        }
    }

    /// Slots that are not lent.
    #[inline]
    #[must_use]
    pub fn free(&self) -> usize {
        self.free.len()
    }

    /// Lends a slot if `fill` puts something into it: `fill` gets the slot's bytes and returns how
    /// many it wrote, header included. `None` where it wrote nothing or the pool is empty.
    ///
    /// # Errors
    /// Those of `fill`; the slot stays free then.
    #[inline]
    pub fn lend(
        &mut self,
        fill: impl FnOnce(&mut [u8]) -> io::Result<Option<usize>>,
    ) -> io::Result<Option<Lease>> {
        let Some(&slot) = self.free.last() else {
            return Ok(None);
        };
        let start = slot as usize * SLOT_STRIDE;
        let room = &mut self.memory[start..start + tap::MAX_FRAME];
        match fill(room)? {
            Some(len) if len >= VNET_HDR_LEN => {
                self.free.pop();
                Ok(Some(Lease {
                    slot,
                    len: len.min(tap::MAX_FRAME) as u32,
                }))
            }
            _ => Ok(None),
        }
    }

    /// The virtio header and the frame of a lease.
    #[inline]
    #[must_use]
    pub fn get(&self, lease: Lease) -> (&[u8; VNET_HDR_LEN], &[u8]) {
        self.whole(lease)
            .split_first_chunk()
            .expect("a lease holds at least a virtio header")
    }

    /// The frame of a lease, ready to be sent, standing for `packets` wire packets.
    #[inline]
    #[must_use]
    pub fn frame(&self, lease: Lease, packets: u32) -> Frame<'_> {
        Frame::new(self.whole(lease), packets).expect("a lease holds at least a virtio header")
    }

    /// Ends a lease.
    #[inline]
    pub fn give_back(&mut self, lease: Lease) {
        debug_assert!(
            lease.slot < self.slots && !self.free.contains(&lease.slot),
            "{lease:?} given back twice"
        );
        self.free.push(lease.slot);
    }

    fn whole(&self, lease: Lease) -> &[u8] {
        let start = lease.slot as usize * SLOT_STRIDE;
        &self.memory[start..start + lease.len as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(byte: u8) -> impl FnOnce(&mut [u8]) -> io::Result<Option<usize>> {
        move |room| {
            room[..20].fill(byte);
            Ok(Some(20))
        }
    }

    #[test]
    fn a_lease_holds_its_frame_until_it_is_given_back_and_the_warm_slot_is_lent_next() {
        let mut pool = Buffers::new(2);
        let first = pool.lend(fill(1)).unwrap().unwrap();
        let second = pool.lend(fill(2)).unwrap().unwrap();
        assert_eq!(pool.lend(fill(3)).unwrap(), None, "the pool is empty");
        assert_eq!(
            pool.get(first),
            (&[1; VNET_HDR_LEN], &[1; 20 - VNET_HDR_LEN][..])
        );
        assert_eq!(pool.frame(second, 1).bytes(), [2; 20 - VNET_HDR_LEN]);
        pool.give_back(first);
        assert_eq!(pool.lend(fill(3)).unwrap().unwrap().slot, first.slot);
    }

    #[test]
    fn nothing_is_lent_where_nothing_was_read() {
        let mut pool = Buffers::new(1);
        assert_eq!(pool.lend(|_| Ok(None)).unwrap(), None);
        assert_eq!(
            pool.lend(|_| Ok(Some(5))).unwrap(),
            None,
            "less than a virtio header"
        );
        assert!(pool.lend(|_| Err(io::ErrorKind::Other.into())).is_err());
        assert_eq!(pool.free(), 1);
    }
}
