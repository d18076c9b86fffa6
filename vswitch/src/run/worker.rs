//! A worker: reads, judges, counts and writes, run to completion.
//!
//! ```text
//!   wait → for each ready port: read a batch, parse it ─┬─ lock: judge and count, unlock
//!    ▲                                                  └─ write, give buffers back, lock: settle, unlock
//!    └── a slice of the sweep; busy: look who else has frames, idle: spin a little, then sleep
//! ```
//! How frames are read and written is the business of [`Ports`]. The switch's lock is taken twice for
//! a batch, never across a system call: to evaluate and count it, and after its writes to settle them. The gate is held for reading from the first read to the last settlement,
//! so that whoever holds it for writing sees every accepted copy settled.

use super::closer::Closer;
use super::log_thread::LogQueue;
use super::refusals::Refusals;
use super::shared::Shared;
use super::spin::Spin;
use crate::io::{Frame as Outgoing, Lease, PortGone, Ports, Sent, Slow};
use crate::switch::{BATCH, Frame, Now, Outbox};
use mio::{Poll, Token};
use parking_lot::Mutex;
use secgroup::PortId;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::time::Duration;
use tap::Queue;

/// Frames read from one port before the next has its turn: no port starves the others.
const TURN: usize = 32;

/// Slices of the sweep between two rounds of packets.
const SLICES: usize = 4;

/// Between two slices of the sweep while frames keep coming, microseconds: a slice takes 10 to 50, so that a
/// table of a million entries is swept within a second and an eighth of the worker's time. With more, a worker
/// that has a fifth of its time to spare would fall behind what its guests send.
const PACE_US: u64 = 250;

/// Longest sleep: how late a clock that steps, or a window's end, is noticed.
const SLEEP_MAX: Duration = Duration::from_millis(250);

/// Longest sleep while a sweep is under way.
const SLEEP_SWEEPING: Duration = Duration::from_millis(1);

/// How often some ports are looked at for a device that has gone unnoticed, microseconds, and how many:
/// a thousand have their turn within four seconds, at some 5 µs each time.
const LOOK_US: u64 = 100_000;
const LOOKED_AT: usize = 64;

/// Token of the waker; ports have their number.
const WAKER: Token = Token(usize::MAX);

/// What a worker is told from outside.
#[derive(Debug)]
pub(super) enum Command {
    /// Serve this port.
    Attach(PortId, String, Queue),
    /// Give this port up.
    Detach(PortId),
    /// Say when everything before is done.
    Answer(Sender<()>),
}

/// The outside's hold on a worker.
#[derive(Debug)]
pub(super) struct Handle {
    commands: Mutex<Vec<Command>>,
    waker: mio::Waker,
    stop: AtomicBool,
}

impl Handle {
    /// A hold on a worker that is yet to be made, and the poll that it is to be woken by.
    pub(super) fn new() -> io::Result<(Arc<Self>, Poll)> {
        let poll = Poll::new()?;
        let handle = Self {
            commands: Mutex::default(),
            waker: mio::Waker::new(poll.registry(), WAKER)?,
            stop: AtomicBool::new(false),
        };
        Ok((Arc::new(handle), poll))
    }

    pub(super) fn tell(&self, command: Command) -> io::Result<()> {
        self.commands.lock().push(command);
        self.waker.wake()
    }

    pub(super) fn stop(&self) -> io::Result<()> {
        self.stop.store(true, Ordering::Release);
        self.waker.wake()
    }
}

/// One frame of a batch and where it goes.
struct Judged {
    lease: Lease,
    packets: u32,
    to: std::ops::Range<usize>,
}

pub(super) struct Worker<P> {
    shared: Arc<Shared>,
    handle: Arc<Handle>,
    log: LogQueue,
    closer: Closer,
    ports: P,
    spin: Spin,
    refusals: Refusals,
    /// The batch at hand.
    leases: Vec<Lease>,
    judged: Vec<Judged>,
    outbox: Outbox,
    /// Leases whose frames are queued for writing.
    queued: Vec<Lease>,
    sent: Vec<(PortId, Sent)>,
    /// When the last batch of this round was judged.
    batch_at: Option<Now>,
    /// When the last slice of the sweep began, by the wall clock.
    swept_us: u64,
    /// How long to sleep at most, as told then.
    longest: Duration,
    /// When ports were looked at last, by the wall clock.
    looked_us: u64,
    /// Receivers that were found slow then.
    slow: Vec<(PortId, Slow)>,
}

