//! T: the states of TCP, and what belongs to no connection.

use crate::laboratory::Lab;
use crate::setup::{EG, Setup};
use crate::talk::Talk;
use packet::{Gso, GsoKind, Offload, build, tcp_flags};
use secgroup::conntrack::State;

fn lab() -> Lab {
    Lab::new(Setup::of_b("out, in tcp"))
}

fn state(lab: &Lab) -> (State, u32) {
    let views = lab.connections();
    assert_eq!(views.len(), 1, "{views:?}");
    (views[0].state, views[0].expires_in_ms / 1000)
}

/// T01.
#[test]
fn segments_that_open_nothing_are_invalid_although_a_rule_matches() {
    let mut lab = lab();
    let flags = [
        "syn,ack",
        "fin",
        "fin,ack",
        "rst",
        "none",
        "fin,psh,urg",
        "syn,fin",
        "syn,rst",
    ];
    for flags in flags {
        lab.sees("A", &format!("tcp A:1 > B:80 {flags}"), "A> ct_invalid");
        lab.sees("A", &format!("tcp A6:1 > B6:80 {flags}"), "A> ct_invalid");
        // Of what an uplink sends, the receiver judges first.
        lab.sees(
            "U",
            &format!("tcp X:1 > B:80 {flags}"),
            "U> unfiltered, >B ct_invalid",
        );
    }
    lab.logs("A> ct_invalid 8, U> unfiltered 8, >B ct_invalid 8");
}

/// T02.
#[test]
fn a_lone_ack_is_picked_up_where_a_rule_allows_it_and_only_if_loose() {
    let mut lab = lab();
    lab.sees("A", "tcp A:1 > B:80 ack seq=5 ack=6", "A> rule, >B rule");
    lab.sees(
        "B",
        "tcp B:80 > A:1 psh,ack seq=6 ack=5 len=10",
        "B> reply, >A reply",
    );
    lab.sees(
        "B",
        "tcp B:1 > A:80 ack seq=5 ack=6",
        "B> rule, >A default_deny",
    );
    lab.reload(|setup| setup.set(|config| config.settings.tcp_loose = false));
    lab.sees("A", "tcp A:2 > B:80 ack seq=5 ack=6", "A> ct_invalid");
}

/// T04, T05.
#[test]
fn an_exact_reset_closes_and_one_after_a_fin_too() {
    let mut lab = lab();
    let mut talk = Talk::opens(("A", 4000), ("B", 80), &mut lab);
    talk.passes(&mut lab, 1, "rst,ack", 0);
    assert_eq!(state(&lab), (State::Close, 10));
    lab.tick(11_000);
    assert!(lab.connections().is_empty());

    let mut talk = Talk::opens(("A", 4000), ("B", 80), &mut lab);
    talk.passes(&mut lab, 0, "fin,ack", 0);
    lab.sees(
        "B",
        "tcp B:80 > A:4000 rst seq=500100",
        "B> reply, >A reply",
    );
    assert_eq!(state(&lab).0, State::Close);
}

#[test]
fn a_blind_reset_ends_nothing() {
    let mut lab = lab();
    let mut talk = Talk::opens(("A", 4000), ("B", 80), &mut lab);
    lab.sees("B", "tcp B:80 > A:4000 rst seq=100000", "B> ct_invalid");
    assert_eq!(state(&lab).0, State::Established);
    talk.passes(&mut lab, 0, "psh,ack", 10);
}

/// T07.
#[test]
fn a_delayed_answer_of_an_older_connection_breaks_no_handshake() {
    let mut lab = lab();
    let mut talk = Talk::new(("A", 4000), ("B", 80));
    talk.passes(&mut lab, 0, "syn", 0);
    // It passes, for A answers it by the RST that ends the older one; of nothing at all it is refused.
    let old = "tcp B:80 > A:4000 syn,ack seq=9 ack=77";
    lab.sees("B", old, "B> reply, >A reply");
    assert_eq!(state(&lab).0, State::SynSent);
    let of_nothing = "tcp B:80 > A:4000 syn,ack seq=9 ack=1000077";
    lab.sees("B", of_nothing, "B> ct_invalid");
    talk.passes(&mut lab, 1, "syn,ack", 0);
    talk.passes(&mut lab, 0, "ack", 0);
    assert_eq!(state(&lab).0, State::Established);
}

