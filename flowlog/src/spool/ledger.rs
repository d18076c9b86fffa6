//! What the spool holds, in memory: numbers, sizes, and what was lost.

use std::collections::BTreeMap;
use uuid::Uuid;

/// What a file takes of a disk at least, and in what steps: a spool of many small objects is as
/// full as its disk says.
const BLOCK: u64 = 4096;

/// What waits, by number: the oldest first.
pub(crate) type Waiting = BTreeMap<u64, Entry>;

/// What is known of an object without opening it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Entry {
    /// Start of its interval, UNIX seconds.
    pub(crate) interval_s: u64,
    /// Rows in it.
    pub(crate) rows: u64,
    /// Size of its file.
    pub(crate) bytes: u64,
}

impl Entry {
    /// What it counts for.
    const fn charge(&self) -> u64 {
        match self.bytes.checked_next_multiple_of(BLOCK) {
            Some(bytes) => bytes,
            None => u64::MAX,
        }
    }
}

/// What waits for delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Backlog {
    /// Objects.
    pub files: u64,
    /// Rows in them.
    pub rows: u64,
    /// Their size on disk.
    pub bytes: u64,
    /// Start of the oldest one's interval, UNIX seconds.
    pub oldest_s: Option<u64>,
}

/// Objects that the spool had to give up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Lost {
    /// Objects.
    pub files: u64,
    /// Rows in them.
    pub rows: u64,
    /// Their size on disk.
    pub bytes: u64,
}

/// The account of all loggers.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    last_number: u64,
    bytes: u64,
    queues: BTreeMap<Uuid, Queue>,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: Waiting,
    backlog: Backlog,
    /// On its way to the store.
    carried: Option<u64>,
    lost: Lost,
}

impl Ledger {
    /// The next number: later objects have greater ones, whoever's they are.
    pub(super) fn issue_number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }

    /// What all objects count for.
    pub(super) const fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn loggers(&self) -> impl Iterator<Item = Uuid> {
        self.queues.keys().copied()
    }

    pub(super) fn entry(&self, logger: Uuid, number: u64) -> Option<Entry> {
        self.queues.get(&logger)?.waiting.get(&number).copied()
    }

    pub(super) fn backlog(&self, logger: Uuid) -> Backlog {
        let Some(queue) = self.queues.get(&logger) else {
            return Backlog::default();
        };
        let oldest = queue.waiting.first_key_value();
        Backlog {
            oldest_s: oldest.map(|(_, entry)| entry.interval_s),
            ..queue.backlog
        }
    }

    pub(super) fn lost(&self, logger: Uuid) -> Lost {
        self.queues
            .get(&logger)
            .map(|queue| queue.lost)
            .unwrap_or_default()
    }

    /// Enters an object, in place of one of its number.
    pub(super) fn enter(&mut self, logger: Uuid, number: u64, entry: Entry) {
        self.remove_entry(logger, number);
        self.last_number = self.last_number.max(number);
        self.bytes = self.bytes.saturating_add(entry.charge());
        let queue = self.queues.entry(logger).or_default();
        queue.waiting.insert(number, entry);
        queue.backlog.files += 1;
        queue.backlog.rows = queue.backlog.rows.saturating_add(entry.rows);
        queue.backlog.bytes = queue.backlog.bytes.saturating_add(entry.charge());
    }

    pub(super) fn choose(
        &mut self,
        logger: Uuid,
        choose: impl FnOnce(&Waiting) -> Option<u64>,
    ) -> Option<u64> {
        let queue = self.queues.entry(logger).or_default();
        queue.carried = choose(&queue.waiting);
        queue.carried
    }

    pub(super) fn put_back(&mut self, logger: Uuid) {
        if let Some(queue) = self.queues.get_mut(&logger) {
            queue.carried = None;
        }
    }

    /// Removes an object, and puts nothing back.
    pub(super) fn remove(&mut self, logger: Uuid, number: u64) -> Option<Entry> {
        self.put_back(logger);
        self.remove_entry(logger, number)
    }

    /// Removes an object and counts it as lost.
    pub(super) fn lose(&mut self, logger: Uuid, number: u64) -> Option<Entry> {
        let entry = self.remove(logger, number)?;
        let lost = &mut self.queues.entry(logger).or_default().lost;
        lost.files += 1;
        lost.rows = lost.rows.saturating_add(entry.rows);
        lost.bytes = lost.bytes.saturating_add(entry.charge());
        Some(entry)
    }

    /// Gives up the oldest object that is not on its way.
    pub(super) fn lose_oldest(&mut self) -> Option<(Uuid, u64, Entry)> {
        let oldest = |(logger, queue): (&Uuid, &Queue)| {
            let mut numbers = queue.waiting.keys().copied();
            let number = numbers.find(|number| Some(*number) != queue.carried)?;
            Some((number, *logger))
        };
        let (number, logger) = self.queues.iter().filter_map(oldest).min()?;
        let carried = self.queues.get(&logger)?.carried;
        let entry = self.lose(logger, number)?;
        self.queues.entry(logger).or_default().carried = carried;
        Some((logger, number, entry))
    }

    fn remove_entry(&mut self, logger: Uuid, number: u64) -> Option<Entry> {
        let queue = self.queues.get_mut(&logger)?;
        let entry = queue.waiting.remove(&number)?;
        self.bytes = self.bytes.saturating_sub(entry.charge());
        queue.backlog.files -= 1;
        queue.backlog.rows = queue.backlog.rows.saturating_sub(entry.rows);
        queue.backlog.bytes = queue.backlog.bytes.saturating_sub(entry.charge());
        Some(entry)
    }
}
