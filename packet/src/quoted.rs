//! The packet that an ICMP or ICMPv6 error quotes (RFC 792, RFC 4443 section 2.4).
//!
//! A quote is cut wherever the router cut it, so lengths beyond it are legal and checksums cannot
//! be verified; what the quote claims of itself must hold nevertheless.

use crate::headers::{addresses, icmp_has_id, walk};
use crate::{Defect, FiveTuple, Icmp, Ip, L4, protocol};
use smoltcp::wire::{Icmpv4Message, Icmpv6Message};
use std::net::IpAddr;

/// Bytes of the upper layer that a quote holds at least (RFC 792).
const UPPER_MIN: usize = 8;
/// ICMP type, code, checksum and the four bytes whose meaning depends on the type.
const ICMP_HEADER: usize = 8;

/// What is quoted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quoted {
    /// The five-tuple of the quoted packet, in its own direction; ports 0 and 0 where it has none.
    pub tuple: FiveTuple,
    /// The quoted packet is ICMP or ICMPv6 itself.
    pub icmp: Option<Icmp>,
    /// Offset of the quoted packet's payload in its datagram, bytes. Where it is not 0 the packet
    /// is a later fragment, and the ports are unknown.
    pub fragment_offset: u16,
}

/// Whether this is an ICMP or ICMPv6 error, which quotes the packet it is about: unreachable,
/// source quench, redirect, time exceeded, parameter problem; in ICMPv6 types 1 to 4. An ICMPv6
/// redirect belongs to neighbour discovery and is none.
#[inline]
#[must_use]
pub fn is_error(ip: &Ip) -> bool {
    let L4::Icmp(Icmp { kind, .. }) = ip.l4 else {
        return false;
    };
    if ip.protocol == protocol::ICMPV6 {
        return matches!(
            Icmpv6Message::from(kind),
            Icmpv6Message::DstUnreachable
                | Icmpv6Message::PktTooBig
                | Icmpv6Message::TimeExceeded
                | Icmpv6Message::ParamProblem
        );
    }
    matches!(
        Icmpv4Message::from(kind),
        Icmpv4Message::DstUnreachable
            | Icmpv4Message::Redirect
            | Icmpv4Message::TimeExceeded
            | Icmpv4Message::ParamProblem
            | Icmpv4Message::Unknown(SOURCE_QUENCH)
    )
}

/// Deprecated (RFC 6633), but what it quotes is still quoted.
const SOURCE_QUENCH: u8 = 4;

/// Reads the packet quoted in an error (see [`is_error`]) and nothing behind the error's end.
///
/// # Errors
/// A [`Defect`] where the quote is too short for its headers or contradicts itself. The inner
/// length may pass the end of the quote, but not fall short of the headers that are there.
pub fn quoted(frame: &[u8], ip: &Ip) -> Result<Quoted, Defect> {
    let message = ip.upper(frame);
    let quote = message.get(ICMP_HEADER..).ok_or(Defect::L4Truncated)?;
    let version = quote.first().ok_or(Defect::IpHeaderLength)? >> 4;
    match (version, ip.src) {
        (4, IpAddr::V4(_)) => quoted_v4(quote),
        (6, IpAddr::V6(_)) => quoted_v6(quote),
        _ => Err(Defect::Version),
    }
}

fn quoted_v4(quote: &[u8]) -> Result<Quoted, Defect> {
    let fixed = quote.first_chunk::<20>().ok_or(Defect::IpHeaderLength)?;
    let [
        vihl,
        _,
        l0,
        l1,
        _,
        _,
        f0,
        f1,
        _,
        proto,
        _,
        _,
        s0,
        s1,
        s2,
        s3,
        d0,
        d1,
        d2,
        d3,
    ] = *fixed;
    let header_len = usize::from(vihl & 0x0f) * 4;
    if header_len < fixed.len() {
        return Err(Defect::IpHeaderLength);
    }
    let upper = quote.get(header_len..).ok_or(Defect::IpHeaderLength)?;
    let total_len = usize::from(u16::from_be_bytes([l0, l1]));
    let claimed = total_len.checked_sub(header_len).ok_or(Defect::IpLength)?;
    let tuple = FiveTuple {
        protocol: proto,
        src: IpAddr::from([s0, s1, s2, s3]),
        dst: IpAddr::from([d0, d1, d2, d3]),
        src_port: 0,
        dst_port: 0,
    };
    let fragment_offset = (u16::from_be_bytes([f0, f1]) & 0x1fff) * 8;
    quoted_upper(tuple, protocol::ICMP, fragment_offset, upper, claimed)
}

fn quoted_v6(quote: &[u8]) -> Result<Quoted, Defect> {
    let (fixed, payload) = quote
        .split_first_chunk::<40>()
        .ok_or(Defect::IpHeaderLength)?;
    let walk = walk(payload, fixed[6]);
    if let Some(defect) = walk.defect {
        return Err(defect);
    }
    let payload_len = usize::from(u16::from_be_bytes([fixed[4], fixed[5]]));
    let claimed = payload_len.checked_sub(walk.len).ok_or(Defect::IpLength)?;
    let upper = payload.get(walk.len..).ok_or(Defect::ExtensionHeaders)?;
    let (src, dst) = addresses(fixed);
    let tuple = FiveTuple {
        protocol: walk.protocol,
        src: src.into(),
        dst: dst.into(),
        src_port: 0,
        dst_port: 0,
    };
    let offset = walk.fragment.map_or(0, |fragment| fragment.offset);
    quoted_upper(tuple, protocol::ICMPV6, offset, upper, claimed)
}

fn quoted_upper(
    mut tuple: FiveTuple,
    icmp_protocol: u8,
    fragment_offset: u16,
    upper: &[u8],
    claimed: usize,
) -> Result<Quoted, Defect> {
    let mut icmp = None;
    if fragment_offset == 0 && is_read(tuple.protocol, icmp_protocol) {
        let start = upper
            .first_chunk::<UPPER_MIN>()
            .ok_or(Defect::L4Truncated)?;
        if claimed < UPPER_MIN {
            return Err(Defect::IpLength);
        }
        let [b0, b1, b2, b3, b4, b5, ..] = *start;
        if tuple.protocol == icmp_protocol {
            let has_id = icmp_has_id(icmp_protocol, b0);
            let id = if has_id {
                u16::from_be_bytes([b4, b5])
            } else {
                0
            };
            icmp = Some(Icmp {
                kind: b0,
                code: b1,
                id,
            });
        } else {
            tuple.src_port = u16::from_be_bytes([b0, b1]);
            tuple.dst_port = u16::from_be_bytes([b2, b3]);
        }
    }
    Ok(Quoted {
        tuple,
        icmp,
        fragment_offset,
    })
}

/// Whether the upper layer's first bytes mean something to us. Of other protocols none are
/// needed: their datagrams may be shorter than eight bytes.
const fn is_read(protocol: u8, icmp: u8) -> bool {
    protocol == icmp
        || matches!(
            protocol,
            protocol::TCP | protocol::UDP | protocol::SCTP | protocol::DCCP | protocol::UDPLITE
        )
}
