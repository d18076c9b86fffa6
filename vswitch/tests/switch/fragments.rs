//! F: datagrams in fragments that follow their first one and take its verdict.

use crate::laboratory::Lab;
use crate::setup::{NONE, OPEN, Setup};
use packet::{Mac, build};

fn lab() -> Lab {
    Lab::new(Setup::of_b("out, in udp 1000, in icmp"))
}

/// The fragments of a packet.
fn cut(lab: &Lab, from: &str, text: &str, size: usize, id: u32) -> Vec<Vec<u8>> {
    build::fragments(&lab.frame(from, text), size, id)
}

fn fates(lab: &mut Lab, from: &str, frames: &[Vec<u8>]) -> Vec<String> {
    frames
        .iter()
        .map(|frame| lab.send_frame(from, frame).fate)
        .collect()
}

/// F01.
#[test]
fn a_long_ping_and_its_answer_pass_whole_and_are_counted_piece_by_piece() {
    for family in ["", "6"] {
        let mut lab = lab();
        let ask = format!("icmp A{family} > B{family} echo-request id=1 len=3200");
        let answer = format!("icmp B{family} > A{family} echo-reply id=1 len=3200");
        let frames = cut(&lab, "A", &ask, 1400, 1);
        assert_eq!(fates(&mut lab, "A", &frames), ["A> rule, >B rule"; 3]);
        let frames = cut(&lab, "B", &answer, 1400, 1);
        assert_eq!(fates(&mut lab, "B", &frames), ["B> reply, >A reply"; 3]);
        lab.logs(if family.is_empty() {
            "A> rule 3, >B rule 3, B> reply 3, >A reply 3"
        } else {
            ""
        });
    }
}

/// F02, F16, F18, SPEC 5.1: recorded under the datagram's tuple.
#[test]
fn all_fragments_of_a_datagram_have_one_fate_and_one_tuple() {
    let mut lab = lab();
    for (port, fate, size) in [
        (1000, "A> rule, >B rule", 1000),
        (1001, "A> rule, >B default_deny", 776),
    ] {
        let frames = cut(
            &lab,
            "A",
            &format!("udp A:7 > B:{port} len=3000"),
            size,
            port,
        );
        assert_eq!(fates(&mut lab, "A", &frames), vec![fate; frames.len()]);
    }
    let rows: Vec<String> = lab.rows().iter().map(ToString::to_string).collect();
    assert_eq!(
        rows,
        [
            "A> rule 17 10.0.0.10:7 > 10.0.0.11:1000 4p 3088b f0",
            "A> rule 17 10.0.0.10:7 > 10.0.0.11:1001 4p 3088b f0",
            ">B rule 17 10.0.0.10:7 > 10.0.0.11:1000 4p 3088b f0",
            ">B default_deny 17 10.0.0.10:7 > 10.0.0.11:1001 4p 3088b f0",
        ]
    );
}

/// F04: from the overlap on, nothing of the datagram passes.
#[test]
fn a_datagram_whose_fragments_overlap_is_refused_from_there_on() {
    for family in ["", "6"] {
        let mut lab = lab();
        let part = |rest: &str| format!("udp A{family} > B{family} frag={rest}");
        lab.sees(
            "A",
            &format!("udp A{family}:7 > B{family}:1000 frag=5:0:24:+"),
            "A> rule, >B rule",
        );
        lab.sees("A", &part("5:16:16:+"), "A> frag_overlap");
        lab.sees("A", &part("5:32:16:+"), "A> frag_overlap");
        // Nor does its first one, sent again, begin it anew.
        lab.sees(
            "A",
            &format!("udp A{family}:7 > B{family}:1000 frag=5:0:24:+"),
            "A> frag_overlap",
        );
        lab.sees("A", &part("5:48:16"), "A> frag_overlap");
        let rows = lab.rows();
        assert!(
            rows.iter().all(|row| row.key.tuple.dst_port == 1000),
            "under the datagram's tuple"
        );
    }
}

