//! A plan for the eye: what `vswitch check` prints.

use super::plan::{Plan, Port, Role, Workers};
use super::units::ByteSize;
use flowlog::{Compression, LoggerSpec, Resource, Storage};
use secgroup::{Group, Remote, Rule};
use std::fmt;
use uuid::Uuid;

/// Tables of subnets, ports, groups with their rules, and loggers.
impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "region {}", self.region)?;
        self.subnets_table().write(f, "subnets")?;
        self.ports_table().write(f, "ports")?;
        writeln!(f, "\nsecurity groups")?;
        self.groups
            .iter()
            .filter(|group| self.is_used(group))
            .try_for_each(|group| self.write_group(f, group))?;
        self.loggers_table().write(f, "loggers")?;
        writeln!(f, "\nhost")?;
        let workers = match self.workers {
            Workers::Auto => "auto".to_owned(),
            Workers::Fixed(number) => number.to_string(),
        };
        let readers = self.access.readers();
        let readers =
            readers.map_or_else(String::new, |group| format!(", readers in group {group}"));
        writeln!(
            f,
            "  workers {workers}, io {}, at most {} connections, spool of {}",
            self.io.name(),
            self.conntrack.limit,
            ByteSize(self.spool_max_bytes)
        )?;
        writeln!(
            f,
            "  control socket {}, state in {}{}",
            self.control_socket.display(),
            self.state_dir.display(),
            readers
        )
    }
}

impl Plan {
    fn subnets_table(&self) -> Table {
        let mut table = Table::new(&["name", "vpc", "cidr", "gateway", "mtu"]);
        for subnet in &self.subnets {
            let cidrs = subnet
                .cidr
                .iter()
                .map(ToString::to_string)
                .chain(subnet.cidr6.iter().map(ToString::to_string));
            table.row([
                subnet.name.clone(),
                self.vpcs[subnet.vpc].name.clone(),
                joined(cidrs),
                joined(&subnet.gateway_ips),
                subnet.mtu.to_string(),
            ]);
        }
        table
    }

    fn ports_table(&self) -> Table {
        let mut table = Table::new(&[
            "name",
            "instance",
            "subnet",
            "mac",
            "addresses",
            "groups",
            "tap",
        ]);
        for port in &self.ports {
            let tap = match &port.tap.netns {
                Some(netns) => format!("{} in {netns}", port.tap.name),
                None => port.tap.name.clone(),
            };
            let addresses = match port.role {
                Role::Instance => joined(&port.fixed_ips),
                Role::Uplink => joined(&self.subnets[port.subnet].gateway_ips),
            };
            let subnet = self.subnets[port.subnet].name.clone();
            table.row([
                port.name.clone(),
                port.instance.clone(),
                subnet,
                port.mac.to_string(),
                addresses,
                self.groups_of(port),
                tap,
            ]);
        }
        table
    }

    fn groups_of(&self, port: &Port) -> String {
        match (port.role, port.port_security) {
            (Role::Uplink, _) => "(uplink: trusted)".to_owned(),
            (Role::Instance, false) => "(no port security)".to_owned(),
            (Role::Instance, true) if port.groups.is_empty() => "(none: all refused)".to_owned(),
            (Role::Instance, true) => joined(port.groups.iter().map(|id| self.group_name(*id))),
        }
    }

    /// A built-in group that nobody uses is no news.
    fn is_used(&self, group: &Group) -> bool {
        group.name != Group::DEFAULT_NAME
            || self
                .ports
                .iter()
                .any(|port| port.groups.contains(&group.id))
    }

    fn write_group(&self, f: &mut fmt::Formatter<'_>, group: &Group) -> fmt::Result {
        let members = self
            .ports
            .iter()
            .filter(|port| port.groups.contains(&group.id))
            .count();
        let kind = if group.stateful { "" } else { ", stateless" };
        writeln!(
            f,
            "  {} ({members} port{}{kind})",
            self.group_name(group.id),
            if members == 1 { "" } else { "s" }
        )?;
        if group.rules.is_empty() {
            writeln!(f, "    no rule: nothing passes")?;
        }
        group
            .rules
            .iter()
            .try_for_each(|rule| writeln!(f, "    {}", self.rule_text(rule)))
    }

    /// The rule's text form with names where it has ids.
    fn rule_text(&self, rule: &Rule) -> String {
        let text = rule.to_string();
        match rule.remote {
            Remote::Group(id) => text.replace(&id.to_string(), &self.group_name(id)),
            Remote::AddressGroup(id) => {
                let list = self.address_groups.iter().find(|list| list.id == id);
                list.map_or_else(
                    || text.clone(),
                    |list| text.replace(&id.to_string(), &list.name),
                )
            }
            Remote::Any | Remote::Prefix(_) => text,
        }
    }

