//! The TCP machine, segment by segment.

use super::*;
use crate::conntrack::{Timeouts, idle_ms, timeout_ms};
use packet::{protocol, tcp_flags::*};

const SYNACK: u8 = SYN | ACK;
const FINACK: u8 = FIN | ACK;
/// Initial sequence numbers of the two sides.
const I: u32 = 1000;
const R: u32 = 9000;

/// A segment without payload, with a window of 1000 bytes.
pub(super) fn seg(flags: u8, seq: u32, ack: u32) -> Tcp {
    let (src_port, dst_port, window, payload_len) = (40_000, 80, 1000, 0);
    Tcp {
        src_port,
        dst_port,
        seq,
        ack,
        flags,
        window,
        payload_len,
        window_scale: None,
        sack: None,
    }
}

fn data(seq: u32, ack: u32, payload_len: u32) -> Tcp {
    Tcp {
        payload_len,
        ..seg(ACK | PSH, seq, ack)
    }
}

fn offering(window_scale: u8, segment: Tcp) -> Tcp {
    Tcp {
        window_scale: Some(window_scale),
        ..segment
    }
}

/// A connection as the switch keeps it.
#[derive(Debug, Clone)]
pub(super) struct Flow {
    pub(super) state: State,
    pub(super) window: TcpWindow,
    settings: Settings,
}

impl Flow {
    pub(super) fn open(tcp: Tcp) -> Self {
        let settings = Settings::default();
        let (state, window) = open(&tcp, &settings).unwrap();
        Self {
            state,
            window,
            settings,
        }
    }

    /// After the handshake; the next sequence numbers are I + 1 and R + 1.
    fn established() -> Self {
        let mut flow = Self::open(seg(SYN, I, 0));
        flow.reply(seg(SYNACK, R, I + 1)).unwrap();
        flow.original(seg(ACK, I + 1, R + 1)).unwrap();
        assert_eq!(flow.state, State::Established);
        flow
    }

    pub(super) fn step(&mut self, way: Way, tcp: Tcp) -> Result<Advance, Invalid> {
        let advance = advance(self.state, &self.window, way, &tcp, &self.settings)?;
        (self.state, self.window) = (advance.state, advance.window);
        Ok(advance)
    }

    fn original(&mut self, tcp: Tcp) -> Result<Advance, Invalid> {
        self.step(Way::Original, tcp)
    }

    fn reply(&mut self, tcp: Tcp) -> Result<Advance, Invalid> {
        self.step(Way::Reply, tcp)
    }

    fn timeout_s(&self) -> u32 {
        timeout_ms(self.state, protocol::TCP, &self.settings.timeouts) / 1000
    }

    fn idle_s(&self) -> u32 {
        idle_ms(
            self.state,
            protocol::TCP,
            &self.window,
            &self.settings.timeouts,
        ) / 1000
    }
}

#[test]
fn only_a_syn_or_a_lone_ack_opens_a_connection() {
    let settings = Settings::default();
    let xmas = FIN | PSH | URG;
    for flags in [
        SYNACK,
        FIN,
        FINACK,
        RST,
        RST | ACK,
        0,
        xmas,
        SYN | FIN,
        SYN | RST,
    ] {
        assert!(open(&seg(flags, 1, 1), &settings).is_err(), "{flags:#x}");
    }
    assert_eq!(
        open(&seg(SYN | URG, 1, 0), &settings).unwrap().0,
        State::SynSent
    );
}

#[test]
fn a_lone_ack_is_picked_up_only_if_tracking_is_loose() {
    let strict = Settings {
        tcp_loose: false,
        ..Settings::default()
    };
    assert_eq!(
        open(&seg(ACK, 1, 1), &strict),
        Err(Invalid("no_connection"))
    );
    let picked_up = open(&seg(ACK, 1, 1), &Settings::default()).unwrap();
    assert_eq!(picked_up.0, State::Established);
}

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
fn an_exact_rst_closes_and_a_stale_one_is_invalid() {
    let mut flow = Flow::established();
    flow.original(data(I + 1, R + 1, 500)).unwrap();
    flow.reply(seg(ACK, R + 1, I + 501)).unwrap();
    assert_eq!(flow.original(seg(RST, I + 1, 0)), Err(Invalid("rst")));
    assert_eq!(flow.state, State::Established);
    flow.original(seg(RST, I + 501, 0)).unwrap();
    assert_eq!((flow.state, flow.timeout_s()), (State::Close, 10));
}

