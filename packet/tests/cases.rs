//! The facts about single frames that the behaviour cases name, one test each.
#![expect(clippy::unwrap_used, reason = "a test stops where it fails")]

use packet::{
    Defect, EXTENSION_HEADERS_MAX, Fragment, Gso, GsoKind, Headers, Icmp, L4, Mac, Net, Offload,
    Runt, Tcp, Vlan, Wire, build, ethertype, protocol, tcp_flags,
};

const A: Mac = Mac([0xfa, 0x16, 0x3e, 0, 0, 1]);
const B: Mac = Mac([0xfa, 0x16, 0x3e, 0, 0, 2]);

fn v4() -> build::IpBuilder {
    build::frame(A, B).ip([10, 0, 0, 10], [10, 0, 0, 11])
}

fn v6() -> build::IpBuilder {
    build::frame(A, B).ip(
        [0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x10],
        [0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x11],
    )
}

fn parse(frame: &[u8]) -> Headers {
    Headers::parse(frame, Offload::default()).unwrap()
}

fn defect(frame: &[u8]) -> Option<Defect> {
    parse(frame).defect
}

/// A frame without any fault, and its ports.
fn sound(frame: &[u8]) -> (u16, u16) {
    let headers = parse(frame);
    assert_eq!(
        (headers.defect, headers.bad_checksum),
        (None, false),
        "{headers:?}"
    );
    let tuple = headers.tuple().unwrap();
    (tuple.src_port, tuple.dst_port)
}

fn tcp_of(frame: &[u8]) -> Tcp {
    match parse(frame).ip().unwrap().l4 {
        L4::Tcp(tcp) => tcp,
        other => panic!("{other:?}"),
    }
}

mod link_layer {
    use super::*;

    #[test]
    fn v03_a_tag_is_read_and_vid_0_is_a_priority() {
        let tagged = build::frame(A, B)
            .vlan(7)
            .ip([10, 0, 0, 10], [10, 0, 0, 11])
            .udp(1, 9)
            .build();
        assert_eq!(parse(&tagged).eth.vlan, Vlan::Tagged(7));
        assert_eq!(sound(&tagged), (1, 9));
        let priority = build::frame(A, B)
            .tag(ethertype::VLAN, 0xe000)
            .ip([10, 0, 0, 10], [10, 0, 0, 11])
            .udp(1, 9)
            .build();
        assert_eq!(parse(&priority).eth.vlan, Vlan::Priority);
        assert_eq!(sound(&priority), (1, 9));
    }

    #[test]
    fn v04_two_tags_hide_what_lies_behind() {
        let ip = ([10, 0, 0, 10], [10, 0, 0, 11]);
        let frames = [
            build::frame(A, B)
                .vlan(1)
                .vlan(2)
                .ip(ip.0, ip.1)
                .udp(1, 9)
                .build(),
            build::frame(A, B)
                .tag(ethertype::QINQ, 1)
                .ip(ip.0, ip.1)
                .udp(1, 9)
                .build(),
            build::frame(A, B)
                .vlan(1)
                .tag(ethertype::QINQ, 1)
                .ip(ip.0, ip.1)
                .udp(1, 9)
                .build(),
        ];
        for frame in frames {
            let headers = parse(&frame);
            assert_eq!((headers.eth.vlan, headers.net), (Vlan::Double, Net::Other));
        }
    }

    #[test]
    fn v07_a_snap_frame_is_never_ip() {
        let packet = v4().udp(1, 9).build();
        let snap = [&[0xaa, 0xaa, 3, 0, 0, 0, 8, 0][..], &packet[14..]].concat();
        let frame = build::frame(A, B).payload(snap.len() as u16, &snap);
        let headers = parse(&frame);
        assert!(headers.eth.ethertype < 0x600);
        assert_eq!((headers.net, headers.defect), (Net::Other, None));
    }

