//! When which object is tried. Time and randomness are arguments, so that a day of outage is tested
//! in a millisecond.
//!
//! * What **fails** (no connection, 5xx) is tried again after a growing pause, the oldest first: the
//!   store is the matter, not the object.
//! * One object that fails again and again may be the matter after all: after [`FAILURES_OF_ONE_MAX`]
//!   failures the store is **sounded** before each further try. While it does not answer it is down,
//!   and order is kept: what waits goes out oldest first when it is back. Where it answers and the
//!   object fails right then, the object steps aside as if it were refused. No other object is sent to
//!   find this out: it would overtake the oldest if the store came back at that moment.
//! * What is **refused** steps aside for a minute and the next is tried, so that one object blocks no
//!   other. Where several in a row are refused the store is the matter after all, and the logger
//!   pauses for that minute. After the pause the oldest is asked for first, so that a store that has
//!   changed its mind gets everything in order; then those that were tried least.

use crate::spool::Waiting;
use std::collections::BTreeMap;

/// First pause after a failure, milliseconds.
pub(super) const RETRY_FIRST_MS: u64 = 500;

/// Longest pause after a failure, milliseconds.
pub(super) const RETRY_MAX_MS: u64 = 60_000;

/// Failures in a row of one object before the store is sounded: half a minute of pauses or less.
pub(super) const FAILURES_OF_ONE_MAX: u32 = 6;

/// How long a refused object steps aside, milliseconds.
pub(super) const ASK_AGAIN_MS: u64 = 60_000;

/// Objects refused in a row before the logger pauses.
pub(super) const REFUSED_IN_A_ROW_MAX: u32 = 4;

/// The order and the pauses of one logger's deliveries.
#[derive(Debug, Default)]
pub(super) struct Pace {
    failures: u32,
    refused_in_a_row: u32,
    paused_until_ms: u64,
    /// The object that failed last, and how often in a row.
    failing: Option<(u64, u32)>,
    /// The store has just answered: what fails now fails by itself.
    is_sounded: bool,
    aside: BTreeMap<u64, Aside>,
}

/// An object that was refused, or fails by itself.
#[derive(Debug, Clone, Copy)]
struct Aside {
    until_ms: u64,
    refusals: u32,
    /// It was not refused: the store has to be sounded before it is tried again.
    fails: bool,
}

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// Try this object.
    Try(u64),
    /// Find out whether the store answers at all.
    Sound,
    /// Nothing before this moment, or before something new arrives.
    Wait(Option<u64>),
}

impl Pace {
    /// What to try at the moment `now_ms`.
    pub(super) fn next(&mut self, now_ms: u64, waiting: &Waiting) -> Next {
        if now_ms < self.paused_until_ms {
            return Next::Wait(Some(self.paused_until_ms));
        }
        let due = |number: &u64| self.aside.get(number).is_none_or(|a| a.until_ms <= now_ms);
        let mut due = waiting.keys().copied().filter(due);
        let chosen = match self.refused_in_a_row {
            0 => due.next(),
            _ => due.min_by_key(|number| (self.refusals(*number), *number)),
        };
        if let Some(number) = chosen {
            return match self.is_suspect(number) && !self.is_sounded {
                true => Next::Sound,
                false => Next::Try(number),
            };
        }
        self.refused_in_a_row = 0;
        self.aside.retain(|number, _| waiting.contains_key(number));
        Next::Wait(self.aside.values().map(|aside| aside.until_ms).min())
    }

    /// Whether the store may be asked at all.
    pub(super) const fn is_paused(&self, now_ms: u64) -> bool {
        now_ms < self.paused_until_ms
    }

    /// Whether an object stands aside because it was refused.
    pub(super) fn has_refused(&self) -> bool {
        !self.aside.is_empty()
    }

    /// Failures since the store last answered.
    pub(super) const fn failures(&self) -> u32 {
        self.failures
    }

    /// The store has it. Where it had refused it before, those aside may be welcome, too.
    pub(super) fn delivered(&mut self, number: u64) {
        self.answered();
        self.refused_in_a_row = 0;
        if self.aside.remove(&number).is_some() {
            self.aside.clear();
        }
    }

    /// The store does not want it.
    pub(super) fn refused(&mut self, number: u64, now_ms: u64) {
        self.set_aside(number, now_ms, false);
    }

