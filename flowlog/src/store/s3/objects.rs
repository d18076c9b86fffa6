//! A bucket, read back.
//!
//! An object is fetched whole before it is read: Parquet begins at its end, and a reader that pauses (a
//! pager) must not let the store's answer run into its time limit. Behind [`HELD_BYTES`] it goes to a
//! file of the system's folder for temporary ones (`TMPDIR`), which has no name and is gone with it.
//!
//! **Limits**: an answer to a listing has [`LISTING_BYTES_MAX`], a listing [`PAGES_MAX`] pages and as many
//! objects as its caller wants, with keys of [`KEY_BYTES_MAX`] and of [`KEYS_BYTES_MAX`] together, an object [`OBJECT_BYTES_MAX`] and little more than was listed, of which memory
//! has [`HELD_BYTES`]. **Failure**: as told by [`StoreError`]; what the store cannot give at the moment is asked
//! for again [`ATTEMPTS`] times in all.

use super::{
    Access, Bucket, Cause, StoreError,
    client::{Client, Sizes},
    listing::{Next, Page},
};
use crate::read::{self, is_flow_log};
use s3::command::Command;
use std::{thread, time::Duration};
use tempfile::{SpooledData, SpooledTempFile};

/// Objects per page: S3's own limit.
const PAGE_OBJECTS: usize = 1000;

/// Greatest page: a thousand keys of 1024 bytes, escaped, with what stands beside them.
const LISTING_BYTES_MAX: u64 = 16 << 20;

/// Pages of a listing; a store may send pages with few objects.
const PAGES_MAX: usize = 10_000;

/// Longest key, bytes: S3's own limit. A longer one is no object that can be asked for.
const KEY_BYTES_MAX: usize = 1024;

/// Bytes of all keys of a listing that are held: a million of usual length.
const KEYS_BYTES_MAX: usize = 128 << 20;

/// Greatest object that is read: the greatest that is written.
const OBJECT_BYTES_MAX: u64 = super::PARTS_MAX as u64 * super::PART_BYTES;

/// Bytes of an object that are held in memory.
const HELD_BYTES: usize = 4 << 20;

/// How often an object is asked for.
const ATTEMPTS: u32 = 3;

/// Time between two attempts.
const PAUSE: Duration = Duration::from_millis(500);

/// An object of a bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// Its key.
    pub key: String,
    /// Its size, bytes.
    pub bytes: u64,
}

/// What a bucket holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listing {
    /// The flow logs' objects, by their keys.
    pub objects: Vec<Object>,
    /// There are more than were asked for, or than there is room for.
    pub is_cut: bool,
    /// Objects left out because their keys are longer than any store has.
    pub too_long: u64,
}

/// Access to the objects below a bucket's prefix, to read them. Its key must be allowed to list and get.
pub struct Objects {
    client: Client,
    bucket: Bucket,
}

impl Objects {
    /// Reads secrets and certificates; nothing is asked yet.
    ///
    /// # Errors
    /// [`Cause::Credentials`] for a secret that cannot be read, [`Cause::Refused`] for certificates.
    pub fn new(bucket: &Bucket) -> Result<Self, StoreError> {
        Ok(Self {
            client: Client::new(bucket, Access::Read)?,
            bucket: bucket.clone(),
        })
    }

    /// Lists the objects that are flow logs by their names, in the bucket's prefix as in a folder; a
    /// prefix that ends as a file does is that object. What begins with a dot is left out, as is the
    /// probe's object. Lists no more than `max`, and tells how many were found from time to time.
    ///
    /// # Errors
    /// What the store says.
    pub fn list(&self, max: usize, mut found: impl FnMut(usize)) -> Result<Listing, StoreError> {
        let mut listing = Listing::default();
        let (mut next, mut bytes) = (None, 0);
        for _ in 0..PAGES_MAX {
            let page = self.page(next.as_ref())?;
            let wanted = page.objects.into_iter();
            let wanted = wanted.filter(|object| is_wanted(&self.bucket.prefix, &object.key));
            for object in wanted {
                if object.key.len() > KEY_BYTES_MAX {
                    listing.too_long += 1;
                    continue;
                }
                bytes += object.key.len();
                listing.objects.push(object);
            }
            found(listing.objects.len());
            let (before, after) = (next, page.next);
            let is_full = listing.objects.len() > max || bytes > KEYS_BYTES_MAX;
            listing.is_cut = after.is_some() || is_full;
            // The same place again would never end.
            if after.is_none() || after == before || is_full {
                break;
            }
            next = after;
        }
        listing.objects.truncate(max);
        listing.objects.sort_by(|a, b| a.key.cmp(&b.key));
        Ok(listing)
    }

    /// Gets an object and reads it, in whatever format it is.
    ///
    /// # Errors
    /// What the store says, or the reader.
    pub fn open(&self, object: &Object) -> Result<read::Rows, ObjectError> {
        let address = self.address(object);
        Ok(match self.get(object)?.into_inner() {
            SpooledData::InMemory(bytes) => read::from_bytes(&address, bytes.into_inner()),
            SpooledData::OnDisk(file) => read::from_file(&address, file),
        }?)
    }

    /// Where the object is found, for messages: a key may hold what a terminal takes for commands.
    fn address(&self, object: &Object) -> String {
        let key = object.key.replace(char::is_control, "?");
        format!("s3://{}/{key}", self.bucket.name)
    }