/// T09.
#[test]
fn a_segment_far_outside_the_window_is_invalid_unless_liberal() {
    let mut lab = lab();
    Talk::opens(("A", 4000), ("B", 80), &mut lab);
    let far = "tcp A:4000 > B:80 psh,ack seq=500000000 ack=500001 len=10";
    lab.sees("A", far, "A> ct_invalid");
    lab.reload(|setup| setup.set(|config| config.settings.tcp_be_liberal = true));
    lab.sees("A", far, "A> rule, >B rule");
}

/// A port's own setting stands in place of the general one; of two that say something the strict holds.
#[test]
fn a_port_may_forgive_windows_and_the_stricter_of_two_holds() {
    let far = "tcp A:4000 > B:80 psh,ack seq=500000000 ack=500001 len=10";
    for (general, of_a, of_b, passes) in [
        (false, Some(true), None, true),
        (false, None, Some(true), true),
        (false, Some(true), Some(false), false),
        (true, None, None, true),
        (true, Some(false), None, false),
        (true, Some(true), Some(true), true),
        (false, Some(true), Some(true), true),
    ] {
        let mut lab = lab();
        lab.reload(|setup| {
            setup.set(|config| {
                config.settings.tcp_be_liberal = general;
                for port in &mut config.ports {
                    port.tcp_be_liberal = match port.name.as_str() {
                        "A" => of_a,
                        "B" => of_b,
                        _ => None,
                    };
                }
            })
        });
        Talk::opens(("A", 4000), ("B", 80), &mut lab);
        let expected = if passes {
            "A> rule, >B rule"
        } else {
            "A> ct_invalid"
        };
        lab.sees("A", far, expected);
    }
}

/// A tunnel's outer header may go without a checksum in IPv6 too (RFC 6935).
#[test]
fn udp_over_ipv6_without_a_checksum_passes_both_ways() {
    const CHECKSUM: std::ops::Range<usize> = 60..62;
    let mut lab = Lab::new(Setup::of_b("out, in udp 4789"));
    for (from, text, fate) in [
        ("A", "udp A6:4789 > B6:4789 len=60", "A> rule, >B rule"),
        ("B", "udp B6:4789 > A6:4789 len=60", "B> reply, >A reply"),
    ] {
        let mut frame = lab.frame(from, text);
        frame[CHECKSUM].fill(0);
        assert_eq!(lab.send_frame(from, &frame).fate, fate);
        frame[CHECKSUM].fill(1);
        assert!(
            lab.send_frame(from, &frame).fate.ends_with("ct_invalid"),
            "a wrong one is wrong"
        );
    }
}

/// T10, T21: a scaled window, and sequence numbers that wrap.
#[test]
fn a_long_transfer_over_the_wrap_of_the_sequence_is_valid_throughout() {
    let mut lab = lab();
    let mut talk = Talk::new(("A", 4000), ("B", 80)).starting_at(u32::MAX - 1000);
    talk.options = "wscale=14";
    talk.handshake(&mut lab);
    for _ in 0..100 {
        for _ in 0..4 {
            talk.passes(&mut lab, 0, "psh,ack", 1400);
        }
        talk.passes(&mut lab, 1, "ack", 0);
    }
}

/// T12: reordering and loss, with SACK.
#[test]
fn reordered_and_repeated_segments_are_valid() {
    let mut lab = lab();
    let mut talk = Talk::opens(("A", 4000), ("B", 80), &mut lab);
    for _ in 0..50 {
        let mut late = talk.clone();
        talk.sent(0, 1400);
        let lost = talk.clone();
        talk.passes(&mut lab, 0, "psh,ack", 1400);
        let acked = late.segment(1, "ack");
        let edge = lost.segment(0, "").1;
        let edge = edge
            .split("seq=")
            .nth(1)
            .unwrap()
            .split(' ')
            .next()
            .unwrap()
            .parse::<u32>()
            .unwrap();
        lab.sees(
            "B",
            &format!("{} sack={}", acked.1, edge.wrapping_add(1400)),
            "B> reply, >A reply",
        );
        late.passes(&mut lab, 0, "psh,ack", 1400);
        talk.passes(&mut lab, 1, "ack", 0);
    }
}

