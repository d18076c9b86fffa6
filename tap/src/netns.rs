//! Network namespaces, named in `/run/netns` as `ip netns` (iproute2) does it: an empty file with
//! the namespace mounted on it. Each side sees and deletes what the other made.
//!
//! A namespace belongs to a thread, so whatever happens inside one happens on a thread of its own
//! that ends with it; the caller's namespace never changes.

use crate::error::{Error, SYS_ADMIN, SYS_PTRACE};
use rustix::{
    fs::{FlockOperation, Mode, OFlags},
    io::Errno,
    mount::{MountPropagationFlags, UnmountFlags},
    thread::{LinkNameSpaceType, UnshareFlags},
};
use std::{
    cell::RefCell,
    fmt,
    os::{
        fd::{AsFd, AsRawFd, OwnedFd},
        unix::fs::MetadataExt,
    },
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

/// Where iproute2 keeps named namespaces (`NETNS_RUN_DIR`).
const RUN_DIR: &str = "/run/netns";
/// The same place under its older name, a link on every system of today (hier(7), FHS 3.0 section 5.13).
const OLD_RUN_DIR: &str = "/var/run/netns";
/// `NSFS_MAGIC` of `linux/magic.h`: the file system that namespaces live in.
const NSFS_MAGIC: u64 = 0x6e73_6673;

thread_local! {
    /// The namespace that this thread was started to enter.
    static INSIDE: RefCell<Option<PathBuf>> = const { RefCell::new(None) };
}

/// A network namespace, by name or by path. Only names it: it may exist or not.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Netns {
    path: PathBuf,
    named: bool,
}

impl Netns {
    /// The namespace `/run/netns/NAME`.
    ///
    /// # Errors
    /// [`Error::NetnsName`] where `name` cannot be a file in that directory.
    pub fn named(name: &str) -> Result<Self, Error> {
        let wrong = name.is_empty()
            || name == "."
            || name == ".."
            || name.contains(['/', '\0'])
            || name.len() > 255;
        if wrong {
            return Err(Error::NetnsName(name.to_owned()));
        }
        Ok(Self {
            path: Path::new(RUN_DIR).join(name),
            named: true,
        })
    }

    /// The namespace that the file at `path` stands for, such as `/proc/1234/ns/net` or what a
    /// container runtime has mounted. In `/var/run/netns` it is the one of that name in `/run/netns`.
    #[must_use]
    pub fn at(path: impl Into<PathBuf>) -> Self {
        let mut path: PathBuf = path.into();
        if let Ok(rest) = path.strip_prefix(OLD_RUN_DIR) {
            path = Path::new(RUN_DIR).join(rest);
        }
        let named = path.parent() == Some(Path::new(RUN_DIR)) && path.file_name().is_some();
        Self { path, named }
    }

    /// The namespace of a process.
    #[must_use]
    pub fn of_process(pid: u32) -> Self {
        Self {
            path: format!("/proc/{pid}/ns/net").into(),
            named: false,
        }
    }

