//! Data, windows, scales, selective acknowledgements; headers.

use crate::pair::Pair;

#[test]
fn illegal_flags_are_invalid() {
    Pair::new().play(
        "
        a syn                           | new SYN_SENT
        b syn,ack                       | reply SYN_RECV
        a ack                           | established ESTABLISHED
        a none                          | invalid ESTABLISHED
        a fin seq=1                     | invalid ESTABLISHED
        a urg                           | invalid ESTABLISHED
        a syn,fin seq=1                 | invalid ESTABLISHED
        a syn,rst seq=1                 | invalid ESTABLISHED
        a fin,rst seq=1                 | invalid ESTABLISHED
        a fin,psh,urg seq=1             | invalid ESTABLISHED
        a syn,ack,urg seq=1             | invalid ESTABLISHED
        a rst,urg seq=1                 | invalid ESTABLISHED
        a rst,fin,ack seq=1             | invalid ESTABLISHED
        a syn,fin,rst,ack,psh,urg seq=1 | invalid ESTABLISHED
        a ack,urg                       | established ESTABLISHED
        a fin,ack,urg                   | established FIN_WAIT
        ",
    );
}

#[test]
fn congestion_flags_do_not_count() {
    Pair::new().play(
        "
        a syn,ece,cwr       | new SYN_SENT
        b syn,ack,ece       | reply SYN_RECV
        a ack,cwr           | established ESTABLISHED
        a psh,ack,ece len=5 | established ESTABLISHED
        ",
    );
}

#[test]
fn urgent_segments_are_legal() {
    Pair::new().play(
        "
        a syn,urg | new SYN_SENT
        b syn,ack | reply SYN_RECV
        a ack,urg | established ESTABLISHED
        ",
    );
}

#[test]
fn a_syn_may_carry_data() {
    Pair::new().play(
        "
        a syn len=100    | new SYN_SENT
        b syn,ack        | reply SYN_RECV
        a ack            | established ESTABLISHED
        a psh,ack len=10 | established ESTABLISHED
        ",
    );
}

#[test]
fn the_data_of_a_syn_may_be_left() {
    Pair::new().play(
        "
        a syn len=100           | new SYN_SENT
        b syn,ack ack=1         | reply SYN_RECV
        a psh,ack seq=1 len=100 | established ESTABLISHED; switch established ESTABLISHED: unacknowledged_by_number
        b ack                   | reply ESTABLISHED
        ",
    );
}

#[test]
fn a_window_may_be_filled_and_overrun_by_less_than_itself() {
    Pair::new().play(
        "
        a syn win=1000            | new SYN_SENT
        b syn,ack win=500         | reply SYN_RECV
        a ack                     | established ESTABLISHED
        a psh,ack len=500         | established ESTABLISHED
        a psh,ack len=1           | established ESTABLISHED
        a psh,ack len=400         | established ESTABLISHED
        a psh,ack seq=902 len=200 | invalid ESTABLISHED
        b ack ack=902             | reply ESTABLISHED
        a psh,ack seq=902 len=10  | established ESTABLISHED
        ",
    );
}

#[test]
fn far_past_the_window_is_invalid() {
    Pair::new().play(
        "
        a syn win=1000             | new SYN_SENT
        b syn,ack win=500          | reply SYN_RECV
        a ack                      | established ESTABLISHED
        a psh,ack seq=400 len=200  | established ESTABLISHED
        a psh,ack seq=1500 len=10  | invalid ESTABLISHED
        a psh,ack seq=50000 len=10 | invalid ESTABLISHED
        b ack seq=1 ack=50000      | invalid ESTABLISHED
        b ack seq=1 ack=1          | reply ESTABLISHED
        ",
    );
}

#[test]
fn old_duplicates_pass() {
    Pair::new().play(
        "
        a syn win=1000            | new SYN_SENT
        b syn,ack win=500         | reply SYN_RECV
        a ack                     | established ESTABLISHED
        a psh,ack len=500         | established ESTABLISHED
        b ack                     | reply ESTABLISHED
        a psh,ack len=500         | established ESTABLISHED
        b ack                     | reply ESTABLISHED
        a psh,ack len=500         | established ESTABLISHED
        b ack                     | reply ESTABLISHED
        a psh,ack seq=1 len=100   | established ESTABLISHED
        a psh,ack seq=501 len=500 | established ESTABLISHED
        b ack ack=1               | reply ESTABLISHED
        b ack ack=500             | reply ESTABLISHED
        b psh,ack ack=1 len=10    | reply ESTABLISHED
        ",
    );
}