impl<P: Ports> Worker<P> {
    pub(super) fn new(
        shared: Arc<Shared>,
        handle: Arc<Handle>,
        log: LogQueue,
        closer: Closer,
        ports: P,
    ) -> Self {
        Self {
            refusals: Refusals::watch(&shared),
            shared,
            handle,
            log,
            closer,
            ports,
            spin: Spin::default(),
            leases: Vec::with_capacity(BATCH),
            judged: Vec::with_capacity(BATCH),
            outbox: Outbox::default(),
            queued: Vec::with_capacity(TURN),
            sent: Vec::new(),
            batch_at: None,
            swept_us: 0,
            longest: SLEEP_SWEEPING,
            looked_us: 0,
            slow: Vec::new(),
        }
    }

    /// Runs until told to stop, and gives its ports up.
    pub(super) fn run(mut self) -> io::Result<()> {
        let ended = self.serve();
        self.closer.close(self.ports.into_queues());
        ended
    }

    fn serve(&mut self) -> io::Result<()> {
        while !self.handle.stop.load(Ordering::Acquire) {
            self.obey();
            self.round()?;
            let longest = self.housekeeping();
            self.wait(longest)?;
        }
        Ok(())
    }

    fn obey(&mut self) {
        let commands = std::mem::take(&mut *self.handle.commands.lock());
        for command in commands {
            match command {
                Command::Attach(number, name, queue) => self.attach(number, &name, queue),
                Command::Detach(number) => self.detach(number),
                // Nobody waits any more: nothing is amiss.
                Command::Answer(to) => drop(to.send(())),
            }
        }
    }

    fn detach(&mut self, number: PortId) {
        if let Some(queue) = self.ports.detach(number) {
            self.closer.close(vec![queue]);
        }
    }

    fn attach(&mut self, number: PortId, name: &str, queue: Queue) {
        let attached = self.ports.attach(number, name, queue);
        if let Err(error) = &attached {
            tracing::error!(port = name, %error, "a port's TAP cannot be watched; the port stays down");
        }
        self.shared.switch.lock().set_up(number, attached.is_ok());
    }

    /// One turn for every port that is ready.
    fn round(&mut self) -> io::Result<()> {
        let shared = Arc::clone(&self.shared);
        for _ in 0..self.ports.ready() {
            let Some(port) = self.ports.next_ready() else {
                break;
            };
            let turn = {
                let _turn = shared.gate.read();
                self.turn(port)?
            };
            if let Err(error) = turn {
                self.port_is_gone(port, &error);
            }
        }
        Ok(())
    }

    #[cold]
    fn port_is_gone(&mut self, number: PortId, error: &PortGone) {
        tracing::warn!(%error, "port is down");
        self.shared.switch.lock().set_up(number, false);
        self.detach(number);
    }

    /// Reads, judges and writes up to [`TURN`] frames of one port. The outer failure is the worker's.
    fn turn(&mut self, port: PortId) -> io::Result<Result<(), PortGone>> {
        let mut left = TURN;
        let result = loop {
            let read = self.ports.read(port, &mut self.leases, BATCH.min(left));
            let batch = self.leases.len();
            left -= batch;
            if batch > 0 {
                self.forward_batch(port)?;
            }
            match read {
                Ok(true) if left > 0 => {}
                Ok(true) => {
                    self.ports.not_done(port);
                    break Ok(());
                }
                Ok(false) => break Ok(()),
                Err(gone) => break Err(gone),
            }
        };
        self.flush()?;
        Ok(result)
    }

    fn forward_batch(&mut self, rx: PortId) -> io::Result<()> {
        let now = self.shared.clock.now();
        self.batch_at = Some(now);
        self.judge_batch(now, rx);
        self.send_batch();
        if P::FLUSH_EACH_BATCH {
            self.flush()?;
        }
        Ok(())
    }

