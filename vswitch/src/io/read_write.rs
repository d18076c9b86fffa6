//! Ports by plain `read` and `write`: one system call per frame, `epoll` to sleep. Works everywhere.

use super::{Buffers, Frame, Lease, PortGone, PortIo, Ports, Sent, Slow, TapPort};
use mio::{Events, Interest, Poll, Token, unix::SourceFd};
use packet::VNET_HDR_LEN;
use secgroup::PortId;
use std::{collections::VecDeque, io, os::fd::RawFd, time::Duration};
use tap::Queue;

/// Frames lent at a time: two batches of the worker's.
const SLOTS: u32 = 32;

/// A frame longer than this ends a batch.
const LARGE: u32 = 4096;

/// Events taken from the kernel at a time.
const EVENTS: usize = 256;

/// Ports by `read` and `write`.
#[derive(Debug)]
pub struct ReadWrite {
    poll: Poll,
    events: Events,
    served: Vec<Served>,
    /// Place in `served` by port number.
    places: Vec<Option<usize>>,
    ready: VecDeque<PortId>,
    /// Ports that have more than their turn allowed: behind those of which the kernel tells meanwhile, or a
    /// guest that floods would have every second turn.
    again: VecDeque<PortId>,
    pool: Buffers,
    /// Places that were sent to since the last flush.
    touched: Vec<usize>,
    /// Frames for ports that are not served.
    unserved: Vec<(PortId, Sent)>,
    /// The place that is looked at next.
    looked_at: usize,
}

#[derive(Debug)]
struct Served {
    number: PortId,
    io: TapPort,
    source: Option<RawFd>,
    is_ready: bool,
}

impl ReadWrite {
    /// No ports yet. `poll` has the worker's waker; its tokens below the greatest are ports.
    #[must_use]
    pub fn new(poll: Poll) -> Self {
        Self {
            poll,
            events: Events::with_capacity(EVENTS),
            served: Vec::new(),
            places: Vec::new(),
            ready: VecDeque::new(),
            again: VecDeque::new(),
            pool: Buffers::new(SLOTS),
            touched: Vec::new(),
            unserved: Vec::new(),
            looked_at: 0,
        }
    }

    #[inline]
    fn place(&self, port: PortId) -> Option<usize> {
        self.places.get(usize::from(port.0)).copied().flatten()
    }

    /// The port comes up, if it is served and does not wait already.
    fn is_ready(&mut self, port: PortId) {
        let place = self.place(port);
        if let Some(served) = place.and_then(|place| self.served.get_mut(place))
            && !served.is_ready
        {
            served.is_ready = true;
            self.ready.push_back(port);
        }
    }

    fn send_frame(&mut self, to: PortId, place: Option<usize>, lease: Lease, packets: u32) {
        let frame = self.pool.frame(lease, packets);
        match place {
            Some(place) => {
                self.served[place].io.send(frame);
                if !self.touched.contains(&place) {
                    self.touched.push(place);
                }
            }
            None => self.unserved.push((to, Sent::lost(packets))),
        }
    }
}

impl Ports for ReadWrite {
    const FLUSH_EACH_BATCH: bool = true;

    fn attach(&mut self, port: PortId, name: &str, queue: Queue) -> io::Result<()> {
        let io = TapPort::new(name, queue, true);
        let source = io.source();
        if let Some(fd) = source {
            let token = Token(usize::from(port.0));
            let registry = self.poll.registry();
            registry.register(&mut SourceFd(&fd), token, Interest::READABLE)?;
        }
        let index = usize::from(port.0);
        if self.places.len() <= index {
            self.places.resize(index + 1, None);
        }
        self.places[index] = Some(self.served.len());
        self.served.push(Served {
            number: port,
            io,
            source,
            is_ready: false,
        });
        // What came before it was watched gives no event.
        self.is_ready(port);
        Ok(())
    }

    fn detach(&mut self, port: PortId) -> Option<Queue> {
        let place = self.places.get_mut(usize::from(port.0))?.take()?;
        let served = self.served.swap_remove(place);
        if let Some(fd) = served.source {
            // A descriptor whose device is gone may have left the poll already.
            let _ = self.poll.registry().deregister(&mut SourceFd(&fd));
        }
        if let Some(moved) = self.served.get(place) {
            self.places[usize::from(moved.number.0)] = Some(place);
        }
        self.ready.retain(|&other| other != port);
        self.again.retain(|&other| other != port);
        Some(served.io.into_queue())
    }

