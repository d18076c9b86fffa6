//! Datagrams in fragments, put together in thought alone (virtual reassembly): the first fragment is
//! judged, the others take its verdict, and every frame goes on as it came.
//!
//! ```text
//!   behind its first ──▶ Follows ──▶ the verdict of its datagram
//!   ahead of it ───────▶ Held ──┬──▶ the first comes: forwarded again, in the order of arrival
//!                               ├──▶ an overlap: frag_overlap
//!                               └──▶ too long: frag_timeout
//! ```
//! * An overlap refuses the datagram from there on (RFC 5722; `frag_overlap`). An exact repetition is
//!   refused by itself, as `frag_order`, and its datagram goes on (RFC 8200, section 4.5).
//! * What was judged keeps its verdict when the policy changes; what waits is judged under the policy
//!   that its first fragment meets.
//! * A copy of a flood cannot wait for itself: one ahead of its first is refused `frag_order` at its
//!   receiver. Where the sender filters, the frame has waited before it became copies.
//! * Bounded per sending port and in all, in number, bytes and time (`book`); beyond, `frag_limit`.
//! * A first fragment sets free what waits for it in the same call, up to 127 fragments (`pieces`), each
//!   forwarded like any frame. Whoever holds the lock for a batch holds it for these besides: of a guest for
//!   no more than may wait (512), of an uplink for 127 to every frame of the batch.
//!
//! Fragments between ports that filter nothing pass untouched. A datagram that is whole is forgotten.

mod book;
mod commit;
mod pieces;
mod slab;

pub(super) use book::{DatagramKey, Held, Reassembly};

use super::step::{Fate, FragmentStep, Step, Upper};
use super::watch::{Observer, Stage};
use super::{Frame, Now, Port, Switch};
use book::Limits;
use packet::{Defect, Fragment, Headers, Ip, Reason, VNET_HDR_LEN};
use pieces::{Lies, Piece};

impl Switch {
    /// Whether a packet must take its verdict from the first fragment of its datagram.
    #[inline]
    pub(super) fn is_later_fragment(
        &self,
        sender: &Port,
        receiver: Option<&Port>,
        ip: &Ip,
    ) -> bool {
        ip.fragment.is_some_and(|fragment| fragment.offset > 0)
            && (sender.filters() || receiver.is_some_and(Port::filters))
    }

    /// A fragment that is not the first, which would meet `fate`: the verdict of its datagram, or a wait.
    #[cold]
    pub(super) fn follow_first(
        &self,
        now: Now,
        (sender, receiver): (&Port, Option<&Port>),
        frame: &Frame<'_>,
        ip: &Ip,
        (fate, is_copy): (Fate, bool),
        watch: &mut impl Observer,
    ) -> Step {
        let mut step = self.later_fragment(now, (sender, receiver), frame, ip, is_copy, watch);
        if is_copy {
            step = step.as_copy(receiver, frame);
        }
        if step.fate != Fate::Held {
            step.fate = fate;
        }
        watch.see(|| Stage::Decided {
            sender,
            receiver,
            step,
        });
        step
    }

