//! Requests answered from what the daemon's threads share.
//!
//! The switch's lock is held for at most 20 µs at a time: tables are read in slices of [`SLOTS`], ports
//! in slices of [`PORTS`], and every word is made after the lock is let go.

use super::connections;
use super::end::End;
use super::record::LogRow;
use super::request::{Request, Select};
use super::rows::{
    DropRow, FdbRow, FlowRow, GroupRow, Listing, LogSource, LogSources, LoggerRow, NamedGroup,
    NamedPort, PortRow, Reply, StatusRow,
};
use super::rules::{RuleBook, rule_words};
use crate::config::{self, Plan, Role, Threaded};
use crate::lab::Lack;
use crate::run::Shared;
use crate::switch::{FlowView, Port, PortCounters};
use crate::trace::{self, Question, Trace, TraceError};
use flowlog::{LoggerStatus, State};
use packet::{FiveTuple, Reason};
use secgroup::{PortId, protocol_name};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

/// Slots of the connection table read under one lock: 64 bytes each, most of them not in the cache.
const SLOTS: u32 = 128;

/// Ports read under one lock: some 600 bytes of counters each.
const PORTS: usize = 32;

/// Answers a request; the error is for the client to read.
pub(super) fn answer(shared: &Shared, request: &Request) -> Result<Reply, String> {
    // What the others still say is not true any more.
    if let Some(ended) = shared.health.ended() {
        return Err(format!("the switch is stopping: {ended}"));
    }
    let plan = Arc::clone(&*shared.plan.read());
    if let Request::Ports(select)
    | Request::Fdb(select)
    | Request::Groups(select)
    | Request::Flows(select)
    | Request::Drops(select) = request
    {
        check_port(&plan, select)?;
    }
    Ok(match request {
        Request::Ports(select) => Reply::Ports(ports(shared, &plan, select)),
        Request::Fdb(select) => Reply::Fdb(fdb(shared, &plan, select)),
        Request::Groups(select) => Reply::Groups(groups(&plan, select)),
        Request::Connections(select) => {
            Reply::Connections(connections::list(shared, &plan, select)?)
        }
        Request::Flush { connections, all } => {
            Reply::Flushed(connections::flush(shared, &plan, connections, *all)?)
        }
        Request::Flows(select) => Reply::Flows(flows(shared, &plan, select)),
        Request::Loggers => Reply::Loggers(loggers(shared)),
        Request::LogSources => Reply::LogSources(log_sources(shared, &plan)),
        Request::Status => Reply::Status(status(shared, &plan)),
        Request::Drops(select) => Reply::Drops(drops(shared, &plan, select)),
        Request::Audit => Reply::Audit(Listing::all(
            shared.audit().ports.into_iter().map(Into::into).collect(),
        )),
        Request::Trace { port, packet } => {
            Reply::Trace(trace(shared, port, packet).map_err(|error| error.to_string())?)
        }
        Request::Reload => Reply::Reloaded(shared.orders.reload()?),
        Request::Follow => return Err("`follow` is a stream".to_owned()),
    })
}

fn status(shared: &Shared, plan: &Plan) -> StatusRow {
    let window_ms = u64::from(flowlog::base_window_s(&plan.loggers)) * 1000;
    let (connections, connections_max) = shared.switch.lock().connections();
    let (messages_lost, messages_cause) = crate::messages::lost();
    StatusRow {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        uptime_s: shared.clock.uptime().as_secs(),
        connections,
        connections_max,
        // Windows are aligned to the epoch.
        window_age_ms: shared.clock.now().wall_us / 1000 % window_ms.max(1),
        messages_lost,
        messages_cause,
    }
}

/// One live record.
pub(super) fn record(shared: &Shared, logger: &str, record: &flowlog::Record) -> LogRow {
    let mut row = LogRow::of(logger, record);
    let rule = record
        .flow
        .and_then(|flow| secgroup::RuleRef::new(flow.rule));
    let identity = rule.and_then(|rule| shared.rules.read().lookup(rule));
    let text =
        |id: Option<uuid::Uuid>| id.map_or(serde_json::Value::Null, |id| id.to_string().into());
    row.push("rule_id", text(identity.map(|identity| identity.rule)));
    row.push(
        "security_group_id",
        text(identity.map(|identity| identity.group)),
    );
    row
}

