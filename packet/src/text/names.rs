//! Names of protocols, ICMP types and TCP flags, as Neutron, IANA and `tcpdump` write them.

use crate::{dccp_type, protocol, sctp_chunk, tcp_flags};

/// In order of preference: the first name of a number is the one that is written.
const PROTOCOLS: [(&str, u8); 24] = [
    ("hopopt", protocol::HOP_BY_HOP),
    ("icmp", protocol::ICMP),
    ("igmp", protocol::IGMP),
    ("ipip", protocol::IPIP),
    ("tcp", protocol::TCP),
    ("egp", 8),
    ("udp", protocol::UDP),
    ("dccp", protocol::DCCP),
    ("ipv6-encap", protocol::IPV6_ENCAP),
    ("rsvp", protocol::RSVP),
    ("gre", protocol::GRE),
    ("esp", protocol::ESP),
    ("ah", protocol::AH),
    ("icmpv6", protocol::ICMPV6),
    ("ipv6-icmp", protocol::ICMPV6),
    ("ipv6-nonxt", protocol::NO_NEXT),
    ("ospf", protocol::OSPF),
    ("pim", protocol::PIM),
    ("vrrp", protocol::VRRP),
    ("pgm", protocol::PGM),
    ("l2tp", 115),
    ("sctp", protocol::SCTP),
    ("udplite", protocol::UDPLITE),
    ("mpls-in-ip", 137),
];

const ICMP_TYPES: [(&str, u8); 11] = [
    ("echo-reply", 0),
    ("unreachable", 3),
    ("source-quench", 4),
    ("redirect", 5),
    ("echo-request", 8),
    ("time-exceeded", 11),
    ("parameter-problem", 12),
    ("timestamp-request", 13),
    ("timestamp-reply", 14),
    ("address-mask-request", 17),
    ("address-mask-reply", 18),
];

const ICMPV6_TYPES: [(&str, u8); 17] = [
    ("unreachable", 1),
    ("packet-too-big", 2),
    ("time-exceeded", 3),
    ("parameter-problem", 4),
    ("echo-request", 128),
    ("echo-reply", 129),
    ("mld-query", 130),
    ("mld-report", 131),
    ("mld-done", 132),
    ("router-solicitation", 133),
    ("router-advertisement", 134),
    ("neighbour-solicitation", 135),
    ("neighbour-advertisement", 136),
    ("neighbor-solicitation", 135),
    ("neighbor-advertisement", 136),
    ("redirect", 137),
    ("mld2-report", 143),
];

pub(super) const SCTP_CHUNKS: [(&str, u8); 13] = [
    ("data", sctp_chunk::DATA),
    ("init", sctp_chunk::INIT),
    ("init-ack", sctp_chunk::INIT_ACK),
    ("sack", sctp_chunk::SACK),
    ("heartbeat", sctp_chunk::HEARTBEAT),
    ("heartbeat-ack", sctp_chunk::HEARTBEAT_ACK),
    ("abort", sctp_chunk::ABORT),
    ("shutdown", sctp_chunk::SHUTDOWN),
    ("shutdown-ack", sctp_chunk::SHUTDOWN_ACK),
    ("error", sctp_chunk::ERROR),
    ("cookie-echo", sctp_chunk::COOKIE_ECHO),
    ("cookie-ack", sctp_chunk::COOKIE_ACK),
    ("shutdown-complete", sctp_chunk::SHUTDOWN_COMPLETE),
];

pub(super) const DCCP_TYPES: [(&str, u8); 10] = [
    ("request", dccp_type::REQUEST),
    ("response", dccp_type::RESPONSE),
    ("data", dccp_type::DATA),
    ("ack", dccp_type::ACK),
    ("dataack", dccp_type::DATA_ACK),
    ("closereq", dccp_type::CLOSE_REQ),
    ("close", dccp_type::CLOSE),
    ("reset", dccp_type::RESET),
    ("sync", dccp_type::SYNC),
    ("syncack", dccp_type::SYNC_ACK),
];

/// In the order in which they are written.
pub(super) const FLAGS: [(&str, u8); 8] = [
    ("syn", tcp_flags::SYN),
    ("fin", tcp_flags::FIN),
    ("rst", tcp_flags::RST),
    ("psh", tcp_flags::PSH),
    ("urg", tcp_flags::URG),
    ("ece", tcp_flags::ECE),
    ("cwr", tcp_flags::CWR),
    ("ack", tcp_flags::ACK),
];

pub(super) fn number_of(names: &[(&str, u8)], text: &str) -> Option<u8> {
    names
        .iter()
        .find(|(name, _)| *name == text)
        .map(|(_, number)| *number)
}

pub(super) fn name_of(names: &[(&'static str, u8)], number: u8) -> Option<&'static str> {
    names
        .iter()
        .find(|(_, candidate)| *candidate == number)
        .map(|(name, _)| *name)
}

/// The number of a protocol's name.
pub(super) fn protocol_number(name: &str) -> Option<u8> {
    number_of(&PROTOCOLS, name)
}

/// The name of a protocol; the ICMP of the other family has none.
pub(super) fn protocol_name(number: u8, v4: bool) -> Option<&'static str> {
    let foreign = if v4 { protocol::ICMPV6 } else { protocol::ICMP };
    name_of(&PROTOCOLS, number).filter(|_| number != foreign)
}

fn icmp_types(protocol: u8) -> &'static [(&'static str, u8)] {
    if protocol == protocol::ICMP {
        &ICMP_TYPES
    } else {
        &ICMPV6_TYPES
    }
}

/// The number of an ICMP or ICMPv6 type's name.
pub(super) fn icmp_number(protocol: u8, name: &str) -> Option<u8> {
    number_of(icmp_types(protocol), name)
}

/// The name of a type of ICMP or ICMPv6 (`protocol`, an IANA number); `None` where it has none here.
#[must_use]
pub fn icmp_name(protocol: u8, number: u8) -> Option<&'static str> {
    name_of(icmp_types(protocol), number)
}

/// The bit of a TCP flag's name.
pub(super) fn flag(name: &str) -> Option<u8> {
    number_of(&FLAGS, name)
}
