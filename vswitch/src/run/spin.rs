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
//! the middle, which it counts; that something has come, or a gap between two looks at the clock, tells when to
//! ask. Both close
//! spinning for a pause, which doubles up to [`PAUSE_MAX`]: at worst [`SPIN`] of every pause is lost,
//! 0.2 %.

use std::hint::spin_loop;
use std::time::{Duration, Instant};

/// Longest spin: about what a wake-up costs, and time for a guest on another core to answer.
const SPIN: Duration = Duration::from_micros(100);

/// A gap between two looks at the clock in which somebody else may have had the core: a timer's
/// interrupt takes as long.
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
    Preempted,
}

impl Spin {
    /// Looks, by `stirs`, whether something comes, as long as experience says that it pays.
    #[inline]
    pub(super) fn finds(&mut self, stirs: impl FnMut() -> bool) -> bool {
        self.finds_by(Instant::now, tap::preemptions, stirs)
    }

    fn finds_by(
        &mut self,
        clock: impl Fn() -> Instant,
        preemptions: impl Fn() -> u64,
        mut stirs: impl FnMut() -> bool,
    ) -> bool {
        let start = clock();
        if self.closed_until.is_some_and(|until| start < until) {
            return false;
        }
        // Before the first look: a look is a system call, at whose end somebody else may get the core.
        let before = preemptions();
        // What is there already was not waited for, and says nothing about waiting.
        if stirs() {
            return true;
        }
        let was_preempted = || preemptions() != before;
        let mut last = start;
        loop {
            let found = (0..LOOKS).any(|_| {
                spin_loop();
                stirs()
            });
            let now = clock();
            let is_gap = now - last > GAP;
            last = now;
            let outcome = match found {
                // What was found may have come from somebody who had the core for a few microseconds.
                _ if (found || is_gap) && was_preempted() => Outcome::Preempted,
                true => Outcome::Found,
                false if now - start > SPIN => Outcome::Vain,
                false => continue,
            };
            self.learn(outcome, now);
            return found;
        }
    }

    fn learn(&mut self, outcome: Outcome, now: Instant) {
        match outcome {
            Outcome::Found => {
                self.vain = 0;
                self.pause = PAUSE_MIN;
                return;
            }
            Outcome::Vain => self.vain += 1,
            Outcome::Preempted => self.vain = VAIN_MAX,
        }
        if self.vain >= VAIN_MAX {
            // Open again after the pause, but for a single spin.
            self.vain = VAIN_MAX - 1;
            self.closed_until = Some(now + self.pause);
            self.pause = (self.pause * 2).min(PAUSE_MAX);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    /// A machine of which one look takes a microsecond.
    struct Machine {
        now: Cell<Instant>,
        preemptions: Cell<u64>,
        looks: Cell<u32>,
    }

    impl Machine {
        fn new() -> Self {
            Self {
                now: Cell::new(Instant::now()),
                preemptions: Cell::new(0),
                looks: Cell::new(0),
            }
        }

        fn pass(&self, time: Duration) {
            self.now.set(self.now.get() + time);
        }

        /// A spin in which `stirs` answers after `look` looks; whether it found that, and how many
        /// looks it took.
        fn spin(&self, spin: &mut Spin, mut stirs: impl FnMut(u32) -> bool) -> (bool, u32) {
            self.looks.set(0);
            let found = spin.finds_by(
                || self.now.get(),
                || self.preemptions.get(),
                || {
                    self.pass(Duration::from_micros(1));
                    self.looks.set(self.looks.get() + 1);
                    stirs(self.looks.get())
                },
            );
            (found, self.looks.get())
        }
    }

    #[test]
    fn what_comes_while_it_spins_is_found_again_and_again() {
        let (machine, mut spin) = (Machine::new(), Spin::default());
        for _ in 0..1000 {
            assert_eq!(machine.spin(&mut spin, |look| look == 60), (true, 60));
        }
    }

    #[test]
    fn spins_in_vain_cost_next_to_nothing_in_the_long_run() {
        let (machine, mut spin) = (Machine::new(), Spin::default());
        let mut looks = 0;
        for _ in 0..100_000 {
            machine.pass(Duration::from_micros(100));
            looks += machine.spin(&mut spin, |_| false).1;
        }
        assert!(looks < 10_000_000 / 300, "{looks} µs of 10 s");
    }

    #[test]
    fn a_core_that_others_need_is_left_at_once_for_a_pause() {
        let (machine, mut spin) = (Machine::new(), Spin::default());
        let peer_runs = |machine: &Machine| {
            machine.pass(Duration::from_micros(20));
            machine.preemptions.set(machine.preemptions.get() + 1);
            true
        };
        let (found, _) = machine.spin(&mut spin, |look| look > 1 && peer_runs(&machine));
        assert!(found, "what has come is taken all the same");
        assert_eq!(machine.spin(&mut spin, |_| true), (false, 0));
        machine.pass(PAUSE_MIN);
        assert_eq!(machine.spin(&mut spin, |_| true), (true, 1));
    }

    /// On one core with the guests: each runs for a few microseconds, and then there is something.
    #[test]
    fn a_peer_that_needs_the_core_for_a_moment_only_needs_it_too() {
        let (machine, mut spin) = (Machine::new(), Spin::default());
        let mut spun = 0;
        for _ in 0..10_000 {
            machine.pass(Duration::from_micros(10));
            let peer_runs = |look| {
                let has_run = look == 90;
                machine.pass(Duration::from_micros(4 * u64::from(has_run)));
                let preemptions = machine.preemptions.get() + u64::from(has_run);
                machine.preemptions.set(preemptions);
                has_run
            };
            spun += machine.spin(&mut spin, peer_runs).1;
        }
        assert!(spun < 2000, "{spun} µs of 100 ms");
    }

    #[test]
    fn a_peer_that_has_the_core_at_the_first_look_needed_it_too() {
        let (machine, mut spin) = (Machine::new(), Spin::default());
        let mut spins = 0;
        for _ in 0..10_000 {
            machine.pass(Duration::from_micros(10));
            let (_, looks) = machine.spin(&mut spin, |look| {
                let has_run = u64::from(look == 1);
                machine.preemptions.set(machine.preemptions.get() + has_run);
                look == 2
            });
            spins += u32::from(looks > 0);
        }
        assert!(spins < 20, "{spins} in 100 ms");
    }

    #[test]
    fn what_is_there_already_does_not_speak_for_spinning() {
        let (machine, mut spin) = (Machine::new(), Spin::default());
        let mut spun = 0;
        for _ in 0..10_000 {
            machine.pass(Duration::from_micros(10));
            spun += machine.spin(&mut spin, |_| true).1;
            spun += machine.spin(&mut spin, |_| false).1;
        }
        assert!(spun < 14_000, "{spun} µs of 200 ms");
    }

    #[test]
    fn an_interrupt_is_no_reason_to_stop() {
        let (machine, mut spin) = (Machine::new(), Spin::default());
        for _ in 0..10 {
            let interrupted = machine.spin(&mut spin, |look| {
                machine.pass(Duration::from_micros(u64::from(look == 5) * 30));
                look == 8
            });
            assert_eq!(interrupted, (true, 8));
        }
    }
}
