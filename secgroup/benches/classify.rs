//! What judging costs: `cargo bench -p secgroup --bench classify`.
//!
//! ```text
//!   question       one side of one packet, by 10 to 100,000 rules
//!   new flow       both sides by 1,000 rules, and its place in the connection table
//!   change         a member leaves and joins; a policy is compiled
//! ```
//! Rules name one port each and one of: a prefix, a remote group, anybody; the remote group has
//! 10,000 members. Hits and misses alternate. Each figure is the least of many short rounds, so that a
//! machine that is busy with something else says the same as one that is not.
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    reason = "a benchmark that cannot be set up has failed"
)]

use packet::{Direction, Ip, L4, Mac, protocol};
use secgroup::conntrack::{self, Conn, Key, Settings, Table};
use secgroup::{Flow, FlowService, Group, Members, Policy, PortId, PortSpec, Rule, RuleTable};
use std::time::{Duration, Instant};
use std::{hint::black_box, net::Ipv4Addr};
use uuid::Uuid;

const MEMBERS: u32 = 10_000;
/// Rules that judge new flows.
const NEW_FLOW_RULES: u32 = 1_000;

/// How much is measured.
struct Effort {
    rounds: u32,
    questions: u32,
}

fn main() {
    // Run as a test it only shows that it runs.
    let measures = std::env::args().any(|argument| argument == "--bench");
    let (effort, sizes) = if measures {
        let effort = Effort {
            rounds: 40,
            questions: 20_000,
        };
        (effort, &[10, 100, 1_000, 10_000, 100_000][..])
    } else {
        let effort = Effort {
            rounds: 1,
            questions: 10,
        };
        (effort, &[10][..])
    };
    let remote_group = Uuid::from_u128(7);
    let members = members(remote_group);
    for &rules in sizes {
        ask(rules, remote_group, &members, &effort);
    }
    open(remote_group, &members, &effort);
    change(members, remote_group, &effort);
}

/// The least time of one of `questions`, over all rounds.
fn least(effort: &Effort, mut round: impl FnMut(u32)) -> Duration {
    let mut least = Duration::MAX;
    for number in 0..effort.rounds {
        let started = Instant::now();
        round(number);
        least = least.min(started.elapsed() / effort.questions);
    }
    least
}

fn ask(rules: u32, remote_group: Uuid, members: &Members, effort: &Effort) {
    let started = Instant::now();
    let policy = policy(rules, remote_group);
    let compiled = started.elapsed();
    let mut hits = 0;
    let each = least(effort, |round| {
        for question in 0..effort.questions {
            let flow = flow(
                (round * effort.questions + question).wrapping_mul(2_654_435_761),
                rules,
            );
            let found = policy.classify(Direction::Ingress, black_box(&flow), members);
            hits += u32::from(found.is_some());
        }
    });
    let share = 100 * hits / (effort.rounds * effort.questions);
    println!(
        "{rules:>7} rules: {each:?} per question ({share} % match), parsed and compiled in {compiled:?}"
    );
}

/// Flows that nobody has seen, as many per round as the table then holds.
fn open(remote_group: Uuid, members: &Members, effort: &Effort) {
    let policy = policy(NEW_FLOW_RULES, remote_group);
    let settings = Settings::default();
    let mut opened = 0;
    let each = least(effort, |round| {
        let mut table = Table::<[u8; 4], [u64; 4]>::new(effort.questions, 1);
        for question in 0..effort.questions {
            let random = (round * effort.questions + question).wrapping_mul(2_654_435_761);
            let flow = flow(random, NEW_FLOW_RULES);
            let out = policy.classify(Direction::Egress, black_box(&flow), members);
            let into = policy.classify(Direction::Ingress, black_box(&flow), members);
            let ip = datagram(&flow, question);
            let Some(ends) = conntrack::ends(&ip) else {
                continue;
            };
            let (src, dst) = ([10, 0, 0, 1], random.to_be_bytes());
            let (key, swapped) = Key::new((src, ends.0, PortId(1)), (dst, ends.1, PortId(2)));
            let hash = table.hash(&key, ip.protocol);
            if table.find(hash, &key, ip.protocol).is_none()
                && let Ok((state, _)) = conntrack::open(&ip, 0, &settings)
            {
                let conn = Conn::new(key, ip.protocol, swapped, state);
                opened += u32::from(table.insert(hash, conn, [0; 4]).is_some());
            }
            black_box((out, into));
        }
    });
    let per_second = 1.0 / each.as_secs_f64();
    println!(
        "new flows by {NEW_FLOW_RULES} rules on each side: {each:?} each, {:.2} million a second",
        per_second / 1e6
    );
    assert!(opened > 0);
}

fn datagram(flow: &Flow, number: u32) -> Ip {
    let FlowService::Ports { dst, .. } = flow.service else {
        unreachable!("every flow of this benchmark has ports")
    };
    Ip {
        src: Ipv4Addr::new(10, 0, 0, 1).into(),
        dst: flow.remote,
        protocol: protocol::UDP,
        hop_limit: 64,
        fragment: None,
        l4: L4::Udp {
            src_port: 1 + (number % 65_535) as u16,
            dst_port: dst,
        },
        l4_offset: 34,
        end: 98,
    }
}

fn change(mut members: Members, group: Uuid, effort: &Effort) {
    let port = member(0, group);
    let each = least(effort, |_| {
        for _ in 0..effort.questions {
            members.leave(black_box(&port));
            members.join(black_box(&port));
        }
    });
    println!("a member leaves and joins among {MEMBERS}: {each:?}");
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
    let out = Rule::parse("egress IPv4 any to any", id).unwrap();
    let group = Group {
        id,
        name: "g".into(),
        rules: (1..rules).map(rule).chain([out]).collect(),
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
