//! The upper layer: TCP, UDP, protocols with ports, ICMP.

use super::{Defect, Fragment, Icmp, L4, Tcp, protocol};

/// An upper-layer header and what it takes up.
pub(super) struct Upper {
    pub(super) l4: L4,
    /// Bytes of the header, options included; 0 where it is opaque.
    pub(super) header_len: usize,
    /// Bytes that the checksum covers: the UDP length, else all.
    pub(super) covered: usize,
    pub(super) defect: Option<Defect>,
}

const TCP_FIXED: usize = 20;
const UDP_FIXED: usize = 8;
const ICMP_FIXED: usize = 8;
const SCTP_FIXED: usize = 12;
const DCCP_FIXED: usize = 12;

/// Reads the upper layer. `icmp` is the number that means ICMP in this IP version: ICMP in IPv6
/// and ICMPv6 in IPv4 are protocols like any other.
#[inline]
pub(super) fn parse(payload: &[u8], protocol: u8, icmp: u8, fragment: Option<Fragment>) -> Upper {
    if fragment.is_some_and(|fragment| fragment.offset > 0) {
        return Upper::opaque(payload, None);
    }
    let first = fragment.is_some();
    match protocol {
        protocol::TCP => tcp(payload, first),
        protocol::UDP => udp(payload, first),
        protocol::SCTP => ports(payload, SCTP_FIXED, first),
        protocol::DCCP => ports(payload, DCCP_FIXED, first),
        protocol::UDPLITE => ports(payload, UDP_FIXED, first),
        protocol if protocol == icmp => self::icmp(payload, icmp, first),
        _ => Upper::opaque(payload, None),
    }
}

impl Upper {
    fn opaque(payload: &[u8], defect: Option<Defect>) -> Self {
        Self {
            l4: L4::Opaque,
            header_len: 0,
            covered: payload.len(),
            defect,
        }
    }

    /// A header that is not all there: the ports where they are.
    fn cut_short(payload: &[u8], first: bool) -> Self {
        let mut upper = Self::opaque(payload, Some(cut_short(first)));
        if let Some([s0, s1, d0, d1]) = payload.first_chunk() {
            let (src_port, dst_port) = (
                u16::from_be_bytes([*s0, *s1]),
                u16::from_be_bytes([*d0, *d1]),
            );
            upper.l4 = L4::Ports { src_port, dst_port };
        }
        upper
    }
}

const fn cut_short(first: bool) -> Defect {
    if first {
        Defect::TinyFragment
    } else {
        Defect::L4Truncated
    }
}

#[inline]
fn tcp(payload: &[u8], first: bool) -> Upper {
    let Some(fixed) = payload.first_chunk::<TCP_FIXED>() else {
        return Upper::cut_short(payload, first);
    };
    let [
        s0,
        s1,
        d0,
        d1,
        q0,
        q1,
        q2,
        q3,
        a0,
        a1,
        a2,
        a3,
        offset,
        flags,
        w0,
        w1,
        ..,
    ] = *fixed;
    let mut tcp = Tcp {
        src_port: u16::from_be_bytes([s0, s1]),
        dst_port: u16::from_be_bytes([d0, d1]),
        seq: u32::from_be_bytes([q0, q1, q2, q3]),
        ack: u32::from_be_bytes([a0, a1, a2, a3]),
        flags,
        window: u16::from_be_bytes([w0, w1]),
        payload_len: 0,
        window_scale: None,
        sack: None,
    };
    let header_len = usize::from(offset >> 4) * 4;
    let defect = match payload.get(TCP_FIXED..header_len) {
        Some(options) => {
            tcp.payload_len = (payload.len() - header_len) as u32;
            tcp_options(&mut tcp, options)
        }
        None if header_len >= TCP_FIXED && first => Some(Defect::TinyFragment),
        None => Some(Defect::TcpOffset),
    };
    Upper {
        l4: L4::Tcp(tcp),
        header_len,
        covered: payload.len(),
        defect,
    }
}

/// Two NOPs and a timestamp, by far the most usual options (RFC 7323, appendix A).
const TIMESTAMP_ALONE: [u8; 4] = [1, 1, 8, 10];

