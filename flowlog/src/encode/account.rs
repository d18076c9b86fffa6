//! The account of the AWS profiles.

use std::{fmt, sync::Arc};

/// Longest account, bytes; AWS has 12 digits, other clouds UUIDs.
const LEN_MAX: usize = 64;

/// Whom the keys and rows of an AWS profile name as the owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account(Arc<str>);

/// Why an `account_id` is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no account; write 1 to {LEN_MAX} digits, letters and -, as \"123456789012\", which every reader takes"
)]
pub struct AccountError(String);

impl Account {
    /// An account, in the text of the configuration.
    ///
    /// # Errors
    /// [`AccountError`] for what cannot stand in a key: `_` and `/` have a meaning there.
    pub fn parse(text: &str) -> Result<Self, AccountError> {
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        if (1..=LEN_MAX).contains(&text.len()) && text.bytes().all(is_allowed) {
            Ok(Self(text.into()))
        } else {
            Err(AccountError(text.to_owned()))
        }
    }

    /// Twelve zeros, as AWS writes its accounts.
    #[must_use]
    pub fn unknown() -> Self {
        Self("000000000000".into())
    }

    /// As it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}
