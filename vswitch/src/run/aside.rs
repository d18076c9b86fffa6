//! Work that is long and not urgent, on a thread behind the workers: reading and compiling ten thousand rules takes
//! a core for a fifth of a second, in which packets would wait for it.

use crate::messages::PanicText;
use anyhow::{Result, anyhow};
use std::thread;

/// Does `work` in the background, and waits for it.
///
/// # Errors
/// A panic of the work, which the thread that waits survives.
pub(super) fn aside<T: Send>(work: impl FnOnce() -> T + Send) -> Result<T> {
    thread::scope(|scope| {
        let thread = scope.spawn(|| {
            tap::run_in_background();
            work()
        });
        thread
            .join()
            .map_err(|panic| anyhow!("a bug: {}", PanicText(&*panic)))
    })
}
