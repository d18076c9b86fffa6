//! Tags, ethertypes, reserved addresses, and what a receiver takes.

use super::support::{
    A, B, admit, ethernet, guest, icmp, ipv4, ipv6, mac, parse, receives, tcp_body, to_mac,
    udp_body, v4, v6,
};
use packet::{Direction, Mac, Reason, ethertype};
use proptest::prelude::*;
use secgroup::{Essential, Guard, PortSpec, Sender, untracked};
use std::net::Ipv4Addr;

fn both_ends(frame: &[u8]) -> [Result<(), Reason>; 2] {
    [admit(&guest(A), frame), receives(&guest(B), frame)]
}

fn udp() -> Vec<u8> {
    ipv4(mac(A), v4(A), v4(B), 17, &udp_body(40_000, 9))
}

/// P25, V04.
#[test]
fn a_tag_hides_nothing_and_a_priority_is_no_tag() {
    let tagged = |outer: u16, tags: &[[u8; 4]]| {
        let inner = &udp()[14..];
        let tags: Vec<u8> = tags.concat();
        ethernet(mac(B), mac(A), outer, &[&tags[..], inner].concat())
    };
    let refused = [Err(Reason::Vlan); 2];
    assert_eq!(
        both_ends(&tagged(ethertype::VLAN, &[[0, 10, 8, 0]])),
        refused
    );
    assert_eq!(
        both_ends(&tagged(ethertype::QINQ, &[[0, 10, 0x81, 0], [0, 20, 8, 0]])),
        refused
    );
    assert_eq!(
        both_ends(&tagged(ethertype::VLAN, &[[0, 0, 0x81, 0], [0, 20, 8, 0]])),
        refused
    );
    assert_eq!(
        both_ends(&tagged(ethertype::VLAN, &[[0xe0, 0, 8, 0]])),
        [Ok(()); 2]
    );
}

/// V05.
#[test]
fn an_ethertype_passes_where_both_ports_permit_it() {
    for kind in [0x88cc, 0x8847, 0xaaaa, 0x8863] {
        let frame = ethernet(mac(B), mac(A), kind, &[0; 46]);
        assert_eq!(both_ends(&frame), [Err(Reason::Ethertype); 2]);
        let permitting = |port| PortSpec {
            permitted_ethertypes: vec![kind],
            ..port
        };
        assert_eq!(admit(&permitting(guest(A)), &frame), Ok(()));
        assert_eq!(receives(&permitting(guest(B)), &frame), Ok(()));
        let guard = Guard::new(&permitting(guest(B)));
        let answer = guard.essential(Direction::Ingress, &parse(&frame), Sender::default());
        assert_eq!(answer, Essential::Pass);
    }
}

/// V07, V08.
#[test]
fn length_frames_and_reserved_addresses_are_refused() {
    let snap = [&[0xaa, 0xaa, 3, 0, 0, 0, 8, 0][..], &udp()[14..]].concat();
    let snap = ethernet(mac(B), mac(A), u16::try_from(snap.len()).unwrap(), &snap);
    assert_eq!(both_ends(&snap), [Err(Reason::Ethertype); 2]);
    let llc = [&[0x42, 0x42, 3][..], &[0; 35]].concat();
    let llc = ethernet(mac(B), mac(A), u16::try_from(llc.len()).unwrap(), &llc);
    assert_eq!(both_ends(&llc), [Err(Reason::L2Reserved); 2]);
    for last in [0, 1, 0x0e, 0x0f] {
        let frame = to_mac(udp(), Mac([1, 0x80, 0xc2, 0, 0, last]));
        assert_eq!(both_ends(&frame), [Err(Reason::L2Reserved); 2]);
    }
    let beyond = to_mac(udp(), Mac([1, 0x80, 0xc2, 0, 0, 0x10]));
    assert_eq!(both_ends(&beyond), [Ok(()); 2]);
}

