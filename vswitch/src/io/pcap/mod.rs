//! Capture files: classic pcap (both byte orders, microseconds and nanoseconds) and pcapng are read, also
//! compressed with gzip or zstd; classic pcap with nanoseconds is written. Of link types Ethernet is read
//! as it is; Linux "cooked", raw IP and BSD loopback are given an Ethernet header ([`Macs`]).
//!
//! ```text
//!   file, stdin ─ input: unpack ─▶ classic | ng ─ link: Ethernet ─▶ order: by time ─▶ merge
//! ```
//! A capture is bad input until proven otherwise: nothing in it can panic, or make a reader keep
//! more than one frame of [`FRAME_MAX`] bytes. Errors name the file and the byte.
//!
//! Sources: draft-ietf-opsawg-pcap and draft-ietf-opsawg-pcapng.

mod classic;
mod input;
mod link;
mod merge;
mod ng;
mod order;
mod port;
mod read;
mod source;
mod write;

pub use merge::{Merged, merge};
pub use ng::Foreign;
pub use order::{Sorted, WAITING_BYTES_MAX, sorted};
pub use port::PcapPort;
pub use read::PcapReader;
pub use write::PcapWriter;

use std::{io, path::PathBuf};

/// Longest frame of a capture in bytes: `MAXIMUM_SNAPLEN` of libpcap, four times an IP packet.
pub const FRAME_MAX: usize = 262_144;

/// LINKTYPE_ETHERNET.
const ETHERNET: u32 = 1;

/// Which of a frame's MAC addresses its capture holds; the others are zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Macs {
    /// Both: an Ethernet capture.
    Both,
    /// The source's alone: a "cooked" one.
    Source,
    /// None: raw IP, loopback, tunnels.
    #[default]
    None,
}

/// A frame from a capture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Captured {
    /// When, in nanoseconds since the UNIX epoch.
    pub time_ns: u64,
    /// What was kept of it.
    pub frame: Vec<u8>,
    /// Its length on the wire in bytes; more than `frame` where the capture cut it off.
    pub wire_len: u32,
    /// Which of its MAC addresses are known.
    pub macs: Macs,
}

/// A capture that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("{}, byte {offset}{}: {problem}", file.display(), if *is_packed { " unpacked" } else { "" })]
pub struct PcapError {
    /// File.
    pub file: PathBuf,
    /// Whether the file is compressed.
    pub is_packed: bool,
    /// Where the thing begins that cannot be read; of a compressed file, in what it unpacks to.
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
    /// Another compression than those that are read.
    #[error(
        "the file is compressed ({0}); unpack it first, as in `{0} -dc FILE | vswitch replay … -`"
    )]
    Compressed(&'static str),
    /// A link type that is not read.
    #[error(
        "the link type is {0}; those that are read are Ethernet (1), Linux cooked (113, 276), \
         raw IP (12, 101, 228, 229) and BSD loopback (0, 108)"
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
