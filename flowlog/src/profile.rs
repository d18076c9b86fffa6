//! Profiles: lists of fields that have a name, and what else they bring along.

use crate::{AwsVersion, Field};
use std::fmt;

/// A named selection of fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// The seed: 18 fields.
    Nhn18,
    /// The service's newest list: 24 fields, and rows with the status NODATA.
    Nhn24,
    /// The names, the text form and the keys of AWS; rows with the status NODATA.
    Aws(AwsVersion),
}

impl Profile {
    /// Every profile.
    pub const ALL: [Self; 4] = [
        Self::Nhn18,
        Self::Nhn24,
        Self::Aws(AwsVersion::V2),
        Self::Aws(AwsVersion::V5),
    ];

    /// The name, as configurations write it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Nhn18 => "nhn-18",
            Self::Nhn24 => "nhn-24",
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
            Self::Aws(version) => version.fields(),
        }
    }

    /// Whether a logging port with nothing to report gets a row that says so.
    #[must_use]
    pub const fn has_no_data_rows(self) -> bool {
        !matches!(self, Self::Nhn18)
    }

    /// All names with commas between, for messages.
    pub(crate) fn names() -> impl fmt::Display {
        Self::ALL.map(Self::name).join(", ")
    }
}
