//! Segmentation and checksums in software, held against etherparse and against the parser.
#![expect(clippy::unwrap_used, reason = "a test stops where it fails")]

use etherparse::{NetSlice, SlicedPacket, TransportSlice};
use packet::{
    Defect, Gso, GsoKind, Headers, L4, Mac, Offload, VNET_HDR_LEN, Wire, build, build::vnet_header,
    segment, tcp_flags,
};
use proptest::prelude::*;

const A: Mac = Mac([2, 0, 0, 0, 0, 1]);
const B: Mac = Mac([2, 0, 0, 0, 0, 2]);
const V4: ([u8; 4], [u8; 4]) = ([10, 77, 1, 11], [10, 77, 1, 12]);
const V6: ([u16; 8], [u16; 8]) = ([0xfd00, 0, 0, 0, 0, 0, 0, 1], [0xfd00, 0, 0, 0, 0, 0, 0, 2]);

fn offload(kind: GsoKind, size: u16) -> Offload {
    Offload {
        needs_checksum: true,
        data_valid: false,
        gso: Some(Gso { kind, size }),
    }
}

fn cut(frame: &[u8], offload: Offload) -> Vec<Vec<u8>> {
    let mut segments = Vec::new();
    let count = segment::segments(&vnet_header(frame, offload), frame, |segment| {
        segments.push(segment.to_vec());
    });
    assert_eq!(count, Ok(segments.len() as u32));
    segments
}

/// Verifies every checksum with etherparse and returns the upper layer's payload.
fn verified(segment: &[u8]) -> Vec<u8> {
    let sliced = SlicedPacket::from_ethernet(segment).unwrap();
    let ip = match sliced.net.unwrap() {
        NetSlice::Ipv4(ip) => {
            let header = ip.header().to_header();
            assert_eq!(header.calc_header_checksum(), header.header_checksum);
            (Some(header), None)
        }
        NetSlice::Ipv6(ip) => (None, Some(ip.header().to_header())),
        NetSlice::Arp(_) => unreachable!(),
    };
    match (sliced.transport.unwrap(), ip) {
        (TransportSlice::Tcp(tcp), (Some(ip), _)) => {
            let header = tcp.to_header();
            assert_eq!(
                header.calc_checksum_ipv4(&ip, tcp.payload()).unwrap(),
                header.checksum
            );
            tcp.payload().to_vec()
        }
        (TransportSlice::Tcp(tcp), (_, Some(ip))) => {
            let header = tcp.to_header();
            assert_eq!(
                header.calc_checksum_ipv6(&ip, tcp.payload()).unwrap(),
                header.checksum
            );
            tcp.payload().to_vec()
        }
        (TransportSlice::Udp(udp), (Some(ip), _)) => {
            let header = udp.to_header();
            assert_eq!(
                header.calc_checksum_ipv4(&ip, udp.payload()).unwrap(),
                header.checksum
            );
            udp.payload().to_vec()
        }
        (TransportSlice::Udp(udp), (_, Some(ip))) => {
            let header = udp.to_header();
            assert_eq!(
                header.calc_checksum_ipv6(&ip, udp.payload()).unwrap(),
                header.checksum
            );
            udp.payload().to_vec()
        }
        _ => unreachable!(),
    }
}