    /// Parses outside the lock; decides and counts under it.
    fn judge_batch(&mut self, now: Now, rx: PortId) {
        let ports = &self.ports;
        let mut parsed: [Option<Frame<'_>>; BATCH] = std::array::from_fn(|_| None);
        for (place, &lease) in parsed.iter_mut().zip(&self.leases) {
            let (vnet, bytes) = ports.get(lease);
            Frame::parse_into(place, vnet, bytes);
        }
        self.judged.clear();
        self.outbox.clear();
        let mut switch = self.shared.switch.lock();
        switch.enter(now);
        let ahead = switch.look_ahead(rx, parsed.iter().map(Option::as_ref));
        for ((frame, ahead), &lease) in parsed.iter().zip(ahead).zip(&self.leases) {
            let from = self.outbox.receivers.len();
            match frame {
                Some(frame) => switch.forward_staged(now, rx, frame, ahead, &mut self.outbox),
                None => switch.count_runt(rx),
            }
            let packets = frame.as_ref().map_or(1, |frame| frame.headers.wire.packets);
            self.judged.push(Judged {
                lease,
                packets,
                to: from..self.outbox.receivers.len(),
            });
        }
        let refused = self.refusals.take(&mut switch);
        drop(switch);
        self.refusals.log(&self.shared, refused);
    }

    fn send_batch(&mut self) {
        for judged in &self.judged {
            for &to in &self.outbox.receivers[judged.to.clone()] {
                self.ports.send(to, judged.lease, judged.packets);
            }
        }
        // Behind the batch that set them free: whoever puts them together again does not mind.
        for held in self.outbox.released.drain(..) {
            let frame = Outgoing::new(&held.whole, held.packets)
                .expect("what waited came with a virtio header");
            for &to in &held.to {
                self.ports.send_bytes(to, frame);
            }
        }
        self.queued.append(&mut self.leases);
    }

    /// Sends what is queued, and settles it.
    fn flush(&mut self) -> io::Result<()> {
        if self.queued.is_empty() {
            return Ok(());
        }
        self.ports.flush(&mut self.sent)?;
        for lease in self.queued.drain(..) {
            self.ports.give_back(lease);
        }
        if self.sent.is_empty() {
            return Ok(());
        }
        let mut switch = self.shared.switch.lock();
        for (port, sent) in self.sent.drain(..) {
            switch.settle(port, sent.delivered, sent.lost);
        }
        Ok(())
    }

    /// A slice of the sweep, and the log's chunks to their thread; how long to sleep at most.
    fn housekeeping(&mut self) -> Duration {
        // The clock is read once for a batch and what follows it.
        let batch_at = self.batch_at.take();
        let is_early = |now: Now| now.wall_us.abs_diff(self.swept_us) < PACE_US;
        if batch_at.is_some_and(is_early) {
            // No less than is needed: a timer before the kernel's next tick is one to be set up each time.
            return self.longest;
        }
        let most = if batch_at.is_some() { 1 } else { SLICES };
        let mut now = batch_at.unwrap_or_else(|| self.shared.clock.now());
        self.swept_us = now.wall_us;
        if now.wall_us.abs_diff(self.looked_us) >= LOOK_US {
            self.looked_us = now.wall_us;
            self.ports.look_for_gone(LOOKED_AT);
            self.ports.take_slow(&mut self.slow);
            if !self.slow.is_empty() {
                self.shared.receivers.note(self.slow.drain(..));
            }
        }
        let mut slices = 1;
        loop {
            let mut switch = self.shared.switch.lock();
            let sweeping = switch.sweep(now);
            if self.log.has_room() {
                // Under the lock, so that no worker's chunks overtake another's.
                self.log.push(switch.fetch_log());
            }
            let spare = switch.spare_memory();
            let due = switch.until_window_end_us(now);
            let refused = self.refusals.take(&mut switch);
            drop(switch);
            self.refusals.log(&self.shared, refused);
            // Given back to the system without the lock.
            drop(spare);
            if !sweeping || slices == most {
                let longest = if sweeping { SLEEP_SWEEPING } else { SLEEP_MAX };
                self.longest = longest.min(Duration::from_micros(due));
                return self.longest;
            }
            slices += 1;
            now = self.shared.clock.now();
        }
    }

    /// Waits until a frame comes, at most `longest`.
    fn wait(&mut self, longest: Duration) -> io::Result<()> {
        let ports = &mut self.ports;
        let is_busy = ports.ready() > 0 || self.spin.finds(|| ports.stirs());
        // Busy: only look who else has frames, or a port that never runs dry would be the only one.
        ports.wait(if is_busy { Duration::ZERO } else { longest })
    }
}
