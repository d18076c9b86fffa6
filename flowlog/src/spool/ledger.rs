//! What the spool holds, in memory: numbers, sizes, and what was lost.

use super::QueueId;
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
    queues: BTreeMap<QueueId, Queue>,
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

    /// Those of whom anything is known.
    pub(super) fn loggers(&self) -> impl Iterator<Item = Uuid> {
        let mut loggers: Vec<Uuid> = self.queues.keys().map(|queue| queue.logger).collect();
        loggers.dedup();
        loggers.into_iter()
    }

    /// The queues of a logger in which something waits.
    pub(super) fn queues(&self, logger: Uuid) -> impl Iterator<Item = QueueId> {
        let all = self.queues.range(QueueId::all_of(logger));
        all.filter(|(_, queue)| !queue.waiting.is_empty())
            .map(|(id, _)| *id)
    }

    pub(super) fn entry(&self, queue: QueueId, number: u64) -> Option<Entry> {
        self.queues.get(&queue)?.waiting.get(&number).copied()
    }

    /// The oldest object of a queue from a number on.
    pub(super) fn oldest_from(&self, queue: QueueId, number: u64) -> Option<(u64, Entry)> {
        let (number, entry) = self.queues.get(&queue)?.waiting.range(number..).next()?;
        Some((*number, *entry))
    }

    /// What waits in a queue and is not on its way.
    pub(super) fn at_rest(&self, queue: QueueId) -> Vec<(u64, Entry)> {
        let Some(queue) = self.queues.get(&queue) else {
            return Vec::new();
        };
        let waiting = queue.waiting.iter();
        let at_rest = waiting.filter(|(number, _)| Some(**number) != queue.carried);
        at_rest.map(|(number, entry)| (*number, *entry)).collect()
    }

    /// What waits of a logger, in all its queues.
    pub(super) fn backlog(&self, logger: Uuid) -> Backlog {
        let mut sum = Backlog::default();
        for (_, queue) in self.queues.range(QueueId::all_of(logger)) {
            sum.files += queue.backlog.files;
            sum.rows = sum.rows.saturating_add(queue.backlog.rows);
            sum.bytes = sum.bytes.saturating_add(queue.backlog.bytes);
            let oldest = queue.waiting.first_key_value();
            let oldest_s = oldest.map(|(_, entry)| entry.interval_s);
            sum.oldest_s = sum.oldest_s.into_iter().chain(oldest_s).min();
        }
        sum
    }

    /// What was lost of a logger, in all its queues.
    pub(super) fn lost(&self, logger: Uuid) -> Lost {
        let mut sum = Lost::default();
        for (_, queue) in self.queues.range(QueueId::all_of(logger)) {
            sum.files += queue.lost.files;
            sum.rows = sum.rows.saturating_add(queue.lost.rows);
            sum.bytes = sum.bytes.saturating_add(queue.lost.bytes);
        }
        sum
    }

    /// Moves an object to another queue.
    pub(super) fn move_entry(&mut self, from: QueueId, to: QueueId, number: u64) {
        if let Some(entry) = self.remove_entry(from, number) {
            self.enter(to, number, entry);
        }
    }

    /// Enters an object, in place of one of its number.
    pub(super) fn enter(&mut self, id: QueueId, number: u64, entry: Entry) {
        self.remove_entry(id, number);
        self.last_number = self.last_number.max(number);
        self.bytes = self.bytes.saturating_add(entry.charge());
        let queue = self.queues.entry(id).or_default();
        queue.waiting.insert(number, entry);
        queue.backlog.files += 1;
        queue.backlog.rows = queue.backlog.rows.saturating_add(entry.rows);
        queue.backlog.bytes = queue.backlog.bytes.saturating_add(entry.charge());
    }

    pub(super) fn choose(
        &mut self,
        id: QueueId,
        choose: impl FnOnce(&Waiting) -> Option<u64>,
    ) -> Option<u64> {
        let queue = self.queues.entry(id).or_default();
        queue.carried = choose(&queue.waiting);
        queue.carried
    }

    pub(super) fn put_back(&mut self, id: QueueId) {
        if let Some(queue) = self.queues.get_mut(&id) {
            queue.carried = None;
        }
    }

    /// Removes an object, and puts nothing back.
    pub(super) fn remove(&mut self, id: QueueId, number: u64) -> Option<Entry> {
        self.put_back(id);
        self.remove_entry(id, number)
    }

    /// Removes an object and counts it as lost.
    pub(super) fn lose(&mut self, id: QueueId, number: u64) -> Option<Entry> {
        let entry = self.remove(id, number)?;
        let lost = &mut self.queues.entry(id).or_default().lost;
        lost.files += 1;
        lost.rows = lost.rows.saturating_add(entry.rows);
        lost.bytes = lost.bytes.saturating_add(entry.charge());
        Some(entry)
    }

    /// Gives up the oldest object that is not on its way.
    pub(super) fn lose_oldest(&mut self) -> Option<(QueueId, u64, Entry)> {
        let oldest = |(id, queue): (&QueueId, &Queue)| {
            let mut numbers = queue.waiting.keys().copied();
            let number = numbers.find(|number| Some(*number) != queue.carried)?;
            Some((number, *id))
        };
        let (number, id) = self.queues.iter().filter_map(oldest).min()?;
        let carried = self.queues.get(&id)?.carried;
        let entry = self.lose(id, number)?;
        self.queues.entry(id).or_default().carried = carried;
        Some((id, number, entry))
    }

    fn remove_entry(&mut self, id: QueueId, number: u64) -> Option<Entry> {
        let queue = self.queues.get_mut(&id)?;
        let entry = queue.waiting.remove(&number)?;
        self.bytes = self.bytes.saturating_sub(entry.charge());
        queue.backlog.files -= 1;
        queue.backlog.rows = queue.backlog.rows.saturating_sub(entry.rows);
        queue.backlog.bytes = queue.backlog.bytes.saturating_sub(entry.charge());
        Some(entry)
    }
}
