//! Which ports a flow has.

/// Source ports begin here, and so do those of the answers' destination.
const FIRST_SOURCE: u16 = 10_000;
/// Destination ports begin here.
const FIRST_DESTINATION: u16 = 20_000;
/// Source ports in use; as many destination ports make a million flows.
const PORTS: u32 = 1000;
/// Between one packet's flow and the next one's. A prime that divides no count in use, so that every
/// flow has its turn, each far from the one before.
const STRIDE: u64 = 611_953;

/// Every port that measured packets go to, in nftables' words.
pub(super) const DESTINATIONS: &str = "10000-20999";

/// Flows between two addresses, by their two ports.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Flows {
    count: u32,
    /// Apart from the flows of another sender.
    lane: u16,
    is_reversed: bool,
}

impl Flows {
    /// `count` flows, a million at most.
    pub(crate) fn new(count: u32) -> Self {
        Self {
            count: count.clamp(1, PORTS * PORTS),
            lane: 0,
            is_reversed: false,
        }
    }

    /// How many there are.
    pub(crate) fn count(self) -> u32 {
        self.count
    }

    /// Those of a further sender, which differ from all others'.
    pub(crate) fn lane(self, lane: u16) -> Self {
        Self { lane, ..self }
    }

    /// Their answers.
    pub(crate) fn reversed(self) -> Self {
        Self {
            is_reversed: true,
            ..self
        }
    }

    /// Source and destination port of packet number `n`.
    pub(crate) fn ports(self, n: u64) -> [u16; 2] {
        let count = u64::from(self.count);
        let flow = ((n % count) * STRIDE % count) as u32;
        let source = FIRST_SOURCE + self.lane * PORTS as u16 + (flow % PORTS) as u16;
        let destination = FIRST_DESTINATION + (flow / PORTS) as u16;
        if self.is_reversed {
            [destination, source]
        } else {
            [source, destination]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn as_many_packets_as_there_are_flows_touch_each_flow_once() {
        for count in [1, 100_000, 1_000_000] {
            let flows = Flows::new(count);
            let all: HashSet<_> = (0..u64::from(count)).map(|n| flows.ports(n)).collect();
            assert_eq!(all.len(), count as usize);
        }
    }

    #[test]
    fn another_lane_has_flows_of_its_own_within_the_counted_ports() {
        let (one, other) = (Flows::new(1000), Flows::new(1000).lane(1));
        let all: HashSet<_> = (0..1000).map(|n| one.ports(n)).collect();
        assert!((0..1000).all(|n| !all.contains(&other.ports(n))));
        let answers = other.reversed();
        assert!((0..1000).all(|n| (10_000..21_000).contains(&answers.ports(n)[1])));
    }
}