    fn set_aside(&mut self, number: u64, now_ms: u64, fails: bool) {
        self.answered();
        let until_ms = now_ms.saturating_add(ASK_AGAIN_MS);
        let aside = Aside {
            until_ms,
            refusals: self.refusals(number).saturating_add(1),
            fails,
        };
        self.aside.insert(number, aside);
        self.refused_in_a_row += 1;
        if self.refused_in_a_row >= REFUSED_IN_A_ROW_MAX {
            self.pause_until(until_ms);
        }
    }

    /// The store wants nothing at all.
    pub(super) fn refused_all(&mut self, now_ms: u64) {
        self.answered();
        self.pause_until(now_ms.saturating_add(ASK_AGAIN_MS));
    }

    /// The store answered when it was sounded.
    pub(super) fn sounded(&mut self) {
        self.is_sounded = true;
    }

    /// The store did not take an object, and may the next time. `true`: it steps aside for that.
    pub(super) fn object_failed(&mut self, number: u64, now_ms: u64, random: u64) -> bool {
        if std::mem::take(&mut self.is_sounded) && self.is_suspect(number) {
            self.set_aside(number, now_ms, true);
            return true;
        }
        let before = self.failing.filter(|(failing, _)| *failing == number);
        let times = before.map_or(0, |(_, times)| times).saturating_add(1);
        self.failing = Some((number, times));
        self.failed(now_ms, random);
        false
    }

    /// The store could not be asked, or cannot at the moment. Of the pause, the upper half is random,
    /// so that many who lost one store do not come back at once.
    pub(super) fn failed(&mut self, now_ms: u64, random: u64) {
        let doublings = self.failures.min(16);
        self.failures = self.failures.saturating_add(1);
        let longest_ms = (RETRY_FIRST_MS << doublings).min(RETRY_MAX_MS);
        let half_ms = longest_ms / 2;
        self.paused_until_ms = now_ms.saturating_add(half_ms + random % (half_ms + 1));
    }

    /// Somebody says that things are different now.
    pub(super) fn ask_again(&mut self) {
        *self = Self::default();
    }

    fn answered(&mut self) {
        (self.failures, self.failing, self.is_sounded) = (0, None, false);
    }

    /// Whether an object fails so often that the store may not be the matter.
    fn is_suspect(&self, number: u64) -> bool {
        let is_aside = self.aside.get(&number).is_some_and(|aside| aside.fails);
        let times = self.failing.filter(|(failing, _)| *failing == number);
        is_aside || times.is_some_and(|(_, times)| times >= FAILURES_OF_ONE_MAX)
    }

    fn pause_until(&mut self, until_ms: u64) {
        self.paused_until_ms = until_ms;
        self.refused_in_a_row = 0;
    }