    /// The group's name; `default` with its VPC where there are several.
    fn group_name(&self, id: Uuid) -> String {
        let vpc = self
            .vpcs
            .iter()
            .find(|vpc| vpc.default_group == id)
            .filter(|_| self.vpcs.len() > 1);
        let group = self.groups.iter().find(|group| group.id == id);
        match (group, vpc) {
            (Some(group), Some(vpc)) => format!("{} of {}", group.name, vpc.name),
            (Some(group), None) => group.name.clone(),
            (None, _) => id.to_string(),
        }
    }

    fn loggers_table(&self) -> Table {
        let mut table = Table::new(&[
            "name",
            "resource",
            "filter",
            "scope",
            "every",
            "columns",
            "format",
            "partition",
            "rows",
            "to",
            "state",
        ]);
        for logger in &self.loggers {
            let filter = match logger.filter {
                flowlog::Filter::All => "ALL",
                flowlog::Filter::Accept => "ACCEPT",
                flowlog::Filter::Drop => "DROP",
            };
            let setup = if logger.connection_setup_only {
                ", setup only"
            } else {
                ""
            };
            let [columns, format, partition, rows] = files(logger);
            table.row([
                logger.name.clone(),
                self.resource_text(logger),
                format!("{filter}{setup}"),
                logger.scope.as_str().to_owned(),
                format!("{}s", logger.interval_s),
                columns,
                format,
                partition,
                rows,
                logger.storage.to_string(),
                if logger.admin_state_up { "up" } else { "down" }.to_owned(),
            ]);
        }
        table
    }

    fn resource_text(&self, logger: &LoggerSpec) -> String {
        let (kind, name) = match logger.resource {
            Resource::Vpc(id) => (
                "VPC",
                self.vpcs
                    .iter()
                    .find(|vpc| vpc.id == id)
                    .map(|vpc| &vpc.name),
            ),
            Resource::Subnet(id) => (
                "SUBNET",
                self.subnets
                    .iter()
                    .find(|subnet| subnet.id == id)
                    .map(|subnet| &subnet.name),
            ),
            Resource::Port(id) => (
                "PORT",
                self.ports
                    .iter()
                    .find(|port| port.id == id)
                    .map(|port| &port.name),
            ),
        };
        format!("{kind} {}", name.map_or("?", String::as_str))
    }
}

/// Of a logger's files: columns, format, folders, rows at most. An exporter has none.
fn files(logger: &LoggerSpec) -> [String; 4] {
    if matches!(logger.storage, Storage::Ipfix(_)) {
        return Default::default();
    }
    let format = match (logger.format.as_str(), logger.format.compression()) {
        (format, Compression::Raw) => format.to_owned(),
        (format, compression) => format!("{format}+{}", compression.as_str()),
    };
    [
        logger.format.columns(&logger.fields).to_string(),
        format,
        logger.layout.folders().to_owned(),
        logger.layout.rows_per_file.to_string(),
    ]
}

/// Columns as wide as their widest cell.
struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    fn new(header: &[&str]) -> Self {
        Self {
            rows: vec![header.iter().map(|name| (*name).to_owned()).collect()],
        }
    }

    fn row<const N: usize>(&mut self, cells: [String; N]) {
        // A dash shows that a cell is empty, and keeps columns countable for awk.
        self.rows.push(
            cells
                .map(|cell| {
                    if cell.is_empty() {
                        "-".to_owned()
                    } else {
                        cell
                    }
                })
                .to_vec(),
        );
    }

    fn write(&self, f: &mut fmt::Formatter<'_>, title: &str) -> fmt::Result {
        writeln!(f, "\n{title}")?;
        if self.rows.len() == 1 {
            return writeln!(f, "  none");
        }
        let width = |column: usize| {
            self.rows
                .iter()
                .map(|row| row[column].chars().count())
                .max()
                .unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.rows[0].len()).map(width).collect();
        for row in &self.rows {
            let cells = row
                .iter()
                .zip(&widths)
                .map(|(cell, width)| format!("{cell:<width$}"));
            writeln!(f, "  {}", cells.collect::<Vec<_>>().join("  ").trim_end())?;
        }
        Ok(())
    }
}

/// Values with commas between.
fn joined<T: fmt::Display>(values: impl IntoIterator<Item = T>) -> String {
    values
        .into_iter()
        .map(|value| value.to_string())
        .collect::<Vec<_>>()
        .join(",")
}
