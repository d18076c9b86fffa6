//! IPv4 (RFC 791).

use super::{Defect, Fragment, Headers, Ip, L4, Net, protocol, upper};
use crate::{Offload, checksum::Sum};
use std::net::{IpAddr, Ipv4Addr};

/// Bytes of the header without options.
const FIXED: usize = 20;
const MORE_FRAGMENTS: u16 = 0x2000;
const OFFSET_MASK: u16 = 0x1fff;
/// The greatest total length, also of a datagram put together from fragments.
const DATAGRAM_MAX: usize = 65_535;

#[inline]
pub(super) fn parse(headers: &mut Headers, packet: &[u8], offload: Offload) {
    let start = headers.eth.header_len();
    let Some(fixed) = packet.first_chunk::<FIXED>() else {
        return headers.flaw(Defect::IpHeaderLength);
    };
    #[rustfmt::skip]
    let [
        version, _tos, l0, l1,
        i0, i1, f0, f1,
        hop_limit, protocol, _, _,
        s0, s1, s2, s3,
        d0, d1, d2, d3,
    ] = *fixed;
    if version >> 4 != 4 {
        return headers.flaw(Defect::Version);
    }
    let header_len = usize::from(version & 0x0f) * 4;
    let total_len = usize::from(u16::from_be_bytes([l0, l1]));
    let header = packet.get(..header_len).filter(|_| header_len >= FIXED);
    let whole = packet.get(..total_len).filter(|_| total_len >= header_len);
    match (header, whole) {
        (None, _) => headers.flaw(Defect::IpHeaderLength),
        (Some(_), None) => headers.flaw(Defect::IpLength),
        (Some(_), Some(_)) => {}
    }
    let sum = match header {
        Some(header) if header_len > FIXED => Sum::new().bytes(header),
        _ => Sum::new().bytes(fixed),
    };
    headers.bad_checksum = header.is_some() && !sum.is_right();
    let packet = if header.is_some() {
        whole.unwrap_or(packet)
    } else {
        packet
    };
    let payload = packet.get(header_len.max(FIXED)..).unwrap_or_default();
    headers.wire.bytes = packet.len() as u32;

    let mut fragment = None;
    let place = u16::from_be_bytes([f0, f1]);
    if place & (MORE_FRAGMENTS | OFFSET_MASK) != 0 && header.is_some() {
        let part = Fragment {
            id: u32::from(u16::from_be_bytes([i0, i1])),
            offset: (place & OFFSET_MASK) * 8,
            len: u16::try_from(payload.len()).unwrap_or(u16::MAX),
            more: place & MORE_FRAGMENTS != 0,
        };
        fragment = Some(part);
        if let Some(defect) = check(&part, protocol, header_len) {
            headers.flaw(defect);
        }
    }
    headers.net = Net::Ip(Ip {
        src: IpAddr::V4(Ipv4Addr::new(s0, s1, s2, s3)),
        dst: IpAddr::V4(Ipv4Addr::new(d0, d1, d2, d3)),
        protocol,
        hop_limit,
        fragment,
        l4: L4::Opaque,
        l4_offset: (start + packet.len() - payload.len()) as u16,
        end: (start + packet.len()) as u32,
    });
    if header.is_some() {
        let addresses = [s0, s1, s2, s3, d0, d1, d2, d3];
        upper::parse(headers, payload, &addresses, offload);
    }
}

/// What is wrong with a fragment's place. `before` are the bytes of the datagram that each
/// fragment repeats and that count against its greatest length.
#[inline]
pub(super) fn check(fragment: &Fragment, protocol: u8, before: usize) -> Option<Defect> {
    let end = before + usize::from(fragment.offset) + usize::from(fragment.len);
    let unaligned = fragment.more && !fragment.len.is_multiple_of(8);
    let empty = fragment.offset > 0 && fragment.len == 0;
    if end > DATAGRAM_MAX || unaligned || empty {
        return Some(Defect::Fragment);
    }
    // RFC 1858, section 3.2.2: it would rewrite the flags of a first fragment of eight bytes.
    (fragment.offset == 8 && protocol == protocol::TCP).then_some(Defect::TinyFragment)
}
