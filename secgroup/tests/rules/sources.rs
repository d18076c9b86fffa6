//! Anti-spoofing of MAC and IP addresses: only the couples of the port may send.

use super::support::{
    A, B, admit, guest, ipv4, ipv6, mac, pair, parse, tcp_body, udp_body, v4, v6,
};
use packet::{Mac, Reason};
use secgroup::{Guard, PortSpec};
use std::net::Ipv4Addr;

fn udp_from(src_mac: Mac, src: Ipv4Addr) -> Vec<u8> {
    ipv4(src_mac, src, v4(B), 17, &udp_body(40_000, 9))
}

fn udp6_from(src_mac: Mac, src: &str) -> Vec<u8> {
    ipv6(
        src_mac,
        src.parse().unwrap(),
        v6(B.into()),
        (17, 64),
        &udp_body(40_000, 9),
    )
}

fn with_pairs(pairs: &[(&str, Option<Mac>)]) -> PortSpec {
    let pairs = pairs
        .iter()
        .map(|(prefix, mac)| pair(prefix, *mac))
        .collect();
    PortSpec {
        allowed_address_pairs: pairs,
        ..guest(A)
    }
}

/// P01, P02, P03.
#[test]
fn a_foreign_mac_or_address_is_refused_with_one_reason() {
    let a = guest(A);
    assert_eq!(admit(&a, &udp_from(mac(A), v4(A))), Ok(()));
    assert_eq!(admit(&a, &udp_from(mac(66), v4(A))), Err(Reason::SpoofMac));
    assert_eq!(admit(&a, &udp_from(mac(A), v4(99))), Err(Reason::SpoofIp));
    assert_eq!(
        admit(&a, &udp_from(mac(A), v4(B))),
        Err(Reason::SpoofIp),
        "the receiver's own"
    );
    assert_eq!(admit(&a, &udp_from(mac(66), v4(99))), Err(Reason::SpoofMac));
    assert_eq!(admit(&a, &udp6_from(mac(A), "2001:db8::a")), Ok(()));
    assert_eq!(
        admit(&a, &udp6_from(mac(A), "2001:db8::b")),
        Err(Reason::SpoofIp)
    );
}

/// P04.
#[test]
fn without_port_security_or_at_an_uplink_every_source_passes() {
    let off = PortSpec {
        port_security: false,
        ..guest(A)
    };
    let uplink = PortSpec {
        uplink: true,
        ..guest(A)
    };
    for port in [off, uplink] {
        assert_eq!(admit(&port, &udp_from(mac(66), v4(99))), Ok(()));
    }
}

/// P06.
#[test]
fn mac_and_address_are_couples_and_not_two_lists() {
    let a = with_pairs(&[("10.0.0.50/32", Some(mac(2)))]);
    let couples = [(A, A), (2, 50), (A, 50), (2, A), (A, 51), (3, 50)];
    let answers = couples.map(|(m, ip)| admit(&a, &udp_from(mac(m), v4(ip))));
    let (ip, foreign) = (Err(Reason::SpoofIp), Err(Reason::SpoofMac));
    assert_eq!(answers, [Ok(()), Ok(()), ip, ip, ip, foreign]);
    assert_eq!(Guard::new(&a).owned_macs(), [mac(A), mac(2)]);
}

/// P07, P08, P09.
#[test]
fn a_pair_is_a_prefix_and_takes_the_ports_mac_where_it_names_none() {
    let a = with_pairs(&[("10.0.9.0/24", None)]);
    assert_eq!(
        admit(&a, &udp_from(mac(A), Ipv4Addr::new(10, 0, 9, 255))),
        Ok(())
    );
    assert_eq!(
        admit(&a, &udp_from(mac(A), Ipv4Addr::new(10, 0, 10, 0))),
        Err(Reason::SpoofIp)
    );
    let any = with_pairs(&[("0.0.0.0/0", None)]);
    assert_eq!(
        admit(&any, &udp_from(mac(A), Ipv4Addr::new(8, 8, 8, 8))),
        Ok(())
    );
    assert_eq!(
        admit(&any, &udp6_from(mac(A), "2001:db8::b")),
        Err(Reason::SpoofIp)
    );
}

