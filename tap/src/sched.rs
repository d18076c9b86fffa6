//! What the scheduler does to a thread, and is asked to do.

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

/// How much less the calling thread, and those it starts from now on, count than others: a tenth of them
/// (nice 10 of setpriority(2)). Where somebody wants the core it waits, but never for good.
const BACKGROUND: libc::c_int = 10;

/// Has the calling thread run behind the others. Only a wish: where it is not granted, nothing is lost.
pub fn run_in_background() {
    // SAFETY: takes three numbers; on Linux 0 is the calling thread, not its process.
    unsafe {
        libc::setpriority(libc::PRIO_PROCESS, 0, BACKGROUND);
    }
}

/// Ends that for the calling thread, where the system lets it (`CAP_SYS_NICE`).
pub fn run_in_foreground() {
    // SAFETY: as above.
    unsafe {
        libc::setpriority(libc::PRIO_PROCESS, 0, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::{preemptions, run_in_background};

    #[test]
    fn preemptions_are_counted_upwards() {
        let before = preemptions();
        assert!(preemptions() >= before);
    }

    #[test]
    fn a_thread_in_the_background_counts_less_and_its_process_does_not() {
        let nice = || {
            let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
            let fields = stat.rsplit_once(')').unwrap().1;
            let nice: i64 = fields.split_whitespace().nth(16).unwrap().parse().unwrap();
            nice
        };
        let before = nice();
        let behind = std::thread::spawn(move || {
            run_in_background();
            nice()
        });
        assert_eq!(behind.join().unwrap(), before.max(10));
        assert_eq!(nice(), before);
    }
}
