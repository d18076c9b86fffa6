//! Guests whose network stack is slow: found by the workers, shown, and given a kernel thread of their own.

use super::{Daemon, lab_ports};
use crate::config::{Plan, Threaded};
use crate::io::Slow;
use parking_lot::Mutex;
use secgroup::PortId;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use uuid::Uuid;

/// What a worker has not confirmed for so long is over.
const STALE: Duration = Duration::from_secs(1);

/// Within this time every worker that serves a slow receiver has reported: the slowest is shown.
const ROUND: Duration = Duration::from_millis(250);

/// What is known of a slow receiver.
#[derive(Debug, Clone, Copy)]
pub struct Receiver {
    /// What a write takes, nanoseconds on average.
    write_ns: u64,
    seen: Instant,
    /// Wire packets lost because its share of a worker's time was used up.
    pub over_share: u64,
    /// Whether its stack was given a thread of its own.
    pub threaded: bool,
    /// Whether that was tried.
    is_tried: bool,
}

impl Receiver {
    /// What a write takes now, nanoseconds on average, if that is long.
    #[must_use]
    pub fn write_ns(&self) -> Option<u64> {
        (self.write_ns > 0 && self.seen.elapsed() < STALE).then_some(self.write_ns)
    }
}

/// Receivers that are or were slow, by port.
#[derive(Debug, Default)]
pub struct Receivers(Mutex<HashMap<PortId, Receiver>>);

impl Receivers {
    /// What is known of a port's.
    #[must_use]
    pub fn get(&self, port: PortId) -> Option<Receiver> {
        self.0.lock().get(&port).copied()
    }

    /// What a worker has found.
    pub(super) fn note(&self, found: impl Iterator<Item = (PortId, Slow)>) {
        self.note_at(Instant::now(), found);
    }

    fn note_at(&self, seen: Instant, found: impl Iterator<Item = (PortId, Slow)>) {
        let mut receivers = self.0.lock();
        for (port, slow) in found {
            let receiver = receivers.entry(port).or_insert(Receiver {
                write_ns: 0,
                seen,
                over_share: 0,
                threaded: false,
                is_tried: false,
            });
            receiver.over_share += slow.over_share;
            let is_of_before = seen.saturating_duration_since(receiver.seen) >= ROUND;
            if is_of_before || slow.write_ns >= receiver.write_ns {
                (receiver.write_ns, receiver.seen) = (slow.write_ns, seen);
            }
        }
    }

    /// The ports are gone: their numbers may be other ports' next.
    pub(super) fn forget(&self, gone: impl IntoIterator<Item = PortId>) {
        let mut receivers = self.0.lock();
        for port in gone {
            receivers.remove(&port);
        }
    }

    /// The port's TAP is opened anew: what was is over, but for what was lost.
    pub(super) fn is_reopened(&self, port: PortId) {
        if let Some(receiver) = self.0.lock().get_mut(&port) {
            (receiver.write_ns, receiver.threaded, receiver.is_tried) = (0, false, false);
        }
    }

    /// A slow one for which nothing was tried yet.
    fn next(&self) -> Option<(PortId, u64)> {
        let receivers = self.0.lock();
        let is_next = |receiver: &Receiver| !receiver.is_tried && receiver.write_ns().is_some();
        let next = receivers.iter().find(|(_, receiver)| is_next(receiver));
        next.map(|(&port, receiver)| (port, receiver.write_ns))
    }

    fn tried(&self, port: PortId, threaded: bool) {
        if let Some(receiver) = self.0.lock().get_mut(&port) {
            (receiver.is_tried, receiver.threaded) = (true, threaded);
        }
    }
}

impl Daemon {
    /// Gives guests that were found slow a kernel thread for their network stack, where the configuration
    /// lets it. Packets that such a guest sends in that moment may be lost with its old queue.
    pub(super) fn relieve(&mut self) {
        while let Some((number, write_ns)) = self.shared.receivers.next() {
            let plan = Arc::clone(&*self.shared.plan.read());
            let id = self
                .shared
                .names
                .read()
                .get(&number.0)
                .map(|info| info.interface_id);
            let threaded = id.is_some_and(|id| self.give_thread(&plan, id, number, write_ns));
            self.shared.receivers.tried(number, threaded);
        }
    }

    fn give_thread(&mut self, plan: &Plan, id: Uuid, number: PortId, write_ns: u64) -> bool {
        let place = plan.ports.iter().position(|port| port.id == id);
        let Some(place) = place else { return false };
        let (port, microseconds) = (&plan.ports[place], write_ns / 1000);
        let opened = match port.tap.threaded {
            Threaded::Auto => {
                let mut guest = lab_ports(plan).swap_remove(place);
                guest.threaded = true;
                self.lab.replace(&guest, self.workers.len())
            }
            Threaded::On | Threaded::Off => {
                tracing::warn!(
                    port = %port.name, microseconds,
                    "the guest's network stack is slow for each packet; it gets half of a worker's time at most"
                );
                return false;
            }
        };
        let attached = opened
            .map_err(anyhow::Error::from)
            .and_then(|tap| self.attach(&port.name, number, tap));
        match attached {
            Ok(()) => tracing::info!(
                port = %port.name, microseconds,
                "the guest's network stack is slow for each packet; it has a kernel thread of its own now"
            ),
            Err(ref error) => tracing::warn!(
                port = %port.name, microseconds,
                "the guest's network stack is slow for each packet; it gets half of a worker's time at \
                 most, for it could have no kernel thread of its own: {error:#}"
            ),
        }
        attached.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PORT: PortId = PortId(7);

    fn note(receivers: &Receivers, at: Instant, write_ns: u64) -> Option<u64> {
        let slow = Slow {
            write_ns,
            over_share: 1,
        };
        receivers.note_at(at, [(PORT, slow)].into_iter());
        receivers.get(PORT).map(|receiver| receiver.write_ns)
    }

    #[test]
    fn of_several_workers_that_serve_a_slow_receiver_the_slowest_is_shown_until_it_says_otherwise()
    {
        let receivers = Receivers::default();
        let (start, later) = (Instant::now(), Duration::from_millis(50));
        assert_eq!(note(&receivers, start, 20_000), Some(20_000));
        assert_eq!(note(&receivers, start + later, 500_000), Some(500_000));
        assert_eq!(note(&receivers, start + 2 * later, 20_000), Some(500_000));
        let next = start + later + ROUND;
        assert_eq!(note(&receivers, next, 10_000), Some(10_000));
        assert_eq!(receivers.get(PORT).unwrap().over_share, 4);
    }

    #[test]
    fn a_port_that_gets_the_number_of_one_that_is_gone_has_nothing_of_it() {
        let receivers = Receivers::default();
        note(&receivers, Instant::now(), 20_000);
        receivers.tried(PORT, true);
        receivers.forget([PORT]);
        assert!(receivers.get(PORT).is_none());
    }
}
