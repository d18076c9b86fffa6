//! The live tail: each subscriber gets the records of every interval as it closes.
//!
//! ```text
//!   publish ─▶ [ interval, interval, interval ] one queue for all, bounded by bytes and records
//!                  ▲ slow subscriber      ▲ fast one: each has a position; what all have read goes
//! ```
//! **Limits**: [`BYTES_MAX`], [`RECORDS_MAX`], [`SUBSCRIBERS_MAX`]. Where the queue is full its oldest
//! interval goes, and a subscriber that has not read it is told so, with the number of records, before
//! it gets what came later. Between two calls a subscriber holds nothing.

use flowlog::{Closed, Record};
use parking_lot::{Condvar, Mutex};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Memory of the records that wait for subscribers, bytes.
const BYTES_MAX: usize = 128 << 20;

/// Records that wait at most.
const RECORDS_MAX: usize = 500_000;

/// Subscribers at a time.
const SUBSCRIBERS_MAX: usize = 16;

/// Records that a subscriber gets at a time.
const BATCH: usize = 512;

/// The queue, and who reads it.
#[derive(Debug, Default)]
pub struct Tail(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    state: Mutex<State>,
    arrived: Condvar,
}

#[derive(Debug, Default)]
struct State {
    queue: VecDeque<Entry>,
    bytes: usize,
    /// Records in the queue: those that a subscriber can get.
    waiting: usize,
    /// Number of the next interval, from 0.
    next: u64,
    /// Records of all intervals so far.
    records: u64,
    positions: HashMap<u64, Position>,
    /// Number of the next subscriber.
    ids: u64,
}

#[derive(Debug)]
struct Entry {
    closed: Arc<Closed>,
    /// Its records, with those that are in files alone.
    records: u64,
    /// Records of the intervals before it.
    before: u64,
    bytes: usize,
}

/// What a subscriber reads next.
#[derive(Debug, Clone, Copy, Default)]
struct Position {
    interval: u64,
    /// Records of it that were read.
    read: usize,
    /// Records of all intervals up to here.
    records: u64,
}

/// What a subscriber has not got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Missed {
    /// Intervals of which the rest, or all, is missing; 0 where one was longer than a tail has.
    pub intervals: u64,
    /// Their records.
    pub records: u64,
}

/// What a subscriber hears.
#[derive(Debug)]
pub enum Heard {
    /// Records of an interval of this logger.
    Records(Arc<str>, Vec<Record>),
    /// What is missing at this point of the stream.
    Missed(Missed),
}

/// A place in the queue; dropping it gives up what waits.
#[derive(Debug)]
pub struct Subscriber {
    inner: Arc<Inner>,
    id: u64,
}

impl Tail {
    /// Follows the log from now on; `None` where too many do.
    #[must_use]
    pub fn subscribe(&self) -> Option<Subscriber> {
        let mut state = self.0.state.lock();
        if state.positions.len() >= SUBSCRIBERS_MAX {
            return None;
        }
        let id = state.ids;
        state.ids += 1;
        let position = Position {
            interval: state.next,
            read: 0,
            records: state.records,
        };
        state.positions.insert(id, position);
        Some(Subscriber {
            inner: Arc::clone(&self.0),
            id,
        })
    }

    pub(super) fn publish(&self, closed: Closed) {
        let mut state = self.0.state.lock();
        // Without a reader nothing waits, and nothing is counted: each begins behind it.
        if state.positions.is_empty() {
            return;
        }
        let held = closed.records.len();
        let records = closed.rows.max(held as u64);
        let entry = Entry {
            records,
            before: state.records,
            bytes: size_of::<Closed>() + held * size_of::<Record>(),
            closed: Arc::new(closed),
        };
        state.next += 1;
        state.records += records;
        state.bytes += entry.bytes;
        state.waiting += held;
        state.queue.push_back(entry);
        while state.is_over() {
            state.forget();
        }
        drop(state);
        self.0.arrived.notify_all();
    }
}

