//! The log thread: turns what left the table into records, and closed intervals into files of the spool.
//!
//! It never takes the switch's lock, and runs behind the workers where a core is scarce. The queue before it is bounded; while it is full the chunks stay in
//! the switch, which counts as skipped what it cannot keep.

use super::shared::Shared;
use super::watch::Watch;
use crate::switch::{Chunk, Share, icmp_of, tallied, tuple_of};
use flowlog::{Closed, Collector, LoggerSpec, Observation, PortInfo, RuleInfo, Window};
use packet::Mac;
use parking_lot::RwLock;
use secgroup::conntrack::Way;
use secgroup::{RuleRef, RuleTable};
use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};
use uuid::Uuid;

/// Chunks on their way: 64 MiB.
const QUEUE: usize = 64;

/// How often it looks after the deliveries, also while chunks keep coming.
const LOOK: Duration = Duration::from_secs(1);

/// How long stores get at least when the switch stops, be it late. What they do not take stays in the
/// spool.
const PATIENCE_MIN: Duration = Duration::from_millis(500);

/// How long the name of a security group outlives it: what its rules decided is written when the interval
/// closes, after fifteen minutes at most.
const GROUP_OUTLIVED: Duration = Duration::from_secs(3600);

/// What the log thread is told.
#[derive(Debug)]
pub(super) enum Message {
    /// Part of a window.
    Chunk(Chunk),
    /// The ports and security groups that there are now.
    Names {
        ports: Vec<Arc<PortInfo>>,
        groups: Vec<(Uuid, Arc<str>)>,
    },
    /// Other loggers.
    Loggers(Vec<LoggerSpec>),
    /// The end: write what there is, have the stores take it, and end.
    Stop {
        /// The last window.
        window: Window,
        /// When the stores have had their time.
        until: Instant,
    },
}

/// The workers' end of the queue.
#[derive(Debug, Clone)]
pub(super) struct LogQueue {
    sender: Sender<Message>,
    waiting: Arc<AtomicUsize>,
}

impl LogQueue {
    pub(super) fn new() -> (Self, LogReceiver) {
        let (sender, receiver) = channel();
        let waiting = Arc::new(AtomicUsize::new(0));
        (
            Self {
                sender,
                waiting: Arc::clone(&waiting),
            },
            LogReceiver { receiver, waiting },
        )
    }

    /// Whether chunks may be fetched from the switch.
    pub(super) fn has_room(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) < QUEUE
    }

    pub(super) fn push(&self, chunks: Vec<Chunk>) {
        for chunk in chunks {
            self.waiting.fetch_add(1, Ordering::Relaxed);
            self.tell(Message::Chunk(chunk));
        }
    }

    pub(super) fn tell(&self, message: Message) {
        // The receiver goes only after the last sender has said `Stop`.
        let _ = self.sender.send(message);
    }
}

/// The log thread's end.
#[derive(Debug)]
pub(super) struct LogReceiver {
    receiver: Receiver<Message>,
    waiting: Arc<AtomicUsize>,
}

/// Who the ports and rules are, by number; what ports and groups are called.
#[derive(Debug)]
pub(crate) struct Names {
    /// Every port that there ever was.
    ports: HashMap<u16, Arc<PortInfo>>,
    /// Those that there are now.
    present: Vec<u16>,
    /// Which port has an address in a VPC. One that is gone counts until another has its address.
    holders: HashMap<(Uuid, IpAddr), Arc<str>>,
    /// The security groups that there are now, and those that have gone lately.
    groups: HashMap<Uuid, Group>,
    rules: Arc<RwLock<RuleTable>>,
}

#[derive(Debug)]
struct Group {
    name: Arc<str>,
    /// Since when there is none any more.
    gone: Option<Instant>,
}

impl Names {
    pub(crate) fn new(rules: Arc<RwLock<RuleTable>>) -> Self {
        Self {
            ports: HashMap::new(),
            present: Vec::new(),
            holders: HashMap::new(),
            groups: HashMap::new(),
            rules,
        }
    }

    /// Ports and security groups are these now; others stay known until their records are written.
    pub(crate) fn set(
        &mut self,
        ports: impl IntoIterator<Item = Arc<PortInfo>>,
        groups: impl IntoIterator<Item = (Uuid, Arc<str>)>,
    ) {
        self.present.clear();
        for port in ports {
            self.present.push(port.port);
            self.ports.insert(port.port, port);
        }
        self.set_groups(Instant::now(), groups);
        self.holders.clear();
        let present: HashSet<u16> = self.present.iter().copied().collect();
        let is_present = |port: &&Arc<PortInfo>| present.contains(&port.port);
        let (here, gone): (Vec<_>, Vec<_>) = self.ports.values().partition(is_present);
        for port in gone.into_iter().chain(here) {
            let name: Arc<str> = port.name.as_str().into();
            let held = port.addresses.iter();
            let held = held.map(|address| ((port.vpc_id, *address), Arc::clone(&name)));
            self.holders.extend(held);
        }
    }

