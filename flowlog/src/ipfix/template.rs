//! What a record consists of: the elements of IANA's IPFIX registry, in the order of the templates.

use crate::{Flow, PortInfo, Record};
use packet::{Direction, Reason, Verdict};
use std::net::IpAddr;

/// Set that holds templates.
const TEMPLATE_SET: u16 = 2;
/// Set that holds templates of options.
const OPTIONS_TEMPLATE_SET: u16 = 3;

/// Template of a flow between IPv4 addresses.
pub(super) const V4: u16 = 256;
/// Template of a flow between IPv6 addresses.
pub(super) const V6: u16 = 257;
/// Template of what a port is called.
pub(super) const PORT: u16 = 258;

const NS_PER_MS: u64 = 1_000_000;

/// Longest interface name that is told, bytes.
const NAME_LEN: usize = 32;
/// The length of a UUID's text.
const ID_LEN: usize = 36;

/// Element numbers and lengths that both kinds of flow have; [`write_flow`] goes in the same order.
const COMMON: [(u16, u16); 14] = [
    (152, 8), // flowStartMilliseconds
    (153, 8), // flowEndMilliseconds
    (323, 8), // observationTimeMilliseconds
    (1, 8),   // octetDeltaCount
    (2, 8),   // packetDeltaCount
    (10, 4),  // ingressInterface
    (14, 4),  // egressInterface
    (7, 2),   // sourceTransportPort
    (11, 2),  // destinationTransportPort
    (6, 2),   // tcpControlBits
    (4, 1),   // protocolIdentifier
    (61, 1),  // flowDirection
    (89, 1),  // forwardingStatus
    (233, 1), // firewallEvent
];

const ADDRESSES_V4: [(u16, u16); 2] = [(8, 4), (12, 4)];
const ADDRESSES_V6: [(u16, u16); 2] = [(27, 16), (28, 16)];

/// Scope: ingressInterface; interfaceName, interfaceDescription.
const OF_PORT: [(u16, u16); 3] = [(10, 4), (82, NAME_LEN as u16), (83, ID_LEN as u16)];

/// Appends the sets with every template.
pub(super) fn write_templates(out: &mut Vec<u8>) {
    let mut flows = Vec::new();
    for (id, addresses) in [(V4, ADDRESSES_V4), (V6, ADDRESSES_V6)] {
        put16(&mut flows, id);
        put16(&mut flows, (COMMON.len() + addresses.len()) as u16);
        write_elements(&COMMON, &mut flows);
        write_elements(&addresses, &mut flows);
    }
    write_set(TEMPLATE_SET, &flows, out);
    let mut options = Vec::new();
    put16(&mut options, PORT);
    put16(&mut options, OF_PORT.len() as u16);
    put16(&mut options, 1);
    write_elements(&OF_PORT, &mut options);
    write_set(OPTIONS_TEMPLATE_SET, &options, out);
}

fn write_elements(elements: &[(u16, u16)], out: &mut Vec<u8>) {
    for (number, length) in elements {
        put16(out, *number);
        put16(out, *length);
    }
}

fn write_set(id: u16, body: &[u8], out: &mut Vec<u8>) {
    put16(out, id);
    put16(out, (4 + body.len()) as u16);
    out.extend_from_slice(body);
}

/// Appends a flow's record; its template. `None` for a mixture of address families, which no packet has.
pub(super) fn write_flow(record: &Record, flow: &Flow, out: &mut Vec<u8>) -> Option<u16> {
    let tuple = &flow.tuple;
    let template = match (tuple.src, tuple.dst) {
        (IpAddr::V4(_), IpAddr::V4(_)) => V4,
        (IpAddr::V6(_), IpAddr::V6(_)) => V6,
        _ => return None,
    };
    let port = interface(record.port.port);
    let (enters, leaves) = match flow.direction {
        Direction::Egress => (port, 0),
        Direction::Ingress => (0, port),
        Direction::Unknown => (0, 0),
    };
    put64(out, record.first_ns / NS_PER_MS);
    put64(out, record.last_ns / NS_PER_MS);
    put64(out, record.last_ns / NS_PER_MS);
    put64(out, flow.bytes);
    put64(out, flow.packets);
    put32(out, enters);
    put32(out, leaves);
    put16(out, tuple.src_port);
    put16(out, tuple.dst_port);
    put16(out, flow.flags_all.into());
    out.push(tuple.protocol);
    out.push(direction(flow.direction));
    out.push(forwarding_status(flow.verdict));
    out.push(firewall_event(flow.verdict));
    write_address(tuple.src, out);
    write_address(tuple.dst, out);
    Some(template)
}

/// The interface that a port is: from 1, as interfaces are everywhere (RFC 2863), so that 0 is none.
fn interface(port: u16) -> u32 {
    u32::from(port) + 1
}

/// Appends the record that tells what a port is called.
pub(super) fn write_port(port: &PortInfo, out: &mut Vec<u8>) {
    put32(out, interface(port.port));
    write_text(&port.name, NAME_LEN, out);
    write_text(&port.interface_id.to_string(), ID_LEN, out);
}

/// The bytes that fit, and zeros behind them.
fn write_text(text: &str, len: usize, out: &mut Vec<u8>) {
    let fits = &text.as_bytes()[..text.floor_char_boundary(len)];
    out.extend_from_slice(fits);
    out.resize(out.len() + len - fits.len(), 0);
}

fn write_address(address: IpAddr, out: &mut Vec<u8>) {
    match address {
        IpAddr::V4(address) => out.extend_from_slice(&address.octets()),
        IpAddr::V6(address) => out.extend_from_slice(&address.octets()),
    }
}

/// RFC 5102, section 5.11.4 (element 61); a view of nobody has no number there.
const fn direction(direction: Direction) -> u8 {
    match direction {
        Direction::Ingress => 0,
        Direction::Egress => 1,
        Direction::Unknown => 255,
    }
}

/// RFC 7270, section 4.12: the upper two bits say forwarded or dropped, the lower six why.
pub(super) const fn forwarding_status(verdict: Verdict) -> u8 {
    const FORWARDED: u8 = 64;
    const DROPPED: u8 = 128;
    const ACL_DENY: u8 = 130;
    const FRAGMENTATION: u8 = 134;
    const SOURCE_CHECK: u8 = 141;
    match verdict {
        Verdict::Accept(_) => FORWARDED,
        Verdict::Drop(Reason::DefaultDeny | Reason::Revoked) => ACL_DENY,
        Verdict::Drop(Reason::SpoofMac | Reason::SpoofIp) => SOURCE_CHECK,
        Verdict::Drop(Reason::Mtu) => FRAGMENTATION,
        Verdict::Drop(_) => DROPPED,
    }
}

/// Element 233: a flow that goes on, or one that is denied.
const fn firewall_event(verdict: Verdict) -> u8 {
    const DENIED: u8 = 3;
    const UPDATE: u8 = 5;
    if verdict.is_accept() { UPDATE } else { DENIED }
}

pub(super) fn put16(out: &mut Vec<u8>, value: u16) {
    out.extend_from_slice(&value.to_be_bytes());
}

pub(super) fn put32(out: &mut Vec<u8>, value: u32) {
    out.extend_from_slice(&value.to_be_bytes());
}

fn put64(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(&value.to_be_bytes());
}
