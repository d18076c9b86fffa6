//! Much of everything, bounded so that it is no burden: hundreds of ports, a hundred thousand flows,
//! thousands of members and rules. `cargo xtask scale` takes ten times as many and the time as well; here
//! only what comes out counts.

use netns_tests::{
    Crowd, Grid, Guest, Lab, Plan,
    rules::{any_in, from_group, ping_in, tcp_in},
};
use std::net::Ipv4Addr;

const PORTS: u32 = 200;

fn guests() -> Plan {
    let plan = Plan::new().no_loggers().group("open", &[any_in()]);
    plan.guest("a", &["open"]).guest("b", &["open"])
}

/// How many ports `vswitch show ports` has, and how many of them are up.
fn ports(lab: &Lab) -> (usize, usize) {
    let rows = lab.show("ports");
    let rows = rows.as_array().cloned().unwrap_or_default();
    let up = rows.iter().filter(|row| row["up"] == true).count();
    (rows.len(), up)
}

#[test]
fn hundreds_of_ports_come_up_hear_a_broadcast_and_leave_nothing_behind() {
    for io in ["read_write", "io_uring"] {
        let crowd = Crowd::new(PORTS, &["open"]);
        let plan = guests().crowd(crowd).top(&format!("io: {io}\nworkers: 2"));
        let mut lab = plan.start();
        let all = PORTS as usize + 2;
        assert_eq!(ports(&lab), (all, all), "{io}");
        let (a, b) = lab.pair("a", "b");
        // By a broadcast, for nobody knows the other's address.
        assert!(a.pings(b.ip(), 5, 56), "{io}");
        lab.audit();
        let crowd = format!("/run/netns/{}crowd", lab.prefix());
        assert!(std::fs::exists(&crowd).is_ok_and(|exists| exists));
        lab.end();
        assert!(std::fs::exists(&crowd).is_ok_and(|exists| !exists));
    }
}

#[test]
fn a_reload_takes_hundreds_of_ports_away_and_brings_others_under_traffic() {
    let mut lab = guests().crowd(Crowd::new(PORTS, &["open"])).start();
    let (a, b) = (lab.guest("a").clone(), lab.guest("b").clone());
    a.knows(&[&b]);
    b.knows(&[&a]);
    std::thread::scope(|scope| {
        let pings = scope.spawn(|| a.pings(b.ip(), 60, 56));
        lab.reload(|plan| plan.crowd(Crowd::default()));
        assert_eq!(ports(&lab), (2, 2));
        lab.reload(|plan| {
            plan.crowd(Crowd {
                apart: true,
                ..Crowd::new(20, &["open"])
            })
        });
        assert_eq!(ports(&lab), (22, 22));
        assert!(pings.join().expect("no panic"), "a ping was lost");
    });
    lab.audit();
    lab.end();
}

#[test]
fn a_hundred_thousand_flows_of_an_interval_are_a_record_each_at_both_ends() {
    let logger = |name: &str, format: &str| {
        format!(
            "name: {name}, resource_type: VPC, resource: lab, aggregation_interval: 15m, log_format: {format}"
        )
    };
    let mut lab = guests()
        .logger(&logger("csv", "CSV"))
        .logger(&logger("parquet", "PARQUET"))
        .start();
    let (a, b) = (lab.guest("a").clone(), lab.guest("b").clone());
    b.hears_nothing();
    let grid = Grid {
        sources: 250,
        destinations: 400,
    };
    grid.send(&a, &b);
    lab.audit();
    let skipped = lab.show("ports");
    let skipped = skipped.as_array().cloned().unwrap_or_default();
    assert!(
        skipped.iter().all(|port| port["skipped"] == 0),
        "{skipped:?}"
    );
    lab.end();
    for number in 0..2 {
        let found = grid.count(&lab.dir().join(format!("flowlogs/{number}")));
        assert_eq!(
            (found.exact(), found.records()),
            (100_000, 200_000),
            "logger {number}"
        );
        assert_eq!(found.not_ok, 0);
        let (last, whole) = found.rows.split_last().expect("files");
        assert!(
            whole.iter().all(|&rows| rows == 20_000) && *last <= 20_000,
            "{:?}",
            found.rows
        );
    }
}

/// An echo request of `from` with one of its addresses as its source.
fn pings_as(from: &Guest, source: Ipv4Addr, to: &Guest) -> bool {
    let line = format!("ping -n -q -c 1 -W 1 -I {source} {}", to.ip());
    from.run(&line).code == Some(0)
}

#[test]
fn thousands_of_members_may_speak_until_they_leave_and_nobody_else_may() {
    let member = Ipv4Addr::new(10, 201, 0, 7);
    let rules: Vec<_> = (1..2000)
        .map(tcp_in)
        .chain([from_group(ping_in(), "members")])
        .collect();
    let crowd = Crowd {
        pairs: 99,
        ..Crowd::new(20, &["members"])
    };
    assert_eq!(crowd.members(), 2000);
    let plan = guests()
        .group("members", &[] as &[&str])
        .group("target", &rules);
    let plan = plan
        .groups_of("a", &["members"])
        .groups_of("b", &["target"]);
    let mut lab = plan
        .logger("name: log, resource_type: PORT, resource: b, aggregation_interval: 15m")
        .change("a", |port| {
            port.keys = format!("allowed_address_pairs: [{{ ip_address: {member} }}]");
        })
        .guest("stranger", &["open"])
        .crowd(crowd)
        .start();
    let [a, b, stranger] = ["a", "b", "stranger"].map(|name| lab.guest(name).clone());
    for (guest, line) in [
        (
            &a,
            format!("ip addr add {member}/32 dev {}", a.port().tap()),
        ),
        (&b, format!("ip route add {member} dev {}", b.port().tap())),
    ] {
        let _ = guest.run(&line).ok();
    }
    assert!(pings_as(&a, a.ip(), &b) && pings_as(&a, member, &b));
    assert!(!pings_as(&stranger, stranger.ip(), &b));

    std::thread::scope(|scope| {
        let pings = scope.spawn(|| a.pings(b.ip(), 30, 56));
        // Others leave, and so does one address of a port that stays.
        lab.reload(|plan| {
            let crowd = Crowd {
                pairs: 99,
                ..Crowd::new(10, &["members"])
            };
            plan.crowd(crowd)
                .change("a", |port| port.keys = String::new())
        });
        assert!(pings.join().expect("no panic"), "a ping was lost");
    });
    assert!(!pings_as(&a, member, &b), "it is no member any more");
    let records = lab.finish();
    assert_eq!(records.packets("b ingress icmp stranger>b DROP"), 1);
    assert!(records.packets("b ingress icmp a>b ACCEPT") > 30);
}
