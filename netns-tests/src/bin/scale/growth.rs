//! How cost grows: with ports, flows, rules and members.

use crate::{
    Options, probe,
    report::{Growth, Report},
    two_guests,
};
use anyhow::Result;
use netns_tests::{
    Crowd, Grid, Plan,
    rules::{from_group, ping_in, tcp_in},
};
use std::time::Instant;

/// What a start and a reload take.
struct Cost {
    start_ms: f64,
    reload_ms: f64,
    resident_mib: f64,
}

pub(crate) fn measure(_: &Options, report: &mut Report) -> Result<()> {
    report.add_growth(starts("ports", &[2, 100, 1000], |ports| {
        (
            two_guests().crowd(Crowd::new(ports - 2, &["open"])),
            one_rule_more,
        )
    }));
    report.add_growth(starts("rules", &[10, 100, 1000, 10_000], |rules| {
        let many = |rules: u32| -> Vec<String> { (1..=rules as u16).map(tcp_in).collect() };
        let plan = two_guests().group("many", &many(rules));
        let one_less = move |plan: Plan| plan.group("many", &many(rules - 1));
        (plan.groups_of("b", &["many"]), one_less)
    }));
    report.add_growth(starts("members", &[10, 100, 1000, 10_000], |members| {
        let crowd = Crowd {
            // Up to 101 addresses each.
            pairs: (members / 10).min(100) - 1,
            ..Crowd::new((members / 100).max(10), &["members"])
        };
        let plan = two_guests()
            .group("members", &[] as &[&str])
            .group("target", &[from_group(ping_in(), "members")])
            .groups_of("b", &["target"]);
        (plan.crowd(crowd), |plan| plan.groups_of("a", &["members"]))
    }));
    report.add_growth(flows());
    Ok(())
}

fn one_rule_more(plan: Plan) -> Plan {
    plan.group(
        "open",
        &[tcp_in(1), "direction: ingress, ethertype: IPv4".into()],
    )
}

/// Starts a switch with each number of something, and reloads it with a change.
fn starts<F: Fn(Plan) -> Plan>(
    of: &'static str,
    numbers: &[u32],
    plan: impl Fn(u32) -> (Plan, F),
) -> Growth {
    let cost = |number: u32| {
        let (plan, change) = plan(number);
        let mut lab = plan.prepare();
        let start = Instant::now();
        lab.start_daemon();
        let start_ms = start.elapsed().as_secs_f64() * 1e3;
        let resident_mib = probe::resident_mib(lab.daemon());
        let start = Instant::now();
        lab.reload(change);
        let reload_ms = start.elapsed().as_secs_f64() * 1e3;
        lab.end();
        Cost {
            start_ms,
            reload_ms,
            resident_mib,
        }
    };
    let costs: Vec<_> = numbers
        .iter()
        .map(|&number| (f64::from(number), cost(number)))
        .collect();
    let curve = |value: fn(&Cost) -> f64| {
        costs
            .iter()
            .map(|(number, cost)| (*number, value(cost)))
            .collect()
    };
    Growth {
        of,
        curves: vec![
            ("start, ms", curve(|cost| cost.start_ms)),
            ("reload, ms", curve(|cost| cost.reload_ms)),
            ("resident, MiB", curve(|cost| cost.resident_mib)),
        ],
    }
}

/// Memory with flows in the table, and what a reload takes then.
fn flows() -> Growth {
    let (mut resident, mut per_flow, mut reload) = (vec![], vec![], vec![]);
    for (sources, destinations) in [(1, 1), (10, 100), (250, 400), (1000, 1000)] {
        let grid = Grid {
            sources,
            destinations,
        };
        let plan = two_guests()
            .top("conntrack: { limit: 4000000, timeouts: { udp: 60 } }")
            .change("a", |port| port.keys = "conntrack_limit: 2000000".into());
        let mut lab = plan.start();
        let before = probe::resident_mib(lab.daemon());
        let (a, b) = lab.pair("a", "b");
        b.hears_nothing();
        grid.send(a, b);
        let after = probe::resident_mib(lab.daemon());
        let start = Instant::now();
        lab.reload(one_rule_more);
        let flows = grid.flows() as f64;
        reload.push((flows, start.elapsed().as_secs_f64() * 1e3));
        lab.audit();
        lab.end();
        resident.push((flows, after));
        per_flow.push((flows, (after - before) * 1_048_576.0 / flows));
    }
    Growth {
        of: "flows",
        curves: vec![
            ("reload, ms", reload),
            ("resident, MiB", resident),
            ("bytes per flow", per_flow),
        ],
    }
}
