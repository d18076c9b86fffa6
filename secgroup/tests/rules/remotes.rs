//! Remote groups and address groups.

use super::support::{
    A, B, C, World, address_group, group, guest, icmp, id, mac, member, pair, tcp, udp, v4, v6,
};
use packet::Direction;
use secgroup::{Flow, PortSpec};

fn from_rg(service: &str) -> secgroup::Group {
    group(
        "B's",
        &[&format!("ingress IPv4 {service} from group {}", id("RG"))],
    )
}

/// G01, G02.
#[test]
fn what_two_groups_allow_stays_until_both_are_gone() {
    let g1 = group(
        "G1",
        &[
            "ingress IPv4 tcp 22 from any",
            "ingress IPv4 udp 9 from any",
        ],
    );
    let g2 = group(
        "G2",
        &["ingress IPv4 icmp from any", "ingress IPv4 udp 9 from any"],
    );
    let mut world = World::default();
    let mut asked = |groups: &[&secgroup::Group]| {
        [tcp(22, v4(A)), icmp(8, 0, v4(A)), udp(9, v4(A))].map(|flow| world.lets_in(groups, flow))
    };
    assert_eq!(asked(&[&g1, &g2]), [true, true, true]);
    assert_eq!(asked(&[&g1]), [true, false, true]);
    assert_eq!(asked(&[&g2]), [false, true, true]);
}

/// G04, G16.
#[test]
fn a_remote_group_is_its_members_and_nobody_else() {
    let mut world = World::with_members(&[member(A, &["RG"]), guest(C)]);
    let rules = from_rg("icmp");
    assert!(world.lets_in(&[&rules], icmp(8, 0, v4(A))));
    assert!(!world.lets_in(&[&rules], icmp(8, 0, v4(C))));
    assert!(!world.lets_in(&[&rules], tcp(80, v4(A))));
    let out = group("A's", &[&format!("egress IPv4 udp to group {}", id("RG"))]);
    assert!(world.lets_out(&[&out], udp(9, v4(A))));
    assert!(!world.lets_out(&[&out], udp(9, v4(C))));
}

/// G06, G07.
#[test]
fn a_remote_group_without_members_matches_nothing() {
    let mut world = World::default();
    let rules = from_rg("any");
    let asks =
        |world: &mut World| [v4(A), v4(C), v4(99)].map(|ip| world.lets_in(&[&rules], udp(9, ip)));
    assert_eq!(asks(&mut world), [false; 3]);
    let a = member(A, &["RG"]);
    world.members.join(&a);
    assert_eq!(asks(&mut world), [true, false, false]);
    world.members.leave(&a);
    assert_eq!(asks(&mut world), [false; 3]);
}

/// G08.
#[test]
fn a_member_matches_with_every_address_it_has() {
    let mut world = World::default();
    let before = member(A, &["RG"]);
    let mut after = before.clone();
    after.fixed_ips.push(v4(20).into());
    world.members.join(&before);
    assert!(!world.lets_in(&[&from_rg("any")], udp(9, v4(20))));
    world.members.leave(&before);
    world.members.join(&after);
    assert!(world.lets_in(&[&from_rg("any")], udp(9, v4(20))));
}

/// G09.
#[test]
fn a_member_matches_with_the_addresses_of_its_pairs() {
    let pairs = vec![
        pair("10.9.9.9/32", None),
        pair("10.8.0.0/16", Some(mac(77))),
    ];
    let a = PortSpec {
        allowed_address_pairs: pairs,
        ..member(A, &["RG"])
    };
    let mut world = World::with_members(&[a]);
    for (address, passes) in [
        ("10.9.9.9", true),
        ("10.8.255.1", true),
        ("10.9.9.8", false),
    ] {
        let address: std::net::IpAddr = address.parse().unwrap();
        assert_eq!(
            world.lets_in(&[&from_rg("any")], udp(9, address)),
            passes,
            "{address}"
        );
    }
}

