//! Objects on this host's disk, until their store has acknowledged them.
//!
//! ```text
//! {spool}/lock                                            held by the process that uses the spool
//! {spool}/{logger}/{number}.writing                       in the making; removed at the next start
//! {spool}/{logger}/{number}.{interval}.{rows}.{place}.object      whole: synced, renamed, folder synced
//! ```
//!
//! One file holds everything that delivery needs: in its first line the object's name, fixed when
//! the interval was encoded, and the store that it was collected for, and behind it the object.
//! `{place}` is a digest of that store's address: objects of one logger for different stores wait in
//! queues of their own ([`QueueId`]). So there is no order of two files to get
//! wrong: an object is in the spool whole or not at all, and gone with one removal. A removal that a
//! power failure undoes leads to the same object under the same name once more.
//!
//! **Limit**: the bytes of all loggers together. What exceeds it goes, the oldest first, whoever's
//! it is, and is counted as lost by its logger. An object that is on its way stays.

mod draft;
mod head;
mod ledger;
mod marks;
mod queue;

pub(crate) use draft::Draft;
pub(crate) use head::Body;
pub use ledger::{Backlog, Lost};
pub(crate) use ledger::{Entry, Waiting};
pub use marks::Interrupted;
pub(crate) use marks::Marks;
pub(crate) use queue::{Destination, QueueId};

use crate::{Access, access, files};
use head::FileName;
pub(crate) use head::Head;
use ledger::Ledger;
use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};
use uuid::Uuid;

/// Name of the lock.
const LOCK: &str = "lock";

/// Ends the name of an object in the making.
const WRITING: &str = ".writing";

/// The spool of one process.
#[derive(Debug)]
pub(crate) struct Spool {
    root: PathBuf,
    max_bytes: u64,
    access: Access,
    ledger: Mutex<Ledger>,
    /// Released with the process, however it ends.
    _lock: File,
}

/// Why the spool could not be used.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// The system refused.
    #[error("cannot {action} {}: {source}", path.display())]
    System {
        /// What was tried.
        action: &'static str,
        /// With which file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Two processes with one state directory would deliver each other's objects.
    #[error("another process uses the spool {}; give each its own state_dir", .0.display())]
    InUse(PathBuf),
    /// A file is not what was written into it.
    #[error("{} is damaged: {reason}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: &'static str,
    },
}

impl SpoolError {
    fn system(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self::System {
            action,
            path: path.to_owned(),
            source,
        }
    }
}

