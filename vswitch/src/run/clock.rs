//! The daemon's clocks, read once per batch.

use crate::switch::Now;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A clock that never steps for timeouts, and the wall clock for records.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    started: Instant,
}

impl Clock {
    /// Starts counting.
    #[must_use]
    pub fn start() -> Self {
        Self {
            started: Instant::now(),
        }
    }

    /// How long it counts.
    #[must_use]
    pub fn uptime(&self) -> Duration {
        self.started.elapsed()
    }

    /// The present moment.
    #[must_use]
    pub fn now(&self) -> Now {
        let wall = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Now {
            ms: self.started.elapsed().as_millis() as u32,
            wall_us: wall.as_micros() as u64,
        }
    }
}
