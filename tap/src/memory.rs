//! Memory: what the tables needed at a peak comes back to the host, and what is needed soon is fetched ahead.

use std::ops::Range;

/// The least alignment that the kernel asks for; of a machine with larger pages it refuses the advice.
const PAGE: usize = 4096;

/// From this size on an allocation is a mapping of its own, bytes. Below a table's chunk, above the
/// buffers that come and go with every interval.
const OWN_MAPPING: libc::c_int = 4 << 20;

/// Has every large allocation of this process be a mapping of its own, gone when it is freed.
///
/// glibc does so until the first one is freed; then it raises its bound (`M_MMAP_THRESHOLD`, up to 32 MiB)
/// and keeps what comes back for later, so that a table that was full once would hold its memory for
/// good. Setting the bound keeps it where it is. Other C libraries have no such habit. For the start of a
/// program.
pub fn give_back_large_allocations() {
    #[cfg(target_env = "gnu")]
    // SAFETY: takes two numbers and changes nothing but the allocator's own settings, under its lock.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, OWN_MAPPING);
    }
}

/// Asks the kernel to back this memory, which belongs to the program, with huge pages where it can
/// (`MADV_HUGEPAGE`): a table of many megabytes that is read at random then waits less for its addresses to be
/// translated. Only an advice: where it is not taken, nothing is lost.
pub fn advise_huge_pages(memory: Range<*const u8>) {
    let start = (memory.start as usize).next_multiple_of(PAGE);
    let Some(length) = (memory.end as usize)
        .checked_sub(start)
        .filter(|length| *length > 0)
    else {
        return;
    };
    // SAFETY: the advice changes nothing that the program sees in any memory; of addresses that are nobody's
    // the kernel says ENOMEM.
    unsafe {
        libc::madvise(start as *mut libc::c_void, length, libc::MADV_HUGEPAGE);
    }
}

/// Has the processor fetch the cache line at the start of `what`, without waiting for it. Where the processor
/// has no such instruction (or this library does not know it) nothing happens.
#[inline(always)]
pub fn prefetch<T>(what: &T) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a hint: it reads nothing that the program sees, and faults at no address.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(what).cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = what;
}
