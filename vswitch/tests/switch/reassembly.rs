//! F: fragments that come ahead of their first wait for it, for a while and within limits.

use crate::assembler::{Assembler, arrived, payload, send};
use crate::laboratory::Lab;
use crate::setup::{EG, NONE, OPEN, Setup, mac};
use packet::{Headers, Offload, Reason, build};

fn lab() -> Lab {
    Lab::new(Setup::of_b("out, in udp 1000"))
}

/// All orders of so many things.
fn orders(count: usize) -> Vec<Vec<usize>> {
    if count == 0 {
        return vec![Vec::new()];
    }
    let mut all = Vec::new();
    for order in orders(count - 1) {
        for place in 0..count {
            let mut order = order.clone();
            order.insert(place, count - 1);
            all.push(order);
        }
    }
    all
}

/// F03: the 24 orders of four fragments; delivered whole, and recorded alike.
#[test]
fn in_every_order_a_datagram_has_one_fate_and_the_same_records() {
    assert_eq!(orders(4).len(), 24);
    for (family, port) in [("", 1000), ("", 1001), ("6", 1000), ("6", 1001)] {
        let mut told = None;
        for order in orders(4) {
            let mut lab = lab();
            let whole = lab.frame("A", &format!("udp A{family}:7 > B{family}:{port} len=3000"));
            let frames = build::fragments(&whole, 800, 5);
            let frames: Vec<Vec<u8>> = order.iter().map(|&place| frames[place].clone()).collect();
            let arrived = arrived(&send(&mut lab, "A", &frames), "B");
            if port == 1000 {
                assert_eq!(arrived.len(), 4, "{order:?}");
                assert_eq!(Assembler::of(&arrived), [payload(&whole)], "{order:?}");
            } else {
                assert!(arrived.is_empty(), "{order:?}");
            }
            let rows: Vec<String> = lab.rows().iter().map(ToString::to_string).collect();
            assert_eq!(*told.get_or_insert(rows.clone()), rows, "{order:?}");
            assert_eq!(lab.waiting("A"), 0);
        }
    }
}

#[test]
fn what_waits_is_held_in_the_audit_and_leaves_in_the_order_of_its_arrival() {
    let mut lab = lab();
    let whole = lab.frame("A", "udp A:7 > B:1000 len=3000");
    let frames = build::fragments(&whole, 800, 5);
    for place in [3, 1, 2] {
        let sent = lab.send_frame("A", &frames[place]);
        assert_eq!((sent.fate.as_str(), sent.got.len()), ("held", 0));
        assert!(
            sent.stages.contains(&"WaitsForFirst".to_owned()),
            "{:?}",
            sent.stages
        );
    }
    lab.switch.audit_begin();
    let audit = lab.switch.audit_finish();
    assert_eq!(audit.ports[0].held, 3);
    assert_eq!(lab.of("A").rx, 3);
    let sent = lab.send_frame("A", &frames[0]);
    assert_eq!(sent.got, ["B"]);
    let freed: Vec<&Vec<u8>> = sent.freed.iter().map(|(frame, _)| frame).collect();
    assert_eq!(freed, [&frames[3], &frames[1], &frames[2]]);
    assert_eq!(lab.of("A").rx, 4);
    lab.logs("A> rule 4, >B rule 4");
}

/// F12, from outside, and with a receiver that takes no such long frames.
#[test]
fn what_waits_meets_the_verdict_that_its_datagram_meets() {
    let mut lab = lab();
    lab.sees("A", "udp A:7 > B:1000", "A> rule, >B rule");
    let answer = lab.frame("B", "udp B:1000 > A:7 len=3000");
    let mut frames = build::fragments(&answer, 1400, 1);
    frames.reverse();
    assert_eq!(arrived(&send(&mut lab, "B", &frames), "A").len(), 3);
    lab.sees("U", "udp X > B frag=9:24:16:+", "held");
    assert_eq!(
        lab.send("U", "udp X:7 > B:1000 frag=9:0:24:+").freed.len(),
        1
    );
    lab.sees("U", "udp X > B frag=8:24:16:+", "held");
    assert!(
        lab.send("U", "udp X:7 > B:1001 frag=8:0:24:+")
            .freed
            .is_empty()
    );
    lab.reload(|setup| setup.port("B", |port| port.mtu = 100));
    lab.sees("U", "udp X > B frag=7:24:800", "held");
    assert!(
        lab.send("U", "udp X:7 > B:1000 frag=7:0:24:+")
            .freed
            .is_empty()
    );
    lab.logs(
        "A> rule 1, >B rule 4, B> reply 3, >A reply 3, \
         U> unfiltered 6, >B default_deny 2, >B mtu 1",
    );
}

