//! A courier and who runs it: a thread of its own, or whoever calls.

use super::{Address, Board, Counts, Kept, Progress, courier::Courier};
use crate::{
    spool::QueueId,
    store::{Cause, StoreError},
};
use std::{
    collections::hash_map::RandomState,
    hash::BuildHasher as _,
    io,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};
use uuid::Uuid;

/// Names of threads have 15 bytes; the logger's id begins with what tells it apart.
const THREAD_NAME: &str = "deliver";

/// A logger's courier, as the log thread holds it.
pub(crate) struct Carrier {
    kept: Arc<Kept>,
    queue: QueueId,
    board: Arc<Board>,
    run: Run,
}

enum Run {
    InPlace(Box<Courier>, Clock),
    OnThread(Arc<Line>, Option<JoinHandle<()>>),
    /// The system had no thread: it is asked again whenever something is spooled.
    Not(Arc<Mutex<Courier>>),
}

impl Carrier {
    /// Begins to deliver what the spool holds in a queue.
    pub(crate) fn new(
        kept: Arc<Kept>,
        queue: QueueId,
        address: Address,
        counts: Arc<Counts>,
        on_thread: bool,
    ) -> Self {
        let board = Arc::new(Board::new(counts));
        let courier = Courier::new(Arc::clone(&kept), queue, Arc::clone(&board), address);
        let run = if on_thread {
            start(Arc::new(Mutex::new(courier)), queue.logger, &board)
        } else {
            let (mut courier, clock) = (courier.impatient(), Clock::start());
            run_until_idle(&mut courier, &clock);
            Run::InPlace(Box::new(courier), clock)
        };
        Self {
            kept,
            queue,
            board,
            run,
        }
    }

    /// Whether the caller itself delivers.
    pub(crate) const fn is_in_place(&self) -> bool {
        matches!(self.run, Run::InPlace(..))
    }

    /// Says that something new was spooled.
    pub(crate) fn wake(&mut self) {
        match &mut self.run {
            Run::InPlace(courier, clock) => {
                run_until_idle(courier, clock);
            }
            Run::OnThread(line, _) => line.tell(|orders| orders.is_woken = true),
            Run::Not(courier) => {
                self.run = start(Arc::clone(courier), self.queue.logger, &self.board);
            }
        }
    }

    /// Goes on with another address, and asks the store again at once.
    pub(crate) fn readdress(&mut self, address: Address) {
        match &mut self.run {
            Run::InPlace(courier, clock) => {
                courier.readdress(address);
                run_until_idle(courier, clock);
            }
            Run::OnThread(line, _) => line.tell(|orders| orders.address = Some(address)),
            Run::Not(courier) => {
                locked(courier).readdress(address);
                self.run = start(Arc::clone(courier), self.queue.logger, &self.board);
            }
        }
    }

    /// Asks the store again at once.
    pub(crate) fn ask_again(&mut self) {
        match &mut self.run {
            Run::InPlace(courier, clock) => {
                courier.ask_again();
                run_until_idle(courier, clock);
            }
            Run::OnThread(line, _) => line.tell(|orders| orders.asks_again = true),
            Run::Not(_) => {}
        }
    }

    /// Tells the courier to deliver what can be delivered until `deadline`, and then to end.
    pub(crate) fn end_by(&mut self, deadline: Instant) {
        if let Run::OnThread(line, _) = &self.run {
            line.tell(|orders| orders.deadline = Some(deadline));
        }
    }

    /// Waits for the courier's end, a moment beyond `deadline` at most: what hangs in a store's hands
    /// then stays in the spool.
    pub(crate) fn join(&mut self, deadline: Instant) {
        match &mut self.run {
            Run::InPlace(courier, clock) => run_until_done(courier, clock, deadline),
            Run::OnThread(line, thread) => {
                if line.wait_for_end(deadline)
                    && let Some(thread) = thread.take()
                {
                    let _ = thread.join();
                }
            }
            Run::Not(_) => {}
        }
    }

    /// Whether nothing waits in its queue.
    pub(crate) fn is_done(&self) -> bool {
        self.kept.spool.is_empty(self.queue)
    }

    pub(crate) const fn queue(&self) -> QueueId {
        self.queue
    }

    /// Whether its store says that it is not there: no such bucket, no such directory. Any other refusal
    /// may pass, and what waits is kept for it.
    pub(crate) fn is_turned_away(&self) -> bool {
        let trouble = self.board.read().trouble;
        trouble.is_some_and(|(cause, _)| cause == Cause::Missing)
    }

    pub(crate) fn counts(&self) -> &Arc<Counts> {
        self.board.counts()
    }

    pub(crate) fn progress(&self) -> Progress {
        self.board.read()
    }
}

impl Drop for Carrier {
    fn drop(&mut self) {
        self.end_by(Instant::now());
    }
}

