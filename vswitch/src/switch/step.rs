//! What is decided about one frame and one receiver, as a value.

use super::{Frame, Port};
use packet::{Basis, Ip, Reason, Verdict};
use secgroup::conntrack::{self, Advance, Side, Slot, State, TcpWindow, Way};
use secgroup::{PortId, RuleRef};

/// One judgement at one port: the verdict and the rule behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Judged {
    /// ACCEPT or DROP, with its reason.
    pub verdict: Verdict,
    /// The rule, for an ACCEPT by rule.
    pub rule: RuleRef,
}

impl Judged {
    /// Accepted or refused without a rule.
    #[inline]
    #[must_use]
    pub const fn plain(verdict: Verdict) -> Self {
        Self {
            verdict,
            rule: RuleRef::NONE,
        }
    }

    /// Refused.
    #[inline]
    #[must_use]
    pub const fn refused(reason: Reason) -> Self {
        Self::plain(Verdict::Drop(reason))
    }

    /// As an entry remembers it.
    #[inline]
    #[must_use]
    pub const fn side(self) -> Side {
        Side::new(self.verdict, self.rule)
    }

    /// What an entry remembers; `None` where it holds no verdict.
    #[inline]
    #[must_use]
    pub fn of(side: Side) -> Option<Self> {
        Some(Self {
            verdict: side.verdict()?,
            rule: side.rule(),
        })
    }
}

impl Judged {
    /// As [`Self::of`], for a reply: it needs no rule of its own while the connection has one.
    #[inline]
    fn of_reply(side: Side) -> Option<Self> {
        let mut judged = Self::of(side)?;
        if !matches!(
            judged.verdict,
            Verdict::Accept(Basis::Unfiltered) | Verdict::Drop(_)
        ) {
            judged.verdict = Verdict::Accept(Basis::Reply);
        }
        Some(judged)
    }
}

/// Where a frame goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// To one port, if both sides accepted.
    To(PortId),
    /// A copy to every port of the segment (a step each), if the sender's side accepted.
    Flood,
    /// Nowhere: refused, or accepted but taken by no port.
    Nowhere,
    /// Kept until its datagram can be judged, or its time is over: then it enters this same path again.
    Held,
}

/// What a step does to the connection table.
#[derive(Debug, Clone, Copy)]
pub enum Tracked {
    /// Judged without state.
    No,
    /// Refused by rules, which is to be remembered.
    Denied {
        /// Of the key of the connection that it would have opened.
        hash: u64,
    },
    /// A packet of a known connection.
    Known {
        /// Its entry.
        slot: Slot,
        /// Original or reply.
        way: Way,
        /// Judgement of the original direction under the present policy.
        sides: [Side; 2],
        /// What the packet does to it, where both sides accepted.
        advance: Advance,
        /// The packet's verdicts are its connection's: it is counted there.
        as_judged: bool,
    },
    /// No valid packet of a connection that the rules allow no more: that one ends soon.
    Ends {
        /// Its entry.
        slot: Slot,
    },
    /// Finds no room; the next search is to look elsewhere.
    NoRoom,
    /// Opens a connection, where both sides accepted.
    Opens {
        /// Its hash.
        hash: u64,
        /// What must go first.
        room: Room,
        /// First state.
        state: State,
        /// First window.
        window: TcpWindow,
    },
}

/// Where a new connection finds room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Room {
    /// There is some.
    Free,
    /// In place of the entry of the same tuple: expired, or closed and opened anew.
    Instead(Slot),
    /// Of an unanswered IPv4 connection that gives way.
    OfIpv4(Slot),
    /// Of an unanswered IPv6 connection that gives way.
    OfIpv6(Slot),
}

/// What is decided about one (frame, receiver). Plain data; carries the slots found, so that commit
/// looks nothing up again.
#[derive(Debug, Clone, Copy)]
pub struct Step {
    /// Where it goes.
    pub fate: Fate,
    /// The sender's side; `None` in the copies of a flood, whose egress is counted once.
    pub egress: Option<Judged>,
    /// The receiver's side; `None` where the packet did not come that far.
    pub ingress: Option<Judged>,
    /// What becomes of the connection.
    pub tracked: Tracked,
    /// What becomes of the datagram that the frame is a fragment of.
    pub fragment: FragmentStep,
}

/// What a step does to the table of datagrams in fragments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FragmentStep {
    /// No fragment, or one that changes nothing.
    None,
    /// The first of its datagram: the others will take its verdict.
    First,
    /// One that came ahead of the first: it is kept.
    Waits {
        /// Where it would go; `None` where that is everybody or nobody.
        receiver: Option<PortId>,
    },
    /// A later one.
    Follows(Upper),
    /// It overlaps what came before: nothing more of the datagram passes.
    Overlaps(Upper),
    /// Refused by itself; its datagram goes on, if it does.
    Refused(Upper),
}

impl FragmentStep {
    /// Protocol and ports of the datagram under which a fragment is recorded, where they are not its own.
    #[inline]
    #[must_use]
    pub const fn upper(self) -> Option<Upper> {
        match self {
            Self::Follows(upper) | Self::Overlaps(upper) | Self::Refused(upper) => Some(upper),
            Self::None | Self::First | Self::Waits { .. } => None,
        }
    }
}

