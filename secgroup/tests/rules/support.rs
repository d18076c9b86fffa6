//! Guests A, B and C of one subnet, and frames as they would write them.

use ipnet::IpNet;
use packet::{Direction, Headers, Mac, Offload, Reason, ethertype, protocol};
use secgroup::{
    AddressGroup, Flow, FlowService, Group, Guard, Members, Pair, Policy, PortId, PortSpec, Rule,
    RuleTable,
};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use uuid::Uuid;

pub(crate) const A: u8 = 10;
pub(crate) const B: u8 = 11;
pub(crate) const C: u8 = 12;

pub(crate) const fn mac(last: u8) -> Mac {
    Mac([0xfa, 0x16, 0x3e, 0, 0, last])
}

pub(crate) const fn v4(last: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 0, 0, last)
}

pub(crate) const fn v6(last: u16) -> Ipv6Addr {
    Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, last)
}

pub(crate) fn id(name: &str) -> Uuid {
    Uuid::new_v5(&Uuid::NAMESPACE_URL, name.as_bytes())
}

/// A guest with one address of each family, in no group.
pub(crate) fn guest(last: u8) -> PortSpec {
    PortSpec {
        port: PortId(last.into()),
        vpc: 0,
        mac: mac(last),
        fixed_ips: vec![v4(last).into(), v6(last.into()).into()],
        allowed_address_pairs: vec![],
        groups: vec![],
        port_security: true,
        uplink: false,
        permitted_ethertypes: vec![],
        strict_rx: false,
        gateway_ips: vec![v4(1).into()],
        dhcp_servers: vec![],
        broadcast: Some(v4(255)),
    }
}

/// A guest that is in these groups.
pub(crate) fn member(last: u8, groups: &[&str]) -> PortSpec {
    PortSpec {
        groups: groups.iter().map(|name| id(name)).collect(),
        ..guest(last)
    }
}

pub(crate) fn pair(prefix: &str, mac: Option<Mac>) -> Pair {
    Pair {
        prefix: prefix.parse().unwrap(),
        mac,
    }
}

/// A stateful group with exactly these rules.
pub(crate) fn group(name: &str, rules: &[&str]) -> Group {
    let rules = rules
        .iter()
        .map(|text| Rule::parse(text, id(name)).unwrap())
        .collect();
    Group {
        id: id(name),
        name: name.to_owned(),
        rules,
        stateful: true,
    }
}

pub(crate) fn address_group(name: &str, prefixes: &[&str]) -> AddressGroup {
    let prefixes = prefixes
        .iter()
        .map(|text| text.parse::<IpNet>().unwrap().trunc())
        .collect();
    AddressGroup {
        id: id(name),
        name: name.to_owned(),
        prefixes,
    }
}

/// Some groups compiled together, with members and lists beside them.
#[derive(Default)]
pub(crate) struct World {
    pub(crate) members: Members,
    pub(crate) lists: Vec<AddressGroup>,
    pub(crate) table: RuleTable,
}

impl World {
    pub(crate) fn with_members(members: &[PortSpec]) -> Self {
        let mut world = Self::default();
        members.iter().for_each(|port| world.members.join(port));
        world
    }

    pub(crate) fn compile(&mut self, groups: &[&Group]) -> Policy {
        Policy::compile(groups, &self.lists, &mut self.table).unwrap()
    }

    /// Compiles and asks, for one ingress flow.
    pub(crate) fn lets_in(&mut self, groups: &[&Group], flow: Flow) -> bool {
        let policy = self.compile(groups);
        policy
            .classify(Direction::Ingress, &flow, &self.members)
            .is_some()
    }

    pub(crate) fn lets_out(&mut self, groups: &[&Group], flow: Flow) -> bool {
        let policy = self.compile(groups);
        policy
            .classify(Direction::Egress, &flow, &self.members)
            .is_some()
    }
}