impl Spool {
    /// The spool below `root`, with what an earlier process left in it. What that process had not
    /// finished is removed; what exceeds `max_bytes` is lost. `access` says who may read it.
    pub(crate) fn open(root: PathBuf, max_bytes: u64, access: Access) -> Result<Self, SpoolError> {
        files::make_folders(&root, access)
            .map_err(|(folder, error)| SpoolError::system("create the folder", &folder, error))?;
        let path = root.join(LOCK);
        let lock = access::lock_file(&path).map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock => SpoolError::InUse(root.clone()),
            _ => SpoolError::system("lock", &path, error),
        })?;
        let spool = Self {
            ledger: Mutex::new(recover(&root)?),
            root,
            max_bytes,
            access,
            _lock: lock,
        };
        spool.make_room(&mut spool.ledger());
        Ok(spool)
    }

    /// The folder.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Begins an object of a logger; dropping it uncommitted leaves nothing behind.
    pub(crate) fn draft(
        &self,
        logger: Uuid,
        destination: &Destination,
        name: &str,
    ) -> Result<Draft<'_>, SpoolError> {
        let number = self.ledger().issue_number();
        Draft::begin(self, destination.queue(logger), number, destination, name)
    }

    /// Who has something waiting, besides those named.
    pub(crate) fn others(&self, known: &[Uuid]) -> Vec<(Uuid, Backlog)> {
        let ledger = self.ledger();
        let others = ledger.loggers().filter(|logger| !known.contains(logger));
        others
            .map(|logger| (logger, ledger.backlog(logger)))
            .filter(|(_, backlog)| backlog.files > 0)
            .collect()
    }

    /// What waits for delivery, wherever it goes.
    pub(crate) fn backlog(&self, logger: Uuid) -> Backlog {
        self.ledger().backlog(logger)
    }

    /// The queues of a logger in which something waits.
    pub(crate) fn queues(&self, logger: Uuid) -> Vec<QueueId> {
        self.ledger().queues(logger).collect()
    }

    /// Whether nothing waits in a queue.
    pub(crate) fn is_empty(&self, queue: QueueId) -> bool {
        !self.ledger().queues(queue.logger).any(|id| id == queue)
    }

    /// Where the objects of a queue belong: as its oldest object says that can be read.
    pub(crate) fn destination(&self, queue: QueueId) -> Option<Destination> {
        let mut from = 0;
        loop {
            let (number, entry) = self.ledger().oldest_from(queue, from)?;
            let head = Head::read(&self.path(queue, number, &entry));
            let destination = head.ok().and_then(|(head, _)| head.destination);
            let own = |to: &Destination| to.queue(queue.logger) == queue;
            if let Some(destination) = destination.filter(own) {
                return Some(destination);
            }
            from = number.checked_add(1)?;
        }
    }

    /// Gives up the damaged objects of a queue in which no object says where it belongs; the last error.
    pub(crate) fn lose_damaged(&self, queue: QueueId) -> Option<SpoolError> {
        let mut last = None;
        let waiting = self.ledger().at_rest(queue);
        for (number, entry) in waiting {
            let damage = Head::read(&self.path(queue, number, &entry)).err();
            if let Some(error @ SpoolError::Damaged { .. }) = damage {
                self.lose(queue, number);
                last = Some(error);
            }
        }
        last
    }

    /// Gives what waits in a queue to another one of the same logger, except what is on its way.
    pub(crate) fn pass_on(&self, from: QueueId, to: QueueId) -> Result<(), SpoolError> {
        let mut ledger = self.ledger();
        for (number, entry) in ledger.at_rest(from) {
            let path = self.path(to, number, &entry);
            fs::rename(self.path(from, number, &entry), &path)
                .map_err(|error| SpoolError::system("rename to", &path, error))?;
            ledger.move_entry(from, to, number);
        }
        let folder = self.folder(to.logger);
        files::sync_folder(&folder)
            .map_err(|error| SpoolError::system("sync the folder", &folder, error))
    }

    /// What exceeded the limit, or was damaged, since the process started.
    pub(crate) fn lost(&self, logger: Uuid) -> Lost {
        self.ledger().lost(logger)
    }

    /// Chooses what is carried to the store next. It is not lost to the limit meanwhile.
    pub(crate) fn choose(
        &self,
        queue: QueueId,
        choose: impl FnOnce(&Waiting) -> Option<u64>,
    ) -> Option<u64> {
        self.ledger().choose(queue, choose)
    }

    /// Puts back what was chosen.
    pub(crate) fn put_back(&self, queue: QueueId) {
        let mut ledger = self.ledger();
        ledger.put_back(queue);
        self.make_room(&mut ledger);
    }

    /// An object's name, what is known of it, and its bytes.
    pub(crate) fn read(
        &self,
        queue: QueueId,
        number: u64,
    ) -> Result<(Head, Entry, Body), SpoolError> {
        let entry = self.ledger().entry(queue, number).unwrap_or_default();
        let path = self.path(queue, number, &entry);
        let (head, body) = Head::read(&path)?;
        Ok((head, entry, body))
    }

    /// Removes what the store has. A removal that fails is tried again by the next process, which
    /// finds the object, and delivers it once more under its name.
    pub(crate) fn remove(&self, queue: QueueId, number: u64) -> Option<SpoolError> {
        let mut ledger = self.ledger();
        let entry = ledger.remove(queue, number)?;
        self.unlink(queue, number, &entry).err()
    }

    /// Gives up an object that cannot be delivered: it is lost.
    pub(crate) fn lose(&self, queue: QueueId, number: u64) {
        let mut ledger = self.ledger();
        if let Some(entry) = ledger.lose(queue, number) {
            // What stays is found and given up again by the next process.
            let _ = self.unlink(queue, number, &entry);
        }
    }

    /// Gives an object another name, at once or not at all.
    pub(crate) fn rename(&self, queue: QueueId, number: u64, name: &str) -> Result<(), SpoolError> {
        let (head, entry, mut body) = self.read(queue, number)?;
        let mut draft = Draft::again(self, queue, number, name, head)?;
        let path = draft.path().to_owned();
        io::copy(&mut body, &mut draft)
            .map_err(|error| SpoolError::system("copy to", &path, error))?;
        draft.commit(entry.interval_s, entry.rows)
    }

    /// Takes a whole object into account.
    fn enter(&self, queue: QueueId, number: u64, entry: Entry) {
        let mut ledger = self.ledger();
        ledger.enter(queue, number, entry);
        self.make_room(&mut ledger);
    }

    /// Gives up the oldest objects until the others fit.
    fn make_room(&self, ledger: &mut Ledger) {
        while ledger.bytes() > self.max_bytes
            && let Some((queue, number, entry)) = ledger.lose_oldest()
        {
            let _ = self.unlink(queue, number, &entry);
        }
    }

    fn unlink(&self, queue: QueueId, number: u64, entry: &Entry) -> Result<(), SpoolError> {
        let path = self.path(queue, number, entry);
        let removed =
            fs::remove_file(&path).and_then(|()| files::sync_folder(&self.folder(queue.logger)));
        removed.map_err(|error| SpoolError::system("remove", &path, error))
    }

    fn folder(&self, logger: Uuid) -> PathBuf {
        self.root.join(logger.to_string())
    }

    fn path(&self, queue: QueueId, number: u64, entry: &Entry) -> PathBuf {
        let name = FileName {
            number,
            entry: *entry,
            place: queue.place,
        };
        self.folder(queue.logger).join(name.to_string())
    }

    /// A panic elsewhere cannot leave it half changed: every change is one call.
    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is found below `root`. Files of other names are nobody's business.
