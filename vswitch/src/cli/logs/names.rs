//! What the ids in files are called: by a configuration, or by the daemon that runs.

use crate::config::{Plan, Role};
use crate::control::{LogRow, LogSources, NamedGroup, NamedPort};
use std::collections::HashMap;
use std::net::IpAddr;

/// Names of ports, loggers and security groups, and who has which address.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// Names of ports, loggers and groups by id.
    by_id: HashMap<String, String>,
    /// Names of the ports' instances by the port's id.
    instances: HashMap<String, String>,
    /// The port that has an address, by the VPC's id.
    holders: HashMap<(String, IpAddr), String>,
    /// Ids of ports by name, in the order in which they are configured.
    ports: Vec<(String, String)>,
}

impl Names {
    /// Those of a configuration.
    pub(super) fn of_plan(plan: &Plan) -> Self {
        let vpc = |port: &crate::config::Port| {
            let subnet = plan.subnets.get(port.subnet)?;
            Some((plan.vpcs.get(subnet.vpc)?.id, &subnet.gateway_ips))
        };
        let ports = plan.ports.iter().filter_map(|port| {
            let (vpc_id, gateways) = vpc(port)?;
            let is_uplink = port.role == Role::Uplink;
            Some(NamedPort {
                id: port.id,
                name: port.name.clone(),
                instance: port.instance.clone(),
                vpc_id,
                addresses: if is_uplink { gateways } else { &port.fixed_ips }.clone(),
            })
        });
        let groups = plan.groups.iter().map(|group| NamedGroup {
            id: group.id,
            name: group.name.clone(),
        });
        let mut names = Self::default();
        ports.for_each(|port| names.add_port(port));
        groups.for_each(|group| names.add_group(group));
        for logger in &plan.loggers {
            names
                .by_id
                .insert(logger.id.to_string(), logger.name.clone());
        }
        names
    }

    /// Those that the daemon knows.
    pub(super) fn of_daemon(sources: LogSources) -> Self {
        let mut names = Self::default();
        sources
            .ports
            .into_iter()
            .for_each(|port| names.add_port(port));
        sources
            .groups
            .into_iter()
            .for_each(|group| names.add_group(group));
        for logger in sources.loggers {
            names.by_id.insert(logger.id.to_string(), logger.name);
        }
        names
    }

    /// The name of a port, logger or security group, where it is known.
    pub(super) fn name(&self, id: &str) -> Option<&str> {
        self.by_id.get(id).map(String::as_str)
    }

    /// Names of the ports, in the order in which they are configured.
    pub(super) fn ports(&self) -> impl ExactSizeIterator<Item = &str> {
        self.ports.iter().map(|(name, _)| name.as_str())
    }

    /// Ids of the ports of a name.
    pub(super) fn port_ids(&self, name: &str) -> impl Iterator<Item = &str> {
        let ports = self.ports.iter();
        ports
            .filter(move |(known, _)| known == name)
            .map(|(_, id)| id.as_str())
    }

    /// Adds the names to a record that has ids alone. Nothing where no names are known.
    pub(super) fn add_to(&self, row: &mut LogRow) {
        if self.by_id.is_empty() {
            return;
        }
        // By what the file has and not by what a record has: all its records get the same fields.
        let from = [
            ("interface_name", "interface_id", &self.by_id),
            ("instance_name", "interface_id", &self.instances),
            ("security_group_name", "security_group_id", &self.by_id),
        ];
        for (field, id, names) in from {
            if row.has(id) && !row.has(field) {
                let name = row.text(id).and_then(|id| names.get(id)).cloned();
                row.push(field, name.into());
            }
        }
        if row.has("vpc_id") && row.has("direction") && !row.has("peer_name") {
            row.push("peer_name", self.peer(row).into());
        }
    }

    /// The port that has the remote address.
    fn peer(&self, row: &LogRow) -> Option<String> {
        let remote = match row.text("direction")? {
            "egress" => row.address("dst_addr"),
            "ingress" => row.address("src_addr"),
            _ => None,
        }?;
        let vpc = row.text("vpc_id")?.to_owned();
        self.holders.get(&(vpc, remote)).cloned()
    }

    fn add_port(&mut self, port: NamedPort) {
        let (id, vpc) = (port.id.to_string(), port.vpc_id.to_string());
        for address in port.addresses {
            self.holders
                .insert((vpc.clone(), address), port.name.clone());
        }
        self.instances.insert(id.clone(), port.instance);
        self.ports.push((port.name.clone(), id.clone()));
        self.by_id.insert(id, port.name);
    }

    fn add_group(&mut self, group: NamedGroup) {
        self.by_id.insert(group.id.to_string(), group.name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_with_ids_alone_gets_the_names_of_port_instance_and_peer() {
        let text = "vpcs: [{ name: lab }]\nsubnets: [{ name: app, vpc: lab, cidr: 10.0.0.0/24 }]\nregion: KR1\n\
                    ports: [{ name: vm1, subnet: app, fixed_ips: [10.0.0.1], tap: { name: t1 } },\n\
                    { name: vm2, subnet: app, fixed_ips: [10.0.0.2], tap: { name: t2 } }]\n";
        let (plan, _) = crate::config::Config::parse(text, "test").unwrap();
        let names = Names::of_plan(&plan);
        let mut row: LogRow = serde_json::from_value(serde_json::json!({
            "interface_id": plan.ports[1].id, "vpc_id": plan.vpcs[0].id, "direction": "ingress",
            "src_addr": "10.0.0.1", "dst_addr": "10.0.0.2", "instance_name": null,
        }))
        .unwrap();
        names.add_to(&mut row);
        assert_eq!(row.text("interface_name"), Some("vm2"));
        assert_eq!(row.text("peer_name"), Some("vm1"));
        // What the file has stays, even where it is empty; what it cannot have does not come.
        assert!(row.get("instance_name").is_none() && !row.has("security_group_name"));
        assert_eq!(names.port_ids("vm1").count(), 1);
    }

    #[test]
    fn without_names_a_record_stays_as_it_is() {
        let mut row: LogRow = serde_json::from_value(serde_json::json!({ "packets": 1 })).unwrap();
        let before = row.clone();
        Names::default().add_to(&mut row);
        assert_eq!(row, before);
    }
}