/// What only the first fragment of a datagram is sure to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Upper {
    /// Upper-layer protocol.
    pub protocol: u8,
    /// Source and destination port; 0 and 0 where there are none.
    pub ports: (u16, u16),
    /// The layer 4 ends of its connection's key; 0 and 0 where it can have none.
    pub ends: (u16, u16),
}

impl Upper {
    /// Of a first fragment.
    #[must_use]
    pub(super) fn of(ip: &Ip) -> Self {
        let tuple = ip.tuple();
        Self {
            ends: conntrack::ends(ip).unwrap_or_default(),
            protocol: tuple.protocol,
            ports: (tuple.src_port, tuple.dst_port),
        }
    }
}

impl Step {
    /// A step that nothing has been decided about yet.
    #[inline]
    #[must_use]
    pub const fn new(fate: Fate) -> Self {
        Self {
            fate,
            egress: None,
            ingress: None,
            tracked: Tracked::No,
            fragment: FragmentStep::None,
        }
    }

    /// Refused at the first port that filters: the sender, or the receiver where the sender does not.
    #[cold]
    pub(super) fn refused(sender: &Port, receiver: Option<&Port>, reason: Reason) -> Self {
        let mut step = Self::new(Fate::Nowhere);
        if sender.filters() || !receiver.is_some_and(Port::filters) {
            step.egress = Some(Judged::refused(reason));
        } else {
            step.egress = Some(Judged::plain(Verdict::Accept(Basis::Unfiltered)));
            step.ingress = Some(Judged::refused(reason));
        }
        step
    }

    /// With the receiver's refusal of a frame that both sides would let pass but that it may not take.
    #[inline]
    pub(super) fn taken_by(mut self, receiver: Option<&Port>, frame: &Frame<'_>) -> Self {
        if let Some(receiver) = receiver
            && self.is_accept()
            && let Err(reason) = receiver.accepts_frame(frame)
        {
            self.ingress = Some(Judged::refused(reason));
        }
        self
    }

    /// As a copy of a flood: the sender's side is reported once for all copies, so a refusal of this copy
    /// there is reported at its receiver. A receiver without port security refuses nothing of what has
    /// left its sender (SPEC 5.1), but for what it cannot take.
    #[cold]
    pub(super) fn as_copy(mut self, receiver: Option<&Port>, frame: &Frame<'_>) -> Self {
        match &mut self.tracked {
            Tracked::Known { as_judged, .. } => *as_judged &= self.egress.is_none(),
            // What is remembered is both sides.
            Tracked::Denied { .. } => self.tracked = Tracked::No,
            _ => {}
        }
        let Some(refused) = self.egress.take().filter(|side| !side.verdict.is_accept()) else {
            return self;
        };
        self.ingress = Some(refused);
        if let Some(receiver) = receiver.filter(|receiver| !receiver.filters()) {
            let open = Judged::plain(Verdict::Accept(Basis::Unfiltered));
            let taken = receiver.accepts_frame(frame);
            self.ingress = Some(taken.map_or_else(Judged::refused, |()| open));
            // It passes by no connection, so that it moves none on.
            self.tracked = Tracked::No;
        }
        self
    }

    /// Whether the receiver's rules refused it.
    #[inline]
    pub(super) fn is_refused_by_rules(&self) -> bool {
        let denied = Verdict::Drop(Reason::DefaultDeny);
        self.ingress.is_some_and(|judged| judged.verdict == denied)
    }

    /// Whether no side refused it.
    #[inline]
    #[must_use]
    pub fn is_accept(&self) -> bool {
        let accepts = |side: Option<Judged>| side.is_none_or(|judged| judged.verdict.is_accept());
        accepts(self.egress) && accepts(self.ingress)
    }
}

/// The verdicts at the sender and the receiver of a packet that goes `way`, from the judgement of the
/// original direction: replies pass while that is still allowed, and a refusal is told at the port
/// whose rule is gone. The receiver says nothing where the sender refuses.
#[inline]
#[must_use]
pub(super) fn verdicts(sides: [Side; 2], way: Way) -> (Option<Judged>, Option<Judged>) {
    let (sender, receiver) = match way {
        Way::Original => (Judged::of(sides[0]), Judged::of(sides[1])),
        Way::Reply => (Judged::of_reply(sides[1]), Judged::of_reply(sides[0])),
    };
    match sender {
        Some(judged) if !judged.verdict.is_accept() => (sender, None),
        _ => (sender, receiver),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: Side = Side::new(Verdict::Accept(Basis::Rule), RuleRef::NONE);
    const REVOKED: Side = Side::new(Verdict::Drop(Reason::Revoked), RuleRef::NONE);

    fn why(sides: [Side; 2], way: Way) -> [Option<&'static str>; 2] {
        let (egress, ingress) = verdicts(sides, way);
        [egress, ingress].map(|side| side.map(|judged| judged.verdict.why()))
    }

    #[test]
    fn a_refusal_is_told_at_the_port_whose_rule_is_gone_also_for_replies() {
        assert_eq!(
            why([RULE, RULE], Way::Reply),
            [Some("reply"), Some("reply")]
        );
        assert_eq!(
            why([RULE, REVOKED], Way::Original),
            [Some("rule"), Some("revoked")]
        );
        assert_eq!(why([RULE, REVOKED], Way::Reply), [Some("revoked"), None]);
        assert_eq!(why([REVOKED, RULE], Way::Original), [Some("revoked"), None]);
        assert_eq!(
            why([REVOKED, RULE], Way::Reply),
            [Some("reply"), Some("revoked")]
        );
    }
}
