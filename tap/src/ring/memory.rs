//! Memory that the kernel shares with us: pages of their own, gone with their owner.

use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap_anonymous, munmap};
use std::{io, ops::Range, ptr};

/// The smallest page of any machine that runs Linux, in bytes.
pub(super) const PAGE: usize = 4096;

/// Zeroed pages that are not resident until they are touched.
#[derive(Debug)]
pub(super) struct Memory {
    base: *mut u8,
    len: usize,
}

impl Memory {
    /// `len` bytes, whole pages.
    ///
    /// # Errors
    /// `ENOMEM` where the address space does not hold them.
    pub(super) fn new(len: usize) -> io::Result<Self> {
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        let flags = MapFlags::PRIVATE | MapFlags::NORESERVE;
        // SAFETY: without an address given, the kernel chooses one where nothing of ours lies.
        let base = unsafe { mmap_anonymous(ptr::null_mut(), len, protection, flags)? };
        let memory = Self {
            base: base.cast(),
            len,
        };
        // One touched byte must not make 2 MiB resident.
        memory.advise(0..len, Advice::LinuxNoHugepage);
        Ok(memory)
    }

    /// The address of a byte.
    pub(super) fn at(&self, offset: usize) -> *mut u8 {
        assert!(offset < self.len, "{offset} lies behind {} bytes", self.len);
        // SAFETY: the offset was compared with the length of the mapping.
        unsafe { self.base.add(offset) }
    }

    /// Gives the pages that lie in the range as a whole back to the system; they read as zeroes
    /// afterwards. The caller sees to it that nobody is using them.
    pub(super) fn release(&self, range: Range<usize>) {
        let start = range.start.next_multiple_of(PAGE);
        let end = range.end.min(self.len) / PAGE * PAGE;
        if start < end {
            self.advise(start..end, Advice::LinuxDontNeed);
        }
    }

    fn advise(&self, range: Range<usize>, advice: Advice) {
        // SAFETY: the range lies in the mapping. Either advice leaves it mapped, and what is lost of
        // its contents nobody relies on (see `release`). A refusal costs memory, nothing else.
        let _ = unsafe { madvise(self.at(range.start).cast(), range.len(), advice) };
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours alone, and its owner has ended what the kernel did with it.
        let _ = unsafe { munmap(self.base.cast(), self.len) };
    }
}
