//! How connections end, by FIN and RST, and what may follow on the same ports.

use crate::pair::Pair;

#[test]
fn the_client_closes_first() {
    Pair::new().play(
        "
        a syn           | new SYN_SENT
        b syn,ack       | reply SYN_RECV
        a ack           | established ESTABLISHED
        a fin,ack       | established FIN_WAIT
        b ack           | reply CLOSE_WAIT
        b fin,ack       | reply LAST_ACK
        a ack           | established TIME_WAIT
        a fin,ack seq=1 | established TIME_WAIT
        ",
    );
}

#[test]
fn the_server_closes_first() {
    Pair::new().play(
        "
        a syn                 | new SYN_SENT
        b syn,ack             | reply SYN_RECV
        a ack                 | established ESTABLISHED
        b fin,ack             | reply FIN_WAIT
        a ack                 | established CLOSE_WAIT
        a fin,ack             | established LAST_ACK
        b ack                 | reply TIME_WAIT
        b fin,ack seq=1 ack=2 | reply TIME_WAIT
        ",
    );
}

#[test]
fn both_close_at_once() {
    Pair::new().play(
        "
        a syn           | new SYN_SENT
        b syn,ack       | reply SYN_RECV
        a ack           | established ESTABLISHED
        a fin,ack       | established FIN_WAIT
        b fin,ack ack=1 | reply LAST_ACK
        a ack           | established TIME_WAIT
        b ack           | reply TIME_WAIT
        ",
    );
}

#[test]
fn one_side_may_close_and_the_other_go_on() {
    Pair::new().play(
        "
        a syn             | new SYN_SENT
        b syn,ack         | reply SYN_RECV
        a ack             | established ESTABLISHED
        a fin,ack         | established FIN_WAIT
        b psh,ack len=100 | reply CLOSE_WAIT
        a ack             | established CLOSE_WAIT
        b fin,ack         | reply LAST_ACK
        a ack             | established TIME_WAIT
        ",
    );
}

#[test]
fn a_fin_may_come_twice() {
    Pair::new().play(
        "
        a syn           | new SYN_SENT
        b syn,ack       | reply SYN_RECV
        a ack           | established ESTABLISHED
        a fin,ack       | established FIN_WAIT
        a fin,ack seq=1 | established LAST_ACK
        b ack           | reply TIME_WAIT
        ",
    );
}

#[test]
fn a_fin_outside_the_window_closes_nothing() {
    Pair::new().play(
        "
        a syn                | new SYN_SENT
        b syn,ack            | reply SYN_RECV
        a ack                | established ESTABLISHED
        a fin,ack seq=90000  | invalid ESTABLISHED
        a fin,ack seq=-90000 | established ESTABLISHED
        a fin,ack seq=0      | established FIN_WAIT
        ",
    );
}

#[test]
fn data_after_a_fin_passes() {
    Pair::new().play(
        "
        a syn             | new SYN_SENT
        b syn,ack         | reply SYN_RECV
        a ack             | established ESTABLISHED
        a fin,ack         | established FIN_WAIT
        a psh,ack len=100 | established CLOSE_WAIT
        b ack             | reply CLOSE_WAIT
        ",
    );
}

#[test]
fn a_finished_connections_ports_are_used_again_with_a_higher_sequence() {
    Pair::new().play(
        "
        a syn                         | new SYN_SENT
        b syn,ack                     | reply SYN_RECV
        a ack                         | established ESTABLISHED
        a fin,ack                     | established FIN_WAIT
        b fin,ack                     | reply LAST_ACK
        a ack                         | established TIME_WAIT
        a syn seq=70000               | new SYN_SENT
        b syn,ack seq=90000 ack=70001 | reply SYN_RECV
        a ack seq=70001 ack=90001     | established ESTABLISHED
        ",
    );
}

#[test]
fn a_finished_connections_ports_are_used_again_with_a_lower_sequence() {
    Pair::new().play(
        "
        a syn                          | new SYN_SENT
        b syn,ack                      | reply SYN_RECV
        a ack                          | established ESTABLISHED
        a fin,ack                      | established FIN_WAIT
        b fin,ack                      | reply LAST_ACK
        a ack                          | established TIME_WAIT
        a syn seq=-100000              | new SYN_SENT
        b syn,ack seq=90000 ack=-99999 | reply SYN_RECV
        ",
    );
}