impl State {
    /// Whether more waits than may; one interval alone always may.
    fn is_over(&self) -> bool {
        self.queue.len() > 1 && (self.bytes > BYTES_MAX || self.waiting > RECORDS_MAX)
    }

    fn forget(&mut self) {
        if let Some(oldest) = self.queue.pop_front() {
            self.bytes -= oldest.bytes;
            self.waiting -= oldest.closed.records.len();
        }
    }

    /// Number of the oldest interval in the queue.
    fn oldest(&self) -> u64 {
        self.next - self.queue.len() as u64
    }

    /// Forgets what every subscriber has read.
    fn prune(&mut self) {
        let read = self
            .positions
            .values()
            .map(|position| position.interval)
            .min();
        while !self.queue.is_empty() && read.is_none_or(|read| self.oldest() < read) {
            self.forget();
        }
    }

    /// What a subscriber has missed before the oldest interval; it goes on there.
    fn missed(&mut self, id: u64) -> Option<Missed> {
        let (oldest, total) = (self.oldest(), self.records);
        let before = self.queue.front().map_or(total, |entry| entry.before);
        let position = self.positions.get_mut(&id)?;
        let intervals = oldest
            .checked_sub(position.interval)
            .filter(|lost| *lost > 0)?;
        let records = before - position.records;
        *position = Position {
            interval: oldest,
            read: 0,
            records: before,
        };
        Some(Missed { intervals, records })
    }

    /// The interval that a subscriber reads.
    fn entry(&self, position: &Position) -> Option<&Entry> {
        let place = position.interval.checked_sub(self.oldest())?;
        self.queue.get(usize::try_from(place).ok()?)
    }

    /// Puts a subscriber behind the interval that it reads; how many of its records it has not got.
    fn pass(&mut self, id: u64) -> Option<u64> {
        let mut position = *self.positions.get(&id)?;
        let end = self
            .entry(&position)
            .map(|entry| entry.before + entry.records)?;
        let left = end - position.records;
        position = Position {
            interval: position.interval + 1,
            read: 0,
            records: end,
        };
        self.positions.insert(id, position);
        self.prune();
        Some(left)
    }

    /// The next thing that a subscriber hears, if there is one.
    fn hear(&mut self, id: u64) -> Option<Heard> {
        loop {
            if let Some(missed) = self.missed(id) {
                return Some(Heard::Missed(missed));
            }
            let position = *self.positions.get(&id)?;
            let entry = self.entry(&position)?;
            let rest = entry
                .closed
                .records
                .get(position.read..)
                .unwrap_or_default();
            let batch: Vec<Record> = rest.iter().take(BATCH).cloned().collect();
            if !batch.is_empty() {
                let logger = Arc::clone(&entry.closed.logger);
                let position = self.positions.get_mut(&id)?;
                position.read += batch.len();
                position.records += batch.len() as u64;
                return Some(Heard::Records(logger, batch));
            }
            let records = self.pass(id)?;
            if records > 0 {
                let missed = Missed {
                    intervals: 0,
                    records,
                };
                return Some(Heard::Missed(missed));
            }
        }
    }
}

impl Subscriber {
    /// What is next; `None` where nothing comes within `patience`.
    #[must_use]
    pub fn hear(&self, patience: Duration) -> Option<Heard> {
        let until = Instant::now() + patience;
        let mut state = self.inner.state.lock();
        loop {
            if let Some(heard) = state.hear(self.id) {
                return Some(heard);
            }
            if self.inner.arrived.wait_until(&mut state, until).timed_out() {
                return state.hear(self.id);
            }
        }
    }

    /// The next interval as a whole, if one has closed; those that are missing are left out.
    #[must_use]
    pub fn interval(&self) -> Option<Arc<Closed>> {
        let mut state = self.inner.state.lock();
        state.missed(self.id);
        let position = *state.positions.get(&self.id)?;
        let closed = Arc::clone(&state.entry(&position)?.closed);
        state.pass(self.id)?;
        Some(closed)
    }
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        let mut state = self.inner.state.lock();
        state.positions.remove(&self.id);
        state.prune();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flowlog::{PortInfo, Skipped, Status, Window};

