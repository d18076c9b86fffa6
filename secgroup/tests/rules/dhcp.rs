//! DHCP: guests are clients without a rule, and servers never.

use super::support::{A, B, C, admit, guest, ipv4, ipv6, mac, parse, to_mac, udp_body, v4, v6};
use packet::{Direction, Mac, Reason};
use secgroup::{Essential, Guard, PortSpec, Sender};
use std::net::{Ipv4Addr, Ipv6Addr};

const GUEST: Sender = Sender {
    trusted: false,
    serves_dhcp6: false,
    is_router: false,
};
const TRUSTED: Sender = Sender {
    trusted: true,
    serves_dhcp6: false,
    is_router: false,
};

fn discover(src_mac: Mac, src: Ipv4Addr) -> Vec<u8> {
    to_mac(
        ipv4(src_mac, src, Ipv4Addr::BROADCAST, 17, &udp_body(68, 67)),
        Mac::BROADCAST,
    )
}

fn offer(src: Ipv4Addr, dst: Ipv4Addr) -> Vec<u8> {
    ipv4(mac(C), src, dst, 17, &udp_body(67, 68))
}

fn essential(port: &PortSpec, direction: Direction, frame: &[u8], sender: Sender) -> Essential {
    Guard::new(port).essential(direction, &parse(frame), sender)
}

/// D01.
#[test]
fn a_guest_without_an_address_may_ask_for_one() {
    for src in [Ipv4Addr::UNSPECIFIED, v4(A)] {
        let frame = discover(mac(A), src);
        assert_eq!(admit(&guest(A), &frame), Ok(()));
        assert_eq!(
            essential(&guest(A), Direction::Egress, &frame, GUEST),
            Essential::Pass
        );
    }
    let own = mac(A).link_local();
    let servers = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 1, 2);
    let solicit = ipv6(mac(A), own, servers, (17, 1), &udp_body(546, 547));
    assert_eq!(admit(&guest(A), &solicit), Ok(()));
    assert_eq!(
        essential(&guest(A), Direction::Egress, &solicit, GUEST),
        Essential::Pass
    );
}

/// P05.
#[test]
fn asking_for_an_address_excuses_no_foreign_source() {
    assert_eq!(
        admit(&guest(A), &discover(mac(A), v4(99))),
        Err(Reason::SpoofIp)
    );
    let other_ports = ipv4(mac(A), Ipv4Addr::UNSPECIFIED, v4(B), 17, &udp_body(68, 68));
    assert_eq!(admit(&guest(A), &other_ports), Err(Reason::SpoofIp));
    let pairs = vec![super::support::pair("10.0.0.50/32", Some(mac(2)))];
    let a = PortSpec {
        allowed_address_pairs: pairs,
        ..guest(A)
    };
    let by_pair_mac = discover(mac(2), Ipv4Addr::UNSPECIFIED);
    assert_eq!(admit(&a, &by_pair_mac), Err(Reason::SpoofIp));
}

/// D02.
#[test]
fn a_guest_is_no_dhcp_server_whatever_its_rules() {
    for dst in [v4(B), Ipv4Addr::BROADCAST] {
        let frame = ipv4(mac(A), v4(A), dst, 17, &udp_body(67, 68));
        assert_eq!(admit(&guest(A), &frame), Err(Reason::DhcpServer));
    }
    let v6 = ipv6(
        mac(A),
        v6(A.into()),
        v6(B.into()),
        (17, 64),
        &udp_body(547, 546),
    );
    assert_eq!(admit(&guest(A), &v6), Err(Reason::DhcpServer));
}

#[test]
fn a_declared_server_may_answer_but_needs_a_rule_to() {
    let server = PortSpec {
        dhcp_servers: vec![v4(C).into()],
        ..guest(C)
    };
    let frame = offer(v4(C), v4(B));
    assert_eq!(admit(&server, &frame), Ok(()));
    assert_eq!(
        essential(&server, Direction::Egress, &frame, GUEST),
        Essential::No
    );
}

