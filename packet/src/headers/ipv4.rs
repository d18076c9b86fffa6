//! IPv4 (RFC 791).

use super::{Defect, Fragment, Headers, Ip, L4, Net, offload, protocol, upper};
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
    let [
        vihl,
        _tos,
        l0,
        l1,
        i0,
        i1,
        f0,
        f1,
        ttl,
        proto,
        _c0,
        _c1,
        s0,
        s1,
        s2,
        s3,
        d0,
        d1,
        d2,
        d3,
    ] = *fixed;
    if vihl >> 4 != 4 {
        return headers.flaw(Defect::Version);
    }
    let mut ip = Ip {
        src: IpAddr::V4(Ipv4Addr::new(s0, s1, s2, s3)),
        dst: IpAddr::V4(Ipv4Addr::new(d0, d1, d2, d3)),
        protocol: proto,
        hop_limit: ttl,
        fragment: None,
        l4: L4::Opaque,
        l4_offset: (start + FIXED) as u16,
        end: (start + packet.len()) as u32,
    };
    headers.wire.bytes = packet.len() as u32;
    let header_len = usize::from(vihl & 0x0f) * 4;
    let Some(header) = packet.get(..header_len).filter(|_| header_len >= FIXED) else {
        headers.net = Net::Ip(ip);
        return headers.flaw(Defect::IpHeaderLength);
    };
    headers.bad_checksum = !Sum::new().bytes(header).is_right();

    let total_len = usize::from(u16::from_be_bytes([l0, l1]));
    let packet = match packet.get(..total_len) {
        Some(packet) if total_len >= header_len => packet,
        _ => {
            headers.flaw(Defect::IpLength);
            packet
        }
    };
    let payload = packet.get(header_len..).unwrap_or_default();
    headers.wire.bytes = packet.len() as u32;
    ip.l4_offset = (start + header_len) as u16;
    ip.end = (start + packet.len()) as u32;

    let (id, place) = (u16::from_be_bytes([i0, i1]), u16::from_be_bytes([f0, f1]));
    if place & (MORE_FRAGMENTS | OFFSET_MASK) != 0 {
        let fragment = Fragment {
            id: u32::from(id),
            offset: (place & OFFSET_MASK) * 8,
            len: u16::try_from(payload.len()).unwrap_or(u16::MAX),
            more: place & MORE_FRAGMENTS != 0,
        };
        ip.fragment = Some(fragment);
        if let Some(defect) = check(&fragment, proto, header_len) {
            headers.flaw(defect);
        }
    }
    let upper = upper::parse(payload, proto, protocol::ICMP, ip.fragment);
    ip.l4 = upper.l4;
    if let Some(defect) = upper.defect {
        headers.flaw(defect);
    }
    offload::settle(headers, ip, &upper, payload, offload);
}

/// What is wrong with a fragment's place. `before` are the bytes of the datagram that each
/// fragment repeats and that count against its greatest length.
#[inline]
pub(super) fn check(fragment: &Fragment, protocol: u8, before: usize) -> Option<Defect> {
    let end = before + usize::from(fragment.offset) + usize::from(fragment.len);
    let unaligned = fragment.more && fragment.len % 8 != 0;
    let empty = fragment.offset > 0 && fragment.len == 0;
    if end > DATAGRAM_MAX || unaligned || empty {
        return Some(Defect::Fragment);
    }
    // RFC 1858, section 3.2.2: it would rewrite the flags of a first fragment of eight bytes.
    (fragment.offset == 8 && protocol == protocol::TCP).then_some(Defect::TinyFragment)
}