    #[test]
    fn v09_ethertype_and_version_that_disagree_are_a_defect() {
        let v4_says_6 = v4().version(6).udp(1, 9).build();
        let v6_says_4 = v6().version(4).udp(1, 9).build();
        assert_eq!(defect(&v4_says_6), Some(Defect::Version));
        assert_eq!(defect(&v6_says_4), Some(Defect::Version));
    }

    #[test]
    fn v11_frames_of_13_14_33_and_34_bytes_are_refused_without_a_panic() {
        let frame = v4().tcp(1, 80).build();
        assert_eq!(Headers::parse(&frame[..13], Offload::default()), Err(Runt));
        assert_eq!(defect(&frame[..14]), Some(Defect::IpHeaderLength));
        assert_eq!(defect(&frame[..33]), Some(Defect::IpHeaderLength));
        assert_eq!(defect(&frame[..34]), Some(Defect::IpLength));
        assert_eq!(
            parse(&frame[..34]).tuple().unwrap().dst.to_string(),
            "10.0.0.11"
        );
    }

    #[test]
    fn every_cut_of_every_kind_of_frame_is_a_defect_or_padding() {
        let frames = [
            v4().tcp(1, 80).option(&[3, 3, 7]).payload(b"data").build(),
            v6().extension(protocol::HOP_BY_HOP, &[])
                .udp(1, 80)
                .payload(b"data")
                .build(),
            build::frame(A, B)
                .vlan(5)
                .ip([10, 0, 0, 1], [10, 0, 0, 2])
                .icmp(8, 0)
                .build(),
            build::frame(A, B).arp_request([10, 0, 0, 1].into(), [10, 0, 0, 2].into()),
        ];
        for frame in frames {
            assert_eq!(defect(&frame), None);
            for len in 14..frame.len() {
                assert!(defect(&frame[..len]).is_some(), "{len} of {frame:?}");
            }
        }
    }

    #[test]
    fn arp_is_read_and_a_body_for_other_hardware_is_a_defect() {
        let mut frame = build::frame(A, B).arp_reply([10, 0, 0, 10].into(), [10, 0, 0, 11].into());
        let Net::Arp(arp) = parse(&frame).net else {
            panic!()
        };
        assert_eq!(
            (arp.operation, arp.sender_mac, arp.sender_ip),
            (2, A, [10, 0, 0, 10].into())
        );
        frame[18] = 8; // Address length.
        assert_eq!(defect(&frame), Some(Defect::Arp));
    }
}

mod ip {
    use super::*;

    #[test]
    fn v10_padding_behind_the_ip_length_is_legal_and_trimmed() {
        let padded = v4().padding(18).udp(1, 9).build();
        assert_eq!(sound(&padded), (1, 9));
        assert_eq!(
            parse(&padded).wire,
            Wire {
                packets: 1,
                bytes: 28
            }
        );
        assert_eq!(parse(&padded).ip().unwrap().end, 42);
    }

    #[test]
    fn v10_an_ip_length_beyond_the_frame_or_below_the_header_is_a_defect_with_a_tuple() {
        for length in [0, 19, 27 + 2, 1500, 65_535] {
            let headers = parse(&v4().length(length).udp(1, 9).build());
            assert_eq!(headers.defect, Some(Defect::IpLength), "{length}");
            assert_eq!(headers.tuple().unwrap().dst_port, 9);
            assert_eq!(headers.wire.bytes, 28, "what is there, not what it claims");
        }
        assert_eq!(
            defect(&v6().length(9).udp(1, 9).build()),
            Some(Defect::IpLength)
        );
        assert_eq!(
            defect(&v6().length(0).udp(1, 9).build()),
            Some(Defect::L4Truncated)
        );
    }

    #[test]
    fn r19_ports_are_found_behind_options_of_every_length() {
        for words in 1..=10 {
            let frame = v4().options(&vec![1; words * 4]).tcp(40_000, 80).build();
            assert_eq!(sound(&frame), (40_000, 80), "IHL {}", 5 + words);
        }
        for words in 0..5 {
            let frame = v4().header_words(words).tcp(40_000, 80).build();
            assert_eq!(defect(&frame), Some(Defect::IpHeaderLength));
        }
        let beyond = v4().header_words(15).udp(1, 9).build();
        assert_eq!(defect(&beyond), Some(Defect::IpHeaderLength));
    }

