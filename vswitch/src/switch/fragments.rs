//! Datagrams in fragments: those that follow their first one take its verdict.
//!
//! One that comes ahead of its first is refused `frag_order`; a datagram whose fragments overlap is
//! refused from there on (RFC 5722; `frag_overlap`), and a first one sent again overlaps. A datagram that
//! is whole is forgotten. Bounded per sending port and in time.

use super::step::{Fate, FragmentStep, Judged, Step};
use super::watch::{Observer, Stage};
use super::{Frame, Now, Port, Switch};
use hashbrown::HashMap;
use packet::{Fragment, Headers, Ip, Reason};
use secgroup::PortId;
use std::net::IpAddr;

/// Datagrams in fragments that one port may have under way; beyond, `frag_limit`. With 64 KiB each that
/// is more than any sender's window.
pub(super) const PER_PORT: u32 = 256;

/// Stretches of a datagram that are remembered; in order there is one. Beyond, `frag_limit`.
const STRETCHES: usize = 8;

/// Stands in the key for "every receiver": the sender's side of a flood.
const EVERYBODY: PortId = PortId(PortId::PSEUDO);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct DatagramKey {
    ports: [PortId; 2],
    src: IpAddr,
    dst: IpAddr,
    protocol: u8,
    id: u32,
}

impl DatagramKey {
    pub(super) fn new(
        sender: PortId,
        receiver: Option<PortId>,
        ip: &Ip,
        fragment: Fragment,
    ) -> Self {
        let ports = [sender, receiver.unwrap_or(EVERYBODY)];
        Self {
            ports,
            src: ip.src,
            dst: ip.dst,
            protocol: ip.protocol,
            id: fragment.id,
        }
    }
}

/// What the first fragment decided for the others.
#[derive(Debug, Clone, Copy)]
pub(super) struct Datagram {
    egress: Option<Judged>,
    ingress: Option<Judged>,
    ports: (u16, u16),
    overlapped: bool,
    /// Counts in its sender's share; the copies of a flood do not.
    charged: bool,
    /// Where its last fragment ends; 0 until that has come.
    end: u16,
    deadline_ms: u32,
    stretches: [(u16, u16); STRETCHES],
    used: usize,
}

/// How a fragment lies to those before it.
#[derive(Debug, PartialEq, Eq)]
enum Lies {
    Beside,
    Over,
    TooScattered,
}

impl Datagram {
    fn is_live(&self, now_ms: u32) -> bool {
        (now_ms.wrapping_sub(self.deadline_ms) as i32) < 0
    }

    fn known(&self) -> &[(u16, u16)] {
        &self.stretches[..self.used]
    }

    fn lies(&self, (from, to): (u16, u16), is_last: bool) -> Lies {
        let known = self.known();
        let covers = known.iter().any(|&(start, end)| from < end && start < to);
        let beyond = self.end > 0 && (is_last || to > self.end);
        let cuts = is_last && known.iter().any(|&(_, end)| end > to);
        let beside = |&(start, end): &(u16, u16)| end == from || start == to;
        if covers || beyond || cuts {
            Lies::Over
        } else if self.used == STRETCHES && !known.iter().any(beside) {
            Lies::TooScattered
        } else {
            Lies::Beside
        }
    }

    /// Adds a piece that lies beside the others; two stretches that it joins become one.
    fn add(&mut self, (mut from, mut to): (u16, u16), is_last: bool) {
        if is_last {
            self.end = to;
        }
        let mut at = 0;
        while let Some(&(start, end)) = self.known().get(at) {
            if end == from || start == to {
                (from, to) = (from.min(start), to.max(end));
                self.used -= 1;
                self.stretches[at] = self.stretches[self.used];
            } else {
                at += 1;
            }
        }
        if let Some(free) = self.stretches.get_mut(self.used) {
            *free = (from, to);
            self.used += 1;
        }
    }

    fn is_whole(&self) -> bool {
        self.end > 0 && self.known() == [(0, self.end)]
    }
}

