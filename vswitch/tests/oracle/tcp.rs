//! TCP as the interpreter understands it (reference C2; Linux `nf_conntrack_proto_tcp.c`; RFC 9293, RFC 5961,
//! RFC 7323).
//!
//! What is known of each sender is kept in plain words; nothing is packed. Windows are bytes.

use packet::{Tcp, tcp_flags as bit};

/// Where a connection stands. The names are those of the switch's `State`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    SynSent,
    SynSent2,
    SynRecv,
    Established,
    FinWait,
    CloseWait,
    LastAck,
    TimeWait,
    Close,
}

impl Stage {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::SynSent => "SynSent",
            Self::SynSent2 => "SynSent2",
            Self::SynRecv => "SynRecv",
            Self::Established => "Established",
            Self::FinWait => "FinWait",
            Self::CloseWait => "CloseWait",
            Self::LastAck => "LastAck",
            Self::TimeWait => "TimeWait",
            Self::Close => "Close",
        }
    }
}

/// What is known of one sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Sender {
    /// It has sent something.
    seen: bool,
    /// Behind the last byte it sent.
    end: u32,
    /// Its SYN's sequence number.
    start: Option<u32>,
    /// The greatest acknowledgement it sent.
    acked: Option<u32>,
    /// The greatest window it offered, bytes.
    window: u32,
    /// The shift in force.
    scale: u8,
    /// The shift its last SYN offered.
    offered: Option<u8>,
    /// Nothing is known of what it sent before.
    picked_up: bool,
    /// The last thing it said was a SYN on a connection that stands.
    syn_again: bool,
    /// It answered a SYN by an acknowledgement of something else: a RST of this number is to come.
    challenged: Option<u32>,
    /// Retransmissions in a row.
    repeats: u8,
}

/// A connection's TCP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Talk {
    pub(crate) stage: Stage,
    /// Originator, then the other.
    pub(crate) senders: [Sender; 2],
}

/// What a segment does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    /// It belongs, and the idle time begins anew.
    Goes(Talk),
    /// It passes; what is known may change, the idle time runs on.
    Passes(Talk),
    /// It opens a new connection on this tuple.
    Reopens,
    Invalid,
}

/// Where a segment lies.
#[derive(Debug, Clone, Copy)]
enum Place {
    /// Where its sender may send, and what is known then.
    Inside(Talk),
    /// Beyond that by less than a window: its end is remembered.
    Beyond(Talk),
    /// It is an old duplicate.
    Behind,
    /// Nowhere near.
    Outside,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Segment {
    Syn,
    SynAck,
    Ack,
    Fin,
    Rst,
}

const SCALE_MAX: u8 = 14;
/// Linux's `MAXACKWINCONST`.
const ACK_LAG: u32 = 66_000;
/// How many retransmissions are many.
const REPEATS_MAX: u8 = 3;

fn after(a: u32, b: u32) -> bool {
    a != b && a.wrapping_sub(b) < 1 << 31
}

fn later(a: u32, b: u32) -> u32 {
    if after(b, a) { b } else { a }
}

/// The sort of a segment; `None` for flags that no TCP sends.
fn sort(flags: u8) -> Option<Segment> {
    let has = |flag| flags & flag != 0;
    let (syn, ack, fin, rst, urg) = (
        has(bit::SYN),
        has(bit::ACK),
        has(bit::FIN),
        has(bit::RST),
        has(bit::URG),
    );
    match (syn, ack, fin, rst) {
        (true, false, false, false) => Some(Segment::Syn),
        (true, true, false, false) if !urg => Some(Segment::SynAck),
        (false, true, false, false) => Some(Segment::Ack),
        (false, true, true, false) => Some(Segment::Fin),
        (false, _, false, true) if !urg => Some(Segment::Rst),
        _ => None,
    }
}

/// Sequence number behind a segment.
fn end_of(tcp: &Tcp, len: u32) -> u32 {
    let one = |flag| u32::from(tcp.flags & flag != 0);
    tcp.seq
        .wrapping_add(len)
        .wrapping_add(one(bit::SYN))
        .wrapping_add(one(bit::FIN))
}

/// What a segment opens.
pub(crate) fn open(tcp: &Tcp, len: u32, loose: bool) -> Option<Talk> {
    match sort(tcp.flags)? {
        Segment::Syn => Some(Talk {
            stage: Stage::SynSent,
            senders: [Sender::by_syn(tcp, len), Sender::default()],
        }),
        Segment::Ack if loose => {
            let unknown = Sender {
                scale: SCALE_MAX,
                picked_up: true,
                ..Sender::default()
            };
            let mut opener = unknown;
            opener.begin(tcp, len);
            opener.acked = Some(tcp.ack);
            let other = Sender {
                end: tcp.ack,
                ..unknown
            };
            Some(Talk {
                stage: Stage::Established,
                senders: [opener, other],
            })
        }
        _ => None,
    }
}

impl Sender {
    fn by_syn(tcp: &Tcp, len: u32) -> Self {
        Self {
            seen: true,
            end: end_of(tcp, len),
            start: Some(tcp.seq),
            acked: (tcp.flags & bit::ACK != 0).then_some(tcp.ack),
            window: u32::from(tcp.window).max(1),
            offered: tcp.window_scale.map(|shift| shift.min(SCALE_MAX)),
            ..Self::default()
        }
    }

