//! Guests to switch between: namespaces, and in each a TAP with the MAC, addresses, route and MTU of
//! its port.
//!
//! ```text
//!   lab up     makes what is missing, persistent ──▶ ledger (a file) ──▶ lab down removes just that
//!   run        makes what is missing for as long as it runs: [`Made`] removes it in the end
//! ```
//!
//! What was there before is used and never removed. What `lab up` has made and the configuration does not
//! name any more goes with the next `lab up`, unless a program has it open. A TAP that was there in a guest's namespace gets what
//! it lacks (the port's MAC, MTU, addresses, a default route where there is none); one in the daemon's
//! own namespace is left as it is. All of it can be done twice. A ledger entry names a thing by more
//! than its name (inode, interface number, boot), so that what was made since under that name is
//! somebody else's.

mod guest;
mod ledger;
mod lock;

pub use ledger::{Removed, Thing};
pub use lock::RunLock;

use flowlog::Access;
use guest::Owner;
use ipnet::IpNet;
use ledger::Ledger;
use packet::Mac;
use serde::{Deserialize, Serialize};
use std::{
    collections::HashMap,
    fmt,
    net::IpAddr,
    path::{Path, PathBuf},
};
use tap::{Links, Netns, Tap};

/// A port, as far as its guest's side is concerned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabPort {
    /// Name of the port, for messages.
    pub name: String,
    /// Name of the TAP.
    pub tap: String,
    /// Namespace of the guest, by name or path; `None` is the daemon's own. There the host is not the
    /// guest: a TAP gets its MTU and a MAC of its own, stays down and without addresses, and whoever moves or
    /// bridges it does the rest.
    pub netns: Option<String>,
    /// MAC of the guest's interface.
    pub mac: Mac,
    /// Addresses with the prefix length of their subnet; for an uplink, the subnet's gateway.
    pub addresses: Vec<IpNet>,
    /// Where the guest's default routes lead, at most one for each address family.
    pub gateways: Vec<IpAddr>,
    /// Largest packet in bytes, without the Ethernet header.
    pub mtu: u32,
    /// The way out: takes its addresses in the daemon's namespace too, and no default route.
    pub uplink: bool,
    /// The guest's network stack gets a kernel thread of its own.
    pub threaded: bool,
}

/// Why a lab could not be built or taken down. The texts say the cause, so none is a `source`.
#[derive(Debug, thiserror::Error)]
pub enum LabError {
    /// A TAP that was made for one queue.
    #[error(
        "port `{port}`: TAP `{tap}` was made for one queue; make it with `multi_queue`, or set \
         `tap: {{ threaded: on }}` and restart"
    )]
    OneQueue {
        /// Name of the port.
        port: String,
        /// Name of the TAP.
        tap: String,
    },
    /// Something about one port.
    #[error("port `{port}`: {cause}")]
    Port {
        /// Name of the port.
        port: String,
        /// What.
        cause: tap::Error,
    },
    /// Something that was made and does not go.
    #[error("cannot remove {thing}: {cause}")]
    Stuck {
        /// What was made, as a [`Thing`] writes itself.
        thing: String,
        /// Why it stays.
        cause: tap::Error,
    },
    /// Another daemon has the state directory.
    #[error("another daemon keeps its state in {}; stop that one, or set another `state_dir`", .0.display())]
    InUse(PathBuf),
    /// A program serves what is to be removed.
    #[error(
        "{0} is in use, most likely by `vswitch run`: stop that first, or remove it all the same with --force (its ports go down)"
    )]
    Running(String),
    /// The state directory.
    #[error("cannot use the state directory {}: {cause}; see `state_dir` of the configuration", directory.display())]
    StateDir {
        /// Where it is to be.
        directory: PathBuf,
        /// What.
        cause: std::io::Error,
    },
    /// The file that remembers what was made.
    #[error("cannot {what} {}: {cause}; it remembers what the lab has made, see `state_dir` of the configuration", file.display())]
    Ledger {
        /// `read`, `write`.
        what: &'static str,
        /// The file.
        file: PathBuf,
        /// What.
        cause: std::io::Error,
    },
}

/// What [`Lab::up`] did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    /// Made by this call.
    pub made: Vec<Thing>,
    /// Was there already, from an earlier call or made by other means.
    pub existed: Vec<Thing>,
    /// What an earlier call has made and no port needs any more.
    pub retired: Removed,
    /// What ports do without, by the port's name.
    pub lacks: Vec<(String, Lack)>,
}

/// A part of a port that could not be set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lack {
    /// What is missing, as `address fd00::1/64`.
    pub what: String,
    /// Why, and what to do about it.
    pub why: String,
}

impl From<(String, tap::Error)> for Lack {
    fn from((what, cause): (String, tap::Error)) -> Self {
        let why = cause.to_string();
        Self { what, why }
    }
}

impl fmt::Display for Lack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is missing: {}", self.what, self.why)
    }
}

/// Characters of a configuration's name that the name of its ledger has: with what stands around them it
/// stays below Linux's `NAME_MAX`, 255.
const MAX_LEDGER_NAME: usize = 200;

