//! L: limits and timeouts, on the clock turned by hand.

use crate::laboratory::Lab;
use crate::setup::{NONE, OPEN, Setup};
use crate::talk::Talk;
use packet::Reason;
use secgroup::conntrack::{OwnTimeouts, State};
use vswitch::switch::Now;

/// L01, L02, L04, L05: to the millisecond, whether the sweep has passed or not.
#[test]
fn an_answer_comes_in_time_or_not_at_all() {
    let cases = [
        (
            "udp A:1 > B:9",
            "udp B:9 > A:1",
            30_000,
            "B> rule, >A default_deny",
        ),
        (
            "icmp A > B echo-request id=1",
            "icmp B > A echo-reply id=1",
            30_000,
            "B> ct_invalid",
        ),
        (
            "icmp A6 > B6 echo-request id=1",
            "icmp B6 > A6 echo-reply id=1",
            30_000,
            "B> ct_invalid",
        ),
        (
            "proto=112 A > B",
            "proto=112 B > A",
            600_000,
            "B> rule, >A default_deny",
        ),
        (
            "proto=47 A6 > B6",
            "proto=47 B6 > A6",
            30_000,
            "B> rule, >A default_deny",
        ),
    ];
    for (ask, answer, timeout_ms, late) in cases {
        for sweep in [false, true] {
            let pass = |lab: &mut Lab, ms| if sweep { lab.tick(ms) } else { lab.wait(ms) };
            let mut lab = Lab::new(Setup::of_b("out, in udp, in icmp, in 112, in 47"));
            lab.sees("A", ask, "A> rule, >B rule");
            pass(&mut lab, timeout_ms - 1);
            lab.sees("B", answer, "B> reply, >A reply");
            let mut lab = Lab::new(Setup::of_b("out, in udp, in icmp, in 112, in 47"));
            lab.sees("A", ask, "A> rule, >B rule");
            pass(&mut lab, timeout_ms);
            lab.sees("B", answer, late);
        }
    }
}

/// L02.
#[test]
fn an_answered_flow_that_lasts_is_a_stream() {
    for (idle_ms, fate) in [
        (119_999, "B> reply, >A reply"),
        (120_000, "B> rule, >A default_deny"),
    ] {
        let mut lab = Lab::new(Setup::of_b("out, in udp"));
        lab.sees("A", "udp A:1 > B:9", "A> rule, >B rule");
        lab.wait(2_001);
        lab.sees("B", "udp B:9 > A:1", "B> reply, >A reply");
        assert_eq!(lab.connections()[0].state, State::Stream);
        lab.wait(idle_ms);
        lab.sees("B", "udp B:9 > A:1", fate);
    }
}

/// L09.
#[test]
fn a_closed_connection_is_gone_after_its_time() {
    let mut lab = Lab::new(Setup::of_b("in tcp"));
    let mut talk = Talk::opens(("A", 4000), ("B", 80), &mut lab);
    talk.closes(&mut lab);
    lab.tick(119_999);
    assert_eq!(lab.connections().len(), 1);
    lab.tick(1_001);
    assert!(lab.connections().is_empty());
    assert_eq!(lab.switch.connections().0, 0);
    lab.sees(
        "A",
        "tcp A:4000 > B:80 fin,ack seq=1 ack=1",
        "A> ct_invalid",
    );
}

/// L11, L12, L15.
#[test]
fn a_port_holds_as_many_connections_as_it_may_and_disturbs_no_other() {
    let setup = Setup::of_b(OPEN)
        .group("A", OPEN)
        .port("A", |port| port.conntrack_limit = Some(3));
    let mut lab = Lab::new(setup);
    for port in 1..=3 {
        lab.sees("A", &format!("udp A:{port} > B:9"), "A> rule, >B rule");
        lab.sees("B", &format!("udp B:9 > A:{port}"), "B> reply, >A reply");
    }
    for port in 4..=5 {
        lab.sees("A", &format!("udp A:{port} > B:9"), "A> ct_full");
    }
    lab.sees("A", "udp A6:1 > B6:9", "A> ct_full");
    assert_eq!(lab.refused("A", Reason::CtFull), 3);
    for port in 11..=15 {
        lab.sees("B", &format!("udp B:{port} > A:99"), "B> rule, >A rule");
        lab.sees("C", &format!("udp C:{port} > B:9"), "C> rule, >B rule");
    }
    lab.logs("A> rule 3, >B rule 8, A> ct_full 2, B> reply 3, >A reply 3, B> rule 5, >A rule 5, C> rule 5");

    lab.reload(|setup| setup.port("C", |port| port.conntrack_limit = Some(0)));
    lab.all_see(&[
        (
            "C",
            "arp who-has 10.0.0.11 tell 10.0.0.12 to B.mac",
            "C> essential, >B essential",
        ),
        ("C", "udp C:68 > 10.0.0.1:67", "C> essential, >U unfiltered"),
        // What stands goes on.
        ("C", "udp C:11 > B:9", "C> rule, >B rule"),
    ]);
    lab.tick(31_000);
    lab.sees("C", "udp C:77 > B:9", "C> ct_full");
}

