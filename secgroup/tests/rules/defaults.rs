//! Default deny, and the groups that everybody has.

use super::support::{A, B, World, group, icmp, id, member, tcp, udp, v4, v6};
use secgroup::{Group, Policy, RuleTable};

/// M01, M02.
#[test]
fn a_policy_without_rules_or_groups_matches_nothing() {
    let none = group("none", &[]);
    let mut world = World::default();
    for groups in [&[][..], &[&none]] {
        for flow in [tcp(80, v4(A)), udp(53, v6(A.into())), icmp(8, 0, v4(A))] {
            assert!(!world.lets_in(groups, flow));
            assert!(!world.lets_out(groups, flow));
        }
    }
}

/// M05.
#[test]
fn a_new_group_lets_out_everything_of_both_families_and_nothing_in() {
    let rules = Group::default_egress_rules(id("new"));
    let texts: Vec<_> = rules.iter().map(ToString::to_string).collect();
    assert_eq!(texts, ["egress IPv4 any to any", "egress IPv6 any to any"]);
    let group = Group {
        rules,
        ..group("new", &[])
    };
    let mut world = World::default();
    assert!(world.lets_out(&[&group], udp(9, v4(A))));
    assert!(world.lets_out(&[&group], udp(9, v6(A.into()))));
    assert!(!world.lets_in(&[&group], udp(9, v4(A))));
}

/// M04.
#[test]
fn the_built_in_default_group_lets_its_own_members_in_and_nobody_else() {
    let default = Group::built_in_default(id("default"));
    assert_eq!((default.name.as_str(), default.rules.len()), ("default", 4));
    let mut world = World::with_members(&[member(A, &["default"]), member(B, &["default"])]);
    assert!(world.lets_in(&[&default], icmp(8, 0, v4(A))));
    assert!(world.lets_in(&[&default], icmp(128, 0, v6(A.into()))));
    assert!(!world.lets_in(&[&default], icmp(8, 0, v4(99))));
    assert!(world.lets_out(&[&default], icmp(8, 0, v4(99))));
}

/// M06.
#[test]
fn a_rule_of_one_family_says_nothing_of_the_other() {
    let group = group("v4 only", &["egress IPv4 any to any"]);
    let mut world = World::default();
    assert!(world.lets_out(&[&group], udp(9, v4(B))));
    assert!(!world.lets_out(&[&group], udp(9, v6(B.into()))));
}

#[test]
fn a_policy_is_stateful_unless_its_groups_are_not_and_never_both() {
    let stateful = group("s", &[]);
    let stateless = Group {
        stateful: false,
        ..group("t", &[])
    };
    let compile = |groups: &[&Group]| Policy::compile(groups, &[], &mut RuleTable::default());
    assert!(compile(&[&stateful]).unwrap().is_stateful());
    assert!(!compile(&[&stateless]).unwrap().is_stateful());
    assert!(compile(&[&stateful, &stateless]).is_err());
}