    fn set_groups(&mut self, now: Instant, groups: impl IntoIterator<Item = (Uuid, Arc<str>)>) {
        for group in self.groups.values_mut() {
            group.gone.get_or_insert(now);
        }
        let here = |(id, name)| (id, Group { name, gone: None });
        self.groups.extend(groups.into_iter().map(here));
        let is_needed = |gone| now.saturating_duration_since(gone) < GROUP_OUTLIVED;
        self.groups
            .retain(|_, group| group.gone.is_none_or(is_needed));
    }
}

impl flowlog::Ports for Names {
    fn get(&self, port: u16) -> Option<&PortInfo> {
        self.ports.get(&port).map(AsRef::as_ref)
    }

    fn each(&self, visit: &mut dyn FnMut(&PortInfo)) {
        let present = self.present.iter();
        present.filter_map(|port| self.get(*port)).for_each(visit);
    }

    fn rule(&self, number: u32) -> Option<RuleInfo> {
        let identity = self.rules.read().lookup(RuleRef::new(number)?)?;
        Some(RuleInfo {
            id: identity.rule,
            security_group_id: identity.group,
        })
    }

    fn holder(&self, vpc: Uuid, address: IpAddr) -> Option<Arc<str>> {
        self.holders.get(&(vpc, address)).cloned()
    }

    fn group_name(&self, group: Uuid) -> Option<Arc<str>> {
        self.groups.get(&group).map(|group| Arc::clone(&group.name))
    }
}

/// Runs until told to stop.
pub(super) fn run(shared: &Shared, mut collector: Collector, queue: &LogReceiver) {
    tap::run_in_background();
    let mut names = Names::new(Arc::clone(&shared.rules));
    let mut watch = Watch::default();
    let mut looked = Instant::now();
    loop {
        shared.health.log_is_seen();
        if looked.elapsed() >= LOOK {
            look(shared, &collector, &mut watch);
            looked = Instant::now();
        }
        let message = match queue.receiver.recv_timeout(LOOK) {
            Ok(message) => message,
            Err(RecvTimeoutError::Timeout) => continue,
            Err(RecvTimeoutError::Disconnected) => return,
        };
        match message {
            Message::Chunk(chunk) => {
                queue.waiting.fetch_sub(1, Ordering::Relaxed);
                let closed = take(&mut collector, &names, &chunk);
                if !closed.is_empty() {
                    look(shared, &collector, &mut watch);
                }
                publish(shared, closed);
            }
            Message::Names { ports, groups } => names.set(ports, groups),
            Message::Loggers(specs) => {
                let closed = collector.reconfigure(specs, &names);
                look(shared, &collector, &mut watch);
                publish(shared, closed);
            }
            Message::Stop { window, until } => {
                // Nothing is forwarded any more: from here on, it is what everything waits for.
                tap::run_in_foreground();
                publish(shared, collector.finish(window, &names, &[]));
                look(shared, &collector, &mut watch);
                let left = until.saturating_duration_since(Instant::now());
                let waiting = collector.shut(left.max(PATIENCE_MIN));
                if waiting > 0 {
                    tracing::warn!(waiting, "files wait in the spool for the next start");
                }
                return;
            }
        }
    }
}

/// Adds a chunk to the collector; the files that this closes.
pub(crate) fn take(collector: &mut Collector, names: &Names, chunk: &Chunk) -> Vec<Closed> {
    observe_share(collector, names, chunk.window, &chunk.v4);
    observe_share(collector, names, chunk.window, &chunk.v6);
    match &chunk.closes {
        Some(closing) => {
            let skipped = closing.skipped.iter();
            let skipped: Vec<_> = skipped.map(|&(port, skipped)| (port.0, skipped)).collect();
            collector.close_before(chunk.window, closing.next, names, &skipped)
        }
        None => Vec::new(),
    }
}