/// Where the loggers write. A relative path is relative to the directory that this process works in.
fn log_sources(shared: &Shared, plan: &Plan) -> LogSources {
    let loggers = plan.loggers.iter().map(|logger| LogSource {
        name: logger.name.clone(),
        id: logger.id,
        storage: logger.storage.to_string(),
        directory: logger
            .storage
            .directory()
            .and_then(|path| std::path::absolute(path).ok()),
    });
    let names = shared.names.read().clone();
    let present = plan.ports.iter().map(|port| port.id);
    let present: HashSet<uuid::Uuid> = present.collect();
    let here = names
        .values()
        .filter(|info| present.contains(&info.interface_id));
    let ports = here.map(|info| NamedPort {
        id: info.interface_id,
        name: info.name.clone(),
        instance: info.instance.clone(),
        vpc_id: info.vpc_id,
        addresses: info.addresses.clone(),
    });
    let groups = plan.groups.iter().map(|group| NamedGroup {
        id: group.id,
        name: group.name.clone(),
    });
    LogSources {
        loggers: loggers.collect(),
        ports: ports.collect(),
        groups: groups.collect(),
    }
}

fn check_port(plan: &Plan, select: &Select) -> Result<(), String> {
    let known = plan
        .ports
        .iter()
        .any(|port| select.takes_port(&port.name, port.id));
    match &select.port {
        Some(port) if !known => Err(format!(
            "there is no port `{port}`; `vswitch show ports` lists them"
        )),
        _ => Ok(()),
    }
}

/// What is read of a port under the lock.
struct PortView {
    number: PortId,
    id: uuid::Uuid,
    up: bool,
    connections: [u32; 2],
    counters: Box<PortCounters>,
}

/// All ports' counters, in slices.
fn port_views(shared: &Shared) -> Vec<PortView> {
    let numbers: Vec<PortId> = shared.switch.lock().ports().map(Port::number).collect();
    let mut views = Vec::with_capacity(numbers.len());
    for slice in numbers.chunks(PORTS) {
        let switch = shared.switch.lock();
        views.extend(
            slice
                .iter()
                .filter_map(|&number| switch.port(number))
                .map(|port| PortView {
                    number: port.number(),
                    id: port.config.id,
                    up: port.up,
                    connections: [port.connections, switch.connections_allowed(port)],
                    counters: Box::new(port.counters),
                }),
        );
    }
    views
}

fn ports(shared: &Shared, plan: &Plan, select: &Select) -> Listing<PortRow> {
    let views: HashMap<_, _> = port_views(shared)
        .into_iter()
        .map(|view| (view.id, view))
        .collect();
    let wanted = plan.ports.iter().filter(|port| {
        select.takes_port(&port.name, port.id)
            && select.takes_address(port.fixed_ips.iter().copied())
    });
    let rows = wanted.filter_map(|port| {
        let view = views.get(&port.id)?;
        let counters = &view.counters;
        let subnet = plan.subnets.get(port.subnet)?;
        let uplink = port.role == Role::Uplink;
        let receiver = shared.receivers.get(view.number);
        let group = |id: &uuid::Uuid| {
            plan.groups
                .iter()
                .find(|group| group.id == *id)
                .map(|group| group.name.clone())
        };
        Some(PortRow {
            name: port.name.clone(),
            id: port.id,
            instance: port.instance.clone(),
            subnet: subnet.name.clone(),
            uplink,
            mac: port.mac.to_string(),
            addresses: if uplink {
                subnet.gateway_ips.clone()
            } else {
                port.fixed_ips.clone()
            },
            security_groups: port.groups.iter().filter_map(group).collect(),
            up: view.up,
            rx: counters.rx,
            rx_bytes: counters.rx_bytes,
            tx: counters.delivered,
            tx_bytes: counters.tx_bytes,
            drops: counters.refused.iter().sum(),
            tx_lost: counters.tx_lost,
            tx_over_share: receiver.map_or(0, |receiver| receiver.over_share),
            write_ns: receiver.and_then(|receiver| receiver.write_ns()),
            threaded: port.tap.threaded == Threaded::On
                || receiver.is_some_and(|receiver| receiver.threaded),
            skipped: counters.skipped.0.iter().flatten().sum(),
            connections: view.connections[0],
            connections_max: view.connections[1],
            missing: missing(shared, port, view.up),
        })
    });
    Listing::limited(rows.take(select.limit() + 1).collect(), select.limit())
}

/// What of a port's interface is not as the configuration says. A TAP that waits in the daemon's namespace
/// for a bridge, or for a program that moves it, is down until then.
fn missing(shared: &Shared, port: &config::Port, up: bool) -> Vec<Lack> {
    let mut missing = shared
        .lacks
        .read()
        .get(&port.id)
        .cloned()
        .unwrap_or_default();
    let waits = up && port.tap.netns.is_none() && port.role == Role::Instance;
    let tap = &port.tap.name;
    let link = waits.then(|| tap::Links::open(None).and_then(|mut links| links.find(tap)));
    if let Some(Ok(Some(link))) = link
        && !link.up
    {
        missing.push(Lack {
            what: "guest".into(),
            why: format!(
                "its TAP waits in the daemon's namespace, down; put it into the guest's bridge \
                 (ip link set {tap} master BRIDGE up)"
            ),
        });
    }
    missing
}

