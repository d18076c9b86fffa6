//! V: tags and odd frames.

use crate::laboratory::Lab;
use crate::setup::{OPEN, Setup};
use flowlog::NotRecorded;
use packet::{Mac, Reason, build};

fn lab() -> Lab {
    Lab::new(Setup::of_b(OPEN))
}

/// Source and destination MAC of a packet from A to B.
fn ends(lab: &Lab) -> (Mac, Mac) {
    let frame = lab.frame("A", "udp A:1 > B:9");
    (
        Mac(frame[6..12].try_into().unwrap()),
        Mac(frame[..6].try_into().unwrap()),
    )
}

/// P25, V04.
#[test]
fn a_tag_hides_nothing_and_a_priority_is_no_tag() {
    let mut lab = lab();
    let (src, dst) = ends(&lab);
    lab.sees("A", "udp 10.0.0.99:1 > B:9 vlan=5", "A> vlan");
    lab.sees("U", "udp X:1 > B:9 vlan=5", "U> unfiltered, >B vlan");
    lab.sees("A", "udp A:1 > B:9 vlan=0", "A> rule, >B rule");
    let frame = build::frame(src, dst);
    for frame in [frame.clone().vlan(1).vlan(5), frame.tag(0x88a8, 5)] {
        let frame = frame.ip([10, 0, 0, 10], [10, 0, 0, 11]).udp(1, 9).build();
        assert_eq!(lab.send_frame("A", &frame).fate, "A> vlan");
    }
}

/// V05, V07, V08.
#[test]
fn ethertypes_need_a_permission_and_some_never_get_one() {
    let mut lab = lab();
    for ethertype in ["0x88cc", "0x8847", "0xaaaa", "0x8863"] {
        lab.sees(
            "A",
            &format!("eth {ethertype} len=46 to B.mac"),
            "A> ethertype",
        );
        lab.sees(
            "U",
            &format!("eth {ethertype} len=46 to B.mac"),
            "U> unfiltered, >B ethertype",
        );
    }
    lab.sees("A", "eth 0x0020 len=46 to B.mac", "A> l2_reserved");
    for reserved in [
        "01:80:c2:00:00:00",
        "01:80:c2:00:00:01",
        "01:80:c2:00:00:0e",
    ] {
        lab.sees(
            "A",
            &format!("eth 0x88cc len=46 to {reserved}"),
            "A> l2_reserved",
        );
    }
    lab.reload(|setup| setup.port("A", |port| port.spec.permitted_ethertypes = vec![0x88cc]));
    lab.sees(
        "A",
        "eth 0x88cc len=46 to B.mac",
        "A> essential, >B ethertype",
    );
    lab.reload(|setup| setup.port("B", |port| port.spec.permitted_ethertypes = vec![0x88cc]));
    lab.sees(
        "A",
        "eth 0x88cc len=46 to B.mac",
        "A> essential, >B essential",
    );
    assert_eq!(lab.refused("A", Reason::L2Reserved), 4);
    assert_eq!(lab.not_recorded("A", NotRecorded::NonIp), 10);
    lab.logs("");
}

