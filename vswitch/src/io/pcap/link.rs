//! Link types: what stands before the network layer in a capture, and the Ethernet frame made of it.
//!
//! Captures of `any` and of tunnels have no Ethernet header, or less than one. Everything behind the
//! reader knows Ethernet alone, so each frame is given such a header; [`Macs`] says which of its
//! addresses the capture holds, the others are zero.
//!
//! Source: <https://www.tcpdump.org/linktypes.html>.

use super::{Captured, Macs};
use packet::{Mac, ethertype};

const ETHERNET_HEADER: usize = 14;

/// `sll_pkttype` of both cooked headers: to all stations.
const BROADCAST: u16 = 1;
/// ARPHRD_ETHER of Linux: the source address is a MAC.
const ARPHRD_ETHER: u16 = 1;

/// A link type that is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LinkType {
    Ethernet,
    /// Linux "cooked": packet type, ARPHRD, length and 8 bytes of address, protocol.
    Sll,
    /// The same with an interface index: protocol, 0, index, ARPHRD, packet type, length and address.
    Sll2,
    /// An IP packet; its version says which.
    Ip,
    /// Four bytes with the address family of the BSD that wrote it.
    Null,
}

impl LinkType {
    /// `None`: one that is not read.
    pub(super) const fn of(number: u32) -> Option<Self> {
        Some(match number {
            1 => Self::Ethernet,
            // DLT_RAW of most systems, LINKTYPE_RAW, LINKTYPE_IPV4, LINKTYPE_IPV6.
            12 | 101 | 228 | 229 => Self::Ip,
            // LINKTYPE_NULL and LINKTYPE_LOOP differ in byte order alone.
            0 | 108 => Self::Null,
            113 => Self::Sll,
            276 => Self::Sll2,
            _ => return None,
        })
    }

    const fn header_len(self) -> usize {
        match self {
            Self::Ethernet => ETHERNET_HEADER,
            Self::Sll => 16,
            Self::Sll2 => 20,
            Self::Ip => 0,
            Self::Null => 4,
        }
    }

    /// The frame with an Ethernet header. One that is shorter than its link-layer header becomes empty.
    pub(super) fn into_ethernet(self, captured: Captured) -> Captured {
        if self == Self::Ethernet {
            return captured;
        }
        let Captured {
            time_ns,
            frame,
            wire_len,
            ..
        } = captured;
        let header_len = self.header_len();
        let body = frame.get(header_len..).filter(|body| !body.is_empty());
        let header = body.and_then(|body| self.header(&frame, body));
        let (header, macs) = header.unwrap_or_default();
        let body_len = wire_len.saturating_sub(header_len as u32);
        Captured {
            time_ns,
            frame: match body {
                Some(body) => [&header[..], body].concat(),
                None => Vec::new(),
            },
            wire_len: match body_len {
                0 => 0,
                len => len.saturating_add(ETHERNET_HEADER as u32),
            },
            macs,
        }
    }

    /// The Ethernet header that stands for a captured one.
    fn header(self, frame: &[u8], body: &[u8]) -> Option<([u8; ETHERNET_HEADER], Macs)> {
        let u16_at = |at: usize| Some(u16::from_be_bytes(*frame.get(at..)?.first_chunk()?));
        let (pkttype, arphrd, address_len, address_at, protocol) = match self {
            Self::Sll => (u16_at(0)?, u16_at(2)?, u16_at(4)?, 6, u16_at(14)?),
            Self::Sll2 => {
                let [pkttype, address_len, ..] = *frame.get(10..)?.first_chunk::<2>()?;
                let pkttype = u16::from(pkttype);
                (pkttype, u16_at(8)?, u16::from(address_len), 12, u16_at(0)?)
            }
            Self::Ip | Self::Null | Self::Ethernet => {
                let protocol = match body.first()? >> 4 {
                    4 => ethertype::IPV4,
                    6 => ethertype::IPV6,
                    _ => 0,
                };
                (0, 0, 0, 0, protocol)
            }
        };
        let destination = match pkttype {
            BROADCAST => Mac::BROADCAST,
            _ => Mac::ZERO,
        };
        let source = Mac(*frame.get(address_at..)?.first_chunk()?);
        let (source, macs) = match (arphrd, address_len) {
            (ARPHRD_ETHER, 6) if source != Mac::ZERO => (source, Macs::Source),
            _ => (Mac::ZERO, Macs::None),
        };
        let mut header = [0; ETHERNET_HEADER];
        header[..6].copy_from_slice(&destination.0);
        header[6..12].copy_from_slice(&source.0);
        header[12..].copy_from_slice(&protocol.to_be_bytes());
        Some((header, macs))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ethernet(link: u32, frame: &[u8], wire_len: u32) -> Captured {
        LinkType::of(link).unwrap().into_ethernet(Captured {
            time_ns: 0,
            frame: frame.to_vec(),
            wire_len,
            macs: Macs::Both,
        })
    }

    const IP: [u8; 20] = [
        0x45, 0, 0, 20, 0, 0, 0, 0, 64, 1, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2,
    ];

    #[test]
    fn what_has_no_ethernet_header_is_given_one() {
        let sll = [&[0, 4, 0, 1, 0, 6, 2, 0, 0, 0, 0, 9, 0, 0, 8, 0], &IP[..]].concat();
        let sll2 = [
            &[8, 0, 0, 0, 0, 0, 0, 7, 0, 1, 1, 6, 2, 0, 0, 0, 0, 9, 0, 0],
            &IP[..],
        ]
        .concat();
        let null = [&[2, 0, 0, 0], &IP[..]].concat();
        let known = Mac([2, 0, 0, 0, 0, 9]);
        for (link, frame, source, destination, macs) in [
            (113, sll.as_slice(), known, Mac::ZERO, Macs::Source),
            (276, &sll2, known, Mac::BROADCAST, Macs::Source),
            (101, &IP, Mac::ZERO, Mac::ZERO, Macs::None),
            (12, &IP, Mac::ZERO, Mac::ZERO, Macs::None),
            (228, &IP, Mac::ZERO, Mac::ZERO, Macs::None),
            (0, &null, Mac::ZERO, Mac::ZERO, Macs::None),
            (108, &null, Mac::ZERO, Mac::ZERO, Macs::None),
        ] {
            let found = ethernet(link, frame, frame.len() as u32 + 100);
            let expected = [&destination.0[..], &source.0, &[8, 0], &IP].concat();
            assert_eq!(found.frame, expected, "{link}");
            assert_eq!((found.wire_len, found.macs), (134, macs), "{link}");
        }
    }

    #[test]
    fn a_device_without_mac_addresses_has_none_in_a_cooked_header() {
        let tunnel = [&[0, 0, 0xff, 0xfe, 0, 0], &[0; 8][..], &[8, 0], &IP].concat();
        let loopback = [&[0, 0, 3, 4, 0, 6], &[0; 8][..], &[8, 0], &IP].concat();
        for frame in [tunnel, loopback] {
            assert_eq!(ethernet(113, &frame, 36).macs, Macs::None);
        }
    }

    #[test]
    fn a_header_that_was_cut_off_leaves_nothing_of_the_frame() {
        let cut = ethernet(113, &[0; 15], 100);
        assert_eq!((cut.frame.len(), cut.wire_len), (0, 98));
        let short = ethernet(0, &[2, 0, 0], 3);
        assert_eq!((short.frame.len(), short.wire_len), (0, 0));
    }
}
