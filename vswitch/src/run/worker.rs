//! A worker: reads, judges, counts and writes, run to completion.
//!
//! ```text
//!   wait (epoll) → for each ready port: read a batch, parse it ─┬─ lock: judge and count, unlock
//!        ▲                                                      └─ write, give buffers back, settle
//!        └── a slice of the sweep; busy: look who else has frames, idle: sleep until somebody has
//! ```
//! The switch's lock is taken once per batch and never across a system call. The gate is held for
//! reading from the first read to the last settlement, so that whoever holds it for writing sees every
//! accepted copy settled.

use super::log_thread::LogQueue;
use super::shared::Shared;
use crate::io::{Buffers, Frame as Outgoing, Lease, PortGone, PortIo, Sent};
use crate::switch::{Frame, Now, Outbox};
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use parking_lot::Mutex;
use secgroup::PortId;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Frames judged under one lock.
const BATCH: usize = 16;

/// Frames read from one port before the next has its turn: no port starves the others.
const TURN: usize = 64;

/// A frame longer than this is handled by itself, while it is hot in the cache.
const LARGE: u32 = 4096;

/// Slices of the sweep between two rounds of packets.
const SLICES: usize = 4;

/// Longest sleep: how late a clock that steps, or a window's end, is noticed.
const SLEEP_MAX: Duration = Duration::from_millis(250);

/// Longest sleep while a sweep is under way.
const SLEEP_SWEEPING: Duration = Duration::from_millis(1);

/// Token of the waker; ports have their number.
const WAKER: Token = Token(usize::MAX);

/// What a worker is told from outside.
pub(super) enum Command {
    /// Serve this port.
    Attach(PortId, Box<dyn PortIo>),
    /// Give this port up.
    Detach(PortId),
}

impl std::fmt::Debug for Command {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Attach(number, _) => f
                .debug_tuple("Attach")
                .field(number)
                .finish_non_exhaustive(),
            Self::Detach(number) => f.debug_tuple("Detach").field(number).finish(),
        }
    }
}

/// The outside's hold on a worker.
#[derive(Debug)]
pub(super) struct Handle {
    commands: Mutex<Vec<Command>>,
    waker: mio::Waker,
    stop: AtomicBool,
}

impl Handle {
    pub(super) fn tell(&self, command: Command) -> io::Result<()> {
        self.commands.lock().push(command);
        self.waker.wake()
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    pub(super) fn stop(&self) -> io::Result<()> {
        self.stop.store(true, Ordering::Release);
        self.waker.wake()
    }
}

struct Served {
    number: PortId,
    io: Box<dyn PortIo>,
    ready: bool,
}

/// One frame of a batch and where it goes.
struct Judged {
    lease: Lease,
    packets: u32,
    to: std::ops::Range<usize>,
}

pub(super) struct Worker {
    shared: Arc<Shared>,
    handle: Arc<Handle>,
    log: LogQueue,
    poll: Poll,
    ports: Vec<Served>,
    /// Place in `ports` by port number.
    places: Vec<Option<usize>>,
    first: usize,
    pool: Buffers,
    leases: Vec<Lease>,
    judged: Vec<Judged>,
    outbox: Outbox,
    touched: Vec<usize>,
    sent: Vec<(PortId, Sent)>,
}

impl std::fmt::Debug for Worker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Worker")
            .field("ports", &self.ports.len())
            .finish_non_exhaustive()
    }
}

impl Worker {
    pub(super) fn new(shared: Arc<Shared>, log: LogQueue) -> io::Result<Self> {
        let poll = Poll::new()?;
        let waker = mio::Waker::new(poll.registry(), WAKER)?;
        let handle = Handle {
            commands: Mutex::default(),
            waker,
            stop: AtomicBool::new(false),
        };
        Ok(Self {
            shared,
            handle: Arc::new(handle),
            log,
            poll,
            ports: Vec::new(),
            places: Vec::new(),
            first: 0,
            pool: Buffers::new(2 * BATCH as u32),
            leases: Vec::with_capacity(BATCH),
            judged: Vec::with_capacity(BATCH),
            outbox: Outbox::default(),
            touched: Vec::new(),
            sent: Vec::new(),
        })
    }

    pub(super) fn handle(&self) -> Arc<Handle> {
        Arc::clone(&self.handle)
    }

