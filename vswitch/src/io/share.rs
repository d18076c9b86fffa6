//! A receiver's share of its worker's time.
//!
//! A write into a TAP runs the receiving guest's network stack before it returns, unless that has a thread
//! of its own. A guest decides what that costs: with 1,000 firewall rules 16 µs a packet instead of 1.6,
//! with 300,000 some 5 ms, in which no other guest's packet moves. So what a write takes is measured, and
//! a receiver that is slow gets a share of the time and no more; the rest of its packets is lost.
//!
//! ```text
//!   Fast ──a sample was long──▶ Watched ──the next writes were long, too──▶ Slow ──┐ its writes are
//!    ▲  one write of 32 is timed   └── they were not ──▶ Fast                      │ timed and rationed
//!    └──────────────────────────────────────────────────────── they are short again┘
//! ```
//! No clock is read for the packets of a fast receiver, but for one in [`SAMPLE`].

use std::io;
use std::time::{Duration, Instant};

/// One write in so many is timed: a clock read of 25 ns costs each less than 2 ns.
const SAMPLE: u32 = 32;

/// A write is long if it takes longer than this, and a nanosecond for each byte: five times what an
/// ordinary guest's stack takes.
const LONG_NS: u64 = 8_000;

/// Writes that are timed before a receiver is called slow, or fast again; fewer if they take long.
const WATCHED: u32 = 32;

/// At least so many, in so many nanoseconds, decide as well.
const WATCHED_MIN: u32 = 3;
const WATCHED_NS: u64 = 1_000_000;

/// A receiver is slow only if its writes take this part of the time as well, ...
const PARTS_MIN: u64 = 20;

/// ... or so long that one of them is felt: an idle guest's few packets find cold caches.
const FELT_NS: u64 = 500_000;

/// Suspicions that are left alone after one that was wrong: it costs [`WATCHED`] writes one by one.
const CALM: u32 = 64;

/// Of the time, one half is the most that a slow receiver gets, ...
const PARTS: u32 = 2;

/// ... and this much at once, so that others wait for one write or for this at most.
const AT_ONCE: Duration = Duration::from_millis(1);

/// A receiver's share, and what its writes take.
#[derive(Debug, Default)]
pub(super) struct TimeShare {
    state: State,
    timed: Timed,
    /// Nanoseconds that are left; below zero after a write that took more.
    left_ns: i64,
    filled: Option<Instant>,
    /// Wire packets that were lost beyond the share since [`TimeShare::take_slow`] was asked.
    over: u64,
    /// Writes before the next that is timed.
    untimed: u32,
    /// Further suspicions to leave alone, after one that was wrong.
    calm: u32,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    #[default]
    Fast,
    Watched,
    Slow,
}

/// Writes, their time, and what they may take.
#[derive(Debug, Default, Clone, Copy)]
struct Timed {
    since: Option<Instant>,
    writes: u32,
    ns: u64,
    allowed_ns: u64,
}

impl Timed {
    /// Whether such writes are slow, until `now`.
    fn are_slow(&self, now: Instant) -> bool {
        let since = self.since.map_or(Duration::ZERO, |since| now - since);
        let is_much = u128::from(self.ns * PARTS_MIN) >= since.as_nanos();
        let is_felt = self.ns >= FELT_NS * u64::from(self.writes);
        self.ns > self.allowed_ns && (is_much || is_felt)
    }

    /// The average follows what comes: half of what was counts on.
    fn halve(&mut self, now: Instant) {
        self.since = self.since.map(|since| now - (now - since) / 2);
        self.writes /= 2;
        self.ns /= 2;
        self.allowed_ns /= 2;
    }
}

/// A receiver that is slow, or was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slow {
    /// What a write takes, nanoseconds on average; 0 where it is fast again.
    pub write_ns: u64,
    /// Wire packets lost since the last report because its share was used up.
    pub over_share: u64,
}

impl TimeShare {
    /// Whether the receiver is fast, as far as is known.
    #[inline]
    pub(super) fn is_fast(&self) -> bool {
        self.state == State::Fast
    }

    /// Whether the next write need not go through [`TimeShare::write`].
    #[inline]
    pub(super) fn is_untimed(&mut self) -> bool {
        let left = self.untimed.checked_sub(1);
        self.untimed = left.unwrap_or(0);
        left.is_some()
    }

    /// Has the next writes timed: one of them, or several together, took long.
    pub(super) fn watch(&mut self) {
        if let Some(left) = self.calm.checked_sub(1) {
            self.calm = left;
        } else if self.is_fast() {
            self.state = State::Watched;
            self.timed = Timed::default();
            self.untimed = 0;
        }
    }

    /// Whether a write that took so long is a long one.
    pub(super) fn is_long(took: Duration, bytes: usize) -> bool {
        took > Duration::from_nanos(LONG_NS + bytes as u64)
    }

