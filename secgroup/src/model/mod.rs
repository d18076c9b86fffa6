//! The model as a whole, and what can only be checked there.

mod check;
mod error;

pub use error::ModelError;

use crate::{AddressGroup, Group};

/// All groups of a configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Model {
    /// Security groups.
    pub groups: Vec<Group>,
    /// Named lists of prefixes.
    pub address_groups: Vec<AddressGroup>,
}
