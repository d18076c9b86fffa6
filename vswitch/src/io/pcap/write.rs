//! Writes classic pcap with nanoseconds, little-endian: what every reader understands.

use super::{ETHERNET, FRAME_MAX, classic::NANOSECONDS};
use std::{
    fs::File,
    io::{self, BufWriter, Write},
    path::Path,
};

/// Writes frames to a capture file.
#[derive(Debug)]
pub struct PcapWriter<W: Write> {
    to: W,
}

impl PcapWriter<BufWriter<File>> {
    /// Makes the file, or empties it.
    ///
    /// # Errors
    /// What the file system says.
    pub fn create(path: impl AsRef<Path>) -> io::Result<Self> {
        Self::new(BufWriter::new(File::create(path)?))
    }
}

impl<W: Write> PcapWriter<W> {
    /// Writes the file header.
    ///
    /// # Errors
    /// What `to` says.
    pub fn new(mut to: W) -> io::Result<Self> {
        let (version_2_4, zone, accuracy) = (0x0004_0002, 0, 0);
        for word in [
            NANOSECONDS,
            version_2_4,
            zone,
            accuracy,
            FRAME_MAX as u32,
            ETHERNET,
        ] {
            to.write_all(&word.to_le_bytes())?;
        }
        Ok(Self { to })
    }

    /// Writes a frame; what exceeds [`FRAME_MAX`] is cut off. Times beyond 2106 do not fit the format
    /// and stay at its end.
    ///
    /// # Errors
    /// What the file says.
    pub fn write(&mut self, time_ns: u64, frame: &[u8], wire_len: u32) -> io::Result<()> {
        let frame = &frame[..frame.len().min(FRAME_MAX)];
        let kept = frame.len() as u32;
        let seconds = u32::try_from(time_ns / 1_000_000_000).unwrap_or(u32::MAX);
        let fraction = (time_ns % 1_000_000_000) as u32;
        for word in [seconds, fraction, kept, wire_len.max(kept)] {
            self.to.write_all(&word.to_le_bytes())?;
        }
        self.to.write_all(frame)
    }

    /// Hands everything to the file.
    ///
    /// # Errors
    /// What the file says.
    pub fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }

    /// Hands everything over and gives back what it was written to.
    ///
    /// # Errors
    /// What the file says.
    pub fn into_inner(mut self) -> io::Result<W> {
        self.to.flush()?;
        Ok(self.to)
    }
}
