//! Connections, packet by packet.

use super::*;
use Way::{Original, Reply};
use dccp_type::{ACK, CLOSE, CLOSE_REQ, DATA, DATA_ACK, REQUEST, RESET, RESPONSE, SYNC, SYNC_ACK};

fn packet(kind: u8) -> Dccp {
    Dccp {
        src_port: 5000,
        dst_port: 5001,
        kind,
    }
}

fn hears(state: State, way: Way, kind: u8) -> Result<State, Invalid> {
    let window = TcpWindow::born(0);
    let after = advance(state, &window, way, &packet(kind), 0, &Settings::default())?;
    Ok(after.state)
}

/// Goes through the packets and returns the states.
fn walk(from: State, packets: &[(Way, u8)]) -> Vec<State> {
    let mut state = from;
    let mut states = Vec::new();
    for (way, kind) in packets {
        state = hears(state, *way, *kind).unwrap();
        states.push(state);
    }
    states
}

#[test]
fn a_connection_opens_in_three_packets_and_stands_when_the_server_goes_on() {
    let (state, _) = open(&packet(REQUEST), 0, &Settings::default()).unwrap();
    assert_eq!(state, State::SynSent);
    assert_eq!(
        walk(
            state,
            &[
                (Original, REQUEST),
                (Reply, RESPONSE),
                (Original, ACK),
                (Original, DATA_ACK),
                (Reply, DATA),
                (Original, SYNC),
                (Reply, SYNC_ACK),
            ]
        ),
        [
            State::SynSent,
            State::SynRecv,
            State::SynSent2,
            State::SynSent2,
            State::Established,
            State::Established,
            State::Established,
        ]
    );
}

#[test]
fn it_closes_by_a_request_of_the_server_a_close_and_a_reset() {
    assert_eq!(
        walk(
            State::Established,
            &[(Reply, CLOSE_REQ), (Original, CLOSE), (Reply, RESET)]
        ),
        [State::FinWait, State::LastAck, State::TimeWait]
    );
    for state in [State::SynSent, State::SynRecv, State::Established] {
        assert_eq!(hears(state, Reply, RESET), Ok(State::TimeWait));
    }
}

#[test]
fn each_side_keeps_to_its_part_and_nothing_comes_before_the_handshake() {
    for (state, way, kind) in [
        (State::Established, Reply, REQUEST),
        (State::SynSent, Original, RESPONSE),
        (State::SynSent, Original, ACK),
        (State::SynSent, Original, DATA),
        (State::SynSent, Reply, DATA),
        (State::SynSent, Reply, CLOSE),
        (State::SynRecv, Original, DATA),
        (State::Established, Original, 10),
        (State::Established, Original, 15),
    ] {
        assert!(hears(state, way, kind).is_err(), "{state:?} {way:?} {kind}");
    }
}

#[test]
fn only_a_request_opens_and_in_the_middle_what_carries_data() {
    let strict = Settings {
        tcp_loose: false,
        ..Settings::default()
    };
    for kind in 0..=15 {
        let opened = open(&packet(kind), 0, &Settings::default()).ok();
        let expected = match kind {
            REQUEST => Some(State::SynSent),
            DATA | ACK | DATA_ACK => Some(State::SynSent2),
            _ => None,
        };
        assert_eq!(opened.map(|(state, _)| state), expected, "{kind}");
        assert_eq!(open(&packet(kind), 0, &strict).is_ok(), kind == REQUEST);
    }
}

#[test]
fn after_its_time_a_connection_is_opened_anew_and_nothing_else_keeps_it() {
    let window = TcpWindow::born(0);
    let settings = Settings::default();
    for way in [Original, Reply] {
        let again = advance(
            State::TimeWait,
            &window,
            way,
            &packet(REQUEST),
            9,
            &settings,
        );
        let again = again.unwrap();
        assert!(again.reopens && again.state == State::SynSent);
        let late = advance(State::TimeWait, &window, way, &packet(DATA), 9, &settings).unwrap();
        assert!(!late.refreshes && late.state == State::TimeWait);
    }
}