/// F06, F07.
#[test]
fn a_first_fragment_holds_its_header_and_nothing_rewrites_it() {
    let mut lab = Lab::new(Setup::of_b("in tcp"));
    let frame = lab.frame("A", "udp A:1 > B:9");
    let (src, dst) = (
        Mac(frame[6..12].try_into().unwrap()),
        Mac(frame[..6].try_into().unwrap()),
    );
    let ip = || build::frame(src, dst).ip([10, 0, 0, 10], [10, 0, 0, 11]);
    let tiny = ip().fragment(7, 0, true).upper(6, &[0; 8]);
    let rewriting = ip().fragment(7, 8, false).upper(6, &[0; 16]);
    assert_eq!(lab.send_frame("A", &tiny).fate, "A> frag_tiny");
    assert_eq!(lab.send_frame("A", &rewriting).fate, "A> frag_tiny");
}

/// F08.
#[test]
fn a_datagram_longer_than_can_be_is_malformed_from_either_side() {
    let mut lab = Lab::new(Setup::of_b(OPEN));
    lab.sees("A", "udp A:7 > B:1000 frag=5:0:24:+", "A> rule, >B rule");
    lab.sees("A", "udp A > B frag=5:65528:80", "A> malformed");
    lab.sees(
        "U",
        "udp X:7 > B:1000 frag=5:0:24:+",
        "U> unfiltered, >B rule",
    );
    lab.sees(
        "U",
        "udp X > B frag=5:65528:80",
        "U> unfiltered, >B malformed",
    );
    lab.sees(
        "U",
        "udp X > B frag=5:24:13:+",
        "U> unfiltered, >B malformed",
    );
}

/// The receiver looks at what follows too.
#[test]
fn a_fragment_longer_than_the_receivers_mtu_is_refused_there() {
    let mut lab = Lab::new(Setup::of_b(OPEN).port("B", |port| port.mtu = 1000));
    lab.sees("A", "udp A:7 > B:1000 frag=5:0:800:+", "A> rule, >B rule");
    lab.sees("A", "udp A > B frag=5:800:1200", "A> rule, >B mtu");
    lab.logs("A> rule 2, >B rule 1, >B mtu 1");
}

/// F12.
#[test]
fn a_fragmented_answer_passes_by_state() {
    let mut lab = lab();
    lab.sees("A", "udp A:7 > B:1000", "A> rule, >B rule");
    let frames = cut(&lab, "B", "udp B:1000 > A:7 len=3000", 1400, 1);
    assert_eq!(fates(&mut lab, "B", &frames), ["B> reply, >A reply"; 3]);
    assert_eq!(
        answered(&lab),
        3,
        "all of them are its connection's replies"
    );
}

/// The later fragments of a reply are replies too: `is_reply`, and nothing for a logger that collects the
/// setup of connections.
#[test]
fn every_fragment_of_an_answer_is_counted_in_its_connection() {
    let mut lab = lab();
    let asked = cut(&lab, "A", "icmp A > B echo-request id=7 len=3000", 1400, 1);
    assert_eq!(fates(&mut lab, "A", &asked), ["A> rule, >B rule"; 3]);
    let mut answer = cut(&lab, "B", "icmp B > A echo-reply id=7 len=3000", 1400, 1);
    answer.reverse();
    for frame in &answer {
        lab.send_frame("B", frame);
    }
    assert_eq!(answered(&lab), 3);
}

/// Packets that went against the only connection there is.
fn answered(lab: &Lab) -> u32 {
    let connections = lab.connections();
    assert_eq!(connections.len(), 1);
    connections[0].counted[1].0
}

/// F13.
#[test]
fn datagrams_with_one_number_are_kept_apart_by_guest_protocol_and_receiver() {
    let mut lab = Lab::new(Setup::of_b("in udp 1000").group("C", NONE));
    lab.sees("A", "udp A:7 > B:1000 frag=5:0:24:+", "A> rule, >B rule");
    lab.sees("U", "udp X > B frag=5:24:16", "held");
    lab.sees("A", "icmp A > B frag=5:24:16", "held");
    lab.sees("A", "udp A > U frag=5:24:16", "held");
    lab.sees("A", "udp A > B frag=5:24:16", "A> rule, >B rule");
}

