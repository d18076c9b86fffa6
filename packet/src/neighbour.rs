//! Neighbour discovery messages (RFC 4861), as far as anti-spoofing reads them.
//!
//! Options are read here rather than through smoltcp's view, which panics on one of length 0.

use crate::{Defect, Ip, L4, Mac, protocol};
use smoltcp::wire::{Icmpv6Message, NdiscOptionType};
use std::net::Ipv6Addr;

/// Options in one message. A router advertisement that fills 1,500 bytes with prefixes has 45.
pub const ND_OPTIONS_MAX: usize = 64;

/// What a neighbour discovery message claims.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Neighbour {
    /// ICMPv6 type: 133 router solicitation, 134 router advertisement, 135 neighbour
    /// solicitation, 136 neighbour advertisement, 137 redirect.
    pub kind: u8,
    /// The target address of 135, 136 and 137.
    pub target: Option<Ipv6Addr>,
    /// The link-layer address option that the message may carry: source (type 1) in 133, 134 and
    /// 135, target (type 2) in 136 and 137.
    pub link_layer: Option<Mac>,
}

/// Whether this is one of the five messages of neighbour discovery.
#[inline]
#[must_use]
pub fn is_neighbour(ip: &Ip) -> bool {
    matches!(ip.l4, L4::Icmp(icmp) if ip.protocol == protocol::ICMPV6 && (133..=137).contains(&icmp.kind))
}

/// Reads a neighbour discovery message (see [`is_neighbour`]). Whether it is a fragment and
/// whether the hop limit is 255 is for the caller to judge.
///
/// # Errors
/// [`Defect::L4Truncated`] where the message or an option is cut short, an option has length 0
/// (RFC 4861, section 4.6), there are too many, or two link-layer options disagree.
pub fn neighbour(frame: &[u8], ip: &Ip) -> Result<Neighbour, Defect> {
    let message = ip.upper(frame);
    let kind = *message.first().ok_or(Defect::L4Truncated)?;
    let (fixed, option, has_target) = match Icmpv6Message::from(kind) {
        Icmpv6Message::RouterSolicit => (8, NdiscOptionType::SourceLinkLayerAddr, false),
        Icmpv6Message::RouterAdvert => (16, NdiscOptionType::SourceLinkLayerAddr, false),
        Icmpv6Message::NeighborSolicit => (24, NdiscOptionType::SourceLinkLayerAddr, true),
        Icmpv6Message::NeighborAdvert => (24, NdiscOptionType::TargetLinkLayerAddr, true),
        Icmpv6Message::Redirect => (40, NdiscOptionType::TargetLinkLayerAddr, true),
        _ => return Err(Defect::L4Truncated),
    };
    let (fixed, options) = message.split_at_checked(fixed).ok_or(Defect::L4Truncated)?;
    let target = fixed.get(8..).and_then(|rest| rest.first_chunk::<16>());
    Ok(Neighbour {
        kind,
        target: target
            .filter(|_| has_target)
            .map(|octets| Ipv6Addr::from(*octets)),
        link_layer: link_layer(options, option)?,
    })
}

fn link_layer(mut options: &[u8], wanted: NdiscOptionType) -> Result<Option<Mac>, Defect> {
    let mut found = None;
    for _ in 0..ND_OPTIONS_MAX {
        let &[kind, len, ..] = options else { break };
        let (option, rest) = options
            .split_at_checked(usize::from(len) * 8)
            .ok_or(Defect::L4Truncated)?;
        let &[_, _, a, b, c, d, e, f, ..] = option else {
            return Err(Defect::L4Truncated);
        };
        if NdiscOptionType::from(kind) == wanted {
            let address = Mac([a, b, c, d, e, f]);
            if *found.get_or_insert(address) != address {
                return Err(Defect::L4Truncated);
            }
        }
        options = rest;
    }
    if options.is_empty() {
        Ok(found)
    } else {
        Err(Defect::L4Truncated)
    }
}
