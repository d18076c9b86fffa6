//! Inside, behind and past the window; scales, selective acknowledgements, the wrap at 2^32.

use super::*;

#[test]
fn a_picked_up_connection_is_followed_without_knowing_its_scale_or_its_past() {
    let mut flow = Flow::open(data(5000, 700_000, 100));
    assert_eq!(flow.idle_s(), 300, "not answered yet");
    // 4000 bytes had been sent before the switch saw anything.
    flow.reply(data(700_000, 9100, 1_000_000)).unwrap();
    flow.original(seg(ACK, 9100, 1_700_000)).unwrap();
    flow.reply(seg(ACK, 1_700_000, 9100)).unwrap();
    assert_eq!(flow.idle_s(), 432_000);
    assert_eq!(
        flow.reply(data(1_800_000_000, 9100, 1)),
        Err(Invalid("seq"))
    );
}

#[test]
fn a_segment_far_past_the_window_is_invalid_unless_tracking_is_liberal() {
    let mut flow = Flow::established();
    assert_eq!(
        flow.original(data(I + 100_000, R + 1, 10)),
        Err(Invalid("seq"))
    );
    assert_eq!(flow.original(data(I + 1, R + 2, 10)), Err(Invalid("ack")));
    flow.settings.tcp_be_liberal = true;
    flow.original(data(I + 100_000, R + 1, 10)).unwrap();
    flow.original(data(I + 1, R + 2, 10)).unwrap();
}

#[test]
fn a_segment_may_start_at_the_end_of_the_window_but_not_behind_it() {
    let mut flow = Flow::established();
    flow.original(data(I + 1, R + 1, 1000)).unwrap();
    let past = flow.clone().original(data(I + 1002, R + 1, 1));
    assert!(!past.unwrap().refreshes, "passes, without effect");
    assert!(flow.original(data(I + 1001, R + 1, 1)).unwrap().refreshes);
}

#[test]
fn a_segment_less_than_a_window_past_the_window_passes_and_may_be_acknowledged() {
    let mut flow = Flow::established();
    // 1000 bytes are granted: past I + 1001 it is too much, from I + 2001 on far too much.
    for (seq, len, passes) in [
        (I + 1002, 998, true),
        (I + 1002, 999, false),
        (I + 2001, 1, false),
    ] {
        let answer = flow.clone().original(data(seq, R + 1, len));
        assert_eq!(answer.is_ok(), passes, "{seq} + {len}: {answer:?}");
    }
    let too_much = flow.original(data(I + 1002, R + 1, 100)).unwrap();
    assert_eq!(
        (too_much.state, too_much.refreshes),
        (State::Established, false)
    );
    let acknowledged = flow.reply(seg(ACK, R + 1, I + 1102)).unwrap();
    assert!(acknowledged.refreshes, "its end was remembered");
    let unsent = data(I + 1102, R + 2, 1);
    assert_eq!(flow.original(unsent), Err(Invalid("ack")));
}

#[test]
fn a_liberal_table_follows_a_close_wherever_its_segments_lie() {
    for seq in [I.wrapping_sub(500_000), I + 1500, I + 500_000] {
        let mut flow = Flow::established();
        flow.settings.tcp_be_liberal = true;
        flow.original(seg(FINACK, seq, R + 1)).unwrap();
        assert_eq!(flow.state, State::FinWait, "{seq}");
    }
}

#[test]
fn an_old_duplicate_passes_without_effect() {
    let mut flow = Flow::established();
    for n in 0..100 {
        flow.original(data(I + 1 + n * 1000, R + 1, 1000)).unwrap();
        flow.reply(seg(ACK, R + 1, I + 1 + (n + 1) * 1000)).unwrap();
    }
    let before = flow.clone();
    assert!(!flow.original(data(I + 1, R + 1, 1000)).unwrap().refreshes);
    assert!(!flow.reply(seg(ACK, R + 1, I + 1)).unwrap().refreshes);
    assert_eq!(flow.window, before.window);
}