/// LLDP, EAPOL, LACP and PTP have reserved group addresses of their own: who permits them means those. The
/// receiver permits for itself, and an uplink needs no permission.
#[test]
fn a_permitted_ethertype_passes_to_its_reserved_address_too_but_pause_frames_never_do() {
    let all = [0x88cc, 0x888e, 0x8809, 0x88f7, 0x8808];
    let mut lab = lab();
    let permits =
        |port: &mut vswitch::switch::PortConfig| port.spec.permitted_ethertypes = all.to_vec();
    lab.reload(|setup| setup.port("A", permits).port("B", permits));
    for (ethertype, address) in [
        ("0x88cc", "01:80:c2:00:00:0e"),
        ("0x88cc", "01:80:c2:00:00:03"),
        ("0x88cc", "01:80:c2:00:00:00"),
        ("0x888e", "01:80:c2:00:00:03"),
        ("0x8809", "01:80:c2:00:00:02"),
        ("0x88f7", "01:80:c2:00:00:0e"),
    ] {
        let frame = format!("eth {ethertype} len=46 to {address}");
        lab.sees(
            "A",
            &frame,
            "A> essential, >B essential, >C l2_reserved, >U unfiltered",
        );
        lab.sees(
            "U",
            &frame,
            "U> unfiltered, >A essential, >B essential, >C l2_reserved",
        );
        lab.sees("C", &frame, "C> l2_reserved");
    }
    for never in [
        // Pause frames, by address and by ethertype, also to one guest alone.
        "eth 0x8808 len=46 to 01:80:c2:00:00:01",
        "eth 0x88cc len=46 to 01:80:c2:00:00:01",
        "eth 0x8808 len=46 to 01:80:c2:00:00:0e",
        "eth 0x8808 len=46 to B.mac",
        // Spanning tree has a length and no ethertype, so that nothing permits it.
        "eth 0x0026 len=46 to 01:80:c2:00:00:00",
        // IP is evaluated by its own rules, and no port has such an address.
        "udp A:1 > B:9 to 01:80:c2:00:00:0e",
    ] {
        lab.sees("A", never, "A> l2_reserved");
    }
}

/// V09, V10.
#[test]
fn an_ip_header_that_contradicts_its_frame_is_malformed_and_padding_is_not() {
    let mut lab = lab();
    let (src, dst) = ends(&lab);
    let v4 = || build::frame(src, dst).ip([10, 0, 0, 10], [10, 0, 0, 11]);
    let swapped = build::frame(src, dst)
        .ethertype(0x86dd)
        .ip([10, 0, 0, 10], [10, 0, 0, 11]);
    for frame in [
        v4().version(6).udp(1, 9).build(),
        swapped.udp(1, 9).build(),
        v4().length(100).udp(1, 9).build(),
        v4().length(19).udp(1, 9).build(),
        v4().header_words(4).udp(1, 9).build(),
    ] {
        assert_eq!(lab.send_frame("A", &frame).fate, "A> malformed");
    }
    assert_eq!(
        lab.send_frame("A", &v4().padding(18).udp(1, 9).build())
            .fate,
        "A> rule, >B rule"
    );
    let rows = lab.rows();
    let good = rows.iter().find(|row| row.place == ">B").unwrap();
    assert_eq!(good.count.bytes, 28, "padding is not counted");
}

/// V11.
#[test]
fn frames_cut_short_anywhere_are_counted_and_refused() {
    let mut lab = lab();
    for text in [
        "udp A:1 > B:9 len=20",
        "tcp A:1 > B:80",
        "icmp A6 > B6 echo-request id=1",
        "arp who-has 10.0.0.11 tell 10.0.0.10",
    ] {
        let whole = lab.frame("A", text);
        for len in 0..whole.len() {
            let sent = lab.send_frame("A", &whole[..len]);
            assert!(sent.got.is_empty(), "{text} cut to {len}: {}", sent.fate);
        }
        for len in 14..whole.len() {
            assert!(
                lab.send_frame("U", &whole[..len]).got.is_empty(),
                "{text} from U cut to {len}"
            );
        }
    }
    assert!(lab.refused("A", Reason::Malformed) > 4 * 14);
    lab.rows();
}

/// V12.
#[test]
fn a_packet_to_itself_is_refused() {
    let mut lab = Lab::new(
        Setup::of_b(OPEN).port("A", |port| port.spec.fixed_ips.push([10, 0, 0, 11].into())),
    );
    lab.sees(
        "A",
        "udp A:1 > B:9 from fa:16:3e:00:00:0a to fa:16:3e:00:00:0a",
        "A> spoof_mac",
    );
    lab.sees(
        "A",
        "udp 10.0.0.11:1 > 10.0.0.11:9 to B.mac",
        "A> malformed",
    );
    lab.sees("U", "udp B:1 > B:9 to B.mac", "U> unfiltered, >B malformed");
}

