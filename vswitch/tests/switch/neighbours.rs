//! N: IPv6 neighbour discovery.

use crate::laboratory::Lab;
use crate::setup::{NONE, Setup};
use packet::Reason;
use secgroup::Pair;

fn closed() -> Lab {
    Lab::new(
        Setup::new()
            .group("A", NONE)
            .group("B", NONE)
            .group("C", NONE),
    )
}

const TO_ALL: &str = "A> essential, >B essential, >C essential, >U unfiltered";

/// N01, N02, N03.
#[test]
fn a_guest_asks_for_its_neighbours_and_for_nobody_elses_address() {
    let mut lab = closed();
    lab.all_see(&[
        (
            "A",
            "icmpv6 A6 > ff02::1:ff00:11 neighbour-solicitation target=B6 lladdr=A.mac",
            TO_ALL,
        ),
        (
            "A",
            "icmpv6 A.ll > ff02::1:ff00:b neighbour-solicitation target=B.ll lladdr=A.mac",
            TO_ALL,
        ),
        (
            "B",
            "icmpv6 B6 > A6 neighbour-advertisement target=B6 lladdr=B.mac",
            "B> essential, >A essential",
        ),
        (
            "A",
            "icmpv6 :: > ff02::1:ff00:10 neighbour-solicitation target=A6",
            TO_ALL,
        ),
        (
            "A",
            "icmpv6 :: > ff02::1:ff00:a neighbour-solicitation target=A.ll",
            TO_ALL,
        ),
        (
            "A",
            "icmpv6 :: > ff02::1:ff00:11 neighbour-solicitation target=B6",
            "A> spoof_nd",
        ),
        (
            "A",
            "icmpv6 A6 > ff02::1:ff00:11 neighbour-solicitation target=B6 lladdr=B.mac",
            "A> spoof_nd",
        ),
    ]);
}

/// N04, N05, N07.
#[test]
fn a_guest_advertises_its_own_addresses_alone() {
    let pair = Pair {
        prefix: "2001:db8::50/128".parse().unwrap(),
        mac: None,
    };
    let setup = Setup::new().group("A", NONE).group("B", NONE);
    let mut lab = Lab::new(setup.port("A", |port| port.spec.allowed_address_pairs.push(pair)));
    lab.all_see(&[
        (
            "A",
            "icmpv6 A6 > B6 neighbour-advertisement target=A6 lladdr=A.mac",
            "A> essential, >B essential",
        ),
        (
            "A",
            "icmpv6 A6 > B6 neighbour-advertisement target=2001:db8::50 lladdr=A.mac",
            "A> essential, >B essential",
        ),
        (
            "A",
            "icmpv6 A6 > B6 neighbour-advertisement target=B6 lladdr=A.mac",
            "A> spoof_nd",
        ),
        (
            "A",
            "icmpv6 A6 > B6 neighbour-advertisement target=A6 lladdr=C.mac",
            "A> spoof_nd",
        ),
        (
            "A",
            "icmpv6 A6 > B6 neighbour-advertisement target=A6 from fa:16:3e:00:00:77",
            "A> spoof_mac",
        ),
    ]);
}

/// N09, N10, F14.
#[test]
fn routers_speak_from_trusted_ports_and_guests_ask_them() {
    let mut lab = closed();
    lab.all_see(&[
        (
            "U",
            "icmpv6 U.ll > ff02::1 router-advertisement",
            "U> unfiltered, >A essential, >B essential, >C essential",
        ),
        (
            "A",
            "icmpv6 A.ll > ff02::1 router-advertisement",
            "A> ra_guard",
        ),
        (
            "A",
            "icmpv6 A.ll > U.ll router-solicitation",
            "A> essential, >U unfiltered",
        ),
        (
            "A",
            "icmpv6 :: > U.ll router-solicitation",
            "A> essential, >U unfiltered",
        ),
        (
            "A",
            "icmpv6 A6 > B6 neighbour-solicitation frag=1:0:16:+",
            "A> spoof_nd",
        ),
        (
            "A",
            "icmpv6 A6 > B6 neighbour-advertisement frag=2:0:16:+",
            "A> spoof_nd",
        ),
        (
            "A",
            "icmpv6 A.ll > B6 router-advertisement frag=3:0:8:+",
            "A> ra_guard",
        ),
        ("A", "icmpv6 A6 > B6 frag=1:16:8", "held"),
    ]);
    assert_eq!(lab.refused("A", Reason::RaGuard), 2);
}

