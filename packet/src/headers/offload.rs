//! What the virtio header adds: how many packets the frame stands for, and whether its checksum
//! is there to be verified.

use super::upper::Extent;
use super::{Defect, Headers, Ip, L4, Wire, protocol};
use crate::{Gso, GsoKind, Offload, checksum::Sum};

/// Counts packets and verifies the upper layer's checksum, once the headers are read.
#[inline]
pub(super) fn settle(
    headers: &mut Headers,
    extent: &Extent,
    payload: &[u8],
    addresses: &[u8],
    offload: Offload,
) {
    if let Some(gso) = offload.gso {
        return segmented(headers, extent, gso);
    }
    let verifiable = !offload.needs_checksum && !offload.data_valid && headers.defect.is_none();
    if verifiable
        && let Some(ip) = headers.ip()
        && ip.fragment.is_none()
    {
        let covered = payload.get(..extent.covered).unwrap_or(payload);
        headers.bad_checksum |= !checksum_is_right(ip, covered, addresses);
    }
}

fn segmented(headers: &mut Headers, extent: &Extent, gso: Gso) {
    let Some(&ip) = headers.ip() else { return };
    let borne_out = match (gso.kind, &ip.l4) {
        (GsoKind::Tcp4, L4::Tcp(_)) => ip.src.is_ipv4(),
        (GsoKind::Tcp6, L4::Tcp(_)) => ip.src.is_ipv6(),
        (GsoKind::Udp, L4::Udp { .. }) => true,
        _ => false,
    };
    if !borne_out || ip.fragment.is_some() {
        headers.flaw(Defect::Offload);
    }
    if headers.defect.is_some() {
        return;
    }
    let headers_end = usize::from(ip.l4_offset) + extent.header_len;
    let repeated = headers_end - headers.eth.header_len();
    let payload = ip.end.saturating_sub(headers_end as u32);
    let packets = payload.div_ceil(u32::from(gso.size).max(1)).max(1);
    let bytes = payload.saturating_add(packets.saturating_mul(repeated as u32));
    headers.wire = Wire { packets, bytes };
}

fn checksum_is_right(ip: &Ip, covered: &[u8], addresses: &[u8]) -> bool {
    let sum = Sum::new().bytes(covered);
    let with_pseudo_header = || {
        let pseudo_header = sum.bytes(addresses).word(u16::from(ip.protocol));
        pseudo_header.word(covered.len() as u16).is_right()
    };
    match (ip.protocol, &ip.l4) {
        (protocol::UDP, L4::Udp { .. }) => match covered {
            // No checksum: legal in IPv4 (RFC 768), and in IPv6 for tunnels (RFC 6935, RFC 6936 and the
            // exception in RFC 8200, section 8.1). Whether the receiver takes it is its socket's choice.
            [_, _, _, _, _, _, 0, 0, ..] => true,
            _ => with_pseudo_header(),
        },
        (protocol::ICMP, L4::Icmp(_)) => sum.is_right(),
        (protocol::TCP, L4::Tcp(_)) | (protocol::ICMPV6, L4::Icmp(_)) => with_pseudo_header(),
        _ => true,
    }
}
