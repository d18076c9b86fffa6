//! What the scheduler did to a thread.

use std::mem::MaybeUninit;

/// How often the scheduler took the core away from the calling thread while it had something to do
/// (`ru_nivcsw` of getrusage(2)): somebody else needed it.
#[must_use]
pub fn preemptions() -> u64 {
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: the pointer is to memory of the type that the call fills, and zeroes are a valid value of
    // it should the call fail.
    let usage = unsafe {
        libc::getrusage(libc::RUSAGE_THREAD, usage.as_mut_ptr());
        usage.assume_init()
    };
    usage.ru_nivcsw.unsigned_abs()
}

#[cfg(test)]
mod tests {
    use super::preemptions;

    #[test]
    fn preemptions_are_counted_upwards() {
        let before = preemptions();
        assert!(preemptions() >= before);
    }
}
