//! The forwarding database: which MAC is behind which port, per segment.
//!
//! Ports with port security have static entries and learn nothing: their MACs are known and no unknown
//! unicast is flooded to them. A port's own MAC never moves; the MAC of an allowed address pair that several
//! ports have (a virtual router's) moves among **them**, to whoever sent with it last. Ports that may have
//! unknown MACs (uplinks, ports without port security) learn, up to a limit each, and forget after
//! [`AGEING_S`].

use hashbrown::HashMap;
use packet::Mac;
use secgroup::PortId;

/// Seconds after which a learned MAC is forgotten (IEEE 802.1D's recommended ageing time).
pub const AGEING_S: u32 = 300;

/// A segment's number: one per subnet; segments never mix. A subnet without ports has none.
pub type Segment = u16;

/// Where a MAC is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The port.
    pub port: PortId,
    /// When it was last heard, ms; `None` for a static entry.
    pub heard_ms: Option<u32>,
    /// Of a static entry: an allowed address pair's, which its other owners may take over.
    pub shared: bool,
}

/// Where a frame is to go, before anybody has judged it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Destination {
    /// Exactly one port.
    One(PortId),
    /// Every other port of the segment (group address).
    All,
    /// Every other port that may have unknown MACs.
    Unknown,
    /// No port takes it.
    None,
}

/// The table of all segments.
#[derive(Debug, Default)]
pub(super) struct Fdb {
    /// Grows, wrapping, with every change of where a frame would go.
    version: u32,
    places: HashMap<Spot, Place, foldhash::fast::RandomState>,
    /// Ports of a segment, in order of their numbers.
    members: HashMap<Segment, Vec<Member>, foldhash::fast::RandomState>,
}

/// A MAC in a segment, as one word: hashed as such, for every packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Spot(u64);

impl Spot {
    #[inline]
    fn new(segment: Segment, Mac([a, b, c, d, e, f]): Mac) -> Self {
        let [high, low] = segment.to_be_bytes();
        Self(u64::from_be_bytes([high, low, a, b, c, d, e, f]))
    }

    const fn mac(self) -> Mac {
        let [_, _, a, b, c, d, e, f] = self.0.to_be_bytes();
        Mac([a, b, c, d, e, f])
    }
}

#[derive(Debug, Clone, Copy)]
struct Member {
    port: PortId,
    takes_unknown: bool,
}

impl Fdb {
    /// Adds a port to its segment with its own MAC. Where that was learned, returns the port behind which.
    pub(super) fn attach(
        &mut self,
        segment: Segment,
        port: PortId,
        own: Mac,
        takes_unknown: bool,
    ) -> Option<PortId> {
        self.changed();
        let members = self.members.entry(segment).or_default();
        let member = Member {
            port,
            takes_unknown,
        };
        let place = members.partition_point(|other| other.port < port);
        members.insert(place, member);
        self.put(segment, own, port, false)
    }

    /// Gives a MAC that no port has, or that was only learned, to one of its owners. Returns as
    /// [`Self::attach`].
    pub(super) fn inherit(&mut self, segment: Segment, mac: Mac, port: PortId) -> Option<PortId> {
        let known = self.places.get(&Spot::new(segment, mac));
        if known.is_some_and(|place| place.heard_ms.is_none()) {
            return None;
        }
        self.changed();
        self.put(segment, mac, port, true)
    }

    fn put(&mut self, segment: Segment, mac: Mac, port: PortId, shared: bool) -> Option<PortId> {
        let place = Place {
            port,
            heard_ms: None,
            shared,
        };
        let before = self.places.insert(Spot::new(segment, mac), place)?;
        before.heard_ms.map(|_| before.port)
    }

    /// Notes that several ports own `mac`.
    pub(super) fn share(&mut self, segment: Segment, mac: Mac) {
        if let Some(place) = self.places.get_mut(&Spot::new(segment, mac)) {
            place.shared = true;
        }
    }

    /// One of the ports that own `mac` has sent with it: its place is there now.
    #[cold]
    pub(super) fn take_over(&mut self, segment: Segment, mac: Mac, port: PortId) {
        if let Some(place) = self
            .places
            .get_mut(&Spot::new(segment, mac))
            .filter(|place| place.shared && place.port != port)
        {
            place.port = port;
            self.changed();
        }
    }

    /// Removes ports from their segments, and of the MACs behind them those that go.
    pub(super) fn detach(
        &mut self,
        leaves: impl Fn(PortId) -> bool,
        goes: impl Fn(Mac, &Place) -> bool,
    ) {
        self.changed();
        self.members.retain(|_, members| {
            members.retain(|member| !leaves(member.port));
            !members.is_empty()
        });
        self.places
            .retain(|spot, place| !(leaves(place.port) && goes(spot.mac(), place)));
    }

    /// Differs while frames may go elsewhere than before.
    #[inline]
    pub(super) const fn version(&self) -> u32 {
        self.version
    }

    fn changed(&mut self) {
        self.version = self.version.wrapping_add(1);
    }

    /// Where a frame for `dst` from `rx` is to go.
    #[inline]
    #[must_use]
    pub(super) fn destination(&self, segment: Segment, dst: Mac, rx: PortId) -> Destination {
        if dst.is_group() {
            return Destination::All;
        }
        match self.places.get(&Spot::new(segment, dst)) {
            Some(place) if place.port == rx => Destination::None,
            Some(place) => Destination::One(place.port),
            None => self.unknown(segment, rx),
        }
    }