    fn get(&self, object: &Object) -> Result<SpooledTempFile, StoreError> {
        if object.bytes > OBJECT_BYTES_MAX {
            let address = self.address(object);
            let text = format!(
                "{address}: {} bytes are more than the {OBJECT_BYTES_MAX} that are read of an object; copy it to a directory",
                object.bytes
            );
            return Err(StoreError::new(Cause::Refused, text));
        }
        let sizes = Sizes {
            awaited: object.bytes,
            limit: bytes_taken(object.bytes),
        };
        self.again(|| {
            let mut held = tempfile::spooled_tempfile(HELD_BYTES);
            self.client
                .fetch(&object.key, Command::GetObject, sizes, &mut held)?;
            Ok(held)
        })
    }

    /// A page of the listing; a store that refuses the second version is asked by the first.
    fn page(&self, next: Option<&Next>) -> Result<Page, StoreError> {
        let first = |marker| Command::ListObjects {
            prefix: self.prefix(),
            delimiter: None,
            marker,
            max_keys: Some(PAGE_OBJECTS),
        };
        let second = |continuation_token| Command::ListObjectsV2 {
            prefix: self.prefix(),
            delimiter: None,
            continuation_token,
            start_after: None,
            max_keys: Some(PAGE_OBJECTS),
        };
        let text = match next {
            Some(Next::Behind(key)) => self.ask(|| first(Some(key.clone()))),
            Some(Next::Token(token)) => self.ask(|| second(Some(token.clone()))),
            None => match self.ask(|| second(None)) {
                Err(error) if error.cause == Cause::Refused => self.ask(|| first(None)),
                answered => answered,
            },
        }?;
        Page::parse(&text).ok_or_else(|| {
            let text = format!(
                "{}: the answer is no listing of a bucket; is this an S3 store?",
                self.bucket.endpoint
            );
            StoreError::new(Cause::Refused, text)
        })
    }

    fn ask(&self, command: impl Fn() -> Command<'static>) -> Result<String, StoreError> {
        let sizes = Sizes {
            awaited: LISTING_BYTES_MAX,
            limit: LISTING_BYTES_MAX,
        };
        let bytes = self.again(|| {
            let mut bytes = Vec::new();
            self.client.fetch("/", command(), sizes, &mut bytes)?;
            Ok(bytes)
        })?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// What keys begin with. A folder's name is no beginning of another folder's.
    fn prefix(&self) -> String {
        match self.bucket.prefix.as_str() {
            "" => String::new(),
            prefix if is_flow_log(last(prefix)) => prefix.to_owned(),
            prefix => format!("{prefix}/"),
        }
    }

    fn again<T>(&self, ask: impl Fn() -> Result<T, StoreError>) -> Result<T, StoreError> {
        let mut attempt = 1;
        loop {
            match ask() {
                Err(error) if !error.cause.is_refusal() && attempt < ATTEMPTS => {
                    attempt += 1;
                    thread::sleep(PAUSE);
                }
                asked => return asked,
            }
        }
    }
}

/// Bytes taken of an object that was listed with so many: it may have been replaced since, by one that is like
/// it and not by one that fills the disk. What memory holds is taken in any case.
fn bytes_taken(listed: u64) -> u64 {
    let twice = listed.saturating_mul(2);
    twice.clamp(HELD_BYTES as u64, OBJECT_BYTES_MAX)
}

/// Without the secrets that the client holds.
impl std::fmt::Debug for Objects {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Objects")
            .field("bucket", &self.bucket)
            .finish_non_exhaustive()
    }
}

/// Why an object could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ObjectError {
    /// The store did not give it.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It is no flow log's.
    #[error(transparent)]
    Read(#[from] read::ReadError),
}

fn last(key: &str) -> &str {
    key.rsplit('/').next().unwrap_or(key)
}

fn is_wanted(prefix: &str, key: &str) -> bool {
    let Some(rest) = key.strip_prefix(prefix) else {
        return false;
    };
    let is_below = prefix.is_empty() || rest.is_empty() || rest.starts_with('/');
    let is_hidden = rest.split('/').any(|part| part.starts_with('.'));
    let is_probe = last(key).starts_with(super::PROBE_NAME);
    is_below && !is_hidden && !is_probe && is_flow_log(last(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_that_was_replaced_may_be_twice_as_large_as_it_was_listed() {
        assert_eq!(bytes_taken(0), HELD_BYTES as u64);
        assert_eq!(bytes_taken(1 << 30), 2 << 30);
        assert_eq!(bytes_taken(OBJECT_BYTES_MAX), OBJECT_BYTES_MAX);
    }

    #[test]
    fn a_prefix_is_a_folder_or_an_object_and_never_half_a_name() {
        for (prefix, key) in [
            ("", "a.csv"),
            ("lab", "lab/2026/a.csv.gz"),
            ("lab/a.csv", "lab/a.csv"),
        ] {
            assert!(is_wanted(prefix, key), "{prefix} {key}");
        }
        for (prefix, key) in [
            ("lab", "laboratory/a.csv"),
            ("lab", "lab/.old/a.csv"),
            ("lab", "lab/readme.txt"),
            ("lab", "lab/folder/"),
            ("lab", "lab/_vswitch_probe_1"),
            ("lab", "lab/_vswitch_probe_1.csv"),
            ("lab/a.csv", "lab/a.csv.gz"),
        ] {
            assert!(!is_wanted(prefix, key), "{prefix} {key}");
        }
    }
}
