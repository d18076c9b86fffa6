//! The end: what was counted is written, what was made is removed, and what takes long is named.

use super::Daemon;
use super::log_thread::Message;
use crate::messages::PanicText;
use anyhow::{Result, anyhow};
use flowlog::Window;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// How long an ordinary end may take, stores included: what they do not take in that time stays in the
/// spool for the next start.
pub(super) const STOP_WITHIN: Duration = Duration::from_secs(4);

/// What takes longer than this is named in the log, and again after as long.
const NAME_AFTER: Duration = Duration::from_secs(2);

/// How often a thread that is to end is looked at.
const LOOK: Duration = Duration::from_millis(5);

impl Daemon {
    /// Stops forwarding, flushes what was counted, and removes what was made. Whatever fails, the rest is
    /// done.
    ///
    /// # Errors
    /// A thread that ended early, or what failed on the way.
    pub fn stop(mut self) -> Result<()> {
        let until = Instant::now() + STOP_WITHIN;
        let mut result = Ok(());
        for (handle, _) in &self.workers {
            result = result.and(handle.stop().map_err(Into::into));
        }
        for (_, thread) in self.workers.drain(..) {
            wait(thread, "a worker to finish what it has read");
        }
        // A worker that panicked may have left the switch in a state that no other part expects.
        let flushed = catch_unwind(AssertUnwindSafe(|| self.flush()));
        result = result.and(
            flushed.map_err(|panic| anyhow!("the last interval is lost: {}", PanicText(&*panic))),
        );
        let now = self.shared.clock.now();
        let window_s = flowlog::base_window_s(&self.shared.plan.read().loggers);
        let window = Window::of(now.wall_us / 1_000_000, window_s);
        self.log.tell(Message::Stop { window, until });
        wait(
            self.log_thread,
            "the last interval to be written, and for the stores to take it",
        );
        // TAPs are gone before their namespaces are.
        drop(self.closer);
        wait(self.closer_thread, "the kernel to remove TAPs");
        match self.shared.health.ended() {
            Some(ended) => Err(ended.into()),
            None => result,
        }
    }

    /// What the table holds goes to the log thread.
    fn flush(&self) {
        let now = self.shared.clock.now();
        let mut switch = self.shared.switch.lock();
        switch.give_up_held(now);
        switch.flush(now);
        let chunks = switch.fetch_log();
        drop(switch);
        self.log.push(chunks);
    }
}

/// Waits for a thread's end; says what for, where it takes long.
fn wait(thread: JoinHandle<()>, what: &str) {
    let started = Instant::now();
    let mut name_at = started + NAME_AFTER;
    while !thread.is_finished() {
        thread::sleep(LOOK);
        if Instant::now() >= name_at {
            let seconds = started.elapsed().as_secs();
            tracing::info!(seconds, "stopping: still waiting for {what}");
            name_at += NAME_AFTER;
        }
    }
    // How it ended is in the daemon's health.
    let _ = thread.join();
}