    /// One candidate is a unicast like any other, with connection state.
    #[cold]
    fn unknown(&self, segment: Segment, rx: PortId) -> Destination {
        let mut candidates = self.copies(segment, rx, true);
        match (candidates.next(), candidates.next()) {
            (None, _) => Destination::None,
            (Some(port), None) => Destination::One(port),
            (Some(_), Some(_)) => Destination::Unknown,
        }
    }

    /// The ports that get a copy of a flood from `rx`.
    pub(super) fn copies(
        &self,
        segment: Segment,
        rx: PortId,
        unknown_only: bool,
    ) -> impl Iterator<Item = PortId> + '_ {
        let members = self.members.get(&segment).map_or(&[][..], Vec::as_slice);
        members
            .iter()
            .filter(move |member| member.port != rx && (member.takes_unknown || !unknown_only))
            .map(|member| member.port)
    }

    /// Notes that `mac` was heard at `port`. Static entries do not move.
    pub(super) fn learn(
        &mut self,
        segment: Segment,
        mac: Mac,
        port: PortId,
        now_ms: u32,
        learned: usize,
        limit: usize,
    ) -> Learned {
        match self.places.get_mut(&Spot::new(segment, mac)) {
            Some(Place {
                heard_ms: None,
                port: owner,
                ..
            }) if *owner != port => Learned::Static,
            Some(Place { heard_ms: None, .. }) => Learned::Known,
            Some(place) if place.port == port => {
                place.heard_ms = Some(now_ms);
                Learned::Known
            }
            _ if learned >= limit => Learned::Full,
            Some(place) => {
                let from = place.port;
                self.version = self.version.wrapping_add(1);
                *place = Place {
                    port,
                    heard_ms: Some(now_ms),
                    shared: false,
                };
                Learned::Moved { from }
            }
            None => {
                self.changed();
                self.places.insert(
                    Spot::new(segment, mac),
                    Place {
                        port,
                        heard_ms: Some(now_ms),
                        shared: false,
                    },
                );
                Learned::New
            }
        }
    }

    /// Forgets what was not heard for [`AGEING_S`]; tells the port of each.
    pub(super) fn age(&mut self, now_ms: u32, mut forgotten: impl FnMut(PortId)) {
        self.changed();
        self.places.retain(|_, place| {
            let stale = place
                .heard_ms
                .is_some_and(|heard| now_ms.wrapping_sub(heard) as i32 > (AGEING_S * 1000) as i32);
            if stale {
                forgotten(place.port);
            }
            !stale
        });
    }

    /// All MACs and their places, in no order.
    pub(super) fn entries(&self) -> impl Iterator<Item = (Mac, Place)> + '_ {
        let places = self.places.iter();
        places.map(|(spot, &place)| (spot.mac(), place))
    }
}

/// What became of a MAC that was heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Learned {
    /// It was known there.
    Known,
    /// It is known now.
    New,
    /// It was behind another port before.
    Moved {
        /// That port.
        from: PortId,
    },
    /// The port has as many MACs as it may.
    Full,
    /// It belongs to another port by configuration.
    Static,
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Mac = Mac([2, 0, 0, 0, 0, 1]);
    const B: Mac = Mac([2, 0, 0, 0, 0, 2]);
    const P1: PortId = PortId(1);
    const P2: PortId = PortId(2);
    const P3: PortId = PortId(3);
    const P4: PortId = PortId(4);

    fn fdb() -> Fdb {
        let mut fdb = Fdb::default();
        let own = |number| Mac([2, 0, 0, 0, 1, number]);
        fdb.attach(1, P1, A, false);
        fdb.attach(1, P2, own(2), true);
        fdb.attach(1, P3, own(3), true);
        fdb.attach(2, P4, B, false);
        fdb
    }

    #[test]
    fn unknown_unicast_goes_only_to_ports_that_may_have_unknown_macs() {
        let mut fdb = fdb();
        assert_eq!(fdb.destination(1, B, P1), Destination::Unknown);
        assert_eq!(fdb.copies(1, P1, true).collect::<Vec<_>>(), [P2, P3]);
        fdb.detach(|port| port == P3, |_, _| true);
        assert_eq!(fdb.destination(1, B, P1), Destination::One(P2));
        fdb.detach(|port| port == P2, |_, _| true);
        assert_eq!(fdb.destination(1, B, P1), Destination::None);
    }

    #[test]
    fn segments_never_mix() {
        let fdb = fdb();
        assert_eq!(fdb.destination(2, A, P4), Destination::None);
        assert_eq!(fdb.copies(2, P4, false).count(), 0);
    }

    #[test]
    fn a_static_entry_does_not_move() {
        let mut fdb = fdb();
        assert_eq!(fdb.learn(1, A, P2, 0, 0, 8), Learned::Static);
        assert_eq!(fdb.destination(1, A, P2), Destination::One(P1));
    }

    #[test]
    fn learning_is_limited_moves_and_ages() {
        let mut fdb = fdb();
        assert_eq!(fdb.learn(1, B, P2, 0, 0, 1), Learned::New);
        assert_eq!(
            fdb.learn(1, Mac([2, 9, 9, 9, 9, 9]), P2, 0, 1, 1),
            Learned::Full
        );
        assert_eq!(fdb.learn(1, B, P3, 10, 0, 1), Learned::Moved { from: P2 });
        let mut gone = Vec::new();
        fdb.age(10 + AGEING_S * 1000, |port| gone.push(port));
        assert!(gone.is_empty());
        fdb.age(11 + AGEING_S * 1000, |port| gone.push(port));
        assert_eq!(gone, [P3]);
        assert_eq!(fdb.destination(1, A, P2), Destination::One(P1));
    }
}
