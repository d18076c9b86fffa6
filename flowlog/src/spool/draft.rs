//! An object in the making.

use super::{Destination, Entry, QueueId, Spool, SpoolError, WRITING, head::Head};
use crate::files;
use std::{
    fs::{self, File},
    io::{self, BufWriter, Seek as _, SeekFrom, Write},
    path::{Path, PathBuf},
};

/// Bytes gathered before they are written.
const BUFFER: usize = 64 * 1024;

/// An object in the making: invisible to delivery until it is committed.
#[derive(Debug)]
pub(crate) struct Draft<'a> {
    spool: &'a Spool,
    queue: QueueId,
    number: u64,
    head: Head,
    path: PathBuf,
    file: BufWriter<File>,
    bytes: u64,
    committed: bool,
}

impl<'a> Draft<'a> {
    pub(super) fn begin(
        spool: &'a Spool,
        queue: QueueId,
        number: u64,
        destination: &Destination,
        name: &str,
    ) -> Result<Self, SpoolError> {
        let head = Head {
            name: name.to_owned(),
            destination: Some(destination.clone()),
        };
        Self::open(spool, queue, number, head)
    }

    /// An object anew, under another name.
    pub(super) fn again(
        spool: &'a Spool,
        queue: QueueId,
        number: u64,
        name: &str,
        head: Head,
    ) -> Result<Self, SpoolError> {
        let name = name.to_owned();
        Self::open(spool, queue, number, Head { name, ..head })
    }

    fn open(spool: &'a Spool, queue: QueueId, number: u64, head: Head) -> Result<Self, SpoolError> {
        let folder = spool.folder(queue.logger);
        files::make_folders(&folder, spool.access)
            .map_err(|(folder, error)| SpoolError::system("create the folder", &folder, error))?;
        let path = folder.join(format!("{number:012}{WRITING}"));
        let failed = |error| SpoolError::system("create", &path, error);
        let file = spool.access.create(&path).map_err(failed)?;
        let mut file = BufWriter::with_capacity(BUFFER, file);
        file.write_all(head.line(0).as_bytes()).map_err(failed)?;
        Ok(Self {
            spool,
            queue,
            number,
            head,
            path,
            file,
            bytes: 0,
            committed: false,
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Makes the object durable and hands it to delivery.
    pub(crate) fn commit(mut self, interval_s: u64, rows: u64) -> Result<(), SpoolError> {
        let head = self.head.line(self.bytes);
        let entry = Entry {
            interval_s,
            rows,
            bytes: self.bytes + head.len() as u64,
        };
        self.finish(&head)
            .map_err(|error| SpoolError::system("write", &self.path, error))?;
        let (whole, folder) = (
            self.spool.path(self.queue, self.number, &entry),
            self.spool.folder(self.queue.logger),
        );
        fs::rename(&self.path, &whole)
            .map_err(|error| SpoolError::system("rename to", &whole, error))?;
        self.committed = true;
        // The object is entered even if this fails: it is there, and must not be delivered twice.
        let synced = files::sync_folder(&folder);
        self.spool.enter(self.queue, self.number, entry);
        synced.map_err(|error| SpoolError::system("sync the folder", &folder, error))
    }

    fn finish(&mut self, head: &str) -> io::Result<()> {
        self.file.flush()?;
        let file = self.file.get_mut();
        file.seek(SeekFrom::Start(0))?;
        file.write_all(head.as_bytes())?;
        file.sync_all()
    }
}

impl Write for Draft<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes.saturating_add(bytes.len() as u64) > self.spool.max_bytes {
            let text = "the object is greater than the whole spool may be (spool.max_bytes)";
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, text));
        }
        let written = self.file.write(bytes)?;
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for Draft<'_> {
    fn drop(&mut self) {
        if !self.committed {
            // Where this fails, too, the next start removes it.
            let _ = fs::remove_file(&self.path);
        }
    }
}
