//! Random rules, members and packets that meet often: few values, many of them at edges.

use super::support::{guest, id, mac};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use packet::Direction;
use proptest::prelude::*;
use secgroup::{
    AddressGroup, Ethertype, Flow, FlowService, Group, Pair, PortSpec, Remote, Rule, Service,
};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use uuid::Uuid;

/// Names that collide often.
pub(super) const GROUPS: [&str; 4] = ["g0", "g1", "g2", "g3"];
const LISTS: [&str; 2] = ["l0", "l1"];

/// Few addresses, at the edges of the prefixes below and in between.
fn address(family: Ethertype) -> BoxedStrategy<IpAddr> {
    match family {
        Ethertype::Ipv4 => {
            let edges =
                prop::sample::select(vec![0, 1, 0x7fff_ffff, 0x8000_0000, u32::MAX - 1, u32::MAX]);
            prop_oneof![0x0a00_0000..0x0a00_0008_u32, edges]
                .prop_map(|bits| Ipv4Addr::from_bits(bits).into())
                .boxed()
        }
        Ethertype::Ipv6 => {
            let base = 0x2001_0db8_u128 << 96;
            let next_64 = base + (1 << 64);
            let edges = [
                0,
                1,
                (1 << 127) - 1,
                1 << 127,
                u128::MAX,
                next_64 - 1,
                next_64,
            ];
            prop_oneof![base..base + 8, prop::sample::select(edges.to_vec())]
                .prop_map(|bits| Ipv6Addr::from_bits(bits).into())
                .boxed()
        }
    }
}

fn prefix(family: Ethertype) -> impl Strategy<Value = IpNet> {
    let lengths = match family {
        Ethertype::Ipv4 => vec![0, 1, 8, 29, 30, 31, 32],
        Ethertype::Ipv6 => vec![0, 1, 63, 64, 125, 127, 128],
    };
    (address(family), prop::sample::select(lengths)).prop_map(|(address, length)| match address {
        IpAddr::V4(v4) => Ipv4Net::new(v4, length).unwrap().trunc().into(),
        IpAddr::V6(v6) => Ipv6Net::new(v6, length).unwrap().trunc().into(),
    })
}

fn family() -> impl Strategy<Value = Ethertype> {
    prop_oneof![Just(Ethertype::Ipv4), Just(Ethertype::Ipv6)]
}

fn direction() -> impl Strategy<Value = Direction> {
    prop_oneof![Just(Direction::Ingress), Just(Direction::Egress)]
}

fn port() -> impl Strategy<Value = u16> {
    prop_oneof![78..84_u16, Just(1), Just(2), Just(65_534), Just(65_535)]
}

fn protocol_and_service() -> impl Strategy<Value = (Option<u8>, Service)> {
    let ports = (port(), port()).prop_map(|(a, b)| Service::Ports {
        min: a.min(b),
        max: a.max(b),
    });
    let icmp =
        (0..3_u8, prop::option::of(0..3_u8)).prop_map(|(kind, code)| Service::Icmp { kind, code });
    prop_oneof![
        1 => Just((None, Service::Any)),
        1 => prop::sample::select(vec![1_u8, 6, 17, 58, 112, 132]).prop_map(|p| (Some(p), Service::Any)),
        4 => (prop::sample::select(vec![6_u8, 17, 132]), ports).prop_map(|(p, s)| (Some(p), s)),
        2 => (prop::sample::select(vec![1_u8, 58]), icmp).prop_map(|(p, s)| (Some(p), s)),
    ]
}

fn remote(family: Ethertype) -> impl Strategy<Value = Remote> {
    prop_oneof![
        1 => Just(Remote::Any),
        4 => prefix(family).prop_map(Remote::Prefix),
        3 => prop::sample::select(GROUPS.to_vec()).prop_map(|name| Remote::Group(id(name))),
        2 => prop::sample::select(LISTS.to_vec()).prop_map(|name| Remote::AddressGroup(id(name))),
    ]
}

fn rule() -> impl Strategy<Value = Rule> {
    family().prop_flat_map(|family| {
        let source = prop::option::weighted(0.1, (port(), port()));
        (
            any::<u128>(),
            direction(),
            protocol_and_service(),
            source,
            remote(family),
        )
            .prop_map(
                move |(id, direction, (protocol, service), source, remote)| Rule {
                    id: Uuid::from_u128(id),
                    direction,
                    ethertype: family,
                    protocol,
                    service,
                    source_ports: source.map(|(a, b)| (a.min(b), a.max(b))),
                    remote,
                },
            )
    })
}

pub(super) fn groups() -> impl Strategy<Value = Vec<Group>> {
    let one = prop::collection::vec(rule(), 0..90);
    prop::collection::vec(one, 1..3).prop_map(|groups| {
        let numbered = groups.into_iter().zip(GROUPS);
        numbered
            .map(|(rules, name)| Group {
                id: id(name),
                name: name.into(),
                rules,
                stateful: true,
            })
            .collect()
    })
}

pub(super) fn lists() -> impl Strategy<Value = Vec<AddressGroup>> {
    let prefixes = || prop::collection::vec(family().prop_flat_map(prefix), 0..6);
    [prefixes(), prefixes()].prop_map(|[one, two]| {
        let list = |name: &str, prefixes| AddressGroup {
            id: id(name),
            name: name.into(),
            prefixes,
        };
        vec![list(LISTS[0], one), list(LISTS[1], two)]
    })
}

pub(super) fn member() -> impl Strategy<Value = PortSpec> {
    let pairs =
        (family().prop_flat_map(prefix), prop::option::of(0..3_u8)).prop_map(|(prefix, last)| {
            Pair {
                prefix,
                mac: last.map(mac),
            }
        });
    (
        0..2_u16,
        0..3_u8,
        prop::collection::vec(family().prop_flat_map(address), 0..3),
        prop::collection::vec(pairs, 0..3),
        prop::sample::subsequence(GROUPS.to_vec(), 0..=3),
    )
        .prop_map(
            |(vpc, last, fixed_ips, allowed_address_pairs, groups)| PortSpec {
                vpc,
                fixed_ips,
                allowed_address_pairs,
                groups: groups.into_iter().map(id).collect(),
                ..guest(last)
            },
        )
}

pub(super) fn flow() -> impl Strategy<Value = (Direction, Flow)> {
    let ports = (port(), port()).prop_map(|(src, dst)| FlowService::Ports { src, dst });
    let icmp = (0..4_u8, 0..4_u8).prop_map(|(kind, code)| FlowService::Icmp { kind, code });
    let upper = prop_oneof![
        4 => (prop::sample::select(vec![6_u8, 17, 132]), ports),
        2 => (prop::sample::select(vec![1_u8, 58]), icmp),
        1 => (prop::sample::select(vec![1_u8, 6, 17, 47, 112]), Just(FlowService::None)),
    ];
    (
        direction(),
        0..2_u16,
        upper,
        family().prop_flat_map(address),
        0..3_u8,
    )
        .prop_map(|(direction, vpc, (protocol, service), remote, last)| {
            (
                direction,
                Flow {
                    vpc,
                    protocol,
                    service,
                    remote,
                    remote_mac: mac(last),
                },
            )
        })
}
