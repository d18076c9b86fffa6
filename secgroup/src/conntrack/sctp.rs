//! SCTP associations (RFC 9260), by the chunk that moves them and by verification tags, after Linux's
//! `nf_conntrack_proto_sctp.c`.
//!
//! ```text
//!            INIT          COOKIE ECHO         COOKIE ACK         SHUTDOWN          SHUTDOWN ACK
//!   (none) ──────▶ cookie ────────────▶ cookie ──────────▶ estab- ────────▶ shutdown ───────────▶ shutdown
//!      │           wait                 echoed             lished          sent, recd            ack sent
//!      │ in the middle                                        ▲                                      │
//!      └──────────────▶ heartbeat sent ── any answer ─────────┘    ABORT, SHUTDOWN COMPLETE: closed ◀┘
//! ```
//!
//! States share their places with TCP's ([`State`]); the 24 bytes of the window hold the tags.

use super::{Advance, Invalid, Settings, State, TcpWindow, Way};
use packet::{Sctp, sctp_chunk};

/// Tags by way: what a packet that goes this way must carry, 0 where it is not known yet; and what one
/// may carry besides: of a later INIT or INIT ACK, also where an association starts anew in the middle
/// (RFC 9260, section 5.2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Tags {
    known: [u32; 2],
    restart: [u32; 2],
}

impl Tags {
    const fn of(window: &TcpWindow) -> Self {
        let [first, second] = &window.peers;
        Self {
            known: [first.end, second.end],
            restart: [first.acked, second.acked],
        }
    }

    fn store(self) -> TcpWindow {
        let mut window = TcpWindow::default();
        for (way, peer) in window.peers.iter_mut().enumerate() {
            (peer.end, peer.acked) = (self.known[way], self.restart[way]);
        }
        window
    }

    /// Whether a packet carries a tag that it may carry, and what is known afterwards.
    fn check(mut self, way: Way, sctp: &Sctp) -> Result<Self, Invalid> {
        let (mine, other) = (way as usize, way.opposite() as usize);
        let is = |known: u32| known != 0 && known == sctp.tag;
        if sctp.chunk == Some(sctp_chunk::INIT) {
            // Section 8.5.1: nobody has chosen a tag yet.
            return if sctp.tag == 0 {
                Ok(self)
            } else {
                Err(Invalid("tag"))
            };
        }
        if sctp.reflected {
            // The sender has no association, so it returns the tag it was sent; section 8.5.1.
            return if is(self.known[other]) {
                Ok(self)
            } else {
                Err(Invalid("tag"))
            };
        }
        if is(self.restart[mine]) {
            self.known[mine] = sctp.tag;
            self.restart[mine] = 0;
        } else if self.known[mine] == 0 && sctp.tag != 0 {
            self.known[mine] = sctp.tag;
        } else if !is(self.known[mine]) {
            return Err(Invalid("tag"));
        }
        Ok(self)
    }
}

/// The chunk that moves the association. One that must stand alone and does not moves none: an end would
/// drop it, or read it otherwise than it is judged here.
fn deciding_chunk(sctp: &Sctp) -> Result<u8, Invalid> {
    if sctp.bundled {
        return Err(Invalid("bundled"));
    }
    sctp.chunk.ok_or(Invalid("no_chunk"))
}

/// What a packet opens: an INIT an association, a HEARTBEAT one on another path of an association that
/// stands (or, with `tcp_loose`, data in the middle).
pub(super) fn open(sctp: &Sctp, settings: &Settings) -> Result<(State, TcpWindow), Invalid> {
    let mut tags = Tags {
        known: [0; 2],
        restart: [0; 2],
    };
    let state = match deciding_chunk(sctp)? {
        sctp_chunk::INIT if sctp.tag == 0 && sctp.init_tag != 0 => {
            tags.known[Way::Reply as usize] = sctp.init_tag;
            State::SynSent
        }
        sctp_chunk::INIT => return Err(Invalid("tag")),
        sctp_chunk::HEARTBEAT => State::SynSent2,
        sctp_chunk::DATA | sctp_chunk::SACK if settings.tcp_loose => State::SynSent2,
        _ => return Err(Invalid("no_connection")),
    };
    if state == State::SynSent2 {
        tags.known[Way::Original as usize] = sctp.tag;
    }
    Ok((state, tags.store()))
}

/// What a packet does to its association.
pub(super) fn advance(
    state: State,
    window: &TcpWindow,
    way: Way,
    sctp: &Sctp,
    settings: &Settings,
) -> Result<Advance, Invalid> {
    let chunk = deciding_chunk(sctp)?;
    if chunk == sctp_chunk::INIT && state == State::Close {
        let (state, window) = open(sctp, settings)?;
        return Ok(Advance {
            state,
            window,
            reopens: true,
            refreshes: true,
        });
    }
    let mut tags = Tags::of(window).check(way, sctp)?;
    if sctp.init_tag != 0 {
        let place = way.opposite() as usize;
        if tags.known[place] == 0 {
            tags.known[place] = sctp.init_tag;
        } else if tags.known[place] != sctp.init_tag {
            // A new attempt, or another answer to a repeated one: whichever the other end takes up.
            tags.restart[place] = sctp.init_tag;
        }
    }
    let next = next(state, way, chunk)?;
    Ok(Advance {
        state: next,
        window: tags.store(),
        reopens: false,
        // Nothing keeps a closed association.
        refreshes: !(state == State::Close && next == State::Close),
    })
}

/// Where a chunk leads. What means nothing in a state passes without effect: the ends may know better.
fn next(state: State, way: Way, chunk: u8) -> Result<State, Invalid> {
    use sctp_chunk::{
        ABORT, COOKIE_ACK, COOKIE_ECHO, ERROR, INIT_ACK, SHUTDOWN, SHUTDOWN_ACK, SHUTDOWN_COMPLETE,
    };
    Ok(match (chunk, state) {
        (ABORT, _) => State::Close,
        // No INIT went before.
        (INIT_ACK | COOKIE_ECHO | COOKIE_ACK, State::SynSent2) => return Err(Invalid("state")),
        (_, State::SynSent2) if way == Way::Reply => State::Established,
        (COOKIE_ECHO, State::SynSent) => State::SynRecv,
        (COOKIE_ACK, State::SynRecv) => State::Established,
        (COOKIE_ACK, State::SynSent) => return Err(Invalid("state")),
        // A stale cookie.
        (ERROR, State::SynRecv) if way == Way::Reply => State::Close,
        (SHUTDOWN, State::Established) => match way {
            Way::Original => State::FinWait,
            Way::Reply => State::CloseWait,
        },
        (SHUTDOWN_ACK, State::FinWait | State::CloseWait) => State::LastAck,
        (SHUTDOWN_COMPLETE, State::LastAck) => State::Close,
        _ => state,
    })
}

#[cfg(test)]
#[path = "sctp_tests.rs"]
mod tests;
