//! What a reload costs, and how long of it the switch's lock is held.
//!
//! ```text
//! cargo bench -p vswitch --bench reload
//! ```
//! A thousand ports in a shared group of 9,000 rules, and each in one of a hundred groups of ten rules more;
//! 10,000 member addresses. Then 5,000 ports that all change their group, and a logger's interval that changes
//! while there are a million connections. Prints the least of several rounds; the lock is held twice, for the
//! outline and for the swap, and the longer of the two is shown.
#![forbid(unsafe_code)]

use packet::{Mac, VNET_HDR_LEN, build};
use secgroup::{PortId, RuleTable};
use std::fmt::Write;
use std::time::{Duration, Instant};
use vswitch::{
    config::Config,
    run::switch_config,
    switch::{Change, Compiled, Frame, Now, Outbox, Prepared, Switch},
};

const PORTS: usize = 1000;
/// Rules of the group that every port has.
const SHARED_RULES: usize = 9_000;
/// Rules of each of the groups that ten ports have.
const OWN_RULES: usize = 10;
/// Addresses of each port: ten make 10,000 members.
const ADDRESSES: usize = 10;
const ROUNDS: usize = 5;
/// Connections while an interval changes.
const CONNECTIONS: u32 = 1 << 20;
/// Of the two ports between which they are.
const MACS: [Mac; 2] = [
    Mac([0xfa, 0x16, 0x3e, 0, 0, 1]),
    Mac([0xfa, 0x16, 0x3e, 0, 0, 2]),
];
const NOW: Now = Now {
    ms: 1000,
    wall_us: 1_800_000_000_000_000,
};

fn main() {
    // Run as a test it only shows that it runs.
    let rounds = if std::env::args().any(|word| word == "--bench") {
        ROUNDS
    } else {
        1
    };
    for (what, after) in [
        ("one rule of all ports changes", text("10.8.0.0/16", 0)),
        ("one member moves", text("10.9.0.0/16", 1)),
    ] {
        reload(what, &text("10.9.0.0/16", 0), &after, rounds);
    }
    let groups = [move_all("a"), move_all("b")];
    reload("5,000 ports change groups", &groups[0], &groups[1], rounds);
    interval(rounds);
}

/// Changes the interval to and fro while the table is full.
fn interval(rounds: usize) {
    let mut rules = RuleTable::default();
    let mut switch = Switch::new(NOW, 1, CONNECTIONS, 60);
    let mut least = Duration::MAX;
    for round in 0..=rounds {
        let (plan, _) = Config::parse(&two_guests(60 - 30 * (round as u32 % 2)), "bench")
            .expect("the configuration is good");
        let prepared =
            Prepared::new(switch_config(&plan), &mut rules).expect("and so is its policy");
        let locked = swap(&mut switch, prepared).1;
        if round == 0 {
            fill(&mut switch);
        } else {
            least = least.min(locked);
        }
        // As the daemon does before its next swap.
        while switch.is_closing() {
            switch.sweep(NOW);
        }
        drop(switch.fetch_log());
    }
    let (connections, _) = switch.connections();
    println!("an interval changes with {connections} connections: under the lock {least:?}");
}

/// Opens as many connections as there may be.
fn fill(switch: &mut Switch) {
    let mut out = Outbox::default();
    for number in 0..CONNECTIONS {
        let [_, high, middle, low] = number.to_be_bytes();
        let bytes = build::frame(MACS[0], MACS[1])
            .ip([10, 0, 0, 1], [10, 0, 0, 2])
            .udp(
                u16::from_be_bytes([middle, low]).max(1),
                1 + u16::from(high),
            )
            .build();
        let frame = Frame::parse(&[0; VNET_HDR_LEN], &bytes).expect("a frame");
        switch.forward(NOW, PortId(0), &frame, &mut out);
        out.clear();
    }
}

/// Two ports and a logger with this interval.
fn two_guests(interval_s: u32) -> String {
    let mut text = String::from(
        "vpcs: [{ name: lab, cidr: 10.0.0.0/8 }]\nsubnets: [{ name: app, vpc: lab, cidr: 10.0.0.0/8 }]\n\
         security_groups: [{ name: a, rules: [{ direction: ingress }] }]\nregion: KR1\nports:\n",
    );
    for (port, mac) in (1..).zip(MACS) {
        let _ = writeln!(
            text,
            "  - {{ name: p{port}, subnet: app, mac_address: \"{mac}\", fixed_ips: [10.0.0.{port}], \
             security_groups: [a], conntrack_limit: {CONNECTIONS} }}"
        );
    }
    let _ = writeln!(
        text,
        "flowlog_loggers: [{{ name: l, resource_type: VPC, resource: lab, aggregation_interval: {interval_s}s, \
         storage_url: ./flowlogs }}]"
    );
    text
}

