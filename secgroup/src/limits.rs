//! How much of everything there may be. Generous for a laboratory, small enough to bound memory;
//! what passes a limit is refused with the limit's name.

use crate::{ModelError, PortId};

/// Groups of a configuration. Neutron's default quota is 10 per project.
pub const GROUPS_MAX: usize = 10_000;
/// Address groups of a configuration.
pub const ADDRESS_GROUPS_MAX: usize = 10_000;
/// Prefixes of one address group.
pub const PREFIXES_PER_ADDRESS_GROUP_MAX: usize = 10_000;
/// Rules of all the groups of one port together. AWS allows 1,000, Neutron 100 per project.
pub const RULES_PER_POLICY_MAX: usize = 100_000;
/// Groups of one port. AWS allows 16.
pub const GROUPS_PER_PORT_MAX: usize = 64;
/// Allowed address pairs of one port. Neutron's default is 10.
pub const PAIRS_PER_PORT_MAX: usize = 100;
/// Fixed addresses of one port.
pub const FIXED_IPS_PER_PORT_MAX: usize = 64;
/// Prefixes that the rules of one port name, an address group counted once per rule.
pub const PREFIXES_PER_POLICY_MAX: usize = 1_000_000;
/// Stored words of one compiled policy (16 bytes each, so 256 MiB): many rules whose port ranges
/// or prefixes overlap in many ways need space beyond their number.
pub const POLICY_CHUNKS_MAX: usize = 16 << 20;

/// A limit by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// [`GROUPS_MAX`].
    Groups,
    /// [`ADDRESS_GROUPS_MAX`].
    AddressGroups,
    /// [`PREFIXES_PER_ADDRESS_GROUP_MAX`].
    PrefixesPerAddressGroup,
    /// [`RULES_PER_POLICY_MAX`].
    RulesPerPolicy,
    /// [`GROUPS_PER_PORT_MAX`].
    GroupsPerPort,
    /// [`PAIRS_PER_PORT_MAX`].
    PairsPerPort,
    /// [`FIXED_IPS_PER_PORT_MAX`].
    FixedIpsPerPort,
}

impl Limit {
    /// How many there may be.
    #[must_use]
    pub const fn value(self) -> usize {
        match self {
            Self::Groups => GROUPS_MAX,
            Self::AddressGroups => ADDRESS_GROUPS_MAX,
            Self::PrefixesPerAddressGroup => PREFIXES_PER_ADDRESS_GROUP_MAX,
            Self::RulesPerPolicy => RULES_PER_POLICY_MAX,
            Self::GroupsPerPort => GROUPS_PER_PORT_MAX,
            Self::PairsPerPort => PAIRS_PER_PORT_MAX,
            Self::FixedIpsPerPort => FIXED_IPS_PER_PORT_MAX,
        }
    }

    /// Of what there may be that many.
    #[must_use]
    pub const fn what(self) -> &'static str {
        match self {
            Self::Groups => "security groups",
            Self::AddressGroups => "address groups",
            Self::PrefixesPerAddressGroup => "prefixes in one address group",
            Self::RulesPerPolicy => "rules in the groups of one port",
            Self::GroupsPerPort => "security groups on one port",
            Self::PairsPerPort => "allowed address pairs on one port",
            Self::FixedIpsPerPort => "fixed addresses on one port",
        }
    }

    /// # Errors
    /// [`ModelError::TooMany`] above the limit.
    pub fn check(self, count: usize) -> Result<(), ModelError> {
        self.check_at(None, count)
    }

    pub(crate) fn check_at(self, port: Option<PortId>, count: usize) -> Result<(), ModelError> {
        if count <= self.value() {
            return Ok(());
        }
        Err(ModelError::TooMany {
            limit: self,
            count,
            port,
        })
    }
}