#[inline]
fn tcp_options(tcp: &mut Tcp, options: &[u8]) -> Option<Defect> {
    if options.is_empty() || (options.len() == 12 && options.starts_with(&TIMESTAMP_ALONE)) {
        return None;
    }
    tcp_option_list(tcp, options)
}

const END: u8 = 0;
const NOP: u8 = 1;
const WINDOW_SCALE: u8 = 3;
const SACK: u8 = 5;

/// At most 40 bytes, so at most 40 turns. A known option of an odd length is passed over.
fn tcp_option_list(tcp: &mut Tcp, mut options: &[u8]) -> Option<Defect> {
    loop {
        options = match *options {
            [] | [END, ..] => return None,
            [NOP, ref rest @ ..] => rest,
            [kind, len, ..] if len >= 2 => {
                let Some((option, rest)) = options.split_at_checked(usize::from(len)) else {
                    return Some(Defect::TcpOffset);
                };
                match (kind, option) {
                    (WINDOW_SCALE, &[_, _, shift]) => tcp.window_scale = Some(shift),
                    (SACK, &[_, _, ref blocks @ ..]) => tcp.sack = right_edge(blocks),
                    _ => {}
                }
                rest
            }
            _ => return Some(Defect::TcpOffset),
        };
    }
}

/// The greatest right edge; sequence numbers wrap, so "greater" is by signed distance.
fn right_edge(blocks: &[u8]) -> Option<u32> {
    let edges = blocks.as_chunks::<8>().0.iter();
    let edges = edges.map(|[_, _, _, _, r0, r1, r2, r3]| u32::from_be_bytes([*r0, *r1, *r2, *r3]));
    edges.reduce(|greatest, edge| {
        if edge.wrapping_sub(greatest).cast_signed() > 0 {
            edge
        } else {
            greatest
        }
    })
}

#[inline]
fn udp(payload: &[u8], first: bool) -> Upper {
    let Some([s0, s1, d0, d1, l0, l1, _, _]) = payload.first_chunk::<UDP_FIXED>() else {
        return Upper::cut_short(payload, first);
    };
    let l4 = L4::Udp {
        src_port: u16::from_be_bytes([*s0, *s1]),
        dst_port: u16::from_be_bytes([*d0, *d1]),
    };
    let len = usize::from(u16::from_be_bytes([*l0, *l1]));
    // The length of a first fragment is the whole datagram's.
    let fits = len >= UDP_FIXED && (first || len <= payload.len());
    let covered = len.min(payload.len());
    Upper {
        l4,
        header_len: UDP_FIXED,
        covered,
        defect: (!fits).then_some(Defect::UdpLength),
    }
}

fn ports(payload: &[u8], fixed: usize, first: bool) -> Upper {
    let mut upper = Upper::cut_short(payload, first);
    if payload.len() >= fixed {
        upper.header_len = fixed;
        upper.defect = None;
    }
    upper
}

fn icmp(payload: &[u8], protocol: u8, first: bool) -> Upper {
    let covered = payload.len();
    match payload {
        &[kind, code, _, _, i0, i1, _, _, ..] => {
            let id = if icmp_has_id(protocol, kind) {
                u16::from_be_bytes([i0, i1])
            } else {
                0
            };
            let l4 = L4::Icmp(Icmp { kind, code, id });
            Upper {
                l4,
                header_len: ICMP_FIXED,
                covered,
                defect: None,
            }
        }
        &[kind, code, ..] => {
            let l4 = L4::Icmp(Icmp { kind, code, id: 0 });
            Upper {
                l4,
                header_len: 0,
                covered,
                defect: Some(cut_short(first)),
            }
        }
        _ => Upper::opaque(payload, Some(cut_short(first))),
    }
}

/// Whether a message has an identifier behind its checksum: echo, timestamp, information and
/// address mask (RFC 792, RFC 950); echo in ICMPv6 (RFC 4443).
#[inline]
pub(crate) const fn icmp_has_id(protocol: u8, kind: u8) -> bool {
    match protocol {
        protocol::ICMP => matches!(kind, 0 | 8 | 13..=18),
        _ => matches!(kind, 128 | 129),
    }
}