    fn into_queues(self) -> Vec<Queue> {
        let served = self.served.into_iter();
        served.map(|served| served.io.into_queue()).collect()
    }

    #[inline]
    fn ready(&self) -> usize {
        self.ready.len() + self.again.len()
    }

    #[inline]
    fn next_ready(&mut self) -> Option<PortId> {
        let port = self.ready.pop_front()?;
        if let Some(place) = self.place(port) {
            self.served[place].is_ready = false;
        }
        Some(port)
    }

    fn read(
        &mut self,
        port: PortId,
        leases: &mut Vec<Lease>,
        most: usize,
    ) -> Result<bool, PortGone> {
        let Some(place) = self.place(port) else {
            return Ok(false);
        };
        let io = &mut self.served[place].io;
        for _ in 0..most {
            let Some(lease) = io.rx(&mut self.pool)? else {
                return Ok(false);
            };
            leases.push(lease);
            if lease.len > LARGE {
                break;
            }
        }
        Ok(true)
    }

    fn not_done(&mut self, port: PortId) {
        let place = self.place(port);
        if let Some(served) = place.and_then(|place| self.served.get_mut(place))
            && !served.is_ready
        {
            served.is_ready = true;
            self.again.push_back(port);
        }
    }

    #[inline]
    fn get(&self, lease: Lease) -> (&[u8; VNET_HDR_LEN], &[u8]) {
        self.pool.get(lease)
    }

    #[inline]
    fn send(&mut self, to: PortId, lease: Lease, packets: u32) {
        self.send_frame(to, self.place(to), lease, packets);
    }

    fn send_bytes(&mut self, to: PortId, frame: Frame<'_>) {
        match self.place(to) {
            Some(place) => {
                self.served[place].io.send(frame);
                if !self.touched.contains(&place) {
                    self.touched.push(place);
                }
            }
            None => self.unserved.push((to, Sent::lost(frame.packets()))),
        }
    }

    fn flush(&mut self, sent: &mut Vec<(PortId, Sent)>) -> io::Result<()> {
        sent.append(&mut self.unserved);
        let mut touched = std::mem::take(&mut self.touched);
        for place in touched.drain(..) {
            let served = &mut self.served[place];
            let (number, result) = (served.number, served.io.flush());
            sent.push((number, result));
            if result.gone {
                // It says so at its next read too; it must have a next read.
                self.is_ready(number);
            }
        }
        self.touched = touched;
        Ok(())
    }

    fn look_for_gone(&mut self, most: usize) {
        let places: Vec<usize> =
            super::in_turn(&mut self.looked_at, self.served.len(), most).collect();
        let queues = places.iter().map(|&place| self.served[place].io.queue());
        // What cannot be looked at now is looked at the next time.
        let vanished = tap::find_vanished(queues).unwrap_or_default();
        for (&place, _) in places.iter().zip(vanished).filter(|(_, gone)| *gone) {
            self.is_ready(self.served[place].number);
        }
    }

    fn take_slow(&mut self, slow: &mut Vec<(PortId, Slow)>) {
        let served = self.served.iter_mut();
        slow.extend(served.filter_map(|served| Some((served.number, served.io.take_slow()?))));
    }

    #[inline]
    fn give_back(&mut self, lease: Lease) {
        self.pool.give_back(lease);
    }

    fn wait(&mut self, longest: Duration) -> io::Result<()> {
        let timeout = if self.ready() == 0 {
            longest
        } else {
            Duration::ZERO
        };
        let mut events = std::mem::replace(&mut self.events, Events::with_capacity(0));
        let polled = self.poll.poll(&mut events, Some(timeout));
        for event in events.iter() {
            // The waker's token is beyond every port's.
            if let Ok(number) = u16::try_from(event.token().0) {
                self.is_ready(PortId(number));
            }
        }
        self.events = events;
        self.ready.append(&mut self.again);
        match polled {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => Err(error),
            _ => Ok(()),
        }
    }

    fn stirs(&mut self) -> bool {
        // An error is told by the wait that follows.
        self.wait(Duration::ZERO).is_err() || self.ready() > 0
    }
}