    #[test]
    fn a_wrong_ipv4_header_checksum_is_seen() {
        let headers = parse(&v4().header_checksum(1).udp(1, 9).build());
        assert!(headers.bad_checksum);
        assert_eq!(headers.defect, None);
    }

    #[test]
    fn r20_ports_are_found_behind_extension_headers_and_their_combinations() {
        const HEADERS: [(u8, &[u8]); 5] = [
            (protocol::HOP_BY_HOP, &[]),
            (
                protocol::DEST_OPTIONS,
                &[1, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            ),
            (protocol::FRAGMENT, &[]),
            (protocol::ROUTING, &[4, 0, 0, 0, 0, 0]),
            (protocol::AH, &[0; 10]),
        ];
        for chosen in 0..1 << HEADERS.len() {
            let mut ip = v6();
            for (bit, (number, body)) in HEADERS.iter().enumerate() {
                if chosen >> bit & 1 == 1 {
                    ip = ip.extension(*number, body);
                }
            }
            assert_eq!(
                sound(&ip.clone().tcp(40_000, 80).build()),
                (40_000, 80),
                "{chosen:b}"
            );
            assert_eq!(sound(&ip.udp(1, 81).build()), (1, 81), "{chosen:b}");
        }
    }

    #[test]
    fn r21_64_extension_headers_or_one_past_the_end_are_a_defect() {
        let chain = |count| {
            (0..count)
                .fold(v6(), |ip, _| ip.extension(protocol::DEST_OPTIONS, &[]))
                .udp(1, 9)
                .build()
        };
        assert_eq!(sound(&chain(EXTENSION_HEADERS_MAX - 1)), (1, 9));
        assert_eq!(sound(&chain(EXTENSION_HEADERS_MAX)), (1, 9));
        assert_eq!(
            defect(&chain(EXTENSION_HEADERS_MAX + 1)),
            Some(Defect::ExtensionHeaders)
        );
        assert_eq!(defect(&chain(64)), Some(Defect::ExtensionHeaders));
        let mut past_the_end = v6().extension(protocol::HOP_BY_HOP, &[]).udp(1, 9).build();
        past_the_end[14 + 40 + 1] = 200;
        assert_eq!(defect(&past_the_end), Some(Defect::ExtensionHeaders));
    }

    #[test]
    fn a_routing_header_of_type_0_is_a_defect_and_one_with_segments_left_is_not_verified() {
        let routed = |kind| v6().extension(protocol::ROUTING, &[kind, 1, 0, 0, 0, 0]);
        assert_eq!(
            defect(&routed(0).udp(1, 9).build()),
            Some(Defect::RoutingHeader)
        );
        assert_eq!(sound(&routed(4).udp(1, 9).checksum(1).build()), (1, 9));
    }

    #[test]
    fn esp_and_no_next_header_end_the_walk_and_are_the_protocol() {
        for number in [protocol::ESP, protocol::NO_NEXT] {
            let frame = v6()
                .extension(protocol::HOP_BY_HOP, &[])
                .upper(number, &[0; 16]);
            assert_eq!(parse(&frame).tuple().unwrap().protocol, number);
            assert_eq!(defect(&frame), None);
        }
    }
}

mod upper_layer {
    use super::*;

    #[test]
    fn r18_an_empty_udp_datagram_is_legal() {
        assert_eq!(sound(&v4().udp(40_000, 53).build()), (40_000, 53));
        assert_eq!(sound(&v6().udp(40_000, 53).build()), (40_000, 53));
    }

    #[test]
    fn a_udp_length_below_8_or_beyond_the_packet_is_a_defect() {
        for length in [0, 7, 9] {
            let frame = v4().udp(1, 53).length(length).build();
            assert_eq!(defect(&frame), Some(Defect::UdpLength), "{length}");
        }
        assert_eq!(
            sound(&v4().udp(1, 53).payload(b"12345678").build()),
            (1, 53)
        );
    }

