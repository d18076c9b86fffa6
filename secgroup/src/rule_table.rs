//! Rules by number: an entry of the connection table remembers a rule in 24 bits.

use hashbrown::HashMap;
use uuid::Uuid;

/// A rule as entries remember it: 24 bits, 0 is "no rule". [`RuleTable`] knows its UUIDs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct RuleRef(u32);

impl RuleRef {
    /// No rule.
    pub const NONE: Self = Self(0);
    /// Greatest value.
    pub const MAX: u32 = (1 << 24) - 1;

    /// `None` where the number does not fit 24 bits.
    #[inline]
    #[must_use]
    pub const fn new(number: u32) -> Option<Self> {
        if number <= Self::MAX {
            Some(Self(number))
        } else {
            None
        }
    }

    /// The number.
    #[inline]
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }
}

/// What the log says of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RuleIdentity {
    /// The log's `rule_id`.
    pub rule: Uuid,
    /// The log's `security_group_id`.
    pub group: Uuid,
}

/// Every rule seen since the start. A number is never given twice, so that an entry that is older
/// than a reload still names the rule it meant.
#[derive(Debug, Clone, Default)]
pub struct RuleTable {
    /// Number `n` stands at `n - 1`.
    identities: Vec<RuleIdentity>,
    numbers: HashMap<RuleIdentity, RuleRef, foldhash::fast::FixedState>,
}

/// All 2²⁴ − 1 numbers are given away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "{} different rules were seen since the start, no number is left; restart the daemon",
    RuleRef::MAX
)]
pub struct RuleTableFull;

impl RuleTable {
    /// The number of a rule, the same as before where it is known.
    ///
    /// # Errors
    /// [`RuleTableFull`] after 2²⁴ − 1 different rules.
    pub fn intern(&mut self, identity: RuleIdentity) -> Result<RuleRef, RuleTableFull> {
        if let Some(known) = self.numbers.get(&identity) {
            return Ok(*known);
        }
        let number = u32::try_from(self.identities.len() + 1).map_err(|_| RuleTableFull)?;
        let number = RuleRef::new(number).ok_or(RuleTableFull)?;
        self.identities.push(identity);
        self.numbers.insert(identity, number);
        Ok(number)
    }

    /// The rule behind a number; `None` for [`RuleRef::NONE`] and numbers never given.
    #[inline]
    #[must_use]
    pub fn lookup(&self, number: RuleRef) -> Option<RuleIdentity> {
        let index = usize::try_from(number.get()).ok()?.checked_sub(1)?;
        self.identities.get(index).copied()
    }
}
