//! Spinning before sleep: an idle core answers at once instead of after a wake-up.
//!
//! ```text
//!            found something within SPIN
//!          ┌──────────────┐
//!          ▼              │         in vain, or somebody else needed the core
//!        open ────────────┴──────────────────────────────────────────────▶ closed for a pause
//!          ▲                                                                     │
//!          └──────────── the pause is over: twice as long the next time ◀────────┘
//! ```
//!
//! Waking a sleeping thread on another core takes tens of microseconds, two hundred times a system call.
//! A worker that looks for another [`SPIN`] before it sleeps saves that where requests and answers follow
//! each other. It must not where that harms: on a core that others need (all of them pinned to one, say)
//! nothing can come while it spins. Then either nothing comes, or the scheduler takes the core away in
//! the middle, which shows as a gap between two looks at the clock. Both close spinning for a pause,
//! which doubles up to [`PAUSE_MAX`]: at worst [`SPIN`] of every pause is lost, 0.1 %.

use std::hint::spin_loop;
use std::time::{Duration, Instant};

/// Longest spin: about what a wake-up costs, and time for a guest on another core to answer.
const SPIN: Duration = Duration::from_micros(100);

/// A gap between two looks at the clock that says: somebody else had the core.
const GAP: Duration = Duration::from_micros(10);

/// Looks between two looks at the clock.
const LOOKS: u32 = 4;

/// Spins in vain, in a row, that close spinning: traffic has pauses.
const VAIN_MAX: u32 = 3;

/// First pause.
const PAUSE_MIN: Duration = Duration::from_millis(1);

/// Longest pause.
const PAUSE_MAX: Duration = Duration::from_millis(64);

/// Whether spinning pays, as learned from the spins before.
#[derive(Debug)]
pub(super) struct Spin {
    /// In vain, in a row.
    vain: u32,
    pause: Duration,
    closed_until: Option<Instant>,
}

impl Default for Spin {
    fn default() -> Self {
        Self {
            vain: 0,
            pause: PAUSE_MIN,
            closed_until: None,
        }
    }
}

/// How a spin ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// Something came.
    Found,
    /// Nothing came.
    Vain,
    /// Somebody else had the core meanwhile.
    Interrupted,
}

impl Spin {
    /// Looks, by `stirs`, whether something comes, as long as experience says that it pays.
    #[inline]
    pub(super) fn finds(&mut self, stirs: impl FnMut() -> bool) -> bool {
        self.finds_by(Instant::now, stirs)
    }

    fn finds_by(&mut self, clock: impl Fn() -> Instant, mut stirs: impl FnMut() -> bool) -> bool {
        let start = clock();
        if self.closed_until.is_some_and(|until| start < until) {
            return false;
        }
        let mut last = start;
        loop {
            let found = (0..LOOKS).any(|_| {
                spin_loop();
                stirs()
            });
            let now = clock();
            let outcome = match found {
                _ if now - last > GAP => Outcome::Interrupted,
                true => Outcome::Found,
                false if now - start > SPIN => Outcome::Vain,
                false => {
                    last = now;
                    continue;
                }
            };
            self.learn(outcome, now);
            return found;
        }
    }

    fn learn(&mut self, outcome: Outcome, now: Instant) {
        match outcome {
            Outcome::Found => {
                *self = Self::default();
                return;
            }
            Outcome::Vain => self.vain += 1,
            Outcome::Interrupted => self.vain = VAIN_MAX,
        }
        if self.vain >= VAIN_MAX {
            // Open again after the pause, but for a single spin.
            self.vain = VAIN_MAX - 1;
            self.closed_until = Some(now + self.pause);
            self.pause = (self.pause * 2).min(PAUSE_MAX);
        }
    }
}
