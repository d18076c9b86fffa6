//! What is known of one connection, 32 bytes for IPv4.

use crate::{PortId, RuleRef};
use packet::{Verdict, protocol};
use std::hash::Hasher;

/// Which way a packet goes within its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Way {
    /// As the first packet did.
    Original = 0,
    /// Against it.
    Reply = 1,
}

impl Way {
    /// The other one.
    #[inline]
    #[must_use]
    pub const fn opposite(self) -> Self {
        match self {
            Self::Original => Self::Reply,
            Self::Reply => Self::Original,
        }
    }
}

/// An address as keys hold it: `[u8; 4]` or `[u8; 16]`. Compared and hashed as a number, whole: byte by
/// byte costs ten times as much.
pub trait KeyAddress: Copy + Eq {
    /// What orders the ends of a key.
    type Order: Ord;
    /// The place of an end: its address, then the rest of it.
    fn order(self, rest: u32) -> Self::Order;
    /// Feeds both addresses of a key to its hash.
    fn hash_both(both: [Self; 2], hasher: &mut impl Hasher);
}

impl KeyAddress for [u8; 4] {
    type Order = u64;

    #[inline]
    fn order(self, rest: u32) -> u64 {
        u64::from(u32::from_be_bytes(self)) << 32 | u64::from(rest)
    }

    #[inline]
    fn hash_both([low, high]: [Self; 2], hasher: &mut impl Hasher) {
        let (low, high) = (u32::from_ne_bytes(low), u32::from_ne_bytes(high));
        hasher.write_u64(u64::from(low) << 32 | u64::from(high));
    }
}

impl KeyAddress for [u8; 16] {
    type Order = (u128, u32);

    #[inline]
    fn order(self, rest: u32) -> (u128, u32) {
        (u128::from_be_bytes(self), rest)
    }

    #[inline]
    fn hash_both([low, high]: [Self; 2], hasher: &mut impl Hasher) {
        hasher.write_u128(u128::from_ne_bytes(low));
        hasher.write_u128(u128::from_ne_bytes(high));
    }
}

/// The two ends of a connection in canonical order, so that both directions have one key.
/// `A` is `[u8; 4]` or `[u8; 16]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub struct Key<A> {
    /// Addresses, the lower end first.
    pub addr: [A; 2],
    /// Layer 4 ports, or what stands for them: see [`ends`](super::ends).
    pub l4: [u16; 2],
    /// Switch ports.
    pub port: [PortId; 2],
}

impl<A: KeyAddress> Key<A> {
    /// The key of a packet from `src` to `dst` (address, layer 4 port, switch port), and whether the
    /// source is the **second** end of the key.
    #[inline(always)]
    #[must_use]
    pub fn new(src: (A, u16, PortId), dst: (A, u16, PortId)) -> (Self, bool) {
        let rest = |(_, l4, port): (A, u16, PortId)| u32::from(l4) << 16 | u32::from(port.0);
        let swapped = src.0.order(rest(src)) > dst.0.order(rest(dst));
        let (low, high) = if swapped { (dst, src) } else { (src, dst) };
        let key = Self {
            addr: [low.0, high.0],
            l4: [low.1, high.1],
            port: [low.2, high.2],
        };
        (key, swapped)
    }

    /// The parts that are no addresses, as one number: in the order of memory, so that it is one load.
    #[inline]
    pub(super) fn rest(&self) -> u64 {
        let [low, high] = self.l4;
        let [from, to] = self.port;
        u64::from(low) | u64::from(high) << 16 | u64::from(from.0) << 32 | u64::from(to.0) << 48
    }
}

/// One side's judgement of the original direction: a verdict and the rule behind it, 4 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Side(u32);

impl Side {
    /// No verdict on this side: nothing is recorded for it.
    pub const NONE: Self = Self(0);

    /// A verdict and its rule.
    #[inline]
    #[must_use]
    pub const fn new(verdict: Verdict, rule: RuleRef) -> Self {
        Self((verdict.code() as u32) << 24 | rule.get())
    }

    /// The verdict, if there is one.
    #[inline]
    #[must_use]
    pub fn verdict(self) -> Option<Verdict> {
        Verdict::from_code((self.0 >> 24) as u8)
    }

