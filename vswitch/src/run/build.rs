//! From a plan to what the switch, the log and the lab are told.

use crate::config::limits::PREFIX_LEN_WITHOUT_CIDR6;
use crate::config::{Plan, Port, Role, Threaded};
use crate::lab::LabPort;
use crate::switch::{FLOW_LIMIT, PortConfig, SwitchConfig, UPLINK_MACS};
use flowlog::{LoggerSpec, PortInfo, Recording};
use ipnet::IpNet;
use secgroup::{Model, PortId};
use std::net::IpAddr;
use std::sync::Arc;
use uuid::Uuid;

/// What the switch is told.
#[must_use]
pub fn switch_config(plan: &Plan) -> SwitchConfig {
    let ports = plan
        .ports
        .iter()
        .enumerate()
        .map(|(index, port)| PortConfig {
            spec: plan.port_spec(index),
            id: port.id,
            name: port.name.clone(),
            subnet: plan
                .subnets
                .get(port.subnet)
                .map_or(Uuid::nil(), |subnet| subnet.id),
            vpc: vpc_of(plan, port.subnet),
            segment: 0,
            mtu: port.tap.mtu,
            max_macs: if port.role == Role::Uplink {
                UPLINK_MACS
            } else {
                port.max_macs
            },
            conntrack_limit: port.conntrack_limit,
            timeouts: port.conntrack_timeouts.map(Box::new),
            tcp_be_liberal: port.tcp_be_liberal,
            flow_limit: port.flow_limit.unwrap_or(FLOW_LIMIT),
        });
    SwitchConfig {
        ports: ports.collect(),
        model: Model {
            groups: plan.groups.clone(),
            address_groups: plan.address_groups.clone(),
        },
        settings: plan.conntrack.settings.clone(),
        persist_established: plan.conntrack.persist_established,
        window_length_s: flowlog::base_window_s(&plan.loggers),
        longest_interval_s: plan
            .loggers
            .iter()
            .map(LoggerSpec::interval_s)
            .max()
            .unwrap_or_default(),
        recording: Recording::of(&plan.loggers),
    }
}

fn vpc_of(plan: &Plan, subnet: usize) -> Uuid {
    let subnet = plan.subnets.get(subnet);
    subnet
        .and_then(|subnet| plan.vpcs.get(subnet.vpc))
        .map_or(Uuid::nil(), |vpc| vpc.id)
}

/// Who a port of the plan is, for the log; `None` where the plan lacks its subnet or VPC.
#[must_use]
pub fn port_info(plan: &Plan, number: PortId, port: &Port) -> Option<Arc<PortInfo>> {
    let subnet = plan.subnets.get(port.subnet)?;
    let vpc = plan.vpcs.get(subnet.vpc)?;
    let of_vpc = plan.subnets.iter().filter(|other| other.vpc == subnet.vpc);
    let networks =
        of_vpc.flat_map(|other| [other.cidr.map(IpNet::from), other.cidr6.map(IpNet::from)]);
    Some(Arc::new(PortInfo {
        port: number.0,
        name: port.name.clone(),
        interface_id: port.id,
        instance: port.instance.clone(),
        vm_id: port.instance_id,
        subnet_id: subnet.id,
        vpc_id: vpc.id,
        addresses: match port.role {
            Role::Uplink => subnet.gateway_ips.clone(),
            _ => port.fixed_ips.clone(),
        },
        vpc_networks: networks
            .chain([vpc.cidr.map(IpNet::from)])
            .flatten()
            .collect(),
        region: plan.region.clone(),
        uplink: port.role == Role::Uplink,
    }))
}

/// The names of the security groups, for the log.
pub(crate) fn group_names(plan: &Plan) -> Vec<(Uuid, Arc<str>)> {
    let groups = plan.groups.iter();
    groups
        .map(|group| (group.id, group.name.as_str().into()))
        .collect()
}

/// What the lab is told: the guest's side of every port, in the order of the plan.
#[must_use]
pub fn lab_ports(plan: &Plan) -> Vec<LabPort> {
    let lab_port = |port: &Port| {
        let subnet = plan.subnets.get(port.subnet);
        let gateways = subnet
            .map(|subnet| subnet.gateway_ips.clone())
            .unwrap_or_default();
        let uplink = port.role == Role::Uplink;
        let addresses = if uplink { &gateways } else { &port.fixed_ips };
        // Without an address of its family a gateway is out of the guest's reach.
        let reaches = |gateway: &&IpAddr| {
            let same_family = |own: &IpAddr| own.is_ipv4() == gateway.is_ipv4();
            // Nor is there a route through a guest that is the gateway itself.
            !uplink && addresses.iter().any(same_family) && !addresses.contains(gateway)
        };
        LabPort {
            name: port.name.clone(),
            tap: port.tap.name.clone(),
            netns: port.tap.netns.clone(),
            mac: port.mac,
            addresses: addresses
                .iter()
                .filter_map(|&address| in_subnet(plan, port.subnet, address))
                .collect(),
            gateways: gateways.iter().filter(reaches).copied().collect(),
            mtu: u32::from(port.tap.mtu),
            uplink,
            threaded: port.tap.threaded == Threaded::On,
        }
    };
    plan.ports.iter().map(lab_port).collect()
}

/// An address with the prefix length of its subnet; a host's where the subnet has none of its family.
fn in_subnet(plan: &Plan, subnet: usize, address: IpAddr) -> Option<IpNet> {
    let subnet = plan.subnets.get(subnet)?;
    let prefix_len = match address {
        IpAddr::V4(_) => subnet.cidr.map_or(32, |cidr| cidr.prefix_len()),
        IpAddr::V6(_) => subnet
            .cidr6
            .map_or(PREFIX_LEN_WITHOUT_CIDR6, |cidr| cidr.prefix_len()),
    };
    IpNet::new(address, prefix_len).ok()
}