#[test]
fn an_inexact_rst_passes_for_a_challenge_but_closes_nothing_and_teaches_nothing() {
    let mut flow = Flow::established();
    let before = flow.clone();
    for _ in 0..2 {
        let advance = flow.original(seg(RST, I + 300, 0)).unwrap();
        assert_eq!(
            (advance.state, advance.refreshes),
            (State::Established, false)
        );
    }
    assert_eq!(flow.window, before.window);
    assert_eq!(flow.original(seg(RST, I + 100_000, 0)), Err(Invalid("seq")));
    // The receiver's challenge brings the exact one.
    flow.reply(seg(ACK, R + 1, I + 1)).unwrap();
    flow.original(seg(RST, I + 1, 0)).unwrap();
    assert_eq!(flow.state, State::Close);
}

#[test]
fn an_inexact_rst_passes_once_a_fin_was_seen() {
    let mut flow = Flow::established();
    flow.original(seg(FINACK, I + 1, R + 1)).unwrap();
    flow.reply(seg(RST, R + 700, 0)).unwrap();
    assert_eq!(flow.state, State::Close);
}

#[test]
fn a_rst_refuses_a_syn_only_if_it_acknowledges_it() {
    let mut flow = Flow::open(seg(SYN, I, 0));
    assert_eq!(flow.reply(seg(RST, 0, 0)), Err(Invalid("rst")));
    assert_eq!(flow.reply(seg(RST | ACK, 0, I)), Err(Invalid("rst")));
    assert_eq!(flow.reply(seg(RST | ACK, 0, I + 2)), Err(Invalid("rst")));
    flow.reply(seg(RST | ACK, 0, I + 1)).unwrap();
    assert_eq!(flow.state, State::Close);
    assert!(
        flow.original(seg(SYN, I + 5, 0)).unwrap().reopens,
        "the next attempt"
    );
}

#[test]
fn a_delayed_syn_ack_of_an_old_incarnation_does_not_break_the_handshake() {
    let mut flow = Flow::open(seg(SYN, I, 0));
    for old in [I - 500, I, I + 2, I + 1_000_000] {
        assert_eq!(
            flow.reply(seg(SYNACK, 77, old)),
            Err(Invalid("ack")),
            "{old}"
        );
    }
    flow.reply(seg(SYNACK, R, I + 1)).unwrap();
    // The same again, after the handshake: it passes, the ends ignore it.
    assert!(!flow.reply(seg(SYNACK, 77, I - 500)).unwrap().refreshes);
    flow.original(seg(ACK, I + 1, R + 1)).unwrap();
    let before = flow.clone();
    flow.reply(seg(SYNACK, 77, I - 500)).unwrap();
    assert_eq!(
        (flow.state, flow.window),
        (State::Established, before.window)
    );
}

#[test]
fn a_client_that_was_challenged_resets_the_old_connection_and_tries_again() {
    let mut flow = Flow::open(seg(SYN, I, 0));
    let challenge = flow.reply(seg(ACK, 77, 123_456)).unwrap();
    assert_eq!(
        (challenge.state, challenge.refreshes),
        (State::SynSent, false)
    );
    assert_eq!(flow.original(seg(RST, 123_455, 0)), Err(Invalid("rst")));
    flow.original(seg(RST, 123_456, 0)).unwrap();
    assert_eq!(flow.state, State::Close);
}

#[test]
fn a_syn_on_an_established_connection_passes_and_changes_nothing() {
    let mut flow = Flow::established();
    let advance = flow.original(seg(SYN, 777_777, 0)).unwrap();
    assert_eq!(
        (advance.state, advance.reopens, advance.refreshes),
        (State::Established, false, false)
    );
    // The challenge of RFC 5961 passes, and the old connection goes on.
    flow.reply(seg(ACK, R + 1, I + 1)).unwrap();
    flow.original(data(I + 1, R + 1, 100)).unwrap();
    flow.reply(seg(ACK, R + 1, I + 101)).unwrap();
    assert_eq!(flow.state, State::Established);
}