    #[test]
    fn r17_the_ports_of_sctp_dccp_and_udp_lite_are_read() {
        for number in [protocol::SCTP, protocol::DCCP, protocol::UDPLITE] {
            let frame = v4().upper(number, &[0x13, 0x88, 0x13, 0x89, 0, 0, 0, 0, 0, 0, 0, 0]);
            assert_eq!(sound(&frame), (5000, 5001));
            assert_eq!(
                defect(&v4().upper(number, &[0; 7])),
                Some(Defect::L4Truncated)
            );
        }
    }

    #[test]
    fn t20_data_offsets_and_options_that_lie_are_defects_with_ports() {
        for words in [0, 4, 6, 15] {
            let headers = parse(&v4().tcp(40_000, 80).data_offset(words).build());
            assert_eq!(headers.defect, Some(Defect::TcpOffset), "{words}");
            assert_eq!(headers.tuple().unwrap().dst_port, 80);
        }
        for option in [&[3, 0][..], &[3, 1], &[1, 1, 1, 3], &[2, 4, 5, 180, 8, 10]] {
            let frame = v4().tcp(1, 80).option(option).build();
            let frame = parse(&frame);
            let cut = option.last() != Some(&180);
            assert_eq!(frame.defect.is_some(), cut, "{option:?}");
        }
    }

    #[test]
    fn tcp_options_yield_the_window_scale_and_the_greatest_right_edge() {
        let syn = v4().tcp(1, 80).option(&[
            2, 4, 5, 180, 4, 2, 8, 10, 0, 0, 0, 0, 0, 0, 0, 0, 1, 3, 3, 7,
        ]);
        assert_eq!(
            tcp_of(&syn.flags(tcp_flags::SYN).build()).window_scale,
            Some(7)
        );
        let blocks = [0xffff_ff00_u32, 0xffff_fff0, 0, 16].map(u32::to_be_bytes);
        let sack = v4()
            .tcp(1, 80)
            .option(&[1, 1, 5, 18])
            .option(blocks.as_flattened())
            .build();
        assert_eq!(tcp_of(&sack).sack, Some(16), "edges wrap");
    }

    #[test]
    fn an_icmp_identifier_is_that_of_messages_that_have_one() {
        let icmp = |frame: &[u8]| parse(frame).ip().unwrap().l4;
        let echo = L4::Icmp(Icmp {
            kind: 8,
            code: 0,
            id: 7,
        });
        assert_eq!(icmp(&v4().icmp(8, 0).id(7).build()), echo);
        let unreachable = L4::Icmp(Icmp {
            kind: 3,
            code: 1,
            id: 0,
        });
        assert_eq!(icmp(&v4().icmp(3, 1).id(7).build()), unreachable);
        let v6_echo = L4::Icmp(Icmp {
            kind: 128,
            code: 0,
            id: 7,
        });
        assert_eq!(icmp(&v6().icmp(128, 0).id(7).build()), v6_echo);
    }

    #[test]
    fn icmp_of_the_other_family_is_a_protocol_like_any_other() {
        let frame = v6().upper(protocol::ICMP, &[8, 0, 0, 0]);
        assert_eq!(parse(&frame).ip().unwrap().l4, L4::Opaque);
        assert_eq!(defect(&frame), None);
    }

    #[test]
    fn t14_a_partial_checksum_is_not_judged_and_a_complete_one_is() {
        for frame in [
            v4().tcp(1, 80).partial_checksum().payload(b"x").build(),
            v6().tcp(1, 80).partial_checksum().payload(b"x").build(),
            v4().udp(1, 80).partial_checksum().payload(b"x").build(),
            v4().icmp(8, 0).checksum(1).build(),
            v6().icmp(128, 0).checksum(1).build(),
        ] {
            assert!(parse(&frame).bad_checksum);
            let partial = Offload {
                needs_checksum: true,
                ..Offload::default()
            };
            assert!(!Headers::parse(&frame, partial).unwrap().bad_checksum);
            let valid = Offload {
                data_valid: true,
                ..Offload::default()
            };
            assert!(!Headers::parse(&frame, valid).unwrap().bad_checksum);
        }
    }