/// R20, R21.
#[test]
fn extension_headers_do_not_hide_the_port_and_have_a_limit() {
    let mut lab = Lab::new(Setup::of_b("in tcp 80"));
    let (src, dst) = ends(&lab);
    let (a, b) = (crate::setup::v6(10), crate::setup::v6(11));
    let ip = || build::frame(src, dst).ip(a, b);
    let chains: [&[u8]; 5] = [&[0], &[60], &[44], &[0, 60], &[0, 60, 44]];
    for (place, chain) in chains.iter().enumerate() {
        for (port, fate) in [(80, "A> rule, >B rule"), (81, "A> rule, >B default_deny")] {
            let ip = chain
                .iter()
                .fold(ip(), |ip, number| ip.extension(*number, &[0; 6]));
            let frame = ip
                .tcp(1000 + place as u16, port)
                .flags(packet::tcp_flags::SYN)
                .build();
            assert_eq!(lab.send_frame("A", &frame).fate, fate, "{chain:?}");
        }
    }
    let many = (0..64)
        .fold(ip(), |ip, _| ip.extension(60, &[0; 6]))
        .udp(1, 9)
        .build();
    assert_eq!(lab.send_frame("A", &many).fate, "A> malformed");
    let past_the_end = ip().upper(0, &[17, 200, 0, 0, 0, 0, 0, 0]);
    assert_eq!(lab.send_frame("A", &past_the_end).fate, "A> malformed");
}

/// SPEC section 4, `mtu`, and a reason of its own.
#[test]
fn what_is_longer_than_the_receivers_mtu_is_refused_there() {
    let mut lab = Lab::new(Setup::of_b("in udp 9").port("B", |port| port.mtu = 1000));
    lab.sees("A", "udp A:1 > B:9 len=972", "A> rule, >B rule");
    lab.sees("A", "udp A:1 > B:9 len=973", "A> rule, >B mtu");
    lab.sees("A", "udp A:2 > B:9 len=973", "A> rule, >B mtu");
    lab.sees("A", "udp A6:1 > B6:9 len=973", "A> rule, >B mtu");
    lab.logs("A> rule 3, >B rule 1, >B mtu 2");
    assert_eq!(lab.connections().len(), 1);
}

/// An answer that is too long is refused where it is too long, and was allowed where it left.
#[test]
fn an_answer_longer_than_the_asker_takes_was_allowed_where_it_left() {
    let mut lab = Lab::new(Setup::of_b("in udp 9").port("A", |port| port.mtu = 1000));
    lab.sees("A", "udp A:1 > B:9", "A> rule, >B rule");
    lab.sees("B", "udp B:9 > A:1 len=1400", "B> reply, >A mtu");
    lab.logs("A> rule 1, >B rule 1, B> reply 1, >A mtu 1");
}

/// What an unfiltered port sends is examined by the receiver, with the same words.
#[test]
fn a_receiver_gives_a_trusted_senders_defects_their_own_names() {
    let mut lab = lab();
    let frame = lab.frame("U", "udp X:1 > B:9");
    let (src, dst) = (
        Mac(frame[6..12].try_into().unwrap()),
        Mac(frame[..6].try_into().unwrap()),
    );
    let ip = || build::frame(src, dst).ip([198, 51, 100, 9], [10, 0, 0, 11]);
    let tiny = ip().fragment(7, 0, true).upper(6, &[0; 8]);
    assert_eq!(
        lab.send_frame("U", &tiny).fate,
        "U> unfiltered, >B frag_tiny"
    );
    let short = ip().udp(1, 9).length(4).build();
    assert_eq!(
        lab.send_frame("U", &short).fate,
        "U> unfiltered, >B malformed"
    );
}