    /// Reads the text form: what holds a `/` is a path, all else a name.
    ///
    /// # Errors
    /// [`Error::NetnsName`].
    pub fn parse(text: &str) -> Result<Self, Error> {
        if text.contains('/') {
            Ok(Self::at(text))
        } else {
            Self::named(text)
        }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it is one of `/run/netns`, which can be made and deleted.
    #[must_use]
    pub fn is_named(&self) -> bool {
        self.named
    }

    /// Whether a namespace is there. A left-over file without one does not count.
    #[must_use]
    pub fn exists(&self) -> bool {
        rustix::fs::statfs(&self.path).is_ok_and(|fs| u64::try_from(fs.f_type) == Ok(NSFS_MAGIC))
    }

    /// The number that tells this namespace from all others that live now; it may be used again
    /// after it is gone. `None` where there is no namespace.
    #[must_use]
    pub fn inode(&self) -> Option<u64> {
        if !self.exists() {
            return None;
        }
        std::fs::metadata(&self.path).ok().map(|file| file.ino())
    }

    /// Makes the namespace under its name. Its interfaces, `lo` among them, are down.
    ///
    /// # Errors
    /// As [`NewNetns::make`] and [`NewNetns::put`]. Nothing is left behind.
    pub fn create(&self) -> Result<(), Error> {
        self.must_be_named()?;
        NewNetns::make()?.put(self)
    }

    /// Takes the name away. The namespace itself lives on while a process or descriptor holds it.
    ///
    /// # Errors
    /// [`Error::NoSuchNetns`], [`Error::NetnsByPath`], [`Error::Permission`]; otherwise what the
    /// kernel says.
    pub fn delete(&self) -> Result<(), Error> {
        self.must_be_named()?;
        let failed = |errno| {
            Error::of(
                format!("delete network namespace {}", self.path.display()),
                SYS_ADMIN,
                errno,
            )
        };
        match rustix::mount::unmount(&self.path, UnmountFlags::DETACH) {
            // EINVAL: a left-over file with nothing mounted on it.
            Ok(()) | Err(Errno::INVAL) => {}
            Err(Errno::NOENT) => return Err(Error::NoSuchNetns(self.path.clone())),
            Err(errno) => return Err(failed(errno)),
        }
        rustix::fs::unlink(&self.path).map_err(failed)
    }

    /// Runs `f` inside the namespace, on a thread of its own, and waits for it. Inside of `f` the same call
    /// goes on on the same thread: whoever has much to do in a namespace enters it once.
    ///
    /// # Errors
    /// [`Error::NoSuchNetns`] or [`Error::Permission`] where the namespace cannot be entered;
    /// [`Error::System`] where the system has no thread.
    ///
    /// # Panics
    /// Where `f` panics.
    pub fn run_in<T: Send>(&self, f: impl FnOnce() -> T + Send) -> Result<T, Error> {
        if INSIDE.with_borrow(|inside| inside.as_deref() == Some(&*self.path)) {
            return Ok(f());
        }
        let namespace = self.open()?;
        on_a_thread(|| {
            rustix::thread::move_into_link_name_space(
                namespace.as_fd(),
                Some(LinkNameSpaceType::Network),
            )
            .map_err(|errno| {
                Error::of(format!("enter network namespace {self}"), SYS_ADMIN, errno)
            })?;
            INSIDE.set(Some(self.path.clone()));
            Ok(f())
        })
    }

    /// A descriptor that holds the namespace.
    pub(crate) fn open(&self) -> Result<OwnedFd, Error> {
        if !self.exists() && self.path.exists() {
            // setns() would say EINVAL, which helps nobody.
            return Err(Error::NoSuchNetns(self.path.clone()));
        }
        rustix::fs::open(&self.path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).map_err(
            |errno| match errno {
                Errno::NOENT | Errno::NOTDIR => Error::NoSuchNetns(self.path.clone()),
                errno => {
                    let what = format!("open network namespace {}", self.path.display());
                    // EACCES: a process of another user, which is not to be looked into.
                    let is_process = errno == Errno::ACCESS && self.path.starts_with("/proc");
                    let capability = if is_process { SYS_PTRACE } else { SYS_ADMIN };
                    Error::of(what, capability, errno)
                }
            },
        )
    }

    fn must_be_named(&self) -> Result<(), Error> {
        if self.named {
            Ok(())
        } else {
            Err(Error::NetnsByPath(self.path.clone()))
        }
    }
}

/// A network namespace that has no name yet, and goes unless it is given one: so that its number can be
/// written down first, and nothing exists that nobody knows.
#[derive(Debug)]
pub struct NewNetns {
    fd: OwnedFd,
    inode: u64,
}

impl NewNetns {
    /// Makes a namespace. Its interfaces, `lo` among them, are down.
    ///
    /// # Errors
    /// [`Error::Permission`]; otherwise what the kernel says.
    pub fn make() -> Result<Self, Error> {
        let failed = |errno| Error::of("make a network namespace", SYS_ADMIN, errno);
        let fd = on_a_thread(|| new_namespace().map_err(failed))?;
        let inode = rustix::fs::fstat(&fd).map_err(failed)?.st_ino;
        Ok(Self { fd, inode })
    }

    /// Its number, as [`Netns::inode`] will tell it.
    #[must_use]
    pub fn inode(&self) -> u64 {
        self.inode
    }

    /// Gives it the name of `netns`.
    ///
    /// # Errors
    /// [`Error::NetnsExists`], [`Error::NetnsByPath`], [`Error::Permission`]; otherwise what the
    /// kernel says. Nothing is left behind.
    pub fn put(self, netns: &Netns) -> Result<(), Error> {
        let path = &netns.path;
        netns.must_be_named()?;
        share_run_dir()?;
        let flags = OFlags::RDONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        rustix::fs::open(path, flags, Mode::empty()).map_err(|errno| match errno {
            Errno::EXIST => Error::NetnsExists(path.clone()),
            errno => Error::of(format!("make {}", path.display()), SYS_ADMIN, errno),
        })?;
        let from = format!("/proc/thread-self/fd/{}", self.fd.as_raw_fd());
        rustix::mount::mount_bind(from, path).map_err(|errno| {
            // The error that counts is the one at hand.
            let _ = std::fs::remove_file(path);
            let what = format!("mount a network namespace on {}", path.display());
            Error::of(what, SYS_ADMIN, errno)
        })
    }
}

/// The name where there is one, else the path: [`Netns::parse`] reads it back.
impl fmt::Display for Netns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.path.file_name() {
            Some(name) if self.named => name.display().fmt(f),
            _ => self.path.display().fmt(f),
        }
    }
}

