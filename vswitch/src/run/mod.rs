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

use build::group_names;
pub use build::{lab_ports, port_info, switch_config};
pub use clock::Clock;
pub use difference::Difference;
pub use health::{Ended, Health};
pub use orders::{Orders, Reloaded};
pub use replay::{Input, ReplayError, Summary, replay};
pub use serve::{Source, hold_hangups, load, load_with, serve};
pub use shared::Shared;
pub use slow::{Receiver, Receivers};
pub use starter::Starter;
pub use tail::{Heard, Missed, Subscriber, Tail};

use crate::config::{Plan, Port, Workers};
use crate::io::{ReadWrite, Uring};
use crate::lab::{Lab, LabPort, Lack, Made, RunLock};
use crate::switch::{Change, Compiled, Prepared, Switch};
use anyhow::{Context, Result, bail};
use aside::aside;
use closer::Closer;
use flowlog::{Collector, Delivery};
use log_thread::{LogQueue, Message};
use method::Method;
use parking_lot::{Mutex, MutexGuard, RwLock};
use secgroup::{PortId, RuleTable};
use std::collections::{HashMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread::JoinHandle;
use std::time::Duration;
use uuid::Uuid;
use worker::{Command, Handle, Worker};

/// How often whoever waits for a worker looks whether it still runs.
const LOOK: Duration = Duration::from_millis(100);

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

/// What a reload has changed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Changes {
    /// Ports that are new.
    pub attached: usize,
    /// Ports that are gone.
    pub detached: usize,
    /// Ports whose interface was set up anew: MTU, MAC, addresses, routes.
    pub changed: Vec<String>,
    /// What could not be set, by the port's name: of this reload, or since an earlier one.
    pub lacks: Vec<(String, Lack)>,
    /// Number of the policy in force now.
    pub policy_epoch: u16,
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

    /// Puts another configuration in force: new policy, ports that come and go, loggers.
    ///
    /// # Errors
    /// Whatever cannot be had; then nothing has changed.
    pub fn reload(&mut self, plan: Plan) -> Result<Changes> {
        let old = Arc::clone(&*self.shared.plan.read());
        if let Some(what) = fixed_part(&old, &plan) {
            bail!("`{what}` cannot change while the switch runs; restart it");
        }
        let (running, wanted) = (switch_config(&old), switch_config(&plan));
        let in_use: Vec<_> = running.ports.iter().map(|port| port.spec.clone()).collect();
        if let Some(error) = wanted
            .model
            .check_change(&running.model, &in_use)
            .into_iter()
            .next()
        {
            return Err(error.into());
        }
        // Aside, on a copy: who asks for the name of a rule meanwhile does not wait. Numbers are only added.
        let mut rules = self.shared.rules.read().clone();
        let (prepared, compiled) = aside(|| Prepared::after(&self.compiled, wanted, &mut rules))?
            .context("the policy cannot be built")?;
        let change = self.work_out(prepared)?;
        *self.shared.rules.write() = rules;
        let known: HashMap<Uuid, &Port> = old.ports.iter().map(|port| (port.id, port)).collect();
        let is_known = |port: &Port| {
            let known = known.get(&port.id);
            known.is_some_and(|known| same_device(&old, known, &plan, port))
        };
        let down = self.down();
        files::allow(plan.ports.len().saturating_mul(self.workers.len()))?;
        let guests = lab_ports(&plan);
        let (mut new, mut gone) = (Vec::new(), Vec::new());
        for (port, guest) in plan.ports.iter().zip(&guests) {
            if guest.is_gone() {
                // No reason to refuse a change of policy: the other guests are waiting for it.
                gone.push(port.id);
            } else if !is_known(port) || down.contains(&port.id) || !self.lab.is_in_place(guest) {
                new.push(guest.clone());
            }
        }
        if !new.is_empty() {
            // What an earlier reload has given up is closed by then, and is not taken for another program's.
            self.await_workers()?;
            self.closer.wait();
        }
        let taps = self.lab.add(&new, self.workers.len())?;
        self.lab.keep(&guests);
        let plan = Arc::new(plan);
        if plan.loggers != old.loggers {
            self.hand_over();
        }
        // The same ones, too: a reload has stores that refused asked again at once.
        self.log.tell(Message::Loggers(plan.loggers.clone()));
        self.compiled = compiled;
        let mut changes = self.swap_in(&plan, change, taps)?;
        self.take_down(&plan, &gone)?;
        // After the swap: a guest that announces its new MAC is heard.
        let here: Vec<_> = guests
            .iter()
            .filter(|guest| !guest.is_gone())
            .cloned()
            .collect();
        changes.changed = self.lab.change(&lab_ports(&old), &here);
        changes.lacks = self.publish_lacks(&plan, &guests);
        Ok(changes)
    }

    /// Shows what ports do without, and returns it by their names.
    fn publish_lacks(&self, plan: &Plan, guests: &[LabPort]) -> Vec<(String, Lack)> {
        let mut by_id = HashMap::new();
        let mut by_name = Vec::new();
        let complete = self.lab.is_complete();
        let ports = plan.ports.iter().zip(guests);
        // Nothing is looked for where nothing is missing: there may be many ports.
        for (port, guest) in ports.filter(|_| !complete) {
            let lacks = self.lab.lacks(guest);
            by_name.extend(lacks.iter().map(|lack| (port.name.clone(), lack.clone())));
            if !lacks.is_empty() {
                by_id.insert(port.id, lacks.to_vec());
            }
        }
        *self.shared.lacks.write() = by_id;
        by_name
    }

    /// Gives up the TAPs of ports whose guests have gone; their ports stay, down.
    fn take_down(&self, plan: &Plan, gone: &[Uuid]) -> Result<()> {
        for port in plan.ports.iter().filter(|port| gone.contains(&port.id)) {
            let number = {
                let mut switch = self.shared.switch.lock();
                let number = switch
                    .ports()
                    .find(|known| known.config.id == port.id)
                    .map(|known| known.number());
                number.inspect(|&number| switch.set_up(number, false))
            };
            if let Some(number) = number {
                self.detach(number)?;
            }
            let place = port.tap.netns.as_deref().unwrap_or_default();
            tracing::warn!(
                "port `{}` is down: there is no network namespace at {place}; \
                 reload when it is there, or write its new path and reload",
                port.name
            );
        }
        Ok(())
    }

    fn detach(&self, number: PortId) -> Result<()> {
        for (handle, _) in &self.workers {
            handle.tell(Command::Detach(number))?;
        }
        Ok(())
    }

    /// What was counted until now goes to the loggers in force, first of all what is left of an interval
    /// that has just ended.
    fn hand_over(&self) {
        drop(self.between_windows());
        let mut from = Some(0);
        while let Some(slot) = from {
            let mut switch = self.shared.switch.lock();
            from = switch.hand_over(slot);
            self.log.push(switch.fetch_log());
        }
    }

    /// The ports that are down.
    fn down(&self) -> HashSet<Uuid> {
        let switch = self.shared.switch.lock();
        let down = switch.ports().filter(|port| !port.up);
        down.map(|port| port.config.id).collect()
    }

    /// What a configuration changes: before any TAP is made, for it may be refused.
    fn work_out(&self, prepared: Prepared) -> Result<Change> {
        let now = self.shared.clock.now();
        let outline = self.shared.switch.lock().outline(now, prepared.ports());
        Ok(aside(|| Change::new(outline, prepared))??)
    }

    /// The switch while no closed window waits for the sweep, so that a swap may close another one: what is
    /// left of the sweep goes in slices.
    fn between_windows(&self) -> MutexGuard<'_, Switch> {
        loop {
            let mut switch = self.shared.switch.lock();
            if !switch.is_closing() {
                return switch;
            }
            switch.sweep(self.shared.clock.now());
            self.log.push(switch.fetch_log());
        }
    }

    /// The swap: policy, names, and TAPs to the workers.
    fn swap_in(
        &mut self,
        plan: &Arc<Plan>,
        change: Change,
        taps: Vec<tap::Tap>,
    ) -> Result<Changes> {
        let numbers = change.numbers().clone();
        let (gone, policy_epoch, retired) = {
            let mut switch = self.between_windows();
            let (new, gone) = switch.swap(self.shared.clock.now(), change);
            // A port is up once a worker serves its TAP.
            new.iter()
                .for_each(|&(number, _)| switch.set_up(number, false));
            // A number may have been another port's: what bears it still goes before the new name.
            self.log.push(switch.fetch_log());
            (gone, switch.policy_epoch(), switch.spare_memory())
        };
        // The old policy goes without the lock.
        drop(retired);
        let infos: Vec<_> = plan
            .ports
            .iter()
            .filter_map(|port| port_info(plan, *numbers.get(&port.id)?, port))
            .collect();
        self.log.tell(Message::Names {
            ports: infos.clone(),
            groups: group_names(plan),
        });
        // These alone: a port that another subnet has now has another number. The log thread, which still
        // writes of the old ones, has names of its own.
        let names = infos.into_iter().map(|info| (info.port, info));
        *self.shared.names.write() = names.collect();
        *self.shared.plan.write() = Arc::clone(plan);
        for &(number, _) in &gone {
            self.detach(number)?;
        }
        let attached = taps.len();
        let ports = by_device(plan);
        for tap in taps {
            let port = ports.get(&device_of(&tap)).copied();
            let number = port.and_then(|port| numbers.get(&port.id).copied());
            if let (Some(port), Some(number)) = (port, number) {
                self.attach(&port.name, number, tap)?;
            }
        }
        self.await_workers()?;
        // No worker serves them any more, and reports of them.
        let gone_numbers = gone.iter().map(|&(number, _)| number);
        self.shared.receivers.forget(gone_numbers);
        Ok(Changes {
            attached,
            detached: gone.len(),
            policy_epoch,
            ..Changes::default()
        })
    }

    /// Gives every worker its queue of a TAP.
    fn attach(&self, name: &str, number: PortId, tap: tap::Tap) -> Result<()> {
        self.shared.receivers.is_reopened(number);
        for ((handle, _), queue) in self.workers.iter().zip(tap.into_queues()) {
            handle.tell(Command::Detach(number))?;
            handle.tell(Command::Attach(number, name.to_owned(), queue))?;
        }
        Ok(())
    }

    /// Waits until the workers have done what they were told: whoever is told that the switch is ready, or
    /// reloaded, finds its ports up.
    fn await_workers(&self) -> Result<()> {
        let (sender, receiver) = channel();
        for (handle, _) in &self.workers {
            handle.tell(Command::Answer(sender.clone()))?;
        }
        let mut missing = self.workers.len();
        while missing > 0 {
            match receiver.recv_timeout(LOOK) {
                Ok(()) => missing -= 1,
                // One that has ended does not answer any more, and ends the daemon.
                Err(_) if self.workers.iter().any(|(_, thread)| thread.is_finished()) => break,
                Err(_) => {}
            }
        }
        Ok(())
    }
}

