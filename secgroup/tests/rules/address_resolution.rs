//! ARP and RARP: three checks, and nobody speaks for another.

use super::support::{A, B, C, admit, ethernet, guest, mac, pair, receives, v4};
use packet::{Direction, Mac, Reason, ethertype};
use secgroup::{Essential, Guard, PortSpec, Sender};
use std::net::Ipv4Addr;

const REQUEST: u8 = 1;
const REPLY: u8 = 2;

fn body(operation: u8, sender: (Mac, Ipv4Addr), target: Ipv4Addr) -> Vec<u8> {
    let fixed = [0, 1, 8, 0, 6, 4, 0, operation];
    [
        &fixed[..],
        &sender.0.0,
        &sender.1.octets(),
        &[0; 6],
        &target.octets(),
    ]
    .concat()
}

fn arp(operation: u8, src: Mac, sender: (Mac, Ipv4Addr), target: Ipv4Addr) -> Vec<u8> {
    ethernet(
        Mac::BROADCAST,
        src,
        ethertype::ARP,
        &body(operation, sender, target),
    )
}

fn from_a(operation: u8, address: Ipv4Addr, target: Ipv4Addr) -> Vec<u8> {
    arp(operation, mac(A), (mac(A), address), target)
}

/// P10.
#[test]
fn a_guest_speaks_arp_for_its_own_address() {
    for operation in [REQUEST, REPLY] {
        assert_eq!(admit(&guest(A), &from_a(operation, v4(A), v4(B))), Ok(()));
        assert_eq!(
            admit(&guest(A), &from_a(operation, v4(A), v4(A))),
            Ok(()),
            "announcement"
        );
    }
}

/// P11, P12, P13.
#[test]
fn arp_that_speaks_for_another_is_refused() {
    let refused = Err(Reason::SpoofArp);
    assert_eq!(admit(&guest(A), &from_a(REPLY, v4(1), v4(B))), refused);
    assert_eq!(admit(&guest(A), &from_a(REQUEST, v4(B), v4(C))), refused);
    let wrong_inside = arp(REPLY, mac(A), (mac(B), v4(A)), v4(C));
    assert_eq!(admit(&guest(A), &wrong_inside), refused);
    let wrong_outside = arp(REPLY, mac(B), (mac(A), v4(A)), v4(C));
    assert_eq!(admit(&guest(A), &wrong_outside), Err(Reason::SpoofMac));
}

/// P14.
#[test]
fn arp_for_the_address_of_a_pair_passes_with_the_mac_of_the_pair() {
    let pairs = vec![
        pair("10.0.0.50/32", None),
        pair("10.0.0.51/32", Some(mac(2))),
    ];
    let a = PortSpec {
        allowed_address_pairs: pairs,
        ..guest(A)
    };
    assert_eq!(admit(&a, &from_a(REPLY, v4(50), v4(B))), Ok(()));
    assert_eq!(
        admit(&a, &from_a(REPLY, v4(51), v4(B))),
        Err(Reason::SpoofArp)
    );
    assert_eq!(
        admit(&a, &arp(REPLY, mac(2), (mac(2), v4(51)), v4(B))),
        Ok(())
    );
}

#[test]
fn a_probe_passes_for_an_owned_address_only() {
    assert_eq!(
        admit(&guest(A), &from_a(REQUEST, Ipv4Addr::UNSPECIFIED, v4(A))),
        Ok(())
    );
    let refused = Err(Reason::SpoofArp);
    assert_eq!(
        admit(&guest(A), &from_a(REQUEST, Ipv4Addr::UNSPECIFIED, v4(B))),
        refused
    );
    assert_eq!(
        admit(&guest(A), &from_a(REPLY, Ipv4Addr::UNSPECIFIED, v4(A))),
        refused
    );
}

/// P17.
#[test]
fn rarp_announces_the_own_mac_only() {
    let rarp = |src: Mac| {
        let body = body(3, (src, Ipv4Addr::UNSPECIFIED), Ipv4Addr::UNSPECIFIED);
        ethernet(Mac::BROADCAST, src, ethertype::RARP, &body)
    };
    assert_eq!(admit(&guest(A), &rarp(mac(A))), Ok(()));
    assert_eq!(admit(&guest(A), &rarp(mac(66))), Err(Reason::SpoofMac));
}

/// RFC 903 has a reverse request and a reverse reply; an ARP answer in RARP's clothes is neither.
#[test]
fn rarp_with_an_operation_of_arp_is_malformed() {
    for (operation, expected) in [
        (REQUEST, Err(Reason::Malformed)),
        (REPLY, Err(Reason::Malformed)),
        (3, Ok(())),
        (4, Ok(())),
        (5, Err(Reason::Malformed)),
    ] {
        let body = body(operation, (mac(A), v4(B)), v4(C));
        let rarp = ethernet(Mac::BROADCAST, mac(A), ethertype::RARP, &body);
        assert_eq!(admit(&guest(A), &rarp), expected, "operation {operation}");
    }
}

/// P22.
#[test]
fn a_trusted_port_may_say_any_arp() {
    let uplink = PortSpec {
        uplink: true,
        ..guest(1)
    };
    assert_eq!(admit(&uplink, &from_a(REPLY, v4(B), v4(C))), Ok(()));
}

#[test]
fn an_arp_body_that_is_short_is_malformed_at_both_ends() {
    let short = ethernet(mac(B), mac(A), ethertype::ARP, &[0, 1, 8, 0]);
    assert_eq!(admit(&guest(A), &short), Err(Reason::Malformed));
    assert_eq!(receives(&guest(B), &short), Err(Reason::Malformed));
}

/// D08.
#[test]
fn arp_needs_no_rule() {
    let frame = from_a(REQUEST, v4(A), v4(1));
    for direction in [Direction::Egress, Direction::Ingress] {
        let sender = Sender::default();
        let answer =
            Guard::new(&guest(A)).essential(direction, &super::support::parse(&frame), sender);
        assert_eq!(answer, Essential::Pass);
    }
}