    /// The first that is seen of a sender in the middle of a connection.
    fn begin(&mut self, tcp: &Tcp, len: u32) {
        self.seen = true;
        self.end = end_of(tcp, len);
        self.widen(self.grant(tcp, 0));
    }

    /// The window that a segment grants.
    fn grant(&self, tcp: &Tcp, sacked: u32) -> u32 {
        let scale = if tcp.flags & bit::SYN != 0 {
            0
        } else {
            self.scale
        };
        (u32::from(tcp.window) << scale).saturating_add(sacked)
    }

    /// Windows are remembered in whole units of the scale, one at least: a closed window is probed.
    fn widen(&mut self, bytes: u32) {
        let unit = 1_u32 << self.scale;
        self.window = self
            .window
            .max(bytes.div_ceil(unit).clamp(1, 65_535) * unit);
    }

    /// Whether an acknowledgement is of this sender's SYN (and of what came with it).
    fn syn_is_acknowledged(&self, ack: u32) -> bool {
        self.seen
            && self
                .start
                .is_some_and(|start| after(ack, start) && !after(ack, self.end))
    }
}

impl Talk {
    /// Scales hold if both sides offered one.
    fn agree(&mut self) {
        let both = self.senders.iter().all(|sender| sender.offered.is_some());
        for sender in &mut self.senders {
            let bytes = std::mem::take(&mut sender.window);
            sender.scale = if both { sender.offered.unwrap_or(0) } else { 0 };
            sender.widen(bytes);
        }
    }

    const fn at(mut self, stage: Stage) -> Self {
        self.stage = stage;
        self
    }

    /// Whether a shorter idle time holds: something waits for its acknowledgement; it is repeated in vain.
    pub(crate) fn is_unacknowledged(&self) -> bool {
        let waits = |me: &Sender, other: &Sender| me.seen && other.acked != Some(me.end);
        waits(&self.senders[0], &self.senders[1]) || waits(&self.senders[1], &self.senders[0])
    }

    pub(crate) fn is_repeating(&self) -> bool {
        self.senders
            .iter()
            .any(|sender| sender.repeats == REPEATS_MAX)
    }

    pub(crate) fn is_answered(&self) -> bool {
        !matches!(
            self.stage,
            Stage::SynSent | Stage::SynSent2 | Stage::SynRecv
        )
    }

    /// What a segment of the originator (0) or the other side (1) does.
    pub(crate) fn follow(&self, me: usize, tcp: &Tcp, len: u32, liberal: bool) -> Effect {
        let Some(segment) = sort(tcp.flags) else {
            return Effect::Invalid;
        };
        match segment {
            Segment::Syn => self.syn(me, tcp, len),
            Segment::SynAck => self.syn_ack(me, tcp, len, liberal),
            Segment::Ack => self.ack(me, tcp, len, liberal),
            Segment::Fin => match self.stage {
                Stage::SynSent | Stage::SynSent2 => Effect::Invalid,
                Stage::SynRecv | Stage::Established => {
                    self.exchange(me, tcp, len, Stage::FinWait, liberal)
                }
                Stage::FinWait | Stage::CloseWait | Stage::LastAck => {
                    self.exchange(me, tcp, len, Stage::LastAck, liberal)
                }
                Stage::TimeWait | Stage::Close => self.exchange(me, tcp, len, self.stage, liberal),
            },
            Segment::Rst => self.rst(me, tcp, len, liberal),
        }
    }