/// V09, V10.
#[test]
fn headers_that_contradict_the_frame_are_malformed() {
    let mut version = udp();
    version[12..14].copy_from_slice(&ethertype::IPV6.to_be_bytes());
    assert_eq!(both_ends(&version), [Err(Reason::Malformed); 2]);
    let mut long = udp();
    long[17] += 1;
    assert_eq!(both_ends(&long), [Err(Reason::Malformed); 2]);
    let half_a_tag = ethernet(mac(B), mac(A), ethertype::VLAN, &[0, 10]);
    assert_eq!(both_ends(&half_a_tag), [Err(Reason::Malformed); 2]);
    let padded = [udp(), vec![0; 18]].concat();
    assert_eq!(both_ends(&padded), [Ok(()); 2]);
}

#[test]
fn a_first_fragment_without_its_layer_4_header_is_frag_tiny() {
    let mut frame = ipv4(mac(A), v4(A), v4(B), 6, &tcp_body(40_000, 80)[..8]);
    frame[20] = 0x20;
    assert_eq!(both_ends(&frame), [Err(Reason::FragTiny); 2]);
}

/// V11, Z01.
#[test]
fn no_cut_of_a_frame_upsets_a_guard() {
    let frames = [
        udp(),
        ipv6(mac(A), v6(A.into()), v6(B.into()), (58, 255), &[136; 40]),
    ];
    for frame in &frames {
        for end in 14..frame.len() {
            let _ = both_ends(&frame[..end]);
        }
    }
}

/// P19.
#[test]
fn a_receiver_takes_its_own_macs_and_those_of_everybody() {
    let pairs = vec![super::support::pair("10.0.0.50/32", Some(mac(2)))];
    let b = PortSpec {
        allowed_address_pairs: pairs,
        ..guest(B)
    };
    for dst in [mac(B), mac(2), Mac::BROADCAST, Mac([1, 0, 0x5e, 1, 2, 3])] {
        assert_eq!(receives(&b, &to_mac(udp(), dst)), Ok(()));
    }
    assert_eq!(receives(&b, &to_mac(udp(), mac(9))), Err(Reason::SpoofMac));
}

/// P20.
#[test]
fn a_strict_receiver_takes_packets_for_its_own_addresses_and_those_of_everybody() {
    let strict = PortSpec {
        strict_rx: true,
        ..guest(B)
    };
    let to = |dst| ipv4(mac(A), v4(A), dst, 17, &udp_body(40_000, 9));
    for dst in [
        v4(B),
        v4(255),
        Ipv4Addr::BROADCAST,
        Ipv4Addr::new(239, 1, 1, 1),
    ] {
        assert_eq!(receives(&strict, &to(dst)), Ok(()));
    }
    assert_eq!(receives(&strict, &to(v4(99))), Err(Reason::SpoofIp));
    assert_eq!(receives(&guest(B), &to(v4(99))), Ok(()));
    let to6 = |dst| ipv6(mac(A), v6(A.into()), dst, (17, 64), &udp_body(40_000, 9));
    assert_eq!(receives(&strict, &to6(mac(B).link_local())), Ok(()));
    assert_eq!(receives(&strict, &to6(v6(99))), Err(Reason::SpoofIp));
}

#[test]
fn an_unfiltered_sender_is_examined_by_the_receiver() {
    let off = PortSpec {
        port_security: false,
        ..guest(A)
    };
    let land = ipv4(mac(A), v4(A), v4(A), 17, &udp_body(9, 9));
    assert_eq!(admit(&off, &land), Ok(()));
    assert_eq!(receives(&guest(B), &land), Err(Reason::Malformed));
    assert_eq!(
        receives(
            &PortSpec {
                port_security: false,
                ..guest(B)
            },
            &land
        ),
        Ok(())
    );
}