fn fdb(shared: &Shared, plan: &Plan, select: &Select) -> Listing<FdbRow> {
    let names = Names::of(shared);
    let subnets = plan.subnets.iter();
    let subnets: HashMap<_, _> = subnets
        .map(|subnet| (subnet.id, subnet.name.as_str()))
        .collect();
    // A copy of plain entries: the ports' own MACs, and as many learned ones as ports may have.
    let (entries, now_ms) = {
        let switch = shared.switch.lock();
        (switch.fdb().collect::<Vec<_>>(), shared.clock.now().ms)
    };
    let mut rows: Vec<FdbRow> = entries
        .into_iter()
        .map(|(subnet, mac, place)| FdbRow {
            subnet: subnets
                .get(&subnet)
                .map_or_else(|| subnet.to_string(), |name| (*name).to_owned()),
            mac: mac.to_string(),
            port: names.get(place.port),
            heard_ms_ago: place.heard_ms.map(|heard| now_ms.wrapping_sub(heard)),
        })
        .collect();
    let wanted = |row: &FdbRow| {
        let port = plan.ports.iter().find(|port| port.name == row.port);
        port.is_none_or(|port| {
            select.takes_port(&port.name, port.id)
                && select.takes_address(port.fixed_ips.iter().copied())
        })
    };
    rows.retain(wanted);
    rows.sort_by(|a, b| (&a.subnet, &a.port, &a.mac).cmp(&(&b.subnet, &b.port, &b.mac)));
    Listing::limited(rows, select.limit())
}

fn groups(plan: &Plan, select: &Select) -> Listing<GroupRow> {
    let narrowed = select.port.is_some() || select.address.is_some();
    let rows = plan.groups.iter().filter_map(|group| {
        let members: Vec<_> = plan
            .ports
            .iter()
            .filter(|port| port.groups.contains(&group.id))
            .filter(|port| select.takes_port(&port.name, port.id))
            .filter(|port| select.takes_address(port.fixed_ips.iter().copied()))
            .map(|port| (port.name.clone(), port.fixed_ips.clone()))
            .collect();
        (!narrowed || !members.is_empty()).then(|| GroupRow {
            name: group.name.clone(),
            id: group.id,
            stateful: group.stateful,
            members,
            rules: group
                .rules
                .iter()
                .map(|rule| rule_words(plan, rule))
                .collect(),
        })
    });
    Listing::limited(rows.take(select.limit() + 1).collect(), select.limit())
}

fn flows(shared: &Shared, _plan: &Plan, select: &Select) -> Listing<FlowRow> {
    let names = Names::of(shared);
    let wanted = |view: &FlowView| {
        names.is(view.port, select)
            && select.takes_address([view.tuple.src, view.tuple.dst].into_iter())
    };
    let views = in_slices(select.limit(), wanted, |slots, out| {
        shared.slice(|switch| switch.flows_in(slots, out))
    });
    let rows = views.into_iter().map(|view| {
        let (source, destination) = ends(&view.tuple);
        FlowRow {
            port: names.get(view.port),
            direction: view.direction.to_string(),
            protocol: protocol_words(view.tuple.protocol),
            source,
            destination,
            tcp_flag: view.tally.flags_seed(),
            packets: view.tally.packets,
            bytes: view.tally.bytes,
            filter: view.verdict.as_str().to_owned(),
            reason: view.verdict.why().to_owned(),
        }
    });
    Listing::limited(rows.collect(), select.limit())
}

/// Reads a table slice by slice until its end, or until one row more than the limit is found.
pub(super) fn in_slices<T>(
    limit: usize,
    wanted: impl Fn(&T) -> bool,
    mut read: impl FnMut(std::ops::Range<u32>, &mut Vec<T>) -> Option<()>,
) -> Vec<T> {
    let mut found = Vec::new();
    let mut slice = Vec::new();
    for start in (0..u32::MAX).step_by(SLOTS as usize) {
        let more = read(start..start.saturating_add(SLOTS), &mut slice);
        found.extend(slice.drain(..).filter(&wanted));
        if more.is_none() || found.len() > limit {
            break;
        }
    }
    found
}