/// F17, whether its datagram has been judged or not.
#[test]
fn an_exact_repetition_is_refused_alone_and_its_datagram_passes() {
    for family in ["", "6"] {
        for order in orders(3) {
            let mut lab = lab();
            let whole = lab.frame("A", &format!("udp A{family}:7 > B{family}:1000 len=2000"));
            let frames = build::fragments(&whole, 800, 5);
            let mut arriving = Vec::new();
            for (round, &place) in order.iter().enumerate() {
                // Behind the last one, the datagram would be forgotten.
                let times = if round < 2 { 2 } else { 1 };
                arriving.extend((0..times).map(|_| frames[place].clone()));
            }
            let sent = send(&mut lab, "A", &arriving);
            assert_eq!(
                Assembler::of(&arrived(&sent, "B")),
                [payload(&whole)],
                "{order:?}"
            );
            assert_eq!(lab.refused("A", Reason::FragOrder), 2, "{order:?}");
            assert_eq!(lab.refused("A", Reason::FragOverlap), 0);
        }
    }
}

/// F04, the other way round: what waits is refused with the one that overlaps, and what comes after.
#[test]
fn an_overlap_ahead_of_the_first_refuses_the_whole_datagram() {
    for family in ["", "6"] {
        for over in ["5:16:16:+", "5:40:8:+", "5:32:32:+", "5:24:16", "5:8:80:+"] {
            let mut lab = lab();
            let part = |rest: &str| format!("udp A{family} > B{family} frag={rest}");
            lab.sees("A", &part("5:24:24:+"), "held");
            lab.sees("A", &part("5:72:8"), "held");
            lab.sees("A", &part(over), "A> frag_overlap");
            assert_eq!(lab.waiting("A"), 0);
            let first = format!("udp A{family}:7 > B{family}:1000 frag=5:0:24:+");
            lab.sees("A", &first, "A> frag_overlap");
            lab.sees("A", &part("5:48:16:+"), "A> frag_overlap");
            assert_eq!(lab.refused("A", Reason::FragOverlap), 5);
            lab.tick(15_000);
            lab.sees("A", &first, "A> rule, >B rule");
        }
    }
    let mut lab = lab();
    lab.sees("A", "udp A > B frag=5:16:24", "held");
    lab.sees("A", "udp A:7 > B:1000 frag=5:0:24:+", "A> frag_overlap");
    let rows: Vec<String> = lab.rows().iter().map(ToString::to_string).collect();
    assert_eq!(
        rows,
        ["A> frag_overlap 17 10.0.0.10:7 > 10.0.0.11:1000 2p 88b f0"]
    );
}

/// SPEC section 5.1: recorded without ports, where it would have been refused.
#[test]
fn what_waits_too_long_is_dropped_without_ports() {
    let mut lab = lab();
    lab.sees("A", "udp A > B frag=5:24:16", "held");
    lab.sees("U", "udp X > B frag=5:24:16", "held");
    lab.sees("A", "udp A > 10.0.0.99 frag=5:24:16", "held");
    lab.tick(14_999);
    assert_eq!((lab.waiting("A"), lab.waiting("U")), (2, 1));
    lab.tick(1_000);
    assert_eq!((lab.waiting("A"), lab.waiting("U")), (0, 0));
    let rows: Vec<String> = lab.rows().iter().map(ToString::to_string).collect();
    assert_eq!(
        rows,
        [
            "A> frag_timeout 17 10.0.0.10:0 > 10.0.0.11:0 1p 36b f0",
            "A> frag_timeout 17 10.0.0.10:0 > 10.0.0.99:0 1p 36b f0",
            ">B frag_timeout 17 198.51.100.9:0 > 10.0.0.11:0 1p 36b f0",
            "U> unfiltered 17 198.51.100.9:0 > 10.0.0.11:0 1p 36b f0",
        ]
    );
}