#[test]
fn a_pair_of_length_0_speaks_for_the_frames_of_its_own_mac_only() {
    let pairs = vec![pair("0.0.0.0/0", None)];
    let a = PortSpec {
        allowed_address_pairs: pairs,
        ..member(A, &["RG"])
    };
    let mut world = World::with_members(std::slice::from_ref(&a));
    let stranger = |remote_mac| Flow {
        remote_mac,
        ..udp(9, v4(99))
    };
    assert!(world.lets_in(&[&from_rg("any")], stranger(mac(A))));
    assert!(!world.lets_in(&[&from_rg("any")], stranger(mac(C))));
    world.members.leave(&a);
    assert!(!world.lets_in(&[&from_rg("any")], stranger(mac(A))));
}

#[test]
fn an_address_that_two_members_share_stays_until_both_leave() {
    let shared = |last| PortSpec {
        allowed_address_pairs: vec![pair("10.9.9.9/32", None)],
        ..member(last, &["RG"])
    };
    let mut world = World::with_members(&[shared(A), shared(B)]);
    let address = "10.9.9.9".parse::<std::net::IpAddr>().unwrap();
    world.members.leave(&shared(A));
    assert!(world.lets_in(&[&from_rg("any")], udp(9, address)));
    world.members.leave(&shared(B));
    assert!(!world.lets_in(&[&from_rg("any")], udp(9, address)));
}

#[test]
fn a_leave_without_a_join_changes_nothing() {
    let mut world = World::with_members(&[member(A, &["RG"])]);
    world.members.leave(&member(B, &["RG"]));
    world.members.leave(&member(A, &["other"]));
    world.members.leave(&PortSpec {
        vpc: 9,
        ..member(A, &["RG"])
    });
    assert!(world.lets_in(&[&from_rg("any")], udp(9, v4(A))));
}

/// G11, G13.
#[test]
fn each_of_two_rules_with_the_same_remote_can_go_alone() {
    let mut world = World::with_members(&[member(A, &["RG"])]);
    world.lists = vec![address_group("AG", &["10.0.0.10/32"])];
    let by_list = group(
        "list",
        &[&format!("ingress IPv4 tcp from address-group {}", id("AG"))],
    );
    let by_group = from_rg("tcp");
    assert!(world.lets_in(&[&by_list, &by_group], tcp(80, v4(A))));
    assert!(world.lets_in(&[&by_list], tcp(80, v4(A))));
    assert!(world.lets_in(&[&by_group], tcp(80, v4(A))));
    let second = from_rg("tcp 82-83");
    assert!(!world.lets_in(&[&second], tcp(81, v4(A))));
    assert!(world.lets_in(&[&second], tcp(82, v4(A))));
}

/// G12.
#[test]
fn an_address_group_changes_for_all_who_name_it() {
    let rules = ["B1", "B2"].map(|name| {
        group(
            name,
            &[&format!("ingress IPv4 any from address-group {}", id("AG"))],
        )
    });
    let mut world = World {
        lists: vec![address_group("AG", &["10.0.0.10/32"])],
        ..World::default()
    };
    assert!(
        rules
            .iter()
            .all(|group| !world.lets_in(&[group], udp(9, v4(C))))
    );
    world.lists = vec![address_group(
        "AG",
        &["10.0.0.0/24", "10.0.0.12/32", "2001:db8::/64"],
    )];
    assert!(
        rules
            .iter()
            .all(|group| world.lets_in(&[group], udp(9, v4(C))))
    );
    assert!(
        rules
            .iter()
            .all(|group| !world.lets_in(&[group], udp(9, v6(C.into()))))
    );
}

/// G17.
#[test]
fn an_address_means_nothing_in_another_vpc() {
    let elsewhere = PortSpec {
        vpc: 1,
        ..member(C, &["RG"])
    };
    let world = World::with_members(&[elsewhere]);
    let policy = { World::default() }.compile(&[&from_rg("any")]);
    let passes = |vpc| {
        let flow = Flow {
            vpc,
            ..udp(9, v4(C))
        };
        policy
            .classify(Direction::Ingress, &flow, &world.members)
            .is_some()
    };
    assert_eq!(
        [passes(0), passes(1), passes(2), passes(u16::MAX)],
        [false, true, false, false]
    );
}

/// G20.
#[test]
fn ports_that_share_no_group_can_still_talk() {
    let rules = group("B's", &["ingress IPv4 icmp from 10.0.0.0/24"]);
    let mut world = World::with_members(&[member(A, &["another"])]);
    assert!(world.lets_in(&[&rules], icmp(8, 0, v4(A))));
}
