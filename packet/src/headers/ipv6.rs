//! IPv6 and the walk over its extension headers (RFC 8200).

use super::{Defect, Fragment, Headers, Ip, L4, Net, ipv4, protocol, upper};
use crate::Offload;
use std::net::{IpAddr, Ipv6Addr};

/// Extension headers in one packet. RFC 8200 section 4.1 lists seven in its recommended order;
/// beyond that somebody probes parsers.
pub const EXTENSION_HEADERS_MAX: usize = 8;
/// Their bytes in one packet: room for a segment routing header of 16 segments (RFC 8754) among
/// others. The headers of ordinary traffic take 8 to 40.
pub const EXTENSION_BYTES_MAX: usize = 512;

/// Bytes of the fixed header.
const FIXED: usize = 40;
const MORE_FRAGMENTS: u16 = 1;
const OFFSET_MASK: u16 = 0xfff8;

#[inline]
pub(super) fn parse(headers: &mut Headers, packet: &[u8], offload: Offload) {
    let start = headers.eth.header_len();
    let Some((fixed, rest)) = packet.split_first_chunk::<FIXED>() else {
        return headers.flaw(Defect::IpLength);
    };
    if fixed[0] >> 4 != 6 {
        return headers.flaw(Defect::Version);
    }
    let payload_len = usize::from(u16::from_be_bytes([fixed[4], fixed[5]]));
    let payload = rest.get(..payload_len).unwrap_or_else(|| {
        headers.flaw(Defect::IpLength);
        rest
    });
    let (src, dst) = addresses(fixed);
    let walk = walk(payload, fixed[6]);
    headers.wire.bytes = (FIXED + payload.len()) as u32;
    headers.net = Net::Ip(Ip {
        src: IpAddr::V6(src),
        dst: IpAddr::V6(dst),
        protocol: walk.protocol,
        hop_limit: fixed[7],
        fragment: walk.fragment,
        l4: L4::Opaque,
        l4_offset: (start + FIXED + walk.len) as u16,
        end: (start + FIXED + payload.len()) as u32,
    });
    if let Some(defect) = walk.defect {
        return headers.flaw(defect);
    }
    if let Some(fragment) = &walk.fragment
        && let Some(defect) = ipv4::check(fragment, walk.protocol, walk.unfragmentable)
    {
        headers.flaw(defect);
    }
    // With segments left, the checksum is over the last of them and not over `dst`.
    let data_valid = offload.data_valid || walk.segments_left;
    let payload = payload.get(walk.len..).unwrap_or_default();
    upper::parse(
        headers,
        payload,
        &fixed[8..],
        Offload {
            data_valid,
            ..offload
        },
    );
}

#[inline]
pub(crate) fn addresses(fixed: &[u8; FIXED]) -> (Ipv6Addr, Ipv6Addr) {
    let mut src = [0; 16];
    let mut dst = [0; 16];
    src.copy_from_slice(&fixed[8..24]);
    dst.copy_from_slice(&fixed[24..40]);
    (Ipv6Addr::from(src), Ipv6Addr::from(dst))
}

/// Where a walk over extension headers ended.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Walk {
    /// The first header that is no extension header, or where the walk gave up.
    pub(crate) protocol: u8,
    /// Bytes of extension headers.
    pub(crate) len: usize,
    /// Set for real fragments.
    pub(crate) fragment: Option<Fragment>,
    /// Bytes of the extension headers that each fragment repeats.
    unfragmentable: usize,
    /// A routing header has segments left.
    segments_left: bool,
    /// Why the walk gave up.
    pub(crate) defect: Option<Defect>,
}

/// Walks over the extension headers at the start of a payload. ESP and "no next header" end it,
/// as does a fragment that is not the first.
#[inline]
pub(crate) fn walk(payload: &[u8], first: u8) -> Walk {
    let mut walk = Walk {
        protocol: first,
        len: 0,
        fragment: None,
        unfragmentable: 0,
        segments_left: false,
        defect: None,
    };
    if is_extension(first) {
        walk.on(payload);
    }
    walk
}

#[inline]
const fn is_extension(protocol: u8) -> bool {
    matches!(
        protocol,
        protocol::HOP_BY_HOP
            | protocol::ROUTING
            | protocol::FRAGMENT
            | protocol::AH
            | protocol::DEST_OPTIONS
    )
}

impl Walk {
    fn on(&mut self, payload: &[u8]) {
        let mut fragment_seen = false;
        for _ in 0..EXTENSION_HEADERS_MAX {
            let Some(header) = payload
                .get(self.len..)
                .and_then(|rest| rest.first_chunk::<8>())
            else {
                return self.give_up();
            };
            let [next, len, third, fourth, ..] = *header;
            let len = match self.protocol {
                protocol::FRAGMENT => 8,
                protocol::AH => (usize::from(len) + 2) * 4,
                _ => (usize::from(len) + 1) * 8,
            };
            match self.protocol {
                protocol::ROUTING if third == 0 => {
                    self.defect = Some(Defect::RoutingHeader);
                    return;
                }
                protocol::ROUTING => self.segments_left |= fourth > 0,
                protocol::FRAGMENT if fragment_seen => return self.give_up(),
                protocol::FRAGMENT => {
                    fragment_seen = true;
                    self.fragment(header, payload.len().saturating_sub(self.len + len));
                }
                _ => {}
            }
            if self.len + len > payload.len() || self.len + len > EXTENSION_BYTES_MAX {
                return self.give_up();
            }
            self.len += len;
            self.protocol = next;
            if !is_extension(next) || self.is_later_fragment() {
                return;
            }
        }
        self.give_up();
    }

    fn fragment(&mut self, header: &[u8; 8], len: usize) {
        let [_, _, p0, p1, i0, i1, i2, i3] = *header;
        let place = u16::from_be_bytes([p0, p1]);
        if place & (OFFSET_MASK | MORE_FRAGMENTS) == 0 {
            return; // Atomic (RFC 6946): a whole packet.
        }
        let fragment = Fragment {
            id: u32::from_be_bytes([i0, i1, i2, i3]),
            offset: place & OFFSET_MASK,
            len: u16::try_from(len).unwrap_or(u16::MAX),
            more: place & MORE_FRAGMENTS != 0,
        };
        self.unfragmentable = self.len;
        self.fragment = Some(fragment);
    }

    fn is_later_fragment(&self) -> bool {
        self.fragment.is_some_and(|fragment| fragment.offset > 0)
    }

    /// RFC 7112: a first fragment holds the whole chain of headers; one that does not is tiny.
    fn give_up(&mut self) {
        self.defect = Some(match self.fragment {
            Some(_) => Defect::TinyFragment,
            None => Defect::ExtensionHeaders,
        });
    }
}
