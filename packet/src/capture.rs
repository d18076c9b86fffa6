//! What a capture does not say: whether a checksum was left to the device, and what a long frame
//! would have been on a wire.
//!
//! A capture taken inside a guest with offloads shows frames before the device finished them. The
//! partial checksum can be told exactly (it is the pseudo-header's sum), the segment size follows
//! from the MTU: TCP fills its segments.

use crate::checksum::Sum;
use crate::{Defect, Gso, GsoKind, Headers, Ip, L4, Offload, protocol};

/// The offload state that a captured frame of a sender with this MTU must have had.
///
/// A complete checksum stays to be verified; a frame longer than the MTU is taken for a TCP segment
/// to be cut up, where it is TCP.
#[must_use]
pub fn captured_offload(frame: &[u8], mtu: u16) -> Offload {
    let Ok(headers) = Headers::parse(frame, Offload::default()) else {
        return Offload::default();
    };
    let Some(ip) = headers.ip().filter(|_| readable(&headers)) else {
        return Offload::default();
    };
    let long = headers.wire.bytes > u32::from(mtu);
    let gso = match ip.l4 {
        L4::Tcp(tcp) if long && ip.fragment.is_none() => {
            let repeated = headers.wire.bytes.saturating_sub(tcp.payload_len);
            let kind = if ip.src.is_ipv4() {
                GsoKind::Tcp4
            } else {
                GsoKind::Tcp6
            };
            let size = u16::try_from(u32::from(mtu).saturating_sub(repeated)).unwrap_or(0);
            (size > 0).then_some(Gso { kind, size })
        }
        _ => None,
    };
    let needs_checksum = has_partial_checksum(frame, ip);
    Offload {
        needs_checksum,
        data_valid: false,
        gso,
    }
}

fn readable(headers: &Headers) -> bool {
    !matches!(
        headers.defect,
        Some(Defect::IpLength | Defect::IpHeaderLength | Defect::Version)
    )
}

fn has_partial_checksum(frame: &[u8], ip: &Ip) -> bool {
    let place = match (ip.protocol, ip.l4) {
        (protocol::TCP, L4::Tcp(_)) => 16,
        (protocol::UDP, L4::Udp { .. }) => 6,
        _ => return false,
    };
    let start = usize::from(ip.l4_offset);
    let Some(&[high, low]) = frame.get(start + place..).and_then(<[u8]>::first_chunk) else {
        return false;
    };
    let len = (ip.end as usize).saturating_sub(start);
    let pseudo = Sum::new().pseudo_header(ip.src, ip.dst, ip.protocol, len);
    u16::from_be_bytes([high, low]) == pseudo.partial()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PacketSpec;

    fn frame(text: &str) -> Vec<u8> {
        let spec: PacketSpec = text.parse().unwrap();
        spec.build(
            "02:00:00:00:00:01".parse().unwrap(),
            "02:00:00:00:00:02".parse().unwrap(),
        )
    }

    #[test]
    fn a_complete_checksum_stays_to_be_verified() {
        let sent = frame("tcp 10.0.0.1:1 > 10.0.0.2:2 ack len=100");
        assert_eq!(captured_offload(&sent, 1500), Offload::default());
    }

    #[test]
    fn a_partial_checksum_is_recognised() {
        let mut sent = frame("udp 10.0.0.1:1 > 10.0.0.2:2 len=11");
        let headers = Headers::parse(&sent, Offload::default()).unwrap();
        let ip = headers.ip().unwrap();
        let pseudo = Sum::new().pseudo_header(ip.src, ip.dst, 17, 19).partial();
        sent[40..42].copy_from_slice(&pseudo.to_be_bytes());
        assert!(captured_offload(&sent, 1500).needs_checksum);
    }

    #[test]
    fn a_segment_longer_than_the_mtu_counts_as_the_packets_it_was() {
        let sent = frame("tcp 10.0.0.1:1 > 10.0.0.2:2 ack len=4380");
        let offload = captured_offload(&sent, 1500);
        assert_eq!(
            offload.gso,
            Some(Gso {
                kind: GsoKind::Tcp4,
                size: 1460
            })
        );
        assert_eq!(Headers::parse(&sent, offload).unwrap().wire.packets, 3);
    }
}