    fn later_fragment(
        &self,
        now: Now,
        (sender, receiver): (&Port, Option<&Port>),
        frame: &Frame<'_>,
        ip: &Ip,
        is_copy: bool,
        watch: &mut impl Observer,
    ) -> Step {
        let refused = |reason, fragment| Step {
            fragment,
            ..Step::refused(sender, receiver, reason)
        };
        let fragment = match (ip.fragment, frame.headers.defect) {
            (_, Some(Defect::TinyFragment)) => {
                return refused(Reason::FragTiny, FragmentStep::None);
            }
            (Some(fragment), None) => fragment,
            _ => return refused(Reason::Malformed, FragmentStep::None),
        };
        let key = DatagramKey::new(receiver.map(Port::number), is_copy, ip, fragment);
        let piece = Piece::of(fragment);
        if let Some(datagram) = sender.reassembly.judged(now.ms, &key) {
            watch.see(|| Stage::FollowsFirst);
            let upper = datagram.upper;
            return match datagram.pieces.lies(piece) {
                _ if datagram.overlapped => {
                    refused(Reason::FragOverlap, FragmentStep::Refused(upper))
                }
                Lies::Over => refused(Reason::FragOverlap, FragmentStep::Overlaps(upper)),
                Lies::Repeats => refused(Reason::FragOrder, FragmentStep::Refused(upper)),
                Lies::TooMany => refused(Reason::FragLimit, FragmentStep::Refused(upper)),
                Lies::Beside => Step {
                    egress: datagram.egress,
                    ingress: datagram.ingress,
                    fragment: FragmentStep::Follows(upper),
                    ..Step::new(Fate::Nowhere)
                }
                .taken_by(receiver, frame),
            };
        }
        if is_copy {
            return refused(Reason::FragOrder, FragmentStep::None);
        }
        let waiting = sender.reassembly.waiting(now.ms, &key);
        match waiting.map_or(Lies::Beside, |waiting| waiting.pieces.lies(piece)) {
            Lies::Beside if self.may_hold(sender, frame) => {
                watch.see(|| Stage::WaitsForFirst);
                Step {
                    fragment: FragmentStep::Waits {
                        receiver: receiver.map(Port::number),
                    },
                    ..Step::new(Fate::Held)
                }
            }
            Lies::Beside | Lies::TooMany => refused(Reason::FragLimit, FragmentStep::None),
            Lies::Repeats => refused(Reason::FragOrder, FragmentStep::None),
            Lies::Over => refused(Reason::FragOverlap, FragmentStep::Overlaps(Upper::of(ip))),
        }
    }

    fn may_hold(&self, sender: &Port, frame: &Frame<'_>) -> bool {
        let len = VNET_HDR_LEN + frame.bytes.len();
        let limits = Limits::of(sender);
        sender.reassembly.may_hold(limits, self.held, len)
    }

    /// Marks the first fragment of a datagram, or refuses it for what came before it.
    #[inline]
    pub(super) fn begin_fragments(
        &self,
        now: Now,
        (sender, receiver): (&Port, Option<&Port>),
        headers: &Headers,
        is_copy: bool,
        step: &mut Step,
    ) {
        if let Some(ip) = headers.ip()
            && let Some(fragment) = ip.fragment
            && fragment.offset == 0
            && headers.defect.is_none()
            && (sender.filters() || receiver.is_some_and(Port::filters))
        {
            let key = DatagramKey::new(receiver.map(Port::number), is_copy, ip, fragment);
            step.fragment = FragmentStep::First;
            if let Some((reason, fragment)) = spoilt(now, sender, &key, ip, fragment) {
                *step = Step::refused(sender, receiver, reason);
                step.fragment = fragment;
            }
        }
    }
}

/// Why the first fragment of a datagram cannot begin it.
#[cold]
fn spoilt(
    now: Now,
    sender: &Port,
    key: &DatagramKey,
    ip: &Ip,
    fragment: Fragment,
) -> Option<(Reason, FragmentStep)> {
    let piece = Piece::of(fragment);
    if let Some(datagram) = sender.reassembly.judged(now.ms, key) {
        let upper = datagram.upper;
        return Some(match datagram.pieces.lies(piece) {
            _ if datagram.overlapped => (Reason::FragOverlap, FragmentStep::Refused(upper)),
            Lies::Repeats => (Reason::FragOrder, FragmentStep::Refused(upper)),
            _ => (Reason::FragOverlap, FragmentStep::Overlaps(upper)),
        });
    }
    let upper = Upper::of(ip);
    match sender.reassembly.waiting(now.ms, key)?.pieces.lies(piece) {
        Lies::Beside => None,
        Lies::TooMany => Some((Reason::FragLimit, FragmentStep::Refused(upper))),
        Lies::Over | Lies::Repeats => Some((Reason::FragOverlap, FragmentStep::Overlaps(upper))),
    }
}