/// B04.
#[test]
fn what_goes_to_everybody_is_judged_without_state() {
    let udp_to = |dst| ipv4(mac(A), v4(A), dst, 17, &udp_body(40_000, 9));
    assert!(!untracked(&parse(&udp())));
    assert!(untracked(&parse(&udp_to(Ipv4Addr::new(
        239, 255, 255, 250
    )))));
    assert!(untracked(&parse(&udp_to(Ipv4Addr::BROADCAST))));
    assert!(untracked(&parse(&to_mac(udp_to(v4(255)), Mac::BROADCAST))));
    let icmp_of = |kind: u8| ipv4(mac(A), v4(A), v4(B), 1, &[kind, 0, 0, 0, 0, 0, 0, 0]);
    let untracked: Vec<u8> = (0..=255)
        .filter(|kind| untracked(&parse(&icmp_of(*kind))))
        .collect();
    assert_eq!(untracked, [5]);
}

/// R18, R19, R20.
#[test]
fn options_extension_headers_and_empty_payloads_do_not_hide_the_port() {
    use super::support::{World, group};
    use secgroup::Flow;
    let rules = group(
        "g",
        &["ingress IPv4 udp 9 from any", "ingress IPv6 udp 9 from any"],
    );
    let mut world = World::default();
    let mut passes = |frame: &[u8]| {
        let headers = parse(frame);
        let ip = *headers.ip().unwrap();
        world.lets_in(&[&rules], Flow::of(Direction::Ingress, 0, &headers, &ip))
    };
    for ihl in 5..=15_u8 {
        for (port, expected) in [(9, true), (10, false)] {
            let body = [vec![1; usize::from(ihl - 5) * 4], udp_body(40_000, port)].concat();
            let mut frame = ipv4(mac(A), v4(A), v4(B), 17, &body);
            frame[14] = 0x40 + ihl;
            assert_eq!(passes(&frame), expected, "{ihl}");
        }
    }
    let options = |next: u8| vec![next, 0, 1, 4, 0, 0, 0, 0];
    let atomic = |next: u8| vec![next, 0, 0, 0, 0, 0, 0, 7];
    let chains = [
        (17, vec![]),
        (0, options(17)),
        (60, options(17)),
        (44, atomic(17)),
        (0, [options(44), atomic(17)].concat()),
    ];
    for (first, chain) in chains {
        for (port, expected) in [(9, true), (10, false)] {
            let body = [chain.clone(), udp_body(40_000, port)].concat();
            let frame = ipv6(mac(A), v6(A.into()), v6(B.into()), (first, 64), &body);
            assert_eq!(passes(&frame), expected, "{first}");
        }
    }
    assert!(!world.lets_in(&[&rules], icmp(8, 0, v4(A))));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    /// Z01. The unfiltered sender shows that the receiver's examination stands alone.
    #[test]
    fn whatever_a_guest_sends_has_an_answer_at_both_ends(
        kind in prop::sample::select(vec![0x0800_u16, 0x86dd, 0x0806, 0x8035, 0x8100, 0x88a8, 0x88cc, 60]),
        first in prop::sample::select(vec![0x45_u8, 0x4f, 0x60]),
        next in prop::sample::select(vec![0_u8, 1, 6, 17, 44, 58, 60]),
        body in prop::collection::vec(any::<u8>(), 0..120),
    ) {
        let mut body = body;
        if let Some(byte) = body.first_mut() { *byte = first; }
        for place in [6, 9] {
            if let Some(byte) = body.get_mut(place) { *byte = next; }
        }
        let frame = ethernet(mac(B), mac(A), kind, &body);
        let headers = parse(&frame);
        let guards = [Guard::new(&guest(A)), Guard::new(&guest(B))];
        for guard in &guards {
            let _ = (guard.admit(&frame, &headers), guard.receives(&frame, &headers));
            for direction in [Direction::Egress, Direction::Ingress] {
                let _ = guard.essential(direction, &headers, Sender::default());
            }
        }
        // Nobody's random source is A's: what passes is no IP.
        prop_assert!(guards[0].admit(&frame, &headers).is_err() || headers.ip().is_none());
        let _ = untracked(&headers);
    }
}
