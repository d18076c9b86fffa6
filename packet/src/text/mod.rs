//! The text form of a packet, for `trace`, live output, tests and documents.
//!
//! ```text
//! tcp 10.77.1.11:40000 > 10.77.1.12:22 syn
//! tcp 10.77.1.11:40000 > 10.77.1.12:22 psh,ack seq=1 ack=1 win=501 wscale=7 sack=9 len=100
//! udp [fd00::1]:5353 > [ff02::fb]:5353 len=40 ttl=1
//! icmp 10.77.1.11 > 10.77.1.12 echo-request id=7       icmp A > B type=8 code=0 id=7
//! icmpv6 fe80::1 > ff02::1 neighbour-solicitation target=fe80::2 lladdr=fa:16:3e:00:00:01
//! sctp 10.0.0.1:5000 > 10.0.0.2:5001 init init-tag=7       sctp A > B abort reflected tag=9
//! dccp 10.0.0.1:5000 > 10.0.0.2:5001 request               vrrp A > B     proto=112 A > B
//! arp who-has 10.77.1.12 tell 10.77.1.11
//! arp reply 10.77.1.11 is-at fa:16:3e:00:00:01 tell 10.77.1.12
//! arp op=9 A > B     rarp op=3 A > B     sender-mac=MAC where it is not the frame's
//! eth 0x88cc len=46
//! ```
//!
//! Anywhere: `from MAC`, `to MAC`, `vlan=5` (0 is a priority tag). On IP: `ttl=1` and
//! `frag=id:offset:length:+`, where the length is the fragment's own (so `len=` does not go with
//! it) and `+` says that more follow; a fragment with an offset has neither ports nor type.
//! TCP without a flag word is a SYN, SCTP without a chunk an INIT, DCCP without a type a request;
//! `none` is no flag, or no chunk, at all.

mod display;
mod frame;
mod names;
mod parse;

pub use names::icmp_name;
pub use parse::SpecError;

use crate::{
    Fragment, Headers, Ip, L4, Mac, Neighbour, Net, Vlan, ethertype, is_neighbour, neighbour,
    protocol, sctp_chunk,
};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Payload bytes that a packet may ask for: 65,535 less the headers that come before.
pub const PAYLOAD_MAX: u16 = 65_400;
const DEFAULT_TTL: u8 = 64;
/// RFC 4861: neighbour discovery is dropped by its receiver with any other.
const ND_TTL: u8 = 255;
const DEFAULT_WINDOW: u16 = u16::MAX;
/// What an SCTP INIT asks for; 0 is not allowed (RFC 9260, section 3.3.2).
const DEFAULT_INIT_TAG: u32 = 1;

/// A packet as it is written down; `Display` and `FromStr` round-trip. The forms stand in
/// [`crate::text`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PacketSpec {
    /// `from MAC`.
    pub src_mac: Option<Mac>,
    /// `to MAC`.
    pub dst_mac: Option<Mac>,
    /// `vlan=`, 0 for a priority tag.
    pub vlan: Option<u16>,
    /// What the frame carries.
    pub body: SpecBody,
}

/// What a written packet carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpecBody {
    /// ARP or RARP.
    Arp {
        /// RARP.
        reverse: bool,
        /// The operation: 1 request, 2 reply.
        operation: u16,
        /// Sender hardware address; absent, it is the frame's source.
        sender_mac: Option<Mac>,
        /// Sender protocol address.
        sender_ip: Ipv4Addr,
        /// Target protocol address.
        target_ip: Ipv4Addr,
    },
    /// IPv4 or IPv6.
    Ip(IpSpec),
    /// Another ethertype, with this many bytes of zeros.
    Other {
        /// Ethertype or 802.3 length.
        ethertype: u16,
        /// Bytes behind it.
        len: u16,
    },
}

/// A written IP packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IpSpec {
    /// Source address.
    pub src: IpAddr,
    /// Destination address, of the same family.
    pub dst: IpAddr,
    /// Upper-layer protocol.
    pub protocol: u8,
    /// TTL or hop limit.
    pub ttl: u8,
    /// `frag=`.
    pub fragment: Option<Fragment>,
    /// The upper layer.
    pub l4: L4,
    /// Bytes behind the upper layer's header; 0 in a fragment, whose own length stands instead.
    pub len: u16,
    /// `target=` of neighbour discovery.
    pub target: Option<Ipv6Addr>,
    /// `lladdr=`: the link-layer address option of neighbour discovery.
    pub link_layer: Option<Mac>,
}

