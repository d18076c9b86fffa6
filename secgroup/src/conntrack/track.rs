//! Steps of every protocol: what a packet opens, and what it does to a connection.
//!
//! Pure: the state, the packet and the time come in, the state afterwards or a reason goes out. What
//! is refused changes nothing, so the caller may drop the result at any time.

use super::{
    Peer, Query, State, TcpWindow, Timeouts, Way, dccp, key::has_header, query, sctp, tcp,
};
use packet::{Ip, L4, protocol};

/// How connections are tracked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// A lone ACK may open a connection in the middle where a rule allows it; so may data of SCTP and
    /// DCCP.
    pub tcp_loose: bool,
    /// Packets outside the window pass.
    pub tcp_be_liberal: bool,
    /// Per state and class.
    pub timeouts: Timeouts,
}

/// Linux's defaults: loose, not liberal.
impl Default for Settings {
    fn default() -> Self {
        Self {
            tcp_loose: true,
            tcp_be_liberal: false,
            timeouts: Timeouts::default(),
        }
    }
}

/// A packet that belongs to no valid connection, and why (`ct_invalid:<this>` in a trace).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Invalid(pub &'static str);

/// What a packet does to its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Advance {
    /// State afterwards.
    pub state: State,
    /// Window afterwards.
    pub window: TcpWindow,
    /// The packet opens a **new** connection on the same tuple (SYN in TIME_WAIT or CLOSE): its sender
    /// becomes the originator, rules are asked again, the old entry is dropped.
    pub reopens: bool,
    /// Whether the idle timeout starts again.
    pub refreshes: bool,
}

/// Age from which an answered UDP flow is a stream, milliseconds (Linux, `nf_conntrack_proto_udp.c`):
/// a name look-up is over by then.
const STREAM_AGE_MS: u32 = 2000;

/// How long an entry that only counts packets is kept, seconds. It holds no state that anyone waits
/// for, only tallies, which the closing of an interval collects in any case.
const COUNTED_S: u32 = 30;

/// State and window of a connection that this packet would open.
///
/// # Errors
/// [`Invalid`] where the packet cannot open one: SYN|ACK, FIN, RST, illegal flags; a lone ACK without
/// `tcp_loose`; an ICMP type that asks nothing; layer 4 port 0; no layer 4 header at hand.
pub fn open(ip: &Ip, now_ms: u32, settings: &Settings) -> Result<(State, TcpWindow), Invalid> {
    let born = (State::New, TcpWindow::born(now_ms));
    match (ip.protocol, ip.l4) {
        (_, L4::Tcp(tcp)) => {
            check_ports(tcp.src_port, tcp.dst_port)?;
            let (state, mut window) = tcp::open(&tcp, settings)?;
            window.reckon_with_parts(Way::Original, ip);
            Ok((state, window))
        }
        (_, L4::Sctp(header)) => {
            check_ports(header.src_port, header.dst_port)?;
            sctp::open(&header, settings)
        }
        (_, L4::Dccp(header)) => {
            check_ports(header.src_port, header.dst_port)?;
            dccp::open(&header, now_ms, settings)
        }
        (_, L4::Udp { src_port, dst_port } | L4::Ports { src_port, dst_port }) => {
            check_ports(src_port, dst_port).map(|()| born)
        }
        (_, L4::Icmp(icmp)) => match query(ip.protocol, icmp.kind) {
            Some(Query::Request) => Ok(born),
            // Errors are judged by the connection they speak of and never come here as connections.
            Some(Query::Reply(_)) | None => Err(Invalid("no_request")),
        },
        (protocol, L4::Opaque) if has_header(protocol) => Err(Invalid("no_header")),
        (_, L4::Opaque) => Ok(born),
    }
}

/// What this packet does to a connection in `state`. An entry that only counts ([`State::Counted`])
/// is no connection: the packet opens one in its place, or nothing.
///
/// # Errors
/// [`Invalid`] where it does not belong: flags, sequence, acknowledgement, a stale RST.
#[inline]
pub fn advance(
    state: State,
    window: &TcpWindow,
    way: Way,
    ip: &Ip,
    now_ms: u32,
    settings: &Settings,
) -> Result<Advance, Invalid> {
    if !state.is_connection() {
        let (state, window) = open(ip, now_ms, settings)?;
        return Ok(Advance {
            state,
            window,
            reopens: true,
            refreshes: true,
        });
    }
    let state = match ip.l4 {
        L4::Tcp(tcp) => {
            let mut advance = tcp::advance(state, window, way, &tcp, settings)?;
            advance.window.reckon_with_parts(way, ip);
            return Ok(advance);
        }
        L4::Sctp(header) => return sctp::advance(state, window, way, &header, settings),
        L4::Dccp(header) => return dccp::advance(state, window, way, &header, now_ms, settings),
        L4::Icmp(icmp) => match (query(ip.protocol, icmp.kind), way) {
            (Some(Query::Request), Way::Original) | (Some(Query::Reply(_)), Way::Reply) => {
                answered(state, way)
            }
            _ => return Err(Invalid("no_request")),
        },
        L4::Udp { .. } => stream(answered(state, way), window, now_ms),
        L4::Ports { .. } if ip.protocol == protocol::UDPLITE => {
            stream(answered(state, way), window, now_ms)
        }
        L4::Opaque if has_header(ip.protocol) => return Err(Invalid("no_header")),
        L4::Ports { .. } | L4::Opaque => answered(state, way),
    };
    Ok(Advance {
        state,
        window: *window,
        reopens: false,
        refreshes: true,
    })
}