/// D01, D05.
#[test]
fn answers_are_taken_from_the_gateway_a_declared_server_or_a_trusted_port() {
    let b = PortSpec {
        dhcp_servers: vec![v4(C).into()],
        ..guest(B)
    };
    let heard = |src, sender| essential(&b, Direction::Ingress, &offer(src, v4(B)), sender);
    assert_eq!(heard(v4(1), GUEST), Essential::Pass, "gateway");
    assert_eq!(heard(v4(C), GUEST), Essential::Pass, "declared");
    assert_eq!(heard(v4(77), TRUSTED), Essential::Pass, "trusted");
    assert_eq!(heard(v4(77), GUEST), Essential::Refuse(Reason::DhcpServer));
}

/// RFC 8415, section 18.3.10: a server answers a link-local client from its own link-local address.
#[test]
fn a_declared_dhcpv6_server_answers_from_its_link_local_address_and_nobody_else_does() {
    let declared = vec![v6(C.into()).into()];
    let of = |last| PortSpec {
        dhcp_servers: declared.clone(),
        ..guest(last)
    };
    let advertise = |last| {
        let (from, to) = (mac(last).link_local(), mac(B).link_local());
        ipv6(mac(last), from, to, (17, 64), &udp_body(547, 546))
    };
    assert_eq!(admit(&of(C), &advertise(C)), Ok(()));
    assert_eq!(admit(&of(A), &advertise(A)), Err(Reason::DhcpServer));
    let heard = |from: u8| {
        let sender = Guard::new(&of(from)).as_sender();
        essential(&of(B), Direction::Ingress, &advertise(from), sender)
    };
    assert_eq!(heard(C), Essential::Pass);
    assert_eq!(heard(A), Essential::Refuse(Reason::DhcpServer));
    // The link-local address of another is no more its own than before.
    let stolen = ipv6(
        mac(C),
        mac(A).link_local(),
        mac(B).link_local(),
        (17, 64),
        &udp_body(547, 546),
    );
    assert_eq!(admit(&of(C), &stolen), Err(Reason::SpoofIp));
    // Declared by an address of a pair, it is declared with the pair's MAC.
    let by_pair = PortSpec {
        allowed_address_pairs: vec![super::support::pair("2001:db8::c/128", Some(mac(2)))],
        ..of(A)
    };
    let from_pair = |src: Mac| {
        ipv6(
            src,
            src.link_local(),
            mac(B).link_local(),
            (17, 64),
            &udp_body(547, 546),
        )
    };
    assert_eq!(admit(&by_pair, &from_pair(mac(2))), Ok(()));
}

#[test]
fn a_pair_for_a_whole_network_makes_no_guest_a_dhcpv6_server() {
    for prefix in ["::/0", "2001:db8::/64"] {
        let router = PortSpec {
            dhcp_servers: vec![v6(C.into()).into()],
            allowed_address_pairs: vec![super::support::pair(prefix, None)],
            ..guest(A)
        };
        let (from, to) = (mac(A).link_local(), mac(B).link_local());
        let advertise = ipv6(mac(A), from, to, (17, 64), &udp_body(547, 546));
        assert_eq!(
            admit(&router, &advertise),
            Err(Reason::DhcpServer),
            "{prefix}"
        );
        assert!(!Guard::new(&router).as_sender().serves_dhcp6);
    }
}

#[test]
fn a_server_declared_by_its_ipv4_address_serves_ipv4_alone() {
    let server = PortSpec {
        dhcp_servers: vec![v4(C).into()],
        ..guest(C)
    };
    let (from, to) = (mac(C).link_local(), mac(B).link_local());
    let advertise = ipv6(mac(C), from, to, (17, 64), &udp_body(547, 546));
    assert_eq!(admit(&server, &advertise), Err(Reason::DhcpServer));
}

#[test]
fn a_question_to_a_server_needs_a_rule_at_the_server() {
    let frame = discover(mac(A), Ipv4Addr::UNSPECIFIED);
    assert_eq!(
        essential(&guest(C), Direction::Ingress, &frame, GUEST),
        Essential::No
    );
}

#[test]
fn other_udp_is_no_essential() {
    let frame = ipv4(mac(A), v4(A), v4(B), 17, &udp_body(40_000, 53));
    for direction in [Direction::Egress, Direction::Ingress] {
        assert_eq!(
            essential(&guest(A), direction, &frame, TRUSTED),
            Essential::No
        );
    }
}
