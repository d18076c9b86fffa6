//! `Headers::ordinary` is a short cut: whoever takes it must say what it would have said without.

use crate::support::{A, B, C, guest, mac, pair, v4, v6};
use packet::{Direction, Headers, Mac, Offload, build::frame, protocol, tcp_flags};
use proptest::prelude::*;
use proptest::sample::select;
use secgroup::{Guard, PortSpec, Sender, untracked};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

fn macs() -> impl Strategy<Value = Mac> {
    let shared = Mac([0x01, 0x80, 0xc2, 0, 0, 2]);
    let group = Mac([0x33, 0x33, 0, 0, 0, 1]);
    select(vec![
        mac(A),
        mac(A),
        mac(B),
        mac(B),
        mac(C),
        Mac::ZERO,
        Mac::BROADCAST,
        shared,
        group,
    ])
}

fn addresses() -> impl Strategy<Value = (IpAddr, IpAddr)> {
    let v4s = [
        v4(A),
        v4(B),
        v4(C),
        v4(255),
        Ipv4Addr::UNSPECIFIED,
        Ipv4Addr::BROADCAST,
    ]
    .into_iter()
    .chain(
        ["224.0.0.1", "240.0.0.1", "169.254.169.254", "169.253.1.1"].map(|ip| ip.parse().unwrap()),
    );
    let v6s = [
        v6(A.into()),
        v6(B.into()),
        v6(C.into()),
        Ipv6Addr::UNSPECIFIED,
    ]
    .into_iter()
    .chain(["ff02::1", "fe80::1"].map(|ip| ip.parse().unwrap()));
    let (v4s, v6s): (Vec<IpAddr>, Vec<IpAddr>) =
        (v4s.map(Into::into).collect(), v6s.map(Into::into).collect());
    prop_oneof![
        (select(v4s.clone()), select(v4s)),
        (select(v6s.clone()), select(v6s)),
    ]
}

fn frames() -> impl Strategy<Value = Vec<u8>> {
    let ports = || select(vec![22_u16, 67, 68, 546, 547, 40_000, 0]);
    let form = (0..12_u8, any::<bool>());
    (macs(), macs(), addresses(), ports(), ports(), form).prop_map(
        |(src, dst, (from, to), src_port, dst_port, (form, udp))| {
            let link = frame(src, dst);
            let link = match form {
                0 => link.vlan(0),
                1 => link.vlan(7),
                _ => link,
            };
            let ip = link.ip(from, to);
            let ip = match form {
                2 => ip.fragment(1, 0, true),
                3 => ip.fragment(1, 64, false),
                4 => ip.length(30),
                5 => ip.header_checksum(1),
                _ => ip,
            };
            match form {
                6 => ip.icmp(8, 0).build(),
                7 => ip.icmp(134, 0).build(),
                8 => ip.upper(protocol::SCTP, &[0; 16]),
                _ if udp => ip.udp(src_port, dst_port).payload(&[0; 64]).build(),
                9 => ip.tcp(src_port, dst_port).data_offset(15).build(),
                _ => ip
                    .tcp(src_port, dst_port)
                    .flags(tcp_flags::SYN)
                    .payload(&[0; 64])
                    .build(),
            }
        },
    )
}

fn guards() -> Vec<Guard> {
    let plain = guest(A);
    let strict = PortSpec {
        strict_rx: true,
        ..guest(B)
    };
    let with_pairs = PortSpec {
        allowed_address_pairs: vec![
            pair("10.0.0.0/24", None),
            pair("10.0.0.12/32", Some(mac(C))),
        ],
        ..guest(A)
    };
    let open = PortSpec {
        port_security: false,
        ..guest(B)
    };
    [plain, strict, with_pairs, open]
        .iter()
        .map(Guard::new)
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_ordinary_frame_is_judged_as_if_nobody_had_said_that_it_is_one(bytes in frames()) {
        let headers = Headers::parse(&bytes, Offload::default()).unwrap();
        let unsaid = Headers { ordinary: false, ..headers };
        for guard in guards() {
            prop_assert_eq!(guard.admit(&bytes, &headers), guard.admit(&bytes, &unsaid));
            prop_assert_eq!(guard.receives(&bytes, &headers), guard.receives(&bytes, &unsaid));
            for direction in [Direction::Ingress, Direction::Egress] {
                for trusted in [false, true] {
                    let sender = Sender {
 trusted,
 ..Sender::default()
 };
                    let (said, without) = (
                        guard.essential(direction, &headers, sender),
                        guard.essential(direction, &unsaid, sender),
                    );
                    prop_assert_eq!(said, without);
                }
            }
        }
        prop_assert_eq!(untracked(&headers), untracked(&unsaid));
        prop_assert!(!headers.ordinary || !headers.ip().is_some_and(packet::is_error));
    }
}

#[test]
fn what_guests_send_most_is_ordinary() {
    let to_b = frame(mac(A), mac(B));
    for bytes in [
        to_b.clone().ip(v4(A), v4(B)).tcp(40_000, 22).build(),
        to_b.clone().ip(v4(A), v4(B)).udp(40_000, 53).build(),
        to_b.ip(v6(A.into()), v6(B.into())).tcp(40_000, 22).build(),
    ] {
        assert!(Headers::parse(&bytes, Offload::default()).unwrap().ordinary);
    }
}
