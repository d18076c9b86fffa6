//! What a port has under way: datagrams that were judged, and fragments that wait for their first.

use super::super::Port;
use super::super::step::{Judged, Upper};
use super::pieces::Pieces;
use super::slab::Slab;
use packet::{Fragment, Ip};
use secgroup::PortId;
use std::net::IpAddr;

/// Stands in the key for "every receiver": the sender's side of a flood.
const EVERYBODY: PortId = PortId(PortId::PSEUDO);

/// What one port may have under way.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Datagrams whose verdict is remembered; beyond, the oldest is forgotten, and what is left of it
    /// waits in vain. Each copy of a flood is one.
    pub(super) judged: usize,
    /// Fragments that wait, and so datagrams that do; beyond, `frag_limit`.
    pub(super) held: u32,
    /// Their bytes.
    pub(super) bytes: u32,
}

/// Of a guest: half of what Open vSwitch lets everybody have (1,000), eleven datagrams of 64 KiB sent
/// backwards. Judged ones weigh little, and a guest that overruns its queue leaves many unfinished.
const OF_A_GUEST: Limits = Limits {
    judged: 1024,
    held: 512,
    bytes: 1 << 20,
};

/// Of an uplink, through which everybody outside speaks: sixteen guests'.
const OF_AN_UPLINK: Limits = Limits {
    judged: 16 * OF_A_GUEST.judged,
    held: 16 * OF_A_GUEST.held,
    bytes: 16 * OF_A_GUEST.bytes,
};

/// Of all ports together: 64 guests that flood at once do not meet.
const OF_ALL: Held = Held {
    fragments: 64 * OF_A_GUEST.held,
    bytes: 64 * OF_A_GUEST.bytes,
};

const _: () = assert!(
    OF_AN_UPLINK.held < OF_ALL.fragments && OF_AN_UPLINK.bytes < OF_ALL.bytes,
    "no port alone uses up what all have"
);

impl Limits {
    pub(super) fn of(port: &Port) -> Self {
        if port.config.spec.uplink {
            OF_AN_UPLINK
        } else {
            OF_A_GUEST
        }
    }
}

/// What tells the datagrams of one sender apart. IPv6 does not look at the protocol, which only the first
/// fragment is sure to name (RFC 8200, section 4.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in super::super) struct DatagramKey {
    src: IpAddr,
    dst: IpAddr,
    id: u32,
    receiver: PortId,
    /// One copy of a flood, whose sender's side is told once for all.
    is_copy: bool,
    protocol: u8,
}

impl DatagramKey {
    pub(super) fn new(
        receiver: Option<PortId>,
        is_copy: bool,
        ip: &Ip,
        fragment: Fragment,
    ) -> Self {
        Self {
            src: ip.src,
            dst: ip.dst,
            id: fragment.id,
            receiver: receiver.unwrap_or(EVERYBODY),
            is_copy,
            protocol: if ip.src.is_ipv4() { ip.protocol } else { 0 },
        }
    }

    /// The sender's side of the flood that this is a copy of.
    pub(super) const fn of_flood(self) -> Self {
        Self {
            receiver: EVERYBODY,
            is_copy: false,
            ..self
        }
    }

    /// The port that it goes to, where there is one.
    pub(super) fn receiver(&self) -> Option<PortId> {
        Some(self.receiver).filter(|&port| port != EVERYBODY)
    }
}

/// What the first fragment decided for the others.
#[derive(Debug, Clone)]
pub(super) struct Datagram {
    pub(super) egress: Option<Judged>,
    pub(super) ingress: Option<Judged>,
    pub(super) upper: Upper,
    /// Nothing more of it passes.
    pub(super) overlapped: bool,
    pub(super) deadline_ms: u32,
    pub(super) pieces: Pieces,
}

/// Fragments that came ahead of their first, in the order in which they came.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    pub(super) deadline_ms: u32,
    pub(super) pieces: Pieces,
    /// Virtio header and frame, in one piece.
    pub(super) frames: Vec<Box<[u8]>>,
}

impl Waiting {
    /// Nothing yet.
    pub(super) fn until(deadline_ms: u32) -> Self {
        Self {
            deadline_ms,
            ..Self::default()
        }
    }
}

/// How much waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in super::super) struct Held {
    /// Fragments.
    pub(in super::super) fragments: u32,
    /// Their bytes.
    pub(in super::super) bytes: u32,
}

