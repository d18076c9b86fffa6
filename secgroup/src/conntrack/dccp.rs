//! DCCP connections (RFC 4340, section 8), by packet type, after Linux's `nf_conntrack_proto_dccp.c`.
//!
//! ```text
//!            Request          Response          Ack            anything of the server
//!   (none) ─────────▶ request ────────▶ respond ───▶ partopen ────────────────────────▶ open
//!      │ in the middle                                  ▲                                │
//!      └────────────────────────────────────────────────┘   CloseReq, Close, Reset ◀─────┘
//! ```
//!
//! States share their places with TCP's ([`State`]). Sequence numbers are not checked: they are 48 bits
//! long and need no window to be told from a guess as TCP's do.

use super::{Advance, Invalid, Settings, State, TcpWindow, Way};
use packet::{Dccp, dccp_type};

/// What a packet opens: a Request a connection; with `tcp_loose`, one in the middle, which counts as
/// unanswered until the other side speaks.
pub(super) fn open(
    dccp: &Dccp,
    now_ms: u32,
    settings: &Settings,
) -> Result<(State, TcpWindow), Invalid> {
    use dccp_type::{ACK, DATA, DATA_ACK, REQUEST};
    let state = match dccp.kind {
        REQUEST => State::SynSent,
        DATA | ACK | DATA_ACK if settings.tcp_loose => State::SynSent2,
        _ => return Err(Invalid("no_connection")),
    };
    Ok((state, TcpWindow::born(now_ms)))
}

/// What a packet does to its connection.
pub(super) fn advance(
    state: State,
    window: &TcpWindow,
    way: Way,
    dccp: &Dccp,
    now_ms: u32,
    settings: &Settings,
) -> Result<Advance, Invalid> {
    let over = matches!(state, State::TimeWait);
    if over && dccp.kind == dccp_type::REQUEST {
        let (state, window) = open(dccp, now_ms, settings)?;
        return Ok(Advance {
            state,
            window,
            reopens: true,
            refreshes: true,
        });
    }
    Ok(Advance {
        state: next(state, way, dccp.kind)?,
        window: *window,
        reopens: false,
        refreshes: !over,
    })
}

fn next(state: State, way: Way, kind: u8) -> Result<State, Invalid> {
    use dccp_type::{
        ACK, CLOSE, CLOSE_REQ, DATA, DATA_ACK, REQUEST, RESET, RESPONSE, SYNC, SYNC_ACK,
    };
    let wrong = Err(Invalid("state"));
    Ok(match (kind, way, state) {
        (SYNC_ACK.., ..) if kind > SYNC_ACK => return Err(Invalid("type")),
        (RESET, ..) => State::TimeWait,
        // Only the server answers, and only the client asks.
        (REQUEST, Way::Reply, _) | (RESPONSE, Way::Original, _) => return wrong,
        (RESPONSE, Way::Reply, State::SynSent) => State::SynRecv,
        (ACK | DATA_ACK, Way::Original, State::SynRecv) => State::SynSent2,
        // Nothing is sent before the handshake is done.
        (ACK | DATA | DATA_ACK | SYNC | SYNC_ACK | CLOSE | CLOSE_REQ, _, State::SynSent) => {
            return wrong;
        }
        (DATA | CLOSE, Way::Original, State::SynRecv) => return wrong,
        (CLOSE_REQ, Way::Reply, State::SynSent2 | State::Established) => State::FinWait,
        (CLOSE, _, State::SynSent2 | State::Established | State::FinWait) => State::LastAck,
        (ACK | DATA | DATA_ACK, Way::Reply, State::SynSent2) => State::Established,
        _ => state,
    })
}

#[cfg(test)]
#[path = "dccp_tests.rs"]
mod tests;
