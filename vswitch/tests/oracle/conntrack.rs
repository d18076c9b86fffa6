//! Connections, in a plain map (reference A3, C1, C3).

use crate::model::Said;
use crate::seen::{self, Seen};
use crate::tcp::{self, Effect, Stage, Talk};
use packet::{IpSpec, L4, protocol};
use secgroup::PortId;
use secgroup::conntrack::{Settings, Timeouts};
use std::net::IpAddr;

/// One end: its address, layer 4 port and switch port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct End {
    pub(crate) address: IpAddr,
    pub(crate) l4: u16,
    pub(crate) port: PortId,
}

/// What makes two packets one conversation, in the direction of the first of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Conversation {
    pub(crate) protocol: u8,
    pub(crate) from: End,
    pub(crate) to: End,
    /// Of an ICMP query: the type of the request, and the identifier.
    pub(crate) query: Option<(u8, u16)>,
}

/// What a packet could belong to: a conversation and, where the packet itself tells, whether it answers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Membership {
    pub(crate) conversation: Conversation,
    pub(crate) is_answer: Option<bool>,
}

/// How far a connection has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Progress {
    New,
    Replied,
    Stream,
    Tcp(Talk),
}

/// A connection.
#[derive(Debug, Clone)]
pub(crate) struct Connection {
    pub(crate) progress: Progress,
    pub(crate) born_ms: u64,
    pub(crate) ends_ms: u64,
    /// What its two sides say of the original direction: of the sender, which a copy of a flood leaves open,
    /// and of the receiver.
    pub(crate) sides: [Option<Said>; 2],
    /// The reload under which they said so.
    pub(crate) judged_in: Option<u64>,
}

/// What a packet does to its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Advance {
    Goes(Progress),
    Passes(Progress),
    Reopens,
    Invalid,
}

/// Age from which answered UDP is a stream.
const STREAM_MS: u64 = 2_000;

impl Membership {
    pub(crate) fn of(ip: &IpSpec, from: PortId, to: PortId) -> Self {
        let (src_port, dst_port) = seen::ports(&ip.l4).unwrap_or_default();
        let sender = End {
            address: ip.src,
            l4: src_port,
            port: from,
        };
        let receiver = End {
            address: ip.dst,
            l4: dst_port,
            port: to,
        };
        let asked = match ip.l4 {
            L4::Icmp(icmp) => query(ip.protocol, icmp.kind)
                .map(|(request, is_answer)| (request, icmp.id, is_answer)),
            _ => None,
        };
        let is_answer = asked.map(|(.., is_answer)| is_answer);
        let (from, to) = if is_answer == Some(true) {
            (receiver, sender)
        } else {
            (sender, receiver)
        };
        Self {
            conversation: Conversation {
                protocol: ip.protocol,
                from,
                to,
                query: asked.map(|(request, id, _)| (request, id)),
            },
            is_answer,
        }
    }
}

impl Conversation {
    pub(crate) const fn reversed(self) -> Self {
        Self {
            from: self.to,
            to: self.from,
            ..self
        }
    }

    /// What was on its tuple before. The other side's own request is another conversation.
    pub(crate) fn takes_the_place_of(self) -> Vec<Self> {
        match self.query {
            None => vec![self, self.reversed()],
            Some(_) => vec![self],
        }
    }
}

/// The request's type and whether this is the answer; `None` for what neither asks nor answers.
const fn query(number: u8, kind: u8) -> Option<(u8, bool)> {
    match (number, kind) {
        (protocol::ICMP, 0) => Some((8, true)),
        (protocol::ICMP, 8 | 13 | 15 | 17) | (protocol::ICMPV6, 128 | 139) => Some((kind, false)),
        (protocol::ICMP, 14 | 16 | 18) | (protocol::ICMPV6, 129 | 140) => Some((kind - 1, true)),
        _ => None,
    }
}

