//! The ledger: a small JSON file with everything that was made, in order.
//!
//! It is written after each thing, aside and renamed, so that a kill at any moment leaves at most the
//! very last thing unknown. A ledger from before the last boot is empty: nothing it names is left.

use super::LabError;
use serde::{Deserialize, Serialize};
use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
};
use tap::{Error, Links, Netns};

const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// Something a lab has made. The number tells it from what others make later under its name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Thing {
    /// A network namespace.
    Netns {
        /// Its name in `/run/netns`.
        name: String,
        /// Its inode.
        inode: u64,
    },
    /// A TAP.
    Tap {
        /// Interface name.
        name: String,
        /// Its namespace; none is the daemon's.
        netns: Option<String>,
        /// Number of the interface in that namespace.
        index: u32,
    },
}

impl fmt::Display for Thing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Netns { name, .. } => write!(f, "network namespace {name}"),
            Self::Tap {
                name,
                netns: Some(netns),
                ..
            } => write!(f, "TAP {name} in {netns}"),
            Self::Tap {
                name, netns: None, ..
            } => write!(f, "TAP {name}"),
        }
    }
}

#[derive(Debug)]
pub(super) struct Ledger {
    file: PathBuf,
    content: Content,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Content {
    boot_id: String,
    made: Vec<Thing>,
}

impl Ledger {
    /// Reads the file; one that does not exist is empty.
    pub(super) fn load(file: &Path) -> Result<Self, LabError> {
        let failed = |cause| LabError::Ledger {
            what: "read",
            file: file.to_owned(),
            cause,
        };
        let boot_id = fs::read_to_string(BOOT_ID)
            .unwrap_or_default()
            .trim()
            .to_owned();
        let content = match fs::read(file) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| failed(error.into()))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Content::default(),
            Err(error) => return Err(failed(error)),
        };
        let made = if content.boot_id == boot_id {
            content.made
        } else {
            Vec::new()
        };
        Ok(Self {
            file: file.to_owned(),
            content: Content { boot_id, made },
        })
    }

    /// Remembers a thing, on disk too.
    pub(super) fn enter(&mut self, thing: Thing) -> Result<(), LabError> {
        self.content.made.push(thing);
        self.save()
    }

    pub(super) fn knows(&self, thing: &Thing) -> bool {
        self.content.made.contains(thing)
    }

    /// Removes everything, last thing first, and returns what was still there. What fails stays in
    /// the ledger, and the first failure is the result.
    pub(super) fn undo(&mut self) -> Result<Vec<Thing>, LabError> {
        let (mut removed, mut kept, mut first_failure) = (Vec::new(), Vec::new(), None);
        while let Some(thing) = self.content.made.pop() {
            match remove(&thing) {
                Ok(true) => removed.push(thing),
                Ok(false) => {}
                Err(cause) => {
                    first_failure.get_or_insert(LabError::Stuck {
                        thing: thing.to_string(),
                        cause,
                    });
                    kept.push(thing);
                }
            }
        }
        kept.reverse();
        self.content.made = kept;
        self.save()?;
        first_failure.map_or(Ok(removed), Err)
    }

    fn save(&self) -> Result<(), LabError> {
        let failed = |cause| LabError::Ledger {
            what: "write",
            file: self.file.clone(),
            cause,
        };
        if self.content.made.is_empty() {
            return match fs::remove_file(&self.file) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(error)),
                _ => Ok(()),
            };
        }
        if let Some(dir) = self.file.parent() {
            fs::create_dir_all(dir).map_err(failed)?;
        }
        let aside = self.file.with_extension("tmp");
        let bytes =
            serde_json::to_vec_pretty(&self.content).map_err(|error| failed(error.into()))?;
        fs::write(&aside, bytes)
            .and_then(|()| fs::rename(&aside, &self.file))
            .map_err(failed)
    }
}

/// Removes a thing if it is still the one that was made; whether it was.
fn remove(thing: &Thing) -> Result<bool, Error> {
    match thing {
        Thing::Netns { name, inode } => {
            let netns = Netns::parse(name)?;
            if netns.inode() != Some(*inode) {
                return Ok(false);
            }
            netns.delete().map(|()| true)
        }
        Thing::Tap { name, netns, index } => {
            let netns = netns.as_deref().map(Netns::parse).transpose()?;
            if netns.as_ref().is_some_and(|netns| !netns.exists()) {
                return Ok(false);
            }
            let mut links = Links::open(netns.as_ref())?;
            if links.find(name)?.is_none_or(|link| link.index != *index) {
                return Ok(false);
            }
            links.remove(name).map(|()| true)
        }
    }
}
