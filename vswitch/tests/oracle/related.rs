//! ICMP errors: which conversation they speak of (reference A5).

use crate::conntrack::{Conversation, Membership};
use crate::seen::Seen;
use packet::{IpSpec, L4, SpecBody, protocol};
use secgroup::PortId;

/// What an error is worth.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Error {
    /// Its quote is too short for what it quotes.
    Malformed,
    /// It was not sent to who sent the quoted packet.
    Strange,
    /// It speaks of a packet of this conversation, which went this way: in the quoted packet's direction.
    About(Membership),
}

/// Whether a packet is an error that quotes another.
pub(crate) const fn is_error(ip: &IpSpec) -> bool {
    match ip.l4 {
        L4::Icmp(icmp) if ip.protocol == protocol::ICMPV6 => matches!(icmp.kind, 1..=4),
        L4::Icmp(icmp) => matches!(icmp.kind, 3 | 4 | 5 | 11 | 12),
        _ => false,
    }
}

/// Reads an error that `from` sends to `to`: the quoted packet went the other way.
pub(crate) fn read(seen: &Seen<'_>, ip: &IpSpec, from: PortId, to: PortId) -> Error {
    let Some((about, len)) = seen.about else {
        // Nothing is quoted, or zeros.
        return Error::Malformed;
    };
    let SpecBody::Ip(quoted) = &about.body else {
        return Error::Malformed;
    };
    if quoted.src.is_ipv4() != ip.src.is_ipv4() {
        return Error::Malformed;
    }
    let header = if quoted.src.is_ipv4() { 20 } else { 40 };
    // Eight bytes of the upper layer suffice, and of protocols without ports none are needed.
    let upper = if matches!(quoted.l4, L4::Opaque) {
        0
    } else {
        8
    };
    if usize::from(*len) < header + upper {
        return Error::Malformed;
    }
    if quoted.src != ip.dst {
        return Error::Strange;
    }
    Error::About(Membership::of(quoted, to, from))
}

/// Both directions in which a conversation may have been opened, and who sends the error then: 0 the
/// originator, 1 the other side.
pub(crate) fn candidates(quoted: Membership) -> [Option<(Conversation, usize)>; 2] {
    let found = quoted.conversation;
    match quoted.is_answer {
        // The quoted packet is the request: the error goes against it.
        Some(false) => [Some((found, 1)), None],
        Some(true) => [Some((found, 0)), None],
        None => [Some((found, 1)), Some((found.reversed(), 0))],
    }
}