/// How a connection begins that this packet opens; `None` where it cannot open one.
pub(crate) fn open(seen: &Seen<'_>, ip: &IpSpec, settings: &Settings) -> Option<Progress> {
    if seen::ports(&ip.l4).is_some_and(|(src, dst)| src == 0 || dst == 0) {
        return None;
    }
    if let Some((tcp, len)) = seen.tcp() {
        return tcp::open(tcp, len, settings.tcp_loose).map(Progress::Tcp);
    }
    match ip.l4 {
        L4::Icmp(icmp) => {
            matches!(query(ip.protocol, icmp.kind), Some((_, false))).then_some(Progress::New)
        }
        _ => Some(Progress::New),
    }
}

impl Connection {
    /// Whether copies of floods alone have met it.
    pub(crate) const fn is_tentative(&self) -> bool {
        self.sides[0].is_none()
    }

    /// What a packet does that goes with the first one (`me` 0) or against it (1).
    pub(crate) fn advance(
        &self,
        me: usize,
        seen: &Seen<'_>,
        ip: &IpSpec,
        now_ms: u64,
        liberal: bool,
    ) -> Advance {
        if let (Progress::Tcp(talk), Some((tcp, len))) = (self.progress, seen.tcp()) {
            return match talk.follow(me, tcp, len, liberal) {
                Effect::Goes(talk) => Advance::Goes(Progress::Tcp(talk)),
                Effect::Passes(talk) => Advance::Passes(Progress::Tcp(talk)),
                Effect::Reopens => Advance::Reopens,
                Effect::Invalid => Advance::Invalid,
            };
        }
        let answered = match self.progress {
            Progress::New if me == 1 => Progress::Replied,
            other => other,
        };
        let streams = matches!(ip.protocol, protocol::UDP | protocol::UDPLITE);
        Advance::Goes(match answered {
            Progress::Replied if streams && now_ms - self.born_ms > STREAM_MS => Progress::Stream,
            other => other,
        })
    }
}

impl Progress {
    /// The name by which the switch shows it.
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::New => "New",
            Self::Replied => "Replied",
            Self::Stream => "Stream",
            Self::Tcp(talk) => talk.stage.name(),
        }
    }

    /// Whether the other side has answered, so that a connection may outlive its rule.
    pub(crate) fn is_answered(&self) -> bool {
        match self {
            Self::New => false,
            Self::Replied | Self::Stream => true,
            Self::Tcp(talk) => talk.is_answered(),
        }
    }

    /// Idle time in milliseconds (table C1).
    pub(crate) fn idle_ms(&self, number: u8, timeouts: &Timeouts) -> u64 {
        let seconds = match (self, number) {
            (Self::Tcp(talk), _) => tcp_idle_s(talk, timeouts),
            (Self::Stream, _) => timeouts.udp_stream,
            (_, protocol::UDP | protocol::UDPLITE) => timeouts.udp,
            (_, protocol::ICMP) => timeouts.icmp,
            (_, protocol::ICMPV6) => timeouts.icmpv6,
            (Self::New, protocol::GRE) => timeouts.gre,
            (_, protocol::GRE) => timeouts.gre_stream,
            _ => timeouts.generic,
        };
        u64::from(seconds) * 1000
    }
}

fn tcp_idle_s(talk: &Talk, timeouts: &Timeouts) -> u32 {
    let mut seconds = match talk.stage {
        Stage::SynSent | Stage::SynSent2 => timeouts.tcp_syn_sent,
        Stage::SynRecv => timeouts.tcp_syn_recv,
        Stage::Established => timeouts.tcp_established,
        Stage::FinWait => timeouts.tcp_fin_wait,
        Stage::CloseWait => timeouts.tcp_close_wait,
        Stage::LastAck => timeouts.tcp_last_ack,
        Stage::TimeWait => timeouts.tcp_time_wait,
        Stage::Close => timeouts.tcp_close,
    };
    if talk.is_unacknowledged() {
        seconds = seconds.min(timeouts.tcp_unacknowledged);
    }
    if talk.is_repeating() {
        seconds = seconds.min(timeouts.tcp_max_retrans);
    }
    seconds
}
