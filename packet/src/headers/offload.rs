//! What the virtio header adds: how many packets the frame stands for, and whether its checksum
//! is there to be verified.

use super::upper::Upper;
use super::{Defect, Headers, Ip, L4, Net, Wire, protocol};
use crate::{Gso, GsoKind, Offload, checksum::Sum};

/// Puts the IP layer into the headers, counts packets and verifies the upper layer's checksum.
#[inline]
pub(super) fn settle(
    headers: &mut Headers,
    ip: Ip,
    upper: &Upper,
    payload: &[u8],
    offload: Offload,
) {
    headers.net = Net::Ip(ip);
    if let Some(gso) = offload.gso {
        return segmented(headers, &ip, upper, gso);
    }
    let verifiable = !offload.needs_checksum && !offload.data_valid;
    if verifiable && ip.fragment.is_none() && headers.defect.is_none() {
        headers.bad_checksum |= !checksum_is_right(&ip, upper, payload);
    }
}

fn segmented(headers: &mut Headers, ip: &Ip, upper: &Upper, gso: Gso) {
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
    let headers_end = usize::from(ip.l4_offset) + upper.header_len;
    let repeated = headers_end - headers.eth.header_len();
    let payload = ip.end.saturating_sub(headers_end as u32);
    let packets = payload.div_ceil(u32::from(gso.size).max(1)).max(1);
    let bytes = payload.saturating_add(packets.saturating_mul(repeated as u32));
    headers.wire = Wire { packets, bytes };
}

#[inline]
fn checksum_is_right(ip: &Ip, upper: &Upper, payload: &[u8]) -> bool {
    let covered = payload.get(..upper.covered).unwrap_or(payload);
    let with_pseudo_header = || {
        let sum = Sum::new().pseudo_header(ip.src, ip.dst, ip.protocol, covered.len());
        sum.bytes(covered).is_right()
    };
    match (ip.protocol, ip.l4) {
        (protocol::UDP, L4::Udp { .. }) => match covered {
            // No checksum: legal in IPv4 (RFC 768), not in IPv6 (RFC 8200, section 8.1).
            [_, _, _, _, _, _, 0, 0, ..] => ip.src.is_ipv4(),
            _ => with_pseudo_header(),
        },
        (protocol::ICMP, L4::Icmp(_)) => Sum::new().bytes(covered).is_right(),
        (protocol::TCP, L4::Tcp(_)) | (protocol::ICMPV6, L4::Icmp(_)) => with_pseudo_header(),
        _ => true,
    }
}
