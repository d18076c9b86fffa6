//! The live tail: whoever subscribes gets the records of each interval as it closes.

use flowlog::Closed;
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

/// Closed intervals that may wait for a slow subscriber.
const BACKLOG: usize = 64;

/// Subscribers at a time.
const SUBSCRIBERS_MAX: usize = 16;

/// Everybody who follows the log.
#[derive(Debug, Default)]
pub struct Tail {
    subscribers: Mutex<Vec<SyncSender<Arc<Closed>>>>,
    lost: AtomicU64,
}

impl Tail {
    /// Follows the log from now on; `None` where too many do.
    pub fn subscribe(&self) -> Option<Receiver<Arc<Closed>>> {
        let mut subscribers = self.subscribers.lock();
        if subscribers.len() >= SUBSCRIBERS_MAX {
            return None;
        }
        let (sender, receiver) = sync_channel(BACKLOG);
        subscribers.push(sender);
        Some(receiver)
    }

    /// Intervals that slow subscribers have missed.
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    pub(super) fn publish(&self, closed: Closed) {
        let closed = Arc::new(closed);
        self.subscribers.lock().retain(|subscriber| {
            match subscriber.try_send(Arc::clone(&closed)) {
                Ok(()) => true,
                Err(TrySendError::Full(_)) => {
                    self.lost.fetch_add(1, Ordering::Relaxed);
                    true
                }
                Err(TrySendError::Disconnected(_)) => false,
            }
        });
    }
}
