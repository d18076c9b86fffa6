//! Memory that comes back: what the tables needed at a peak belongs to the host again afterwards.

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