/// What is known of the sender after a packet that leaves the state as it is, the other side's half of the
/// window too, and starts the idle timeout again, where that is soon seen: a TCP segment in sequence on an
/// established connection, a UDP datagram. `None` says nothing: ask [`advance`], which says the same of
/// these.
#[inline(always)]
#[must_use]
pub fn in_step(state: State, window: &TcpWindow, way: Way, ip: &Ip, now_ms: u32) -> Option<Peer> {
    match ip.l4 {
        L4::Tcp(ref tcp) if state == State::Established && ip.fragment.is_none() => {
            tcp::in_step(window, way, tcp)
        }
        L4::Udp { .. } => {
            let after = stream(answered(state, way), window, now_ms);
            (state.is_connection() && after == state).then_some(window.peers[way as usize])
        }
        _ => None,
    }
}

/// Whether [`in_step`] has anything to say of such a packet: a TCP segment of the handshake or the end never
/// leaves its connection as it is.
#[inline]
#[must_use]
pub const fn may_be_in_step(ip: &Ip) -> bool {
    match &ip.l4 {
        L4::Tcp(tcp) => tcp::is_plain(tcp),
        L4::Udp { .. } => true,
        _ => false,
    }
}

/// Idle timeout of a connection in this state, milliseconds; for TCP see [`idle_ms`] too.
#[inline]
#[must_use]
pub const fn timeout_ms(state: State, protocol: u8, timeouts: &Timeouts) -> u32 {
    1000 * match (protocol, state) {
        (_, State::Counted) => COUNTED_S,
        (protocol::SCTP, _) => sctp_timeout_s(state, timeouts),
        (protocol::DCCP, _) => dccp_timeout_s(state, timeouts),
        (_, State::SynSent | State::SynSent2) => timeouts.tcp_syn_sent,
        (_, State::SynRecv) => timeouts.tcp_syn_recv,
        (_, State::Established) => timeouts.tcp_established,
        (_, State::FinWait) => timeouts.tcp_fin_wait,
        (_, State::CloseWait) => timeouts.tcp_close_wait,
        (_, State::LastAck) => timeouts.tcp_last_ack,
        (_, State::TimeWait) => timeouts.tcp_time_wait,
        (_, State::Close) => timeouts.tcp_close,
        (protocol::UDP | protocol::UDPLITE, State::Stream) => timeouts.udp_stream,
        (protocol::UDP | protocol::UDPLITE, _) => timeouts.udp,
        (protocol::GRE, State::New) => timeouts.gre,
        (protocol::GRE, _) => timeouts.gre_stream,
        (protocol::ICMP, _) => timeouts.icmp,
        (protocol::ICMPV6, _) => timeouts.icmpv6,
        _ => timeouts.generic,
    }
}

const fn sctp_timeout_s(state: State, timeouts: &Timeouts) -> u32 {
    match state {
        State::SynSent => timeouts.sctp_cookie_wait,
        State::SynSent2 => timeouts.sctp_heartbeat_sent,
        State::SynRecv => timeouts.sctp_cookie_echoed,
        State::Established => timeouts.sctp_established,
        State::FinWait => timeouts.sctp_shutdown_sent,
        State::CloseWait => timeouts.sctp_shutdown_recd,
        State::LastAck => timeouts.sctp_shutdown_ack_sent,
        _ => timeouts.sctp_closed,
    }
}

const fn dccp_timeout_s(state: State, timeouts: &Timeouts) -> u32 {
    match state {
        State::SynSent => timeouts.dccp_request,
        State::SynRecv => timeouts.dccp_respond,
        State::SynSent2 => timeouts.dccp_partopen,
        State::Established => timeouts.dccp_open,
        State::FinWait => timeouts.dccp_closereq,
        State::LastAck => timeouts.dccp_closing,
        _ => timeouts.dccp_timewait,
    }
}

/// As [`timeout_ms`], but shorter for a TCP connection whose other side has fallen silent: data that
/// waits for its acknowledgement (`tcp_unacknowledged`), three retransmissions in a row
/// (`tcp_max_retrans`), a connection picked up in the middle and not answered.
#[inline(always)]
#[must_use]
pub fn idle_ms(state: State, protocol: u8, window: &TcpWindow, timeouts: &Timeouts) -> u32 {
    let mut idle = timeout_ms(state, protocol, timeouts);
    if protocol == protocol::TCP && state.is_connection() {
        if window.is_unacknowledged() {
            idle = idle.min(1000 * timeouts.tcp_unacknowledged);
        }
        if window.is_retransmitting() {
            idle = idle.min(1000 * timeouts.tcp_max_retrans);
        }
    }
    idle
}

impl TcpWindow {
    /// The 24 bytes of a connection that is not TCP: when it was born.
    #[inline]
    #[must_use]
    pub fn born(now_ms: u32) -> Self {
        let mut window = Self::default();
        window.peers[0].end = now_ms;
        window
    }

    /// When a connection that is not TCP was born: milliseconds of the switch's clock, wrapping.
    #[inline]
    #[must_use]
    pub const fn birth_ms(&self) -> u32 {
        self.peers[0].end
    }
}

/// NEW is left by a reply only, so packets that nobody answers need a rule each.
const fn answered(state: State, way: Way) -> State {
    match (state, way) {
        (State::New, Way::Reply) => State::Replied,
        _ => state,
    }
}

const fn stream(state: State, window: &TcpWindow, now_ms: u32) -> State {
    let age_ms = now_ms.wrapping_sub(window.birth_ms());
    match state {
        State::Replied if age_ms > STREAM_AGE_MS => State::Stream,
        _ => state,
    }
}

/// Port 0 is reserved (RFC 6335, section 6); no service can stand there.
const fn check_ports(src: u16, dst: u16) -> Result<(), Invalid> {
    if src == 0 || dst == 0 {
        Err(Invalid("port_zero"))
    } else {
        Ok(())
    }
}

#[cfg(test)]
#[path = "track_tests.rs"]
mod tests;