/// The lab of one configuration.
#[derive(Debug, Clone)]
pub struct Lab {
    up_file: PathBuf,
    run_file: PathBuf,
    access: Access,
}

impl Lab {
    /// The lab of the configuration called `name`, whose ledger lies in `state_dir`. Two
    /// configurations that share a `state_dir` keep apart by their names. `access` says who may read it.
    #[must_use]
    pub fn new(state_dir: &Path, name: &str, access: Access) -> Self {
        let name = name.replace(
            |c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '_',
            "_",
        );
        let name: String = name.chars().take(MAX_LEDGER_NAME).collect();
        let file = |suffix: &str| state_dir.join(format!("lab-{name}.{suffix}.json"));
        Self {
            up_file: file("up"),
            run_file: file("run"),
            access,
        }
    }

    /// Makes what is missing, to stay until [`Lab::down`]. What an earlier call has made is set up
    /// anew, so that a changed MAC, MTU, address or route takes effect; what it has made or set and the
    /// ports do not say any more goes. What was set by other means stays.
    ///
    /// # Errors
    /// The first port that cannot be had. What was made until then stays, and is in the ledger.
    pub fn up(&self, ports: &[LabPort]) -> Result<Report, LabError> {
        let mut ledger = Ledger::load(&self.up_file, self.access)?;
        let mut report = Report {
            retired: ledger.retire(ports)?,
            ..Report::default()
        };
        let old: Vec<_> = ports.iter().map(|port| ledger.given_to(port)).collect();
        // First beside the old: a call that is killed leaves nothing unknown.
        ledger.give(ports, false)?;
        for (port, old) in ports.iter().zip(&old) {
            guest::make_to_stay(port, old, &mut ledger, &mut report)?;
        }
        ledger.give(ports, true)?;
        Ok(report)
    }

    /// Removes what [`Lab::up`] has made, last thing first. A namespace stays while a TAP that is not of
    /// this lab lies in it.
    ///
    /// # Errors
    /// [`LabError::Running`] where a program has one of its TAPs open, unless `force` is given; nothing is
    /// removed then. The first thing that cannot be removed; the others are, and it stays in the ledger.
    pub fn down(&self, force: bool) -> Result<Removed, LabError> {
        let mut ledger = Ledger::load(&self.up_file, self.access)?;
        if let (false, Some(first)) = (force, ledger.in_use().first()) {
            return Err(LabError::Running(first.to_string()));
        }
        ledger.undo_from(0, &[])
    }

    /// Opens the TAP of each port, in this order, with `queues` queues each. What is missing is made
    /// and lasts as long as the guard (namespaces) and the TAPs' queues. What a run that was killed
    /// left behind counts as made by this one, hence the lock on the `state_dir` of this lab: it is held
    /// for longer than what is returned.
    ///
    /// # Errors
    /// The first port that cannot be had; what was made until then is gone again.
    pub fn ensure(
        &self,
        _lock: &RunLock,
        ports: &[LabPort],
        queues: usize,
    ) -> Result<(Made, Vec<Tap>), LabError> {
        let mut made = Made {
            ledger: Ledger::load(&self.run_file, self.access)?,
            lab: self.clone(),
            devices: Vec::new(),
        };
        let taps = made.add(ports, queues)?;
        Ok((made, taps))
    }
}

/// Namespaces that are made with one entry in the ledger; each is a file that is open meanwhile.
const NAMESPACES_AT_ONCE: usize = 64;

/// What a run has made. Dropping it removes the namespaces; TAPs go when their queues are closed, and a
/// namespace lives on without a name until then.
#[derive(Debug)]
pub struct Made {
    ledger: Ledger,
    lab: Lab,
    /// The TAPs that are served.
    devices: Vec<Device>,
}

/// A TAP that a run has opened, by names and by numbers: names may come to mean something else.
#[derive(Debug)]
struct Device {
    tap: String,
    netns: Option<String>,
    netns_inode: u64,
    index: u32,
    queues: usize,
    /// Made by the run: it goes with its queues.
    created: bool,
    owner: Owner,
    /// What could not be set.
    lacks: Vec<Lack>,
}

impl Device {
    fn place(&self) -> (String, Option<String>) {
        (self.tap.clone(), self.netns.clone())
    }

    fn is_of(&self, port: &LabPort) -> bool {
        self.tap == port.tap && self.netns == port.netns
    }
}

impl Made {
    /// As [`Lab::ensure`], for ports that come later, or whose TAP is to be opened anew.
    ///
    /// # Errors
    /// The first port that cannot be had; what this call has made is gone again then.
    pub fn add(&mut self, ports: &[LabPort], queues: usize) -> Result<Vec<Tap>, LabError> {
        let known = self.ledger.len();
        let opened = self.open(ports, queues);
        let (taps, devices): (Vec<_>, Vec<_>) = match opened {
            Ok(opened) => opened.into_iter().unzip(),
            Err(error) => {
                // TAPs have gone with their queues.
                tell(self.ledger.undo_from(known, &self.devices));
                return Err(error);
            }
        };
        self.devices
            .retain(|device| !ports.iter().any(|port| device.is_of(port)));
        self.devices.extend(devices);
        Ok(taps)
    }