    fn refusals(&self, number: u64) -> u32 {
        self.aside.get(&number).map_or(0, |aside| aside.refusals)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spool::Entry;

    impl Pace {
        /// The pause is over.
        fn ask_now(&mut self) {
            self.paused_until_ms = 0;
        }
    }

    fn waiting(numbers: impl IntoIterator<Item = u64>) -> Waiting {
        numbers
            .into_iter()
            .map(|number| (number, Entry::default()))
            .collect()
    }

    #[test]
    fn a_failure_is_followed_by_a_growing_pause_and_by_the_same_object() {
        let mut pace = Pace::default();
        let queue = waiting([3, 4]);
        let mut now_ms = 0;
        let mut pauses = Vec::new();
        for _ in 0..10 {
            match pace.next(now_ms, &queue) {
                Next::Try(number) => assert!(!pace.object_failed(number, now_ms, u64::MAX)),
                _ => pace.failed(now_ms, u64::MAX),
            }
            let Next::Wait(Some(until_ms)) = pace.next(now_ms, &queue) else {
                panic!("no pause");
            };
            pauses.push(until_ms - now_ms);
            now_ms = until_ms;
        }
        assert!(pauses.is_sorted(), "{pauses:?}");
        assert!((RETRY_FIRST_MS / 2..=RETRY_FIRST_MS).contains(&pauses[0]));
        assert!((RETRY_MAX_MS / 2..=RETRY_MAX_MS).contains(&pauses[9]));
        pace.delivered(3);
        assert_eq!(pace.failures(), 0);
    }

    #[test]
    fn the_pauses_of_two_loggers_differ() {
        let pause = |random| {
            let mut pace = Pace::default();
            pace.failed(0, random);
            pace.next(0, &Waiting::default())
        };
        assert_ne!(pause(1), pause(100));
    }

    #[test]
    fn a_refused_object_blocks_no_other_and_is_asked_for_again_within_the_minute() {
        let mut pace = Pace::default();
        let mut queue = waiting([1, 2, 3]);
        let mut order = Vec::new();
        while let Next::Try(number) = pace.next(0, &queue) {
            order.push(number);
            if number == 1 {
                pace.refused(1, 0);
            } else {
                pace.delivered(number);
                queue.remove(&number);
            }
        }
        assert_eq!(order, [1, 2, 3]);
        assert_eq!(pace.next(0, &queue), Next::Wait(Some(ASK_AGAIN_MS)));
        assert_eq!(pace.next(ASK_AGAIN_MS, &queue), Next::Try(1));
    }

    #[test]
    fn a_store_that_refuses_everything_is_asked_a_few_times_a_minute_and_then_gets_all_in_order() {
        let mut pace = Pace::default();
        let mut queue = waiting(1..=20);
        let mut now_ms = 0;
        let mut asked = 0;
        while now_ms < 10 * ASK_AGAIN_MS {
            match pace.next(now_ms, &queue) {
                Next::Try(number) => {
                    asked += 1;
                    pace.refused(number, now_ms);
                }
                Next::Wait(until_ms) => now_ms = until_ms.unwrap(),
                Next::Sound => panic!("a refusal is an answer"),
            }
        }
        assert_eq!(asked, 10 * REFUSED_IN_A_ROW_MAX);
        let mut order = Vec::new();
        while let Next::Try(number) = pace.next(now_ms, &queue) {
            order.push(number);
            pace.delivered(number);
            queue.remove(&number);
        }
        assert_eq!(order, (1..=20).collect::<Vec<_>>());
    }

    #[test]
    fn any_number_of_refused_objects_blocks_the_others_only_for_a_while() {
        let mut pace = Pace::default();
        let mut queue = waiting(1..=30);
        let mut now_ms = 0;
        while queue.len() > 20 && now_ms < 100 * ASK_AGAIN_MS {
            match pace.next(now_ms, &queue) {
                Next::Try(number) if number <= 20 => pace.refused(number, now_ms),
                Next::Try(number) => {
                    pace.delivered(number);
                    queue.remove(&number);
                }
                Next::Wait(until_ms) => now_ms = until_ms.unwrap(),
                Next::Sound => panic!("a refusal is an answer"),
            }
        }
        assert!(now_ms <= 10 * ASK_AGAIN_MS, "{now_ms}");
        assert_eq!(queue, waiting(1..=20));
    }

    #[test]
    fn a_store_that_is_down_is_sounded_and_an_object_that_fails_beside_it_steps_aside() {
        let mut pace = Pace::default();
        let queue = waiting([1, 2]);
        for _ in 0..FAILURES_OF_ONE_MAX {
            pace.ask_now();
            assert_eq!(pace.next(0, &queue), Next::Try(1));
            assert!(!pace.object_failed(1, 0, 0));
        }
        for _ in 0..3 {
            pace.ask_now();
            assert_eq!(pace.next(0, &queue), Next::Sound);
            pace.failed(0, 0);
        }
        pace.ask_now();
        pace.sounded();
        assert_eq!(
            pace.next(0, &queue),
            Next::Try(1),
            "the oldest is asked for first"
        );
        assert!(pace.object_failed(1, 0, 0));
        assert_eq!(pace.next(0, &queue), Next::Try(2));
        pace.delivered(2);
        assert_eq!(pace.next(0, &waiting([1])), Next::Wait(Some(ASK_AGAIN_MS)));
        assert_eq!(pace.next(ASK_AGAIN_MS, &waiting([1])), Next::Sound);
    }

    #[test]
    fn asking_again_forgets_every_pause() {
        let mut pace = Pace::default();
        let queue = waiting([1, 2]);
        pace.refused(1, 0);
        pace.failed(0, 7);
        pace.ask_again();
        assert_eq!(pace.next(0, &queue), Next::Try(1));
    }
}
