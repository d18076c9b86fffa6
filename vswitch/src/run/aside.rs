//! Work that is long and not urgent, on a thread behind the workers: reading and compiling ten thousand rules takes
//! a core for a fifth of a second, in which packets would wait for it.

use std::panic::resume_unwind;
use std::thread;

/// Does `work` in the background, and waits for it.
pub(super) fn aside<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| {
        let thread = scope.spawn(|| {
            tap::run_in_background();
            work()
        });
        thread.join().unwrap_or_else(|panic| resume_unwind(panic))
    })
}