    #[test]
    fn a_udp_checksum_of_0_means_that_there_is_none_in_both_families() {
        for ip in [v4(), v6()] {
            assert!(!parse(&ip.udp(1, 9).checksum(0).build()).bad_checksum);
        }
    }
}

mod fragments {
    use super::*;

    #[test]
    fn f01_fragments_of_both_families_carry_their_place() {
        for whole in [
            v4().icmp(8, 0).id(7).payload(&[9; 3200]).build(),
            v6().icmp(128, 0).id(7).payload(&[9; 3200]).build(),
        ] {
            let parts = build::fragments(&whole, 1480, 77);
            let parsed: Vec<_> = parts.iter().map(|part| parse(part)).collect();
            let places: Vec<_> = parsed
                .iter()
                .map(|h| h.ip().unwrap().fragment.unwrap())
                .collect();
            assert_eq!(
                places,
                [
                    Fragment {
                        id: 77,
                        offset: 0,
                        len: 1480,
                        more: true
                    },
                    Fragment {
                        id: 77,
                        offset: 1480,
                        len: 1480,
                        more: true
                    },
                    Fragment {
                        id: 77,
                        offset: 2960,
                        len: 248,
                        more: false
                    },
                ]
            );
            assert!(parsed.iter().all(|h| h.defect.is_none() && !h.bad_checksum));
            assert!(matches!(
                parsed[0].ip().unwrap().l4,
                L4::Icmp(Icmp { id: 7, .. })
            ));
            assert_eq!(parsed[1].ip().unwrap().l4, L4::Opaque);
            assert_eq!(
                parsed[1].tuple().unwrap().protocol,
                parsed[0].tuple().unwrap().protocol
            );
        }
    }

    #[test]
    fn f08_an_offset_and_length_beyond_65535_are_a_defect() {
        let last = v4()
            .fragment(1, 65_528, false)
            .upper(protocol::UDP, &[0; 8]);
        assert_eq!(defect(&last), Some(Defect::Fragment));
        let last = v6()
            .fragment(1, 65_528, false)
            .upper(protocol::UDP, &[0; 8]);
        assert_eq!(defect(&last), Some(Defect::Fragment));
    }

    #[test]
    fn a_middle_fragment_that_is_no_multiple_of_8_or_an_empty_one_is_a_defect() {
        for ip in [v4(), v6()] {
            let middle = ip
                .clone()
                .fragment(1, 800, true)
                .upper(protocol::UDP, &[0; 12]);
            assert_eq!(defect(&middle), Some(Defect::Fragment));
            let empty = ip.fragment(1, 800, false).upper(protocol::UDP, &[]);
            assert_eq!(defect(&empty), Some(Defect::Fragment));
        }
    }

    #[test]
    fn f06_a_first_fragment_without_its_whole_header_is_tiny() {
        let least = [
            (protocol::TCP, 20),
            (protocol::UDP, 8),
            (protocol::SCTP, 12),
            (protocol::DCCP, 12),
        ];
        for (number, len) in least {
            for ip in [v4(), v6()] {
                let len = usize::next_multiple_of(len, 8);
                let mut header = vec![0; len];
                header[4..6].copy_from_slice(&1000u16.to_be_bytes());
                if number == protocol::TCP {
                    header[12] = 5 << 4;
                }
                let first = ip.clone().fragment(1, 0, true).upper(number, &header);
                assert_eq!(defect(&first), None, "{number}");
                let tiny = ip.fragment(1, 0, true).upper(number, &header[..len - 8]);
                assert_eq!(defect(&tiny), Some(Defect::TinyFragment), "{number}");
            }
        }
        assert_eq!(
            defect(&v4().fragment(1, 0, true).upper(1, &[])),
            Some(Defect::TinyFragment)
        );
        let tiny = parse(
            &v4()
                .fragment(1, 0, true)
                .upper(protocol::TCP, &[0, 1, 0, 80, 0, 0, 0, 0]),
        );
        assert_eq!(
            tiny.tuple().unwrap().dst_port,
            80,
            "ports that are there are kept"
        );
    }

