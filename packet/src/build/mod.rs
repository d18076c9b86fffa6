//! Frames made to order, for tests and for the text form.
//!
//! ```
//! use packet::{Headers, Mac, Offload, build, tcp_flags};
//!
//! let frame = build::frame(Mac([2, 0, 0, 0, 0, 1]), Mac([2, 0, 0, 0, 0, 2]))
//!     .vlan(5)
//!     .ip([10, 77, 1, 11], [10, 77, 1, 12])
//!     .tcp(40_000, 22)
//!     .flags(tcp_flags::SYN)
//!     .build();
//! assert_eq!(Headers::parse(&frame, Offload::default()).unwrap().defect, None);
//! ```
//!
//! Lengths and checksums are right unless a method says another value; that value is then written
//! as it stands. This is no packet path: it allocates, and cuts what does not fit its field.

mod arp;
mod fragments;
mod ip;
mod offload;
mod upper;

pub use fragments::fragments;
pub use ip::IpBuilder;
pub use offload::vnet_header;
pub use upper::{IcmpBuilder, TcpBuilder, UdpBuilder};

use crate::{Mac, ethertype};
use std::net::IpAddr;

/// Starts a frame.
#[must_use]
pub fn frame(src: Mac, dst: Mac) -> FrameBuilder {
    FrameBuilder {
        src,
        dst,
        tags: Vec::new(),
        ethertype: None,
    }
}

/// The link layer of a frame in the making.
#[derive(Debug, Clone)]
pub struct FrameBuilder {
    src: Mac,
    dst: Mac,
    tags: Vec<[u16; 2]>,
    ethertype: Option<u16>,
}

impl FrameBuilder {
    /// Adds an 802.1Q tag; 0 is a priority tag. Called twice, it makes a double-tagged frame.
    #[must_use]
    pub fn vlan(self, vid: u16) -> Self {
        self.tag(ethertype::VLAN, vid)
    }

    /// Adds a tag of any type, with its 16 bits of priority and VID.
    #[must_use]
    pub fn tag(mut self, ethertype: u16, control: u16) -> Self {
        self.tags.push([ethertype, control]);
        self
    }

    /// Writes this ethertype instead of the one that fits what follows.
    #[must_use]
    pub fn ethertype(mut self, ethertype: u16) -> Self {
        self.ethertype = Some(ethertype);
        self
    }

    /// Goes on with IPv4 or IPv6; the family is the source's.
    #[must_use]
    pub fn ip(self, src: impl Into<IpAddr>, dst: impl Into<IpAddr>) -> IpBuilder {
        IpBuilder::new(self, src.into(), dst.into())
    }

    /// Ends with bytes behind an ethertype.
    #[must_use]
    pub fn payload(&self, ethertype: u16, payload: &[u8]) -> Vec<u8> {
        let mut frame = Vec::with_capacity(18 + payload.len());
        frame.extend(self.dst.0);
        frame.extend(self.src.0);
        for word in self.tags.as_flattened() {
            frame.extend(word.to_be_bytes());
        }
        frame.extend(self.ethertype.unwrap_or(ethertype).to_be_bytes());
        frame.extend(payload);
        frame
    }
}