impl Held {
    pub(super) fn add(&mut self, len: usize) {
        self.fragments += 1;
        self.bytes += len as u32;
    }

    pub(in super::super) fn sub(&mut self, more: Self) {
        self.fragments -= more.fragments;
        self.bytes -= more.bytes;
    }

    fn has_room(self, len: usize, fragments: u32, bytes: u32) -> bool {
        self.fragments < fragments && self.bytes as usize + len <= bytes as usize
    }
}

/// The datagrams in fragments that one port has sent.
#[derive(Debug, Default)]
pub(in super::super) struct Reassembly {
    pub(super) judged: Slab<Datagram>,
    pub(super) waiting: Slab<Waiting>,
    pub(in super::super) held: Held,
}

pub(super) const fn is_live(deadline_ms: u32, now_ms: u32) -> bool {
    (now_ms.wrapping_sub(deadline_ms) as i32) < 0
}

impl Reassembly {
    /// A datagram whose first fragment was judged in time.
    pub(super) fn judged(&self, now_ms: u32, key: &DatagramKey) -> Option<&Datagram> {
        let judged = self.judged.get(key);
        judged.filter(|datagram| is_live(datagram.deadline_ms, now_ms))
    }

    /// A datagram whose first fragment may come still.
    pub(super) fn waiting(&self, now_ms: u32, key: &DatagramKey) -> Option<&Waiting> {
        let waiting = self.waiting.get(key);
        waiting.filter(|waiting| is_live(waiting.deadline_ms, now_ms))
    }

    /// Whether `len` bytes more may wait, where all ports together have `all`.
    pub(super) fn may_hold(&self, limits: Limits, all: Held, len: usize) -> bool {
        self.held.has_room(len, limits.held, limits.bytes)
            && all.has_room(len, OF_ALL.fragments, OF_ALL.bytes)
    }

    /// Remembers a verdict.
    pub(super) fn remember(&mut self, limits: Limits, key: DatagramKey, datagram: Datagram) {
        if self.judged.len() >= limits.judged && self.judged.get(&key).is_none() {
            self.judged.evict();
        }
        self.judged.insert(key, datagram);
    }

    /// Forgets the verdicts: what the port's fragments are held against is another thing now.
    pub(in super::super) fn forget_verdicts(&mut self) {
        self.judged = Slab::default();
    }

    /// Slots that a sweep visits: first those of the judged.
    pub(in super::super) fn slots(&self) -> u32 {
        self.judged.slots() + self.waiting.slots()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use packet::protocol;
    use std::net::Ipv4Addr;

    fn key(id: u32) -> DatagramKey {
        DatagramKey {
            src: Ipv4Addr::LOCALHOST.into(),
            dst: Ipv4Addr::BROADCAST.into(),
            id,
            receiver: PortId(1),
            is_copy: false,
            protocol: protocol::UDP,
        }
    }

    #[test]
    fn all_ports_together_have_a_limit_that_one_alone_does_not_meet() {
        let book = Reassembly::default();
        let mut all = Held::default();
        assert!(book.may_hold(OF_A_GUEST, all, 1500));
        all.fragments = OF_ALL.fragments - 1;
        assert!(book.may_hold(OF_A_GUEST, all, 1500));
        all.add(1500);
        assert!(!book.may_hold(OF_A_GUEST, all, 1500), "too many");
        all = Held {
            fragments: 1,
            bytes: OF_ALL.bytes - 1500,
        };
        assert!(book.may_hold(OF_A_GUEST, all, 1500));
        assert!(!book.may_hold(OF_A_GUEST, all, 1501), "too large");
    }

    #[test]
    fn a_full_slab_gives_up_its_oldest_and_grows_no_further() {
        let mut slab = Slab::default();
        for id in 0..100 {
            if slab.len() == 8 {
                slab.evict();
            }
            slab.insert(key(id), id);
            if id == 5 {
                assert_eq!(slab.remove(&key(id)), Some(id));
            }
        }
        assert_eq!((slab.len(), slab.slots()), (8, 8));
        let left: Vec<u32> = (0..100)
            .filter(|&id| slab.get(&key(id)).is_some())
            .collect();
        assert_eq!(left, (92..100).collect::<Vec<_>>());
        slab.insert(key(99), 1);
        assert_eq!(
            (slab.len(), slab.get(&key(99))),
            (8, Some(&1)),
            "in its place"
        );
    }
}
