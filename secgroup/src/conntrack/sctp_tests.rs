//! Associations, chunk by chunk, with right and wrong tags.

use super::*;

const A_TAG: u32 = 0xaaaa;
const B_TAG: u32 = 0xbbbb;

fn packet(chunk: u8, tag: u32, init_tag: u32) -> Sctp {
    Sctp {
        src_port: 5000,
        dst_port: 5001,
        tag,
        chunk: Some(chunk),
        reflected: false,
        init_tag,
        bundled: false,
    }
}

/// An association and what has happened to it. A chooses `A_TAG`, which B's packets carry.
struct Talk {
    state: State,
    window: TcpWindow,
}

impl Talk {
    fn opens(first: &Sctp) -> Result<Self, Invalid> {
        let (state, window) = open(first, &Settings::default())?;
        Ok(Self { state, window })
    }

    fn hears(&mut self, way: Way, sctp: &Sctp) -> Result<State, Invalid> {
        let after = advance(self.state, &self.window, way, sctp, &Settings::default())?;
        assert!(!after.reopens);
        (self.state, self.window) = (after.state, after.window);
        Ok(self.state)
    }

    /// Of A or of B, with the tag that the other one chose.
    fn chunk(&mut self, way: Way, chunk: u8) -> State {
        let tag = [B_TAG, A_TAG][way as usize];
        self.hears(way, &packet(chunk, tag, 0)).unwrap()
    }

    fn established() -> Self {
        let mut talk = Self::opens(&packet(sctp_chunk::INIT, 0, A_TAG)).unwrap();
        assert_eq!(talk.state, State::SynSent);
        let answer = packet(sctp_chunk::INIT_ACK, A_TAG, B_TAG);
        assert_eq!(talk.hears(Way::Reply, &answer), Ok(State::SynSent));
        assert_eq!(
            talk.chunk(Way::Original, sctp_chunk::COOKIE_ECHO),
            State::SynRecv
        );
        assert_eq!(
            talk.chunk(Way::Reply, sctp_chunk::COOKIE_ACK),
            State::Established
        );
        talk
    }
}

#[test]
fn an_association_opens_in_four_packets_and_closes_in_three_from_either_side() {
    for (way, sent) in [
        (Way::Original, State::FinWait),
        (Way::Reply, State::CloseWait),
    ] {
        let mut talk = Talk::established();
        for way in [Way::Original, Way::Reply] {
            assert_eq!(talk.chunk(way, sctp_chunk::DATA), State::Established);
            assert_eq!(talk.chunk(way, sctp_chunk::SACK), State::Established);
        }
        assert_eq!(talk.chunk(way, sctp_chunk::SHUTDOWN), sent);
        assert_eq!(
            talk.chunk(way.opposite(), sctp_chunk::SHUTDOWN_ACK),
            State::LastAck
        );
        assert_eq!(talk.chunk(way, sctp_chunk::SHUTDOWN_COMPLETE), State::Close);
        let late = packet(sctp_chunk::DATA, [B_TAG, A_TAG][way as usize], 0);
        let after = advance(talk.state, &talk.window, way, &late, &Settings::default()).unwrap();
        assert!(!after.refreshes, "nothing keeps a closed association");
    }
}

#[test]
fn a_tag_that_the_receiver_did_not_choose_is_invalid() {
    let mut talk = Talk::established();
    for (way, tag) in [
        (Way::Original, A_TAG),
        (Way::Reply, B_TAG),
        (Way::Original, 0),
        (Way::Reply, 1),
    ] {
        for chunk in [sctp_chunk::DATA, sctp_chunk::ABORT, sctp_chunk::SHUTDOWN] {
            let refused = talk.hears(way, &packet(chunk, tag, 0));
            assert_eq!(refused, Err(Invalid("tag")), "{chunk} {tag:x}");
        }
    }
    assert_eq!(talk.state, State::Established);
}

#[test]
fn an_abort_closes_with_the_right_tag_or_with_the_senders_own_returned() {
    for (tag, reflected) in [(A_TAG, false), (B_TAG, true)] {
        let mut talk = Talk::established();
        let abort = Sctp {
            reflected,
            ..packet(sctp_chunk::ABORT, tag, 0)
        };
        assert_eq!(talk.hears(Way::Reply, &abort), Ok(State::Close));
    }
}

#[test]
fn an_end_that_has_started_anew_opens_the_same_association_again() {
    let mut talk = Talk::established();
    let init = packet(sctp_chunk::INIT, 0, 0xa2);
    assert_eq!(talk.hears(Way::Original, &init), Ok(State::Established));
    let answer = packet(sctp_chunk::INIT_ACK, 0xa2, 0xb2);
    assert_eq!(talk.hears(Way::Reply, &answer), Ok(State::Established));
    let echo = packet(sctp_chunk::COOKIE_ECHO, 0xb2, 0);
    assert_eq!(talk.hears(Way::Original, &echo), Ok(State::Established));
    let data = packet(sctp_chunk::DATA, 0xa2, 0);
    assert_eq!(talk.hears(Way::Reply, &data), Ok(State::Established));
    let old = packet(sctp_chunk::DATA, A_TAG, 0);
    assert_eq!(talk.hears(Way::Reply, &old), Err(Invalid("tag")));
}