/// Nobody sweeps: the first that comes too late finds nobody, and one like it waits anew.
#[test]
fn the_wait_ends_on_the_millisecond_even_when_nobody_looks() {
    for (after_ms, freed) in [(14_999, 1), (15_000, 0)] {
        let mut lab = lab();
        lab.sees("A", "udp A > B frag=5:24:16", "held");
        lab.wait(after_ms);
        let sent = lab.send("A", "udp A:7 > B:1000 frag=5:0:24:+");
        assert_eq!(
            (sent.fate.as_str(), sent.freed.len()),
            ("A> rule, >B rule", freed)
        );
        assert_eq!(lab.refused("A", Reason::FragTimeout), 1 - freed as u64);
    }
    let mut lab = lab();
    lab.sees("A", "udp A > B frag=5:24:16", "held");
    lab.wait(15_000);
    lab.sees("A", "udp A > B frag=5:24:16", "held");
    assert_eq!(lab.refused("A", Reason::FragTimeout), 1);
    lab.wait(14_999);
    assert_eq!(
        lab.send("A", "udp A:7 > B:1000 frag=5:0:24:+").freed.len(),
        1
    );
}

/// The whole datagram has one time, from its first arrival on; the setting is the operator's.
#[test]
fn the_time_is_the_datagrams_and_not_the_fragments() {
    let mut lab = lab();
    lab.reload(|setup| setup.set(|config| config.settings.timeouts.frag = 2));
    lab.sees("A", "udp A > B frag=5:24:16:+", "held");
    lab.wait(1_500);
    lab.sees("A", "udp A:7 > B:1000 frag=5:0:24:+", "A> rule, >B rule");
    lab.wait(500);
    lab.sees("A", "udp A > B frag=5:40:16", "held");
}

/// What comes again after its datagram was whole waits in vain.
#[test]
fn a_fragment_that_comes_after_its_datagram_was_whole_is_dropped_in_time() {
    let mut lab = lab();
    let frames = build::fragments(&lab.frame("A", "udp A:7 > B:1000 len=2000"), 1400, 5);
    assert_eq!(arrived(&send(&mut lab, "A", &frames), "B").len(), 2);
    assert_eq!(lab.send_frame("A", &frames[1]).fate, "held");
    lab.tick(15_000);
    lab.logs("A> rule 2, >B rule 2, A> frag_timeout 1");
}

#[test]
fn behind_a_first_fragment_that_is_refused_as_tiny_nothing_passes() {
    let mut lab = Lab::new(Setup::of_b("in tcp"));
    lab.sees("A", "tcp A > B frag=7:24:8", "held");
    let tiny = build::frame(mac(10), mac(11)).ip([10, 0, 0, 10], [10, 0, 0, 11]);
    let tiny = tiny.fragment(7, 0, true).upper(6, &[0; 16]);
    assert_eq!(lab.send_frame("A", &tiny).fate, "A> frag_tiny");
    lab.tick(15_000);
    lab.logs("A> frag_tiny 1, A> frag_timeout 1");
}

/// A flood of fragments uses up the flooding guest's share and nobody else's, and only of what waits.
#[test]
fn what_waits_is_limited_for_each_sender_in_number() {
    let mut lab = lab();
    for id in 0..512 {
        lab.sees("A", &format!("udp A > B frag={id}:24:8"), "held");
    }
    lab.sees("A", "udp A > B frag=600:24:8", "A> frag_limit");
    lab.sees("A", "udp A > B frag=1:32:8:+", "A> frag_overlap");
    lab.sees("C", "udp C > B frag=1:24:8", "held");
    lab.sees("U", "udp X > B frag=1:24:8", "held");
    // Datagrams in order pass all the same.
    lab.sees("A", "udp A:7 > B:1000 frag=700:0:24:+", "A> rule, >B rule");
    lab.sees("A", "udp A > B frag=700:24:8", "A> rule, >B rule");
    // The overlap has made room for one.
    lab.sees("A", "udp A > B frag=601:24:8", "held");
    lab.sees("A", "udp A > B frag=602:24:8", "A> frag_limit");
    lab.tick(15_000);
    assert_eq!(lab.refused("A", Reason::FragTimeout), 512);
    lab.sees("A", "udp A > B frag=602:24:8", "held");
    lab.rows();
}

