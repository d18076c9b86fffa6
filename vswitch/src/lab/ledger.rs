//! The ledger: a small JSON file with everything that was made, in order.
//!
//! It is written before each thing is there to stay, aside and renamed, so that a kill at any moment, or
//! a disk that takes no more, leaves nothing unknown. A ledger from before the last boot is empty: nothing it names is left.

use super::{Device, LabError};
use flowlog::Access;
use serde::{Deserialize, Serialize};
use std::{
    fmt, fs,
    io::{self, Write},
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

/// What [`super::Lab::down`] did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Removed {
    /// What was still there, and is gone now.
    pub removed: Vec<Thing>,
    /// Namespaces that stay, and with each a TAP in it that the lab has not made. They stay in the ledger
    /// too: the next call removes them, if the TAP has gone.
    pub left: Vec<(Thing, String)>,
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
    access: Access,
    content: Content,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Content {
    boot_id: String,
    made: Vec<Thing>,
}

impl Ledger {
    /// Reads the file; one that does not exist is empty.
    pub(super) fn load(file: &Path, access: Access) -> Result<Self, LabError> {
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
            access,
            content: Content { boot_id, made },
        })
    }

    /// Remembers a thing, on disk too; where that fails, not at all.
    pub(super) fn enter(&mut self, thing: Thing) -> Result<(), LabError> {
        self.enter_all(vec![thing])
    }

    /// As [`Ledger::enter`], of several, with one write.
    pub(super) fn enter_all(&mut self, mut things: Vec<Thing>) -> Result<(), LabError> {
        let known = self.len();
        self.content.made.append(&mut things);
        if self.len() == known {
            return Ok(());
        }
        self.save()
            .inspect_err(|_| self.content.made.truncate(known))
    }

    /// How many things it knows: what is entered from now on is [`Ledger::undo_from`] there.
    pub(super) fn len(&self) -> usize {
        self.content.made.len()
    }

    pub(super) fn knows(&self, thing: &Thing) -> bool {
        self.content.made.contains(thing)
    }

    /// Removes everything from place `first` on, last thing first, and returns what was still there.
    /// What others use or what fails stays in the ledger, and the first failure is the result. `own` are
    /// TAPs that do not count as others': they go with their queues.
    pub(super) fn undo_from(&mut self, first: usize, own: &[Device]) -> Result<Removed, LabError> {
        let first = first.min(self.len());
        let (mut done, mut kept, mut first_failure) = (Removed::default(), Vec::new(), None);
        for thing in self.content.made.split_off(first).into_iter().rev() {
            match remove(&thing, own) {
                Ok(Fate::Removed) => done.removed.push(thing),
                Ok(Fate::Gone) => {}
                Ok(Fate::InUse { tap }) => {
                    kept.push(thing.clone());
                    done.left.push((thing, tap));
                }
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
        self.content.made.append(&mut kept);
        self.save()?;
        first_failure.map_or(Ok(done), Err)
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
            self.access.create_dir_all(dir).map_err(failed)?;
        }
        let aside = self.file.with_extension("tmp");
        let bytes =
            serde_json::to_vec_pretty(&self.content).map_err(|error| failed(error.into()))?;
        self.access
            .create(&aside)
            .and_then(|mut file| file.write_all(&bytes))
            .and_then(|()| fs::rename(&aside, &self.file))
            .map_err(failed)
    }
}

/// What became of a thing that was to be removed.
enum Fate {
    Removed,
    /// It was not there any more, or another one bears its name.
    Gone,
    /// Somebody else's TAP lies in the namespace, and would go with it.
    InUse {
        tap: String,
    },
}

/// Removes a thing if it is still the one that was made, and nobody else uses it.
fn remove(thing: &Thing, own: &[Device]) -> Result<Fate, Error> {
    match thing {
        Thing::Netns { name, inode } => {
            let netns = Netns::parse(name)?;
            if netns.inode() != Some(*inode) {
                return Ok(Fate::Gone);
            }
            let is_own = |index: u32| {
                own.iter()
                    .any(|own| own.created && (own.netns_inode, own.index) == (*inode, index))
            };
            // Those of the ledger were made later than the namespace, and are gone.
            let mut taps = Links::open(Some(&netns))?.taps()?.into_iter();
            if let Some((tap, _)) = taps.find(|&(_, index)| !is_own(index)) {
                return Ok(Fate::InUse { tap });
            }
            netns.delete().map(|()| Fate::Removed)
        }
        Thing::Tap { name, netns, index } => {
            let netns = netns.as_deref().map(Netns::parse).transpose()?;
            if netns.as_ref().is_some_and(|netns| !netns.exists()) {
                return Ok(Fate::Gone);
            }
            let mut links = Links::open(netns.as_ref())?;
            if links.find(name)?.is_none_or(|link| link.index != *index) {
                return Ok(Fate::Gone);
            }
            links.remove(name).map(|()| Fate::Removed)
        }
    }
}
