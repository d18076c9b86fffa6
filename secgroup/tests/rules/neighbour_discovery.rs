//! Neighbour discovery and listener messages of IPv6.

use super::support::{A, B, C, admit, guest, ipv6, mac, pair, parse, receives, v6};
use packet::{Direction, Mac, Reason};
use secgroup::{Essential, Guard, PortSpec, Sender, untracked};
use std::net::Ipv6Addr;

const ICMPV6: u8 = 58;
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
const NOBODY: Ipv6Addr = Ipv6Addr::UNSPECIFIED;

fn message(kind: u8, target: Option<Ipv6Addr>, link_layer: Option<Mac>) -> Vec<u8> {
    let mut body = vec![kind, 0, 0, 0, 0, 0, 0, 0];
    if kind == 134 {
        body.extend([0; 8]);
    }
    body.extend(target.iter().flat_map(|target| target.octets()));
    if let Some(mac) = link_layer {
        body.extend([if kind == 136 { 2 } else { 1 }, 1]);
        body.extend(mac.0);
    }
    body
}

fn frame(src_mac: Mac, src: Ipv6Addr, body: &[u8]) -> Vec<u8> {
    ipv6(src_mac, src, ALL_NODES, (ICMPV6, 255), body)
}

fn solicit(src: Ipv6Addr, target: Ipv6Addr, link_layer: Option<Mac>) -> Vec<u8> {
    frame(mac(A), src, &message(135, Some(target), link_layer))
}

fn advertise(target: Ipv6Addr, link_layer: Option<Mac>) -> Vec<u8> {
    frame(
        mac(A),
        v6(A.into()),
        &message(136, Some(target), link_layer),
    )
}

fn own() -> Ipv6Addr {
    mac(A).link_local()
}

/// N01.
#[test]
fn a_guest_asks_for_any_neighbour_from_its_own_addresses() {
    for src in [v6(A.into()), own()] {
        assert_eq!(
            admit(&guest(A), &solicit(src, v6(B.into()), Some(mac(A)))),
            Ok(())
        );
        assert_eq!(admit(&guest(A), &solicit(src, v6(B.into()), None)), Ok(()));
    }
    let foreign = solicit(v6(C.into()), v6(B.into()), Some(mac(A)));
    assert_eq!(admit(&guest(A), &foreign), Err(Reason::SpoofIp));
    let wrong_option = solicit(own(), v6(B.into()), Some(mac(B)));
    assert_eq!(admit(&guest(A), &wrong_option), Err(Reason::SpoofNd));
}

/// N02, N03.
#[test]
fn duplicate_address_detection_passes_for_an_owned_target_only() {
    assert_eq!(
        admit(&guest(A), &solicit(NOBODY, v6(A.into()), None)),
        Ok(())
    );
    assert_eq!(admit(&guest(A), &solicit(NOBODY, own(), None)), Ok(()));
    let refused = Err(Reason::SpoofNd);
    assert_eq!(
        admit(&guest(A), &solicit(NOBODY, v6(B.into()), None)),
        refused
    );
    assert_eq!(
        admit(&guest(A), &solicit(NOBODY, own(), Some(mac(A)))),
        refused
    );
}

/// N04, N05, N07.
#[test]
fn a_guest_advertises_its_own_addresses_with_its_own_mac() {
    assert_eq!(
        admit(&guest(A), &advertise(v6(A.into()), Some(mac(A)))),
        Ok(())
    );
    assert_eq!(admit(&guest(A), &advertise(v6(A.into()), None)), Ok(()));
    let refused = Err(Reason::SpoofNd);
    assert_eq!(
        admit(&guest(A), &advertise(v6(B.into()), Some(mac(A)))),
        refused
    );
    assert_eq!(
        admit(&guest(A), &advertise(v6(A.into()), Some(mac(B)))),
        refused
    );
    let foreign_mac = frame(
        mac(66),
        v6(A.into()),
        &message(136, Some(v6(A.into())), None),
    );
    assert_eq!(admit(&guest(A), &foreign_mac), Err(Reason::SpoofMac));
    let pairs = vec![pair("2001:db8:9::/64", None)];
    let paired = PortSpec {
        allowed_address_pairs: pairs,
        ..guest(A)
    };
    assert_eq!(
        admit(&paired, &advertise("2001:db8:9::7".parse().unwrap(), None)),
        Ok(())
    );
}