    /// Opens the TAP of a port anew beside the queues that are served, which are closed afterwards: the
    /// guest's interface has a carrier all the time.
    ///
    /// # Errors
    /// A TAP that takes one queue only cannot have two at a time; otherwise as [`Made::add`].
    pub fn replace(&mut self, port: &LabPort, queues: usize) -> Result<Tap, LabError> {
        let netns = port.netns.as_deref().map(Netns::parse).transpose();
        let netns = netns.map_err(port.failed())?;
        let found = Links::open(netns.as_ref())
            .and_then(|mut links| links.get(&port.tap))
            .map_err(port.failed())?;
        if !found.tap.is_some_and(|tap| tap.multi_queue) {
            return Err(LabError::OneQueue {
                port: port.name.clone(),
                tap: port.tap.clone(),
            });
        }
        let taps = self.add(std::slice::from_ref(port), queues)?;
        Ok(taps.into_iter().next().expect("one TAP for one port"))
    }

    fn open(&mut self, ports: &[LabPort], queues: usize) -> Result<Vec<(Tap, Device)>, LabError> {
        let mut opened = Vec::with_capacity(ports.len());
        let to_stay = Ledger::load(&self.lab.up_file, self.lab.access)?;
        for ports in ports.chunks(NAMESPACES_AT_ONCE) {
            guest::make_namespaces(ports, &mut self.ledger)?;
            for neighbours in ports.chunk_by(|a, b| a.netns == b.netns) {
                let (own, ledger) = (&self.devices, &mut self.ledger);
                let new = guest::open_all_for_run(neighbours, queues, own, ledger, &to_stay)?;
                opened.extend(new);
            }
        }
        Ok(opened)
    }

    /// Has the interfaces follow their ports from `old` to `new`: those of which something has changed, or
    /// was missing until now. What cannot be set is what [`Made::lacks`] returns then. Returns the names of
    /// the ports that were set up.
    pub fn change(&mut self, old: &[LabPort], new: &[LabPort]) -> Vec<String> {
        let mut changed = Vec::new();
        let devices = self.devices.iter_mut();
        let mut devices: HashMap<_, _> = devices.map(|device| (device.place(), device)).collect();
        let old: HashMap<_, _> = old.iter().map(|port| (port.place(), port)).collect();
        for port in new {
            let before = old.get(&port.place()).copied();
            let Some(device) = devices.get_mut(&port.place()) else {
                continue;
            };
            let differs = before.is_some_and(|before| !before.looks_like(port));
            if differs || !device.lacks.is_empty() {
                guest::change(port, before.unwrap_or(port), device);
                changed.push(port.name.clone());
            }
        }
        changed
    }

    /// What a port does without.
    #[must_use]
    pub fn lacks(&self, port: &LabPort) -> &[Lack] {
        let device = self.devices.iter().find(|device| device.is_of(port));
        device.map_or(&[], |device| &device.lacks)
    }

    /// Whether no port does without anything.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.devices.iter().all(|device| device.lacks.is_empty())
    }

    /// Forgets the TAPs of all ports but these: their queues are being closed.
    pub fn keep(&mut self, ports: &[LabPort]) {
        self.devices
            .retain(|device| ports.iter().any(|port| device.is_of(port)));
    }

    /// Whether the port's namespace is still the one in which its TAP was opened. Another may bear its
    /// name by now, while the TAP keeps the first alive. A TAP that waits in the daemon's namespace may be
    /// moved by whoever it waits for.
    #[must_use]
    pub fn is_in_place(&self, port: &LabPort) -> bool {
        let Some(netns) = &port.netns else {
            return true;
        };
        let now = Netns::parse(netns).ok().and_then(|netns| netns.inode());
        self.devices
            .iter()
            .any(|device| device.is_of(port) && Some(device.netns_inode) == now)
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        tell(self.ledger.undo_from(0, &self.devices));
    }
}

/// What stays behind is worth knowing.
fn tell(undone: Result<Removed, LabError>) {
    match undone {
        Ok(Removed { left, .. }) => {
            for (thing, tap) in left {
                tracing::warn!("left behind: {thing}, for TAP {tap} in it is somebody else's");
            }
        }
        Err(error) => tracing::warn!("left behind: {error}"),
    }
}

impl LabPort {
    fn place(&self) -> (String, Option<String>) {
        (self.tap.clone(), self.netns.clone())
    }

    /// Whether its interface is to be set up as that of another.
    fn looks_like(&self, other: &Self) -> bool {
        self.mac == other.mac
            && self.mtu == other.mtu
            && self.uplink == other.uplink
            && self.addresses == other.addresses
            && self.gateways == other.gateways
    }

    /// Whether its guest has gone: a namespace named by path, as a container's, is its owner's to make.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        let netns = self
            .netns
            .as_deref()
            .and_then(|netns| Netns::parse(netns).ok());
        netns.is_some_and(|netns| !netns.is_named() && !netns.exists())
    }

    fn failed(&self) -> impl Fn(tap::Error) -> LabError {
        |cause| LabError::Port {
            port: self.name.clone(),
            cause,
        }
    }
}