    /// Runs until told to stop.
    pub(super) fn run(mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(256);
        while !self.handle.stop.load(Ordering::Acquire) {
            self.obey();
            let frames = self.round();
            let sweeping = self.housekeeping();
            let longest = match (frames, sweeping) {
                // Busy: only look who else has frames, or a port that never runs dry would be the only one.
                (1.., _) => Duration::ZERO,
                (0, true) => SLEEP_SWEEPING,
                (0, false) => SLEEP_MAX,
            };
            self.wait(&mut events, longest)?;
        }
        Ok(())
    }

    fn obey(&mut self) {
        let commands = std::mem::take(&mut *self.handle.commands.lock());
        for command in commands {
            match command {
                Command::Attach(number, io) => self.attach(number, io),
                Command::Detach(number) => self.detach(number),
            }
        }
    }

    fn attach(&mut self, number: PortId, io: Box<dyn PortIo>) {
        if let Some(fd) = io.source()
            && let Err(error) = self.poll.registry().register(
                &mut SourceFd(&fd),
                Token(usize::from(number.0)),
                Interest::READABLE,
            )
        {
            tracing::error!(port = number.0, %error, "a port's TAP cannot be watched; the port stays down");
            self.shared.switch.lock().set_up(number, false);
            return;
        }
        self.shared.switch.lock().set_up(number, true);
        let place = self.ports.len();
        self.ports.push(Served {
            number,
            io,
            ready: true,
        });
        let index = usize::from(number.0);
        if self.places.len() <= index {
            self.places.resize(index + 1, None);
        }
        self.places[index] = Some(place);
    }

    fn detach(&mut self, number: PortId) {
        let Some(place) = self
            .places
            .get_mut(usize::from(number.0))
            .and_then(Option::take)
        else {
            return;
        };
        let served = self.ports.swap_remove(place);
        if let Some(fd) = served.io.source() {
            // A descriptor whose device is gone may have left the poll already.
            let _ = self.poll.registry().deregister(&mut SourceFd(&fd));
        }
        if let Some(moved) = self.ports.get(place) {
            self.places[usize::from(moved.number.0)] = Some(place);
        }
    }

    /// One turn for every ready port; how many frames were read.
    fn round(&mut self) -> usize {
        let shared = Arc::clone(&self.shared);
        let count = self.ports.len();
        if count == 0 {
            return 0;
        }
        self.first = (self.first + 1) % count;
        let mut frames = 0;
        let mut gone = Vec::new();
        for offset in 0..count {
            let place = (self.first + offset) % count;
            if !self.ports[place].ready {
                continue;
            }
            let _batch = shared.gate.read();
            match self.turn(place) {
                Ok(read) => frames += read,
                Err(error) => gone.push((self.ports[place].number, error)),
            }
        }
        for (number, error) in gone {
            self.port_is_gone(number, &error);
        }
        frames
    }

    #[cold]
    fn port_is_gone(&mut self, number: PortId, error: &PortGone) {
        tracing::warn!(%error, "port is down");
        self.shared.switch.lock().set_up(number, false);
        self.detach(number);
    }

    /// Reads, judges and writes up to [`TURN`] frames of one port.
    fn turn(&mut self, place: usize) -> Result<usize, PortGone> {
        let mut frames = 0;
        while frames < TURN {
            let read = self.read_batch(place);
            let batch = self.leases.len();
            if batch > 0 {
                self.forward_batch(self.ports[place].number);
            }
            frames += batch;
            if !read? {
                self.ports[place].ready = false;
                break;
            }
        }
        Ok(frames)
    }

    /// Fills `leases` with up to [`BATCH`] frames, the last of which may be large; `false`: nothing waits.
    fn read_batch(&mut self, place: usize) -> Result<bool, PortGone> {
        self.leases.clear();
        let port = &mut self.ports[place];
        while self.leases.len() < BATCH {
            let Some(lease) = port.io.rx(&mut self.pool)? else {
                return Ok(false);
            };
            let large = lease.len > LARGE;
            self.leases.push(lease);
            if large {
                break;
            }
        }
        Ok(true)
    }

    fn forward_batch(&mut self, rx: PortId) {
        let now = self.shared.clock.now();
        self.judge_batch(now, rx);
        self.send_batch();
        self.settle();
    }