    /// Writes a frame of `bytes` bytes and `packets` wire packets, timed, if the share has room for it.
    #[cold]
    pub(super) fn write(
        &mut self,
        bytes: usize,
        packets: u32,
        write: impl FnOnce() -> io::Result<()>,
    ) -> io::Result<()> {
        let start = Instant::now();
        if self.is_fast() {
            let result = write();
            self.untimed = SAMPLE - 1;
            if Self::is_long(start.elapsed(), bytes) {
                self.watch();
            }
            return result;
        }
        if !self.has_room(start) {
            self.over += u64::from(packets);
            return Err(io::ErrorKind::QuotaExceeded.into());
        }
        let preempted = tap::preemptions();
        let result = write();
        let end = Instant::now();
        let took = end - start;
        self.left_ns = self.left_ns.saturating_sub(nanoseconds(took));
        // Time in which others had the processor says nothing of the receiver.
        if tap::preemptions() == preempted {
            self.took(took, bytes, end);
        }
        result
    }

    /// What is to report of a receiver that is slow, or has lost packets since the last report.
    pub(super) fn take_slow(&mut self) -> Option<Slow> {
        let over_share = std::mem::take(&mut self.over);
        let is_slow = self.state == State::Slow;
        let write_ns = self.timed.ns / u64::from(self.timed.writes.max(1));
        (is_slow || over_share > 0).then_some(Slow {
            write_ns: if is_slow { write_ns } else { 0 },
            over_share,
        })
    }

    /// Whether a write may begin.
    fn has_room(&mut self, now: Instant) -> bool {
        if self.state != State::Slow {
            return true;
        }
        let since = self.filled.replace(now).map(|filled| now - filled);
        let more = since.map_or(AT_ONCE, |since| since / PARTS);
        self.left_ns = self
            .left_ns
            .saturating_add(nanoseconds(more))
            .min(nanoseconds(AT_ONCE));
        self.left_ns > 0
    }

    fn took(&mut self, took: Duration, bytes: usize, now: Instant) {
        let timed = &mut self.timed;
        timed.since.get_or_insert(now - took);
        timed.writes += 1;
        timed.ns += took.as_nanos() as u64;
        timed.allowed_ns += LONG_NS + bytes as u64;
        let is_clear = timed.writes >= WATCHED_MIN && timed.ns >= WATCHED_NS;
        if timed.writes < WATCHED && !is_clear {
            return;
        }
        match (self.state, timed.are_slow(now)) {
            (State::Slow, true) => timed.halve(now),
            (_, true) => {
                self.state = State::Slow;
                self.filled = None;
                self.left_ns = 0;
            }
            (_, false) => {
                self.state = State::Fast;
                self.untimed = SAMPLE - 1;
                self.calm = CALM;
            }
        }
    }
}

fn nanoseconds(time: Duration) -> i64 {
    i64::try_from(time.as_nanos()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread::sleep;

    fn write(share: &mut TimeShare, takes: Duration) -> bool {
        let spin = || {
            let start = Instant::now();
            while start.elapsed() < takes {}
            Ok(())
        };
        share.write(60, 1, spin).is_ok()
    }

    #[test]
    fn a_receiver_whose_writes_take_long_is_slow_and_loses_what_exceeds_its_share() {
        let mut share = TimeShare::default();
        let long = Duration::from_micros(500);
        // The first is a sample; where the test is preempted, a write is not counted.
        let mut writes = 0;
        while share.state != State::Slow {
            assert!(write(&mut share, long) && writes < 1000);
            writes += 1;
        }
        let (start, mut written) = (Instant::now(), 0);
        while start.elapsed() < Duration::from_millis(50) {
            written += u32::from(write(&mut share, long));
        }
        let slow = share.take_slow().unwrap();
        assert!(
            written > 0 && slow.over_share > 0 && slow.write_ns >= 500_000,
            "{slow:?}"
        );
        assert_eq!(share.take_slow().unwrap().over_share, 0, "reported once");
        // A pause gives it no more than is due at once.
        sleep(Duration::from_millis(20));
        let at_once = (0..10).filter(|_| write(&mut share, Duration::from_millis(2)));
        assert!(at_once.count() <= 2, "one, and one after a preemption");
    }

    #[test]
    fn a_receiver_that_took_long_once_is_fast_again_and_large_frames_may_take_longer() {
        let mut share = TimeShare::default();
        share.watch();
        let mut writes = 0;
        while !share.is_fast() {
            assert!(write(&mut share, Duration::ZERO) && writes < 1000);
            writes += 1;
        }
        assert_eq!(share.take_slow(), None);
        share.watch();
        assert!(share.is_fast(), "the next suspicion is left alone");
        let took = Duration::from_micros(30);
        assert!(TimeShare::is_long(took, 60) && !TimeShare::is_long(took, 65_000));
    }

    #[test]
    fn of_a_fast_receiver_one_write_in_so_many_is_timed() {
        let mut share = TimeShare::default();
        let mut timed = 0;
        for _ in 0..10 * SAMPLE {
            if !share.is_untimed() {
                timed += 1;
                // As after a write that did not take long.
                share.untimed = SAMPLE - 1;
            }
        }
        assert_eq!(timed, 10);
    }
}
