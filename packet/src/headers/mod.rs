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
mod types;
mod upper;

pub use ipv6::{EXTENSION_BYTES_MAX, EXTENSION_HEADERS_MAX};
pub(crate) use ipv6::{addresses, walk};
pub use numbers::{ethertype, protocol, tcp_flags};
pub use types::{
    Arp, Defect, Ethernet, Fragment, Headers, Icmp, Ip, L4, Net, Runt, Tcp, Vlan, Wire,
};
pub(crate) use upper::icmp_has_id;

use crate::Offload;

/// The longest IP packet that can be: an IPv6 header and 65,535 bytes. Bytes of a frame behind
/// that are padding by definition.
pub(crate) const IP_PACKET_MAX: usize = 40 + 65_535;

impl Headers {
    /// Parses a frame (without its virtio header). Never panics; at most [`Defect`].
    ///
    /// # Errors
    /// [`Runt`] for fewer than 14 bytes.
    #[inline]
    pub fn parse(frame: &[u8], offload: Offload) -> Result<Self, Runt> {
        let (eth, body, defect) = link::parse(frame).ok_or(Runt)?;
        let wire = Wire {
            packets: 1,
            bytes: 0,
        };
        let mut headers = Self {
            eth,
            net: Net::Other,
            wire,
            defect,
            bad_checksum: false,
        };
        if defect.is_none() && eth.vlan != Vlan::Double {
            let body = body.get(..IP_PACKET_MAX).unwrap_or(body);
            match eth.ethertype {
                ethertype::IPV4 => ipv4::parse(&mut headers, body, offload),
                ethertype::IPV6 => ipv6::parse(&mut headers, body, offload),
                ethertype::ARP | ethertype::RARP => arp::parse(&mut headers, body),
                _ => {}
            }
        }
        if offload.gso.is_some() && headers.ip().is_none() {
            headers.flaw(Defect::Offload);
        }
        Ok(headers)
    }

    /// Notes a defect; the first one stays.
    #[inline]
    fn flaw(&mut self, defect: Defect) {
        self.defect.get_or_insert(defect);
    }
}