fn loggers(shared: &Shared) -> Listing<LoggerRow> {
    let mut loggers = shared.loggers.lock().clone();
    if let Some(silence) = shared.health.log_silence() {
        loggers
            .iter_mut()
            .for_each(|logger| silent(logger, silence));
    }
    let rows = loggers.into_iter().map(|logger| LoggerRow {
        name: logger.name.to_string(),
        id: logger.id,
        status: logger.state.as_str().to_owned(),
        cause: logger.cause,
        last_interval: logger.last_interval.map(|interval| interval.start_s),
        files: logger.files,
        rows: logger.rows,
        rows_lost: logger.rows_lost,
        files_lost: logger.lost.files,
        waiting_files: logger.backlog.files,
        waiting_bytes: logger.backlog.bytes,
        waiting_since: logger.backlog.oldest_s,
        store: logger.store.map(|cause| cause.as_str().to_owned()),
        skipped_packets: logger.skipped.packets,
        last_error: logger.last_error,
    });
    Listing::all(rows.collect())
}

/// What is known of a logger was true when the log thread was heard of last.
fn silent(logger: &mut LoggerStatus, silence: Duration) {
    if logger.state != State::Inactive {
        let seconds = silence.as_secs();
        logger.state = State::Error;
        logger.cause = Some(format!(
            "the log thread has not been heard of for {seconds} s: the disk of `state_dir` may hang, or \
             the host has no processor for it; what follows is of then"
        ));
    }
}

fn drops(shared: &Shared, plan: &Plan, select: &Select) -> Listing<DropRow> {
    let mut rows = Vec::new();
    let names = Names::of(shared);
    for view in port_views(shared) {
        let addresses = plan
            .ports
            .iter()
            .filter(|port| port.id == view.id)
            .flat_map(|port| port.fixed_ips.iter().copied());
        if !names.is(view.number, select) || !select.takes_address(addresses) {
            continue;
        }
        let mut row = |reason: &str, is_verdict, packets, meaning: &str| {
            if packets > 0 {
                let port = names.get(view.number);
                rows.push(DropRow {
                    port,
                    reason: reason.to_owned(),
                    is_verdict,
                    packets,
                    meaning: meaning.to_owned(),
                });
            }
        };
        let counters = &view.counters;
        for (&reason, &packets) in Reason::ALL.iter().zip(&counters.refused) {
            row(
                reason.as_str(),
                true,
                packets,
                trace::meaning(reason).meaning,
            );
        }
        row(
            "tx_lost",
            false,
            counters.tx_lost,
            "accepted, but the guest's queue was full, its port down, or its network stack slow beyond its share",
        );
        row(
            "no_port",
            false,
            counters.no_port,
            "accepted at the sender, but no port has the destination",
        );
    }
    Listing::limited(rows, select.limit())
}

/// What would happen to a packet in the running switch.
///
/// # Errors
/// [`TraceError`].
pub fn trace(shared: &Shared, port: &str, packet: &str) -> Result<Trace, TraceError> {
    let plan = Arc::clone(&*shared.plan.read());
    let question = Question::new(&plan, port, packet)?;
    let now = shared.clock.now();
    let answer = question.ask(&plan, &shared.switch.lock(), now)?;
    let book = RuleBook::of(&plan, &shared.rules.read(), answer.rules());
    Ok(answer.told(&question, &plan, &book))
}

/// Ports by number.
pub(super) struct Names(HashMap<u16, Arc<flowlog::PortInfo>>);

impl Names {
    pub(super) fn of(shared: &Shared) -> Self {
        Self(shared.names.read().clone())
    }

    pub(super) fn get(&self, port: PortId) -> String {
        self.0
            .get(&port.0)
            .map_or_else(|| port.to_string(), |info| info.name.clone())
    }

    /// The ports that are so.
    pub(super) fn ports(&self, is_so: impl Fn(&flowlog::PortInfo) -> bool) -> HashSet<PortId> {
        let ports = self.0.iter().filter(|(_, info)| is_so(info));
        ports.map(|(&number, _)| PortId(number)).collect()
    }

    fn is(&self, port: PortId, select: &Select) -> bool {
        match self.0.get(&port.0) {
            Some(info) => select.takes_port(&info.name, info.interface_id),
            None => select.port.is_none(),
        }
    }
}

pub(super) fn ends(tuple: &FiveTuple) -> (End, End) {
    let end = |address, port| End::of(tuple.protocol, address, port);
    (
        end(tuple.src, tuple.src_port),
        end(tuple.dst, tuple.dst_port),
    )
}

pub(super) fn protocol_words(protocol: u8) -> String {
    protocol_name(protocol).map_or_else(|| protocol.to_string(), str::to_owned)
}
