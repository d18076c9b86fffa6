//! The ledger: a small JSON file with everything that was made, in order.
//!
//! It is written before each thing is there to stay, aside and renamed, so that a kill at any moment, or
//! a disk that takes no more, leaves nothing unknown. A ledger from before the last boot is empty: nothing it names is left.

use super::{Device, LabError, LabPort};
use flowlog::Access;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::{
    fmt, fs,
    io::{self, Write},
    net::IpAddr,
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
    #[serde(default)]
    given: Vec<Given>,
}

/// What a TAP was given that a later configuration may want to be gone again.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Given {
    tap: String,
    netns: Option<String>,
    pub(super) addresses: Vec<IpNet>,
    pub(super) gateways: Vec<IpAddr>,
}

impl Given {
    /// What a port gives to its TAP.
    pub(super) fn to(port: &LabPort) -> Self {
        Self {
            tap: port.tap.clone(),
            netns: port.netns.clone(),
            addresses: port.addresses.clone(),
            gateways: port.gateways.clone(),
        }
    }
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
        let content = if content.boot_id == boot_id {
            content
        } else {
            Content {
                boot_id,
                ..Content::default()
            }
        };
        Ok(Self {
            file: file.to_owned(),
            access,
            content,
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

    /// What the TAP of a port was given, by one call of `lab up` or by several of which one was killed.
    pub(super) fn given_to(&self, port: &LabPort) -> Given {
        let mut all = Given::to(port);
        all.addresses.clear();
        all.gateways.clear();
        let is_its = |given: &&Given| {
            given.tap == port.tap && same_place(given.netns.as_deref(), port.netns.as_deref())
        };
        for given in self.content.given.iter().filter(is_its) {
            all.addresses.extend(&given.addresses);
            all.gateways.extend(&given.gateways);
        }
        all
    }

    /// Remembers what ports give to their TAPs, beside what they gave before or instead of it.
    pub(super) fn give(&mut self, ports: &[LabPort], instead: bool) -> Result<(), LabError> {
        if instead {
            self.content.given.clear();
        }
        self.content.given.extend(ports.iter().map(Given::to));
        self.save()
    }

    /// The TAPs that some program has open, as things say it.
    pub(super) fn in_use(&self) -> Vec<Thing> {
        let made = self.content.made.iter();
        made.filter(|thing| is_in_use(thing)).cloned().collect()
    }

    /// Removes what these ports do not need any more, as [`Ledger::undo_from`]. TAPs that some program has
    /// open stay, and their namespaces.
    pub(super) fn retire(&mut self, ports: &[LabPort]) -> Result<Removed, LabError> {
        let is_needed = |thing: &Thing| {
            ports.iter().any(|port| match thing {
                Thing::Netns { name, .. } => same_place(port.netns.as_deref(), Some(name)),
                Thing::Tap { name, netns, .. } => {
                    port.tap == *name && same_place(port.netns.as_deref(), netns.as_deref())
                }
            })
        };
        if self.content.made.iter().all(is_needed) {
            return Ok(Removed::default());
        }
        self.undo(|_, thing| !is_needed(thing), &[], false)
    }

    /// Removes everything from place `first` on, last thing first, and returns what was still there.
    /// What others use or what fails stays in the ledger, and the first failure is the result. `own` are
    /// TAPs that do not count as others': they go with their queues.
    pub(super) fn undo_from(&mut self, first: usize, own: &[Device]) -> Result<Removed, LabError> {
        self.undo(|place, _| place >= first, own, true)
    }

    fn undo(
        &mut self,
        is_meant: impl Fn(usize, &Thing) -> bool,
        own: &[Device],
        force: bool,
    ) -> Result<Removed, LabError> {
        let (mut done, mut kept, mut first_failure) = (Removed::default(), Vec::new(), None);
        let made = std::mem::take(&mut self.content.made);
        for (place, thing) in made.into_iter().enumerate().rev() {
            if !is_meant(place, &thing) {
                kept.push(thing);
                continue;
            }
            match remove(&thing, own, force) {
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
        self.content.made = kept;
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
    /// A TAP that is not of the lab lies in the namespace, and would go with it; or the TAP is open.
    InUse {
        tap: String,
    },
}

/// Removes a thing if it is still the one that was made, and no other program uses it. With `force` a TAP
/// goes that some program has open.
fn remove(thing: &Thing, own: &[Device], force: bool) -> Result<Fate, Error> {
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
            let Some((mut links, queues)) = find(name, netns.as_deref(), *index)? else {
                return Ok(Fate::Gone);
            };
            if queues > 0 && !force {
                return Ok(Fate::InUse { tap: name.clone() });
            }
            links.remove(name).map(|()| Fate::Removed)
        }
    }
}

/// Whether some program has a TAP open.
fn is_in_use(thing: &Thing) -> bool {
    let Thing::Tap { name, netns, index } = thing else {
        return false;
    };
    let found = find(name, netns.as_deref(), *index);
    found.is_ok_and(|found| found.is_some_and(|(_, queues)| queues > 0))
}

/// The TAP of that number, if it is there, with how many queues are open.
fn find(name: &str, netns: Option<&str>, index: u32) -> Result<Option<(Links, u32)>, Error> {
    let netns = netns.map(Netns::parse).transpose()?;
    if netns.as_ref().is_some_and(|netns| !netns.exists()) {
        return Ok(None);
    }
    let mut links = Links::open(netns.as_ref())?;
    let link = links.find(name)?.filter(|link| link.index == index);
    Ok(link.map(|link| (links, link.tap.map_or(0, |tap| tap.queues))))
}

/// Whether two texts of a configuration name one namespace.
fn same_place(a: Option<&str>, b: Option<&str>) -> bool {
    let parsed = |text: Option<&str>| text.and_then(|text| Netns::parse(text).ok());
    a == b || (a.is_some() && b.is_some() && parsed(a) == parsed(b))
}
