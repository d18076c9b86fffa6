//! VPCs and subnets.

use super::addresses::{METADATA, cidr, cidr6, host_address, stands_for_the_subnet};
use super::values::{check_count, ranged};
use crate::config::file::{self, File};
use crate::config::ids::Kind;
use crate::config::limits::{MAX_DHCP_SERVERS, MAX_TAP_MTU, MIN_MTU, MIN_MTU_IPV6};
use crate::config::mistake::Findings;
use crate::config::names::Names;
use crate::config::places::Place;
use crate::config::plan::{Subnet, Vpc};
use ipnet::IpNet;
use std::net::IpAddr;
use uuid::Uuid;

/// Greatest IP packet where nothing is said: Ethernet's.
const DEFAULT_MTU: u32 = 1500;

/// VPCs and subnets, with their names.
pub(super) struct Network {
    pub(super) vpc_names: Names,
    pub(super) vpcs: Vec<Vpc>,
    pub(super) subnet_names: Names,
    pub(super) subnets: Vec<Subnet>,
}

pub(super) fn resolve(file: &File, findings: &mut Findings) -> Network {
    let (vpc_names, vpcs) = vpcs(file, findings);
    let (subnet_names, subnets) = subnets(file, &vpc_names, &vpcs, findings);
    // A subnet whose VPC is not known stands in the first one for want of another: it overlaps nothing.
    let of_known_vpcs = file.subnets.iter().zip(&subnets).enumerate();
    let of_known_vpcs =
        of_known_vpcs.filter(|(_, (typed, _))| is_known(typed.vpc.as_deref(), &vpc_names));
    check_overlaps(
        of_known_vpcs.map(|(i, (_, subnet))| (i, subnet)),
        &vpcs,
        findings,
    );
    Network {
        vpc_names,
        vpcs,
        subnet_names,
        subnets,
    }
}

/// Whether a reference to a VPC, or its absence, leads to one.
fn is_known(vpc: Option<&str>, names: &Names) -> bool {
    vpc.map_or(names.len() == 1, |vpc| names.find(vpc).is_some())
}

fn vpcs(file: &File, findings: &mut Findings) -> (Names, Vec<Vpc>) {
    let at = Place::root().key("vpcs");
    if file.vpcs.is_empty() {
        findings.mistake(
            &at,
            "there is no VPC",
            "add one, as `- { name: lab, cidr: 10.77.0.0/16 }`",
        );
    }
    let mut names = Names::new(Kind::Vpc);
    let resolved = file.vpcs.iter().enumerate().map(|(i, vpc)| {
        let at = at.item(i);
        Vpc {
            id: names.enter(&vpc.name, vpc.id.as_deref(), &at, findings),
            name: vpc.name.clone(),
            cidr: vpc
                .cidr
                .as_ref()
                .and_then(|text| cidr(text, &at.key("cidr"), findings)),
            default_group: default_group(&vpc.name),
        }
    });
    let resolved = resolved.collect();
    (names, resolved)
}

/// The id of a VPC's built-in group: no name in the file has a slash, so it meets no other group's.
fn default_group(vpc: &str) -> Uuid {
    Kind::SecurityGroup.derive(&format!("{vpc}/{}", secgroup::Group::DEFAULT_NAME))
}

fn subnets(
    file: &File,
    vpc_names: &Names,
    vpcs: &[Vpc],
    findings: &mut Findings,
) -> (Names, Vec<Subnet>) {
    let at = Place::root().key("subnets");
    let mut names = Names::new(Kind::Subnet);
    let resolved = file.subnets.iter().enumerate().map(|(i, subnet)| {
        let at = at.item(i);
        let id = names.enter(&subnet.name, subnet.id.as_deref(), &at, findings);
        let vpc = vpc_names.resolve_or_only(subnet.vpc.as_deref(), &at, "vpc", findings);
        let resolved = resolve_subnet(subnet, id, vpc.unwrap_or_default(), &at, findings);
        if let Some(vpc) = vpc {
            check_inside(&resolved, &vpcs[vpc], &at, findings);
        }
        resolved
    });
    let resolved = resolved.collect();
    (names, resolved)
}

fn resolve_subnet(
    subnet: &file::Subnet,
    id: Uuid,
    vpc: usize,
    at: &Place,
    findings: &mut Findings,
) -> Subnet {
    if subnet.cidr.is_none() && subnet.cidr6.is_none() {
        findings.mistake(
            at,
            "the subnet has neither `cidr` nor `cidr6`",
            "add one, as `cidr: 10.77.1.0/24`",
        );
    }
    let mut resolved = Subnet {
        id,
        name: subnet.name.clone(),
        vpc,
        cidr: subnet
            .cidr
            .as_ref()
            .and_then(|text| cidr(text, &at.key("cidr"), findings)),
        cidr6: subnet
            .cidr6
            .as_ref()
            .and_then(|text| cidr6(text, &at.key("cidr6"), findings)),
        gateway_ips: Vec::new(),
        dhcp_servers: dhcp_servers(subnet, &at.key("dhcp_servers"), findings),
        mtu: mtu(
            subnet.mtu.unwrap_or(DEFAULT_MTU),
            MAX_TAP_MTU,
            subnet.cidr6.is_some(),
            &at.key("mtu"),
            findings,
        ),
    };
    resolved.gateway_ips = gateways(subnet, &resolved, &at.key("gateway_ip"), findings);
    if resolved
        .cidr
        .is_some_and(|net| net.contains(&METADATA) || METADATA.contains(&net))
    {
        findings.notice(
            &at.key("cidr"),
            format!("traffic with {METADATA}, the metadata service, is not recorded"),
        );
    }
    resolved
}

