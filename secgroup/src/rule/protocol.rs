//! Protocol names (OpenStack Networking API, `security-group-rules`, parameter `protocol`).

use packet::protocol;

/// Number and names; the first name is the canonical one.
const NAMES: &[(u8, &[&str])] = &[
    (protocol::ICMP, &["icmp"]),
    (2, &["igmp"]),
    (4, &["ipip"]),
    (protocol::TCP, &["tcp"]),
    (8, &["egp"]),
    (protocol::UDP, &["udp"]),
    (protocol::DCCP, &["dccp"]),
    (41, &["ipv6-encap"]),
    (43, &["ipv6-route"]),
    (44, &["ipv6-frag"]),
    (46, &["rsvp"]),
    (protocol::GRE, &["gre"]),
    (50, &["esp"]),
    (51, &["ah"]),
    (protocol::ICMPV6, &["ipv6-icmp", "icmpv6"]),
    (59, &["ipv6-nonxt"]),
    (60, &["ipv6-opts"]),
    (89, &["ospf"]),
    (112, &["vrrp"]),
    (113, &["pgm"]),
    (protocol::SCTP, &["sctp"]),
    (protocol::UDPLITE, &["udplite"]),
];

/// Every protocol: Neutron reads the number 0 and its IANA names like "any".
const ANY: &[&str] = &["any", "ip", "hopopt"];

/// The number of a protocol written as a name (in any case) or a number; `Some(None)` is every
/// protocol, `None` is no protocol at all.
#[must_use]
pub fn protocol_number(text: &str) -> Option<Option<u8>> {
    let text = text.trim().to_ascii_lowercase();
    if ANY.contains(&text.as_str()) {
        return Some(None);
    }
    let named = NAMES
        .iter()
        .find(|(_, names)| names.contains(&text.as_str()));
    let number = match named {
        Some((number, _)) => *number,
        None if text.bytes().all(|b| b.is_ascii_digit()) => text.parse().ok()?,
        None => return None,
    };
    Some(Some(number).filter(|number| *number != 0))
}

/// The canonical name of a protocol, where it has one.
#[must_use]
pub fn protocol_name(number: u8) -> Option<&'static str> {
    NAMES
        .iter()
        .find(|(n, _)| *n == number)
        .map(|(_, names)| names[0])
}

/// Protocols whose rules may name ports.
pub(super) const fn has_ports(number: u8) -> bool {
    matches!(
        number,
        protocol::TCP | protocol::UDP | protocol::DCCP | protocol::SCTP | protocol::UDPLITE
    )
}

/// ICMPv6 and the extension headers of IPv6: nothing has them in IPv4. IPv6 in IPv4 (41, RFC 4213) is
/// none of them, though Neutron refuses it.
pub(super) const fn is_ipv6_only(number: u8) -> bool {
    matches!(
        number,
        protocol::ICMPV6
            | protocol::ROUTING
            | protocol::FRAGMENT
            | protocol::NO_NEXT
            | protocol::DEST_OPTIONS
    )
}

/// Headers in front of the upper layer that a packet's protocol is looked for behind, in IPv6.
pub(super) const fn is_walked_past(number: u8) -> bool {
    matches!(
        number,
        protocol::ROUTING | protocol::FRAGMENT | protocol::AH | protocol::DEST_OPTIONS
    )
}