/// N11, N12.
#[test]
fn listener_reports_pass_queries_need_a_rule_and_nothing_comes_from_another_link() {
    let mut lab = closed();
    lab.all_see(&[
        (
            "A",
            "icmpv6 A.ll > ff02::16 mld2-report len=20",
            "A> essential, >U unfiltered",
        ),
        (
            "A",
            "icmpv6 :: > ff02::16 mld2-report len=20",
            "A> essential, >U unfiltered",
        ),
        (
            "A",
            "icmpv6 A.ll > ff02::1 mld-query len=20",
            "A> default_deny",
        ),
        (
            "A",
            "icmpv6 A6 > B6 neighbour-solicitation target=B6 ttl=64",
            "A> malformed",
        ),
        (
            "U",
            "icmpv6 U6 > B6 neighbour-advertisement target=U6 ttl=64",
            "U> unfiltered, >B malformed",
        ),
    ]);
}

/// What a kernel says of every interface that comes up, at a port with IPv4 alone.
#[test]
fn a_guest_without_ipv6_announces_itself_and_nobody_refuses_it() {
    let only_v4 =
        |port: &mut vswitch::switch::PortConfig| port.spec.fixed_ips.retain(|ip| ip.is_ipv4());
    let setup = ["A", "B"]
        .into_iter()
        .fold(Setup::new().group("C", "out, in6 icmpv6"), |setup, name| {
            setup.port(name, only_v4)
        });
    let mut lab = Lab::new(setup);
    let link_local = "fe80::f816:3eff:fe00:a";
    let to_routers = "A> essential, >C rule, >U unfiltered";
    for (said, fate) in [
        (
            "icmpv6 :: > ff02::16 mld2-report len=20".to_owned(),
            to_routers,
        ),
        (
            format!("icmpv6 :: > ff02::1:ff00:a neighbour-solicitation target={link_local}"),
            TO_ALL,
        ),
        (
            format!("icmpv6 {link_local} > ff02::16 mld2-report len=20"),
            to_routers,
        ),
        (
            format!("icmpv6 {link_local} > ff02::2 router-solicitation lladdr=A.mac"),
            to_routers,
        ),
    ] {
        lab.sees("A", &said, fate);
    }
    for port in ["A", "B", "C"] {
        let counters = lab.of(port);
        assert_eq!(counters.refused.iter().sum::<u64>(), 0, "{port}");
    }
    // Nothing else of IPv6 is its own.
    let ping = format!("icmpv6 {link_local} > fe80::f816:3eff:fe00:c echo-request id=1 to C.mac");
    lab.sees("A", &ping, "A> spoof_ip");
}

/// The subnet's gateway address in a pair makes a guest its router.
#[test]
fn a_guest_with_the_gateways_address_advertises_routes() {
    let pair = Pair {
        prefix: "2001:db8::1/128".parse().unwrap(),
        mac: None,
    };
    let setup = Setup::new().group("B", NONE);
    let mut lab = Lab::new(setup.port("A", |port| port.spec.allowed_address_pairs.push(pair)));
    lab.sees(
        "A",
        "icmpv6 A.ll > ff02::1 router-advertisement lladdr=A.mac",
        "A> rule, >B essential, >C essential, >U unfiltered",
    );
    lab.sees(
        "C",
        "icmpv6 C.ll > ff02::1 router-advertisement",
        "C> ra_guard",
    );
}