    /// Parses outside the lock; decides and counts under it.
    fn judge_batch(&mut self, now: Now, rx: PortId) {
        let pool = &self.pool;
        let mut parsed: [Option<Frame<'_>>; BATCH] = [const { None }; BATCH];
        for (place, &lease) in parsed.iter_mut().zip(&self.leases) {
            let (vnet, bytes) = pool.get(lease);
            Frame::parse_into(place, vnet, bytes);
        }
        self.judged.clear();
        self.outbox.clear();
        let mut switch = self.shared.switch.lock();
        switch.enter(now);
        switch.touch_ahead(rx, parsed.iter().map(Option::as_ref));
        for (frame, &lease) in parsed.iter().zip(&self.leases) {
            let from = self.outbox.receivers.len();
            match frame {
                Some(frame) => switch.forward(now, rx, frame, &mut self.outbox),
                None => switch.count_runt(rx),
            }
            let packets = frame.as_ref().map_or(1, |frame| frame.headers.wire.packets);
            self.judged.push(Judged {
                lease,
                packets,
                to: from..self.outbox.receivers.len(),
            });
        }
    }

    fn send_batch(&mut self) {
        let Self {
            ports,
            places,
            touched,
            sent,
            ..
        } = self;
        sent.clear();
        let mut send = |to: PortId, frame: Outgoing<'_>| {
            let Some(place) = places.get(usize::from(to.0)).copied().flatten() else {
                let lost = Sent {
                    lost: u64::from(frame.packets()),
                    ..Sent::default()
                };
                return sent.push((to, lost));
            };
            ports[place].io.send(frame);
            if !touched.contains(&place) {
                touched.push(place);
            }
        };
        for judged in &self.judged {
            for &to in &self.outbox.receivers[judged.to.clone()] {
                send(to, self.pool.frame(judged.lease, judged.packets));
            }
        }
        // Behind the batch that set them free: whoever puts them together again does not mind.
        for held in self.outbox.released.drain(..) {
            let frame = Outgoing::new(&held.whole, held.packets)
                .expect("what waited came with a virtio header");
            held.to.iter().for_each(|&to| send(to, frame));
        }
        for place in self.touched.drain(..) {
            let port = &mut self.ports[place];
            let sent = port.io.flush();
            // A port that is gone says so at its next read too; it must have a next read.
            port.ready |= sent.gone;
            self.sent.push((port.number, sent));
        }
        for lease in self.leases.drain(..) {
            self.pool.give_back(lease);
        }
    }

    fn settle(&mut self) {
        if self.sent.is_empty() {
            return;
        }
        let mut switch = self.shared.switch.lock();
        for (port, sent) in self.sent.drain(..) {
            switch.settle(port, sent.delivered, sent.lost);
        }
    }

    /// A slice of the sweep, and the log's chunks to their thread; `true` while a sweep is under way.
    fn housekeeping(&mut self) -> bool {
        let mut sweeping = false;
        for _ in 0..SLICES {
            let now = self.shared.clock.now();
            let mut switch = self.shared.switch.lock();
            sweeping = switch.sweep(now);
            if self.log.has_room() {
                // Under the lock, so that no worker's chunks overtake another's.
                self.log.push(switch.fetch_log());
            }
            let spare = switch.spare_memory();
            drop(switch);
            // Given back to the system without the lock.
            drop(spare);
            if !sweeping {
                break;
            }
        }
        sweeping
    }

    /// Waits until a frame comes or something is due, at most `longest`.
    fn wait(&mut self, events: &mut Events, longest: Duration) -> io::Result<()> {
        let mut timeout = longest;
        if self.ports.iter().any(|port| port.ready) {
            timeout = Duration::ZERO;
        }
        if !timeout.is_zero() {
            let now = self.shared.clock.now();
            let due = self.shared.switch.lock().until_window_end_us(now);
            timeout = timeout.min(Duration::from_micros(due));
        }
        if let Err(error) = self.poll.poll(events, Some(timeout))
            && error.kind() != io::ErrorKind::Interrupted
        {
            return Err(error);
        }
        for event in events.iter() {
            let place = self.places.get(event.token().0).copied().flatten();
            if let Some(port) = place.and_then(|place| self.ports.get_mut(place)) {
                port.ready = true;
            }
        }
        Ok(())
    }
}
