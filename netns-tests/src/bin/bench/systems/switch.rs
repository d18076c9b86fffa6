//! The switch, with Security Groups on every port and, unless said otherwise, the flow log on.

use super::{Between, System, setup::Guests};
use crate::wire::{Flows, establish};
use anyhow::{Context, Result, ensure};
use netns_tests::{Lab, Plan, rules::from_prefix, rules::tcp_in};

/// The logger of everything. Its interval lies within a run of some seconds now and then, as it does
/// for users.
const LOGGER: &str = "name: all, resource_type: VPC, resource: lab, aggregation_interval: 10s";
/// Interval of the logger whose boundary is crossed, seconds.
pub(crate) const CROSSED_INTERVAL: u64 = 30;
/// Interval where a boundary with many flows is not to fall into a turn: the longest there is.
pub(crate) const LONG_INTERVAL: u64 = 900;
/// Room for connections, and records of one port, in the switch that holds many.
const ROOM: u32 = 1 << 21;
/// Rules of the group that is reloaded.
const RULES: u16 = 10_000;

/// `guests` in a group that lets everything in and out; `top` is a line of the configuration.
pub(super) fn start(name: &str, guests: Guests, top: &str, log: bool) -> Result<System> {
    let plan = guests.plan(&["open"], "").top(top);
    let plan = if log { plan.logger(LOGGER) } else { plan };
    run(name, guests, plan)
}

/// Two guests with `flows` established connections. The files are those one would choose for as many
/// records. The idle timeouts are the longest that the configuration takes; a measure touches every
/// flow before it begins. `interval_s` is the log's.
pub(super) fn with_flows(name: &str, flows: u32, interval_s: u64) -> Result<System> {
    let guests = Guests::Two;
    let keys = format!("conntrack_limit: {ROOM}, flow_limit: {ROOM}");
    let plan = guests
        .plan(&["open"], &keys)
        .top(&format!(
            "conntrack: {{ limit: {ROOM}, timeouts: {{ udp: 60, udp_stream: 180 }} }}"
        ))
        .logger(&format!(
            "name: all, resource_type: VPC, resource: lab, aggregation_interval: {interval_s}s, \
             log_format: PARQUET, compression_type: ZSTD, flow_limit: {ROOM}"
        ));
    let mut system = run(name, guests, plan)?;
    system.flows = flows;
    establish(system.pair(), Flows::new(flows))?;
    Ok(system)
}

/// Two guests that are also in a group of [`RULES`] rules.
pub(super) fn with_rules(name: &str) -> Result<System> {
    let guests = Guests::Two;
    let plan = guests
        .plan(&["open", "many"], "")
        .group("many", &many_rules(0))
        .logger(LOGGER);
    run(name, guests, plan)
}

/// Rules that differ from those of another `edition`.
pub(crate) fn many_rules(edition: u32) -> Vec<String> {
    let net = edition % 200;
    let rule = |n: u16| {
        let [high, low] = n.to_be_bytes();
        from_prefix(tcp_in(n), format!("10.{net}.{high}.{low}/32"))
    };
    (1..=RULES).map(rule).collect()
}

fn run(name: &str, guests: Guests, plan: Plan) -> Result<System> {
    let mut lab = plan.start();
    let pid = lab.daemon().pid();
    System::new(name, lab, guests, Between::Switch(pid))
}

/// Sees to it that the switch of `lab` holds `flows` connections.
pub(super) fn holds(lab: &Lab, flows: u32) -> Result<()> {
    let ports = lab.show("ports");
    let rows = ports.as_array().context("a list of ports")?;
    let held: u64 = rows
        .iter()
        .filter_map(|row| row["connections"].as_u64())
        .sum();
    ensure!(
        held >= flows.into(),
        "the table holds {held} of {flows} connections"
    );
    Ok(())
}