/// L11: of its own, unanswered ones give way to new ones, the oldest of the latest first.
#[test]
fn at_its_limit_a_ports_own_unanswered_connections_give_way() {
    for (a, b) in [("A", "B"), ("A6", "B6")] {
        let setup = Setup::of_b(OPEN).port("A", |port| port.conntrack_limit = Some(3));
        let mut lab = Lab::new(setup);
        lab.sees("A", &format!("udp {a}:1 > {b}:9"), "A> rule, >B rule");
        lab.sees("B", &format!("udp {b}:9 > {a}:1"), "B> reply, >A reply");
        lab.sees("C", "udp C:1 > B:9", "C> rule, >B rule");
        for port in 2..=50 {
            lab.sees("A", &format!("udp {a}:{port} > {b}:9"), "A> rule, >B rule");
            assert!(lab.switch.connections().0 <= 4);
        }
        let left: Vec<u16> = lab
            .connections()
            .iter()
            .map(|view| view.tuple.src_port)
            .collect();
        let mut sorted = left.clone();
        sorted.sort_unstable();
        assert_eq!(
            sorted,
            [1, 1, 49, 50],
            "the answered one, C's, and the latest"
        );
        lab.sees("B", &format!("udp {b}:9 > {a}:1"), "B> reply, >A reply");
        lab.rows();
    }
}

/// A tuple has one entry, whoever opens it: what a port opened once may be another's by now.
#[test]
fn at_its_limit_a_port_gives_up_no_connection_that_another_opened_since() {
    let setup = Setup::of_b(OPEN)
        .group("A", OPEN)
        .port("A", |port| port.conntrack_limit = Some(2));
    let mut lab = Lab::new(setup);
    lab.sees("A", "udp A:1 > B:9", "A> rule, >B rule");
    lab.wait(30_000);
    lab.sees("B", "udp B:9 > A:1", "B> rule, >A rule");
    let opened_by = |lab: &Lab, name| lab.switch.port(lab.number(name)).unwrap().connections;
    for port in 2..=8 {
        lab.sees("A", &format!("udp A:{port} > B:9"), "A> rule, >B rule");
        assert!(opened_by(&lab, "A") <= 2, "after port {port}");
        assert_eq!(opened_by(&lab, "B"), 1, "after port {port}");
    }
    lab.sees("A", "udp A:1 > B:9", "A> reply, >B reply");
    lab.rows();
}

/// An unanswered one that is no longer among the latest is found too, by and by.
#[test]
fn at_its_limit_an_old_unanswered_connection_gives_way_too() {
    let setup = Setup::of_b(OPEN).port("A", |port| port.conntrack_limit = Some(100));
    let mut lab = Lab::new(setup);
    for port in 1..=100 {
        lab.sees("A", &format!("udp A:{port} > B:9"), "A> rule, >B rule");
        if port > 1 {
            lab.sees("B", &format!("udp B:9 > A:{port}"), "B> reply, >A reply");
        }
    }
    let opened = (0..20).find(|_| lab.send("A", "udp A:999 > B:9").fate == "A> rule, >B rule");
    assert!(opened.is_some());
    lab.rows();
}

/// A flood fills the table, and the few connections of another are not the ones that give way.
#[test]
fn in_a_full_table_a_flood_does_not_push_out_the_few_of_another() {
    let mut lab = Lab::new(small(8));
    lab.sees("C", "udp C:1 > B:9", "C> rule, >B rule");
    for port in 1..=100 {
        lab.sees("A", &format!("udp A:{port} > B:9"), "A> rule, >B rule");
    }
    lab.sees("B", "udp B:9 > C:1", "B> reply, >C reply");
    // The other way round, whoever has few finds room.
    lab.sees("C", "udp C:2 > B:9", "C> rule, >B rule");
    lab.rows();
}

