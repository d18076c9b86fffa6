//! How connections open, are refused and are picked up.

use crate::pair::Pair;
use std::{thread, time::Duration};

#[test]
fn the_first_data_may_come_with_the_third_segment() {
    Pair::new().play(
        "
        a syn wscale=7 sackok     | new SYN_SENT
        b syn,ack wscale=7 sackok | reply SYN_RECV
        a psh,ack len=100         | established ESTABLISHED
        b ack                     | reply ESTABLISHED
        ",
    );
}

#[test]
fn every_segment_of_a_handshake_may_come_twice() {
    Pair::new().play(
        "
        a syn                 | new SYN_SENT
        a syn seq=0           | new SYN_SENT
        b syn,ack             | reply SYN_RECV
        b syn,ack seq=0 ack=1 | reply SYN_RECV
        a ack                 | established ESTABLISHED
        a ack                 | established ESTABLISHED
        ",
    );
}

#[test]
fn a_new_attempt_before_any_answer_is_followed() {
    Pair::new().play(
        "
        a syn                | new SYN_SENT
        a syn seq=900000     | new SYN_SENT
        b syn,ack ack=900001 | reply SYN_RECV
        a ack seq=900001     | established ESTABLISHED
        ",
    );
}

#[test]
fn an_answer_to_something_else_is_invalid_and_breaks_no_handshake() {
    Pair::new().play(
        "
        a syn                  | new SYN_SENT
        b syn,ack ack=77       | invalid SYN_SENT
        b syn,ack seq=0 ack=+0 | reply SYN_RECV
        a ack                  | established ESTABLISHED
        ",
    );
}

#[test]
fn a_challenge_and_its_reset_clear_the_way() {
    Pair::new().play(
        "
        a syn                   | new SYN_SENT
        b ack seq=4000 ack=9000 | reply SYN_SENT
        a rst seq=9000          | established CLOSE
        a syn seq=0             | new SYN_SENT
        b syn,ack seq=0 ack=1   | reply SYN_RECV
        a ack seq=1 ack=1       | established ESTABLISHED
        ",
    );
}

#[test]
fn both_ends_may_open_at_once() {
    Pair::new().play(
        "
        a syn wscale=3   | new SYN_SENT
        b syn wscale=4   | reply SYN_SENT2
        a syn,ack seq=0  | established SYN_RECV
        b ack            | reply ESTABLISHED
        a psh,ack len=10 | established ESTABLISHED
        b ack            | reply ESTABLISHED
        ",
    );
}

#[test]
fn both_ends_may_open_at_once_the_other_way_round() {
    Pair::new().play(
        "
        a syn           | new SYN_SENT
        b syn           | reply SYN_SENT2
        b syn,ack seq=0 | reply SYN_RECV
        a ack           | established ESTABLISHED
        b ack           | reply ESTABLISHED
        ",
    );
}

#[test]
fn both_ends_may_open_and_answer() {
    Pair::new().play(
        "
        a syn           | new SYN_SENT
        b syn           | reply SYN_SENT2
        a syn,ack seq=0 | established SYN_RECV
        b syn,ack seq=0 | reply SYN_RECV
        a ack           | established ESTABLISHED; switch established ESTABLISHED: unacknowledged_by_number
        b ack           | reply ESTABLISHED
        ",
    );
}

#[test]
fn both_ends_may_open_and_open_again() {
    Pair::new().play(
        "
        a syn                     | new SYN_SENT
        b syn                     | reply SYN_SENT2
        a syn seq=700             | established SYN_SENT2
        b syn seq=800             | reply SYN_SENT2
        a syn,ack seq=700 ack=801 | established SYN_SENT2; switch established SYN_RECV: simultaneous_open
        ",
    );
}

#[test]
fn a_refusal_ends_the_connection() {
    Pair::new().play(
        "
        a syn                 | new SYN_SENT
        b rst,ack seq=0 ack=1 | reply -; switch reply CLOSE: refusal_lingers
        ",
    );
}

#[test]
fn a_refusal_may_be_said_twice_and_the_next_attempt_opens() {
    Pair::new().play(
        "
        a syn                 | new SYN_SENT
        b rst,ack seq=0 ack=1 | reply -; switch reply CLOSE: refusal_lingers
        b rst,ack seq=0 ack=1 | invalid -; switch reply CLOSE: refusal_lingers
        a syn                 | new SYN_SENT
        b syn,ack             | reply SYN_RECV
        ",
    );
}

#[test]
fn a_connection_may_be_withdrawn_and_opened_again() {
    Pair::new().play(
        "
        a syn       | new SYN_SENT
        a rst seq=1 | new -; switch new CLOSE: refusal_lingers
        a syn seq=0 | new SYN_SENT
        ",
    );
}

#[test]
fn a_reset_of_a_syn_must_acknowledge_it() {
    Pair::new().play(
        "
        a syn                  | new SYN_SENT
        b rst,ack seq=0 ack=77 | invalid SYN_SENT
        b rst seq=0            | reply -; switch invalid SYN_SENT: reset_before_an_answer
        ",
    );
}