#[test]
fn retransmissions_shorten_the_timeout() {
    Pair::new().play(
        "
        a syn                   | new SYN_SENT
        b syn,ack               | reply SYN_RECV
        a ack                   | established ESTABLISHED
        a psh,ack len=100       | established ESTABLISHED
        a psh,ack seq=1 len=100 | established ESTABLISHED
        a psh,ack seq=1 len=100 | established ESTABLISHED
        a psh,ack seq=1 len=100 | established ESTABLISHED
        a psh,ack seq=1 len=100 | established ESTABLISHED
        b ack                   | reply ESTABLISHED
        a ack                   | established ESTABLISHED
        ",
    );
}

#[test]
fn acknowledgements_without_progress_are_no_retransmissions() {
    Pair::new().play(
        "
        a syn     | new SYN_SENT
        b syn,ack | reply SYN_RECV
        a ack     | established ESTABLISHED
        b ack     | reply ESTABLISHED
        b ack     | reply ESTABLISHED
        b ack     | reply ESTABLISHED
        b ack     | reply ESTABLISHED; switch reply ESTABLISHED: retransmissions_by_progress
        ",
    );
}

#[test]
fn retransmissions_of_several_segments_count_together() {
    Pair::new().play(
        "
        a syn                   | new SYN_SENT
        b syn,ack               | reply SYN_RECV
        a ack                   | established ESTABLISHED
        a psh,ack len=1000      | established ESTABLISHED
        b ack                   | reply ESTABLISHED
        a psh,ack seq=1 len=100 | established ESTABLISHED
        a psh,ack seq=1 len=200 | established ESTABLISHED
        a psh,ack seq=1 len=300 | established ESTABLISHED; switch established ESTABLISHED: retransmissions_by_progress
        ",
    );
}

#[test]
fn a_window_that_shrinks_keeps_its_greatest_edge() {
    Pair::new().play(
        "
        a syn win=60000              | new SYN_SENT
        b syn,ack win=60000          | reply SYN_RECV
        a ack                        | established ESTABLISHED
        a psh,ack len=1400           | established ESTABLISHED
        b ack                        | reply ESTABLISHED
        a psh,ack seq=31000 len=1000 | established ESTABLISHED
        b ack ack=32000              | reply ESTABLISHED
        a psh,ack seq=62000 len=1000 | established ESTABLISHED; switch established ESTABLISHED: edge_of_the_window
        ",
    );
}

#[test]
fn very_old_acknowledgements_pass() {
    Pair::new().play(
        "
        a syn win=60000              | new SYN_SENT
        b syn,ack win=60000          | reply SYN_RECV
        a ack                        | established ESTABLISHED
        a psh,ack seq=1 len=1400     | established ESTABLISHED
        a psh,ack seq=40000 len=1000 | established ESTABLISHED
        b ack ack=41000 win=60000    | reply ESTABLISHED
        a psh,ack seq=90000 len=1000 | established ESTABLISHED
        b ack ack=91000 win=60000    | reply ESTABLISHED
        b ack ack=20000              | reply ESTABLISHED
        b ack ack=30000              | reply ESTABLISHED
        b ack ack=-100000            | reply ESTABLISHED
        ",
    );
}

#[test]
fn window_scales_are_in_force_after_the_handshake() {
    Pair::new().play(
        "
        a syn wscale=7 win=1000     | new SYN_SENT
        b syn,ack wscale=3 win=1000 | reply SYN_RECV
        a ack win=10                | established ESTABLISHED
        b psh,ack len=1000          | reply ESTABLISHED
        b psh,ack len=280           | reply ESTABLISHED
        b psh,ack len=1400          | reply ESTABLISHED
        a psh,ack len=1400          | established ESTABLISHED
        b ack win=1000              | reply ESTABLISHED
        a psh,ack len=1400          | established ESTABLISHED
        a psh,ack seq=8000 len=1400 | established ESTABLISHED
        ",
    );
}

#[test]
fn a_scale_of_one_alone_does_not_count() {
    Pair::new().play(
        "
        a syn wscale=7 win=100    | new SYN_SENT
        b syn,ack win=1000        | reply SYN_RECV
        a ack win=100             | established ESTABLISHED
        b psh,ack len=100         | reply ESTABLISHED
        b psh,ack seq=251 len=150 | invalid ESTABLISHED
        ",
    );
}

#[test]
fn a_scale_beyond_14_is_14() {
    Pair::new().play(
        "
        a syn wscale=15 win=100      | new SYN_SENT
        b syn,ack wscale=255 win=100 | reply SYN_RECV
        a ack win=1                  | established ESTABLISHED
        b psh,ack seq=16000 len=100  | reply ESTABLISHED
        b psh,ack seq=33000 len=100  | invalid ESTABLISHED
        ",
    );
}