/// P24.
#[test]
fn a_hundred_pairs_answer_as_a_walk_over_them_does() {
    let prefixes = (0..100_u32).map(|n| {
        let (length, last) = ([32, 30, 28, 24][n as usize % 4], (n % 5) as u8);
        let address = Ipv4Addr::from_bits(0x0a01_0000 + n * 37);
        pair(
            &format!("{address}/{length}"),
            (last > 0).then(|| mac(last)),
        )
    });
    let a = PortSpec {
        allowed_address_pairs: prefixes.collect(),
        ..guest(A)
    };
    let guard = Guard::new(&a);
    for n in 0..4_000_u32 {
        let (address, last) = (
            Ipv4Addr::from_bits(0x0a01_0000 + n),
            [A, 1, 2, 3, 4][n as usize % 5],
        );
        let frame = udp_from(mac(last), address);
        let owned = a
            .couples()
            .any(|(m, p)| m == mac(last) && p.contains(&std::net::IpAddr::from(address)));
        let expected = if owned { Ok(()) } else { Err(Reason::SpoofIp) };
        assert_eq!(
            guard.admit(&frame, &parse(&frame)),
            expected,
            "{address} {last}"
        );
    }
}

/// P18, V12.
#[test]
fn a_source_mac_that_no_interface_can_have_is_refused() {
    for src in [
        Mac::BROADCAST,
        Mac([1, 0, 0x5e, 0, 0, 1]),
        Mac::ZERO,
        mac(B),
    ] {
        assert_eq!(
            admit(&guest(A), &udp_from(src, v4(A))),
            Err(Reason::SpoofMac)
        );
    }
    let to_itself = super::support::to_mac(udp_from(mac(A), v4(A)), mac(A));
    assert_eq!(admit(&guest(A), &to_itself), Err(Reason::SpoofMac));
}

/// V12.
#[test]
fn a_packet_to_its_own_source_is_malformed() {
    let frame = ipv4(mac(A), v4(A), v4(A), 17, &udp_body(9, 9));
    assert_eq!(admit(&guest(A), &frame), Err(Reason::Malformed));
}

/// B05.
#[test]
fn tcp_to_everybody_is_malformed() {
    for dst in [Ipv4Addr::new(239, 1, 1, 1), Ipv4Addr::BROADCAST, v4(255)] {
        let frame = ipv4(mac(A), v4(A), dst, 6, &tcp_body(40_000, 80));
        assert_eq!(admit(&guest(A), &frame), Err(Reason::Malformed), "{dst}");
        let udp = ipv4(mac(A), v4(A), dst, 17, &udp_body(40_000, 80));
        assert_eq!(admit(&guest(A), &udp), Ok(()), "{dst}");
    }
}

#[test]
fn no_pair_makes_a_multicast_source() {
    let any = with_pairs(&[("0.0.0.0/0", None)]);
    for src in [Ipv4Addr::new(224, 0, 0, 1), Ipv4Addr::BROADCAST, v4(255)] {
        assert_eq!(admit(&any, &udp_from(mac(A), src)), Err(Reason::Malformed));
    }
}

#[test]
fn the_link_local_address_of_the_mac_comes_with_ipv6() {
    let own = mac(A).link_local().to_string();
    assert_eq!(admit(&guest(A), &udp6_from(mac(A), &own)), Ok(()));
    assert_eq!(
        admit(&guest(A), &udp6_from(mac(A), "fe80::1")),
        Err(Reason::SpoofIp)
    );
    let v4_only = PortSpec {
        fixed_ips: vec![v4(A).into()],
        ..guest(A)
    };
    assert_eq!(
        admit(&v4_only, &udp6_from(mac(A), &own)),
        Err(Reason::SpoofIp)
    );
}