/// T13, and the counting of segments.
#[test]
fn a_segmentation_frame_counts_as_the_packets_it_stands_for() {
    let mut lab = lab();
    let mut talk = Talk::opens(("A", 4000), ("B", 80), &mut lab);
    lab.rows();
    let (_, text) = talk.segment(0, "psh,ack");
    let frame = lab.frame("A", &format!("{text} len=14000"));
    let gso = Some(Gso {
        kind: GsoKind::Tcp4,
        size: 1400,
    });
    let sent = lab.send_offload(
        "A",
        Offload {
            needs_checksum: true,
            gso,
            ..Offload::default()
        },
        &frame,
    );
    assert_eq!(
        (sent.fate.as_str(), sent.got.as_slice()),
        ("A> rule, >B rule", &["B".to_owned()][..])
    );
    talk.sent(0, 14000);
    talk.passes(&mut lab, 1, "ack", 0);
    let rows = lab.rows();
    let count = rows.iter().find(|row| row.place == "A>").unwrap().count;
    assert_eq!((count.packets, count.bytes), (10, 10 * 1440));
    assert_eq!(lab.of("B").delivered, 2 + 10);
}

/// T14.
#[test]
fn a_partial_checksum_is_not_judged_and_a_wrong_one_is_invalid() {
    let mut lab = lab();
    let ends = |lab: &Lab| {
        let frame = lab.frame("A", "tcp A:1 > B:80");
        (
            packet::Mac(frame[6..12].try_into().unwrap()),
            packet::Mac(frame[..6].try_into().unwrap()),
        )
    };
    let (src, dst) = ends(&lab);
    let tcp = |port| {
        build::frame(src, dst)
            .ip([10, 0, 0, 10], [10, 0, 0, 11])
            .tcp(port, 80)
            .flags(tcp_flags::SYN)
    };
    let partial = Offload {
        needs_checksum: true,
        ..Offload::default()
    };
    assert_eq!(
        lab.send_offload("A", partial, &tcp(1).partial_checksum().build())
            .fate,
        "A> rule, >B rule"
    );
    assert_eq!(
        lab.send_frame("A", &tcp(2).checksum(0x1234).build()).fate,
        "A> ct_invalid"
    );
}

/// T15.
#[test]
fn a_finished_connections_ports_can_be_used_again_at_once() {
    let mut lab = lab();
    let mut talk = Talk::opens(("A", 4000), ("B", 80), &mut lab);
    talk.closes(&mut lab);
    assert_eq!(state(&lab), (State::TimeWait, 120));
    let mut again = Talk::new(("A", 4000), ("B", 80)).starting_at(77_000);
    again.handshake(&mut lab);
    assert_eq!(state(&lab).0, State::Established);
    lab.logs("A> rule 6, >B rule 6, B> reply 4, >A reply 4");
}

/// The side that answered opens anew: it is the originator then, and its rules are asked.
#[test]
fn who_opens_a_finished_connection_anew_is_judged_as_its_opener() {
    let mut lab = lab();
    let mut talk = Talk::opens(("A", 4000), ("B", 80), &mut lab);
    talk.closes(&mut lab);
    lab.sees(
        "B",
        "tcp B:80 > A:4000 syn seq=1",
        "B> rule, >A default_deny",
    );
    lab.group("A", "out, in tcp");
    lab.sees("B", "tcp B:80 > A:4000 syn seq=1", "B> rule, >A rule");
    assert_eq!(state(&lab).0, State::SynSent);
}

/// T16.
#[test]
fn an_answer_to_a_syn_comes_in_time_or_not_at_all() {
    for (after_ms, fate) in [
        (119_000, "B> reply, >A reply"),
        (119_999, "B> reply, >A reply"),
        (120_000, "B> ct_invalid"),
    ] {
        let mut lab = lab();
        lab.sees("A", "tcp A:1 > B:80 syn seq=10", "A> rule, >B rule");
        lab.wait(after_ms);
        lab.sees("B", "tcp B:80 > A:1 syn,ack seq=20 ack=11", fate);
    }
}

/// T17.
#[test]
fn a_syn_that_nobody_answers_needs_its_rule_each_time() {
    let mut lab = lab();
    for _ in 0..6 {
        lab.sees("A", "tcp A:1 > B:80 syn seq=10", "A> rule, >B rule");
        lab.tick(1_000);
    }
    lab.group("B", EG);
    lab.sees("A", "tcp A:1 > B:80 syn seq=10", "A> rule, >B revoked");
}

