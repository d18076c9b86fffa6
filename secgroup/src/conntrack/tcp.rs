//! TCP: states and windows, as Linux's `nf_conntrack_proto_tcp.c` has them.
//!
//! ```text
//!   flags ─▶ segment ─▶ states: table ─▶ invalid | ignore | reopen | to ─▶ window ─▶ Advance
//! ```
//!
//! Sequence arithmetic wraps at 2^32 everywhere. Nothing is kept beyond [`TcpWindow`].

mod states;
mod window;

use super::{Advance, Invalid, Settings, State, Way};
use packet::{Tcp, tcp_flags};
use states::{Segment, Step};
use window::{ACKED, CHALLENGED, Place, SEEN, SYN_AGAIN, end_of, is_after, place};
pub(super) use window::{in_step, is_plain};

/// What is known of one sender, 12 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(C)]
pub struct Peer {
    /// Sequence number behind the last byte it sent.
    pub end: u32,
    /// Greatest acknowledgement it sent; its initial sequence number before that.
    pub acked: u32,
    /// Greatest window it offered, in units of its scale.
    pub max_win: u16,
    /// Window scale in force, 0 to 14, in the lower half; one more than the scale its last SYN
    /// offered, 0 for none, in the upper half.
    pub scale: u8,
    /// What is known of it.
    pub flags: u8,
}

/// Both senders: the originator first. For other protocols the same 24 bytes hold the time of birth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(C)]
pub struct TcpWindow {
    /// Originator, then the other end.
    pub peers: [Peer; 2],
}

const _: () = assert!(size_of::<TcpWindow>() == 24);

/// What a segment opens: a SYN a connection, a lone ACK one that it picks up in the middle.
pub(super) fn open(tcp: &Tcp, settings: &Settings) -> Result<(State, TcpWindow), Invalid> {
    match Segment::of(tcp.flags).ok_or(Invalid("flags"))? {
        Segment::Syn => Ok((State::SynSent, TcpWindow::by_syn(tcp))),
        Segment::Ack if settings.tcp_loose => Ok((State::Established, TcpWindow::by_ack(tcp))),
        Segment::Ack | Segment::SynAck | Segment::Fin | Segment::Rst => {
            Err(Invalid("no_connection"))
        }
    }
}

/// What a segment does to its connection.
#[inline]
pub(super) fn advance(
    state: State,
    window: &TcpWindow,
    way: Way,
    tcp: &Tcp,
    settings: &Settings,
) -> Result<Advance, Invalid> {
    let segment = Segment::of(tcp.flags).ok_or(Invalid("flags"))?;
    match states::step(state, way, segment) {
        Step::Invalid => Err(Invalid("state")),
        Step::Ignore => Ok(ignore(state, window, way, segment, tcp)),
        Step::Reopen => Ok(Advance {
            reopens: true,
            ..to(State::SynSent, TcpWindow::by_syn(tcp))
        }),
        Step::To(_) if segment == Segment::Rst => reset(state, window, way, tcp, settings),
        Step::To(next) => match (state, segment) {
            (State::SynSent | State::SynSent2, Segment::Syn) => {
                Ok(syn(state, next, window, way, tcp))
            }
            (State::SynSent, Segment::SynAck) => answer(window, tcp, settings),
            _ => exchange(state, next, window, way, segment, tcp, settings),
        },
    }
}

/// A SYN before any answer: the latest one counts, so that a new attempt on the same ports is
/// followed at once. It does not start the timeout again: whoever asks on and on in vain would hold
/// the entry for good (Linux since 6.3).
#[cold]
fn syn(state: State, next: State, window: &TcpWindow, way: Way, tcp: &Tcp) -> Advance {
    let mut after = *window;
    *after.sides_mut(way).0 = Peer::by_syn(tcp);
    if next == State::SynSent2 {
        after.agree_on_scales();
    }
    Advance {
        refreshes: state != State::SynSent,
        ..to(next, after)
    }
}

/// The SYN|ACK. One that acknowledges something before the SYN is of an older connection on these ports:
/// it passes, for the opener answers by the RST that ends that one (RFC 9293, section 3.5.1), and the
/// handshake goes on. Any other acknowledgement is of nothing at all.
#[cold]
fn answer(window: &TcpWindow, tcp: &Tcp, settings: &Settings) -> Result<Advance, Invalid> {
    let mut after = *window;
    let opener = &after.peers[0];
    if !opener.is_syn_acknowledged_by(tcp.ack) && !settings.tcp_be_liberal {
        return if opener.is_overtaken(tcp.ack) {
            after.peers[1].challenge(tcp);
            Ok(pass(State::SynSent, after))
        } else {
            Err(Invalid("ack"))
        };
    }
    after.peers[1] = Peer::by_syn(tcp);
    after.agree_on_scales();
    Ok(to(State::SynRecv, after))
}