/// Timeouts of a port stand in place of everybody's; between two ports the shorter holds.
#[test]
fn a_port_may_have_timeouts_of_its_own() {
    let own = |text: &[(&str, u32)]| {
        let mut own = OwnTimeouts::default();
        for (name, seconds) in text {
            own.set(name, *seconds).unwrap();
        }
        Some(Box::new(own))
    };
    let setup = Setup::of_b(OPEN)
        .group("A", OPEN)
        .port("A", |port| port.timeouts = own(&[("udp", 60), ("icmp", 5)]))
        .port("B", |port| {
            port.timeouts = own(&[("udp", 40), ("tcp_established", 100)]);
        });
    let mut lab = Lab::new(setup);
    lab.sees("A", "udp A:1 > C:9", "A> rule, >C default_deny");
    lab.reload(|setup| setup.group("C", OPEN));
    for (from, text, expires_s) in [
        ("A", "udp A:1 > C:9", 60),
        ("C", "udp C:2 > A:9", 60),
        ("A", "udp A:3 > B:9", 40),
        ("C", "udp C:4 > B:9", 40),
        ("C", "icmp C > B echo-request id=1", 30),
        ("A", "icmp A > B echo-request id=1", 5),
        ("A", "tcp A:5 > C:9 ack", 300),
        ("B", "tcp B:6 > C:9 ack", 100),
    ] {
        let before = lab.connections().len();
        lab.send(from, text);
        let views = lab.connections();
        assert_eq!(views.len(), before + 1, "{text}");
        let longest = views
            .iter()
            .find(|view| view.expires_in_ms == expires_s * 1000 && lab.name(view.ports[0]) == from);
        assert!(longest.is_some(), "{text}: {views:#?}");
        lab.tick(601_000);
    }
    // A packet of an established flow is followed by them too.
    lab.reload(|setup| setup.port("A", |port| port.timeouts = None));
    let mut talk = Talk::opens(("A", 4000), ("B", 80), &mut lab);
    talk.passes(&mut lab, 0, "psh,ack", 10);
    talk.passes(&mut lab, 1, "ack", 0);
    assert_eq!(lab.connections()[0].expires_in_ms, 100_000);
}

/// Its own finished or expired connection gives way to the same port's next on that tuple.
#[test]
fn at_its_limit_a_port_may_open_its_own_old_connection_anew() {
    let setup = Setup::of_b("in tcp, in udp").port("A", |port| port.conntrack_limit = Some(1));
    let mut lab = Lab::new(setup.clone());
    let mut talk = Talk::opens(("A", 4000), ("B", 80), &mut lab);
    talk.closes(&mut lab);
    lab.sees("A", "tcp A:4001 > B:80 syn seq=9", "A> ct_full");
    lab.sees("A", "tcp A:4000 > B:80 syn seq=900000", "A> rule, >B rule");

    let mut lab = Lab::new(setup);
    lab.sees("A", "udp A:1 > B:9", "A> rule, >B rule");
    lab.wait(30_000);
    lab.sees("A", "udp A:1 > B:9", "A> rule, >B rule");
    assert_eq!(lab.switch.connections().0, 1);
}

fn small(connections_max: u32) -> Setup {
    let unlimited =
        |setup: Setup, name: &str| setup.port(name, |port| port.conntrack_limit = Some(10_000));
    let mut setup = ["A", "B", "C"]
        .into_iter()
        .fold(Setup::of_b("out, in udp, in tcp"), unlimited);
    setup.connections_max = connections_max;
    setup
}