/// T19.
#[test]
fn every_segment_of_a_close_leads_to_its_state_and_timeout() {
    for first in [0, 1] {
        let mut lab = lab();
        let mut talk = Talk::opens(("A", 4000), ("B", 80), &mut lab);
        assert_eq!(state(&lab), (State::Established, 432_000));
        let closing = [
            (first, "fin,ack"),
            (1 - first, "ack"),
            (1 - first, "fin,ack"),
            (first, "ack"),
        ];
        let states = [
            (State::FinWait, 120),
            (State::CloseWait, 60),
            (State::LastAck, 30),
            (State::TimeWait, 120),
        ];
        for ((end, flags), expected) in closing.into_iter().zip(states) {
            talk.passes(&mut lab, end, flags, 0);
            assert_eq!(state(&lab), expected);
        }
        // T23: what is late or twice still passes.
        talk.passes(&mut lab, first, "ack", 0);
    }
    let mut lab = lab();
    let mut talk = Talk::opens(("A", 4000), ("B", 80), &mut lab);
    let mut other = talk.clone();
    talk.passes(&mut lab, 0, "fin,ack", 0);
    other.passes(&mut lab, 1, "fin,ack", 0);
    assert_eq!(state(&lab), (State::LastAck, 30));
}

/// T20.
#[test]
fn a_header_that_lies_about_its_length_is_malformed() {
    let mut lab = lab();
    let frame = lab.frame("A", "tcp A:1 > B:80");
    let (src, dst) = (
        packet::Mac(frame[6..12].try_into().unwrap()),
        packet::Mac(frame[..6].try_into().unwrap()),
    );
    let tcp = || {
        build::frame(src, dst)
            .ip([10, 0, 0, 10], [10, 0, 0, 11])
            .tcp(1, 80)
            .flags(tcp_flags::SYN)
    };
    for frame in [
        tcp().data_offset(4).build(),
        tcp().data_offset(15).build(),
        tcp().option(&[2, 4, 5, 0xb4]).option(&[3, 9, 1, 1]).build(),
    ] {
        assert_eq!(lab.send_frame("A", &frame).fate, "A> malformed");
    }
    lab.logs("A> malformed 3");
}

/// A reset has its own record flags; the bare ACK has none. O05.
#[test]
fn the_flags_of_a_record_are_those_of_the_seed() {
    let mut lab = lab();
    let flags = |lab: &mut Lab| -> Vec<(String, u8)> {
        lab.rows()
            .iter()
            .map(|row| (row.place.clone(), row.count.flags))
            .collect()
    };
    let each = |a: u8, b: u8| {
        [("A>", a), (">A", b), ("B>", b), (">B", a)]
            .map(|(place, flags)| (place.to_owned(), flags))
            .to_vec()
    };
    let mut talk = Talk::opens(("A", 4000), ("B", 80), &mut lab);
    talk.passes(&mut lab, 0, "psh,ack", 10);
    talk.closes(&mut lab);
    assert_eq!(flags(&mut lab), each(3, 19));
    let mut talk = Talk::opens(("A", 4001), ("B", 80), &mut lab);
    lab.rows();
    talk.passes(&mut lab, 0, "psh,ack", 10);
    talk.passes(&mut lab, 1, "ack", 0);
    assert_eq!(flags(&mut lab), each(0, 0));
    talk.passes(&mut lab, 1, "ack", 0);
    talk.passes(&mut lab, 0, "rst,ack", 0);
    assert_eq!(flags(&mut lab), each(4, 0));
}

#[test]
fn a_layer_4_port_of_0_is_invalid() {
    let mut lab = Lab::new(Setup::of_b("in"));
    for text in [
        "tcp A:0 > B:80",
        "tcp A:1 > B:0",
        "udp A:0 > B:9",
        "udp A6:1 > B6:0",
    ] {
        lab.sees("A", text, "A> ct_invalid");
    }
}

/// What is first seen of an end repeats nothing, whatever it acknowledges.
#[test]
fn the_first_segment_of_a_connection_picked_up_is_no_retransmission() {
    let impatient =
        Setup::of_b("out, in tcp").set(|config| config.settings.timeouts.tcp_max_retrans = 3);
    let mut lab = Lab::new(impatient);
    let data = "tcp A:1 > B:9 ack seq=2147483594 len=1000";
    lab.sees("A", data, "A> rule, >B rule");
    let answer = "tcp B:9 > A:1 psh,ack ack=2147484594 len=1000";
    for expires_in_ms in [300_000, 300_000, 300_000, 3_000] {
        lab.sees("B", answer, "B> reply, >A reply");
        assert_eq!(lab.connections()[0].expires_in_ms, expires_in_ms);
    }
}