#[test]
fn window_scales_count_only_if_both_sides_offer_them() {
    let far = data(I + 1 + 900_000, R + 1, 1);
    for (of_first, of_second, passes) in [
        (Some(10), Some(14), true),
        (Some(10), None, false),
        (None, Some(14), false),
    ] {
        let mut flow = Flow::open(Tcp {
            window_scale: of_first,
            ..seg(SYN, I, 0)
        });
        flow.reply(Tcp {
            window_scale: of_second,
            ..seg(SYNACK, R, I + 1)
        })
        .unwrap();
        flow.original(seg(ACK, I + 1, R + 1)).unwrap();
        // The windows of SYNs are not scaled, the next one is: 1000 << 14.
        assert!(flow.original(far).is_err());
        flow.reply(seg(ACK, R + 1, I + 1)).unwrap();
        assert_eq!(
            flow.original(far).is_ok(),
            passes,
            "{of_first:?} {of_second:?}"
        );
    }
}

#[test]
fn a_scale_above_fourteen_counts_as_fourteen() {
    let mut flow = Flow::open(offering(255, seg(SYN, I, 0)));
    flow.reply(offering(200, seg(SYNACK, R, I + 1))).unwrap();
    flow.original(seg(ACK, I + 1, R + 1)).unwrap();
    assert_eq!(flow.window.peers.map(|peer| peer.scale & 0x0f), [14, 14]);
}

#[test]
fn the_sequence_space_wraps() {
    let near_end = u32::MAX - 1000;
    let mut flow = Flow::open(offering(7, seg(SYN, near_end, 0)));
    flow.reply(offering(7, seg(SYNACK, near_end, near_end + 1)))
        .unwrap();
    let mut seq = near_end + 1;
    for _ in 0..100 {
        flow.original(data(seq, seq, 1000)).unwrap();
        let end = seq.wrapping_add(1000);
        flow.reply(data(seq, end, 1000)).unwrap();
        flow.original(seg(ACK, end, end)).unwrap();
        seq = end;
    }
    assert_eq!(flow.idle_s(), 432_000);
    assert_eq!(flow.original(seg(RST, near_end, 0)), Err(Invalid("rst")));
}

#[test]
fn a_segmentation_offload_frame_counts_with_all_its_payload() {
    let mut flow = Flow::open(offering(7, seg(SYN, I, 0)));
    flow.reply(offering(7, seg(SYNACK, R, I + 1))).unwrap();
    flow.original(seg(ACK, I + 1, R + 1)).unwrap();
    flow.reply(seg(ACK, R + 1, I + 1)).unwrap();
    flow.original(data(I + 1, R + 1, 65_000)).unwrap();
    flow.reply(seg(ACK, R + 1, I + 65_001)).unwrap();
    assert_eq!(flow.reply(seg(ACK, R + 1, I + 65_002)), Err(Invalid("ack")));
}

#[test]
fn a_selective_acknowledgement_counts_where_the_plain_one_is_too_old() {
    let mut flow = Flow::open(offering(7, seg(SYN, I, 0)));
    flow.reply(offering(7, seg(SYNACK, R, I + 1))).unwrap();
    flow.original(seg(ACK, I + 1, R + 1)).unwrap();
    flow.reply(seg(ACK, R + 1, I + 1)).unwrap();
    flow.original(data(I + 1, R + 1, 128_000)).unwrap();
    flow.original(data(I + 128_001, R + 1, 50_000)).unwrap();
    assert!(
        !flow
            .clone()
            .reply(seg(ACK, R + 1, I + 1))
            .unwrap()
            .refreshes
    );
    let selective = |edge| Tcp {
        sack: Some(edge),
        ..seg(ACK, R + 1, I + 1)
    };
    assert!(
        flow.clone()
            .reply(selective(I + 178_001))
            .unwrap()
            .refreshes
    );
    // A block past what was sent counts for nothing: what remains is too old.
    assert!(!flow.reply(selective(I + 178_002)).unwrap().refreshes);
}