    #[test]
    fn f07_tcp_at_offset_8_would_rewrite_flags_and_is_tiny() {
        for ip in [v4(), v6()] {
            let second = ip
                .clone()
                .fragment(1, 8, false)
                .upper(protocol::TCP, &[0; 24]);
            assert_eq!(defect(&second), Some(Defect::TinyFragment));
            let udp = ip.fragment(1, 8, false).upper(protocol::UDP, &[0; 24]);
            assert_eq!(defect(&udp), None);
        }
    }

    #[test]
    fn rfc_7112_a_first_fragment_whose_header_chain_is_cut_is_tiny() {
        let first = v6()
            .fragment(1, 0, true)
            .extension(protocol::DEST_OPTIONS, &[0; 14]);
        let mut frame = first.upper(protocol::UDP, &[]);
        frame.truncate(frame.len() - 8);
        frame[14 + 5] -= 8;
        assert_eq!(defect(&frame), Some(Defect::TinyFragment));
    }

    #[test]
    fn f18_an_atomic_fragment_is_a_whole_packet() {
        let headers = parse(&v6().fragment(9, 0, false).udp(1, 1000).build());
        assert_eq!(
            (headers.defect, headers.ip().unwrap().fragment),
            (None, None)
        );
        assert_eq!(headers.tuple().unwrap().dst_port, 1000);
        let twice = v6()
            .fragment(9, 0, false)
            .fragment(9, 0, false)
            .udp(1, 1000)
            .build();
        assert_eq!(defect(&twice), Some(Defect::ExtensionHeaders));
    }

    #[test]
    fn a_first_fragment_of_udp_states_the_length_of_the_whole() {
        let whole = v4().udp(1, 1000).payload(&[3; 4000]).build();
        for part in build::fragments(&whole, 1480, 5) {
            assert_eq!(defect(&part), None);
        }
    }
}

mod offload {
    use super::*;

    fn gso(kind: GsoKind, size: u16) -> Offload {
        Offload {
            needs_checksum: true,
            data_valid: false,
            gso: Some(Gso { kind, size }),
        }
    }

    #[test]
    fn t13_a_segmentation_frame_counts_as_the_packets_it_stands_for() {
        let frame = v4()
            .tcp(1, 80)
            .option(&[1; 12])
            .payload(&[0; 64_000])
            .build();
        let headers = Headers::parse(&frame, gso(GsoKind::Tcp4, 1448)).unwrap();
        assert_eq!(
            headers.wire,
            Wire {
                packets: 45,
                bytes: 64_000 + 45 * 52
            }
        );
        assert!(matches!(
            headers.ip().unwrap().l4,
            L4::Tcp(Tcp {
                payload_len: 64_000,
                ..
            })
        ));
        let one = Headers::parse(&frame, gso(GsoKind::Tcp4, 64_000)).unwrap();
        assert_eq!(
            one.wire,
            Wire {
                packets: 1,
                bytes: 64_052
            }
        );
        let udp = v6().udp(1, 80).payload(&[0; 2401]).build();
        let headers = Headers::parse(&udp, gso(GsoKind::Udp, 1200)).unwrap();
        assert_eq!(
            headers.wire,
            Wire {
                packets: 3,
                bytes: 2401 + 3 * 48
            }
        );
        let empty = Headers::parse(&v4().tcp(1, 2).build(), gso(GsoKind::Tcp4, 1)).unwrap();
        assert_eq!(
            empty.wire,
            Wire {
                packets: 1,
                bytes: 40
            }
        );
    }

