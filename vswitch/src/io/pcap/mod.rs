//! Capture files: classic pcap (both byte orders, microseconds and nanoseconds) and pcapng are read,
//! classic pcap with nanoseconds is written. Ethernet only.
//!
//! A capture is bad input until proven otherwise: nothing in it can panic, or make a reader keep
//! more than one frame of [`FRAME_MAX`] bytes. Errors name the file and the byte.
//!
//! Sources: draft-ietf-opsawg-pcap and draft-ietf-opsawg-pcapng.

mod classic;
mod merge;
mod ng;
mod port;
mod read;
mod source;
mod write;

pub use merge::{Merged, merge};
pub use port::PcapPort;
pub use read::PcapReader;
pub use write::PcapWriter;

use std::{io, path::PathBuf};

/// Longest frame of a capture in bytes: `MAXIMUM_SNAPLEN` of libpcap, four times an IP packet.
pub const FRAME_MAX: usize = 262_144;

/// LINKTYPE_ETHERNET.
const ETHERNET: u32 = 1;

/// A frame from a capture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Captured {
    /// When, in nanoseconds since the UNIX epoch.
    pub time_ns: u64,
    /// What was kept of it.
    pub frame: Vec<u8>,
    /// Its length on the wire in bytes; more than `frame` where the capture cut it off.
    pub wire_len: u32,
}

/// A capture that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("{}, byte {offset}: {problem}", file.display())]
pub struct PcapError {
    /// File.
    pub file: PathBuf,
    /// Where the thing begins that cannot be read.
    pub offset: u64,
    /// What is wrong.
    pub problem: Problem,
}

/// What is wrong with a capture.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// Reading failed.
    #[error("cannot read: {0}")]
    Io(#[from] io::Error),
    /// Another kind of file.
    #[error("this is no capture (pcap or pcapng)")]
    NotACapture,
    /// A capture in a wrapper.
    #[error("the file is compressed ({0}); unpack it first")]
    Compressed(&'static str),
    /// A link type other than Ethernet.
    #[error(
        "the link type is {0}, not Ethernet (1); capture on an Ethernet interface, not on `any`"
    )]
    LinkType(u32),
    /// The file ends in the midst of something.
    #[error("the file ends within {0}; what came before it was read")]
    CutOff(&'static str),
    /// A length that cannot be.
    #[error("{what} of {len} bytes, and at most {max} are possible; the file is damaged")]
    Length {
        /// Of what.
        what: &'static str,
        /// The length given.
        len: u64,
        /// The limit.
        max: u64,
    },
    /// A packet that refers to an interface that was not described.
    #[error("a packet of interface {0}, which the file does not describe; the file is damaged")]
    NoInterface(u32),
    /// More interfaces than a reader keeps.
    #[error("more than {} interfaces in one section", ng::INTERFACES_MAX)]
    TooManyInterfaces,
}

#[cfg(test)]
mod tests;
