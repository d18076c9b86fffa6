//! The layer 4 part of a connection's key.
//!
//! ICMP has no ports, so its queries get ends that play their part (as in RFC 792, "the identifier
//! might be used like a port"). The end that asks and the end that answers look different: a request
//! and its reply meet in one key, while a request of the other side with the same identifier, or of
//! another type, has a key of its own.
//!
//! ```text
//!   end that asks:     1, high byte of the identifier
//!   end that answers:  type of the request, low byte of the identifier
//! ```

use packet::{Icmp, Ip, L4, protocol};

/// First byte of the end that asks. No request has type 1.
const ASKS: u8 = 1;

/// The layer 4 part of a packet's key at its source and at its destination.
///
/// Ports where the protocol has them; for ICMP and ICMPv6 queries see the module's picture, for their
/// other messages (type and code, 0); (0, 0) for other protocols. `None` where the layer 4 header is
/// not at hand though the protocol has one: fragments that are not the first, headers cut short.
#[inline(always)]
#[must_use]
pub fn ends(ip: &Ip) -> Option<(u16, u16)> {
    match ip.l4 {
        L4::Icmp(icmp) => Some(icmp_ends(ip.protocol, icmp)),
        L4::Opaque => (!has_header(ip.protocol)).then_some((0, 0)),
        l4 => l4.ports(),
    }
}

/// The part an ICMP message plays in a query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Query {
    /// It asks.
    Request,
    /// It answers a request of this type.
    Reply(u8),
}

/// The part an ICMP or ICMPv6 message of type `kind` plays; `None` for errors, neighbour discovery and
/// the rest. RFC 792, RFC 950; RFC 4443, RFC 4620. Linux tracks the same types, but for node
/// information.
#[inline]
#[must_use]
pub const fn query(protocol: u8, kind: u8) -> Option<Query> {
    match (protocol, kind) {
        (protocol::ICMP, 8 | 13 | 15 | 17) | (protocol::ICMPV6, 128 | 139) => Some(Query::Request),
        (protocol::ICMP, 0) => Some(Query::Reply(8)),
        (protocol::ICMP, 14 | 16 | 18) | (protocol::ICMPV6, 129 | 140) => {
            Some(Query::Reply(kind - 1))
        }
        _ => None,
    }
}

/// What a key's layer 4 ends say of an ICMP query: the type of the request and the identifier.
/// `None` where they are not those of a query.
#[must_use]
pub fn asked(l4: [u16; 2]) -> Option<(u8, u16)> {
    let [low, high] = l4.map(u16::to_be_bytes);
    let (([ASKS, id_high], [kind, id_low]) | ([kind, id_low], [ASKS, id_high])) = (low, high)
    else {
        return None;
    };
    // Types 0 and 1 ask nothing: these are the ends of another message, (1, its code) and (0, 0).
    (kind > ASKS).then(|| (kind, u16::from_be_bytes([id_high, id_low])))
}

#[inline]
fn icmp_ends(protocol: u8, icmp: Icmp) -> (u16, u16) {
    let [id_high, id_low] = icmp.id.to_be_bytes();
    let asks = u16::from_be_bytes([ASKS, id_high]);
    match query(protocol, icmp.kind) {
        Some(Query::Request) => (asks, u16::from_be_bytes([icmp.kind, id_low])),
        Some(Query::Reply(request)) => (u16::from_be_bytes([request, id_low]), asks),
        None => (u16::from_be_bytes([icmp.kind, icmp.code]), 0),
    }
}

/// Whether the protocol has a layer 4 header that its key needs.
pub(super) const fn has_header(number: u8) -> bool {
    matches!(
        number,
        protocol::TCP
            | protocol::UDP
            | protocol::SCTP
            | protocol::DCCP
            | protocol::UDPLITE
            | protocol::ICMP
            | protocol::ICMPV6
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{PortId, conntrack::Key};
    use std::collections::HashSet;

    const A: [u8; 4] = [10, 0, 0, 10];
    const B: [u8; 4] = [10, 0, 0, 11];

    /// The key of a message from `src` to `dst`.
    fn key(src: [u8; 4], dst: [u8; 4], number: u8, kind: u8, id: u16) -> Key<[u8; 4]> {
        let l4 = L4::Icmp(Icmp { kind, code: 0, id });
        let (from, to) = ends(&ip(number, l4)).unwrap();
        Key::new((src, from, PortId(1)), (dst, to, PortId(2))).0
    }

    fn ip(number: u8, l4: L4) -> Ip {
        let (src, dst) = (A.into(), B.into());
        let (hop_limit, l4_offset, end) = (64, 34, 98);
        Ip {
            src,
            dst,
            protocol: number,
            hop_limit,
            fragment: None,
            l4,
            l4_offset,
            end,
        }
    }

    #[test]
    fn a_request_and_its_reply_have_one_key() {
        let kinds = [
            (1, 8, 0),
            (1, 13, 14),
            (1, 15, 16),
            (1, 17, 18),
            (58, 128, 129),
            (58, 139, 140),
        ];
        for (number, request, reply) in kinds {
            for id in [0, 1, 8, 0x0108, 0x0801, 0x8000, 0xffff] {
                let asked_key = key(A, B, number, request, id);
                let (from, to) = ends(&ip(
                    number,
                    L4::Icmp(Icmp {
                        kind: reply,
                        code: 0,
                        id,
                    }),
                ))
                .unwrap();
                let (answer, _) = Key::new((B, from, PortId(2)), (A, to, PortId(1)));
                assert_eq!((asked_key.addr, asked_key.l4), (answer.addr, answer.l4));
                assert_eq!(asked(answer.l4), Some((request, id)));
            }
        }
    }

    #[test]
    fn requests_of_either_side_any_identifier_and_type_have_keys_of_their_own() {
        let mut seen = HashSet::new();
        for id in 0..=u16::MAX {
            for kind in [8, 13] {
                assert!(seen.insert(key(A, B, 1, kind, id).l4), "{kind} {id}");
                assert!(seen.insert(key(B, A, 1, kind, id).l4), "{kind} {id}");
            }
        }
    }

    #[test]
    fn other_messages_never_meet_a_query() {
        for kind in 0..=u8::MAX {
            let l4 = ends(&ip(
                1,
                L4::Icmp(Icmp {
                    kind,
                    code: 3,
                    id: 0,
                }),
            ))
            .unwrap();
            assert_eq!(
                asked([l4.0, l4.1]).is_some(),
                query(1, kind).is_some(),
                "{kind}"
            );
        }
    }

    #[test]
    fn ports_are_taken_as_they_are_and_a_missing_header_has_none() {
        assert_eq!(
            ends(&ip(
                17,
                L4::Udp {
                    src_port: 5,
                    dst_port: 53
                }
            )),
            Some((5, 53))
        );
        assert_eq!(ends(&ip(112, L4::Opaque)), Some((0, 0)));
        for number in [1, 6, 17, 33, 58, 132, 136] {
            assert_eq!(ends(&ip(number, L4::Opaque)), None);
        }
    }
}
