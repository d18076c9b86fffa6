//! One parse of a frame into [`Headers`].
//!
//! ```text
//!   link ──▶ arp
//!     └────▶ ipv4 | ipv6 (extension headers) ──▶ upper (TCP, UDP, ports, ICMP) ──▶ offload
//! ```
//!
//! Failure rule: the first defect found is kept, and so is all that was read before it. A length
//! that lies is replaced by what is really there, so that ports that can be read are read.

mod arp;
mod ipv4;
mod ipv6;
mod link;
mod numbers;
mod offload;
mod ordinary;
mod types;
mod upper;

pub use ipv6::{EXTENSION_BYTES_MAX, EXTENSION_HEADERS_MAX};
pub(crate) use ipv6::{addresses, walk};
pub use numbers::{dccp_type, ethertype, protocol, sctp_chunk, tcp_flags};
pub use types::{
    Arp, Dccp, Defect, Ethernet, Fragment, Headers, Icmp, Ip, L4, Net, Runt, Sctp, Tcp, Vlan, Wire,
};
pub(crate) use upper::icmp_has_id;

use crate::{Mac, Offload};

/// The longest IP packet that can be: an IPv6 header and 65,535 bytes. Bytes of a frame behind
/// that are padding by definition.
pub(crate) const IP_PACKET_MAX: usize = 40 + 65_535;

impl Headers {
    /// Nothing read yet: a place for [`Self::parse_into`].
    #[inline]
    #[must_use]
    pub const fn empty() -> Self {
        Self {
            eth: Ethernet {
                src: Mac::ZERO,
                dst: Mac::ZERO,
                vlan: Vlan::Untagged,
                ethertype: 0,
            },
            net: Net::Other,
            wire: Wire {
                packets: 1,
                bytes: 0,
            },
            defect: None,
            bad_checksum: false,
            ordinary: false,
        }
    }

    /// Parses a frame (without its virtio header). Never panics; at most [`Defect`].
    ///
    /// # Errors
    /// [`Runt`] for fewer than 14 bytes.
    #[inline]
    pub fn parse(frame: &[u8], offload: Offload) -> Result<Self, Runt> {
        let mut headers = Self::empty();
        headers.parse_into(frame, offload)?;
        Ok(headers)
    }

    /// As [`Self::parse`], into a place of the caller's, so that a batch that keeps its headers
    /// saves the copy. Whatever stood there is overwritten.
    ///
    /// # Errors
    /// [`Runt`] for fewer than 14 bytes; the place then holds [`Self::empty`].
    #[inline]
    pub fn parse_into(&mut self, frame: &[u8], offload: Offload) -> Result<(), Runt> {
        self.net = Net::Other;
        self.wire = Wire {
            packets: 1,
            bytes: 0,
        };
        self.bad_checksum = false;
        let Some((eth, defect)) = link::parse(frame) else {
            *self = Self::empty();
            return Err(Runt);
        };
        (self.eth, self.defect) = (eth, defect);
        self.network(frame, offload);
        self.ordinary = ordinary::is_ordinary(self);
        Ok(())
    }

    /// Reads what lies behind the link-layer header.
    #[inline]
    fn network(&mut self, frame: &[u8], offload: Offload) {
        let body = frame.get(self.eth.header_len()..).unwrap_or_default();
        let body = body.get(..IP_PACKET_MAX).unwrap_or(body);
        match self.eth.ethertype {
            _ if self.defect.is_some() || self.eth.vlan == Vlan::Double => {}
            ethertype::IPV4 => ipv4::parse(self, body, offload),
            ethertype::IPV6 => ipv6::parse(self, body, offload),
            ethertype::ARP | ethertype::RARP => arp::parse(self, body),
            _ => {}
        }
        if offload.gso.is_some() && self.ip().is_none() {
            self.flaw(Defect::Offload);
        }
    }

    /// Notes a defect; the first one stays.
    #[inline]
    fn flaw(&mut self, defect: Defect) {
        self.defect.get_or_insert(defect);
    }
}