#[test]
fn the_challenge_to_a_stray_syn_can_end_in_a_new_connection() {
    let mut flow = Flow::established();
    flow.original(seg(SYN, 777_777, 0)).unwrap();
    flow.reply(seg(ACK, R + 1, I + 1)).unwrap();
    flow.original(seg(RST, I + 1, 0)).unwrap();
    assert_eq!(flow.state, State::Close);
    assert!(flow.original(seg(SYN, 777_777, 0)).unwrap().reopens);
}

#[test]
fn a_syn_that_the_other_end_answers_starts_the_connection_anew() {
    let mut flow = Flow::established();
    flow.original(offering(7, seg(SYN, 777_777, 0))).unwrap();
    flow.reply(offering(9, seg(SYNACK, 5, 777_778))).unwrap();
    assert_eq!(flow.state, State::SynRecv);
    flow.original(seg(ACK, 777_778, 6)).unwrap();
    flow.reply(data(6, 777_778, 1000 << 7)).unwrap();
    assert_eq!(flow.state, State::Established);
    // The old numbers are forgotten.
    assert_eq!(
        flow.reply(data(R + 1_000_000, 777_778, 1)),
        Err(Invalid("seq"))
    );
}

#[test]
fn a_refusal_of_a_stray_syn_closes() {
    let mut flow = Flow::established();
    flow.original(seg(SYN, 777_777, 0)).unwrap();
    flow.reply(seg(RST | ACK, 0, 777_778)).unwrap();
    assert_eq!(flow.state, State::Close);
}