/// ` in network namespace vm1`, or nothing: the end of "interface `x`…" in messages.
pub(crate) fn place(netns: Option<&Netns>) -> String {
    netns
        .map(|netns| format!(" in network namespace `{netns}`"))
        .unwrap_or_default()
}

/// Does `f` on a thread of its own; an error where the system has none.
fn on_a_thread<T: Send>(f: impl FnOnce() -> Result<T, Error> + Send) -> Result<T, Error> {
    thread::scope(|scope| {
        let thread = thread::Builder::new().spawn_scoped(scope, f);
        let thread = thread.map_err(|cause| Error::System {
            what: "start a thread for a network namespace".to_owned(),
            cause,
        })?;
        match thread.join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

/// How long the lock of `/run/netns` is waited for. Every local user can open that folder, and a process that
/// holds the lock for longer is not `ip netns add`.
const LOCK_PATIENCE: Duration = Duration::from_secs(1);
/// Pause before it is tried again.
const LOCK_PAUSE: Duration = Duration::from_millis(5);

/// Makes `/run/netns` a mount point of its own with shared propagation, so that a name deleted here
/// goes in every other mount namespace too; under a lock, for `ip netns add` does the same. Without the
/// lock the worst is a second mount on top of the first, hence it is done without where it is not to be had.
fn share_run_dir() -> Result<(), Error> {
    let failed = |errno| Error::of(format!("prepare {RUN_DIR}"), SYS_ADMIN, errno);
    match rustix::fs::mkdir(RUN_DIR, Mode::from_raw_mode(0o755)) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(errno) => return Err(failed(errno)),
    }
    let shared = MountPropagationFlags::SHARED | MountPropagationFlags::REC;
    match rustix::mount::mount_change(RUN_DIR, shared) {
        // EINVAL: not a mount point yet.
        Err(Errno::INVAL) => {}
        result => return result.map_err(failed),
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let lock = rustix::fs::open(RUN_DIR, flags, Mode::empty()).map_err(failed)?;
    lock_for_a_while(&lock).map_err(failed)?;
    match rustix::mount::mount_change(RUN_DIR, shared) {
        Err(Errno::INVAL) => {
            rustix::mount::mount_bind_recursive(RUN_DIR, RUN_DIR).map_err(failed)?;
            rustix::mount::mount_change(RUN_DIR, shared).map_err(failed)
        }
        result => result.map_err(failed),
    }
}

/// Takes the lock unless another keeps it for longer than [`LOCK_PATIENCE`].
fn lock_for_a_while(file: &OwnedFd) -> Result<(), Errno> {
    let deadline = Instant::now() + LOCK_PATIENCE;
    loop {
        match rustix::fs::flock(file, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::WOULDBLOCK) if Instant::now() < deadline => thread::sleep(LOCK_PAUSE),
            Err(Errno::WOULDBLOCK) => return Ok(()),
            result => return result,
        }
    }
}

/// Gives the calling thread, which ends soon, a new namespace, and holds that.
fn new_namespace() -> Result<OwnedFd, Errno> {
    // SAFETY: NEWNET changes the network namespace of this thread alone; the call is unsafe only for
    // FILES, which would part this thread from the descriptors of the others.
    unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNET) }?;
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    rustix::fs::open("/proc/thread-self/ns/net", flags, Mode::empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_round_trips_through_its_text() {
        for text in ["vm1", "/proc/1/ns/net"] {
            assert_eq!(Netns::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(
            Netns::parse("/run/netns/vm1").unwrap(),
            Netns::named("vm1").unwrap()
        );
        for wrong in ["", ".", "..", "a\0"] {
            assert!(
                matches!(Netns::parse(wrong), Err(Error::NetnsName(_))),
                "{wrong:?}"
            );
        }
    }

    #[test]
    fn a_namespace_that_is_not_there_is_named_in_the_error() {
        let error = Netns::at("/nowhere/ns").run_in(|| ()).unwrap_err();
        assert!(error.to_string().contains("/nowhere/ns"), "{error}");
        let error = Netns::at("/etc/hostname").run_in(|| ()).unwrap_err();
        assert!(matches!(error, Error::NoSuchNetns(_)), "{error}");
        assert!(matches!(
            Netns::at("/nowhere/ns").create(),
            Err(Error::NetnsByPath(_))
        ));
    }
}
