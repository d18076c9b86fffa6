//! What messages carry inside: quoted packets and neighbour discovery claims.
#![expect(clippy::unwrap_used, reason = "a test stops where it fails")]

use packet::{
    Defect, Headers, Icmp, Ip, Mac, ND_OPTIONS_MAX, Neighbour, Offload, Quoted, build, is_error,
    is_neighbour, neighbour, protocol, quoted,
};
use proptest::prelude::*;

const A: Mac = Mac([2, 0, 0, 0, 0, 1]);
const B: Mac = Mac([2, 0, 0, 0, 0, 2]);
const V6: [[u16; 8]; 2] = [[0xfd00, 0, 0, 0, 0, 0, 0, 1], [0xfd00, 0, 0, 0, 0, 0, 0, 2]];

fn v4(reversed: bool) -> build::IpBuilder {
    let (src, dst) = ([10, 0, 0, 10], [10, 0, 0, 11]);
    if reversed {
        build::frame(A, B).ip(dst, src)
    } else {
        build::frame(A, B).ip(src, dst)
    }
}

fn v6() -> build::IpBuilder {
    build::frame(A, B).ip(V6[0], V6[1])
}

fn ip_of(frame: &[u8]) -> Ip {
    *Headers::parse(frame, Offload::default())
        .unwrap()
        .ip()
        .unwrap()
}

/// The quote of `len` bytes of a packet in an unreachable message.
fn quote(inner: &[u8], len: usize) -> Result<Quoted, Defect> {
    let frame = v4(true).icmp(3, 1).quote(inner, len).build();
    let ip = ip_of(&frame);
    assert!(is_error(&ip));
    quoted(&frame, &ip)
}

#[test]
fn i08_8_bytes_of_the_upper_layer_suffice_and_7_do_not() {
    let inner = v4(false).tcp(40_000, 80).payload(&[0; 500]).build();
    let tuple = Headers::parse(&inner, Offload::default())
        .unwrap()
        .tuple()
        .unwrap();
    assert_eq!(
        quote(&inner, 28),
        Ok(Quoted {
            tuple,
            icmp: None,
            fragment_offset: 0
        })
    );
    assert_eq!(quote(&inner, 27), Err(Defect::L4Truncated));
    assert_eq!(quote(&inner, 24), Err(Defect::L4Truncated));
    for len in 0..20 {
        assert_eq!(quote(&inner, len), Err(Defect::IpHeaderLength), "{len}");
    }
}

#[test]
fn i08_an_inner_header_length_beyond_the_quote_is_refused() {
    let inner = v4(false)
        .header_words(15)
        .udp(1, 53)
        .payload(&[0; 20])
        .build();
    assert_eq!(quote(&inner, 48), Err(Defect::IpHeaderLength));
    let inner = v4(false).header_words(4).udp(1, 53).build();
    assert_eq!(quote(&inner, 28), Err(Defect::IpHeaderLength));
}

#[test]
fn i08_an_inner_length_that_falls_short_of_its_headers_is_refused() {
    for length in [0, 19, 20, 27] {
        let inner = v4(false).length(length).udp(1, 53).build();
        assert_eq!(quote(&inner, 28), Err(Defect::IpLength), "{length}");
    }
    let inner = v4(false).length(1500).udp(1, 53).build();
    assert_eq!(
        quote(&inner, 28).unwrap().tuple.dst_port,
        53,
        "a quote is cut somewhere"
    );
}

#[test]
fn i11_a_quoted_later_fragment_has_its_offset_and_no_ports() {
    let inner = v4(false)
        .fragment(1, 1480, true)
        .upper(protocol::UDP, &[9; 80]);
    let quoted = quote(&inner, 28).unwrap();
    assert_eq!((quoted.fragment_offset, quoted.tuple.dst_port), (1480, 0));
}

#[test]
fn a_quoted_echo_shows_its_identifier_and_a_wrong_checksum_does_not_matter() {
    let inner = v4(false)
        .header_checksum(7)
        .icmp(8, 0)
        .id(99)
        .checksum(1)
        .build();
    assert_eq!(
        quote(&inner, 28).unwrap().icmp,
        Some(Icmp {
            kind: 8,
            code: 0,
            id: 99
        })
    );
}

