//! Steps of every protocol: what a packet opens, and what it does to a connection.

use super::{State, TcpWindow, Way};
use packet::Ip;

/// How connections are tracked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// A lone ACK may open a connection in the middle where a rule allows it.
    pub tcp_loose: bool,
    /// Packets outside the window pass.
    pub tcp_be_liberal: bool,
    /// Per state and class.
    pub timeouts: Timeouts,
}

/// Idle timeouts, seconds, with Linux's defaults (`nf_conntrack-sysctl.rst`; UDP and ICMP of the reference's table C1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the kernel's sysctl names")]
pub struct Timeouts {
    pub tcp_syn_sent: u32,
    pub tcp_syn_recv: u32,
    pub tcp_established: u32,
    pub tcp_fin_wait: u32,
    pub tcp_close_wait: u32,
    pub tcp_last_ack: u32,
    pub tcp_time_wait: u32,
    pub tcp_close: u32,
    pub tcp_max_retrans: u32,
    pub tcp_unacknowledged: u32,
    pub udp: u32,
    pub udp_stream: u32,
    pub icmp: u32,
    pub icmpv6: u32,
    pub generic: u32,
    pub gre: u32,
    pub gre_stream: u32,
    pub frag: u32,
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

/// State and window of a connection that this packet would open.
///
/// # Errors
/// [`Invalid`] where the packet cannot open one (SYN|ACK, FIN, RST, illegal flags; a lone ACK without
/// `tcp_loose`; an ICMP type that asks nothing).
pub fn open(_ip: &Ip, _now_ms: u32, _settings: &Settings) -> Result<(State, TcpWindow), Invalid> {
    todo!()
}

/// What this packet does to a connection in `state`.
///
/// # Errors
/// [`Invalid`] where it does not belong: flags, sequence, acknowledgement, a stale RST.
pub fn advance(
    _state: State,
    _window: &TcpWindow,
    _way: Way,
    _ip: &Ip,
    _now_ms: u32,
    _settings: &Settings,
) -> Result<Advance, Invalid> {
    todo!()
}

/// Idle timeout of a connection in this state, milliseconds.
#[must_use]
pub fn timeout_ms(_state: State, _protocol: u8, _timeouts: &Timeouts) -> u32 {
    todo!()
}
