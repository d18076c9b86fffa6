//! A group of ten thousand members and a group of ten thousand rules: loaded, changed under traffic, and
//! right about who may pass.

use crate::{
    Options, probe,
    report::{Report, figure},
};
use anyhow::Result;
use netns_tests::{
    Crowd, Guest, Plan,
    rules::{any_in, from_group, ping_in, tcp_in},
};
use std::time::{Duration, Instant};

/// With the guest that is one of them: 99 × 101 + 1 members.
const PORTS: u32 = 99;
const PAIRS: u32 = 100;
/// With the one for members.
const TCP_RULES: u16 = 9_999;
/// How long a message may take; those who are refused wait for it.
const PATIENCE: Duration = Duration::from_secs(1);

pub(crate) fn measure(_: &Options, report: &mut Report) -> Result<()> {
    let mut lab = plan().prepare();
    let start = Instant::now();
    lab.start_daemon();
    let started = start.elapsed();
    let resident = probe::resident_mib(lab.daemon());
    let [member, target, stranger] = ["a", "b", "c"].map(|name| lab.guest(name).clone());
    for (guest, other) in [(&member, &target), (&stranger, &target)] {
        guest.knows(&[other]);
        target.knows(&[guest]);
    }
    let accepted = u32::from(member.pings(target.ip(), 1, 56));
    let refused = u32::from(!reaches(&stranger, &target));

    let mut took = vec![];
    let unharmed = std::thread::scope(|scope| {
        // 4 s of it, 20 a second.
        let pings = scope.spawn(|| member.pings(target.ip(), 80, 56));
        // A member less, a member more; then the stranger joins them.
        for ports in [PORTS - 1, PORTS] {
            let start = Instant::now();
            lab.reload(|plan| plan.crowd(crowd(ports)));
            took.push(start.elapsed().as_secs_f64());
        }
        let start = Instant::now();
        lab.reload(|plan| plan.groups_of("c", &["members"]));
        took.push(start.elapsed().as_secs_f64());
        pings.join().unwrap_or_default()
    });
    let joined = u32::from(stranger.pings(target.ip(), 1, 56));
    lab.reload(|plan| plan.groups_of("c", &["open"]));
    let left = u32::from(!reaches(&stranger, &target));
    let start = Instant::now();
    lab.reload(|plan| plan.group("target", &rules(TCP_RULES - 1)));
    let rules_took = start.elapsed().as_secs_f64();
    lab.audit();
    let after = probe::resident_mib(lab.daemon());
    lab.end();
    let slowest = took.into_iter().fold(0.0, f64::max);
    let yes = |name, value: u32| figure(name, f64::from(value), "").exactly(1.0);
    let figures = [
        figure("start", started.as_secs_f64(), "s"),
        figure("resident", resident, "MiB"),
        figure("resident after six reloads", after, "MiB"),
        figure(
            "reload that changes members, slowest of three",
            slowest,
            "s",
        ),
        figure("reload that changes one of the rules", rules_took, "s"),
        yes("a member passes", accepted),
        yes("a stranger is refused", refused),
        yes("no ping lost over three reloads", u32::from(unharmed)),
        yes("who joins passes", joined),
        yes("who leaves is refused", left),
    ];
    report.add("members", "10,000 members, 10,000 rules", &figures);
    Ok(())
}

fn crowd(ports: u32) -> Crowd {
    Crowd {
        pairs: PAIRS,
        ..Crowd::new(ports, &["members"])
    }
}

fn rules(tcp: u16) -> Vec<String> {
    (1..=tcp)
        .map(tcp_in)
        .chain([from_group(ping_in(), "members")])
        .collect()
}

fn plan() -> Plan {
    Plan::new()
        .no_loggers()
        .group("open", &[any_in()])
        .group("members", &[] as &[&str])
        .group("target", &rules(TCP_RULES))
        .guest("a", &["members"])
        .guest("b", &["target"])
        .guest("c", &["open"])
        .crowd(crowd(PORTS))
}

/// Whether a single echo request is answered in time.
fn reaches(from: &Guest, to: &Guest) -> bool {
    let line = format!("ping -n -q -c 1 -W {} {}", PATIENCE.as_secs(), to.ip());
    from.run(&line).code == Some(0)
}
