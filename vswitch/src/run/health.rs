//! No thread of the daemon ends unnoticed: one that does ends the daemon, with its cause.

use crate::messages::PanicText;
use parking_lot::Mutex;
use signal_hook::consts::SIGTERM;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// How long the log thread may be silent: it looks every second, or when an interval is written. Longer,
/// and what it said of the loggers is not true any more.
const SILENCE_MAX: Duration = Duration::from_secs(30);

/// A thread that ended before its time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the thread `{thread}` ended early: {cause}")]
pub struct Ended {
    /// The thread's name.
    pub thread: String,
    /// Its error, or its panic.
    pub cause: String,
}

/// How the daemon's threads are.
#[derive(Debug)]
pub struct Health {
    ended: Mutex<Option<Ended>>,
    log_seen: Mutex<Instant>,
}

impl Default for Health {
    fn default() -> Self {
        Self {
            ended: Mutex::default(),
            log_seen: Mutex::new(Instant::now()),
        }
    }
}

impl Health {
    /// The thread that ended first, if one did: the daemon is about to end with it.
    pub fn ended(&self) -> Option<Ended> {
        self.ended.lock().clone()
    }

    /// For how long the log thread has been silent, if that is too long.
    pub fn log_silence(&self) -> Option<Duration> {
        let silence = self.log_seen.lock().elapsed();
        (silence > SILENCE_MAX).then_some(silence)
    }

    /// The log thread is there.
    pub(super) fn log_is_seen(&self) {
        *self.log_seen.lock() = Instant::now();
    }

    /// Starts a thread that is to live as long as the daemon. Should it fail or panic, that is reported,
    /// and the daemon is asked to stop: a switch that lacks one of its threads must not look alive.
    ///
    /// # Errors
    /// Where the system has no thread.
    pub fn spawn(
        self: &Arc<Self>,
        name: &str,
        work: impl FnOnce() -> io::Result<()> + Send + 'static,
    ) -> io::Result<JoinHandle<()>> {
        let (health, thread) = (Arc::clone(self), name.to_owned());
        thread::Builder::new().name(name.to_owned()).spawn(move || {
            let cause = match catch_unwind(AssertUnwindSafe(work)) {
                Ok(Ok(())) => return,
                Ok(Err(error)) => error.to_string(),
                Err(panic) => format!("panicked: {}", PanicText(&*panic)),
            };
            health.note(Ended { thread, cause });
        })
    }

    fn note(&self, ended: Ended) {
        tracing::error!("{ended}; the switch stops");
        self.ended.lock().get_or_insert(ended);
        // Nothing is left to do where even that fails.
        let _ = signal_hook::low_level::raise(SIGTERM);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, Ordering};

    #[test]
    fn a_thread_that_panics_or_fails_is_noted_with_its_cause_and_ends_the_daemon() {
        let asked = Arc::new(AtomicBool::new(false));
        signal_hook::flag::register(SIGTERM, Arc::clone(&asked)).unwrap();
        let health = Arc::new(Health::default());
        health.spawn("good", || Ok(())).unwrap().join().unwrap();
        assert_eq!(health.ended(), None);
        assert!(!asked.load(Ordering::SeqCst));
        let panics = health.spawn("log", || panic!("no more {}", "paper"));
        panics.unwrap().join().unwrap();
        let fails = health.spawn("worker0", || Err(io::Error::other("ring")));
        fails.unwrap().join().unwrap();
        let ended = health.ended().unwrap().to_string();
        assert_eq!(
            ended,
            "the thread `log` ended early: panicked: no more paper"
        );
        assert!(asked.load(Ordering::SeqCst), "SIGTERM");
    }
}