#[test]
fn a_finished_connections_ports_are_used_again_by_the_other_side() {
    Pair::new().play(
        "
        a syn                     | new SYN_SENT
        b syn,ack                 | reply SYN_RECV
        a ack                     | established ESTABLISHED
        a fin,ack                 | established FIN_WAIT
        b fin,ack                 | reply LAST_ACK
        a ack                     | established TIME_WAIT
        b syn seq=70000           | new SYN_SENT
        a syn,ack seq=5 ack=70001 | reply SYN_RECV
        b ack seq=70001 ack=6     | established ESTABLISHED
        ",
    );
}

#[test]
fn an_exact_reset_closes() {
    Pair::new().play(
        "
        a syn             | new SYN_SENT
        b syn,ack         | reply SYN_RECV
        a ack             | established ESTABLISHED
        b psh,ack len=100 | reply ESTABLISHED
        a ack             | established ESTABLISHED
        b rst             | reply CLOSE
        ",
    );
}

#[test]
fn a_reset_behind_data_under_way_closes() {
    Pair::new().play(
        "
        a syn             | new SYN_SENT
        b syn,ack         | reply SYN_RECV
        a ack             | established ESTABLISHED
        b psh,ack len=100 | reply ESTABLISHED
        b psh,ack len=100 | reply ESTABLISHED
        b rst seq=201     | reply CLOSE
        ",
    );
}

#[test]
fn a_reset_behind_its_senders_data_is_exact() {
    Pair::new().play(
        "
        a syn                  | new SYN_SENT
        b syn,ack              | reply SYN_RECV
        a ack                  | established ESTABLISHED
        b psh,ack len=100      | reply ESTABLISHED
        a psh,ack len=10 ack=1 | established ESTABLISHED
        b rst seq=101          | reply ESTABLISHED; switch reply CLOSE: reset_behind_own_data
        ",
    );
}

#[test]
fn a_stale_reset_is_invalid() {
    Pair::new().play(
        "
        a syn                   | new SYN_SENT
        b syn,ack               | reply SYN_RECV
        a ack                   | established ESTABLISHED
        b psh,ack len=100       | reply ESTABLISHED
        a ack                   | established ESTABLISHED
        b rst seq=50            | invalid ESTABLISHED
        b rst seq=90000         | invalid ESTABLISHED
        b rst,ack seq=101 ack=0 | reply CLOSE
        ",
    );
}

#[test]
fn a_reset_somewhere_in_the_window_passes_and_closes_nothing() {
    Pair::new().play(
        "
        a syn         | new SYN_SENT
        b syn,ack     | reply SYN_RECV
        a ack         | established ESTABLISHED
        b rst seq=102 | reply ESTABLISHED; switch reply ESTABLISHED: reset_in_the_window
        ",
    );
}

#[test]
fn a_reset_that_acknowledges_what_was_never_sent_is_invalid() {
    Pair::new().play(
        "
        a syn                      | new SYN_SENT
        b syn,ack                  | reply SYN_RECV
        a ack                      | established ESTABLISHED
        b rst,ack ack=90000        | invalid ESTABLISHED
        b rst,ack seq=1 ack=-90000 | reply ESTABLISHED
        ",
    );
}

#[test]
fn a_reset_after_a_fin_closes() {
    Pair::new().play(
        "
        a syn       | new SYN_SENT
        b syn,ack   | reply SYN_RECV
        a ack       | established ESTABLISHED
        a fin,ack   | established FIN_WAIT
        b rst seq=1 | reply CLOSE
        a ack       | established CLOSE
        ",
    );
}

#[test]
fn what_follows_a_reset_passes() {
    Pair::new().play(
        "
        a syn                 | new SYN_SENT
        b syn,ack             | reply SYN_RECV
        a ack                 | established ESTABLISHED
        b rst,ack             | reply CLOSE
        a psh,ack len=10      | established CLOSE
        b rst seq=1           | reply CLOSE
        b rst seq=77          | reply CLOSE
        b syn,ack seq=0 ack=1 | reply CLOSE
        b fin,ack             | reply CLOSE
        a fin,ack             | established CLOSE
        ",
    );
}

#[test]
fn who_has_reset_may_open_again() {
    Pair::new().play(
        "
        a syn                     | new SYN_SENT
        b syn,ack                 | reply SYN_RECV
        a ack                     | established ESTABLISHED
        a rst,ack                 | established CLOSE
        a syn seq=70000           | new SYN_SENT
        b syn,ack seq=8 ack=70001 | reply SYN_RECV
        ",
    );
}

