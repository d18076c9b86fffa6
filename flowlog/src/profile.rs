//! Profiles: lists of fields that have a name, and what else they bring along.

use crate::{AwsVersion, Field, FieldError};
use std::fmt;

/// A named selection of fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// The seed: 18 fields.
    Nhn18,
    /// The service's newest list: 24 fields, and rows with the status NODATA.
    Nhn24,
    /// The seed, and what answers "who was refused, and why": names, reason, rule, group.
    Lab,
    /// The names, the text form and the keys of AWS; rows with the status NODATA.
    Aws(AwsVersion),
}

impl Profile {
    /// Every profile.
    pub const ALL: [Self; 5] = [
        Self::Nhn18,
        Self::Nhn24,
        Self::Lab,
        Self::Aws(AwsVersion::V2),
        Self::Aws(AwsVersion::V5),
    ];

    /// The name, as configurations write it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Nhn18 => "nhn-18",
            Self::Nhn24 => "nhn-24",
            Self::Lab => "lab",
            Self::Aws(AwsVersion::V2) => "aws-v2",
            Self::Aws(AwsVersion::V5) => "aws-v5",
        }
    }

    /// The profile of a name, `None` where there is none.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|profile| profile.name() == name)
    }

    /// The fields, in order; of an AWS profile those that its columns are made from.
    #[must_use]
    pub fn fields(self) -> Vec<Field> {
        match self {
            Self::Nhn18 => Field::NHN_18.to_vec(),
            Self::Nhn24 => Field::NHN_24.to_vec(),
            Self::Lab => [Field::NHN_18, Field::LAB_NAMES].concat(),
            Self::Aws(version) => version.fields(),
        }
    }

    /// Whether a logging port with nothing to report gets a row that says so.
    #[must_use]
    pub const fn has_no_data_rows(self) -> bool {
        !matches!(self, Self::Nhn18 | Self::Lab)
    }

    /// Whether a list of fields may begin with it. Those of AWS are forms, not lists.
    #[must_use]
    pub const fn begins_lists(self) -> bool {
        !matches!(self, Self::Aws(_))
    }

    /// Its fields as the beginning of a list; `place` is where in the list it stands.
    ///
    /// # Errors
    /// [`FieldError`] where it is not the first, or is a form of its own.
    pub fn begin_list(self, place: usize) -> Result<Vec<Field>, FieldError> {
        match (self.begins_lists(), place) {
            (true, 0) => Ok(self.fields()),
            (true, _) => Err(FieldError::NotFirst(self.name())),
            (false, _) => Err(FieldError::NotInList(self.name())),
        }
    }

    /// All names with commas between, for messages.
    pub(crate) fn names() -> impl fmt::Display {
        Self::ALL.map(Self::name).join(", ")
    }
}
