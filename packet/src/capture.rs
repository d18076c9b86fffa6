//! What a capture does not say: whether a checksum was left to the device, and what a long frame
//! would have been on a wire.
//!
//! A capture taken inside a guest with offloads shows frames before the device finished them. The
//! partial checksum can be told exactly (it is the pseudo-header's sum), the segment size follows
//! from the MTU: TCP fills its segments.

use crate::checksum::Sum;
use crate::{
    Defect, Gso, GsoKind, Headers, Icmp, Ip, L4, Net, Offload, ethertype, is_error, is_neighbour,
    protocol, sctp_chunk,
};

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

/// Whether the first `kept` bytes of a frame, which a capture has, hold all that decides on it: its headers, and
/// of an ICMP error the headers of the packet that it quotes. `headers` are those of `frame`, which has its length
/// on the wire; what stands behind `kept` is made up. A header that its packet has no room for is not missed.
#[must_use]
pub fn has_all_headers(frame: &[u8], headers: &Headers, kept: usize) -> bool {
    if kept >= frame.len() {
        return true;
    }
    let link = headers.eth.header_len();
    let needed = match &headers.net {
        Net::Ip(_) if headers.defect == Some(Defect::ExtensionHeaders) => return false,
        Net::Ip(ip) => {
            let start = usize::from(ip.l4_offset);
            (start + upper_needed(frame, ip)).min(ip.end as usize)
        }
        Net::Arp(_) => link + ARP,
        Net::Other => match headers.eth.ethertype {
            ethertype::IPV4 => link + IPV4_FIXED,
            ethertype::IPV6 => link + IPV6_FIXED,
            ethertype::ARP | ethertype::RARP => link + ARP,
            _ => link,
        },
    };
    kept >= needed.min(frame.len())
}

const ARP: usize = 28;
const IPV4_FIXED: usize = 20;
const IPV6_FIXED: usize = 40;
const TCP_FIXED: usize = 20;
const UDP: usize = 8;
const ICMP: usize = 8;
/// The common header and the first chunk's.
const SCTP: usize = 16;
const DCCP: usize = 12;

/// Bytes of the upper layer that are looked at; all of it in neighbour discovery, whose options count.
fn upper_needed(frame: &[u8], ip: &Ip) -> usize {
    let upper = ip.upper(frame);
    match (ip.protocol, ip.l4) {
        _ if ip.fragment.is_some_and(|fragment| fragment.offset > 0) => 0,
        (protocol::TCP, _) => {
            let words = upper.get(12).map_or(0, |offset| usize::from(offset >> 4));
            (words * 4).max(TCP_FIXED)
        }
        (protocol::UDP | protocol::UDPLITE, _) => UDP,
        (protocol::SCTP, L4::Sctp(sctp)) => match sctp.chunk {
            Some(sctp_chunk::INIT | sctp_chunk::INIT_ACK) => SCTP + 4,
            _ => SCTP,
        },
        (protocol::SCTP, _) => SCTP,
        (protocol::DCCP, _) => DCCP,
        (_, L4::Icmp(_)) if is_neighbour(ip) => upper.len(),
        (_, L4::Icmp(Icmp { .. })) if is_error(ip) => ICMP + quoted_needed(upper),
        (protocol::ICMP, _) if ip.src.is_ipv4() => ICMP,
        (protocol::ICMPV6, _) if ip.src.is_ipv6() => ICMP,
        _ => 0,
    }
}

/// Bytes of the quoted packet: its IP header and the eight behind it (RFC 792).
fn quoted_needed(upper: &[u8]) -> usize {
    let header = match upper.get(ICMP).copied().unwrap_or(0) {
        first if first >> 4 == 6 => IPV6_FIXED,
        first => (usize::from(first & 0x0f) * 4).max(IPV4_FIXED),
    };
    header + UDP
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

    /// The least length of a capture that is enough for a frame.
    fn least(frame: &[u8]) -> usize {
        let enough = |kept: &usize| {
            let mut cut = frame.to_vec();
            cut[*kept..].fill(0);
            let headers = Headers::parse(&cut, Offload::default()).unwrap();
            has_all_headers(&cut, &headers, *kept)
        };
        let least = (14..=frame.len()).find(enough).unwrap();
        assert!((least..=frame.len()).all(|kept| enough(&kept)), "{least}");
        least
    }

    #[test]
    fn a_capture_has_to_hold_the_headers_and_nothing_behind_them() {
        for (text, expected) in [
            ("tcp 10.0.0.1:1 > 10.0.0.2:2 ack len=100", 14 + 20 + 20),
            ("udp 10.0.0.1:1 > 10.0.0.2:2 len=100", 14 + 20 + 8),
            ("udp [fe80::1]:1 > [fe80::2]:2 len=100", 14 + 40 + 8),
        ] {
            assert_eq!(least(&frame(text)), expected, "{text}");
        }
    }

    #[test]
    fn options_and_what_an_error_quotes_are_headers_too() {
        let mut options = frame("tcp 10.0.0.1:1 > 10.0.0.2:2 syn len=100");
        options[46] = 0x80;
        assert_eq!(least(&options), 14 + 20 + 32);
        let quoted = &frame("udp 10.0.0.2:2 > 10.0.0.1:1 len=60")[14..];
        let mut error = frame("udp 10.0.0.1:1 > 10.0.0.2:2 len=88");
        error[23] = 1;
        error[34..42].copy_from_slice(&[3, 3, 0, 0, 0, 0, 0, 0]);
        error[42..].copy_from_slice(&quoted[..88]);
        assert_eq!(least(&error), 14 + 20 + 8 + 20 + 8);
    }

    #[test]
    fn a_frame_that_is_whole_has_all_its_headers_even_if_they_are_cut_short() {
        let short = frame("udp 10.0.0.1:1 > 10.0.0.2:2 len=100")[..36].to_vec();
        let headers = Headers::parse(&short, Offload::default()).unwrap();
        assert!(has_all_headers(&short, &headers, 36));
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
