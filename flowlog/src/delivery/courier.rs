//! Carries one logger's objects from the spool to its store, one at a time.

use super::{
    Kept,
    pace::{Next, Pace},
    progress::Board,
};
use crate::{
    Zone, layout,
    spool::{Head, QueueId, SpoolError},
    store::{Cause, Store, StoreError},
};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

/// Failures in a row after which a store counts as down: one that stumbles is not worth an alarm.
const FAILURES_UNTIL_ERROR: u32 = 3;

/// Where a logger's objects go.
pub(crate) struct Address {
    pub(crate) store: Box<dyn Store>,
    /// Whose clock on the wall their names show.
    pub(crate) zone: Zone,
}

/// A logger's courier.
pub(super) struct Courier {
    kept: Arc<Kept>,
    queue: QueueId,
    board: Arc<Board>,
    address: Address,
    pace: Pace,
    /// Whether the store was asked since it was named.
    asked: bool,
    /// The object on its way, while a step is under way.
    carried: Option<u64>,
    /// Failures in a row after which its store counts as down.
    patience: u32,
}

impl Courier {
    pub(super) fn new(
        kept: Arc<Kept>,
        queue: QueueId,
        board: Arc<Board>,
        address: Address,
    ) -> Self {
        Self {
            kept,
            queue,
            board,
            address,
            pace: Pace::default(),
            asked: false,
            carried: None,
            patience: FAILURES_UNTIL_ERROR,
        }
    }

    /// Takes the first failure for trouble: where the caller waits for the store, it wants to know.
    pub(super) fn impatient(self) -> Self {
        Self {
            patience: 1,
            ..self
        }
    }

    /// Goes on with another address, or with the same one because it may work now.
    pub(super) fn readdress(&mut self, address: Address) {
        self.address = address;
        self.ask_again();
    }

    /// Asks the store again at once.
    pub(super) fn ask_again(&mut self) {
        self.pace.ask_again();
        self.asked = false;
    }

    /// Does the next thing that is due: delivers an object or, while there is none, makes sure of a
    /// store that was not asked yet. `None` where something was done.
    ///
    /// A panic on the way is a bug of a store's client, and the object's failure: the courier goes on,
    /// with the others first.
    pub(super) fn step(&mut self, now_ms: u64, random: u64) -> Option<Option<u64>> {
        let step = catch_unwind(AssertUnwindSafe(|| self.try_step(now_ms, random)));
        step.unwrap_or_else(|_| {
            self.panicked(now_ms, random);
            None
        })
    }

    fn panicked(&mut self, now_ms: u64, random: u64) {
        self.kept.spool.put_back(self.queue);
        match self.carried.take() {
            Some(number) => self.pace.refused(number, now_ms),
            None => self.pace.failed(now_ms, random),
        }
        let text =
            "a bug in the delivery, of which the daemon's log tells more; tried again each minute";
        self.board
            .failed(&StoreError::new(Cause::Refused, text), true);
    }

    fn try_step(&mut self, now_ms: u64, random: u64) -> Option<Option<u64>> {
        let mut next = Next::Wait(None);
        let (kept, pace) = (&self.kept, &mut self.pace);
        let chosen = kept.spool.choose(self.queue, |waiting| {
            next = pace.next(now_ms, waiting);
            match next {
                Next::Try(number) => Some(number),
                Next::Sound | Next::Wait(_) => None,
            }
        });
        match (chosen, next) {
            (Some(number), _) => {
                self.carried = Some(number);
                self.carry(number, now_ms, random);
                self.carried = None;
            }
            (None, Next::Sound) => self.sound(now_ms, random),
            (None, _) if !self.asked && !self.pace.is_paused(now_ms) => self.probe(now_ms, random),
            (None, Next::Wait(until_ms)) => return Some(until_ms),
            (None, Next::Try(_)) => {}
        }
        None
    }

    fn probe(&mut self, now_ms: u64, random: u64) {
        match self.address.store.probe() {
            Ok(()) => {
                self.asked = true;
                self.board.answered();
            }
            Err(error) => {
                if error.cause.is_refusal() {
                    self.pace.refused_all(now_ms);
                } else {
                    self.pace.failed(now_ms, random);
                }
                self.report(&error);
            }
        }
    }

    /// Finds out whether the store answers at all. A refusal is an answer, too: the key may write what
    /// the log is made of and nothing else.
    fn sound(&mut self, now_ms: u64, random: u64) {
        match self.address.store.probe() {
            Err(error) if !error.cause.is_refusal() => {
                self.pace.failed(now_ms, random);
                self.report(&error);
            }
            _ => self.pace.sounded(),
        }
    }