    /// The rule behind it.
    #[inline]
    #[must_use]
    pub fn rule(self) -> RuleRef {
        RuleRef::new(self.0 & RuleRef::MAX).unwrap_or_default()
    }

    /// Whether it lets packets pass.
    #[inline]
    #[must_use]
    pub fn is_accept(self) -> bool {
        self.verdict().is_some_and(Verdict::is_accept)
    }
}

/// Where a connection stands. TCP states are Linux's (`nf_conntrack_proto_tcp.c`); those of SCTP and DCCP
/// that play the same part have the same place, and a name of their own ([`State::name`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum State {
    /// No connection: the entry only counts packets.
    Counted = 0,
    /// UDP, ICMP and others: no reply seen.
    New,
    /// UDP, ICMP and others: answered.
    Replied,
    /// UDP answered and older than two seconds: a stream.
    Stream,
    /// SYN sent.
    SynSent,
    /// SYN from both sides.
    SynSent2,
    /// SYN|ACK seen.
    SynRecv,
    /// Handshake done, or picked up in the middle.
    Established,
    /// First FIN seen.
    FinWait,
    /// First FIN acknowledged.
    CloseWait,
    /// Second FIN seen.
    LastAck,
    /// Both closed.
    TimeWait,
    /// Reset.
    Close,
}

impl State {
    /// Every state, in order of its discriminant.
    pub const ALL: &'static [Self] = &[
        Self::Counted,
        Self::New,
        Self::Replied,
        Self::Stream,
        Self::SynSent,
        Self::SynSent2,
        Self::SynRecv,
        Self::Established,
        Self::FinWait,
        Self::CloseWait,
        Self::LastAck,
        Self::TimeWait,
        Self::Close,
    ];

    /// Entries of this state may be evicted for a new connection: nobody has answered yet, or the handshake
    /// is half open. So does Linux with what is not yet `ASSURED`.
    #[inline]
    #[must_use]
    pub const fn is_unreplied(self) -> bool {
        matches!(
            self,
            Self::Counted | Self::New | Self::SynSent | Self::SynSent2 | Self::SynRecv
        )
    }

    /// The state's name in a connection of this protocol, as connection tracking writes it: `syn_sent`;
    /// of SCTP `cookie_wait`, of DCCP `request`.
    #[must_use]
    pub const fn name(self, number: u8) -> &'static str {
        match (number, self) {
            (protocol::SCTP, _) => self.sctp_name(),
            (protocol::DCCP, _) => self.dccp_name(),
            _ => self.plain_name(),
        }
    }

    const fn plain_name(self) -> &'static str {
        match self {
            Self::Counted => "counted",
            Self::New => "new",
            Self::Replied => "replied",
            Self::Stream => "stream",
            Self::SynSent => "syn_sent",
            Self::SynSent2 => "syn_sent2",
            Self::SynRecv => "syn_recv",
            Self::Established => "established",
            Self::FinWait => "fin_wait",
            Self::CloseWait => "close_wait",
            Self::LastAck => "last_ack",
            Self::TimeWait => "time_wait",
            Self::Close => "close",
        }
    }

    const fn sctp_name(self) -> &'static str {
        match self {
            Self::SynSent => "cookie_wait",
            Self::SynSent2 => "heartbeat_sent",
            Self::SynRecv => "cookie_echoed",
            Self::FinWait => "shutdown_sent",
            Self::CloseWait => "shutdown_recd",
            Self::LastAck => "shutdown_ack_sent",
            Self::Close => "closed",
            _ => self.plain_name(),
        }
    }

    const fn dccp_name(self) -> &'static str {
        match self {
            Self::SynSent => "request",
            Self::SynSent2 => "partopen",
            Self::SynRecv => "respond",
            Self::Established => "open",
            Self::FinWait => "closereq",
            Self::LastAck => "closing",
            Self::TimeWait => "timewait",
            _ => self.plain_name(),
        }
    }

    /// Every name that a state has in some protocol.
    pub fn names() -> impl Iterator<Item = &'static str> {
        let mut names: Vec<&'static str> = Self::ALL
            .iter()
            .filter(|state| state.is_connection())
            .flat_map(|state| [state.plain_name(), state.sctp_name(), state.dccp_name()])
            .collect();
        names.sort_unstable();
        names.dedup();
        names.into_iter()
    }

    /// A connection, not a mere counter.
    #[inline]
    #[must_use]
    pub const fn is_connection(self) -> bool {
        !matches!(self, Self::Counted)
    }
}

