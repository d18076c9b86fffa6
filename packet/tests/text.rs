//! The text form: it round-trips through text, through frames, and says which word is wrong.
#![expect(clippy::unwrap_used, reason = "a test stops where it fails")]

use packet::{
    Dccp, Fragment, Headers, Icmp, IpSpec, L4, Mac, Offload, PacketSpec, Sctp, SpecBody, Tcp,
    ethertype, protocol, sctp_chunk,
};
use proptest::prelude::*;
use std::net::{IpAddr, Ipv6Addr};

const A: Mac = Mac([0xfa, 0x16, 0x3e, 0, 0, 1]);
const B: Mac = Mac([0xfa, 0x16, 0x3e, 0, 0, 2]);

fn spec(text: &str) -> PacketSpec {
    text.parse()
        .unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// The text of the frame that a text makes, as its headers tell it.
fn seen(text: &str) -> String {
    let frame = spec(text).build(A, B);
    Headers::parse(&frame, Offload::default())
        .unwrap()
        .to_string()
}

#[test]
fn the_usual_packets_come_back_as_they_were_written() {
    for text in [
        "tcp 10.77.1.11:40000 > 10.77.1.12:22 syn",
        "tcp 10.77.1.11:40000 > 10.77.1.12:22 none",
        "tcp [fd00::1]:40000 > [fd00::2]:22 psh,ack seq=1 ack=4294967295 win=501 len=100",
        "tcp 10.0.0.1:1 > 10.0.0.2:2 syn,ece,cwr,ack wscale=7",
        "tcp 10.0.0.1:1 > 10.0.0.2:2 ack sack=0 ttl=1 vlan=5",
        "udp 10.77.1.11:68 > 255.255.255.255:67 len=300 vlan=0",
        "udp [::1]:1 > [::2]:2",
        "icmp 10.77.1.11 > 10.77.1.12 echo-request id=7 len=56",
        "icmp 10.77.1.11 > 10.77.1.12 unreachable code=4",
        "icmp 10.77.1.11 > 10.77.1.12 type=99 code=1",
        "icmpv6 fd00::1 > fd00::2 echo-reply id=7",
        "icmpv6 fe80::1 > ff02::2 router-solicitation",
        "icmpv6 fe80::1 > ff02::1 router-advertisement ttl=64",
        "sctp 10.0.0.1:5000 > 10.0.0.2:5001 init init-tag=7 len=4",
        "sctp [fd00::1]:5000 > [fd00::2]:5001 cookie-echo tag=9 len=64",
        "sctp 10.0.0.1:5000 > 10.0.0.2:5001 abort reflected tag=9",
        "sctp 10.0.0.1:5000 > 10.0.0.2:5001 chunk=192",
        "sctp 10.0.0.1:5000 > 10.0.0.2:5001 init-ack tag=1",
        "sctp 10.0.0.1:5000 > 10.0.0.2:5001 init init-tag=0",
        "sctp 10.0.0.1:5000 > 10.0.0.2:5001 none",
        "dccp 10.0.0.1:5000 > 10.0.0.2:5001 response len=4",
        "dccp [fd00::1]:5000 > [fd00::2]:5001 type=15",
        "udplite [fd00::1]:5 > [fd00::2]:6",
        "vrrp 10.0.0.1 > 224.0.0.18 len=20 ttl=255",
        "gre fd00::1 > fd00::2",
        "proto=253 10.0.0.1 > 10.0.0.2",
        "proto=1 fd00::1 > fd00::2 len=8",
        "udp 10.0.0.1:1 > 10.0.0.2:2 frag=7:0:1480:+",
        "udp 10.0.0.1 > 10.0.0.2 frag=7:1480:100",
        "tcp [fd00::1]:1 > [fd00::2]:2 syn frag=4294967295:0:64:+",
        "icmpv6 fd00::1 > fd00::2 echo-request frag=1:0:8:+",
        "icmpv6 fd00::1 > fd00::2 frag=1:1232:8:+",
        "arp who-has 10.77.1.12 tell 10.77.1.11",
        "arp who-has 10.77.1.12 tell 10.77.1.11 sender-mac=fa:16:3e:00:00:09",
        "arp reply 10.77.1.11 is-at fa:16:3e:00:00:01",
        "arp reply 10.77.1.11 is-at fa:16:3e:00:00:01 tell 10.77.1.12 vlan=9",
        "arp op=9 10.77.1.11 > 10.77.1.12",
        "rarp op=3 0.0.0.0 > 0.0.0.0",
        "eth 0x88cc",
    ] {
        assert_eq!(spec(text).to_string(), text);
        assert_eq!(seen(text), text);
    }
}

#[test]
fn other_spellings_mean_the_same() {
    for (other, usual) in [
        (
            "tcp 10.0.0.1:1 > 10.0.0.2:2",
            "tcp 10.0.0.1:1 > 10.0.0.2:2 syn",
        ),
        (
            "tcp 10.0.0.1:1 > 10.0.0.2:2 ack psh",
            "tcp 10.0.0.1:1 > 10.0.0.2:2 psh,ack",
        ),
        (
            "proto=6 10.0.0.1:1 > 10.0.0.2:2 rst",
            "tcp 10.0.0.1:1 > 10.0.0.2:2 rst",
        ),
        (
            "icmp 10.0.0.1 > 10.0.0.2 type=8 code=0",
            "icmp 10.0.0.1 > 10.0.0.2 echo-request",
        ),
        (
            "icmp fd00::1 > fd00::2 echo-request",
            "icmpv6 fd00::1 > fd00::2 echo-request",
        ),
        (
            "icmpv6 [fd00::1] > [fd00::2] type=128",
            "icmpv6 fd00::1 > fd00::2 echo-request",
        ),
        (
            "icmpv6 fe80::1 > fe80::2 neighbor-solicitation",
            "icmpv6 fe80::1 > fe80::2 neighbour-solicitation",
        ),
        (
            "sctp 10.0.0.1:1 > 10.0.0.2:2",
            "sctp 10.0.0.1:1 > 10.0.0.2:2 init",
        ),
        (
            "dccp 10.0.0.1:1 > 10.0.0.2:2 type=0",
            "dccp 10.0.0.1:1 > 10.0.0.2:2 request",
        ),
        (
            "vlan=5 udp 10.0.0.1:1 > 10.0.0.2:2",
            "udp 10.0.0.1:1 > 10.0.0.2:2 vlan=5",
        ),
    ] {
        assert_eq!(spec(other).to_string(), usual);
    }
}

#[test]
fn mac_addresses_stand_anywhere_and_are_told_on_request() {
    let text = "from 02:00:00:00:00:0a udp 10.0.0.1:1 > 10.0.0.2:2 to 02:00:00:00:00:0b len=9";
    let frame = spec(text).build(A, B);
    let headers = Headers::parse(&frame, Offload::default()).unwrap();
    let plain = "udp 10.0.0.1:1 > 10.0.0.2:2 len=9";
    assert_eq!(headers.to_string(), plain);
    let full = format!("{plain} from 02:00:00:00:00:0a to 02:00:00:00:00:0b");
    assert_eq!(format!("{headers:#}"), full);
    assert_eq!(spec(text).to_string(), full);
}

#[test]
fn neighbour_discovery_claims_are_written_and_read_from_the_frame() {
    for text in [
        "icmpv6 fe80::1 > ff02::1:ff00:2 neighbour-solicitation target=fe80::2 lladdr=fa:16:3e:00:00:01",
        "icmpv6 fe80::1 > ff02::1 neighbour-advertisement target=fe80::1",
        "icmpv6 fe80::1 > ff02::2 router-solicitation lladdr=fa:16:3e:00:00:01",
    ] {
        let frame = spec(text).build(A, B);
        let headers = Headers::parse(&frame, Offload::default()).unwrap();
        let read = PacketSpec {
            src_mac: None,
            dst_mac: None,
            ..PacketSpec::read(&frame, &headers)
        };
        assert_eq!(read.to_string(), text);
        assert_eq!(read, spec(text));
        assert_eq!(headers.ip().unwrap().hop_limit, 255);
    }
}

#[test]
fn a_defect_and_a_wrong_checksum_are_told_behind_the_packet() {
    let mut frame = spec("udp 10.0.0.1:1 > 10.0.0.2:2").build(A, B);
    frame[40] ^= 1;
    let text = Headers::parse(&frame, Offload::default())
        .unwrap()
        .to_string();
    assert_eq!(text, "udp 10.0.0.1:1 > 10.0.0.2:2 (wrong checksum)");
    frame[16] = 9;
    let text = Headers::parse(&frame, Offload::default())
        .unwrap()
        .to_string();
    assert!(
        text.contains("2:2 (IP length does not fit the frame)"),
        "{text}"
    );
}

#[test]
fn a_mistake_names_its_word_and_what_would_be_right() {
    for (text, word, hint) in [
        ("", "", "tcp, udp"),
        ("tpc 10.0.0.1:1 > 10.0.0.2:2", "tpc", "tcp, udp"),
        ("tcp 10.0.0.1 > 10.0.0.2:2", "10.0.0.1", "with a port"),
        ("tcp 10.0.0.1:1 10.0.0.2:2", "10.0.0.2:2", ">"),
        ("tcp 10.0.0.1:1 >", "", "an address"),
        (
            "tcp 10.0.0.1:1 > 10.0.0.2:70000",
            "10.0.0.2:70000",
            "an address",
        ),
        ("tcp 10.0.0.1:1 > [fd00::1]:2", "[fd00::1]:2", "family"),
        ("tcp 10.0.0.1:1 > 10.0.0.2:2 sny", "sny", "syn"),
        ("tcp 10.0.0.1:1 > 10.0.0.2:2 syn,akc", "akc", "syn"),
        (
            "tcp 10.0.0.1:1 > 10.0.0.2:2 win=70000",
            "win=70000",
            "number",
        ),
        ("udp 10.0.0.1:1 > 10.0.0.2:2 syn", "syn", "len="),
        (
            "udp 10.0.0.1:1 > 10.0.0.2:2 len=65535",
            "len=65535",
            "65400",
        ),
        ("icmp 10.0.0.1 > 10.0.0.2", "", "echo-request"),
        (
            "icmp 10.0.0.1:1 > 10.0.0.2 echo-request",
            "10.0.0.1:1",
            "without a port",
        ),
        (
            "icmp 10.0.0.1 > 10.0.0.2 packet-too-big",
            "packet-too-big",
            "type=8",
        ),
        ("icmpv6 10.0.0.1 > 10.0.0.2 echo-request", "icmpv6", "icmp"),
        ("proto=256 10.0.0.1 > 10.0.0.2", "proto=256", "255"),
        (
            "udp 10.0.0.1:1 > 10.0.0.2:2 frag=1:0:64",
            "frag=1:0:64",
            "frag=",
        ),
        (
            "udp 10.0.0.1:1 > 10.0.0.2:2 frag=1:4:64:+",
            "frag=1:4:64:+",
            "multiple of 8",
        ),
        (
            "udp 10.0.0.1:1 > 10.0.0.2:2 frag=65536:0:64:+",
            "frag=65536:0:64:+",
            "65535",
        ),
        (
            "udp 10.0.0.1:1 > 10.0.0.2:2 frag=1:8:64",
            "10.0.0.1:1",
            "without a port",
        ),
        ("udp 10.0.0.1:1 > 10.0.0.2:2 vlan=4096", "vlan=4096", "4095"),
        ("udp 10.0.0.1:1 > 10.0.0.2:2 from", "", "MAC"),
        ("udp 10.0.0.1:1 > 10.0.0.2:2 to me", "me", "MAC"),
        ("arp 10.0.0.1", "10.0.0.1", "who-has"),
        ("arp who-has 10.0.0.1", "", "tell"),
        ("arp who-has fd00::1 tell 10.0.0.1", "fd00::1", "IPv4"),
        ("eth lldp", "lldp", "0x88cc"),
    ] {
        let error = text.parse::<PacketSpec>().unwrap_err();
        assert_eq!(error.word, word, "{text}: {error}");
        assert!(error.to_string().contains(hint), "{text}: {error}");
    }
}

fn addresses() -> impl Strategy<Value = (IpAddr, IpAddr)> {
    prop_oneof![
        any::<[[u8; 4]; 2]>().prop_map(|[a, b]| (a.into(), b.into())),
        any::<[[u8; 16]; 2]>().prop_map(|[a, b]| (a.into(), b.into())),
    ]
}

fn tcps() -> impl Strategy<Value = L4> {
    let numbers = (any::<[u16; 3]>(), any::<[u32; 2]>(), any::<u8>());
    (numbers, any::<Option<u8>>(), any::<Option<u32>>()).prop_map(
        |(([src_port, dst_port, window], [seq, ack], flags), window_scale, sack)| {
            let payload_len = 0;
            let (src_port, dst_port) = (src_port, dst_port);
            L4::Tcp(Tcp {
                src_port,
                dst_port,
                seq,
                ack,
                flags,
                window,
                payload_len,
                window_scale,
                sack,
            })
        },
    )
}

/// SCTP with at most one chunk.
fn sctps() -> impl Strategy<Value = L4> {
    let numbers = (
        any::<[u16; 2]>(),
        any::<[u32; 2]>(),
        any::<Option<u8>>(),
        any::<bool>(),
    );
    numbers.prop_map(
        |([src_port, dst_port], [tag, init_tag], chunk, reflected)| {
            let has_tag = matches!(chunk, Some(sctp_chunk::INIT | sctp_chunk::INIT_ACK));
            let is_end = matches!(
                chunk,
                Some(sctp_chunk::ABORT | sctp_chunk::SHUTDOWN_COMPLETE)
            );
            L4::Sctp(Sctp {
                src_port,
                dst_port,
                tag,
                chunk,
                reflected: reflected && is_end,
                init_tag: if has_tag { init_tag } else { 0 },
                bundled: false,
            })
        },
    )
}

/// An upper layer with its protocol in IPv4; ICMP is put right for IPv6.
fn uppers() -> impl Strategy<Value = (u8, L4)> {
    let ports = any::<[u16; 2]>();
    let opaque = (0..=255u8).prop_filter("has a header or is an IPv6 extension", |number| {
        !matches!(
            number,
            0 | 1 | 6 | 17 | 33 | 43 | 44 | 51 | 58 | 60 | 132 | 136
        )
    });
    prop_oneof![
        tcps().prop_map(|l4| (protocol::TCP, l4)),
        ports.prop_map(|[a, b]| (
            protocol::UDP,
            L4::Udp {
                src_port: a,
                dst_port: b
            }
        )),
        ports.prop_map(|[a, b]| (
            protocol::UDPLITE,
            L4::Ports {
                src_port: a,
                dst_port: b
            }
        )),
        (ports, 0..16u8).prop_map(|([a, b], kind)| (
            protocol::DCCP,
            L4::Dccp(Dccp {
                src_port: a,
                dst_port: b,
                kind
            })
        )),
        sctps().prop_map(|l4| (protocol::SCTP, l4)),
        any::<(u8, u8, u16)>()
            .prop_map(|(kind, code, id)| { (protocol::ICMP, L4::Icmp(Icmp { kind, code, id })) }),
        opaque.prop_map(|number| (number, L4::Opaque)),
    ]
}

fn fragments() -> impl Strategy<Value = Fragment> {
    (any::<u16>(), 0..1000u16, 1..100u16, any::<bool>()).prop_map(|(id, offset, len, more)| {
        let more = more || offset == 0;
        // An offset of 8 belongs to an attack; a first fragment has room for any header.
        let offset = if offset == 1 { 16 } else { offset * 8 };
        Fragment {
            id: id.into(),
            offset,
            len: len * 8 + 64,
            more,
        }
    })
}

fn specs() -> impl Strategy<Value = PacketSpec> {
    let part = prop::option::weighted(0.2, fragments());
    let vlan = prop::option::of(0..4096u16);
    (addresses(), uppers(), any::<u8>(), part, 0..2000u16, vlan).prop_map(
        |((src, dst), (mut protocol, mut l4), ttl, fragment, mut len, vlan)| {
            if fragment.is_some() {
                len = 0;
            }
            if fragment.is_some_and(|part| part.offset > 0) {
                l4 = L4::Opaque;
            }
            if protocol == protocol::ICMP && src.is_ipv6() {
                protocol = protocol::ICMPV6;
            }
            match &mut l4 {
                L4::Tcp(tcp) => tcp.payload_len = u32::from(len),
                // Other messages have no identifier to be read back.
                L4::Icmp(icmp)
                    if !matches!((protocol, icmp.kind), (1, 0 | 8) | (58, 128 | 129)) =>
                {
                    icmp.id = 0;
                }
                _ => {}
            }
            let (target, link_layer) = (None, None);
            let ip = IpSpec {
                src,
                dst,
                protocol,
                ttl,
                fragment,
                l4,
                len,
                target,
                link_layer,
            };
            PacketSpec {
                src_mac: Some(A),
                dst_mac: Some(B),
                vlan,
                body: SpecBody::Ip(ip),
            }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn a_packet_is_the_same_through_text_and_through_a_frame(spec in specs()) {
        let text = spec.to_string();
        prop_assert_eq!(text.parse::<PacketSpec>().unwrap(), spec, "{}", text);
        let frame = spec.build(Mac::ZERO, Mac::ZERO);
        let headers = Headers::parse(&frame, Offload::default()).unwrap();
        prop_assert_eq!(format!("{headers:#}"), text);
        prop_assert_eq!(PacketSpec::of(&headers), spec);
    }

    #[test]
    fn random_words_are_refused_without_a_panic(
        words in prop::collection::vec(
            prop_oneof![
                prop::sample::select(vec![
                    "tcp", "arp", "icmp", "10.0.0.1:2", "10.0.0.1", "fd00::1", ">", "syn", "frag=1:0:9:+",
                    "len=9", "who-has", "tell", "from", "vlan=1", "type=8", "eth", "0x0800", "target=::",
                ]).prop_map(str::to_owned),
                "\\PC{0,8}",
            ],
            0..9,
        )
    ) {
        if let Ok(spec) = words.join(" ").parse::<PacketSpec>() {
            let frame = spec.build(A, B);
            let headers = Headers::parse(&frame, Offload::default()).unwrap();
            prop_assert_eq!(spec.to_string().parse::<PacketSpec>(), Ok(spec));
            let _ = PacketSpec::read(&frame, &headers).to_string();
        }
    }

    #[test]
    fn every_parsed_frame_has_a_text(frame in prop::collection::vec(any::<u8>(), 14..120), kind in 0..4) {
        let mut frame = frame;
        let number = [ethertype::IPV4, ethertype::IPV6, ethertype::ARP, ethertype::VLAN][kind as usize];
        frame[12..14].copy_from_slice(&number.to_be_bytes());
        let headers = Headers::parse(&frame, Offload::default()).unwrap();
        prop_assert!(!headers.to_string().is_empty());
        prop_assert!(!PacketSpec::read(&frame, &headers).build(A, B).is_empty());
    }
}

#[test]
fn the_link_local_address_of_a_mac_can_be_written() {
    let address: Ipv6Addr = A.link_local();
    let text = format!("icmpv6 {address} > ff02::2 router-solicitation");
    assert_eq!(seen(&text), text);
}