/// Where a TAP lies and what it is called.
type Device = (Option<PathBuf>, String);

/// The ports of a plan by their TAPs.
fn by_device(plan: &Plan) -> HashMap<Device, &Port> {
    let device = |port: &Port| {
        let netns = port.tap.netns.as_deref();
        let netns = netns.and_then(|netns| tap::Netns::parse(netns).ok());
        (
            netns.map(|netns| netns.path().to_owned()),
            port.tap.name.clone(),
        )
    };
    plan.ports.iter().map(|port| (device(port), port)).collect()
}

fn device_of(tap: &tap::Tap) -> Device {
    let netns = tap.netns().map(|netns| netns.path().to_owned());
    (netns, tap.name().to_owned())
}

/// The name that tells configurations apart: the file's, without its extension.
#[must_use]
pub fn name_of(config: &Path) -> String {
    config.file_stem().map_or_else(
        || "vswitch".into(),
        |stem| stem.to_string_lossy().into_owned(),
    )
}

/// A setting that a running switch cannot change, if it differs.
fn fixed_part(old: &Plan, new: &Plan) -> Option<&'static str> {
    if old.control_socket != new.control_socket {
        Some("control_socket")
    } else if old.state_dir != new.state_dir {
        Some("state_dir")
    } else if old.access != new.access {
        Some("readers_group")
    } else if old.io != new.io {
        Some("io")
    } else if old.workers != new.workers {
        Some("workers")
    } else if old.conntrack.limit != new.conntrack.limit {
        Some("conntrack.limit")
    } else if old.spool_max_bytes != new.spool_max_bytes {
        Some("spool.max_bytes")
    } else {
        None
    }
}

/// Whether a port keeps its TAP.
fn same_device(old: &Plan, known: &Port, new: &Plan, port: &Port) -> bool {
    let subnet = |plan: &Plan, port: &Port| plan.subnets.get(port.subnet).map(|subnet| subnet.id);
    let vpc = |plan: &Plan, port: &Port| {
        let subnet = plan.subnets.get(port.subnet)?;
        plan.vpcs.get(subnet.vpc).map(|vpc| vpc.id)
    };
    known.id == port.id
        && known.tap.name == port.tap.name
        && known.tap.netns == port.tap.netns
        && known.tap.threaded == port.tap.threaded
        && known.role == port.role
        && subnet(old, known) == subnet(new, port)
        && vpc(old, known) == vpc(new, port)
}

/// A random key for the hash tables, so that no guest can aim at them.
fn seed() -> Result<u64> {
    let mut bytes = [0; 8];
    let mut random = std::fs::File::open("/dev/urandom").context("cannot open /dev/urandom")?;
    io::Read::read_exact(&mut random, &mut bytes)?;
    Ok(u64::from_ne_bytes(bytes))
}