/// A connection: who, how it stands, what each side judged and under which policy.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct Conn<A> {
    /// Both ends.
    pub key: Key<A>,
    /// IANA protocol number.
    pub protocol: u8,
    /// State (4 bits), window number modulo 8 (3 bits), whether the originator is the key's second end.
    bits: u8,
    /// Policy epoch of `sides`.
    pub policy_epoch: u16,
    /// When it expires: milliseconds of the switch's clock, wrapping.
    pub deadline_ms: u32,
    /// Judgement of the original direction: the originator's egress, the other end's ingress.
    pub sides: [Side; 2],
}

const STATE_MASK: u8 = 0x0f;
/// Of every number that the mask leaves; what is no state's is never written.
static STATES: [State; STATE_MASK as usize + 1] = {
    let mut states = [State::Counted; STATE_MASK as usize + 1];
    let mut number = 0;
    while number < State::ALL.len() {
        states[number] = State::ALL[number];
        number += 1;
    }
    states
};
const WINDOW_SHIFT: u8 = 4;
const WINDOW_MASK: u8 = 0x70;
const SWAPPED: u8 = 0x80;

impl<A: Copy> Conn<A> {
    /// A connection opened by the key's second end if `swapped`, else by its first.
    #[inline]
    #[must_use]
    pub fn new(key: Key<A>, protocol: u8, swapped: bool, state: State) -> Self {
        let bits = state as u8 | if swapped { SWAPPED } else { 0 };
        Self {
            key,
            protocol,
            bits,
            policy_epoch: 0,
            deadline_ms: 0,
            sides: [Side::NONE; 2],
        }
    }

    /// Its state.
    #[inline]
    #[must_use]
    pub fn state(&self) -> State {
        STATES[usize::from(self.bits & STATE_MASK)]
    }

    /// Changes the state.
    #[inline]
    pub fn set_state(&mut self, state: State) {
        self.bits = self.bits & !STATE_MASK | state as u8;
    }

    /// Number of the window its tallies belong to, modulo 8.
    #[inline]
    #[must_use]
    pub const fn window(&self) -> u8 {
        (self.bits & WINDOW_MASK) >> WINDOW_SHIFT
    }

    /// Puts its tallies into another window.
    #[inline]
    pub fn set_window(&mut self, window: u8) {
        self.bits = self.bits & !WINDOW_MASK | window << WINDOW_SHIFT & WINDOW_MASK;
    }

    /// Which end of the key opened it: 0 or 1.
    #[inline]
    #[must_use]
    pub const fn originator(&self) -> usize {
        (self.bits & SWAPPED != 0) as usize
    }

    /// The way of a packet whose source is the key's second end if `swapped`.
    #[inline]
    #[must_use]
    pub const fn way(&self, swapped: bool) -> Way {
        if (self.bits & SWAPPED != 0) == swapped {
            Way::Original
        } else {
            Way::Reply
        }
    }

    /// Whether copies of floods alone have met this entry: its opener's side has no verdict here, since it
    /// had one for all copies together.
    #[inline]
    #[must_use]
    pub fn is_tentative(&self) -> bool {
        self.sides[0] == Side::NONE && self.state().is_connection()
    }

    /// Whether the deadline has passed; wrapping, good for spans below 24 days.
    #[inline]
    #[must_use]
    pub const fn is_expired(&self, now_ms: u32) -> bool {
        now_ms.wrapping_sub(self.deadline_ms) as i32 >= 0
    }
}

// The sizes are a promise (one cache line per IPv4 flow, with 32 bytes of tallies beside `Conn`).
const _: () = assert!(size_of::<Conn<[u8; 4]>>() == 32);
const _: () = assert!(size_of::<Conn<[u8; 16]>>() == 56);
