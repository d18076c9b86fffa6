//! What a reload costs, and how long of it the switch's lock is held.
//!
//! ```text
//! cargo bench -p vswitch --bench reload
//! ```
//! A thousand ports in a shared group of 9,000 rules, and each in one of a hundred groups of ten rules more;
//! 10,000 member addresses. Prints the least of several rounds.
#![forbid(unsafe_code)]

use secgroup::RuleTable;
use std::fmt::Write;
use std::time::{Duration, Instant};
use vswitch::{
    config::Config,
    run::switch_config,
    switch::{Compiled, Now, Prepared, Switch},
};

const PORTS: usize = 1000;
/// Rules of the group that every port has.
const SHARED_RULES: usize = 9_000;
/// Rules of each of the groups that ten ports have.
const OWN_RULES: usize = 10;
/// Addresses of each port: ten make 10,000 members.
const ADDRESSES: usize = 10;
const ROUNDS: usize = 5;
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
        let started = Instant::now();
        let swapped = switch.apply(NOW, prepared);
        let locked = started.elapsed();
        drop((swapped, switch.spare_memory()));
        compiled = next;
        // The first one attaches every port: no reload.
        if round > 0 {
            for (least, time) in least.iter_mut().zip([read, prepared_in, locked]) {
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
