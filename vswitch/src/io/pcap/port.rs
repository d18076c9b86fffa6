//! A port that writes what it is sent into a capture: for replay, and for tests of the core.

use super::PcapWriter;
use crate::io::{Buffers, Frame, Lease, PortGone, PortIo, Sent, software};
use std::{
    io::{self, Write},
    os::fd::RawFd,
};

/// Takes frames into a capture, as they would look on a wire: checksums finished, segments apart.
/// Nothing is ever received from it.
#[derive(Debug)]
pub struct PcapPort<W: Write> {
    capture: PcapWriter<W>,
    time_ns: u64,
    sent: Sent,
    scratch: Vec<u8>,
    error: Option<io::Error>,
}

impl<W: Write> PcapPort<W> {
    /// A port that writes into `capture`.
    #[must_use]
    pub fn new(capture: PcapWriter<W>) -> Self {
        Self {
            capture,
            time_ns: 0,
            sent: Sent::default(),
            scratch: Vec::new(),
            error: None,
        }
    }

    /// The time that the next frames are stamped with, in nanoseconds since the epoch.
    pub fn set_time(&mut self, time_ns: u64) {
        self.time_ns = time_ns;
    }

    /// Ends the capture.
    ///
    /// # Errors
    /// The first error of the file; the frames from then on counted as lost.
    pub fn finish(self) -> io::Result<W> {
        match self.error {
            Some(error) => Err(error),
            None => self.capture.into_inner(),
        }
    }
}

impl<W: Write + Send> PortIo for PcapPort<W> {
    fn rx(&mut self, _pool: &mut Buffers) -> Result<Option<Lease>, PortGone> {
        Ok(None)
    }

    fn send(&mut self, frame: Frame<'_>) {
        let Self {
            capture,
            time_ns,
            sent,
            scratch,
            error,
        } = self;
        software::send_finished(frame, scratch, sent, |packet| {
            if error.is_none() {
                *error = capture.write(*time_ns, packet, packet.len() as u32).err();
            }
            error.is_none()
        });
    }

    fn flush(&mut self) -> Sent {
        std::mem::take(&mut self.sent)
    }

    fn source(&self) -> Option<RawFd> {
        None
    }

    fn offloads(&self) -> bool {
        false
    }
}
