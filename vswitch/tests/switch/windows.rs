//! Intervals: where they begin and end, and what the sweep does between them.

use crate::laboratory::{Lab, NEW_YEAR_S};
use crate::ledger::Row;
use crate::setup::{NONE, Setup};
use vswitch::switch::{Now, Outbox};

/// Packets at A's port by window, as seconds since the first.
fn by_window(rows: &[Row], place: &str) -> Vec<(u64, u64)> {
    let mut windows = std::collections::BTreeMap::<u64, u64>::new();
    for row in rows.iter().filter(|row| row.place == place) {
        *windows.entry(row.key.window_s - NEW_YEAR_S).or_default() += row.count.packets;
    }
    windows.into_iter().collect()
}

/// O08, SPEC section 5.5: `[start, end)` by the batch's time, whether the sweep has passed or not.
#[test]
fn a_packet_belongs_to_the_interval_of_its_time() {
    for sweep in [false, true] {
        let pass = |lab: &mut Lab, ms| if sweep { lab.tick(ms) } else { lab.wait(ms) };
        let mut lab = Lab::new(Setup::of_b("in udp"));
        let text = "udp A:1 > B:9";
        lab.send("A", text);
        pass(&mut lab, 59_999);
        lab.send("A", text);
        pass(&mut lab, 1);
        lab.send("A", text);
        // 3.5 minutes of one flow, a packet each ten seconds.
        for _ in 0..15 {
            pass(&mut lab, 10_000);
            lab.send("A", text);
        }
        let rows = lab.rows();
        assert_eq!(
            by_window(&rows, "A>"),
            [(0, 2), (60, 6), (120, 6), (180, 4)],
            "sweep: {sweep}"
        );
        assert_eq!(by_window(&rows, ">B"), by_window(&rows, "A>"));
    }
}

/// Entries remember their window modulo 8.
#[test]
fn the_number_of_a_window_may_wrap() {
    for gap in [1, 7, 8, 9, 16] {
        let mut lab = Lab::new(Setup::of_b("in tcp").group("C", NONE));
        let mut talk = crate::talk::Talk::opens(("A", 4000), ("B", 80), &mut lab);
        for _ in 0..3 {
            lab.sees("A", "udp A:7 > C:9", "A> rule, >C default_deny");
            talk.passes(&mut lab, 0, "psh,ack", 10);
            for _ in 0..gap {
                lab.tick(60_000);
            }
        }
        let packets: Vec<u64> = by_window(&lab.rows(), ">B")
            .into_iter()
            .map(|(_, packets)| packets)
            .collect();
        assert_eq!(packets, [3, 1, 1], "{gap} windows apart");
    }
}

/// The same without a sweep in between: closing a window finishes the one before.
#[test]
fn a_window_that_closes_before_the_last_was_swept_waits_for_it() {
    let mut lab = Lab::new(Setup::of_b("in udp"));
    for port in 1..=800 {
        lab.send("A", &format!("udp A:{port} > B:9"));
        if port % 200 == 0 {
            lab.wait(60_000);
            lab.switch.sweep(lab.now);
        }
    }
    assert_eq!(
        by_window(&lab.rows(), "A>"),
        [(0, 200), (60, 200), (120, 200), (180, 200)]
    );
}

/// A clock that steps back opens an older window; one that is read a moment early does not.
#[test]
fn a_clock_that_steps_back_far_opens_an_older_window() {
    let mut lab = Lab::new(Setup::of_b("in udp"));
    let text = "udp A:1 > B:9";
    lab.wait(60_000);
    lab.send("A", text);
    lab.now.wall_us -= 1_000_000;
    lab.send("A", text);
    lab.now.wall_us -= 50_000_000;
    lab.send("A", text);
    lab.now.wall_us += 51_000_000;
    lab.send("A", text);
    assert_eq!(by_window(&lab.rows(), "A>"), [(0, 1), (60, 3)]);
}

/// Another length of interval closes the window that is open.
#[test]
fn another_length_begins_at_once() {
    let mut lab = Lab::new(Setup::of_b("in udp"));
    lab.wait(25_000);
    lab.send("A", "udp A:1 > B:9");
    lab.reload(|setup| setup.set(|config| config.window_length_s = 10));
    lab.send("A", "udp A:1 > B:9");
    lab.tick(6_000);
    lab.send("A", "udp A:1 > B:9");
    assert_eq!(by_window(&lab.rows(), "A>"), [(0, 1), (20, 1), (30, 1)]);
}

/// A day of timeouts and intervals, in a moment.
#[test]
fn a_day_passes() {
    let mut lab = Lab::new(Setup::of_b("in udp 9, in tcp"));
    let mut talk = crate::talk::Talk::opens(("A", 4000), ("B", 80), &mut lab);
    for _ in 0..24 {
        lab.tick(3_600_000);
        talk.passes(&mut lab, 0, "psh,ack", 10);
        talk.passes(&mut lab, 1, "ack", 0);
        lab.sees("A", "udp A:1 > B:9", "A> rule, >B rule");
    }
    assert_eq!(by_window(&lab.rows(), ">B").len(), 1 + 24);
}

/// An audit in slices, with packets, windows and ports in between.
#[test]
fn an_audit_in_slices_balances_whatever_happens_meanwhile() {
    let mut lab = Lab::new(Setup::of_b("in udp, in icmp"));
    let packet = |lab: &mut Lab, from: &str, text: &str| {
        let bytes = lab.frame(from, text);
        let frame = vswitch::switch::Frame::parse(&[0; packet::VNET_HDR_LEN], &bytes).unwrap();
        let (rx, mut out) = (lab.number(from), Outbox::default());
        lab.switch.enter(lab.now);
        lab.switch.forward(lab.now, rx, &frame, &mut out);
        out.receivers
            .into_iter()
            .for_each(|to| lab.switch.settle(to, 1, 0));
    };
    for port in 1..=900 {
        packet(&mut lab, "A", &format!("udp A:{port} > B:9"));
        packet(&mut lab, "A", &format!("tcp A:{port} > B:9"));
    }
    lab.switch.audit_begin();
    let mut slices = 0;
    while lab.switch.audit_slice() {
        slices += 1;
        for port in [1, 700, 899, 2000 + slices] {
            packet(&mut lab, "A", &format!("udp A:{port} > B:9"));
            packet(&mut lab, "A", &format!("tcp A:{port} > B:9"));
        }
        if slices == 2 {
            lab.setup = lab.setup.clone().guest("D", 13).group("B", NONE);
            let prepared =
                vswitch::switch::Prepared::new(lab.setup.config.clone(), &mut lab.rules).unwrap();
            lab.switch.apply(lab.now, prepared).unwrap();
        }
        if slices == 3 {
            packet(&mut lab, "D", "udp D:1 > B:9");
            lab.wait(60_000);
            lab.switch.sweep(lab.now);
        }
    }
    assert!(slices > 4);
    let audit = lab.switch.audit_finish();
    assert!(audit.holds(), "{audit:#?}");
}

/// Nothing depends on where the clocks begin.
#[test]
fn the_epoch_is_a_time_like_any_other() {
    let mut lab = Lab::at(Setup::of_b("in udp"), Now::default());
    lab.sees("A", "udp A:1 > B:9", "A> rule, >B rule");
    lab.tick(60_000);
    lab.logs("A> rule 1, >B rule 1");
}
