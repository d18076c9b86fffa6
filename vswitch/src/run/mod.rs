//! The daemon: threads around the switch.
//!
//! ```text
//!   worker(s) ── Mutex<Switch> ── control socket (`show`, `trace`, `audit`)
//!      │  chunks of the log
//!      ▼
//!   log thread ── Collector ── spool, live tail
//!                                │
//!   a thread per logger ─────────┴─ store
//! ```
//! A reload builds the new policy before it takes the lock, and is all or nothing: whatever fails before
//! the swap leaves everything as it was.

mod aside;
mod build;
mod clock;
mod closer;
mod difference;
mod files;
mod health;
mod log_thread;
mod method;
mod orders;
mod refusals;
mod reload;
mod replay;
mod serve;
mod shared;
mod slow;
mod spin;
mod starter;
mod stop;
mod tail;
mod terminal;
mod watch;
mod worker;

pub use build::{lab_ports, port_info, switch_config};
pub use clock::Clock;
pub use difference::Difference;
pub use health::{Ended, Health};
pub use orders::{Orders, Reloaded};
pub use reload::Changes;
pub use replay::{Input, ReplayError, Summary, replay};
pub use serve::{Source, hold_hangups, load, load_with, serve};
pub use shared::Shared;
pub use slow::{Receiver, Receivers};
pub use starter::Starter;
pub use tail::{Heard, Missed, Subscriber, Tail};

use crate::config::{Plan, Workers};
use crate::io::{ReadWrite, Uring};
use crate::lab::{Lab, Made, RunLock};
use crate::switch::{Compiled, Prepared, Switch};
use anyhow::{Context, Result};
use closer::Closer;
use flowlog::{Collector, Delivery};
use log_thread::LogQueue;
use method::Method;
use parking_lot::{Mutex, RwLock};
use secgroup::RuleTable;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use worker::{Handle, Worker};

/// Microseconds of a second.
const US_PER_S: u64 = 1_000_000;

/// A running switch.
#[derive(Debug)]
pub struct Daemon {
    shared: Arc<Shared>,
    io: Method,
    workers: Vec<(Arc<Handle>, JoinHandle<()>)>,
    log: LogQueue,
    log_thread: JoinHandle<()>,
    closer: Closer,
    closer_thread: JoinHandle<()>,
    /// The policies in force.
    compiled: Compiled,
    lab: Made,
    /// After the lab: the next daemon comes when everything is removed.
    _lock: RunLock,
}

impl Daemon {
    /// Builds what the plan says and forwards. `name` tells the ledgers of several configurations apart.
    ///
    /// # Errors
    /// What cannot be had: a TAP, the state directory, a policy beyond its limits. What was made is gone
    /// again then.
    pub fn start(plan: Plan, name: &str) -> Result<Self> {
        // First of all: what another daemon has in the state directory is not for us to read, nor to remove.
        let lock = RunLock::take(&plan.state_dir, plan.access)?;
        let delivery = Delivery::open(&plan.state_dir, plan.spool_max_bytes, plan.access)
            .context("the flow log cannot be delivered")?;
        watch::tell_recovered(&delivery, &plan.loggers);
        let mut rules = RuleTable::default();
        let (prepared, compiled) =
            Prepared::after(&Compiled::default(), switch_config(&plan), &mut rules)
                .context("the policy cannot be built")?;
        let clock = Clock::start();
        let window_s = flowlog::base_window_s(&plan.loggers);
        let switch = Switch::new(clock.now(), seed()?, plan.conntrack.limit, window_s);
        let io = Method::choose(plan.io)?;
        let queues = match plan.workers {
            Workers::Auto => 1,
            Workers::Fixed(workers) => workers.get(),
        };
        files::allow(plan.ports.len().saturating_mul(queues))?;
        // A container that is not there is no reason for the other guests to wait.
        let guests = lab_ports(&plan);
        let (mut here, mut gone) = (Vec::new(), Vec::new());
        for (port, guest) in plan.ports.iter().zip(&guests) {
            if guest.is_gone() {
                gone.push(port.id);
            } else {
                here.push(guest.clone());
            }
        }
        let (lab, taps) =
            Lab::new(&plan.state_dir, name, plan.access).ensure(&lock, &here, queues)?;

        let plan = Arc::new(plan);
        let shared = Arc::new(Shared {
            switch: Mutex::new(switch),
            gate: RwLock::default(),
            rules: Arc::new(RwLock::new(rules)),
            plan: RwLock::new(Arc::clone(&plan)),
            names: RwLock::default(),
            lacks: RwLock::default(),
            loggers: Mutex::default(),
            tail: Tail::default(),
            clock,
            health: Arc::default(),
            receivers: Receivers::default(),
            auditing: Mutex::default(),
            orders: Orders::default(),
        });
        let (log, receiver) = LogQueue::new();
        let mut collector = Collector::new(plan.loggers.clone(), delivery);
        collector.keep_records(true);
        collector.begin(clock.now().wall_us / US_PER_S);
        *shared.loggers.lock() = collector.status();
        let log_shared = Arc::clone(&shared);
        let log_thread = shared.health.spawn("log", move || {
            log_thread::run(&log_shared, collector, &receiver);
            Ok(())
        })?;
        let (closer, closer_thread) = Closer::start(&shared.health)?;
        let mut daemon = Self {
            shared,
            io,
            workers: Vec::new(),
            log,
            log_thread,
            closer,
            closer_thread,
            compiled,
            lab,
            _lock: lock,
        };
        for index in 0..queues {
            if let Err(error) = daemon.spawn_worker(index) {
                return daemon.stop().and(Err(error));
            }
        }
        let change = daemon.work_out(prepared);
        let swapped = change.and_then(|change| daemon.swap_in(&plan, change, taps));
        match swapped.and_then(|_| daemon.take_down(&plan, &gone)) {
            Ok(()) => {}
            Err(error) => return daemon.stop().and(Err(error)),
        }
        for (port, lack) in daemon.publish_lacks(&plan, &guests) {
            tracing::warn!("port `{port}`: {lack}");
        }
        Ok(daemon)
    }

    /// What its threads share.
    #[must_use]
    pub fn shared(&self) -> Arc<Shared> {
        Arc::clone(&self.shared)
    }

    fn spawn_worker(&mut self, index: usize) -> Result<()> {
        let (handle, poll) = Handle::new()?;
        let (shared, log) = (Arc::clone(&self.shared), self.log.clone());
        let closer = self.closer.clone();
        let (io, held) = (self.io, Arc::clone(&handle));
        let name = format!("worker{index}");
        let thread = self.shared.health.spawn(&name, move || {
            // Made here: a ring belongs to the thread that made it.
            match io {
                Method::ReadWrite => {
                    Worker::new(shared, held, log, closer, ReadWrite::new(poll)).run()
                }
                Method::Uring => Worker::new(shared, held, log, closer, Uring::new(poll)?).run(),
            }
        })?;
        self.workers.push((handle, thread));
        Ok(())
    }
}

/// The name that tells configurations apart: the file's, without its extension.
#[must_use]
pub fn name_of(config: &Path) -> String {
    config.file_stem().map_or_else(
        || "vswitch".into(),
        |stem| stem.to_string_lossy().into_owned(),
    )
}

/// A random key for the hash tables, so that no guest can aim at them.
fn seed() -> Result<u64> {
    let mut bytes = [0; 8];
    let mut random = std::fs::File::open("/dev/urandom").context("cannot open /dev/urandom")?;
    io::Read::read_exact(&mut random, &mut bytes)?;
    Ok(u64::from_ne_bytes(bytes))
}
