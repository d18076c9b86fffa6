//! Numbers for what has a UUID: ports in connections' keys, subnets and VPCs in look-ups.
//!
//! A subnet's or VPC's number is free as soon as no port has it. A port's number stands in entries, in
//! fragments that wait and in records of the log, so it **rests** after its port has gone: until a whole
//! round of the sweep has found no entry with it, and the longest interval of a logger is over. So a new
//! guest with an old address inherits nothing, and no record bears another guest's name.

use super::sweep::Round;
use secgroup::PortId;
use std::collections::{HashMap, HashSet, VecDeque};
use uuid::Uuid;

/// Beyond the longest interval of a logger: the longest that a fragment waits (60 s, the greatest `frag`
/// timeout), and a second in which the log's last part is fetched.
const REST_MS: u32 = 61_000;

/// Ports that a switch can have.
const PORTS_MAX: usize = PortId::PSEUDO as usize;

/// Numbers of subnets, or of VPCs.
#[derive(Debug, Default)]
pub(super) struct Numbers(HashMap<Uuid, u16>);

impl Numbers {
    /// Numbers for these, at most 65,536 of them: what has one keeps it, the others get what is free.
    pub(super) fn of(&self, wanted: impl IntoIterator<Item = Uuid>) -> Self {
        let mut numbers = HashMap::new();
        let mut new = Vec::new();
        for id in wanted {
            match self.0.get(&id) {
                Some(&number) => drop(numbers.insert(id, number)),
                None => new.push(id),
            }
        }
        let taken: HashSet<u16> = numbers.values().copied().collect();
        let mut free = (0..=u16::MAX).filter(|number| !taken.contains(number));
        for id in new {
            numbers
                .entry(id)
                .or_insert_with(|| free.next().expect("each is a port's, and ports are fewer"));
        }
        Self(numbers)
    }

    /// The number of one that was wanted.
    pub(super) fn get(&self, id: Uuid) -> u16 {
        let number = self.0.get(&id).copied();
        number.expect("every port's subnet and VPC was wanted")
    }
}

/// Why a configuration cannot be applied: its new ports find no number.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{wanted} new ports need a number each, and {free} of the switch's {PORTS_MAX} are free; {resting} belonged to \
     ports that are gone, and may be given again when the flow log has written the last interval of these ports: \
     reload again in {wait_s} s, or with fewer new ports"
)]
pub struct NumbersUsedUp {
    /// Ports that are new.
    pub wanted: usize,
    /// Numbers that may be given.
    pub free: usize,
    /// Numbers of ports that have gone a short while ago.
    pub resting: usize,
    /// Seconds until all of these may be given.
    pub wait_s: u32,
}

/// Numbers that may be given now.
#[derive(Debug, Clone)]
pub(super) struct Offer {
    numbers: Vec<PortId>,
    resting: usize,
    wait_ms: u32,
}

impl Offer {
    /// So many of them.
    pub(super) fn take(self, wanted: usize) -> Result<Vec<PortId>, NumbersUsedUp> {
        let free = self.numbers.len();
        if free < wanted {
            return Err(NumbersUsedUp {
                wanted,
                free,
                resting: self.resting,
                wait_s: self.wait_ms.div_ceil(1000).max(1),
            });
        }
        Ok(self.numbers.into_iter().take(wanted).collect())
    }
}

/// A number whose port has gone.
#[derive(Debug, Clone, Copy)]
struct Resting {
    number: PortId,
    since_ms: u32,
    /// The round of the sweep that was under way, or the last one.
    round: Round,
}

/// Numbers of ports that have gone, the longest gone first.
#[derive(Debug, Default)]
pub(super) struct PortNumbers {
    resting: VecDeque<Resting>,
    /// The longest interval that a logger has had, seconds.
    longest_interval_s: u32,
}

impl PortNumbers {
    /// A port goes.
    pub(super) fn rest(&mut self, number: PortId, now_ms: u32, round: Round) {
        self.resting.push_back(Resting {
            number,
            since_ms: now_ms,
            round,
        });
    }

