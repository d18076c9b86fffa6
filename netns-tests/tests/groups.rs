//! Groups as remotes, and what changes when their members do.

use netns_tests::{
    Plan,
    rules::{any_in, from_group, from_prefix, ping_in, tcp_in},
};
use std::time::Duration;

const SHORT: Duration = Duration::from_millis(700);

fn members_may_ping() -> Plan {
    let plan = Plan::new().group("members", &[] as &[&str]);
    plan.group("ping", &[from_group(ping_in(), "members")])
        .guest("a", &["members"])
        .guest("b", &["ping"])
        .guest("c", &["out"])
}

#[test]
fn a_rule_from_a_group_lets_its_members_in_and_nobody_else() {
    let mut lab = members_may_ping().start();
    let (a, b) = lab.pair("a", "b");
    assert!(a.pings(b.ip(), 2, 56));
    assert!(!lab.guest("c").pings(b.ip(), 1, 56));
    assert!(
        a.connect_within((b.ip(), 22), SHORT).is_err(),
        "the rule is about ICMP"
    );
    assert!(!b.pings(a.ip(), 1, 56), "and about one direction");
    lab.finish().are(&[
        "a egress icmp a>b ACCEPT",
        "b ingress icmp a>b ACCEPT",
        "b egress icmp b>a ACCEPT",
        "a ingress icmp b>a ACCEPT",
        "c egress icmp c>b ACCEPT",
        "b ingress icmp c>b DROP",
        "a egress tcp a>b:22 ACCEPT",
        "b ingress tcp a>b:22 DROP",
        "a ingress icmp b>a DROP",
    ]);
}

#[test]
fn who_leaves_the_group_is_refused_from_the_next_packet_on_and_who_joins_is_let_in() {
    let mut lab = members_may_ping().start();
    let (a, b) = lab.pair("a", "b");
    assert!(a.pings(b.ip(), 2, 56));
    lab.reload(|plan| plan.groups_of("a", &["out"]).groups_of("c", &["members"]));
    let (a, b) = lab.pair("a", "b");
    assert!(!a.pings(b.ip(), 1, 56));
    assert!(lab.guest("c").pings(b.ip(), 2, 56));
    lab.reload(|plan| plan.groups_of("a", &["members"]));
    let (a, b) = lab.pair("a", "b");
    assert!(a.pings(b.ip(), 2, 56));
    let _ = lab.finish();
}

#[test]
fn a_group_without_members_is_nobody_and_not_everybody() {
    let plan = Plan::new().group("empty", &[] as &[&str]);
    let plan = plan.group("closed", &[from_group(any_in(), "empty")]);
    let mut lab = plan.guest("a", &["out"]).guest("b", &["closed"]).start();
    let (a, b) = lab.pair("a", "b");
    assert!(!a.pings(b.ip(), 2, 56));
    // At least: of the neighbours' IPv6 multicast, too, nothing is let in.
    assert!(lab.drops("b", "default_deny") >= 2);
    let records = lab.finish();
    records.are(&["a egress icmp a>b ACCEPT", "b ingress icmp a>b DROP"]);
    assert_eq!(records.packets("b ingress icmp a>b DROP"), 2);
}

#[test]
fn two_groups_of_a_port_add_up_and_one_may_go_without_touching_the_other() {
    let plan = Plan::new()
        .group("ssh", &[tcp_in(22)])
        .group("ping", &[ping_in()]);
    let mut lab = plan
        .guest("a", &["out"])
        .guest("b", &["ssh", "ping"])
        .start();
    let (a, b) = lab.pair("a", "b");
    let (mut client, mut server) = a.connect(b, 22);
    assert!(a.pings(b.ip(), 1, 56));
    lab.reload(|plan| plan.groups_of("b", &["ssh"]));
    let (a, b) = lab.pair("a", "b");
    assert!(!a.pings(b.ip(), 1, 56));
    assert!(netns_tests::carries(&mut client, &mut server, 1000));
    lab.reload(|plan| plan.groups_of("b", &["ping", "ssh"]));
    let (a, b) = lab.pair("a", "b");
    assert!(a.pings(b.ip(), 1, 56));
    assert!(netns_tests::carries(&mut server, &mut client, 1000));
    let _ = lab.finish();
}

#[test]
fn a_rule_from_one_address_admits_that_address_alone() {
    let plan = Plan::new().group("one", &[from_prefix(tcp_in(80), "10.77.1.11/32")]);
    let plan = plan
        .guest("a", &["out"])
        .guest("b", &["one"])
        .guest("c", &["out"]);
    let mut lab = plan.start();
    let (a, b) = lab.pair("a", "b");
    let listener = b.listen(80);
    assert!(a.connect_within((b.ip(), 80), SHORT).is_ok());
    assert!(lab.guest("c").connect_within((b.ip(), 80), SHORT).is_err());
    drop(listener);
    let _ = lab.finish();
}