fn observe_share<A: Copy + Into<IpAddr>>(
    collector: &mut Collector,
    names: &Names,
    window: Window,
    share: &Share<A>,
) {
    for (place, left) in share.left.iter().enumerate() {
        for record in tallied(&left.conn).into_iter().flatten() {
            let tally = left.with[record.way as usize];
            if tally.is_empty() {
                continue;
            }
            let pair = share
                .macs
                .get(place)
                .map(|pairs| pairs[record.way as usize]);
            let observation = Observation {
                port: record.port.0,
                direction: record.direction,
                tuple: tuple_of(&left.conn, record.way),
                verdict: record.judged.verdict,
                rule: record.judged.rule.get(),
                reply: left.conn.state().is_connection() && record.way == Way::Reply,
                icmp: icmp_of(&left.conn, record.way),
                policy_epoch: Some(left.conn.policy_epoch).filter(|epoch| *epoch != 0),
                macs: pair.filter(|pair| *pair != [Mac::ZERO; 2]),
                tally,
            };
            collector.observe(window, names, &observation);
        }
    }
}

/// Has everybody see how the loggers are.
fn look(shared: &Shared, collector: &Collector, watch: &mut Watch) {
    let loggers = collector.status();
    watch.look(&loggers);
    *shared.loggers.lock() = loggers;
}

fn publish(shared: &Shared, closed: Vec<Closed>) {
    for closed in closed {
        if let Some(error) = &closed.error {
            tracing::error!(logger = %closed.logger, %error, "the flow log of an interval could not be written");
        }
        shared.tail.publish(closed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::run::{Clock, Tail};
    use crate::switch::Switch;
    use flowlog::Delivery;
    use parking_lot::Mutex;

    const LAB: &str = "region: KR1\nvpcs: [{ name: lab }]\nsubnets: [{ name: app, vpc: lab, cidr: 10.77.1.0/24 }]\n\
        ports: [{ name: vm1, subnet: app, fixed_ips: [10.77.1.11], tap: { name: t1 } }]\n\
        flowlog_loggers: [{ name: log, resource_type: VPC, resource: lab, storage_url: logs }]\n";

    #[test]
    fn loggers_are_looked_after_while_messages_keep_coming() {
        let directory = tempfile::tempdir().unwrap();
        let (mut plan, _) = Config::parse(LAB, "lab.yaml").unwrap();
        for logger in &mut plan.loggers {
            logger.storage = flowlog::Storage::Directory(directory.path().join("logs"));
        }
        let clock = Clock::start();
        let shared = Shared {
            switch: Mutex::new(Switch::new(clock.now(), 1, 16, 60)),
            gate: RwLock::default(),
            rules: Arc::default(),
            plan: RwLock::new(Arc::new(plan.clone())),
            names: RwLock::default(),
            lacks: RwLock::default(),
            loggers: Mutex::default(),
            tail: Tail::default(),
            clock,
            health: Arc::default(),
            receivers: crate::run::Receivers::default(),
            auditing: Mutex::default(),
            orders: crate::run::Orders::default(),
        };
        let delivery = Delivery::open(
            &directory.path().join("state"),
            1 << 20,
            flowlog::Access::default(),
        )
        .unwrap();
        let collector = Collector::new(plan.loggers, delivery);
        let (queue, receiver) = LogQueue::new();
        std::thread::scope(|scope| {
            let shared = &shared;
            scope.spawn(move || run(shared, collector, &receiver));
            // Never idle for as long as it takes to look without being asked.
            let messages = (0..1000).take_while(|_| shared.loggers.lock().is_empty());
            for _ in messages {
                queue.tell(Message::Names {
                    ports: Vec::new(),
                    groups: Vec::new(),
                });
                std::thread::sleep(LOOK / 100);
            }
            let looked = shared.loggers.lock().len();
            queue.tell(Message::Stop {
                window: Window {
                    start_s: 0,
                    length_s: 60,
                },
                until: Instant::now(),
            });
            assert_eq!(looked, 1, "nobody looked");
        });
    }

    #[test]
    fn the_name_of_a_security_group_outlives_it_until_its_records_are_written_and_no_longer() {
        use flowlog::Ports as _;
        let mut names = Names::new(Arc::default());
        let (web, db) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let name = |text: &str| Some(Arc::from(text));
        let start = Instant::now();
        names.set_groups(start, [(web, "web".into()), (db, "db".into())]);
        names.set_groups(start, [(db, "database".into())]);
        names.set_groups(start + GROUP_OUTLIVED / 2, [(db, "database".into())]);
        assert_eq!(names.group_name(web), name("web"));
        assert_eq!(names.group_name(db), name("database"));
        names.set_groups(start + GROUP_OUTLIVED, [(db, "database".into())]);
        assert_eq!(names.group_name(web), None);
        assert_eq!(names.group_name(db), name("database"));
    }
}
