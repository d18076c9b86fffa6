//! Segments that do not fit: RST, stray SYN and SYN|ACK, challenges (RFC 5961).

use super::*;

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
    for of_nothing in [I + 2, I + 1_000_000] {
        let answer = flow.reply(seg(SYNACK, 77, of_nothing));
        assert_eq!(answer, Err(Invalid("ack")), "{of_nothing}");
    }
    for old in [I, I - 500, I.wrapping_sub(1_000_000)] {
        let passed = flow.reply(seg(SYNACK, 77, old)).unwrap();
        assert_eq!((passed.state, passed.refreshes), (State::SynSent, false));
        // The opener's answer to it, which ends the older connection at the other end.
        let reset = flow.clone().original(seg(RST, old, 0)).unwrap();
        assert_eq!(reset.state, State::Close, "{old}");
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
    let mut other = flow.clone();
    other.reply(seg(RST, 6, 0)).unwrap();
    assert_eq!(other.state, State::Close);
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
    let mut other = flow.clone();
    other.reply(seg(ACK, R + 2, I + 2)).unwrap();
    assert_eq!(other.state, State::TimeWait, "only one challenge per SYN");
    flow.original(seg(ACK, I + 2, R + 2)).unwrap();
    assert_eq!(flow.state, State::TimeWait);
}

#[test]
fn a_rst_behind_data_under_way_is_exact() {
    let mut flow = Flow::established();
    flow.original(data(I + 1, R + 1, 500)).unwrap();
    flow.original(seg(RST, I + 501, 0)).unwrap();
    assert_eq!(flow.state, State::Close);
}

#[test]
fn before_the_handshake_is_over_a_rst_from_its_answerer_is_exact_or_closes_nothing() {
    let mut flow = Flow::open(seg(SYN, I, 0));
    flow.reply(seg(SYNACK, R, I + 1)).unwrap();
    let advance = flow.reply(seg(RST, R + 77, 0)).unwrap();
    assert_eq!((advance.state, advance.refreshes), (State::SynRecv, false));
    flow.reply(seg(RST, R + 1, 0)).unwrap();
    assert_eq!(flow.state, State::Close);
}

#[test]
fn what_follows_a_refusal_is_held_against_the_numbers_of_the_refuser() {
    for seq in [0, 1 << 31, u32::MAX - 1] {
        let mut flow = Flow::open(seg(SYN, I, 0));
        flow.reply(seg(RST | ACK, seq, I + 1)).unwrap();
        flow.original(seg(ACK, I + 1, seq)).unwrap();
        let unsent = seg(ACK, I + 1, seq.wrapping_add(100_000));
        assert_eq!(flow.original(unsent), Err(Invalid("ack")), "{seq}");
    }
}