fn dhcp_servers(subnet: &file::Subnet, at: &Place, findings: &mut Findings) -> Vec<IpAddr> {
    check_count(subnet.dhcp_servers.len(), MAX_DHCP_SERVERS, at, findings);
    let servers = subnet.dhcp_servers.iter().enumerate();
    servers
        .filter_map(|(i, text)| host_address(text, &at.item(i), findings))
        .collect()
}

/// One gateway, or one of each family.
fn gateways(
    typed: &file::Subnet,
    subnet: &Subnet,
    at: &Place,
    findings: &mut Findings,
) -> Vec<IpAddr> {
    let mut gateways: Vec<IpAddr> = Vec::new();
    for text in typed
        .gateway_ip
        .as_ref()
        .map_or(&[][..], file::OneOrMany::as_slice)
    {
        let Some(address) = host_address(text, at, findings) else {
            continue;
        };
        if gateways
            .iter()
            .any(|other| other.is_ipv4() == address.is_ipv4())
        {
            findings.mistake(
                at,
                format!("`{address}` is a second gateway of its family"),
                "leave one of each family",
            );
        }
        check_in_subnet(address, subnet, at, findings);
        gateways.push(address);
    }
    gateways
}

/// Notes an address that is not a host's of its subnet.
pub(super) fn check_in_subnet(
    address: IpAddr,
    subnet: &Subnet,
    at: &Place,
    findings: &mut Findings,
) {
    let net = match address {
        IpAddr::V4(_) => subnet.cidr.map(IpNet::from),
        IpAddr::V6(_) => subnet.cidr6.map(IpNet::from),
    };
    let name = &subnet.name;
    match net {
        Some(net) if !net.contains(&address) => {
            let problem = format!("`{address}` lies outside subnet `{name}`");
            findings.mistake(at, problem, format!("choose an address of {net}"));
        }
        None if address.is_ipv4() && subnet.cidr6.is_some() => {
            let problem = format!("`{address}` is IPv4, and subnet `{name}` is not");
            findings.mistake(
                at,
                problem,
                "choose an IPv6 address, or give the subnet a `cidr`",
            );
        }
        _ => {
            if let Some(what) = stands_for_the_subnet(address, subnet.cidr, subnet.cidr6) {
                let problem = format!("`{address}` is the {what} of subnet `{name}`");
                findings.mistake(at, problem, "choose another address");
            }
        }
    }
}

/// An MTU in its range, which is narrower where IPv6 is used; for another one a great stand-in, of which
/// nothing else is too small.
pub(super) fn mtu(
    value: u32,
    greatest: u32,
    ipv6: bool,
    at: &Place,
    findings: &mut Findings,
) -> u16 {
    if ipv6 && (MIN_MTU..MIN_MTU_IPV6).contains(&value) {
        let problem = format!("{value} is too small for IPv6");
        findings.mistake(
            at,
            problem,
            format!("write at least {MIN_MTU_IPV6} (RFC 8200), or use no IPv6 here"),
        );
        return u16::MAX;
    }
    let told = findings.count();
    let value = ranged(value, MIN_MTU..=greatest, " bytes", at, findings);
    let is_mistake = findings.count() > told;
    u16::try_from(value)
        .ok()
        .filter(|_| !is_mistake)
        .unwrap_or(u16::MAX)
}

fn check_inside(subnet: &Subnet, vpc: &Vpc, at: &Place, findings: &mut Findings) {
    if let (Some(inner), Some(outer)) = (subnet.cidr, vpc.cidr)
        && !outer.contains(&inner)
    {
        let problem = format!("`{inner}` lies outside VPC `{}`", vpc.name);
        findings.mistake(
            &at.key("cidr"),
            problem,
            format!("choose a prefix of {outer}, or widen the VPC"),
        );
    }
}

/// Notes subnets of one VPC that share addresses.
fn check_overlaps<'a>(
    subnets: impl Iterator<Item = (usize, &'a Subnet)>,
    vpcs: &[Vpc],
    findings: &mut Findings,
) {
    let mut nets: Vec<Used<'_>> = subnets.flat_map(Used::of).collect();
    // Prefixes either nest or are apart: sorted, each stands behind one that holds it.
    nets.sort_by_key(|used| {
        (
            used.subnet.vpc,
            used.net.network(),
            used.net.prefix_len(),
            used.index,
        )
    });
    let mut widest: Option<Used<'_>> = None;
    for used in nets {
        match widest {
            Some(wide) if wide.subnet.vpc == used.subnet.vpc && wide.net.contains(&used.net) => {
                let (first, second) = if wide.index < used.index {
                    (wide, used)
                } else {
                    (used, wide)
                };
                let place = Place::root()
                    .key("subnets")
                    .item(second.index)
                    .key(second.key);
                let (name, vpc) = (&first.subnet.name, &vpcs[second.subnet.vpc].name);
                let problem = format!(
                    "`{}` overlaps subnet `{name}` of the same VPC `{vpc}`",
                    second.net
                );
                findings.mistake(
                    &place,
                    problem,
                    "choose another prefix, or put one of the two into another VPC",
                );
            }
            _ => widest = Some(used),
        }
    }
}

/// A prefix, and the subnet that uses it.
#[derive(Clone, Copy)]
struct Used<'a> {
    index: usize,
    subnet: &'a Subnet,
    net: IpNet,
    key: &'static str,
}

impl<'a> Used<'a> {
    fn of((index, subnet): (usize, &'a Subnet)) -> impl Iterator<Item = Self> {
        let v4 = subnet.cidr.map(|net| Self {
            index,
            subnet,
            net: net.into(),
            key: "cidr",
        });
        let v6 = subnet.cidr6.map(|net| Self {
            index,
            subnet,
            net: net.into(),
            key: "cidr6",
        });
        v4.into_iter().chain(v6)
    }
}