#[test]
fn quotes_in_icmpv6_are_read_behind_extension_headers() {
    let inner = v6()
        .extension(protocol::HOP_BY_HOP, &[])
        .udp(7, 53)
        .payload(&[0; 90])
        .build();
    for kind in 1..=4 {
        let frame = build::frame(B, A)
            .ip(V6[1], V6[0])
            .icmp(kind, 0)
            .quote(&inner, 56)
            .build();
        let ip = ip_of(&frame);
        assert!(is_error(&ip));
        assert_eq!(quoted(&frame, &ip).unwrap().tuple, ip_of(&inner).tuple());
        let short = build::frame(B, A)
            .ip(V6[1], V6[0])
            .icmp(kind, 0)
            .quote(&inner, 55)
            .build();
        assert_eq!(quoted(&short, &ip_of(&short)), Err(Defect::L4Truncated));
    }
    let frame = build::frame(B, A)
        .ip(V6[1], V6[0])
        .icmp(1, 0)
        .quote(&v4(false).udp(1, 2).build(), 28);
    let frame = frame.build();
    assert_eq!(quoted(&frame, &ip_of(&frame)), Err(Defect::Version));
}

#[test]
fn a_quote_ends_with_the_packet_and_not_with_the_frame() {
    let inner = v4(false).udp(1, 53).build();
    let frame = v4(true).padding(8).icmp(3, 1).quote(&inner, 20).build();
    assert_eq!(quoted(&frame, &ip_of(&frame)), Err(Defect::L4Truncated));
}

#[test]
fn errors_are_told_from_queries() {
    for kind in 0..=255 {
        let v4_error = is_error(&ip_of(&v4(false).icmp(kind, 0).build()));
        assert_eq!(v4_error, [3, 4, 5, 11, 12].contains(&kind), "{kind}");
        assert_eq!(
            is_error(&ip_of(&v6().icmp(kind, 0).build())),
            (1..=4).contains(&kind),
            "{kind}"
        );
    }
}

#[test]
fn neighbour_discovery_round_trips() {
    for kind in 133..=137 {
        for link_layer in [None, Some(A)] {
            let target = (kind >= 135).then(|| V6[0].into());
            let message = Neighbour {
                kind,
                target,
                link_layer,
            };
            let frame = v6().neighbour(message);
            assert!(is_neighbour(&ip_of(&frame)));
            assert_eq!(neighbour(&frame, &ip_of(&frame)), Ok(message));
        }
    }
}

fn solicitation(options: &[u8]) -> Result<Neighbour, Defect> {
    let frame = v6()
        .icmp(135, 0)
        .payload(&[&[0xfe; 16], options].concat())
        .build();
    neighbour(&frame, &ip_of(&frame))
}

#[test]
fn options_that_lie_are_refused() {
    let option = [1, 1, 2, 0, 0, 0, 0, 1];
    let other = [1, 1, 2, 0, 0, 0, 0, 9];
    assert_eq!(solicitation(&option).unwrap().link_layer, Some(A));
    assert_eq!(
        solicitation(&[option, option].concat()).unwrap().link_layer,
        Some(A)
    );
    let wrong: [&[u8]; 6] = [
        &[1, 0, 0, 0, 0, 0, 0, 0],
        &[1, 2, 0, 0, 0, 0, 0, 0],
        &option[..7],
        &[1],
        &[option, other].concat(),
        &vec![option; ND_OPTIONS_MAX + 1].concat(),
    ];
    for options in wrong {
        assert_eq!(
            solicitation(options),
            Err(Defect::L4Truncated),
            "{options:?}"
        );
    }
    let frame = v6().icmp(135, 0).payload(&[0; 15]).build();
    assert_eq!(neighbour(&frame, &ip_of(&frame)), Err(Defect::L4Truncated));
}

proptest! {
    #[test]
    fn random_messages_are_read_without_a_panic(
        kind: u8,
        body in prop::collection::vec(any::<u8>(), 0..120),
        ip4: bool,
    ) {
        let ip = if ip4 { v4(true) } else { v6() };
        let frame = ip.icmp(kind, 0).payload(&body).build();
        let _ = quoted(&frame, &ip_of(&frame));
        let _ = neighbour(&frame, &ip_of(&frame));
    }
}
