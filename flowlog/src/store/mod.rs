//! Where objects end up. A store takes a whole object or nothing, and the same object again, under
//! the same name, as if it were the first time: that is what makes a retry harmless.

mod directory;
mod s3;
mod storage;

pub(crate) use directory::Directory;
pub(crate) use s3::S3;
pub use s3::{Listing, Object, ObjectError, Objects};
pub use storage::{Bucket, Encryption, Secret, Storage};

use crate::spool::Body;
use std::fmt;

/// A place for objects.
pub(crate) trait Store: Send {
    /// Finds out early what would hinder the first object. Leaves nothing behind that a reader of the
    /// store could take for data.
    ///
    /// # Errors
    /// As [`Self::put`].
    fn probe(&mut self) -> Result<(), StoreError>;

    /// Puts an object under its name, relative to the store's root, durably: once this returns the
    /// store has it whole.
    ///
    /// # Errors
    /// [`StoreError`]; its cause tells whether asking again soon makes sense.
    fn put(&mut self, name: &str, body: &mut Body) -> Result<(), StoreError>;
}

/// What kind of failure it is that a store reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cause {
    /// The access key or the secret key is missing or wrong.
    Credentials,
    /// The bucket, or the directory's place, is not there.
    Missing,
    /// The store knows who asks and does not let it write.
    Permission,
    /// This host's clock and the store's differ by more than a signature may be old.
    Clock,
    /// The name is taken by something else.
    Taken,
    /// Any other refusal.
    Refused,
    /// No connection, or none that lasted.
    Unreachable,
    /// The store answers that it cannot at the moment.
    Busy,
    /// No room left.
    Full,
}

impl Cause {
    /// One word for tables and programs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Credentials => "credentials",
            Self::Missing => "missing",
            Self::Permission => "permission",
            Self::Clock => "clock",
            Self::Taken => "taken",
            Self::Refused => "refused",
            Self::Unreachable => "unreachable",
            Self::Busy => "busy",
            Self::Full => "full",
        }
    }

    /// Whether the store said no, so that asking again within a minute makes no sense.
    pub(crate) const fn is_refusal(self) -> bool {
        !matches!(self, Self::Unreachable | Self::Busy | Self::Full)
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Why a store did not take an object, or did not give one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct StoreError {
    /// What kind of failure.
    pub cause: Cause,
    text: String,
}

impl StoreError {
    pub(crate) fn new(cause: Cause, text: impl Into<String>) -> Self {
        Self {
            cause,
            text: text.into(),
        }
    }
}
