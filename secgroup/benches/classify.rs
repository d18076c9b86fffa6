//! What one question to a compiled policy costs: `cargo bench -p secgroup --bench classify`.
//!
//! Rules name one port each and one of: a prefix, a remote group, anybody; the remote group has
//! 10,000 members. Hits and misses alternate.
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    reason = "a benchmark that cannot be set up has failed"
)]

use packet::{Direction, Mac};
use secgroup::{Flow, FlowService, Group, Members, Policy, PortId, PortSpec, Rule, RuleTable};
use std::{hint::black_box, net::Ipv4Addr, time::Instant};
use uuid::Uuid;

const MEMBERS: u32 = 10_000;

fn main() {
    // Run as a test it only shows that it runs.
    let measures = std::env::args().any(|argument| argument == "--bench");
    let (rounds, sizes) = if measures {
        (2_000_000_u32, &[10, 100, 1_000, 10_000, 100_000][..])
    } else {
        (10, &[10][..])
    };
    let remote_group = Uuid::from_u128(7);
    let members = members(remote_group);
    for &rules in sizes {
        let started = Instant::now();
        let policy = policy(rules, remote_group);
        let compiled = started.elapsed();
        let started = Instant::now();
        let mut hits = 0;
        for round in 0..rounds {
            let flow = flow(round.wrapping_mul(2_654_435_761), rules);
            hits += u32::from(
                policy
                    .classify(Direction::Ingress, black_box(&flow), &members)
                    .is_some(),
            );
        }
        let each = started.elapsed() / rounds;
        let share = 100 * hits / rounds;
        println!(
            "{rules:>7} rules: {each:?} per question ({share} % match), compiled in {compiled:?}"
        );
    }
    churn(members, remote_group, rounds);
}

fn churn(mut members: Members, group: Uuid, rounds: u32) {
    let port = member(0, group);
    let started = Instant::now();
    for _ in 0..rounds {
        members.leave(black_box(&port));
        members.join(black_box(&port));
    }
    println!(
        "{:?} per leave and join among {MEMBERS}",
        started.elapsed() / (rounds)
    );
}

fn address(n: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits(0x0a00_0000 + n)
}

fn policy(rules: u32, remote_group: Uuid) -> Policy {
    let id = Uuid::from_u128(1);
    let rule = |n: u32| {
        let port = 1 + n % 65_535;
        let remote = match n % 3 {
            0 => format!("from {}/24", address(n << 8)),
            1 => format!("from group {remote_group}"),
            _ => "from any".to_owned(),
        };
        Rule::parse(&format!("ingress IPv4 tcp {port} {remote}"), id).unwrap()
    };
    let group = Group {
        id,
        name: "g".into(),
        rules: (0..rules).map(rule).collect(),
        stateful: true,
    };
    Policy::compile(&[&group], &[], &mut RuleTable::default()).unwrap()
}

fn members(group: Uuid) -> Members {
    let mut members = Members::default();
    (0..MEMBERS).for_each(|n| members.join(&member(n, group)));
    members
}

fn member(n: u32, group: Uuid) -> PortSpec {
    PortSpec {
        port: PortId(1),
        vpc: 0,
        mac: Mac([0xfa, 0x16, 0x3e, 0, 0, 1]),
        fixed_ips: vec![address(n).into()],
        allowed_address_pairs: vec![],
        groups: vec![group],
        port_security: true,
        uplink: false,
        permitted_ethertypes: vec![],
        strict_rx: false,
        gateway_ips: vec![],
        dhcp_servers: vec![],
        broadcast: None,
    }
}

/// A pseudo-random question about a port that some rule names.
fn flow(random: u32, rules: u32) -> Flow {
    Flow {
        vpc: 0,
        protocol: 6,
        service: FlowService::Ports {
            src: 40_000,
            dst: (1 + (random >> 7) % rules.min(65_535)) as u16,
        },
        remote: address(random % (2 * MEMBERS)).into(),
        remote_mac: Mac::ZERO,
    }
}
