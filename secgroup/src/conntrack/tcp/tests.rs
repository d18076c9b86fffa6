//! The TCP machine, segment by segment: a connection to play with, and its states from the first SYN
//! to the last ACK.

mod stray;
mod transfer;
mod window;

use super::*;
use crate::conntrack::{Timeouts, idle_ms, timeout_ms};
use packet::{protocol, tcp_flags::*};

const SYNACK: u8 = SYN | ACK;
const FINACK: u8 = FIN | ACK;
/// Initial sequence numbers of the two sides.
const I: u32 = 1000;
const R: u32 = 9000;

/// A segment without payload, with a window of 1000 bytes.
fn seg(flags: u8, seq: u32, ack: u32) -> Tcp {
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
struct Flow {
    state: State,
    window: TcpWindow,
    settings: Settings,
}

impl Flow {
    fn open(tcp: Tcp) -> Self {
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

    fn step(&mut self, way: Way, tcp: Tcp) -> Result<Advance, Invalid> {
        let advance = advance(self.state, &self.window, way, &tcp, &self.settings);
        if self.state == State::Established
            && let Some(peer) = in_step(&self.window, way, &tcp)
        {
            let mut window = self.window;
            window.peers[way as usize] = peer;
            assert_eq!(advance, Ok(to(self.state, window)), "{tcp:?}");
        }
        let advance = advance?;
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
        // The windows of SYN|ACKs are not scaled: 1000 bytes, in units of 128.
        let past = data(I + 1 + 1025, R + 1, 10);
        assert!(!flow.clone().original(past).unwrap().refreshes);
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
        // Whoever asks in vain does not hold the entry beyond its first timeout.
        assert!(!flow.original(seg(SYN, I, 0)).unwrap().refreshes);
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