/// What a courier's thread is told.
#[derive(Default)]
struct Orders {
    address: Option<Address>,
    is_woken: bool,
    asks_again: bool,
    deadline: Option<Instant>,
    has_ended: bool,
}

/// The line between the log thread and a courier's.
#[derive(Default)]
struct Line {
    orders: Mutex<Orders>,
    changed: Condvar,
}

impl Line {
    fn tell(&self, tell: impl FnOnce(&mut Orders)) {
        tell(&mut self.orders());
        self.changed.notify_all();
    }

    /// Sleeps until something is told, or for `pause` at most, and takes it along.
    fn sleep(&self, pause: Option<Duration>) -> Orders {
        let is_idle = |orders: &mut Orders| {
            let is_told = orders.is_woken || orders.asks_again || orders.address.is_some();
            !is_told && orders.deadline.is_none()
        };
        let pause = pause.unwrap_or(Duration::MAX);
        let (mut orders, _) = self
            .changed
            .wait_timeout_while(self.orders(), pause, is_idle)
            .unwrap_or_else(PoisonError::into_inner);
        let told = std::mem::take(&mut *orders);
        // The end stays told.
        orders.deadline = told.deadline;
        told
    }

    fn wait_for_end(&self, deadline: Instant) -> bool {
        let patience = deadline.saturating_duration_since(Instant::now());
        let (orders, _) = self
            .changed
            .wait_timeout_while(self.orders(), patience, |orders| !orders.has_ended)
            .unwrap_or_else(PoisonError::into_inner);
        orders.has_ended
    }

    fn orders(&self) -> MutexGuard<'_, Orders> {
        self.orders.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Says that the thread has ended, even by a panic.
struct EndOf(Arc<Line>);

impl Drop for EndOf {
    fn drop(&mut self) {
        self.0.tell(|orders| orders.has_ended = true);
    }
}

/// Milliseconds since the start, and dice for pauses.
struct Clock {
    start: Instant,
    dice: RandomState,
}

impl Clock {
    fn start() -> Self {
        Self {
            start: Instant::now(),
            dice: RandomState::new(),
        }
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Different for every process and moment: the hash of the time under the process's random key.
    fn roll(&self) -> u64 {
        self.dice.hash_one(self.start.elapsed().as_nanos())
    }
}

fn locked(courier: &Mutex<Courier>) -> MutexGuard<'_, Courier> {
    courier.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Gives a courier its thread, if there is one to be had.
fn start(courier: Arc<Mutex<Courier>>, logger: Uuid, board: &Board) -> Run {
    match spawn(Arc::clone(&courier), logger) {
        Ok((line, thread)) => Run::OnThread(line, Some(thread)),
        Err(error) => {
            let text = format!(
                "no thread to deliver on: {error}; raise the limit of processes (`TasksMax=` of a \
                 systemd unit, `--pids-limit` of a container)"
            );
            board.failed(&StoreError::new(Cause::Busy, text), true);
            Run::Not(courier)
        }
    }
}

fn spawn(courier: Arc<Mutex<Courier>>, logger: Uuid) -> io::Result<(Arc<Line>, JoinHandle<()>)> {
    let line = Arc::new(Line::default());
    let end = EndOf(Arc::clone(&line));
    let name = format!("{THREAD_NAME}-{:.7}", logger.simple().to_string());
    let thread = thread::Builder::new()
        .name(name)
        .spawn(move || run(&mut locked(&courier), &end.0))?;
    Ok((line, thread))
}

/// The thread.
fn run(courier: &mut Courier, line: &Line) {
    let clock = Clock::start();
    loop {
        let until_ms = run_until_idle(courier, &clock);
        let pause = until_ms.map(|ms| Duration::from_millis(ms.saturating_sub(clock.now_ms())));
        let orders = line.sleep(pause);
        if orders.asks_again {
            courier.ask_again();
        }
        if let Some(address) = orders.address {
            courier.readdress(address);
        }
        if let Some(deadline) = orders.deadline {
            return run_until_done(courier, &clock, deadline);
        }
    }
}

/// Does what is due; until when there is nothing more.
fn run_until_idle(courier: &mut Courier, clock: &Clock) -> Option<u64> {
    loop {
        if let Some(until_ms) = courier.step(clock.now_ms(), clock.roll()) {
            return until_ms;
        }
    }
}

/// Does what can be done until a moment, waiting for a store that may come back.
fn run_until_done(courier: &mut Courier, clock: &Clock, deadline: Instant) {
    loop {
        while courier.step(clock.now_ms(), clock.roll()).is_none() {
            if Instant::now() >= deadline {
                return;
            }
        }
        let now = Instant::now();
        let Some(until_ms) = courier.step(clock.now_ms(), clock.roll()).flatten() else {
            return;
        };
        let pause = Duration::from_millis(until_ms.saturating_sub(clock.now_ms()));
        if now + pause >= deadline {
            return;
        }
        thread::sleep(pause);
    }
}