impl PacketSpec {
    /// How a parsed frame is written, as far as its headers say: without what neighbour discovery
    /// messages carry, and without the length of what is not IP.
    #[must_use]
    pub fn of(headers: &Headers) -> Self {
        let body = match &headers.net {
            Net::Ip(ip) => SpecBody::Ip(IpSpec::of(ip)),
            Net::Arp(arp) => SpecBody::Arp {
                reverse: headers.eth.ethertype == ethertype::RARP,
                operation: arp.operation,
                sender_mac: Some(arp.sender_mac)
                    .filter(|mac| *mac != headers.eth.src || arp.operation == 2),
                sender_ip: arp.sender_ip,
                target_ip: arp.target_ip,
            },
            Net::Other => SpecBody::Other {
                ethertype: headers.eth.ethertype,
                len: 0,
            },
        };
        let vlan = match headers.eth.vlan {
            Vlan::Untagged | Vlan::Double => None,
            Vlan::Priority => Some(0),
            Vlan::Tagged(vid) => Some(vid),
        };
        Self {
            src_mac: Some(headers.eth.src),
            dst_mac: Some(headers.eth.dst),
            vlan,
            body,
        }
    }

    /// As [`Self::of`], with what only the frame itself can tell.
    #[must_use]
    pub fn read(frame: &[u8], headers: &Headers) -> Self {
        let mut spec = Self::of(headers);
        match (&mut spec.body, headers.ip()) {
            (SpecBody::Ip(written), Some(ip)) if is_neighbour(ip) && ip.fragment.is_none() => {
                if let Ok(Neighbour {
                    target, link_layer, ..
                }) = neighbour(frame, ip)
                    && (target.is_some() || link_layer.is_some())
                {
                    (written.target, written.link_layer, written.len) = (target, link_layer, 0);
                }
            }
            (SpecBody::Other { len, .. }, _) => {
                let bytes = frame.len().saturating_sub(headers.eth.header_len());
                *len = u16::try_from(bytes).unwrap_or(u16::MAX);
            }
            _ => {}
        }
        spec
    }
}

impl IpSpec {
    fn of(ip: &Ip) -> Self {
        let upper_len = ip.end.saturating_sub(u32::from(ip.l4_offset));
        let len = match ip.l4 {
            _ if ip.fragment.is_some() => 0,
            L4::Tcp(tcp) => tcp.payload_len,
            _ => upper_len.saturating_sub(u32::from(fixed_len(ip.protocol, &ip.l4))),
        };
        let mut l4 = ip.l4;
        if let (L4::Tcp(tcp), Some(_)) = (&mut l4, ip.fragment) {
            // A fragment's own length says how much there is.
            tcp.payload_len = 0;
        }
        Self {
            src: ip.src,
            dst: ip.dst,
            protocol: ip.protocol,
            ttl: ip.hop_limit,
            fragment: ip.fragment,
            l4,
            len: u16::try_from(len).unwrap_or(u16::MAX),
            target: None,
            link_layer: None,
        }
    }

    fn is_v4(&self) -> bool {
        self.src.is_ipv4()
    }

    /// Whether it is written with a neighbour discovery type.
    fn is_neighbour(&self) -> bool {
        matches!(self.l4, L4::Icmp(icmp) if self.protocol == protocol::ICMPV6 && (133..=137).contains(&icmp.kind))
    }

    fn default_ttl(&self) -> u8 {
        if self.is_neighbour() {
            ND_TTL
        } else {
            DEFAULT_TTL
        }
    }

    /// The bytes that neighbour discovery has before its options (RFC 4861, section 4).
    fn default_len(&self) -> u16 {
        match self.l4 {
            _ if self.target.is_some() || self.link_layer.is_some() => 0,
            L4::Icmp(icmp) if self.is_neighbour() => match icmp.kind {
                133 => 0,
                134 => 8,
                137 => 32,
                _ => 16,
            },
            _ => 0,
        }
    }
}

/// Bytes of the upper layer's header where it has no options.
fn fixed_len(protocol: u8, l4: &L4) -> u16 {
    match (l4, protocol) {
        (L4::Tcp(_), _) => 20,
        (L4::Sctp(sctp), _) => match sctp.chunk {
            Some(sctp_chunk::INIT | sctp_chunk::INIT_ACK) => 32,
            Some(_) => 16,
            None => 12,
        },
        (L4::Dccp(_), _) | (L4::Ports { .. }, protocol::SCTP | protocol::DCCP) => 12,
        (L4::Udp { .. } | L4::Ports { .. } | L4::Icmp(_), _) => 8,
        (L4::Opaque, _) => 0,
    }
}