#[test]
fn selective_acknowledgements_count() {
    Pair::new().play(
        "
        a syn sackok              | new SYN_SENT
        b syn,ack sackok          | reply SYN_RECV
        a ack                     | established ESTABLISHED
        a psh,ack len=100         | established ESTABLISHED
        a psh,ack seq=201 len=100 | established ESTABLISHED
        b ack ack=1 sack=201..301 | reply ESTABLISHED
        b ack ack=1 sack=201..900 | invalid ESTABLISHED; switch reply ESTABLISHED: sack_of_the_unsent
        a psh,ack seq=101 len=100 | established ESTABLISHED
        b ack ack=301             | reply ESTABLISHED
        ",
    );
}

#[test]
fn selective_acknowledgements_without_permission_refuse_nothing() {
    Pair::new().play(
        "
        a syn                     | new SYN_SENT
        b syn,ack                 | reply SYN_RECV
        a ack                     | established ESTABLISHED
        a psh,ack len=100         | established ESTABLISHED
        b ack ack=1 sack=201..900 | reply ESTABLISHED
        b ack ack=101             | reply ESTABLISHED
        ",
    );
}

#[test]
fn a_closed_window_may_be_probed() {
    Pair::new().play(
        "
        a syn win=1000            | new SYN_SENT
        b syn,ack win=100         | reply SYN_RECV
        a ack                     | established ESTABLISHED
        a psh,ack len=100         | established ESTABLISHED
        b ack win=0               | reply ESTABLISHED; switch reply ESTABLISHED: zero_window
        a psh,ack seq=101 len=1   | established ESTABLISHED
        b ack ack=101 win=0       | reply ESTABLISHED
        b ack ack=101 win=500     | reply ESTABLISHED
        a psh,ack seq=101 len=400 | established ESTABLISHED
        b ack ack=501             | reply ESTABLISHED
        ",
    );
}

#[test]
fn a_keepalive_and_its_answer_pass() {
    Pair::new().play(
        "
        a syn                 | new SYN_SENT
        b syn,ack             | reply SYN_RECV
        a ack                 | established ESTABLISHED
        a ack seq=0           | established ESTABLISHED
        b ack                 | reply ESTABLISHED
        a psh,ack seq=0 len=1 | established ESTABLISHED
        b ack                 | reply ESTABLISHED
        b ack seq=0           | reply ESTABLISHED
        a ack                 | established ESTABLISHED
        ",
    );
}

#[test]
fn a_wrong_checksum_is_invalid() {
    Pair::new().play(
        "
        a syn badsum          | invalid -
        a syn seq=0           | new SYN_SENT
        b syn,ack badsum      | invalid SYN_SENT
        b syn,ack seq=0 ack=1 | reply SYN_RECV
        a ack                 | established ESTABLISHED
        ",
    );
}

#[test]
fn a_header_that_lies_is_refused() {
    Pair::new().play(
        "
        a syn doff=4  | invalid -; switch refused -: malformed_by_name
        a syn doff=15 | invalid -; switch refused -: malformed_by_name
        a syn cut=1   | invalid -; switch refused -: malformed_by_name
        a syn cut=12  | invalid -; switch refused -: malformed_by_name
        a syn cut=17  | invalid -; switch refused -: malformed_by_name
        ",
    );
}

#[test]
fn options_that_lie_are_refused() {
    Pair::new().play(
        "
        a syn option=2,4,5         | new SYN_SENT
        a syn option=3,4,7,0       | new SYN_SENT
        a syn seq=0 option=3,9,1,1 | new SYN_SENT; switch refused SYN_SENT: malformed_options
        ",
    );
}

#[test]
fn a_layer_4_port_of_0_is_invalid() {
    Pair::new().play(
        "
        a syn port0 | new SYN_SENT; switch invalid -: port_zero
        ",
    );
}

#[test]
fn a_liberal_table_lets_everything_pass_but_a_stale_reset() {
    let liberal = ("tcp_be_liberal", "1");
    let mut pair = Pair::with(&[liberal], "conntrack: { tcp_be_liberal: true }");
    pair.play(
        "
        a syn win=1000             | new SYN_SENT
        b syn,ack win=500          | reply SYN_RECV
        a ack                      | established ESTABLISHED
        a psh,ack seq=90000 len=10 | established ESTABLISHED
        b ack ack=90000            | reply ESTABLISHED
        b ack ack=1                | reply ESTABLISHED
        b rst seq=-500             | invalid ESTABLISHED
        a fin,ack seq=1 len=10     | established FIN_WAIT
        b ack                      | reply CLOSE_WAIT
        ",
    );
    pair.play(
        "
        a syn            | new SYN_SENT
        b syn,ack ack=77 | reply SYN_RECV
        ",
    );
    pair.play(
        "
        a syn         | new SYN_SENT
        b rst seq=500 | reply -; switch reply SYN_SENT: reset_before_an_answer
        ",
    );
}