/// By default: a port's share shrinks as the table fills, so that those that fill it together leave as much
/// room as each has taken. So do guests with a friend beyond the uplink.
#[test]
fn guests_that_work_together_cannot_fill_the_table_with_answered_connections() {
    for friend in [false, true] {
        let mut setup = Setup::new().guest("D", 13).guest("E", 14).guest("F", 15);
        for name in ["A", "B", "C", "D", "E", "F"] {
            setup = setup.group(name, OPEN);
        }
        setup.connections_max = 100;
        let mut lab = Lab::new(setup);
        let mut openers = vec!["A", "B", "C", "D"];
        if friend {
            openers.push("U");
        }
        let answered = |lab: &mut Lab, from: &str, port: usize| {
            let host = if from == "U" { "X" } else { from };
            let mac = if from == "U" {
                "from 02:00:00:00:00:99"
            } else {
                ""
            };
            let asked = lab.send(from, &format!("udp {host}:{port} > E:9 {mac}"));
            if asked.got.is_empty() {
                assert!(asked.fate.ends_with("ct_full"), "{}", asked.fate);
                return false;
            }
            let mac = if from == "U" {
                "to 02:00:00:00:00:99"
            } else {
                ""
            };
            let answer = lab.send("E", &format!("udp E:9 > {host}:{port} {mac}"));
            answer.fate.starts_with("E> reply")
        };
        for port in 1..=100 {
            for from in &openers {
                answered(&mut lab, from, port);
            }
        }
        let (taken, _) = lab.switch.connections();
        let (at_most, left_to_another) = if friend { (94, 3) } else { (80, 10) };
        assert!(taken <= at_most, "{taken} of 100");
        let opened = (1..=100)
            .filter(|port| answered(&mut lab, "F", *port))
            .count();
        assert!(opened >= left_to_another, "{opened} of another's");
        lab.rows();
    }
}

/// One guest alone has its quarter, as long as there is so much room.
#[test]
fn a_port_s_share_is_a_quarter_of_the_table_until_less_room_is_left() {
    let mut setup = Setup::of_b(OPEN);
    setup.connections_max = 100;
    let mut lab = Lab::new(setup);
    let allowed = |lab: &Lab, name: &str| {
        lab.switch
            .connections_allowed(lab.switch.port(lab.number(name)).unwrap())
    };
    assert_eq!((allowed(&lab, "A"), allowed(&lab, "U")), (25, 100));
    for port in 1..=25 {
        lab.sees("A", &format!("udp A:{port} > B:9"), "A> rule, >B rule");
        lab.sees("B", &format!("udp B:9 > A:{port}"), "B> reply, >A reply");
    }
    lab.sees("A", "udp A:99 > B:9", "A> ct_full");
    for port in 1..=60 {
        lab.sees(
            "U",
            &format!("udp X:{port} > B:9"),
            "U> unfiltered, >B rule",
        );
    }
    assert_eq!((allowed(&lab, "A"), allowed(&lab, "U")), (15, 60));
}

/// L13.
#[test]
fn in_a_full_table_one_that_nobody_answered_gives_way() {
    let mut lab = Lab::new(small(8));
    let mut assured = Talk::opens(("C", 4000), ("B", 80), &mut lab);
    for port in 1..=20 {
        lab.sees("A", &format!("udp A:{port} > B:9"), "A> rule, >B rule");
        assert!(lab.switch.connections().0 <= 8);
    }
    assured.passes(&mut lab, 1, "psh,ack", 10);
    // Records of those that gave way are not lost.
    lab.logs("A> rule 20, >B rule 22, C> rule 2, B> reply 2, >C reply 2");
}

/// L14.
#[test]
fn in_a_table_full_of_answered_connections_a_new_one_is_refused() {
    let mut lab = Lab::new(small(8));
    for port in 1..=8 {
        lab.sees("A", &format!("udp A:{port} > B:9"), "A> rule, >B rule");
        lab.sees("B", &format!("udp B:9 > A:{port}"), "B> reply, >A reply");
    }
    lab.sees("C", "udp C:1 > B:9", "C> ct_full");
    lab.sees("C", "udp C6:1 > B6:9", "C> ct_full");
    for port in 1..=8 {
        lab.sees("B", &format!("udp B:9 > A:{port}"), "B> reply, >A reply");
    }
    assert_eq!(lab.refused("C", Reason::CtFull), 2);
    lab.logs("A> rule 8, >B rule 8, B> reply 16, >A reply 16, C> ct_full 1");
}

/// The search for one that gives way is short, but it does not look at the same ones for ever.
#[test]
fn one_that_may_give_way_is_found_wherever_it_stands() {
    let mut lab = Lab::new(small(400));
    for port in 1..=399 {
        lab.sees("A", &format!("udp A:{port} > B:9"), "A> rule, >B rule");
        lab.sees("B", &format!("udp B:9 > A:{port}"), "B> reply, >A reply");
    }
    lab.sees("A", "udp A:5000 > B:9", "A> rule, >B rule");
    let opened = (1..=20)
        .find(|port| lab.send("C", &format!("udp C:{port} > B:9")).fate == "C> rule, >B rule");
    assert!(
        opened.is_some(),
        "the only unanswered connection is found within a few attempts"
    );
    lab.rows();
}

