//! Whatever the bytes, the parser neither panics nor disagrees with a second parser.
#![expect(clippy::unwrap_used, reason = "a test stops where it fails")]

use etherparse::{NetSlice, PacketBuilder, SlicedPacket, TransportSlice};
use packet::{Headers, Offload, Vlan};
use proptest::prelude::*;
use std::net::IpAddr;

fn parse(frame: &[u8]) -> Option<Headers> {
    Headers::parse(frame, Offload::default()).ok()
}

type Ports = Option<(u16, u16)>;

/// Addresses and ports as etherparse reads them, where it accepts the frame.
fn second_opinion(frame: &[u8]) -> Option<(IpAddr, IpAddr, Ports)> {
    let sliced = SlicedPacket::from_ethernet(frame).ok()?;
    let (src, dst): (IpAddr, IpAddr) = match sliced.net? {
        NetSlice::Ipv4(ip) => (
            ip.header().source_addr().into(),
            ip.header().destination_addr().into(),
        ),
        NetSlice::Ipv6(ip) => (
            ip.header().source_addr().into(),
            ip.header().destination_addr().into(),
        ),
        NetSlice::Arp(_) => return None,
    };
    let ports = match sliced.transport {
        Some(TransportSlice::Tcp(tcp)) => Some((tcp.source_port(), tcp.destination_port())),
        Some(TransportSlice::Udp(udp)) => Some((udp.source_port(), udp.destination_port())),
        _ => None,
    };
    Some((src, dst, ports))
}

fn agrees(frame: &[u8]) -> Result<(), TestCaseError> {
    let headers = parse(frame);
    // A place that has held something else yields the same.
    let mut place = Headers::parse(&[0xff; 60], Offload::default()).unwrap();
    place.bad_checksum = true;
    let outcome = place.parse_into(frame, Offload::default());
    prop_assert_eq!(outcome.ok().map(|()| place), headers);
    let Some((src, dst, ports)) = second_opinion(frame) else {
        return Ok(());
    };
    let headers = headers.expect("etherparse sees an Ethernet header");
    // Two tags are not looked into, and a defect may hide what etherparse lets pass.
    if headers.eth.vlan == Vlan::Double || headers.defect.is_some() {
        return Ok(());
    }
    let tuple = headers.tuple().expect("etherparse sees an IP header");
    prop_assert_eq!((tuple.src, tuple.dst), (src, dst));
    if let Some(ports) = ports {
        prop_assert_eq!((tuple.src_port, tuple.dst_port), ports);
    }
    Ok(())
}

fn frames() -> impl Strategy<Value = Vec<u8>> {
    let payload = prop::collection::vec(any::<u8>(), 0..40);
    (
        any::<[u8; 4]>(),
        any::<[u8; 16]>(),
        any::<[u16; 2]>(),
        0..6u8,
        payload,
    )
        .prop_map(|(v4, v6, [a, b], kind, payload)| {
            let eth = PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]);
            let mut frame = Vec::new();
            match kind {
                0 => eth
                    .ipv4(v4, [10, 0, 0, 2], 64)
                    .udp(a, b)
                    .write(&mut frame, &payload),
                1 => eth
                    .ipv4(v4, [10, 0, 0, 2], 64)
                    .tcp(a, b, 7, 9)
                    .write(&mut frame, &payload),
                2 => eth
                    .ipv6(v6, [9; 16], 64)
                    .udp(a, b)
                    .write(&mut frame, &payload),
                3 => eth
                    .ipv6(v6, [9; 16], 64)
                    .tcp(a, b, 7, 9)
                    .write(&mut frame, &payload),
                4 => eth
                    .single_vlan(5.try_into().unwrap())
                    .ipv4(v4, [10, 0, 0, 2], 64)
                    .icmpv4_echo_request(a, b)
                    .write(&mut frame, &payload),
                _ => eth
                    .ipv6(v6, [9; 16], 64)
                    .icmpv6_echo_request(a, b)
                    .write(&mut frame, &payload),
            }
            .unwrap();
            frame
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn random_bytes_are_parsed_without_a_panic(frame in prop::collection::vec(any::<u8>(), 0..200)) {
        agrees(&frame)?;
    }

    #[test]
    fn a_legal_frame_has_no_defect_and_right_checksums(frame in frames()) {
        let headers = parse(&frame).unwrap();
        prop_assert_eq!(headers.defect, None);
        prop_assert!(!headers.bad_checksum);
        agrees(&frame)?;
    }

    #[test]
    fn mutations_of_legal_frames_are_read_as_etherparse_reads_them(
        mut frame in frames(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        for (place, value) in changes {
            let at = place.index(frame.len());
            frame[at] = value;
        }
        if let Some(cut) = cut {
            frame.truncate(cut.index(frame.len()));
        }
        agrees(&frame)?;
    }
}