#[test]
fn what_waits_is_limited_for_each_sender_in_bytes() {
    let mut lab = lab();
    let long = |id: u32| format!("udp A > B frag={id}:24:60000:+");
    for id in 0..17 {
        lab.sees("A", &long(id), "held");
    }
    lab.sees("A", &long(17), "A> frag_limit");
    lab.sees("A", "udp A > B frag=18:24:8", "held");
    // One that is freed leaves its room to another.
    lab.sees("A", "udp A:7 > B:1000 frag=3:0:24:+", "A> rule, >B rule");
    lab.sees("A", &long(17), "held");
}

/// An uplink has sixteen guests' share: everybody outside speaks through it.
#[test]
fn an_uplink_may_have_more_under_way() {
    let mut lab = lab();
    for id in 0..600 {
        lab.sees("U", &format!("udp X > B frag={id}:24:8"), "held");
    }
}

/// X18: judged under the policy that its first fragment meets.
#[test]
fn what_waits_is_judged_by_the_policy_of_its_first() {
    let mut lab = lab();
    lab.sees("A", "udp A > B frag=5:24:16", "held");
    lab.sees("A", "udp A > B frag=6:24:16", "held");
    lab.group("B", NONE);
    let sent = lab.send("A", "udp A:7 > B:1000 frag=5:0:24:+");
    assert_eq!(
        (sent.fate.as_str(), sent.freed.len()),
        ("A> rule, >B default_deny", 0)
    );
    lab.group("B", OPEN);
    assert_eq!(
        lab.send("A", "udp A:7 > B:1000 frag=6:0:24:+").freed.len(),
        1
    );
    lab.logs("A> rule 4, >B default_deny 2, >B rule 2");
}

/// A sender that loses the address loses what it sent from there.
#[test]
fn what_waits_is_admitted_once_more() {
    let mut lab = lab();
    lab.sees("U", "udp X > A frag=5:24:16", "held");
    lab.sees("A", "udp A > B frag=5:24:16", "held");
    let first = lab.frame("A", "udp A:7 > B:1000 frag=5:0:24:+");
    lab.reload(|setup| setup.port("A", |port| port.spec.fixed_ips.retain(|ip| ip.is_ipv6())));
    assert_eq!(lab.send_frame("A", &first).fate, "A> spoof_ip");
    lab.tick(15_000);
    lab.logs("A> spoof_ip 1, A> frag_timeout 1, U> unfiltered 1, >A frag_timeout 1");
}

/// What waits goes with its sender; what waits for its way to a port that goes has its time.
#[test]
fn ports_may_go_while_fragments_wait() {
    let mut lab = lab();
    lab.sees("A", "udp A > B frag=5:24:16", "held");
    lab.sees("C", "udp C > A frag=5:24:16", "held");
    lab.sees("U", "udp X > A frag=5:24:16", "held");
    lab.reload(|setup| setup.unplug("A"));
    lab.reload(|setup| setup.guest("A", 10).group("A", EG));
    // It is another port now, with the same address.
    lab.sees(
        "C",
        "udp C:1 > A:9 frag=5:0:24:+",
        "C> rule, >A default_deny",
    );
    lab.tick(15_000);
    lab.logs("C> rule 1, >A default_deny 1, C> frag_timeout 1, U> frag_timeout 1");
    for id in 0..512 {
        lab.sees("A", &format!("udp A > B frag={id}:24:8"), "held");
    }
}

#[test]
fn a_port_whose_security_is_switched_begins_anew() {
    let mut lab = lab();
    lab.sees("A", "udp A:7 > B:1000 frag=5:0:24:+", "A> rule, >B rule");
    lab.sees("A", "udp A > B frag=6:24:16", "held");
    lab.reload(|setup| setup.unfiltered("A"));
    lab.sees("A", "udp A > B frag=5:24:16", "held");
    let sent = lab.send("A", "udp A:7 > B:1000 frag=6:0:24:+");
    assert_eq!(
        (sent.fate.as_str(), sent.freed.len()),
        ("A> unfiltered, >B rule", 1)
    );
    lab.reload(|setup| setup.unfiltered("B"));
    lab.sees(
        "A",
        "udp A > B frag=9:24:16",
        "A> unfiltered, >B unfiltered",
    );
    lab.tick(15_000);
    assert_eq!(lab.refused("A", Reason::FragTimeout), 1);
    lab.rows();
}