/// To an unknown MAC, whose copies are judged each by itself.
const UNKNOWN: &str = "to 02:00:00:00:00:99";

/// Two more behind whom an unknown MAC may be.
fn with_unfiltered(setup: Setup) -> Setup {
    let setup = setup.guest("D", 13).guest("E", 14);
    setup.unfiltered("D").unfiltered("E")
}

#[test]
fn one_that_may_give_way_is_found_for_unknown_unicast_too() {
    let mut lab = Lab::new(with_unfiltered(small(400)));
    for port in 1..=399 {
        lab.sees("A", &format!("udp A:{port} > B:9"), "A> rule, >B rule");
        lab.sees("B", &format!("udp B:9 > A:{port}"), "B> reply, >A reply");
    }
    lab.sees("A", "udp A:5000 > B:9", "A> rule, >B rule");
    let opened = (1..=20).find(|port| {
        let fate = lab.send("C", &format!("udp C:{port} > X:9 {UNKNOWN}")).fate;
        fate.starts_with("C> rule")
    });
    assert!(
        opened.is_some(),
        "the only unanswered connection is found within a few attempts"
    );
    lab.rows();
}

/// The first receivers' copies would need room and find none; the last one's belongs to a connection.
#[test]
fn an_answer_to_an_unknown_mac_needs_no_room() {
    let mut lab = Lab::new(with_unfiltered(small(8)));
    lab.sees(
        "E",
        "udp X:1 > B:9 from 02:00:00:00:00:99",
        "E> unfiltered, >B rule",
    );
    for port in 1..=7 {
        lab.sees("A", &format!("udp A:{port} > B:9"), "A> rule, >B rule");
    }
    let answers = format!("udp B:9 > X:1 {UNKNOWN}");
    // The connections live on; the MAC is forgotten.
    for wait_ms in [2_100, 100_000, 100_000] {
        lab.wait(wait_ms);
        for port in 1..=7 {
            lab.sees("B", &format!("udp B:9 > A:{port}"), "B> reply, >A reply");
        }
        lab.sees("B", &answers, "B> reply, >E unfiltered");
    }
    lab.tick(100_000);
    let fate = "B> reply, >U unfiltered, >D unfiltered, >E unfiltered";
    lab.sees("B", &answers, fate);
    lab.rows();
}

/// What finds no room does not leave for a receiver that would refuse it either.
#[test]
fn unknown_unicast_without_room_is_refused_where_it_is_sent() {
    let setup = with_unfiltered(small(8))
        .port("A", |port| port.conntrack_limit = Some(0))
        .port("E", |port| port.mtu = 576);
    let mut lab = Lab::new(setup);
    let short = format!("udp A:1 > X:9 {UNKNOWN}");
    lab.sees("A", &short, "A> ct_full");
    let long = format!("udp A:1 > X:9 len=1000 {UNKNOWN}");
    lab.sees("A", &long, "A> ct_full");
    lab.reload(|setup| setup.port("A", |port| port.conntrack_limit = None));
    lab.sees("A", &long, "A> rule, >U unfiltered, >D unfiltered, >E mtu");
}

/// L10: what is forgotten is opened anew by its opener alone.
#[test]
fn a_flow_whose_state_is_gone_is_opened_by_its_opener_alone() {
    let mut lab = Lab::new(Setup::of_b("out, in udp 9"));
    lab.sees("A", "udp A:1 > B:9", "A> rule, >B rule");
    lab.tick(31_000);
    assert!(lab.connections().is_empty());
    lab.sees("B", "udp B:9 > A:1", "B> rule, >A default_deny");
    lab.sees("A", "udp A:1 > B:9", "A> rule, >B rule");
    lab.sees("B", "udp B:9 > A:1", "B> reply, >A reply");
}