#[test]
fn the_answerer_that_has_reset_may_open() {
    Pair::new().play(
        "
        a syn           | new SYN_SENT
        b syn,ack       | reply SYN_RECV
        a ack           | established ESTABLISHED
        b rst,ack       | reply CLOSE
        b syn seq=70000 | invalid CLOSE; switch new SYN_SENT: reopened_by_the_other_side
        ",
    );
}

#[test]
fn the_opener_that_was_reset_may_open_again() {
    Pair::new().play(
        "
        a syn           | new SYN_SENT
        b syn,ack       | reply SYN_RECV
        a ack           | established ESTABLISHED
        b rst,ack       | reply CLOSE
        a syn seq=70000 | established CLOSE; switch new SYN_SENT: reopened_after_a_reset
        ",
    );
}

#[test]
fn a_syn_on_a_live_connection_may_be_challenged() {
    Pair::new().play(
        "
        a syn             | new SYN_SENT
        b syn,ack         | reply SYN_RECV
        a ack             | established ESTABLISHED
        a psh,ack len=100 | established ESTABLISHED
        b ack             | reply ESTABLISHED
        a syn seq=500000  | established ESTABLISHED
        b ack             | reply ESTABLISHED
        a rst seq=1 ack=0 | invalid ESTABLISHED
        ",
    );
}

#[test]
fn a_syn_on_a_live_connection_may_be_answered() {
    Pair::new().play(
        "
        a syn                               | new SYN_SENT
        b syn,ack                           | reply SYN_RECV
        a ack                               | established ESTABLISHED
        a syn seq=500000                    | established ESTABLISHED
        b syn,ack seq=9 ack=500001          | reply SYN_RECV
        a ack seq=500001 ack=10             | established ESTABLISHED
        a psh,ack seq=500001 ack=10 len=100 | established ESTABLISHED
        ",
    );
}

#[test]
fn a_syn_on_a_live_connection_may_be_refused() {
    Pair::new().play(
        "
        a syn                      | new SYN_SENT
        b syn,ack                  | reply SYN_RECV
        a ack                      | established ESTABLISHED
        a syn seq=500000           | established ESTABLISHED
        b rst,ack seq=0 ack=500001 | reply CLOSE
        ",
    );
}

#[test]
fn a_syn_on_a_live_connection_makes_any_refusal_count() {
    Pair::new().play(
        "
        a syn                 | new SYN_SENT
        b syn,ack             | reply SYN_RECV
        a ack                 | established ESTABLISHED
        a syn seq=500000      | established ESTABLISHED
        b rst,ack seq=0 ack=7 | invalid ESTABLISHED; switch reply CLOSE: answer_to_a_stray_syn
        ",
    );
}

#[test]
fn a_syn_on_a_closing_connection_changes_nothing() {
    Pair::new().play(
        "
        a syn           | new SYN_SENT
        b syn,ack       | reply SYN_RECV
        a ack           | established ESTABLISHED
        a fin,ack       | established FIN_WAIT
        a syn seq=90000 | established FIN_WAIT
        b ack           | reply CLOSE_WAIT
        a rst seq=2     | established CLOSE
        ",
    );
}

#[test]
fn the_challenge_to_a_syn_acknowledges_no_fin() {
    Pair::new().play(
        "
        a syn           | new SYN_SENT
        b syn,ack       | reply SYN_RECV
        a ack           | established ESTABLISHED
        b fin,ack       | reply FIN_WAIT
        a fin,ack       | established LAST_ACK
        a syn seq=90000 | established LAST_ACK
        b ack ack=2     | reply LAST_ACK
        b ack ack=2     | reply TIME_WAIT
        ",
    );
}

#[test]
fn a_syn_of_the_answerer_on_a_live_connection_is_invalid() {
    Pair::new().play(
        "
        a syn            | new SYN_SENT
        b syn,ack        | reply SYN_RECV
        a ack            | established ESTABLISHED
        b syn seq=900000 | invalid ESTABLISHED
        a ack            | established ESTABLISHED
        ",
    );
}

#[test]
fn a_syn_ack_on_a_live_connection_passes() {
    Pair::new().play(
        "
        a syn                    | new SYN_SENT
        b syn,ack                | reply SYN_RECV
        a ack                    | established ESTABLISHED
        b syn,ack seq=0 ack=1    | reply ESTABLISHED
        a ack                    | established ESTABLISHED
        b syn,ack seq=900 ack=77 | reply ESTABLISHED
        a syn,ack seq=1          | invalid ESTABLISHED
        ",
    );
}