/// A flow with `remote` on the other side.
pub(crate) fn flow(protocol: u8, service: FlowService, remote: impl Into<IpAddr>) -> Flow {
    Flow {
        vpc: 0,
        protocol,
        service,
        remote: remote.into(),
        remote_mac: mac(A),
    }
}

pub(crate) fn tcp(dst: u16, remote: impl Into<IpAddr>) -> Flow {
    flow(
        protocol::TCP,
        FlowService::Ports { src: 40_000, dst },
        remote,
    )
}

pub(crate) fn udp(dst: u16, remote: impl Into<IpAddr>) -> Flow {
    flow(
        protocol::UDP,
        FlowService::Ports { src: 40_000, dst },
        remote,
    )
}

pub(crate) fn icmp(kind: u8, code: u8, remote: impl Into<IpAddr>) -> Flow {
    let remote = remote.into();
    let protocol = if remote.is_ipv4() {
        protocol::ICMP
    } else {
        protocol::ICMPV6
    };
    flow(protocol, FlowService::Icmp { kind, code }, remote)
}

/// What a guard says of a frame that its port sends.
pub(crate) fn admit(port: &PortSpec, frame: &[u8]) -> Result<(), Reason> {
    Guard::new(port).admit(frame, &parse(frame))
}

/// What a guard says of a frame that its port is given.
pub(crate) fn receives(port: &PortSpec, frame: &[u8]) -> Result<(), Reason> {
    Guard::new(port).receives(frame, &parse(frame))
}

pub(crate) fn parse(frame: &[u8]) -> Headers {
    Headers::parse(frame, Offload::default()).unwrap()
}

pub(crate) fn ethernet(dst: Mac, src: Mac, ethertype: u16, payload: &[u8]) -> Vec<u8> {
    [&dst.0[..], &src.0, &ethertype.to_be_bytes(), payload].concat()
}

/// An IPv4 packet without options, to B's MAC.
pub(crate) fn ipv4(
    src_mac: Mac,
    src: Ipv4Addr,
    dst: Ipv4Addr,
    protocol: u8,
    body: &[u8],
) -> Vec<u8> {
    let total = u16::try_from(20 + body.len()).unwrap().to_be_bytes();
    let fixed = [0x45, 0, total[0], total[1], 0, 1, 0, 0, 64, protocol, 0, 0];
    let header = [&fixed[..], &src.octets(), &dst.octets(), body].concat();
    ethernet(mac(B), src_mac, ethertype::IPV4, &header)
}

/// An IPv6 packet, to B's MAC.
pub(crate) fn ipv6(
    src_mac: Mac,
    src: Ipv6Addr,
    dst: Ipv6Addr,
    (next, hop_limit): (u8, u8),
    body: &[u8],
) -> Vec<u8> {
    let len = u16::try_from(body.len()).unwrap().to_be_bytes();
    let fixed = [0x60, 0, 0, 0, len[0], len[1], next, hop_limit];
    let packet = [&fixed[..], &src.octets(), &dst.octets(), body].concat();
    ethernet(mac(B), src_mac, ethertype::IPV6, &packet)
}

pub(crate) fn udp_body(src: u16, dst: u16) -> Vec<u8> {
    [src.to_be_bytes(), dst.to_be_bytes(), [0, 8], [0, 0]].concat()
}

/// A bare segment with SYN.
pub(crate) fn tcp_body(src: u16, dst: u16) -> Vec<u8> {
    let ports = [src.to_be_bytes(), dst.to_be_bytes()].concat();
    [
        &ports[..],
        &[0, 0, 0, 1, 0, 0, 0, 0, 0x50, 0x02, 0xff, 0xff, 0, 0, 0, 0],
    ]
    .concat()
}

/// The same frame with another destination MAC.
pub(crate) fn to_mac(mut frame: Vec<u8>, dst: Mac) -> Vec<u8> {
    frame[..6].copy_from_slice(&dst.0);
    frame
}
