//! The upper layer: TCP, UDP, protocols with ports, ICMP.

use super::{Dccp, Defect, Headers, Icmp, L4, Net, Sctp, Tcp, offload, protocol, sctp_chunk};
use crate::Offload;

/// What an upper-layer header takes up.
pub(super) struct Extent {
    /// Bytes of the header, options included; 0 where it is opaque.
    pub(super) header_len: usize,
    /// Bytes that the checksum covers: the UDP length, else all.
    pub(super) covered: usize,
    /// What is wrong with it.
    defect: Option<Defect>,
}

const TCP_FIXED: usize = 20;
const UDP_FIXED: usize = 8;
const ICMP_FIXED: usize = 8;
const SCTP_FIXED: usize = 12;
const DCCP_FIXED: usize = 12;

/// Type, flags and length (RFC 9260, section 3.2).
const CHUNK_HEADER: usize = 4;

/// Chunks of a packet that are looked at.
const SCTP_CHUNKS_MAX: usize = 16;

/// Reads the upper layer of an IP packet whose addresses, as bytes, are `addresses`. It is written
/// where it stays: moving it about is most of what a parse costs.
#[inline]
pub(super) fn parse(headers: &mut Headers, payload: &[u8], addresses: &[u8], offload: Offload) {
    let Net::Ip(ip) = &mut headers.net else {
        return;
    };
    if ip.fragment.is_some_and(|fragment| fragment.offset > 0) {
        return offload::settle(
            headers,
            &Extent::opaque(payload),
            payload,
            addresses,
            offload,
        );
    }
    let first = ip.fragment.is_some();
    // ICMP in IPv6 and ICMPv6 in IPv4 are protocols like any other.
    let icmp = if ip.src.is_ipv4() {
        protocol::ICMP
    } else {
        protocol::ICMPV6
    };
    let extent = match ip.protocol {
        protocol::TCP => tcp(&mut ip.l4, payload, first),
        protocol::UDP => udp(&mut ip.l4, payload, first),
        protocol::SCTP => sctp(&mut ip.l4, payload, first),
        protocol::DCCP => dccp(&mut ip.l4, payload, first),
        protocol::UDPLITE => ports(&mut ip.l4, payload, UDP_FIXED, first),
        protocol if protocol == icmp => self::icmp(&mut ip.l4, payload, icmp, first),
        _ => Extent::opaque(payload),
    };
    if let Some(defect) = extent.defect {
        headers.flaw(defect);
    }
    offload::settle(headers, &extent, payload, addresses, offload);
}

impl Extent {
    fn opaque(payload: &[u8]) -> Self {
        Self {
            header_len: 0,
            covered: payload.len(),
            defect: None,
        }
    }

    /// A header that is not all there: the ports where they are.
    #[cold]
    fn cut_short(l4: &mut L4, payload: &[u8], first: bool) -> Self {
        if let Some(ports) = payload.first_chunk() {
            *l4 = ports_of(ports);
        }
        Self {
            defect: Some(cut_short(first)),
            ..Self::opaque(payload)
        }
    }
}