    fn carry(&mut self, number: u64, now_ms: u64, random: u64) {
        let (Head { name, .. }, entry, mut body) = match self.kept.spool.read(self.queue, number) {
            Ok(read) => read,
            Err(error @ SpoolError::Damaged { .. }) => {
                self.kept.spool.lose(self.queue, number);
                return self.board.noted(&error);
            }
            Err(error) => {
                self.kept.spool.put_back(self.queue);
                self.pace.failed(now_ms, random);
                return self.board.noted(&error);
            }
        };
        let put = self.address.store.put(&name, &mut body);
        let put = match put {
            Err(error) if error.cause == Cause::Taken => {
                self.rename(number, entry.interval_s, &name, error)
            }
            put => put.map(|()| true),
        };
        match put {
            Ok(true) => {
                let removed = self.kept.spool.remove(self.queue, number);
                self.asked = true;
                self.pace.delivered(number);
                self.board.delivered(&entry, !self.pace.has_refused());
                if let Some(error) = removed {
                    self.board.noted(&error);
                }
            }
            Ok(false) => self.kept.spool.put_back(self.queue),
            Err(error) => {
                self.kept.spool.put_back(self.queue);
                let error = match error.cause {
                    // A disk that is full has room for what is small: that says nothing of the rest.
                    Cause::Full => {
                        self.pace.failed(now_ms, random);
                        error
                    }
                    cause if cause.is_refusal() => {
                        self.pace.refused(number, now_ms);
                        error
                    }
                    _ if self.pace.object_failed(number, now_ms, random) => {
                        passed_over(&name, &error)
                    }
                    _ => error,
                };
                self.report(&error);
            }
        }
    }

    /// Gives an object the next part's name where its own belongs to something else: the memory of
    /// names was lost. `false`: it is to be tried again.
    fn rename(
        &self,
        number: u64,
        interval_s: u64,
        name: &str,
        taken: StoreError,
    ) -> Result<bool, StoreError> {
        let civil_s = self.address.zone.civil_s(interval_s);
        let part = match self.kept.names().issue(self.queue.logger, civil_s, 1) {
            Ok(parts) => parts.numbers().next().flatten(),
            Err(_) => return Err(taken),
        };
        // The first part is without a number: its name is the one that is taken.
        let Some(part) = part else { return Ok(false) };
        let name = part_of(name, part);
        match self.kept.spool.rename(self.queue, number, &name) {
            Ok(()) => Ok(false),
            Err(_) => Err(taken),
        }
    }

    fn report(&self, error: &StoreError) {
        let is_trouble = error.cause.is_refusal()
            || self.pace.has_refused()
            || self.pace.failures() >= self.patience;
        self.board.failed(error, is_trouble);
    }
}

/// The error of an object that the others do not wait for any longer.
fn passed_over(name: &str, error: &StoreError) -> StoreError {
    let text = format!(
        "{name}: {error}; the store answers, so others go first, and this one is tried each minute"
    );
    StoreError::new(error.cause, text)
}

/// The name of another part of the same interval.
fn part_of(name: &str, part: u32) -> String {
    let file = name.rfind('/').map_or(0, |slash| slash + 1);
    // No template of a name has a full stop.
    let dot = name[file..].find('.').map_or(name.len(), |dot| file + dot);
    let (stem, extension) = name.split_at(dot);
    let mark = layout::part_mark(extension);
    let is_part = |number: &str| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
    let stem = match stem.rsplit_once(mark) {
        Some((stem, number)) if is_part(number) => stem,
        _ => stem,
    };
    format!("{stem}{mark}{part}{extension}")
}

#[cfg(test)]
mod tests {
    use super::part_of;

    #[test]
    fn a_part_has_the_name_of_its_interval_and_its_own_number() {
        for (name, expected) in [
            ("a.b/x_T05.csv.gz", "a.b/x_T05_part7.csv.gz"),
            ("2026/x_part2.parquet", "2026/x_part7.parquet"),
            ("AWSLogs/1_x_0.log.gz", "AWSLogs/1_x_0-part7.log.gz"),
            ("AWSLogs/1_x_0-part12.log.gz", "AWSLogs/1_x_0-part7.log.gz"),
            ("x_part", "x_part_part7"),
        ] {
            assert_eq!(part_of(name, 7), expected);
        }
    }
}