/// The frame's segments are right one by one, and together are what the frame stood for.
fn segments_are_the_frame(frame: &[u8], offload: Offload, payload: &[u8]) -> Vec<Headers> {
    let whole = Headers::parse(frame, offload).unwrap();
    assert_eq!(whole.defect, None);
    let segments = cut(frame, offload);
    let parsed: Vec<Headers> = segments
        .iter()
        .map(|s| Headers::parse(s, Offload::default()).unwrap())
        .collect();
    let mut sum = Wire::default();
    for headers in &parsed {
        assert_eq!((headers.defect, headers.bad_checksum), (None, false));
        assert_eq!(headers.tuple(), whole.tuple());
        sum.packets += headers.wire.packets;
        sum.bytes += headers.wire.bytes;
    }
    assert_eq!(sum, whole.wire);
    let joined: Vec<u8> = segments
        .iter()
        .flat_map(|segment| verified(segment))
        .collect();
    assert_eq!(joined, payload);
    parsed
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn the_segments_of_a_frame_sum_up_to_what_it_stands_for(
        payload in prop::collection::vec(any::<u8>(), 0..6000),
        size in 1..2000u16,
        tagged: bool,
        timestamps: bool,
        kind in 0..4,
    ) {
        let size = size.max(payload.len() as u16 / 50);
        let eth = build::frame(A, B);
        let eth = if tagged { eth.vlan(5) } else { eth };
        let options: &[u8] = if timestamps { &[1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2] } else { &[] };
        let ip = if kind % 2 == 0 { eth.ip(V4.0, V4.1).id(0xfff0) } else { eth.ip(V6.0, V6.1) };
        let (frame, offload) = if kind < 2 {
            let tcp = ip.tcp(40_000, 22).seq(u32::MAX - 100).option(options).payload(&payload);
            let kind = if kind == 0 { GsoKind::Tcp4 } else { GsoKind::Tcp6 };
            (tcp.partial_checksum().build(), offload(kind, size))
        } else {
            (ip.udp(1, 2).payload(&payload).partial_checksum().build(), offload(GsoKind::Udp, size))
        };
        segments_are_the_frame(&frame, offload, &payload);
    }

    #[test]
    fn no_header_and_no_frame_make_it_panic(
        vnet: [u8; VNET_HDR_LEN],
        frame in prop::collection::vec(any::<u8>(), 0..120),
    ) {
        let _ = segment::segments(&vnet, &frame, |_| {});
        let _ = segment::finish_checksum(&mut frame.clone(), &vnet);
    }
}

#[test]
fn flags_and_numbers_go_to_the_segments_they_belong_to() {
    let flags = tcp_flags::ACK | tcp_flags::PSH | tcp_flags::FIN | tcp_flags::CWR;
    let payload = [7; 2500];
    let tcp = build::frame(A, B)
        .ip(V4.0, V4.1)
        .id(u16::MAX)
        .tcp(1, 2)
        .seq(u32::MAX)
        .flags(flags);
    let frame = tcp.payload(&payload).partial_checksum().build();
    let parsed = segments_are_the_frame(&frame, offload(GsoKind::Tcp4, 1000), &payload);
    let seen: Vec<_> = parsed
        .iter()
        .map(|headers| match headers.ip().unwrap().l4 {
            L4::Tcp(tcp) => (tcp.seq, tcp.flags),
            _ => unreachable!(),
        })
        .collect();
    let ack = tcp_flags::ACK;
    let last = ack | tcp_flags::PSH | tcp_flags::FIN;
    assert_eq!(
        seen,
        [(u32::MAX, ack | tcp_flags::CWR), (999, ack), (1999, last)]
    );
    let ids: Vec<_> = cut(&frame, offload(GsoKind::Tcp4, 1000))
        .iter()
        .map(|s| u16::from_be_bytes([s[18], s[19]]))
        .collect();
    assert_eq!(ids, [u16::MAX, 0, 1]);
}

#[test]
fn a_segmentation_that_the_headers_do_not_bear_out_yields_nothing() {
    let frame = build::frame(A, B)
        .ip(V4.0, V4.1)
        .udp(1, 2)
        .payload(&[0; 100])
        .build();
    let vnet = vnet_header(&frame, offload(GsoKind::Tcp4, 10));
    let outcome = segment::segments(&vnet, &frame, |_| panic!("no segment"));
    assert_eq!(outcome, Err(Defect::Offload));
}

#[test]
fn a_partial_checksum_is_completed_and_an_impossible_place_is_refused() {
    let partial = Offload {
        needs_checksum: true,
        ..Offload::default()
    };
    let udp = build::frame(A, B)
        .ip(V6.0, V6.1)
        .udp(1, 2)
        .payload(b"hello");
    let right = udp.clone().build();
    let mut frame = udp.partial_checksum().build();
    assert!(
        Headers::parse(&frame, Offload::default())
            .unwrap()
            .bad_checksum
    );
    let mut vnet = vnet_header(&frame, partial);
    assert_eq!(segment::finish_checksum(&mut frame, &vnet), Ok(()));
    assert_eq!(frame, right);
    vnet[6] = 200;
    assert_eq!(
        segment::finish_checksum(&mut frame, &vnet),
        Err(Defect::Offload)
    );
    assert_eq!(frame, right);
}
