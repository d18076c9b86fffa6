//! What the log leaves out (SPEC section 5.3). One function, so that the switch counts by the same
//! rule by which it does not record.

use packet::{FiveTuple, Headers, L4, Net, ethertype, protocol};
use std::{fmt, net::IpAddr};

/// Why a frame is not recorded. The switch counts each kind per port and verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum NotRecorded {
    /// IPv6.
    Ipv6,
    /// To 224.0.0.0/4 or to a group MAC address; broadcast is recorded.
    Multicast,
    /// To or from 169.254.169.0/24, where instances ask for metadata and health.
    Metadata,
    /// ARP or RARP.
    Arp,
    /// An IP protocol other than ICMP, TCP and UDP.
    OtherProtocol,
    /// IP by its ethertype, but too broken to have a tuple.
    Malformed,
    /// Neither IP nor ARP.
    NonIp,
}

impl NotRecorded {
    /// Every kind, in order of its index.
    pub const ALL: &'static [Self] = &[
        Self::Ipv6,
        Self::Multicast,
        Self::Metadata,
        Self::Arp,
        Self::OtherProtocol,
        Self::Malformed,
        Self::NonIp,
    ];

    /// The name, as counters and tables write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ipv6 => "ipv6",
            Self::Multicast => "multicast",
            Self::Metadata => "metadata",
            Self::Arp => "arp",
            Self::OtherProtocol => "other_protocol",
            Self::Malformed => "malformed",
            Self::NonIp => "non_ip",
        }
    }

    /// Place in [`Self::ALL`].
    #[inline]
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }
}

impl fmt::Display for NotRecorded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Whether a frame is recorded: `None` if it is, otherwise why not.
#[inline]
#[must_use]
pub fn not_recorded(headers: &Headers) -> Option<NotRecorded> {
    let ip = match &headers.net {
        Net::Ip(ip) => ip,
        Net::Arp(_) => return Some(NotRecorded::Arp),
        Net::Other => return Some(without_tuple(headers.eth.ethertype)),
    };
    let (IpAddr::V4(src), IpAddr::V4(dst)) = (ip.src, ip.dst) else {
        return Some(NotRecorded::Ipv6);
    };
    if headers.ordinary {
        return None;
    }
    let to_group = headers.eth.dst.is_group() && !headers.eth.dst.is_broadcast();
    if to_group || dst.is_multicast() {
        return Some(NotRecorded::Multicast);
    }
    if is_metadata(src.octets()) || is_metadata(dst.octets()) {
        return Some(NotRecorded::Metadata);
    }
    let without_header = matches!(ip.l4, L4::Opaque) && ip.fragment.is_none();
    match ip.protocol {
        protocol::ICMP | protocol::TCP | protocol::UDP if without_header => {
            Some(NotRecorded::Malformed)
        }
        protocol::ICMP | protocol::TCP | protocol::UDP => None,
        _ => Some(NotRecorded::OtherProtocol),
    }
}

/// Whether a tuple is one of those that the seed records. What a frame's addresses say besides is
/// said by [`not_recorded`] alone.
pub(crate) fn is_of_seed(tuple: &FiveTuple) -> bool {
    let (IpAddr::V4(src), IpAddr::V4(dst)) = (tuple.src, tuple.dst) else {
        return false;
    };
    let excluded = dst.is_multicast() || is_metadata(src.octets()) || is_metadata(dst.octets());
    !excluded
        && matches!(
            tuple.protocol,
            protocol::ICMP | protocol::TCP | protocol::UDP
        )
}

/// Whether a frame that the seed does not record has a tuple all the same: it is what
/// [`Scope::All`](crate::Scope::All) records besides. A unicast address behind a group MAC has none, for its
/// tuple would be that of another flow.
#[must_use]
pub fn has_tuple(headers: &Headers, kind: NotRecorded) -> bool {
    let Some(ip) = headers.ip() else {
        return false;
    };
    let is_whole =
        !matches!(ip.l4, L4::Opaque) || ip.fragment.is_some() || !has_layer_4_header(ip.protocol);
    match kind {
        NotRecorded::Ipv6 | NotRecorded::Metadata | NotRecorded::OtherProtocol => is_whole,
        NotRecorded::Multicast => is_whole && ip.dst.is_multicast(),
        NotRecorded::Arp | NotRecorded::Malformed | NotRecorded::NonIp => false,
    }
}

const fn has_layer_4_header(number: u8) -> bool {
    matches!(
        number,
        protocol::ICMP | protocol::TCP | protocol::UDP | protocol::ICMPV6
    )
}

const fn without_tuple(kind: u16) -> NotRecorded {
    match kind {
        ethertype::ARP | ethertype::RARP => NotRecorded::Arp,
        ethertype::IPV4 | ethertype::IPV6 => NotRecorded::Malformed,
        _ => NotRecorded::NonIp,
    }
}