fn recover(root: &Path) -> Result<Ledger, SpoolError> {
    let failed = |error| SpoolError::system("read the folder", root, error);
    let mut ledger = Ledger::default();
    for folder in fs::read_dir(root).map_err(failed)? {
        let folder = folder.map_err(failed)?;
        let logger = folder.file_name().to_str().map(Uuid::try_parse);
        if let Some(Ok(logger)) = logger {
            recover_logger(&folder.path(), logger, &mut ledger)?;
        }
    }
    Ok(ledger)
}

fn recover_logger(folder: &Path, logger: Uuid, ledger: &mut Ledger) -> Result<(), SpoolError> {
    let failed = |error| SpoolError::system("read the folder", folder, error);
    for file in fs::read_dir(folder).map_err(failed)? {
        let file = file.map_err(failed)?;
        let name = file.file_name();
        let Some(name) = name.to_str() else { continue };
        if name.ends_with(WRITING) {
            let path = file.path();
            fs::remove_file(&path)
                .map_err(|error| SpoolError::system("remove the unfinished", &path, error))?;
        } else if let Some(found) = FileName::parse(name) {
            let (place, mut entry) = (found.place, found.entry);
            entry.bytes = file.metadata().map_err(failed)?.len();
            ledger.enter(QueueId { logger, place }, found.number, entry);
        }
    }
    Ok(())
}

#[cfg(test)]
pub(crate) mod testing {
    use super::*;
    use std::io::Write as _;

    /// The bytes of an object, as a store gets them.
    pub(crate) fn body(bytes: &[u8]) -> Body {
        let state = tempfile::tempdir().unwrap();
        let spool = Spool::open(state.path().to_owned(), u64::MAX, Access::default()).unwrap();
        let logger = Uuid::from_u128(1);
        let mut draft = spool.draft(logger, &somewhere(), "name").unwrap();
        draft.write_all(bytes).unwrap();
        draft.commit(0, 1).unwrap();
        let queue = somewhere().queue(logger);
        let number = spool.choose(queue, |waiting| waiting.keys().next().copied());
        spool.read(queue, number.unwrap()).unwrap().2
    }

    /// A destination.
    pub(crate) fn somewhere() -> Destination {
        Destination::of(&crate::Storage::Directory("/somewhere".into()))
    }
}

#[cfg(test)]
mod tests;