#[test]
fn the_challenge_to_a_syn_is_no_acknowledgement_of_the_last_fin() {
    let mut flow = Flow::established();
    flow.original(seg(FINACK, I + 1, R + 1)).unwrap();
    flow.reply(seg(FINACK, R + 1, I + 2)).unwrap();
    flow.original(seg(SYN, 777_777, 0)).unwrap();
    flow.reply(seg(ACK, R + 2, I + 2)).unwrap();
    assert_eq!(flow.state, State::LastAck);
    flow.original(seg(ACK, I + 2, R + 2)).unwrap();
    assert_eq!(flow.state, State::TimeWait);
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
    assert_eq!(
        flow.clone().original(data(I + 1002, R + 1, 1)),
        Err(Invalid("seq"))
    );
    flow.original(data(I + 1001, R + 1, 1)).unwrap();
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
fn a_full_close_by_either_side_goes_through_every_state_with_its_timeout() {
    for (first, second) in [(Way::Original, Way::Reply), (Way::Reply, Way::Original)] {
        let mut flow = Flow::established();
        assert_eq!(flow.timeout_s(), 432_000);
        let (mut a, mut b) = if first == Way::Original {
            (I + 1, R + 1)
        } else {
            (R + 1, I + 1)
        };
        flow.step(first, seg(FINACK, a, b)).unwrap();
        assert_eq!((flow.state, flow.timeout_s()), (State::FinWait, 120));
        a += 1;
        flow.step(second, seg(ACK, b, a)).unwrap();
        assert_eq!((flow.state, flow.timeout_s()), (State::CloseWait, 60));
        flow.step(second, seg(FINACK, b, a)).unwrap();
        assert_eq!((flow.state, flow.timeout_s()), (State::LastAck, 30));
        b += 1;
        flow.step(first, seg(ACK, a, b)).unwrap();
        assert_eq!((flow.state, flow.timeout_s()), (State::TimeWait, 120));
        // The last ACK was lost: the FIN comes again, and so does the ACK.
        flow.step(second, seg(FINACK, b - 1, a)).unwrap();
        flow.step(first, seg(ACK, a, b)).unwrap();
        assert_eq!(flow.state, State::TimeWait);
    }
}

#[test]
fn a_simultaneous_close_goes_through_last_ack() {
    let mut flow = Flow::established();
    flow.original(seg(FINACK, I + 1, R + 1)).unwrap();
    flow.reply(seg(FINACK, R + 1, I + 1)).unwrap();
    assert_eq!((flow.state, flow.timeout_s()), (State::LastAck, 30));
    flow.original(seg(ACK, I + 2, R + 2)).unwrap();
    flow.reply(seg(ACK, R + 2, I + 2)).unwrap();
    assert_eq!((flow.state, flow.timeout_s()), (State::TimeWait, 120));
}

#[test]
fn a_handshake_has_a_timeout_for_each_of_its_states() {
    let mut flow = Flow::open(seg(SYN, I, 0));
    assert_eq!((flow.state, flow.timeout_s()), (State::SynSent, 120));
    flow.reply(seg(SYNACK, R, I + 1)).unwrap();
    assert_eq!((flow.state, flow.timeout_s()), (State::SynRecv, 60));
    flow.original(seg(ACK, I + 1, R + 1)).unwrap();
    assert_eq!((flow.state, flow.idle_s()), (State::Established, 432_000));
}

#[test]
fn a_simultaneous_open_is_established_by_either_last_segment() {
    for who_answers_first in [Way::Original, Way::Reply] {
        let mut flow = Flow::open(offering(7, seg(SYN, I, 0)));
        flow.reply(offering(7, seg(SYN, R, 0))).unwrap();
        assert_eq!((flow.state, flow.timeout_s()), (State::SynSent2, 120));
        let of_first = offering(7, seg(SYNACK, I, R + 1));
        let of_second = offering(7, seg(SYNACK, R, I + 1));
        if who_answers_first == Way::Original {
            flow.original(of_first).unwrap();
            flow.reply(of_second).unwrap();
        } else {
            flow.reply(of_second).unwrap();
            flow.original(of_first).unwrap();
        }
        assert_eq!(flow.state, State::SynRecv);
        let mut other = flow.clone();
        flow.original(data(I + 1, R + 1, 10)).unwrap();
        other.reply(data(R + 1, I + 1, 10)).unwrap();
        assert_eq!(
            (flow.state, other.state),
            (State::Established, State::Established)
        );
    }
}

#[test]
fn a_syn_sent_again_keeps_the_connection_new_and_the_latest_one_counts() {
    let mut flow = Flow::open(seg(SYN, I, 0));
    for _ in 0..6 {
        assert!(flow.original(seg(SYN, I, 0)).unwrap().refreshes);
        assert!(flow.state == State::SynSent && flow.state.is_unreplied());
    }
    flow.original(seg(SYN, 555, 0)).unwrap();
    assert!(flow.reply(seg(SYNACK, R, I + 1)).is_err());
    flow.reply(seg(SYNACK, R, 556)).unwrap();
}

#[test]
fn a_lost_syn_ack_is_sent_again() {
    let mut flow = Flow::open(seg(SYN, I, 0));
    flow.reply(seg(SYNACK, R, I + 1)).unwrap();
    flow.original(seg(SYN, I, 0)).unwrap();
    flow.reply(seg(SYNACK, R, I + 1)).unwrap();
    flow.original(seg(ACK, I + 1, R + 1)).unwrap();
    assert_eq!(flow.state, State::Established);
}

#[test]
fn data_in_the_syn_may_be_taken_or_left() {
    for taken in [0, 100] {
        let mut flow = Flow::open(Tcp {
            payload_len: 100,
            ..seg(SYN, I, 0)
        });
        flow.reply(seg(SYNACK, R, I + 1 + taken)).unwrap();
        flow.reply(data(R + 1, I + 1 + taken, 900)).unwrap();
        flow.original(data(I + 1 + taken, R + 1, 100)).unwrap();
        assert_eq!(flow.state, State::Established);
    }
}

#[test]
fn a_syn_on_a_finished_connection_opens_a_new_one_whoever_sends_it() {
    for state in [State::TimeWait, State::Close] {
        for way in [Way::Original, Way::Reply] {
            let mut flow = Flow::established();
            flow.state = state;
            let again = flow.step(way, seg(SYN, 42, 0)).unwrap();
            assert!(again.reopens && again.refreshes);
            assert_eq!(
                (again.state, again.window),
                (State::SynSent, TcpWindow::by_syn(&seg(SYN, 42, 0)))
            );
        }
    }
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
    assert_eq!(flow.reply(selective(I + 178_002)), Err(Invalid("ack")));
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