/// Outline, change and swap; how long the change took, and for how long at most the lock was held.
fn swap(switch: &mut Switch, prepared: Prepared) -> (Duration, Duration) {
    let started = Instant::now();
    let outline = switch.outline(NOW, prepared.ports());
    let outlined = started.elapsed();
    let started = Instant::now();
    let change = Change::new(outline, prepared).expect("there are numbers");
    let changed = started.elapsed();
    let started = Instant::now();
    let swapped = switch.swap(NOW, change);
    let locked = started.elapsed();
    drop((swapped, switch.spare_memory()));
    (changed, locked.max(outlined))
}

/// 5,000 ports in one group.
fn move_all(group: &str) -> String {
    let mut text = String::from(
        "vpcs: [{ name: lab, cidr: 10.0.0.0/8 }]\nsubnets: [{ name: app, vpc: lab, cidr: 10.0.0.0/8 }]\n\
         security_groups:\n  - { name: a, rules: [{ direction: ingress, remote_group: b }] }\n  \
         - { name: b, rules: [{ direction: ingress, remote_group: a }] }\nregion: KR1\nports:\n",
    );
    for port in 0..5_000 {
        let _ = writeln!(
            text,
            "  - {{ name: p{port}, subnet: app, fixed_ips: [10.1.{}.{}], security_groups: [{group}] }}",
            port / 250,
            1 + port % 250
        );
    }
    text
}

/// Changes to and fro between two configurations.
fn reload(what: &str, before: &str, after: &str, rounds: usize) {
    let mut rules = RuleTable::default();
    let mut compiled = Compiled::default();
    let mut switch = Switch::new(NOW, 1, 65_536, 60);
    let mut least = [Duration::MAX; 3];
    for round in 0..=rounds {
        let text = if round % 2 == 0 { before } else { after };
        let started = Instant::now();
        let (plan, _) = Config::parse(text, "bench").expect("the configuration is good");
        let read = started.elapsed();
        let started = Instant::now();
        let (prepared, next) =
            Prepared::after(&compiled, switch_config(&plan), &mut rules).expect("so is its policy");
        let prepared_in = started.elapsed();
        let (changed, locked) = swap(&mut switch, prepared);
        compiled = next;
        // The first one attaches every port: no reload.
        if round > 0 {
            for (least, time) in least.iter_mut().zip([read, prepared_in + changed, locked]) {
                *least = time.min(*least);
            }
        }
    }
    let [read, prepared, locked] = least;
    println!(
        "{what}: read and checked in {read:?}, compiled in {prepared:?}, under the lock {locked:?}"
    );
}

/// A configuration in which one shared rule names `prefix`, and the first port has such an address.
fn text(prefix: &str, moved: usize) -> String {
    let mut text = String::from(
        "region: KR1\nvpcs: [{ name: lab, cidr: 10.0.0.0/8 }]\nsubnets: [{ name: app, vpc: lab, cidr: 10.0.0.0/8 }]\n\
         security_groups:\n  - name: shared\n    rules:\n",
    );
    let mut rule = |port: usize, remote: &str| {
        let _ = writeln!(
            text,
            "      - {{ direction: ingress, protocol: tcp, port_range_min: {port}, port_range_max: {port}, {remote} }}"
        );
    };
    rule(1, &format!("remote_ip_prefix: {prefix}"));
    for number in 2..=SHARED_RULES {
        let remote = if number % 2 == 0 {
            "remote_group: shared"
        } else {
            "remote_ip_prefix: 10.7.0.0/16"
        };
        rule(number, remote);
    }
    for group in 0..PORTS / 10 {
        let _ = writeln!(text, "  - name: own{group}\n    rules:");
        for number in 0..OWN_RULES {
            let port = 20_000 + number;
            let _ = writeln!(
                text,
                "      - {{ direction: ingress, protocol: udp, port_range_min: {port}, port_range_max: {port} }}"
            );
        }
    }
    text.push_str("ports:\n");
    for port in 0..PORTS {
        let second = if port == 0 { 1 + moved } else { 1 };
        let addresses: Vec<String> = (0..ADDRESSES)
            .map(|number| format!("10.{second}.{}.{}", port / 4, 1 + 10 * (port % 4) + number))
            .collect();
        let _ = writeln!(
            text,
            "  - {{ name: p{port}, subnet: app, fixed_ips: [{}], security_groups: [shared, own{}] }}",
            addresses.join(", "),
            port % (PORTS / 10)
        );
    }
    text
}