#[test]
fn a_selective_acknowledgement_of_the_unsent_refuses_nothing_and_teaches_nothing() {
    let mut flow = Flow::established();
    flow.original(data(I + 1, R + 1, 100)).unwrap();
    let mut plain = flow.clone();
    let lie = Tcp {
        sack: Some(I + 5000),
        ..seg(ACK, R + 1, I + 101)
    };
    flow.reply(lie).unwrap();
    plain.reply(seg(ACK, R + 1, I + 101)).unwrap();
    assert_eq!(flow.window, plain.window);
}

#[test]
fn a_liberal_table_takes_any_answer_to_a_syn_and_lets_a_reset_of_nothing_pass() {
    let mut flow = Flow::open(seg(SYN, I, 0));
    flow.settings.tcp_be_liberal = true;
    let stray = flow.reply(seg(RST, 5, 0)).unwrap();
    assert_eq!((stray.state, stray.refreshes), (State::SynSent, false));
    flow.reply(seg(SYNACK, R, I + 5000)).unwrap();
    flow.original(seg(ACK, I + 1, R + 1)).unwrap();
    assert_eq!(flow.state, State::Established);
}

#[test]
fn a_connection_whose_other_side_fell_silent_is_kept_for_less() {
    let mut flow = Flow::established();
    flow.settings.timeouts = Timeouts {
        tcp_max_retrans: 200,
        ..Timeouts::default()
    };
    flow.original(data(I + 1, R + 1, 100)).unwrap();
    assert_eq!(flow.idle_s(), 300, "unacknowledged");
    for _ in 0..3 {
        assert_eq!(flow.idle_s(), 300);
        flow.original(data(I + 1, R + 1, 100)).unwrap();
    }
    assert_eq!(flow.idle_s(), 200, "three retransmissions");
    flow.reply(seg(ACK, R + 1, I + 101)).unwrap();
    assert_eq!(flow.idle_s(), 432_000);
}

#[test]
fn what_was_received_selectively_widens_the_window() {
    let mut flow = Flow::established();
    flow.original(data(I + 1, R + 1, 1000)).unwrap();
    let far = data(I + 1 + 1500, R + 1, 1);
    assert!(!flow.clone().original(far).unwrap().refreshes);
    flow.reply(Tcp {
        sack: Some(I + 1001),
        ..seg(ACK, R + 1, I + 1)
    })
    .unwrap();
    assert!(flow.original(far).unwrap().refreshes);
}

#[test]
fn a_late_acknowledgement_still_counts_within_66000_bytes() {
    let mut flow = Flow::established();
    for n in 0..66 {
        flow.original(data(I + 1 + n * 1000, R + 1, 1000)).unwrap();
        flow.reply(seg(ACK, R + 1, I + 1 + (n + 1) * 1000)).unwrap();
    }
    assert!(
        flow.clone()
            .reply(seg(ACK, R + 1, I + 1))
            .unwrap()
            .refreshes
    );
    assert!(!flow.reply(seg(ACK, R + 1, I)).unwrap().refreshes);
}

#[test]
fn a_window_that_is_no_multiple_of_its_scale_is_rounded_up() {
    let mut flow = Flow::open(offering(10, seg(SYN, I, 0)));
    flow.reply(Tcp {
        window: 1500,
        ..offering(10, seg(SYNACK, R, I + 1))
    })
    .unwrap();
    flow.original(seg(ACK, I + 1, R + 1)).unwrap();
    for (offset, is_inside) in [(2049, false), (1500, true)] {
        let data = data(I + 1 + offset, R + 1, 1);
        assert_eq!(flow.clone().original(data).unwrap().refreshes, is_inside);
    }
}

#[test]
fn a_picked_up_receiver_that_closes_its_window_had_granted_more_before() {
    let mut flow = Flow::open(data(5000, R, 100));
    flow.reply(seg(ACK, R, 5100)).unwrap();
    flow.reply(Tcp {
        window: 0,
        ..seg(ACK, R, 1_000_000)
    })
    .unwrap();
    assert_eq!(flow.reply(seg(ACK, R, 1_000_000_000)), Err(Invalid("ack")));
}