fn ports_of([s0, s1, d0, d1]: &[u8; 4]) -> L4 {
    L4::Ports {
        src_port: u16::from_be_bytes([*s0, *s1]),
        dst_port: u16::from_be_bytes([*d0, *d1]),
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
fn tcp(l4: &mut L4, payload: &[u8], first: bool) -> Extent {
    let Some(fixed) = payload.first_chunk::<TCP_FIXED>() else {
        return Extent::cut_short(l4, payload, first);
    };
    #[rustfmt::skip]
    let [
        s0, s1, d0, d1,
        q0, q1, q2, q3,
        a0, a1, a2, a3,
        offset, flags, w0, w1,
        _, _, _, _,
    ] = *fixed;
    let header_len = usize::from(offset >> 4) * 4;
    let (options, defect) = match payload.get(TCP_FIXED..header_len) {
        Some(options) => tcp_options(options),
        None if header_len >= TCP_FIXED && first => {
            (TcpOptions::default(), Some(Defect::TinyFragment))
        }
        None => (TcpOptions::default(), Some(Defect::TcpOffset)),
    };
    let payload_len = match header_len {
        TCP_FIXED.. => payload.len().saturating_sub(header_len),
        _ => 0,
    };
    *l4 = L4::Tcp(Tcp {
        src_port: u16::from_be_bytes([s0, s1]),
        dst_port: u16::from_be_bytes([d0, d1]),
        seq: u32::from_be_bytes([q0, q1, q2, q3]),
        ack: u32::from_be_bytes([a0, a1, a2, a3]),
        flags,
        window: u16::from_be_bytes([w0, w1]),
        payload_len: payload_len as u32,
        window_scale: options.window_scale,
        sack: options.sack,
    });
    Extent {
        header_len,
        covered: payload.len(),
        defect,
    }
}

#[derive(Default, Clone, Copy)]
struct TcpOptions {
    window_scale: Option<u8>,
    sack: Option<u32>,
}

/// Two NOPs and a timestamp, by far the most usual options (RFC 7323, appendix A).
const TIMESTAMP_ALONE: [u8; 4] = [1, 1, 8, 10];

#[inline]
fn tcp_options(options: &[u8]) -> (TcpOptions, Option<Defect>) {
    if options.is_empty() || (options.len() == 12 && options.starts_with(&TIMESTAMP_ALONE)) {
        return (TcpOptions::default(), None);
    }
    tcp_option_list(options)
}

const END: u8 = 0;
const NOP: u8 = 1;
const WINDOW_SCALE: u8 = 3;
const SACK: u8 = 5;

/// At most 40 bytes, so at most 40 turns. A known option of an odd length is passed over.
fn tcp_option_list(mut options: &[u8]) -> (TcpOptions, Option<Defect>) {
    let mut seen = TcpOptions::default();
    loop {
        options = match *options {
            [] | [END, ..] => return (seen, None),
            [NOP, ref rest @ ..] => rest,
            [kind, len, ..] if len >= 2 => {
                let Some((option, rest)) = options.split_at_checked(usize::from(len)) else {
                    return (seen, Some(Defect::TcpOffset));
                };
                match (kind, option) {
                    (WINDOW_SCALE, &[_, _, shift]) => seen.window_scale = Some(shift),
                    (SACK, &[_, _, ref blocks @ ..]) => seen.sack = right_edge(blocks),
                    _ => {}
                }
                rest
            }
            _ => return (seen, Some(Defect::TcpOffset)),
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
fn udp(l4: &mut L4, payload: &[u8], first: bool) -> Extent {
    let Some([s0, s1, d0, d1, l0, l1, _, _]) = payload.first_chunk::<UDP_FIXED>() else {
        return Extent::cut_short(l4, payload, first);
    };
    *l4 = L4::Udp {
        src_port: u16::from_be_bytes([*s0, *s1]),
        dst_port: u16::from_be_bytes([*d0, *d1]),
    };
    let len = usize::from(u16::from_be_bytes([*l0, *l1]));
    // The length of a first fragment is the whole datagram's.
    let fits = len >= UDP_FIXED && (first || len <= payload.len());
    let covered = len.min(payload.len());
    Extent {
        header_len: UDP_FIXED,
        covered,
        defect: (!fits).then_some(Defect::UdpLength),
    }
}

fn ports(l4: &mut L4, payload: &[u8], fixed: usize, first: bool) -> Extent {
    let extent = Extent::cut_short(l4, payload, first);
    if payload.len() < fixed {
        return extent;
    }
    Extent {
        header_len: fixed,
        defect: None,
        ..extent
    }
}

fn sctp(l4: &mut L4, payload: &[u8], first: bool) -> Extent {
    let Some((fixed, chunks)) = payload.split_first_chunk::<SCTP_FIXED>() else {
        return Extent::cut_short(l4, payload, first);
    };
    let [s0, s1, d0, d1, t0, t1, t2, t3, ..] = *fixed;
    let (chunk, reflected, init_tag) = match deciding_chunk(chunks) {
        Some(SctpChunk { kind, flags, value }) => {
            (Some(kind), flags & 1 != 0, init_tag(kind, value))
        }
        None => (None, false, 0),
    };
    *l4 = L4::Sctp(Sctp {
        src_port: u16::from_be_bytes([s0, s1]),
        dst_port: u16::from_be_bytes([d0, d1]),
        tag: u32::from_be_bytes([t0, t1, t2, t3]),
        chunk,
        reflected: reflected && may_be_reflected(chunk),
        init_tag,
        bundled: is_bundled_wrongly(chunks),
    });
    Extent {
        header_len: SCTP_FIXED,
        ..Extent::opaque(payload)
    }
}

struct SctpChunk<'a> {
    kind: u8,
    flags: u8,
    value: &'a [u8],
}

/// The first chunk that opens or closes an association, among the first [`SCTP_CHUNKS_MAX`]; else the
/// first one. Control chunks stand before data (RFC 9260, section 6.10).
fn deciding_chunk(mut chunks: &[u8]) -> Option<SctpChunk<'_>> {
    let first = first_chunk(chunks)?.0;
    for _ in 0..SCTP_CHUNKS_MAX {
        let Some((chunk, rest)) = first_chunk(chunks) else {
            break;
        };
        match chunk.kind {
            sctp_chunk::INIT
            | sctp_chunk::INIT_ACK
            | sctp_chunk::ABORT
            | sctp_chunk::SHUTDOWN
            | sctp_chunk::SHUTDOWN_ACK
            | sctp_chunk::COOKIE_ECHO
            | sctp_chunk::COOKIE_ACK
            | sctp_chunk::SHUTDOWN_COMPLETE => return Some(chunk),
            sctp_chunk::DATA => break,
            _ => chunks = rest,
        }
    }
    Some(first)
}

/// Whether an INIT, INIT ACK or SHUTDOWN COMPLETE is not the only chunk (RFC 9260, section 6.10). Behind
/// the first [`SCTP_CHUNKS_MAX`] none is looked for: there it decides nothing.
fn is_bundled_wrongly(mut chunks: &[u8]) -> bool {
    for i in 0..SCTP_CHUNKS_MAX {
        let Some((chunk, rest)) = first_chunk(chunks) else {
            return false;
        };
        let stands_alone = matches!(
            chunk.kind,
            sctp_chunk::INIT | sctp_chunk::INIT_ACK | sctp_chunk::SHUTDOWN_COMPLETE
        );
        // What is too short for a chunk's header is padding.
        if stands_alone && (i > 0 || rest.len() >= CHUNK_HEADER) {
            return true;
        }
        chunks = rest;
    }
    false
}

/// A chunk and what follows it. A length below 4 is a lie; one past the end is a fragment's, or a lie
/// that the receiver will see.
fn first_chunk(chunks: &[u8]) -> Option<(SctpChunk<'_>, &[u8])> {
    let ([kind, flags, l0, l1], value) = chunks.split_first_chunk::<CHUNK_HEADER>()?;
    let len = usize::from(u16::from_be_bytes([*l0, *l1])).checked_sub(CHUNK_HEADER)?;
    let rest = value.get(len.next_multiple_of(4)..).unwrap_or_default();
    let value = value.get(..len).unwrap_or(value);
    let (kind, flags) = (*kind, *flags);
    Some((SctpChunk { kind, flags, value }, rest))
}

fn init_tag(kind: u8, value: &[u8]) -> u32 {
    match (kind, value.first_chunk()) {
        (sctp_chunk::INIT | sctp_chunk::INIT_ACK, Some(tag)) => u32::from_be_bytes(*tag),
        _ => 0,
    }
}

const fn may_be_reflected(chunk: Option<u8>) -> bool {
    matches!(
        chunk,
        Some(sctp_chunk::ABORT | sctp_chunk::SHUTDOWN_COMPLETE)
    )
}

fn dccp(l4: &mut L4, payload: &[u8], first: bool) -> Extent {
    let Some([s0, s1, d0, d1, _, _, _, _, kind, ..]) = payload.first_chunk::<DCCP_FIXED>() else {
        return Extent::cut_short(l4, payload, first);
    };
    *l4 = L4::Dccp(Dccp {
        src_port: u16::from_be_bytes([*s0, *s1]),
        dst_port: u16::from_be_bytes([*d0, *d1]),
        kind: kind >> 1 & 0x0f,
    });
    Extent {
        header_len: DCCP_FIXED,
        ..Extent::opaque(payload)
    }
}

fn icmp(l4: &mut L4, payload: &[u8], protocol: u8, first: bool) -> Extent {
    match *payload {
        [kind, code, _, _, i0, i1, _, _, ..] => {
            let has_id = icmp_has_id(protocol, kind);
            let id = if has_id {
                u16::from_be_bytes([i0, i1])
            } else {
                0
            };
            *l4 = L4::Icmp(Icmp { kind, code, id });
            Extent {
                header_len: ICMP_FIXED,
                ..Extent::opaque(payload)
            }
        }
        [kind, code, ..] => {
            *l4 = L4::Icmp(Icmp { kind, code, id: 0 });
            Extent {
                defect: Some(cut_short(first)),
                ..Extent::opaque(payload)
            }
        }
        _ => Extent {
            defect: Some(cut_short(first)),
            ..Extent::opaque(payload)
        },
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