/// It waits once, before it becomes copies.
#[test]
fn a_broadcast_waits_once_and_is_freed_to_everybody_who_may_have_it() {
    let mut lab = Lab::new(Setup::of_b("in udp 1000"));
    let whole = lab.frame("A", "udp A:7 > 255.255.255.255:1000 len=2000");
    let mut frames = build::fragments(&whole, 800, 5);
    frames.reverse();
    let sent = send(&mut lab, "A", &frames);
    assert_eq!(lab.of("A").rx, 3);
    for (port, times) in [("B", 1), ("C", 0), ("U", 1)] {
        let whole = vec![payload(&whole); times];
        assert_eq!(Assembler::of(&arrived(&sent, port)), whole, "{port}");
    }
    lab.logs("A> rule 3, >B rule 3, >C default_deny 3, >U unfiltered 3");
}

/// Where the sender filters nothing there is nobody for whom a flood could wait.
#[test]
fn a_copy_of_a_flood_cannot_wait_and_is_out_of_order() {
    let mut lab = Lab::new(Setup::of_b("in udp 1000").unplug("C"));
    let part = "udp X > 255.255.255.255 frag=5:24:16";
    let first = "udp X:7 > 255.255.255.255:1000 frag=5:0:24:+";
    lab.sees("U", part, "U> unfiltered, >A frag_order, >B frag_order");
    lab.sees("U", first, "U> unfiltered, >A default_deny, >B rule");
    lab.sees("U", part, "U> unfiltered, >A default_deny, >B rule");

    // Nor does a port that has not seen the first.
    let first = "udp A:7 > 255.255.255.255:1000 frag=5:0:24:+";
    lab.sees("A", first, "A> rule, >B rule, >U unfiltered");
    lab.reload(|setup| setup.guest("D", 13).group("D", OPEN));
    let part = "udp A > 255.255.255.255 frag=5:24:16";
    lab.sees("A", part, "A> rule, >B rule, >U unfiltered, >D frag_order");
}

/// RFC 8200, section 4.5: only the first fragment is sure to name the protocol.
#[test]
fn ipv6_fragments_belong_together_whatever_protocol_they_name() {
    const OPTIONS: u8 = 60;
    let recording = flowlog::Recording {
        everything: true,
        ..flowlog::Recording::default()
    };
    let mut lab = Lab::new(Setup::of_b("in udp 1000").set(|config| config.recording = recording));
    let first = lab.frame("A", "udp A6:7 > B6:1000 frag=5:0:24:+");
    let ip = *Headers::parse(&first, Offload::default())
        .unwrap()
        .ip()
        .unwrap();
    let later = |id, offset, more| {
        let frame = build::frame(mac(10), mac(11)).ip(ip.src, ip.dst);
        frame.fragment(id, offset, more).upper(OPTIONS, &[0; 16])
    };
    assert_eq!(lab.send_frame("A", &later(5, 24, true)).fate, "held");
    assert_eq!(lab.send_frame("A", &first).freed.len(), 1);
    assert_eq!(
        lab.send_frame("A", &later(5, 40, false)).fate,
        "A> rule, >B rule"
    );
    let rows = lab.rows();
    assert_eq!(rows.len(), 2, "{rows:#?}");
    assert!(
        rows.iter()
            .all(|row| row.count.packets == 3 && row.key.tuple.protocol == 17)
    );
    assert!(rows.iter().all(|row| row.key.tuple.dst_port == 1000));
}

/// F18: nothing to wait for.
#[test]
fn an_atomic_fragment_is_a_packet_like_any_other() {
    let mut lab = lab();
    let whole = lab.frame("A", "udp A6:7 > B6:1000 len=8");
    let ip = *Headers::parse(&whole, Offload::default())
        .unwrap()
        .ip()
        .unwrap();
    let upper = payload(&whole);
    for _ in 0..3 {
        let frame = build::frame(mac(10), mac(11)).ip(ip.src, ip.dst);
        let atomic = frame.fragment(5, 0, false).upper(17, &upper);
        let sent = lab.send_frame("A", &atomic);
        assert_eq!(sent.fate, "A> rule, >B rule");
    }
    assert_eq!(lab.connections().len(), 1);
}