    /// A logger's interval may be this long from now on.
    pub(super) fn intervals_up_to(&mut self, seconds: u32) {
        self.longest_interval_s = self.longest_interval_s.max(seconds);
    }

    /// Numbers for up to `most` new ports, where `used` have ever been given: new ones first, then those
    /// that have rested longest.
    pub(super) fn offer(&self, most: usize, used: usize, now_ms: u32, swept: Round) -> Offer {
        let fresh = (used..PORTS_MAX).filter_map(|number| u16::try_from(number).ok());
        let rested = self
            .resting
            .iter()
            .take_while(|resting| resting.round < swept && self.rest_left_ms(resting, now_ms) == 0);
        let offered = fresh
            .map(PortId)
            .chain(rested.map(|resting| resting.number));
        let last = self.resting.back();
        Offer {
            numbers: offered.take(most).collect(),
            resting: self.resting.len(),
            wait_ms: last.map_or(0, |last| self.rest_left_ms(last, now_ms)),
        }
    }

    /// These were given: of those that rest, the first ones.
    pub(super) fn give(&mut self, numbers: &[PortId], used: usize) {
        let rested = numbers.iter().filter(|number| usize::from(number.0) < used);
        self.resting.drain(..rested.count());
    }

    fn rest_left_ms(&self, resting: &Resting, now_ms: u32) -> u32 {
        let rest_ms = self
            .longest_interval_s
            .saturating_mul(1000)
            .saturating_add(REST_MS);
        rest_ms.saturating_sub(now_ms.wrapping_sub(resting.since_ms))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn id(number: u128) -> Uuid {
        Uuid::from_u128(number)
    }

    #[test]
    fn what_stays_keeps_its_number_and_what_went_leaves_it_to_another() {
        let first = Numbers::default().of([id(1), id(2), id(2), id(3)]);
        assert_eq!([1, 2, 3].map(|at| first.get(id(at))), [0, 1, 2]);
        let second = first.of([id(4), id(3), id(1), id(5)]);
        assert_eq!([1, 3, 4, 5].map(|at| second.get(id(at))), [0, 2, 1, 3]);
    }

    #[test]
    fn numbers_are_never_merged_however_many_have_been_seen() {
        let mut numbers = Numbers::default();
        for round in 0..70_u128 {
            numbers = numbers.of((0..1000).map(|at| id(round * 1000 + at)));
            let distinct: HashSet<u16> = numbers.0.values().copied().collect();
            assert_eq!(distinct.len(), 1000);
        }
    }

    #[test]
    fn a_port_s_number_rests_until_it_was_swept_and_the_log_is_written() {
        let mut numbers = PortNumbers::default();
        numbers.intervals_up_to(60);
        numbers.rest(PortId(7), 1_000, Round(4));
        let offer = |numbers: &PortNumbers, now_ms, swept| {
            numbers.offer(1, PORTS_MAX, now_ms, Round(swept)).take(1)
        };
        assert!(offer(&numbers, 500_000, 4).is_err(), "not swept since");
        let refused = offer(&numbers, 61_000, 9).unwrap_err();
        assert_eq!((refused.free, refused.resting, refused.wait_s), (0, 1, 61));
        assert_eq!(offer(&numbers, 122_000, 5), Ok(vec![PortId(7)]));
        numbers.give(&[PortId(7)], PORTS_MAX);
        assert!(offer(&numbers, 900_000, 9).is_err(), "it was given");
    }

    #[test]
    fn numbers_that_were_never_given_come_first() {
        let mut numbers = PortNumbers::default();
        numbers.rest(PortId(0), 0, Round(0));
        let offered = numbers.offer(3, PORTS_MAX - 1, 1_000_000, Round(9));
        assert_eq!(
            offered.take(2),
            Ok(vec![PortId(PortId::PSEUDO - 1), PortId(0)])
        );
    }
}
