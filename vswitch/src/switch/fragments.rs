//! Datagrams in fragments: those that follow their first one take its verdict.
//!
//! One that comes ahead of its first is refused `frag_order`; a datagram whose fragments overlap is
//! refused from there on (RFC 5722; `frag_overlap`). Bounded per sending port and in time.

use super::step::{Fate, FragmentStep, Judged, Step};
use super::watch::{Observer, Stage};
use super::{Now, Port, Switch};
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
    fn lies(&self, from: u16, to: u16) -> Lies {
        let known = &self.stretches[..self.used];
        if known.iter().any(|&(start, end)| from < end && start < to) {
            Lies::Over
        } else if self.used == STRETCHES
            && !known.iter().any(|&(start, end)| end == from || start == to)
        {
            Lies::TooScattered
        } else {
            Lies::Beside
        }
    }

    fn add(&mut self, from: u16, to: u16) {
        let known = &mut self.stretches[..self.used];
        if let Some(stretch) = known.iter_mut().find(|stretch| stretch.1 == from) {
            stretch.1 = to;
        } else if let Some(stretch) = known.iter_mut().find(|stretch| stretch.0 == to) {
            stretch.0 = from;
        } else if let Some(free) = self.stretches.get_mut(self.used) {
            *free = (from, to);
            self.used += 1;
        }
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
            let live = (now_ms.wrapping_sub(datagram.deadline_ms) as i32) < 0;
            if !live {
                expired(key.ports[0]);
            }
            live
        });
    }

    /// Forgets the datagrams of a port that is gone.
    pub(super) fn forget_port(&mut self, port: PortId) {
        self.datagrams.retain(|key, _| !key.ports.contains(&port));
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
        ip: &Ip,
        watch: &mut impl Observer,
    ) -> Step {
        let refused = |reason| match receiver {
            Some(receiver) => Step::refused(sender, receiver, reason),
            None => Step {
                egress: Some(Judged::refused(reason)),
                ..Step::new(Fate::Nowhere)
            },
        };
        let Some(fragment) = ip.fragment else {
            return refused(Reason::Malformed);
        };
        let key = DatagramKey::new(sender.number(), receiver.map(Port::number), ip, fragment);
        let live = |datagram: &&Datagram| (now.ms.wrapping_sub(datagram.deadline_ms) as i32) < 0;
        let Some(datagram) = self.fragments.datagrams.get(&key).filter(live) else {
            return refused(Reason::FragOrder);
        };
        watch.see(|| Stage::FollowsFirst);
        let (from, to) = span(fragment);
        let reason = match datagram.lies(from, to) {
            _ if datagram.overlapped => Reason::FragOverlap,
            Lies::Over => Reason::FragOverlap,
            Lies::TooScattered => Reason::FragLimit,
            Lies::Beside => {
                let (egress, ingress) = (datagram.egress, datagram.ingress);
                let follows = FragmentStep::Follows {
                    ports: datagram.ports,
                };
                return Step {
                    egress,
                    ingress,
                    fragment: follows,
                    ..Step::new(Fate::Nowhere)
                };
            }
        };
        Step {
            fragment: FragmentStep::Overlaps {
                ports: datagram.ports,
            },
            ..refused(reason)
        }
    }

    /// Marks the first fragment of a datagram, or refuses it where its sender has too many under way.
    #[inline]
    pub(super) fn begin_fragments(
        &self,
        sender: &Port,
        receiver: Option<&Port>,
        headers: &Headers,
        step: &mut Step,
    ) {
        let Some(fragment) = headers.ip().and_then(|ip| ip.fragment) else {
            return;
        };
        if fragment.offset > 0 || headers.defect.is_some() {
            return;
        }
        if !sender.filters() && !receiver.is_some_and(Port::filters) {
            return;
        }
        if sender.fragments < PER_PORT {
            step.fragment = FragmentStep::First;
            return;
        }
        *step = match receiver {
            Some(receiver) => Step::refused(sender, receiver, Reason::FragLimit),
            None => Step {
                egress: Some(Judged::refused(Reason::FragLimit)),
                ..Step::new(Fate::Nowhere)
            },
        };
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
        let (from, to) = span(fragment);
        match step.fragment {
            FragmentStep::None => {}
            FragmentStep::First => {
                let tuple = ip.tuple();
                let mut datagram = Datagram {
                    egress: step.egress,
                    ingress: step.ingress,
                    ports: (tuple.src_port, tuple.dst_port),
                    overlapped: false,
                    deadline_ms: now
                        .ms
                        .wrapping_add(self.settings.timeouts.frag.saturating_mul(1000)),
                    stretches: [(0, 0); STRETCHES],
                    used: 0,
                };
                datagram.add(from, to);
                if self.fragments.datagrams.insert(key, datagram).is_none()
                    && let Some(port) = self.port_mut(sender)
                {
                    port.fragments += 1;
                }
            }
            FragmentStep::Follows { .. } => {
                if let Some(datagram) = self.fragments.datagrams.get_mut(&key) {
                    datagram.add(from, to);
                }
            }
            FragmentStep::Overlaps { .. } => {
                if let Some(datagram) = self.fragments.datagrams.get_mut(&key) {
                    datagram.overlapped = true;
                }
            }
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
            deadline_ms: 0,
            stretches: [(0, 0); STRETCHES],
            used: 0,
        }
    }

    #[test]
    fn fragments_in_any_order_lie_beside_each_other_and_overlaps_are_seen() {
        let mut datagram = empty();
        for (from, to) in [(0, 8), (16, 24), (8, 16)] {
            assert_eq!(datagram.lies(from, to), Lies::Beside);
            datagram.add(from, to);
        }
        assert_eq!(datagram.lies(23, 32), Lies::Over);
        assert_eq!(datagram.lies(24, 32), Lies::Beside);
    }

    #[test]
    fn a_datagram_scattered_over_too_many_stretches_is_refused() {
        let mut datagram = empty();
        for index in 0..STRETCHES as u16 {
            datagram.add(index * 16, index * 16 + 8);
        }
        assert_eq!(datagram.lies(1000, 1008), Lies::TooScattered);
        assert_eq!(datagram.lies(8, 16), Lies::Beside);
    }
}