/// L19.
#[test]
fn what_is_refused_keeps_nothing_alive() {
    let mut lab = Lab::new(Setup::of_b("out, in udp 9"));
    lab.sees("A", "udp A:1 > B:9", "A> rule, >B rule");
    lab.wait(20_000);
    lab.group("B", NONE);
    lab.sees("A", "udp A:1 > B:9", "A> rule, >B revoked");
    lab.group("B", "out, in udp 9");
    assert_eq!(lab.connections()[0].expires_in_ms, 10_000);
}

/// Milliseconds of the switch's clock wrap after 49 days; nothing lives or dies by that.
#[test]
fn the_clock_of_timeouts_may_wrap() {
    let start = Now {
        ms: u32::MAX - 10_000,
        wall_us: crate::laboratory::NEW_YEAR_S * 1_000_000,
    };
    for (after_ms, fate) in [
        (29_999, "B> reply, >A reply"),
        (30_000, "B> rule, >A default_deny"),
    ] {
        let mut lab = Lab::at(Setup::of_b("out, in udp 9").unfiltered("C"), start);
        lab.sees("A", "udp A:1 > B:9", "A> rule, >B rule");
        lab.sees(
            "C",
            "udp C:1 > A:9 from 02:00:00:00:01:01",
            "C> unfiltered, >A default_deny",
        );
        lab.sees("A", "udp A:7 > B:9 frag=5:0:24:+", "A> rule, >B rule");
        lab.tick(12_000);
        lab.sees("A", "udp A > B frag=5:24:8:+", "A> rule, >B rule");
        lab.wait(after_ms - 12_000);
        lab.sees("B", "udp B:9 > A:1", fate);
        lab.sees("A", "udp A > B frag=5:32:8", "held");
        let learned = lab
            .switch
            .fdb()
            .filter(|(_, _, place)| place.heard_ms.is_some())
            .count();
        assert_eq!(learned, 1);
    }
}

/// H10, S15: ports come and go, and leave nothing behind.
#[test]
fn ports_that_come_and_go_leave_nothing_behind() {
    let mut lab = Lab::new(Setup::of_b("out, in udp"));
    for round in 0..100 {
        lab.reload(|setup| setup.guest("D", 13));
        lab.sees("D", "udp D:1 > B:9", "D> rule, >B rule");
        lab.sees("C", "udp C:1 > B:9", "C> rule, >B rule");
        lab.sees("D", "udp D:1 > 10.0.0.14:9", "D> rule, >U unfiltered");
        lab.reload(|setup| setup.unplug("D"));
        lab.tick(1_000);
        assert_eq!(lab.connections().len(), 1, "round {round}");
    }
    assert_eq!(lab.switch.connections().0, 1);
    lab.logs("D> rule 200, >B rule 200, C> rule 100, >U unfiltered 100");
}

/// H11: fails closed, and what was for it is lost, not refused.
#[test]
fn a_port_that_is_down_takes_nothing_and_nothing_is_called_a_drop() {
    let mut lab = Lab::new(Setup::of_b("in udp"));
    let number = lab.number("B");
    lab.switch.set_up(number, false);
    lab.sees("A", "udp A:1 > B:9", "A> rule, >B rule");
    assert!(lab.send("A", "udp A:1 > B:9").got.is_empty());
    assert_eq!(lab.of("B").tx_lost, 2);
    lab.switch.set_up(number, true);
    assert_eq!(lab.send("A", "udp A:1 > B:9").got, ["B"]);
    lab.logs("A> rule 3, >B rule 3");
}

#[test]
fn in_a_table_full_of_one_family_a_connection_of_the_other_finds_room() {
    for (full_of, new) in [("A6", "udp A:1 > B:9"), ("A", "udp A6:1 > B6:9")] {
        let other = full_of.replace('A', "B");
        let mut lab = Lab::new(small(8));
        for port in 1..=8 {
            let text = format!("udp {full_of}:{port} > {other}:9");
            lab.sees("A", &text, "A> rule, >B rule");
        }
        lab.sees("A", new, "A> rule, >B rule");
        assert_eq!(lab.switch.connections().0, 8);
    }
}

#[test]
fn a_connection_picked_up_in_the_middle_gives_way_until_it_is_answered() {
    let mut lab = Lab::new(small(8));
    for port in 1..=8 {
        let text = format!("tcp A:{port} > B:9 ack seq=1 ack=1");
        lab.sees("A", &text, "A> rule, >B rule");
    }
    lab.sees("A", "udp A:1 > B:9", "A> rule, >B rule");
    assert_eq!(lab.switch.connections().0, 8);
}
