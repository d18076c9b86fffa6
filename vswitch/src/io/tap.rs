//! A TAP as a port, by plain `read` and `write`: one system call per frame, no copy of ours.

use super::share::{Slow, TimeShare};
use super::{Buffers, Frame, Lease, PortGone, PortIo, Sent, software};
use packet::VNET_HDR_LEN;
use std::{
    io,
    os::fd::{AsRawFd, RawFd},
};
use tap::{Queue, vanished};

/// Errors in a row, other than "nothing waits", after which a port counts as gone. A frame that the
/// kernel cannot express in a virtio header costs one; no working device gives so many at once.
const RX_ERRORS_MAX: u32 = 64;

/// One queue of a TAP.
#[derive(Debug)]
pub struct TapPort {
    name: String,
    queue: Queue,
    vnet_hdr: bool,
    sent: Sent,
    rx_errors: u64,
    scratch: Vec<u8>,
    share: TimeShare,
}

impl TapPort {
    /// `name` is the port's, for messages; `vnet_hdr` is what the TAP was opened with.
    #[must_use]
    pub fn new(name: impl Into<String>, queue: Queue, vnet_hdr: bool) -> Self {
        Self {
            name: name.into(),
            queue,
            vnet_hdr,
            sent: Sent::default(),
            rx_errors: 0,
            scratch: Vec::new(),
            share: TimeShare::default(),
        }
    }

    /// Frames that the kernel failed to hand over.
    #[must_use]
    pub fn rx_errors(&self) -> u64 {
        self.rx_errors
    }

    /// See [`TimeShare::take_slow`].
    pub(super) fn take_slow(&mut self) -> Option<Slow> {
        self.share.take_slow()
    }

    /// The queue.
    pub(super) fn queue(&self) -> &Queue {
        &self.queue
    }

    /// Gives the queue back.
    pub(super) fn into_queue(self) -> Queue {
        self.queue
    }

    fn gone(&self, error: &io::Error) -> PortGone {
        PortGone {
            port: self.name.clone(),
            cause: error.to_string(),
        }
    }

    /// The way out to a port that wants finished packets without a header.
    #[cold]
    fn send_plain(&mut self, frame: Frame<'_>) {
        let Self {
            queue,
            sent,
            scratch,
            ..
        } = self;
        let mut gone = false;
        software::send_finished(frame, scratch, sent, |packet| {
            let result = queue.write(packet);
            gone |= result.as_ref().is_err_and(vanished);
            result.is_ok()
        });
        sent.gone |= gone;
    }
}

impl PortIo for TapPort {
    #[inline]
    fn rx(&mut self, pool: &mut Buffers) -> Result<Option<Lease>, PortGone> {
        for errors in 1.. {
            let read = pool.lend(|room| read(&self.queue, self.vnet_hdr, room));
            match read {
                Ok(lease) => return Ok(lease),
                Err(error) if vanished(&error) || errors >= RX_ERRORS_MAX => {
                    return Err(self.gone(&error));
                }
                Err(_) => self.rx_errors += 1,
            }
        }
        Ok(None)
    }

    #[inline]
    fn send(&mut self, frame: Frame<'_>) {
        if self.vnet_hdr {
            let (queue, whole) = (&self.queue, frame.whole());
            let result = if self.share.is_untimed() {
                queue.write(whole)
            } else {
                let write = || queue.write(whole);
                self.share.write(whole.len(), frame.packets(), write)
            };
            self.sent.count(frame.packets(), result.is_ok());
            self.sent.gone |= result.as_ref().is_err_and(vanished);
        } else {
            self.send_plain(frame);
        }
    }

    #[inline]
    fn flush(&mut self) -> Sent {
        std::mem::take(&mut self.sent)
    }

    fn source(&self) -> Option<RawFd> {
        Some(self.queue.as_raw_fd())
    }

    fn offloads(&self) -> bool {
        self.vnet_hdr
    }
}

/// Reads a frame into its place behind the header; a device without headers gets one that says
/// "nothing left to do".
#[inline]
fn read(queue: &Queue, vnet_hdr: bool, room: &mut [u8]) -> io::Result<Option<usize>> {
    if vnet_hdr {
        return queue.read(room);
    }
    let (header, frame) = room.split_at_mut(VNET_HDR_LEN);
    header.fill(0);
    Ok(queue.read(frame)?.map(|len| VNET_HDR_LEN + len))
}