    fn syn(&self, me: usize, tcp: &Tcp, len: u32) -> Effect {
        let mut talk = *self;
        match self.stage {
            Stage::TimeWait | Stage::Close => Effect::Reopens,
            Stage::SynSent if me == 0 => {
                // Who asks on and on in vain holds nothing for good.
                talk.senders[0] = Sender::by_syn(tcp, len);
                Effect::Passes(talk)
            }
            Stage::SynSent | Stage::SynSent2 => {
                talk.senders[me] = Sender::by_syn(tcp, len);
                talk.agree();
                let talk = talk.at(Stage::SynSent2);
                match self.stage {
                    Stage::SynSent => Effect::Passes(talk),
                    _ => Effect::Goes(talk),
                }
            }
            _ if me == 1 => Effect::Invalid,
            _ => {
                let opener = &mut talk.senders[0];
                opener.offered = tcp.window_scale.map(|shift| shift.min(SCALE_MAX));
                opener.widen(tcp.window.into());
                opener.syn_again = true;
                Effect::Passes(talk)
            }
        }
    }

    fn syn_ack(&self, me: usize, tcp: &Tcp, len: u32, liberal: bool) -> Effect {
        let mut talk = *self;
        match (self.stage, me) {
            (Stage::SynSent, 0) => Effect::Invalid,
            (Stage::SynSent, _) => {
                if !self.senders[0].syn_is_acknowledged(tcp.ack) && !liberal {
                    let start = self.senders[0].start.unwrap_or_default();
                    if after(tcp.ack, start) {
                        return Effect::Invalid;
                    }
                    // Of an older connection: the opener will reset that one.
                    talk.senders[1].challenged = Some(tcp.ack);
                    return Effect::Passes(talk);
                }
                talk.senders[1] = Sender::by_syn(tcp, len);
                talk.agree();
                Effect::Goes(talk.at(Stage::SynRecv))
            }
            (Stage::SynSent2, _) | (Stage::SynRecv, 0) => {
                self.exchange(me, tcp, len, Stage::SynRecv, liberal)
            }
            (_, 0) => Effect::Invalid,
            // The SYN that was let pass was a good one: both ends begin anew.
            _ if self.senders[0].syn_again => {
                let opener = &mut talk.senders[0];
                *opener = Sender {
                    seen: true,
                    end: tcp.ack,
                    start: Some(tcp.ack.wrapping_sub(1)),
                    window: opener.window,
                    scale: opener.scale,
                    offered: opener.offered,
                    ..Sender::default()
                };
                talk.senders[1] = Sender::by_syn(tcp, len);
                talk.agree();
                Effect::Goes(talk.at(Stage::SynRecv))
            }
            _ => Effect::Passes(talk),
        }
    }

    fn ack(&self, me: usize, tcp: &Tcp, len: u32, liberal: bool) -> Effect {
        let mut talk = *self;
        let next = match (self.stage, me) {
            (Stage::SynSent | Stage::SynSent2, 0) => return Effect::Invalid,
            (Stage::SynSent, _) => {
                talk.senders[1].challenged = Some(tcp.ack);
                return Effect::Passes(talk);
            }
            (Stage::SynSent2, _) => return Effect::Passes(talk),
            // RFC 5961, section 4: the answer to a stray SYN, not to the last FIN.
            (Stage::LastAck, _) if self.senders[1 - me].syn_again => {
                talk.senders[1 - me].syn_again = false;
                return Effect::Passes(talk);
            }
            // After a simultaneous open both sides have acknowledged by SYN|ACK and ACK.
            (Stage::SynRecv, 1) if self.senders[0].acked.is_none() => Stage::SynRecv,
            (Stage::SynRecv | Stage::Established, _) => Stage::Established,
            (Stage::FinWait | Stage::CloseWait, _) => Stage::CloseWait,
            (Stage::LastAck | Stage::TimeWait, _) => Stage::TimeWait,
            (Stage::Close, _) => Stage::Close,
        };
        self.exchange(me, tcp, len, next, liberal)
    }

