//! Loggers: what is collected, how it is written, where to.

use super::network::Network;
use super::storage;
use super::values::{one_of, ranged, worded};
use crate::config::file::{self, File, OneOrMany};
use crate::config::ids::Kind;
use crate::config::limits::MAX_FLOWS;
use crate::config::mistake::{Findings, quoted};
use crate::config::names::Names;
use crate::config::places::Place;
use crate::config::plan::{ObjectStorage, Port};
use crate::config::units::Seconds;
use flowlog::{
    EmptyIntervals, Field, FileName, Filter, Format, INTERVAL_S_MAX, INTERVAL_S_MIN, Layout,
    LoggerSpec, Partition, Pending, Resource, Zone, base_window_s, pending,
};
use std::fmt::Display;
use std::num::NonZeroU32;
use uuid::Uuid;

/// Aggregation interval where nothing is said, seconds.
const DEFAULT_INTERVAL_S: u32 = 60;
/// Rows of a file at most; a file is sent whole, so that its size is bounded too.
const MAX_ROWS_PER_FILE: u32 = 1_000_000;

/// What loggers refer to.
pub(super) struct Context<'a> {
    pub(super) network: &'a Network,
    pub(super) port_names: &'a Names,
    pub(super) ports: &'a [Port],
    pub(super) zone: &'a Zone,
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
    check_unserved(typed, at, findings);
    let storage = storage::resolve(typed, file, context.object_storage, at, findings);
    LoggerSpec {
        id,
        name: typed.name.clone(),
        resource: resource(typed, context, at, findings),
        filter: filter(typed, at, findings),
        connection_setup_only: typed.connection_setup_only.unwrap_or(false),
        interval_s: interval_s(typed, &at.key("aggregation_interval"), findings),
        fields: fields(typed, &at.key("fields"), findings),
        layout: layout(typed, context, at, findings),
        format: format(typed, at, findings),
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
    let kind = one_of(
        &typed.resource_type,
        &kinds,
        &at.key("resource_type"),
        findings,
    );
    let at = at.key("resource");
    let found = match kind {
        Some(Kind::Vpc) => network
            .vpc_names
            .resolve(&typed.resource, &at, findings)
            .map(|n| Resource::Vpc(network.vpcs[n].id)),
        Some(Kind::Subnet) => network
            .subnet_names
            .resolve(&typed.resource, &at, findings)
            .map(|n| Resource::Subnet(network.subnets[n].id)),
        Some(_) => context
            .port_names
            .resolve(&typed.resource, &at, findings)
            .map(|n| Resource::Port(context.ports[n].id)),
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

fn interval_s(typed: &file::FlowlogLogger, at: &Place, findings: &mut Findings) -> u32 {
    let Some(text) = &typed.aggregation_interval else {
        return DEFAULT_INTERVAL_S;
    };
    match text.parse() {
        Ok(Seconds(seconds)) if (INTERVAL_S_MIN..=INTERVAL_S_MAX).contains(&seconds) => seconds,
        Ok(_) => {
            let remedy = format!("write {INTERVAL_S_MIN}s to {}m", INTERVAL_S_MAX / 60);
            findings.mistake(at, format!("{} is out of range", quoted(text)), remedy);
            DEFAULT_INTERVAL_S
        }
        Err(error) => {
            worded(&error, at, findings);
            DEFAULT_INTERVAL_S
        }
    }
}

/// A profile, or a list in which every wrong name is a mistake of its own.
fn fields(typed: &file::FlowlogLogger, at: &Place, findings: &mut Findings) -> Vec<Field> {
    match &typed.fields {
        None => Field::NHN_18.to_vec(),
        Some(OneOrMany::One(text)) => accept(
            pending(text)
                .map_err(Into::into)
                .and_then(|()| Field::parse_list(text)),
            at,
            findings,
        )
        .unwrap_or_default(),
        Some(OneOrMany::Many(names)) => {
            let before = findings.count();
            for (i, name) in names.iter().enumerate() {
                accept(name.parse::<Field>(), &at.item(i), findings);
            }
            if findings.count() > before {
                return Vec::new();
            }
            accept(
                Field::from_names(names.iter().map(String::as_str)),
                at,
                findings,
            )
            .unwrap_or_default()
        }
    }
}

fn layout(
    typed: &file::FlowlogLogger,
    context: &Context<'_>,
    at: &Place,
    findings: &mut Findings,
) -> Layout {
    let mut layout = Layout {
        zone: context.zone.clone(),
        ..Layout::default()
    };
    if let Some(text) = &typed.partition_period
        && let Some(partition) = accept(
            Partition::parse(text),
            &at.key("partition_period"),
            findings,
        )
    {
        layout.partition = partition;
    }
    if let Some(text) = &typed.customized_file_name
        && let Some(name) = accept(
            FileName::parse(text),
            &at.key("customized_file_name"),
            findings,
        )
    {
        layout.file_name = name;
    }
    if let Some(text) = &typed.time_zone
        && let Some(zone) = accept(Zone::parse(text), &at.key("time_zone"), findings)
    {
        layout.zone = zone;
    }
    if let Some(rows) = typed.rows_per_file {
        let rows = ranged(
            rows,
            1..=MAX_ROWS_PER_FILE,
            " rows",
            &at.key("rows_per_file"),
            findings,
        );
        layout.rows_per_file = NonZeroU32::new(rows).expect("the range begins at 1");
    }
    layout
}

/// Format and compression, each with a mistake of its own.
fn format(typed: &file::FlowlogLogger, at: &Place, findings: &mut Findings) -> Format {
    let log_format = typed.log_format.as_deref().unwrap_or("CSV");
    let compression = typed.compression_type.as_deref().unwrap_or("RAW");
    accept(
        Format::parse(log_format, "RAW"),
        &at.key("log_format"),
        findings,
    );
    accept(
        Format::parse("CSV", compression),
        &at.key("compression_type"),
        findings,
    )
    .unwrap_or(Format::Csv)
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

/// Settings that the format knows and nothing serves yet; none is taken without effect.
fn check_unserved(typed: &file::FlowlogLogger, at: &Place, findings: &mut Findings) {
    if let Some(scope) = &typed.scope
        && one_of(
            scope,
            &[("seed", false), ("all", true)],
            &at.key("scope"),
            findings,
        ) == Some(true)
    {
        worded(
            &Pending {
                word: scope.clone(),
                instead: "scope: seed",
            },
            &at.key("scope"),
            findings,
        );
    }
    if let Some(limit) = typed.flow_limit {
        ranged(
            limit,
            1..=MAX_FLOWS,
            " records",
            &at.key("flow_limit"),
            findings,
        );
        let pending = Pending {
            word: "flow_limit".to_owned(),
            instead: "flow_limit at the ports",
        };
        worded(&pending, &at.key("flow_limit"), findings);
    }
    if typed.account_id.is_some() {
        let remedy = "leave it out: it belongs to the AWS profiles";
        findings.mistake(
            &at.key("account_id"),
            "`account_id` is not available yet",
            remedy,
        );
    }
}

/// The value, or a mistake in the words of the error.
fn accept<T, E: Display>(result: Result<T, E>, at: &Place, findings: &mut Findings) -> Option<T> {
    result.inspect_err(|error| worded(error, at, findings)).ok()
}