#[test]
fn a_reset_before_an_answer_from_the_wrong_place_is_invalid() {
    Pair::new().play(
        "
        a syn          | new SYN_SENT
        a rst seq=5000 | invalid SYN_SENT
        a rst seq=77   | invalid SYN_SENT
        ",
    );
}

#[test]
fn a_reset_of_the_opener_closes_a_handshake_and_a_stray_one_does_not() {
    Pair::new().play(
        "
        a syn        | new SYN_SENT
        b syn,ack    | reply SYN_RECV
        b rst seq=77 | reply SYN_RECV
        a rst seq=1  | established CLOSE
        ",
    );
}

#[test]
fn a_reset_of_the_answerer_closes_a_handshake() {
    Pair::new().play(
        "
        a syn                 | new SYN_SENT
        b syn,ack             | reply SYN_RECV
        b rst,ack seq=1 ack=1 | reply CLOSE
        ",
    );
}

#[test]
fn a_handshake_may_end_in_a_fin() {
    Pair::new().play(
        "
        a syn     | new SYN_SENT
        b syn,ack | reply SYN_RECV
        a fin,ack | established FIN_WAIT
        b ack     | reply CLOSE_WAIT
        ",
    );
}

#[test]
fn the_answerer_may_close_before_the_handshake_is_over() {
    Pair::new().play(
        "
        a syn     | new SYN_SENT
        b syn,ack | reply SYN_RECV
        b fin,ack | reply FIN_WAIT
        ",
    );
}

#[test]
fn a_syn_ack_without_a_syn_is_invalid() {
    Pair::new().play(
        "
        b syn,ack             | invalid -
        a syn                 | new SYN_SENT
        b syn,ack seq=0 ack=1 | reply SYN_RECV
        ",
    );
}

#[test]
fn an_old_answer_to_a_syn_passes_and_is_no_answer() {
    let mut pair = Pair::new();
    pair.play(
        "
        a syn seq=69999     | new SYN_SENT
        b syn,ack ack=69000 | reply SYN_RECV; switch reply SYN_SENT: old_answer_to_a_syn
        ",
    );
    pair.play(
        "
        a syn seq=69999     | new SYN_SENT
        b syn,ack ack=1     | reply SYN_SENT
        b syn,ack ack=71000 | invalid SYN_SENT
        ",
    );
}

#[test]
fn the_answerer_may_answer_again_with_another_sequence() {
    Pair::new().play(
        "
        a syn                    | new SYN_SENT
        b syn,ack                | reply SYN_RECV
        b syn,ack seq=9000 ack=1 | reply SYN_RECV
        a ack ack=9001           | invalid SYN_RECV
        a ack                    | established ESTABLISHED
        ",
    );
}

#[test]
fn what_opens_nothing_is_invalid() {
    Pair::new().play(
        "
        a fin,ack | invalid -
        a rst     | invalid -
        a rst,ack | invalid -
        a syn,ack | invalid -
        a none    | invalid -
        ",
    );
}

#[test]
fn a_connection_is_picked_up_in_the_middle() {
    Pair::new().play(
        "
        a ack seq=1000 ack=5000            | new ESTABLISHED
        b ack seq=5000 ack=1000            | reply ESTABLISHED; switch reply ESTABLISHED: first_answer_to_a_pickup
        a ack seq=1000 ack=5000            | established ESTABLISHED
        b psh,ack seq=5000 ack=1000 len=10 | reply ESTABLISHED
        a ack seq=1000 ack=5010            | established ESTABLISHED
        ",
    );
}

#[test]
fn a_pickup_that_nobody_answers_stays_new() {
    Pair::new().play(
        "
        a ack seq=1000 ack=5000 | new ESTABLISHED
        a ack seq=1000 ack=5000 | new ESTABLISHED
        a syn seq=0             | new ESTABLISHED
        ",
    );
}

#[test]
fn a_pickup_has_a_window_although_its_scale_is_unknown() {
    Pair::new().play(
        "
        a ack seq=1 ack=1 win=1                  | new ESTABLISHED
        b psh,ack seq=40000 ack=1 win=1 len=1000 | reply ESTABLISHED; switch invalid ESTABLISHED: window_of_a_pickup
        a ack seq=200000000 ack=1                | established ESTABLISHED; switch new ESTABLISHED: window_of_a_pickup
        ",
    );
}

#[test]
fn a_lone_ack_opens_nothing_where_pickup_is_off() {
    Pair::with(&[("tcp_loose", "0")], "conntrack: { tcp_loose: false }").play(
        "
        a ack         | invalid -
        a psh,ack len=10 seq=0 | invalid -
        a syn         | new SYN_SENT
        b syn,ack     | reply SYN_RECV
        a ack         | established ESTABLISHED
        ",
    );
}

/// Whoever asks on and on in vain does not hold the entry: seconds are compared.
#[test]
fn a_syn_that_nobody_answers_does_not_renew_its_timeout() {
    let mut pair = Pair::new();
    let mut talk = pair.talk(false);
    pair.play_on(&mut talk, "a syn | new SYN_SENT");
    thread::sleep(Duration::from_millis(2_500));
    pair.play_on(&mut talk, "a syn seq=0 | new SYN_SENT");
}