/// X18.
#[test]
fn a_datagram_half_sent_keeps_its_verdict_when_the_rule_goes() {
    let mut lab = lab();
    let frames = cut(&lab, "A", "udp A:7 > B:1000 len=3000", 1400, 5);
    assert_eq!(lab.send_frame("A", &frames[0]).fate, "A> rule, >B rule");
    lab.group("B", NONE);
    assert_eq!(fates(&mut lab, "A", &frames[1..]), ["A> rule, >B rule"; 2]);
    let frames = cut(&lab, "A", "udp A:7 > B:1000 len=3000", 1400, 6);
    assert_eq!(fates(&mut lab, "A", &frames), ["A> rule, >B revoked"; 3]);
}

/// A datagram that is whole is forgotten: a guest may send as many as it likes, one after the other.
#[test]
fn whole_datagrams_do_not_use_up_the_limit() {
    let mut lab = lab();
    for id in 0..1000 {
        let frames = cut(&lab, "A", "udp A:7 > B:1000 len=3000", 1400, id);
        assert_eq!(
            fates(&mut lab, "A", &frames),
            ["A> rule, >B rule"; 3],
            "{id}"
        );
    }
}

/// A guest that overruns its own queue leaves many unfinished; the oldest makes room.
#[test]
fn of_too_many_unfinished_datagrams_the_oldest_is_forgotten() {
    let mut lab = lab();
    for id in 0..=1024 {
        let first = format!("udp A:7 > B:1000 frag={id}:0:24:+");
        lab.sees("A", &first, "A> rule, >B rule");
    }
    let rest = |id: u32| format!("udp A > B frag={id}:24:16");
    lab.sees("A", &rest(1024), "A> rule, >B rule");
    let forgotten: Vec<u32> = (0..1024)
        .filter(|&id| lab.send("A", &rest(id)).fate == "held")
        .collect();
    assert_eq!(forgotten, [0]);
}

#[test]
fn unfinished_datagrams_are_forgotten_in_time() {
    let mut lab = lab();
    lab.sees("A", "udp A:7 > B:1000 frag=5:0:24:+", "A> rule, >B rule");
    lab.wait(14_999);
    lab.sees("A", "udp A > B frag=5:24:16:+", "A> rule, >B rule");
    lab.wait(1);
    lab.sees("A", "udp A > B frag=5:40:16", "held");
    lab.sees("A", "udp A:7 > B:1000 frag=5:0:24:+", "A> rule, >B rule");
}

/// More pieces than any real datagram has are not remembered, so they do not pass.
#[test]
fn the_pieces_of_a_datagram_are_limited() {
    let mut lab = lab();
    lab.sees("A", "udp A:7 > B:1000 frag=5:0:24:+", "A> rule, >B rule");
    for piece in 0..127 {
        let text = format!("udp A > B frag=5:{}:8:+", 24 + 8 * piece);
        lab.sees("A", &text, "A> rule, >B rule");
    }
    lab.sees("A", "udp A > B frag=5:2000:8", "A> frag_limit");
    lab.sees("A", "udp A > B frag=6:24:8", "held");
}

/// Each copy of a fragmented broadcast has its own fate.
#[test]
fn a_fragmented_broadcast_is_judged_copy_by_copy() {
    let mut lab = Lab::new(Setup::of_b("in udp 1000"));
    let frames = cut(
        &lab,
        "A",
        "udp A:7 > 255.255.255.255:1000 len=2000",
        1400,
        5,
    );
    let fate = "A> rule, >B rule, >C default_deny, >U unfiltered";
    assert_eq!(fates(&mut lab, "A", &frames), [fate; 2]);
    lab.logs("A> rule 2, >B rule 2, >C default_deny 2, >U unfiltered 2");
}

/// S13: the verdict of the first holds for stateless guests too.
#[test]
fn fragments_between_stateless_guests_follow_their_first() {
    let mut lab = Lab::new(Setup::of_b("in udp 1000").stateless("A").stateless("B"));
    for (port, fate) in [
        (1000, "A> rule, >B rule"),
        (1001, "A> rule, >B default_deny"),
    ] {
        let frames = cut(
            &lab,
            "A",
            &format!("udp A:7 > B:{port} len=3000"),
            1400,
            port,
        );
        assert_eq!(fates(&mut lab, "A", &frames), [fate; 3]);
    }
}
