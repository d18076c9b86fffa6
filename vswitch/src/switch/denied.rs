//! What rules refused lately: a flood of refused packets of one flow asks the rules once.
//!
//! ```text
//!   no connection ─▶ opens one? ─▶ denied lately, under this policy? ─▶ both sides' verdicts, as they were
//!                                  └─ no: the rules, and what they refuse is remembered here
//! ```
//!
//! A refusal by rule follows from the tuple, the two ports, their MACs and the policy alone; all of them are
//! compared. Whatever else a frame may be refused for is not remembered. **Limits**: [`PLACES`] for each
//! family, the latest wins; nothing is kept beyond a policy.

use super::entry::Address;
use super::step::{Fate, Judged, Step};
use packet::{Headers, Mac, Reason, Verdict};
use secgroup::conntrack::{Key, Side};

/// Flows that are remembered: 40 KiB for IPv4.
const PLACES: usize = 1024;

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Asked<A> {
    pub(super) key: Key<A>,
    /// Whether the sender is the key's second end.
    pub(super) swapped: bool,
    pub(super) protocol: u8,
    /// Source and destination: a member of a group may be one by its MAC.
    pub(super) macs: [Mac; 2],
}

#[derive(Debug, Clone, Copy)]
struct Answer<A> {
    asked: Asked<A>,
    policy_epoch: u16,
    sides: [Side; 2],
}

/// Of one family.
#[derive(Debug)]
pub(super) struct Denied<A> {
    /// Empty until something is refused.
    places: Vec<Option<Answer<A>>>,
}

impl<A> Default for Denied<A> {
    fn default() -> Self {
        Self { places: Vec::new() }
    }
}

impl<A: Address> Denied<A> {
    /// What both sides said to the same question under this policy.
    #[inline]
    pub(super) fn recall(&self, hash: u64, asked: &Asked<A>, policy_epoch: u16) -> Option<Step> {
        let answer = self.places.get(place(hash))?.as_ref()?;
        if answer.policy_epoch != policy_epoch || answer.asked != *asked {
            return None;
        }
        let [egress, ingress] = answer.sides.map(Judged::of);
        Some(Step {
            egress,
            ingress,
            ..Step::new(Fate::Nowhere)
        })
    }

    /// Remembers what both sides said.
    pub(super) fn remember(&mut self, hash: u64, asked: Asked<A>, policy_epoch: u16, step: &Step) {
        if self.places.is_empty() {
            self.places.resize(PLACES, None);
        }
        let sides = [step.egress, step.ingress].map(|side| side.map_or(Side::NONE, Judged::side));
        self.places[place(hash)] = Some(Answer {
            asked,
            policy_epoch,
            sides,
        });
    }

    /// Forgets everything, before numbers of policies begin again.
    pub(super) fn clear(&mut self) {
        self.places.clear();
    }
}

const fn place(hash: u64) -> usize {
    hash as usize % PLACES
}

/// Whether a refusal is one that the same question would meet again: by a rule, of a packet of which nothing
/// but its tuple counts.
#[inline]
pub(super) fn is_by_rule(step: &Step, headers: &Headers) -> bool {
    let denies = |side: Option<Judged>| {
        side.is_some_and(|judged| judged.verdict == Verdict::Drop(Reason::DefaultDeny))
    };
    headers.ordinary && (denies(step.egress) || denies(step.ingress))
}
