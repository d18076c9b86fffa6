//! Whose an object is and where it belongs.

use crate::{Bucket, Storage};
use std::path::{Path, PathBuf};
use uuid::Uuid;

/// What the address of a bucket begins with.
const BUCKET: &str = "s3://";

/// The objects of one logger for one destination. A logger that moves leaves the old queue behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct QueueId {
    /// Whose.
    pub(crate) logger: Uuid,
    /// A number made from the destination; 0 for a spool from before destinations were kept.
    pub(super) place: u64,
}

impl QueueId {
    /// What has no destination of its own: it belongs where the logger's objects go.
    #[cfg(test)]
    pub(crate) const fn unplaced(logger: Uuid) -> Self {
        Self { logger, place: 0 }
    }

    /// Whether it holds what an older version spooled, which does not say where it belongs.
    pub(crate) const fn is_unplaced(self) -> bool {
        self.place == 0
    }

    /// Every queue of a logger.
    pub(super) const fn all_of(logger: Uuid) -> std::ops::RangeInclusive<Self> {
        let (first, last) = (0, u64::MAX);
        Self {
            logger,
            place: first,
        }..=Self {
            logger,
            place: last,
        }
    }
}

/// A store's address as `storage_url` has it. How the store is reached (endpoint, keys) is no part of
/// it: what is corrected there holds for what waits, too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Destination(String);

impl Destination {
    /// Where objects of this storage belong. A directory counts by its absolute path.
    pub(crate) fn of(storage: &Storage) -> Self {
        Self(match storage {
            Storage::Directory(root) => {
                let root = std::path::absolute(root).unwrap_or_else(|_| root.clone());
                let root: PathBuf = root.components().collect();
                root.display().to_string()
            }
            other => other.to_string(),
        })
    }

    /// The queue of a logger that goes here.
    pub(crate) fn queue(&self, logger: Uuid) -> QueueId {
        // A number that every process finds anew; 0 is what older spools have.
        let (place, _) = Uuid::new_v5(&Uuid::NAMESPACE_URL, self.0.as_bytes()).as_u64_pair();
        QueueId {
            logger,
            place: place.max(1),
        }
    }

    /// The storage, where it can be told from the address: a bucket is reached as `access` is.
    pub(crate) fn storage(&self, access: Option<&Bucket>) -> Option<Storage> {
        let Some(rest) = self.0.strip_prefix(BUCKET) else {
            let path = Path::new(&self.0);
            return path
                .is_absolute()
                .then(|| Storage::Directory(path.to_owned()));
        };
        let (name, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        Some(Storage::Bucket(Bucket {
            name: name.to_owned(),
            prefix: prefix.to_owned(),
            ..access?.clone()
        }))
    }

    /// On one line.
    pub(super) fn to_line(&self) -> String {
        self.0.replace('\\', "\\\\").replace('\n', "\\n")
    }

    /// The inverse of [`Self::to_line`].
    pub(super) fn from_line(line: &str) -> Self {
        let mut text = String::new();
        let mut chars = line.chars();
        while let Some(c) = chars.next() {
            text.push(match c {
                '\\' if chars.next() == Some('n') => '\n',
                c => c,
            });
        }
        Self(text)
    }
}

impl std::fmt::Display for Destination {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_destination_survives_its_line_and_is_the_same_however_a_directory_is_spelled() {
        for text in ["/logs/a b", "/odd\nname\\n\\", "s3://bucket/lab/a"] {
            let destination = Destination(text.into());
            assert!(!destination.to_line().contains('\n'));
            assert_eq!(Destination::from_line(&destination.to_line()), destination);
        }
        let of = |root: &str| Destination::of(&Storage::Directory(root.into()));
        assert_eq!(of("./logs/"), of("logs"));
        assert_ne!(of("logs"), of("logs2"));
        let logger = Uuid::from_u128(1);
        assert_eq!(of("logs").queue(logger), of("./logs").queue(logger));
    }
}