/// A server that keeps no state answers a repeated INIT with another tag each time.
#[test]
fn of_two_answers_to_a_repeated_init_the_client_may_take_up_either() {
    for taken in [0xb1, 0xb2] {
        let init = packet(sctp_chunk::INIT, 0, A_TAG);
        let mut talk = Talk::opens(&init).unwrap();
        assert!(talk.hears(Way::Original, &init).is_ok());
        for tag in [0xb1, 0xb2] {
            let answer = packet(sctp_chunk::INIT_ACK, A_TAG, tag);
            assert_eq!(talk.hears(Way::Reply, &answer), Ok(State::SynSent));
        }
        let echo = packet(sctp_chunk::COOKIE_ECHO, taken, 0);
        assert_eq!(talk.hears(Way::Original, &echo), Ok(State::SynRecv));
        let data = packet(sctp_chunk::DATA, taken, 0);
        assert!(talk.hears(Way::Original, &data).is_ok());
    }
}

#[test]
fn a_new_attempt_with_another_tag_is_followed() {
    let mut talk = Talk::opens(&packet(sctp_chunk::INIT, 0, 0xa1)).unwrap();
    let again = packet(sctp_chunk::INIT, 0, 0xa2);
    assert_eq!(talk.hears(Way::Original, &again), Ok(State::SynSent));
    let answer = packet(sctp_chunk::INIT_ACK, 0xa2, B_TAG);
    assert_eq!(talk.hears(Way::Reply, &answer), Ok(State::SynSent));
    let old = packet(sctp_chunk::INIT_ACK, 0xa1, B_TAG);
    assert_eq!(talk.hears(Way::Reply, &old), Err(Invalid("tag")));
}

#[test]
fn two_ends_may_ask_each_other_at_once() {
    let mut talk = Talk::opens(&packet(sctp_chunk::INIT, 0, A_TAG)).unwrap();
    let also = packet(sctp_chunk::INIT, 0, B_TAG);
    assert_eq!(talk.hears(Way::Reply, &also), Ok(State::SynSent));
    let answer = packet(sctp_chunk::INIT_ACK, B_TAG, A_TAG);
    assert_eq!(talk.hears(Way::Original, &answer), Ok(State::SynSent));
    assert_eq!(
        talk.chunk(Way::Reply, sctp_chunk::COOKIE_ECHO),
        State::SynRecv
    );
    assert_eq!(
        talk.chunk(Way::Original, sctp_chunk::COOKIE_ACK),
        State::Established
    );
}

#[test]
fn in_the_middle_a_heartbeat_is_picked_up_and_stands_when_it_is_answered() {
    for chunk in [sctp_chunk::HEARTBEAT, sctp_chunk::DATA, sctp_chunk::SACK] {
        let mut talk = Talk::opens(&packet(chunk, B_TAG, 0)).unwrap();
        assert_eq!(talk.state, State::SynSent2);
        let early = packet(sctp_chunk::COOKIE_ACK, A_TAG, 0);
        assert!(talk.hears(Way::Reply, &early).is_err());
        assert_eq!(
            talk.chunk(Way::Reply, sctp_chunk::HEARTBEAT_ACK),
            State::Established
        );
        let foreign = packet(sctp_chunk::DATA, 7, 0);
        assert!(talk.hears(Way::Reply, &foreign).is_err());
    }
    let strict = Settings {
        tcp_loose: false,
        ..Settings::default()
    };
    assert!(open(&packet(sctp_chunk::DATA, 7, 0), &strict).is_err());
    assert!(open(&packet(sctp_chunk::HEARTBEAT, 7, 0), &strict).is_ok());
}

#[test]
fn what_cannot_open_an_association_opens_none() {
    for chunk in 2..=u8::MAX {
        if matches!(chunk, sctp_chunk::SACK | sctp_chunk::HEARTBEAT) {
            continue;
        }
        assert!(Talk::opens(&packet(chunk, 1, 0)).is_err(), "{chunk}");
    }
    for (tag, init_tag) in [(1, 1), (0, 0)] {
        assert!(Talk::opens(&packet(sctp_chunk::INIT, tag, init_tag)).is_err());
    }
    let without = Sctp {
        chunk: None,
        ..packet(0, 1, 0)
    };
    assert_eq!(Talk::opens(&without).err(), Some(Invalid("no_chunk")));
}

#[test]
fn a_closed_association_is_opened_anew_by_an_init_of_either_side() {
    for way in [Way::Original, Way::Reply] {
        let mut talk = Talk::established();
        talk.chunk(Way::Original, sctp_chunk::ABORT);
        let init = packet(sctp_chunk::INIT, 0, 0xcc);
        let after = advance(talk.state, &talk.window, way, &init, &Settings::default()).unwrap();
        assert!(after.reopens && after.state == State::SynSent);
    }
}

/// RFC 9260, section 6.10.
#[test]
fn a_chunk_that_must_stand_alone_and_does_not_neither_opens_nor_moves_an_association() {
    let bundled = |chunk, tag, init_tag| Sctp {
        bundled: true,
        ..packet(chunk, tag, init_tag)
    };
    for chunk in [sctp_chunk::INIT, sctp_chunk::DATA] {
        let refused = Talk::opens(&bundled(chunk, 0, A_TAG)).err();
        assert_eq!(refused, Some(Invalid("bundled")), "{chunk}");
    }
    let mut talk = Talk::established();
    let complete = bundled(sctp_chunk::SHUTDOWN_COMPLETE, A_TAG, 0);
    let refused = talk.hears(Way::Reply, &complete);
    assert_eq!(refused, Err(Invalid("bundled")));
    assert_eq!(talk.state, State::Established);
}