/// N09.
#[test]
fn a_router_advertisement_comes_from_trusted_ports_only() {
    let ra = frame(mac(A), own(), &message(134, None, Some(mac(A))));
    assert_eq!(admit(&guest(A), &ra), Err(Reason::RaGuard));
    let uplink = PortSpec {
        uplink: true,
        ..guest(A)
    };
    assert_eq!(admit(&uplink, &ra), Ok(()));
    let heard = |trusted| {
        let sender = Sender {
            trusted,
            ..Sender::default()
        };
        Guard::new(&guest(B)).essential(Direction::Ingress, &parse(&ra), sender)
    };
    assert_eq!(heard(true), Essential::Pass);
    assert_eq!(heard(false), Essential::Refuse(Reason::RaGuard));
}

/// Who has the subnet's gateway address is its router, with port security too.
#[test]
fn the_port_with_the_gateways_address_advertises_routes_from_its_link_local_one() {
    let gateway = v6(1);
    let of = |last| PortSpec {
        gateway_ips: vec![gateway.into()],
        ..guest(last)
    };
    let with_pair = |prefix| PortSpec {
        allowed_address_pairs: vec![pair(prefix, None)],
        ..of(A)
    };
    let router = with_pair("2001:db8::1/128");
    let ra = |src, lladdr| frame(mac(A), src, &message(134, None, lladdr));
    assert_eq!(admit(&router, &ra(own(), Some(mac(A)))), Ok(()));
    assert_eq!(admit(&router, &ra(own(), None)), Ok(()));
    // Its own link-local address and MAC alone (RFC 4861, section 6.1.2).
    assert_eq!(
        admit(&router, &ra(own(), Some(mac(B)))),
        Err(Reason::SpoofNd)
    );
    assert_eq!(admit(&router, &ra(gateway, None)), Err(Reason::SpoofNd));
    assert_eq!(
        admit(&router, &ra(mac(B).link_local(), None)),
        Err(Reason::SpoofIp)
    );
    assert_eq!(admit(&router, &ra(NOBODY, None)), Err(Reason::SpoofNd));
    // A prefix around the gateway makes no router.
    for other in [of(A), with_pair("2001:db8::/64"), with_pair("::/0")] {
        assert_eq!(admit(&other, &ra(own(), None)), Err(Reason::RaGuard));
    }
    let heard = |sender: &PortSpec| {
        let sender = Guard::new(sender).as_sender();
        Guard::new(&of(B)).essential(Direction::Ingress, &parse(&ra(own(), None)), sender)
    };
    assert_eq!(heard(&router), Essential::Pass);
    assert_eq!(heard(&of(A)), Essential::Refuse(Reason::RaGuard));
}

#[test]
fn a_router_advertisement_behind_extension_headers_is_still_one() {
    let options = [ICMPV6, 0, 1, 4, 0, 0, 0, 0];
    let body = [&options[..], &message(134, None, None)].concat();
    for next in [0, 60] {
        let frame = ipv6(mac(A), own(), ALL_NODES, (next, 255), &body);
        assert_eq!(admit(&guest(A), &frame), Err(Reason::RaGuard));
    }
}

/// F14.
#[test]
fn fragmented_neighbour_discovery_is_refused() {
    let first = [ICMPV6, 0, 0, 1, 0, 0, 0, 7];
    for (kind, target, reason) in [
        (135, Some(v6(B.into())), Reason::SpoofNd),
        (136, Some(v6(A.into())), Reason::SpoofNd),
        (134, None, Reason::RaGuard),
    ] {
        let mut body = [&first[..], &message(kind, target, Some(mac(A)))].concat();
        body.truncate(8 + 16);
        let frame = ipv6(mac(A), own(), ALL_NODES, (44, 255), &body);
        assert_eq!(admit(&guest(A), &frame), Err(reason), "{kind}");
    }
}

/// N10.
#[test]
fn a_guest_solicits_routers_with_and_without_an_address() {
    let rs = |src, option| frame(mac(A), src, &message(133, None, option));
    assert_eq!(admit(&guest(A), &rs(own(), Some(mac(A)))), Ok(()));
    assert_eq!(admit(&guest(A), &rs(NOBODY, None)), Ok(()));
    assert_eq!(
        admit(&guest(A), &rs(own(), Some(mac(B)))),
        Err(Reason::SpoofNd)
    );
}

/// N11.
#[test]
fn listener_reports_pass_and_queries_need_a_rule() {
    let body = [143, 0, 0, 0, 0, 0, 0, 0];
    let egress = |frame: &[u8]| {
        let sender = Sender::default();
        Guard::new(&guest(A)).essential(Direction::Egress, &parse(frame), sender)
    };
    for src in [own(), NOBODY] {
        let report = ipv6(mac(A), src, ALL_NODES, (ICMPV6, 1), &body);
        assert_eq!(admit(&guest(A), &report), Ok(()));
        assert_eq!(egress(&report), Essential::Pass);
    }
    let query = ipv6(
        mac(A),
        own(),
        ALL_NODES,
        (ICMPV6, 1),
        &[130, 0, 0, 0, 0, 0, 0, 0],
    );
    assert_eq!(admit(&guest(A), &query), Ok(()));
    assert_eq!(egress(&query), Essential::No);
    let unicast = ipv6(mac(A), NOBODY, v6(B.into()), (ICMPV6, 1), &body);
    assert_eq!(admit(&guest(A), &unicast), Err(Reason::SpoofIp));
}

