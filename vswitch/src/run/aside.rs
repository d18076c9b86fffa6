//! Work that is long and not urgent, on a thread behind the workers: reading and compiling ten thousand rules takes
//! a core for a fifth of a second, in which packets would wait for it.

use crate::messages::PanicText;
use anyhow::{Context, Result, anyhow};
use std::thread;

/// Why something is not done, where the limit of processes is reached.
pub(super) const NO_THREAD: &str = "no thread to work on; raise the limit of processes (`TasksMax=` of a \
    systemd unit, `--pids-limit` of a container)";

/// Does `work` in the background, and waits for it.
///
/// # Errors
/// Where the system has no thread; a panic of the work, which the thread that waits survives.
pub(super) fn aside<T: Send>(work: impl FnOnce() -> T + Send) -> Result<T> {
    thread::scope(|scope| {
        let work = || {
            tap::run_in_background();
            work()
        };
        let thread = thread::Builder::new().spawn_scoped(scope, work);
        thread
            .context(NO_THREAD)?
            .join()
            .map_err(|panic| anyhow!("a bug: {}", PanicText(&*panic)))
    })
}