const fn is_metadata(address: [u8; 4]) -> bool {
    matches!(address, [169, 254, 169, _])
}

#[cfg(test)]
mod tests {
    use super::*;
    use packet::{Ethernet, Ip, L4, Mac, Vlan, Wire};

    #[test]
    fn tcp_udp_and_icmp_over_ipv4_are_recorded_and_broadcast_too() {
        for protocol in [1, 6, 17] {
            assert_eq!(not_recorded(&ip("10.0.0.1", "10.0.0.2", protocol)), None);
        }
        let mut broadcast = ip("0.0.0.0", "255.255.255.255", 17);
        broadcast.eth.dst = Mac::BROADCAST;
        assert_eq!(not_recorded(&broadcast), None);
    }

    #[test]
    fn every_exclusion_of_the_specification_has_its_kind() {
        use NotRecorded as N;
        let mut group_mac = ip("10.0.0.1", "10.0.0.2", 17);
        group_mac.eth.dst = Mac([1, 0, 0x5e, 0, 0, 1]);
        let cases = [
            (ip("fd00::1", "fd00::2", 6), N::Ipv6),
            (ip("10.0.0.1", "224.0.0.251", 17), N::Multicast),
            (ip("10.0.0.1", "239.255.255.255", 17), N::Multicast),
            (group_mac, N::Multicast),
            (ip("10.0.0.1", "169.254.169.254", 6), N::Metadata),
            (ip("169.254.169.1", "10.0.0.1", 6), N::Metadata),
            (ip("10.0.0.1", "10.0.0.2", 47), N::OtherProtocol),
            (other(ethertype::ARP), N::Arp),
            (other(ethertype::IPV4), N::Malformed),
            (other(0x88cc), N::NonIp),
        ];
        for (headers, kind) in cases {
            assert_eq!(not_recorded(&headers), Some(kind), "{headers:?}");
        }
        assert_eq!(not_recorded(&ip("10.0.0.1", "169.254.170.1", 6)), None);
    }

    /// The short cut says what would be said without it.
    #[test]
    fn no_frame_that_is_called_ordinary_is_excluded_for_its_addresses() {
        let (a, b) = (Mac([2, 0, 0, 0, 0, 1]), Mac([2, 0, 0, 0, 0, 2]));
        let addresses: [IpAddr; 6] = [
            "10.0.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "169.254.169.254",
            "fd00::1",
            "ff02::1",
        ]
        .map(|text| text.parse().unwrap());
        for to in [b, Mac::BROADCAST, Mac([1, 0, 0x5e, 0, 0, 1])] {
            for (src, dst) in addresses
                .iter()
                .flat_map(|src| addresses.map(|dst| (*src, dst)))
            {
                if src.is_ipv4() != dst.is_ipv4() {
                    continue;
                }
                let bytes = packet::build::frame(a, to).ip(src, dst).udp(1, 2).build();
                let headers = Headers::parse(&bytes, packet::Offload::default()).unwrap();
                let unsaid = Headers {
                    ordinary: false,
                    ..headers
                };
                assert_eq!(not_recorded(&headers), not_recorded(&unsaid), "{headers:?}");
            }
        }
    }

    #[test]
    fn the_index_of_a_kind_is_its_place_in_the_list() {
        for (place, kind) in NotRecorded::ALL.iter().enumerate() {
            assert_eq!(kind.index(), place);
        }
    }

    fn other(ethertype: u16) -> Headers {
        Headers {
            eth: Ethernet {
                src: Mac::ZERO,
                dst: Mac::ZERO,
                vlan: Vlan::Untagged,
                ethertype,
            },
            net: Net::Other,
            wire: Wire::default(),
            defect: None,
            bad_checksum: false,
            ordinary: false,
        }
    }

    fn ip(src: &str, dst: &str, protocol: u8) -> Headers {
        let net = Net::Ip(Ip {
            src: src.parse().unwrap(),
            dst: dst.parse().unwrap(),
            protocol,
            hop_limit: 64,
            fragment: None,
            l4: L4::Ports {
                src_port: 1,
                dst_port: 2,
            },
            l4_offset: 34,
            end: 64,
        });
        Headers {
            net,
            ..other(ethertype::IPV4)
        }
    }

    #[test]
    fn a_header_cut_short_leaves_no_tuple_but_a_fragment_has_its_datagrams() {
        let mut headers = ip("10.0.0.1", "10.0.0.2", 6);
        let Net::Ip(ip) = &mut headers.net else {
            unreachable!()
        };
        ip.l4 = L4::Opaque;
        assert_eq!(not_recorded(&headers), Some(NotRecorded::Malformed));
        let Net::Ip(ip) = &mut headers.net else {
            unreachable!()
        };
        ip.fragment = Some(packet::Fragment {
            id: 1,
            offset: 8,
            len: 8,
            more: false,
        });
        assert_eq!(not_recorded(&headers), None);
    }
}