    const NOW: Duration = Duration::ZERO;

    /// An interval of some records, which has that many rows in its files.
    fn closed(records: usize, rows: u64) -> Closed {
        let record = Record {
            port: Arc::new(PortInfo::default()),
            first_ns: 0,
            last_ns: 0,
            flow: None,
            status: Status::Ok,
            skipped: Skipped::default(),
            peer: None,
            security_group: None,
        };
        Closed {
            logger: "log".into(),
            window: Window::of(0, 60),
            files: Vec::new(),
            rows,
            records: vec![record; records],
            error: None,
        }
    }

    /// Everything that waits: records heard, and what was missed in between.
    fn heard(subscriber: &Subscriber) -> (u64, Vec<Missed>) {
        let (mut records, mut missed) = (0, Vec::new());
        while let Some(heard) = subscriber.hear(NOW) {
            match heard {
                Heard::Records(_, batch) => {
                    assert!(batch.len() <= BATCH);
                    records += batch.len() as u64;
                }
                Heard::Missed(one) => missed.push(one),
            }
        }
        (records, missed)
    }

    #[test]
    fn however_many_do_not_read_what_waits_is_bounded_and_each_is_told_its_loss_to_the_record() {
        let tail = Tail::default();
        let slow: Vec<_> = (0..SUBSCRIBERS_MAX - 1)
            .map(|_| tail.subscribe().unwrap())
            .collect();
        let fast = tail.subscribe().unwrap();
        assert!(tail.subscribe().is_none());
        let (intervals, each) = (40, 30_000);
        let mut read = 0;
        for _ in 0..intervals {
            tail.publish(closed(each, each as u64));
            let state = tail.0.state.lock();
            assert!(state.bytes <= BYTES_MAX + each * size_of::<Record>());
            let waiting: usize = state.queue.iter().map(|e| e.closed.records.len()).sum();
            assert!(
                waiting == state.waiting && waiting <= RECORDS_MAX,
                "{waiting}"
            );
            drop(state);
            let (records, missed) = heard(&fast);
            assert_eq!(missed, []);
            read += records;
        }
        assert_eq!(read, intervals * each as u64);
        for subscriber in &slow {
            let (records, missed) = heard(subscriber);
            let lost: u64 = missed.iter().map(|missed| missed.records).sum();
            assert!(missed.len() == 1 && lost > 0, "{missed:?}");
            assert_eq!(records + lost, intervals * each as u64);
        }
        let state = tail.0.state.lock();
        assert!(state.queue.is_empty() && state.bytes == 0 && state.waiting == 0);
    }

    #[test]
    fn an_interval_that_goes_while_it_is_read_is_missed_from_there_on() {
        let tail = Tail::default();
        let subscriber = tail.subscribe().unwrap();
        let each = RECORDS_MAX / 2;
        tail.publish(closed(each, each as u64));
        assert!(
            matches!(subscriber.hear(NOW), Some(Heard::Records(_, batch)) if batch.len() == BATCH)
        );
        tail.publish(closed(each, each as u64));
        tail.publish(closed(each, each as u64));
        let (records, missed) = heard(&subscriber);
        let lost = (each - BATCH) as u64;
        assert_eq!(
            missed,
            [Missed {
                intervals: 1,
                records: lost
            }]
        );
        assert_eq!(records, 2 * each as u64);
    }

    #[test]
    fn records_that_are_in_files_alone_are_told_behind_those_of_their_interval() {
        let tail = Tail::default();
        tail.publish(closed(3, 3));
        let subscriber = tail.subscribe().unwrap();
        tail.publish(closed(2, 10));
        tail.publish(closed(0, 0));
        let missed = Missed {
            intervals: 0,
            records: 8,
        };
        assert_eq!(heard(&subscriber), (2, vec![missed]));
        drop(subscriber);
        tail.publish(closed(5, 5));
        assert!(
            tail.0.state.lock().queue.is_empty(),
            "no subscriber is left"
        );
    }
}