    #[test]
    fn a_segmentation_that_does_not_fit_the_packet_is_a_defect() {
        let frames = [
            (v6().tcp(1, 80).build(), GsoKind::Tcp4),
            (v4().tcp(1, 80).build(), GsoKind::Tcp6),
            (v4().udp(1, 80).build(), GsoKind::Tcp4),
            (v4().tcp(1, 80).build(), GsoKind::Udp),
            (v4().icmp(8, 0).build(), GsoKind::Udp),
            (v4().fragment(1, 0, true).udp(1, 80).build(), GsoKind::Udp),
            (build::frame(A, B).payload(0x88cc, &[0; 46]), GsoKind::Tcp4),
        ];
        for (frame, kind) in frames {
            let headers = Headers::parse(&frame, gso(kind, 100)).unwrap();
            assert_eq!(headers.defect, Some(Defect::Offload));
            assert_eq!(headers.wire.packets, 1);
        }
    }
}

/// The chunk that moves an SCTP association stands behind others; a length that lies ends the search.
#[test]
fn of_several_sctp_chunks_the_one_that_opens_or_closes_counts() {
    let chunk = |bytes: &[u8]| {
        let mut upper = vec![0, 1, 0, 2, 0, 0, 0, 9, 0, 0, 0, 0];
        upper.extend(bytes);
        let frame = v4().upper(protocol::SCTP, &upper);
        match parse(&frame).ip().unwrap().l4 {
            L4::Sctp(sctp) => (sctp.chunk, sctp.reflected, sctp.tag),
            other => panic!("{other:?}"),
        }
    };
    const SACK: [u8; 8] = [3, 0, 0, 6, 1, 2, 0, 0];
    const SHUTDOWN: [u8; 8] = [7, 1, 0, 8, 0, 0, 0, 1];
    const ABORT: [u8; 4] = [6, 1, 0, 4];
    const DATA: [u8; 4] = [0, 3, 0, 4];
    assert_eq!(chunk(&[SACK, SHUTDOWN].concat()), (Some(7), false, 9));
    assert_eq!(chunk(&[&SACK[..], &ABORT[..]].concat()), (Some(6), true, 9));
    assert_eq!(
        chunk(&[&DATA[..], &ABORT[..]].concat()),
        (Some(0), false, 9)
    );
    assert_eq!(chunk(&SACK), (Some(3), false, 9));
    assert_eq!(chunk(&[]), (None, false, 9));
    assert_eq!(chunk(&[6, 0, 0, 3]), (None, false, 9));
    assert_eq!(chunk(&[6, 0, 0]), (None, false, 9));
    assert_eq!(chunk(&[3, 0, 0xff, 0xff]), (Some(3), false, 9));
    assert_eq!(chunk(&[SACK; 40].concat()), (Some(3), false, 9));
}

/// RFC 9260, section 6.10. Less than a chunk's header behind it is padding.
#[test]
fn an_init_that_shares_its_packet_is_told_whatever_stands_before_it() {
    let bundled = |chunks: &[&[u8]]| {
        let mut upper = vec![0, 1, 0, 2, 0, 0, 0, 9, 0, 0, 0, 0];
        upper.extend(chunks.concat());
        let frame = v4().upper(protocol::SCTP, &upper);
        match parse(&frame).ip().unwrap().l4 {
            L4::Sctp(sctp) => sctp.bundled,
            other => panic!("{other:?}"),
        }
    };
    const DATA: [u8; 4] = [0, 3, 0, 4];
    const SACK: [u8; 8] = [3, 0, 0, 6, 1, 2, 0, 0];
    const COOKIE_ECHO: [u8; 4] = [10, 0, 0, 4];
    for alone in [1, 2, 14] {
        let alone = [alone, 0, 0, 8, 0, 0, 0, 7];
        assert!(!bundled(&[&alone]) && !bundled(&[&alone, &[0; 3]]));
        assert!(bundled(&[&alone, &DATA]) && bundled(&[&DATA, &alone]));
        assert!(bundled(&[&SACK, &SACK, &alone]) && bundled(&[&alone, &alone]));
    }
    assert!(!bundled(&[&COOKIE_ECHO, &DATA]) && !bundled(&[&SACK, &DATA]) && !bundled(&[]));
}