/// Every other segment but RST.
#[inline]
fn exchange(
    state: State,
    next: State,
    window: &TcpWindow,
    way: Way,
    segment: Segment,
    tcp: &Tcp,
    settings: &Settings,
) -> Result<Advance, Invalid> {
    let (me, other) = window.sides(way);
    // RFC 5961, section 4: the answer to a stray SYN acknowledges data, not the last FIN.
    if state == State::LastAck && segment == Segment::Ack && other.is(SYN_AGAIN) {
        let mut after = *window;
        after.sides_mut(way).1.flags &= !SYN_AGAIN;
        return Ok(pass(state, after));
    }
    let next = match (state, segment, way) {
        // Simultaneous open: the originator has acknowledged by a SYN|ACK, this completes it.
        (State::SynRecv, Segment::Ack, Way::Reply) if other.is(ACKED) && me.is(SEEN) => {
            State::Established
        }
        _ => next,
    };
    let mut after = *window;
    match place(&mut after, way, tcp) {
        Ok(Place::Inside) => Ok(to(next, after)),
        Ok(Place::Beyond | Place::Behind) | Err(_) if settings.tcp_be_liberal => {
            Ok(to(next, after))
        }
        Ok(Place::Beyond | Place::Behind) => Ok(pass(state, after)),
        Err(outside) => Err(outside),
    }
}

/// A segment that passes though the table cannot make sense of it. Three are remembered: they tell
/// that the ends are in step with each other and the table is not.
#[cold]
fn ignore(state: State, window: &TcpWindow, way: Way, segment: Segment, tcp: &Tcp) -> Advance {
    let mut after = *window;
    let (me, other) = after.sides_mut(way);
    match segment {
        Segment::Syn => {
            me.offer(tcp);
            me.widen(tcp.window.into());
            me.flags |= SYN_AGAIN;
        }
        // The SYN was good after all: both ends start anew.
        Segment::SynAck if other.is(SYN_AGAIN) => {
            other.end = tcp.ack;
            other.acked = tcp.ack.wrapping_sub(1);
            other.flags = SEEN;
            *me = Peer::by_syn(tcp);
            after.agree_on_scales();
            return to(State::SynRecv, after);
        }
        // A challenge: the other end still holds an older connection and will be reset.
        Segment::Ack if state == State::SynSent => me.challenge(tcp),
        _ => {}
    }
    pass(state, after)
}

/// A RST closes if its sender can be believed. RFC 5961, section 3; Linux's `tcp_ignore_invalid_rst`
/// off.
#[cold]
fn reset(
    state: State,
    window: &TcpWindow,
    way: Way,
    tcp: &Tcp,
    settings: &Settings,
) -> Result<Advance, Invalid> {
    let (me, other) = window.sides(way);
    let has_ack = tcp.flags & tcp_flags::ACK != 0;
    match state {
        State::SynSent | State::SynSent2 => {
            let refuses = has_ack && other.is_syn_acknowledged_by(tcp.ack);
            let withdraws = me.is(SEEN) && tcp.seq == me.end;
            let resets_old = other.is(CHALLENGED) && tcp.seq == other.acked;
            match refuses || withdraws || resets_old {
                true => {}
                // Its receiver ignores it, and so does the table.
                false if settings.tcp_be_liberal => return Ok(pass(state, *window)),
                false => return Err(Invalid("rst")),
            }
            // What comes after it is held against the numbers of its sender.
            let mut after = *window;
            let (me, _) = after.sides_mut(way);
            if !me.is(SEEN) {
                me.start_in_the_middle(tcp, end_of(tcp));
            }
            Ok(to(State::Close, after))
        }
        // The answer to a SYN that was let pass: its sequence number is of no connection.
        State::SynRecv | State::Established if has_ack && other.is(SYN_AGAIN) => {
            Ok(to(State::Close, *window))
        }
        State::SynRecv | State::Established => {
            if other.is(ACKED) && is_after(other.acked, tcp.seq) {
                return Err(Invalid("rst"));
            }
            // Before anything is acknowledged, only the sender's own place can be exact.
            let (is_exact, is_opening) = if other.is(ACKED) {
                let is_exact = tcp.seq == other.acked || tcp.seq == me.end;
                (is_exact, state == State::SynRecv)
            } else {
                (tcp.seq == me.end || !me.is(SEEN), false)
            };
            let mut after = *window;
            match place(&mut after, way, tcp) {
                Ok(Place::Inside) if is_exact || is_opening => Ok(to(State::Close, after)),
                // In the window but not exact: the receiver answers by a challenge, and only the exact
                // one that follows is believed. Nothing may be learned from this one.
                Ok(_) => Ok(pass(state, *window)),
                Err(_) if settings.tcp_be_liberal => Ok(pass(state, *window)),
                Err(outside) => Err(outside),
            }
        }
        // It is closing anyway, and its tuple may be in use again.
        _ => Ok(to(State::Close, *window)),
    }
}

/// It belongs to the connection and keeps it alive.
const fn to(state: State, window: TcpWindow) -> Advance {
    Advance {
        state,
        window,
        reopens: false,
        refreshes: true,
    }
}

/// It passes, without effect on state and timeout.
const fn pass(state: State, window: TcpWindow) -> Advance {
    Advance {
        state,
        window,
        reopens: false,
        refreshes: false,
    }
}

#[cfg(test)]
mod tests;