    fn rst(&self, me: usize, tcp: &Tcp, len: u32, liberal: bool) -> Effect {
        let (mine, other) = (&self.senders[me], &self.senders[1 - me]);
        let has_ack = tcp.flags & bit::ACK != 0;
        let closed = self.at(Stage::Close);
        match self.stage {
            Stage::SynSent | Stage::SynSent2 => {
                let refuses = has_ack && other.syn_is_acknowledged(tcp.ack);
                let withdraws = mine.seen && tcp.seq == mine.end;
                let resets_old = other.challenged == Some(tcp.seq);
                if !(refuses || withdraws || resets_old) {
                    return match liberal {
                        true => Effect::Passes(*self),
                        false => Effect::Invalid,
                    };
                }
                let mut closed = closed;
                if !mine.seen {
                    closed.senders[me].begin(tcp, len);
                }
                Effect::Goes(closed)
            }
            Stage::SynRecv | Stage::Established if has_ack && other.syn_again => {
                Effect::Goes(closed)
            }
            Stage::SynRecv | Stage::Established => {
                if other.acked.is_some_and(|acked| after(acked, tcp.seq)) {
                    return Effect::Invalid;
                }
                let (is_exact, is_opening) = match other.acked {
                    Some(acked) => (
                        tcp.seq == acked || tcp.seq == mine.end,
                        self.stage == Stage::SynRecv,
                    ),
                    None => (tcp.seq == mine.end || !mine.seen, false),
                };
                match self.place(me, tcp, len) {
                    Place::Inside(talk) if is_exact || is_opening => {
                        Effect::Goes(talk.at(Stage::Close))
                    }
                    Place::Outside if !liberal => Effect::Invalid,
                    _ => Effect::Passes(*self),
                }
            }
            _ => Effect::Goes(closed),
        }
    }

    fn exchange(&self, me: usize, tcp: &Tcp, len: u32, next: Stage, liberal: bool) -> Effect {
        match self.place(me, tcp, len) {
            Place::Inside(talk) => Effect::Goes(talk.at(next)),
            Place::Beyond(talk) if liberal => Effect::Goes(talk.at(next)),
            Place::Beyond(talk) => Effect::Passes(talk),
            Place::Behind | Place::Outside if liberal => Effect::Goes(self.at(next)),
            Place::Behind => Effect::Passes(*self),
            Place::Outside => Effect::Invalid,
        }
    }

    /// Where a segment lies, by what the other side grants.
    fn place(&self, me: usize, tcp: &Tcp, len: u32) -> Place {
        let mut talk = *self;
        let end = end_of(tcp, len);
        let is_first = !talk.senders[me].seen;
        if is_first {
            talk.senders[me].begin(tcp, len);
        }
        let (mine, other) = (talk.senders[me], talk.senders[1 - me]);
        // Some stacks write RST|ACK with 0 and mean none.
        let means_ack = tcp.flags & bit::ACK != 0 && !(tcp.flags & bit::RST != 0 && tcp.ack == 0);
        let ack = means_ack.then_some(tcp.ack);
        let reached = ack.map_or(other.end, |ack| {
            let sent = |edge: &u32| other.picked_up || !after(*edge, other.end);
            tcp.sack.filter(sent).map_or(ack, |edge| later(ack, edge))
        });
        let granted = mine.grant(tcp, ack.map_or(0, |ack| reached.wrapping_sub(ack)));

        let edge = other.acked.unwrap_or(mine.end).wrapping_add(other.window);
        let is_old = other.seen && after(mine.end.wrapping_sub(other.window), end);
        let is_late = after(other.end.wrapping_sub(mine.window.max(ACK_LAG)), reached);
        if other.seen && after(tcp.seq, edge) {
            let excess = end.wrapping_sub(edge).wrapping_add(1);
            if excess > other.window || is_old || is_late || after(reached, other.end) {
                return Place::Outside;
            }
            talk.senders[me].end = later(mine.end, end);
            return Place::Beyond(talk);
        }
        let may_have_sent = if other.picked_up {
            mine.window.max(granted)
        } else {
            0
        };
        if after(reached, other.end.wrapping_add(may_have_sent)) {
            return Place::Outside;
        }
        if is_old || is_late {
            return Place::Behind;
        }

        let says_new = after(end, mine.end)
            || ack.is_some_and(|ack| mine.acked.is_none_or(|acked| after(ack, acked)));
        let [mine, other] = talk.both(me);
        if says_new || is_first {
            mine.repeats = 0;
        } else if len > 0 {
            mine.repeats = (mine.repeats + 1).min(REPEATS_MAX);
        }
        mine.widen(granted);
        mine.end = later(mine.end, end);
        mine.syn_again = false;
        mine.acked = ack
            .map(|ack| mine.acked.map_or(ack, |acked| later(acked, ack)))
            .or(mine.acked);
        other.end = later(other.end, reached);
        other.syn_again = false;
        other.repeats = 0;
        Place::Inside(talk)
    }

    fn both(&mut self, me: usize) -> [&mut Sender; 2] {
        let [first, second] = &mut self.senders;
        if me == 0 {
            [first, second]
        } else {
            [second, first]
        }
    }
}