/// All datagrams under way.
#[derive(Debug, Default)]
pub(super) struct Fragments {
    datagrams: HashMap<DatagramKey, Datagram, foldhash::fast::RandomState>,
}

impl Fragments {
    /// Forgets datagrams whose time is over; tells the sending port of each.
    pub(super) fn expire(&mut self, now_ms: u32, mut expired: impl FnMut(PortId)) {
        self.datagrams.retain(|key, datagram| {
            let live = datagram.is_live(now_ms);
            if !live && datagram.charged {
                expired(key.ports[0]);
            }
            live
        });
    }

    /// Forgets the datagrams of a port that is gone; tells the sending port of each.
    pub(super) fn forget_port(&mut self, port: PortId, mut forgotten: impl FnMut(PortId)) {
        self.datagrams.retain(|key, datagram| {
            let stays = !key.ports.contains(&port);
            if !stays && datagram.charged {
                forgotten(key.ports[0]);
            }
            stays
        });
    }

    fn live(&self, now: Now, key: &DatagramKey) -> Option<&Datagram> {
        let datagram = self.datagrams.get(key)?;
        datagram.is_live(now.ms).then_some(datagram)
    }
}

fn span(fragment: Fragment) -> (u16, u16) {
    (
        fragment.offset,
        fragment.offset.saturating_add(fragment.len),
    )
}

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

    /// A fragment that is not the first: the verdict of its datagram.
    #[cold]
    pub(super) fn follow_first(
        &self,
        now: Now,
        sender: &Port,
        receiver: Option<&Port>,
        frame: &Frame<'_>,
        ip: &Ip,
        watch: &mut impl Observer,
    ) -> Step {
        let refused = |reason| Step::refused(sender, receiver, reason);
        let Some(fragment) = ip.fragment else {
            return refused(Reason::Malformed);
        };
        let key = DatagramKey::new(sender.number(), receiver.map(Port::number), ip, fragment);
        let Some(datagram) = self.fragments.live(now, &key) else {
            return refused(Reason::FragOrder);
        };
        watch.see(|| Stage::FollowsFirst);
        let ports = datagram.ports;
        let mut step = match datagram.lies(span(fragment), !fragment.more) {
            _ if datagram.overlapped => refused(Reason::FragOverlap),
            Lies::Over => refused(Reason::FragOverlap),
            Lies::TooScattered => refused(Reason::FragLimit),
            Lies::Beside => {
                let (egress, ingress) = (datagram.egress, datagram.ingress);
                let fragment = if frame.headers.defect.is_some() {
                    FragmentStep::None
                } else {
                    FragmentStep::Follows { ports }
                };
                let step = Step {
                    egress,
                    ingress,
                    fragment,
                    ..Step::new(Fate::Nowhere)
                };
                return step.taken_by(receiver, frame);
            }
        };
        step.fragment = FragmentStep::Overlaps { ports };
        step
    }

    /// Marks the first fragment of a datagram, or refuses it where its sender has too many under way.
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
            self.begin_datagram(now, (sender, receiver), ip, fragment, is_copy, step);
        }
    }

    #[cold]
    fn begin_datagram(
        &self,
        now: Now,
        (sender, receiver): (&Port, Option<&Port>),
        ip: &Ip,
        fragment: Fragment,
        is_copy: bool,
        step: &mut Step,
    ) {
        let key = DatagramKey::new(sender.number(), receiver.map(Port::number), ip, fragment);
        if let Some(Datagram { ports, .. }) = self.fragments.live(now, &key) {
            *step = Step::refused(sender, receiver, Reason::FragOverlap);
            step.fragment = FragmentStep::Overlaps { ports: *ports };
        } else if is_copy || sender.fragments < PER_PORT {
            step.fragment = FragmentStep::First;
        } else {
            *step = Step::refused(sender, receiver, Reason::FragLimit);
        }
    }

    /// Remembers what a step decided for the datagram.
    #[cold]
    pub(super) fn commit_fragment(
        &mut self,
        now: Now,
        sender: PortId,
        receiver: Option<PortId>,
        ip: &Ip,
        step: &Step,
    ) {
        let Some(fragment) = ip.fragment else { return };
        let key = DatagramKey::new(sender, receiver, ip, fragment);
        let is_last = !fragment.more;
        match step.fragment {
            FragmentStep::None => {}
            FragmentStep::First => {
                let tuple = ip.tuple();
                let mut datagram = Datagram {
                    egress: step.egress,
                    ingress: step.ingress,
                    ports: (tuple.src_port, tuple.dst_port),
                    overlapped: false,
                    charged: step.egress.is_some(),
                    end: 0,
                    deadline_ms: now
                        .ms
                        .wrapping_add(self.settings.timeouts.frag.saturating_mul(1000)),
                    stretches: [(0, 0); STRETCHES],
                    used: 0,
                };
                datagram.add(span(fragment), is_last);
                let before = self.fragments.datagrams.insert(key, datagram);
                let was_charged = before.is_some_and(|before| before.charged);
                self.change_fragments(sender, i32::from(datagram.charged) - i32::from(was_charged));
            }
            FragmentStep::Follows { .. } => {
                if let Some(datagram) = self.fragments.datagrams.get_mut(&key) {
                    datagram.add(span(fragment), is_last);
                    if datagram.is_whole() {
                        let charged = datagram.charged;
                        self.fragments.datagrams.remove(&key);
                        self.change_fragments(sender, -i32::from(charged));
                    }
                }
            }
            FragmentStep::Overlaps { .. } => {
                if let Some(datagram) = self.fragments.datagrams.get_mut(&key) {
                    datagram.overlapped = true;
                }
            }
        }
    }

    pub(super) fn change_fragments(&mut self, port: PortId, by: i32) {
        if let Some(port) = self.port_mut(port) {
            port.fragments = port.fragments.saturating_add_signed(by);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn empty() -> Datagram {
        Datagram {
            egress: None,
            ingress: None,
            ports: (0, 0),
            overlapped: false,
            charged: true,
            end: 0,
            deadline_ms: 0,
            stretches: [(0, 0); STRETCHES],
            used: 0,
        }
    }

    #[test]
    fn fragments_in_any_order_lie_beside_each_other_and_overlaps_are_seen() {
        let mut datagram = empty();
        for (from, to) in [(0, 8), (16, 24), (8, 16)] {
            assert_eq!(datagram.lies((from, to), false), Lies::Beside);
            datagram.add((from, to), false);
        }
        assert_eq!(datagram.known(), [(0, 24)]);
        assert_eq!(datagram.lies((23, 32), false), Lies::Over);
        assert_eq!(datagram.lies((24, 32), false), Lies::Beside);
    }

    #[test]
    fn a_datagram_has_one_end_and_is_whole_when_all_before_it_is_there() {
        let mut datagram = empty();
        datagram.add((0, 8), false);
        datagram.add((16, 20), true);
        assert_eq!(datagram.lies((24, 32), false), Lies::Over, "behind its end");
        assert_eq!(datagram.lies((8, 12), true), Lies::Over, "a second end");
        assert!(!datagram.is_whole());
        datagram.add((8, 16), false);
        assert!(datagram.is_whole());

        let mut datagram = empty();
        datagram.add((0, 8), false);
        datagram.add((16, 24), false);
        assert_eq!(
            datagram.lies((8, 12), true),
            Lies::Over,
            "an end before what is there"
        );
    }

    #[test]
    fn a_datagram_scattered_over_too_many_stretches_is_refused() {
        let mut datagram = empty();
        for index in 0..STRETCHES as u16 {
            datagram.add((index * 16, index * 16 + 8), false);
        }
        assert_eq!(datagram.lies((1000, 1008), false), Lies::TooScattered);
        assert_eq!(datagram.lies((8, 16), false), Lies::Beside);
    }
}