/// N12.
#[test]
fn neighbour_discovery_from_another_link_is_malformed_at_both_ends() {
    for (kind, target) in [(135, v6(B.into())), (136, v6(A.into()))] {
        let body = message(kind, Some(target), None);
        let frame = ipv6(mac(A), v6(A.into()), ALL_NODES, (ICMPV6, 64), &body);
        assert_eq!(admit(&guest(A), &frame), Err(Reason::Malformed));
        assert_eq!(receives(&guest(B), &frame), Err(Reason::Malformed));
    }
}

#[test]
fn a_port_without_ipv6_announces_the_link_local_address_of_its_mac_and_no_other() {
    let v4_only = PortSpec {
        fixed_ips: vec![super::support::v4(A).into()],
        ..guest(A)
    };
    let report = |src| {
        let body = [143, 0, 0, 0, 0, 0, 0, 0];
        ipv6(mac(A), src, ALL_NODES, (ICMPV6, 1), &body)
    };
    let rs = |src| frame(mac(A), src, &message(133, None, None));
    let advertise = |target| frame(mac(A), own(), &message(136, Some(target), Some(mac(A))));
    let stranger = mac(B).link_local();
    for (said, expected) in [
        // What a kernel says of an interface that comes up.
        (report(NOBODY), Ok(())),
        (solicit(NOBODY, own(), None), Ok(())),
        (report(own()), Ok(())),
        (rs(own()), Ok(())),
        (rs(NOBODY), Ok(())),
        (advertise(own()), Ok(())),
        // It is no excuse for another address, nor for anything but announcements.
        (solicit(NOBODY, stranger, None), Err(Reason::SpoofNd)),
        (solicit(NOBODY, v6(A.into()), None), Err(Reason::SpoofNd)),
        (advertise(stranger), Err(Reason::SpoofNd)),
        (report(stranger), Err(Reason::SpoofIp)),
        (rs(stranger), Err(Reason::SpoofIp)),
        (
            ipv6(
                mac(A),
                own(),
                stranger,
                (ICMPV6, 64),
                &[128, 0, 0, 0, 0, 1, 0, 1],
            ),
            Err(Reason::SpoofIp),
        ),
    ] {
        assert_eq!(admit(&v4_only, &said), expected);
    }
}

#[test]
fn an_option_of_length_0_is_malformed() {
    let mut body = message(136, Some(v6(A.into())), None);
    body.extend([2, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(
        admit(&guest(A), &frame(mac(A), v6(A.into()), &body)),
        Err(Reason::Malformed)
    );
}

/// RFC 4861, sections 6.1, 7.1 and 8.1: the code is 0. Whose advertisement it is comes first.
#[test]
fn neighbour_discovery_with_a_code_is_malformed_at_both_ends() {
    for kind in 133..=137 {
        let target = (kind > 134).then(|| v6(A.into()));
        let mut body = message(kind, target, None);
        body[1] = 1;
        let frame = frame(mac(A), v6(A.into()), &body);
        let at_sender = match kind {
            134 => Reason::RaGuard,
            _ => Reason::Malformed,
        };
        assert_eq!(admit(&guest(A), &frame), Err(at_sender), "{kind}");
        assert_eq!(
            receives(&guest(B), &frame),
            Err(Reason::Malformed),
            "{kind}"
        );
    }
}

#[test]
fn which_icmpv6_needs_no_rule_and_none_of_it_is_tracked() {
    let essential = |direction, kind: u8| {
        let body = [kind, 0, 0, 0, 0, 0, 0, 0];
        let headers = parse(&ipv6(mac(A), own(), v6(B.into()), (ICMPV6, 255), &body));
        let sender = Sender::default();
        (
            Guard::new(&guest(A)).essential(direction, &headers, sender),
            untracked(&headers),
        )
    };
    let of = |direction| -> Vec<u8> {
        (0..=255)
            .filter(|kind| essential(direction, *kind).0 == Essential::Pass)
            .collect()
    };
    assert_eq!(of(Direction::Egress), [131, 132, 133, 135, 136, 143]);
    assert_eq!(of(Direction::Ingress), [130, 135, 136]);
    let untracked: Vec<u8> = (0..=255)
        .filter(|kind| essential(Direction::Egress, *kind).1)
        .collect();
    assert_eq!(untracked, [130, 131, 132, 133, 134, 135, 136, 137, 143]);
}
