//! Loggers: what is collected, how it is written, where to.

use super::network::Network;
use super::output::{self, Output};
use super::storage;
use super::values::{one_of, ranged, worded};
use crate::config::file::{self, File};
use crate::config::ids::Kind;
use crate::config::limits::MAX_FLOWS;
use crate::config::mistake::{Findings, quoted};
use crate::config::names::Names;
use crate::config::places::Place;
use crate::config::plan::{ObjectStorage, Port};
use crate::config::units::Seconds;
use flowlog::{
    EmptyIntervals, Filter, INTERVAL_S_MAX, INTERVAL_S_MIN, LoggerSpec, Resource, Scope, Storage,
    Zone, base_window_s,
};
use std::fmt::Display;
use uuid::Uuid;

/// Aggregation interval where nothing is said, seconds.
const DEFAULT_INTERVAL_S: u32 = 60;

/// What loggers refer to.
pub(super) struct Context<'a> {
    pub(super) network: &'a Network,
    pub(super) port_names: &'a Names,
    pub(super) ports: &'a [Port],
    pub(super) zone: &'a Zone,
    pub(super) region: &'a str,
    pub(super) object_storage: Option<&'a ObjectStorage>,
}

pub(super) fn resolve(
    file: &File,
    context: &Context<'_>,
    findings: &mut Findings,
) -> Vec<LoggerSpec> {
    let at = Place::root().key("flowlog_loggers");
    let mut names = Names::new(Kind::Logger);
    let loggers = file.flowlog_loggers.iter().enumerate().map(|(i, logger)| {
        let at = at.item(i);
        let id = names.enter(&logger.name, logger.id.as_deref(), &at, findings);
        resolve_logger(file, logger, id, context, &at, findings)
    });
    let loggers: Vec<LoggerSpec> = loggers.collect();
    let shortest_s = loggers.iter().map(|logger| logger.interval_s).min();
    let window_s = base_window_s(&loggers);
    if shortest_s.is_some_and(|shortest_s| window_s < shortest_s) {
        let text = format!(
            "the intervals have {window_s} s in common, and counts move so often; multiples of each other cost less"
        );
        findings.notice(&at, text);
    }
    loggers
}

fn resolve_logger(
    file: &File,
    typed: &file::FlowlogLogger,
    id: Uuid,
    context: &Context<'_>,
    at: &Place,
    findings: &mut Findings,
) -> LoggerSpec {
    let storage = storage::resolve(typed, file, context.object_storage, at, findings);
    let Output {
        fields,
        no_data_rows,
        layout,
        format,
    } = match storage {
        // What shapes files is a mistake beside it, whatever it says.
        Storage::Ipfix(_) => output::resolve(typed, context, at, &mut Findings::default()),
        _ => output::resolve(typed, context, at, findings),
    };
    LoggerSpec {
        id,
        name: typed.name.clone(),
        resource: resource(typed, context, at, findings),
        filter: filter(typed, at, findings),
        connection_setup_only: typed.connection_setup_only.unwrap_or(false),
        interval_s: interval_s(typed, &at.key("aggregation_interval"), findings),
        scope: scope(typed, at, findings),
        flow_limit: flow_limit(typed, at, findings),
        fields,
        no_data_rows,
        layout,
        format,
        empty_intervals: empty_intervals(typed, at, findings),
        storage,
        admin_state_up: typed.admin_state_up.unwrap_or(true),
    }
}

fn resource(
    typed: &file::FlowlogLogger,
    context: &Context<'_>,
    at: &Place,
    findings: &mut Findings,
) -> Resource {
    let network = context.network;
    let kinds = [
        ("VPC", Kind::Vpc),
        ("SUBNET", Kind::Subnet),
        ("PORT", Kind::Port),
    ];
    let text = typed.resource_type.as_deref().unwrap_or("VPC");
    let kind = one_of(text, &kinds, &at.key("resource_type"), findings);
    let mut number =
        |names: &Names| names.resolve_or_only(typed.resource.as_deref(), at, "resource", findings);
    let found = match kind {
        Some(Kind::Vpc) => number(&network.vpc_names).map(|n| Resource::Vpc(network.vpcs[n].id)),
        Some(Kind::Subnet) => {
            number(&network.subnet_names).map(|n| Resource::Subnet(network.subnets[n].id))
        }
        Some(_) => number(context.port_names).map(|n| Resource::Port(context.ports[n].id)),
        None => None,
    };
    found.unwrap_or(Resource::Vpc(Uuid::nil()))
}

fn filter(typed: &file::FlowlogLogger, at: &Place, findings: &mut Findings) -> Filter {
    let known = [
        ("ALL", Filter::All),
        ("ACCEPT", Filter::Accept),
        ("DROP", Filter::Drop),
    ];
    let text = typed.filter.as_deref().unwrap_or("ALL");
    one_of(text, &known, &at.key("filter"), findings).unwrap_or(Filter::All)
}

fn scope(typed: &file::FlowlogLogger, at: &Place, findings: &mut Findings) -> Scope {
    let known = [("seed", Scope::Seed), ("all", Scope::All)];
    let text = typed.scope.as_deref().unwrap_or("seed");
    one_of(text, &known, &at.key("scope"), findings).unwrap_or_default()
}

fn flow_limit(typed: &file::FlowlogLogger, at: &Place, findings: &mut Findings) -> Option<u32> {
    let at = at.key("flow_limit");
    let limit = typed.flow_limit?;
    Some(ranged(limit, 1..=MAX_FLOWS, " records", &at, findings))
}

fn interval_s(typed: &file::FlowlogLogger, at: &Place, findings: &mut Findings) -> u32 {
    let Some(text) = &typed.aggregation_interval else {
        return DEFAULT_INTERVAL_S;
    };
    let wrong = match text.parse() {
        Ok(Seconds(seconds)) if (INTERVAL_S_MIN..=INTERVAL_S_MAX).contains(&seconds) => {
            return seconds;
        }
        Ok(_) => "is out of range",
        Err(_) => "is not an interval",
    };
    let remedy = format!(
        "write {INTERVAL_S_MIN}s to {}m: whole seconds or minutes with their unit, as 60s or 5m",
        INTERVAL_S_MAX / 60
    );
    findings.mistake(at, format!("{} {wrong}", quoted(text)), remedy);
    DEFAULT_INTERVAL_S
}

fn empty_intervals(
    typed: &file::FlowlogLogger,
    at: &Place,
    findings: &mut Findings,
) -> EmptyIntervals {
    let known = [
        ("write", EmptyIntervals::Write),
        ("skip", EmptyIntervals::Skip),
    ];
    let text = typed.empty_intervals.as_deref().unwrap_or("write");
    one_of(text, &known, &at.key("empty_intervals"), findings).unwrap_or(EmptyIntervals::Write)
}

/// The value, or a mistake in the words of the error.
pub(super) fn accept<T, E: Display>(
    result: Result<T, E>,
    at: &Place,
    findings: &mut Findings,
) -> Option<T> {
    result.inspect_err(|error| worded(error, at, findings)).ok()
}
