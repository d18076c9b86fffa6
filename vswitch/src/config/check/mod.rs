//! From what was typed to what it means, collecting every mistake on the way.
//!
//! ```text
//!   File ─▶ network (VPCs, subnets) ─▶ security (groups, rules) ─▶ ports ─▶ loggers ─▶ Plan
//!                    └───────────────── Findings: mistakes, notices ─────────┘
//! ```
//!
//! A value that is wrong is noted and replaced by a stand-in, so that the checks go on and indexes stay
//! right; a plan with a stand-in never leaves this module.

mod addresses;
mod host;
mod loggers;
mod network;
mod output;
mod paths;
mod policies;
mod ports;
mod security;
mod storage;
mod values;

use super::file::File;
use super::limits::{MAX_LOGGERS, MAX_PORTS, MAX_SUBNETS, MAX_VPCS};
use super::mistake::Findings;
use super::places::Place;
use super::plan::Plan;

pub(super) use policies::check as check_policies;

/// What the file means; a mistake among the findings makes the plan void.
pub(super) fn resolve(file: &File, findings: &mut Findings) -> Option<Plan> {
    count_all(file, findings);
    if findings.count() > 0 {
        // Numbers of ports and VPCs would not fit their types.
        return None;
    }
    let root = Place::root();
    values::check_word(&file.region, "the region", &root.key("region"), findings);
    let network = network::resolve(file, findings);
    let security = security::resolve(file, &network, findings);
    let (port_names, ports) = ports::resolve(file, &network, &security, findings);
    let object_storage = host::object_storage(file, findings);
    let (time_zone, zone) = host::time_zone(file, findings);
    let context = loggers::Context {
        network: &network,
        port_names: &port_names,
        ports: &ports,
        zone: &zone,
        region: &file.region,
        object_storage: object_storage.as_ref(),
    };
    let loggers = loggers::resolve(file, &context, findings);
    let conntrack = host::conntrack(file, findings);
    let (control_socket, state_dir) = paths::resolve(file, &loggers, findings);
    let plan = Plan {
        region: file.region.clone(),
        vpcs: network.vpcs,
        subnets: network.subnets,
        groups: security.groups,
        address_groups: security.address_groups,
        ports,
        loggers,
        conntrack,
        control_socket,
        state_dir,
        access: host::access(
            file.readers_group.as_deref(),
            &root.key("readers_group"),
            findings,
        ),
        workers: host::workers(file.workers.as_deref(), &root.key("workers"), findings),
        io: host::io(file.io.as_deref(), &root.key("io"), findings),
        time_zone,
        spool_max_bytes: host::spool_max_bytes(file, findings),
        object_storage,
    };
    security::check_model(&plan, &security.rule_places, findings);
    host::check_files(&plan, findings);
    (findings.count() == 0).then_some(plan)
}

/// Counts against the limits; beyond them nothing is read one by one.
fn count_all(file: &File, findings: &mut Findings) {
    let root = Place::root();
    let mut count =
        |key: &str, len: usize, max: usize| values::check_count(len, max, &root.key(key), findings);
    count("vpcs", file.vpcs.len(), MAX_VPCS);
    count("subnets", file.subnets.len(), MAX_SUBNETS);
    count("ports", file.ports.len(), MAX_PORTS);
    count("flowlog_loggers", file.flowlog_loggers.len(), MAX_LOGGERS);
}
