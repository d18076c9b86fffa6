//! What a parse yields. Plain data: no borrow, no allocation.

use crate::{FiveTuple, Mac};
use std::net::{IpAddr, Ipv4Addr};

/// Everything the switch wants to know of a frame. About 150 bytes, plain data, no borrow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Headers {
    /// Link layer.
    pub eth: Ethernet,
    /// Network layer and above.
    pub net: Net,
    /// What the frame stands for on a wire.
    pub wire: Wire,
    /// What is wrong with the headers; the fields before the place of the defect still hold.
    pub defect: Option<Defect>,
    /// A complete layer 3 or layer 4 checksum that is wrong. Never set for a partial checksum
    /// ([`crate::Offload::needs_checksum`]) or a fragment.
    pub bad_checksum: bool,
    /// A TCP segment or UDP datagram between two hosts, whole and sound: untagged, unicast in both layers,
    /// no fragment, not DHCP, neither link-local nor from and to the same. What looks for anything else
    /// has nothing to find here. `false` says nothing.
    pub ordinary: bool,
}

/// The link-layer header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ethernet {
    /// Source address.
    pub src: Mac,
    /// Destination address.
    pub dst: Mac,
    /// The tags before the ethertype.
    pub vlan: Vlan,
    /// Ethertype behind the tags; below 0x0600 it is an 802.3 length.
    pub ethertype: u16,
}

/// 802.1Q tags.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Vlan {
    /// No tag.
    Untagged,
    /// One 802.1Q tag with VID 0: a priority, no VLAN.
    Priority,
    /// One 802.1Q tag with this VID.
    Tagged(u16),
    /// Two tags or more, or an 802.1ad tag. What lies behind is not parsed.
    Double,
}

/// What a frame carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Net {
    /// ARP or RARP for IPv4 over Ethernet.
    Arp(Arp),
    /// IPv4 or IPv6.
    Ip(Ip),
    /// Anything else, and what could not be parsed.
    Other,
}

/// The body of an ARP or RARP packet (RFC 826, RFC 903).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arp {
    /// 1 request, 2 reply, 3 and 4 for RARP.
    pub operation: u16,
    /// Sender hardware address.
    pub sender_mac: Mac,
    /// Sender protocol address.
    pub sender_ip: Ipv4Addr,
    /// Target protocol address.
    pub target_ip: Ipv4Addr,
}

/// The IP header and what is above.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ip {
    /// Source address.
    pub src: IpAddr,
    /// Destination address, of the same family.
    pub dst: IpAddr,
    /// Upper-layer protocol, behind IPv6 extension headers. In an IPv6 fragment that is not the
    /// first it is what the fragment header names, which may be an extension header still.
    pub protocol: u8,
    /// TTL or hop limit.
    pub hop_limit: u8,
    /// Set for fragments, not for an atomic fragment (RFC 6946).
    pub fragment: Option<Fragment>,
    /// The upper layer. [`L4::Opaque`] in fragments that are not the first.
    pub l4: L4,
    /// Where the upper layer's header starts in the frame.
    pub l4_offset: u16,
    /// Where the IP packet ends in the frame, Ethernet padding excluded.
    pub end: u32,
}

/// A fragment of a datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fragment {
    /// Identification; 16 bits in IPv4.
    pub id: u32,
    /// Offset of the payload in the datagram, bytes.
    pub offset: u16,
    /// Length of the payload, bytes.
    pub len: u16,
    /// More fragments follow.
    pub more: bool,
}

/// The upper layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum L4 {
    /// TCP.
    Tcp(Tcp),
    /// UDP.
    Udp {
        /// Source port.
        src_port: u16,
        /// Destination port.
        dst_port: u16,
    },
    /// SCTP.
    Sctp(Sctp),
    /// DCCP.
    Dccp(Dccp),
    /// A protocol of which only the ports matter (UDP-Lite), or a header cut short behind its ports.
    Ports {
        /// Source port.
        src_port: u16,
        /// Destination port.
        dst_port: u16,
    },
    /// ICMP in IPv4, ICMPv6 in IPv6.
    Icmp(Icmp),
    /// Another protocol, a fragment that is not the first, or a header cut short.
    Opaque,
}

/// What connection tracking needs of TCP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tcp {
    /// Source port.
    pub src_port: u16,
    /// Destination port.
    pub dst_port: u16,
    /// Sequence number.
    pub seq: u32,
    /// Acknowledgement number; meaningless without ACK.
    pub ack: u32,
    /// The eight flag bits, see [`crate::tcp_flags`].
    pub flags: u8,
    /// Window as in the header, unscaled.
    pub window: u16,
    /// Payload bytes of the frame, all segments of a GSO frame together.
    pub payload_len: u32,
    /// Window scale option (RFC 7323), not clamped.
    pub window_scale: Option<u8>,
    /// Greatest right edge of the SACK blocks (RFC 2018), where there are any.
    pub sack: Option<u32>,
}

/// What connection tracking needs of SCTP (RFC 9260): its common header, and of its chunks the one
/// that moves the association.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sctp {
    /// Source port.
    pub src_port: u16,
    /// Destination port.
    pub dst_port: u16,
    /// Verification tag: what the receiver chose; 0 in an INIT.
    pub tag: u32,
    /// Type of the first chunk that opens or closes, see [`crate::sctp_chunk`]; else of the first
    /// chunk. `None` where there is none, or its length contradicts the packet.
    pub chunk: Option<u8>,
    /// Of an ABORT or SHUTDOWN COMPLETE: the T bit, the tag is the sender's own.
    pub reflected: bool,
    /// Of an INIT or INIT ACK: the tag that its sender wants to see; else 0.
    pub init_tag: u32,
    /// An INIT, INIT ACK or SHUTDOWN COMPLETE shares the packet with another chunk, which none of them
    /// may (RFC 9260, section 6.10).
    pub bundled: bool,
}

/// What connection tracking needs of DCCP (RFC 4340).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dccp {
    /// Source port.
    pub src_port: u16,
    /// Destination port.
    pub dst_port: u16,
    /// Packet type, 0 to 15, see [`crate::dccp_type`].
    pub kind: u8,
}

impl L4 {
    /// Source and destination port, of protocols that have them.
    #[inline]
    #[must_use]
    pub const fn ports(&self) -> Option<(u16, u16)> {
        match *self {
            Self::Tcp(Tcp {
                src_port, dst_port, ..
            })
            | Self::Udp { src_port, dst_port }
            | Self::Ports { src_port, dst_port }
            | Self::Sctp(Sctp {
                src_port, dst_port, ..
            })
            | Self::Dccp(Dccp {
                src_port, dst_port, ..
            }) => Some((src_port, dst_port)),
            Self::Icmp(_) | Self::Opaque => None,
        }
    }
}

/// ICMP and ICMPv6.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Icmp {
    /// Type.
    pub kind: u8,
    /// Code.
    pub code: u8,
    /// Identifier of an echo, timestamp, information or address-mask message; else 0.
    pub id: u16,
}

/// What a frame stands for on a wire: a segmentation-offload frame is the packets it will become.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Wire {
    /// Packets; at least 1.
    pub packets: u32,
    /// Sum of their IP lengths (IPv4 total length; IPv6 40 + payload length); 0 for other frames.
    pub bytes: u32,
}

/// A frame of fewer than 14 bytes: not even an Ethernet header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("shorter than an Ethernet header")]
pub struct Runt;

/// Where the headers lie. All are `malformed` to the policy; the text is for `trace`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Defect {
    /// IP version and ethertype disagree.
    #[error("IP version and ethertype disagree")]
    Version,
    /// IPv4 header length below 20 or beyond the packet.
    #[error("IP header length is wrong")]
    IpHeaderLength,
    /// The IP length is smaller than the header or greater than the frame.
    #[error("IP length does not fit the frame")]
    IpLength,
    /// More IPv6 extension headers than the walk allows, or one past the end.
    #[error("IPv6 extension headers are too many or cut short")]
    ExtensionHeaders,
    /// An IPv6 routing header of type 0 (RFC 5095).
    #[error("IPv6 routing header of type 0")]
    RoutingHeader,
    /// A fragment whose offset and length pass 65,535, or a middle one not a multiple of 8.
    #[error("fragment length or offset is wrong")]
    Fragment,
    /// The upper-layer header is cut short in a packet that is not a fragment.
    #[error("layer 4 header is cut short")]
    L4Truncated,
    /// A first fragment too small for its upper-layer header: `frag_tiny`, not `malformed`.
    #[error("first fragment is too small for its layer 4 header")]
    TinyFragment,
    /// TCP data offset below 5 or beyond the segment, or options cut short.
    #[error("TCP data offset or options are wrong")]
    TcpOffset,
    /// UDP length below 8 or beyond the packet.
    #[error("UDP length is wrong")]
    UdpLength,
    /// An ARP body that is short or not IPv4 over Ethernet.
    #[error("ARP body is short or not IPv4 over Ethernet")]
    Arp,
    /// A link-layer frame cut inside its tag.
    #[error("VLAN tag is cut short")]
    Tag,
    /// The virtio header asks for a segmentation that the headers do not bear out.
    #[error("offload header contradicts the packet")]
    Offload,
}

impl Headers {
    /// The IP layer, if there is one.
    #[inline]
    #[must_use]
    pub const fn ip(&self) -> Option<&Ip> {
        match &self.net {
            Net::Ip(ip) => Some(ip),
            Net::Arp(_) | Net::Other => None,
        }
    }

    /// The five-tuple; ports 0 and 0 where the upper layer has none or is not at hand.
    #[inline]
    #[must_use]
    pub fn tuple(&self) -> Option<FiveTuple> {
        self.ip().map(Ip::tuple)
    }
}

impl Ip {
    /// The upper layer's bytes, header and payload; nothing behind the packet's end.
    #[inline]
    #[must_use]
    pub fn upper<'a>(&self, frame: &'a [u8]) -> &'a [u8] {
        let end = frame.len().min(self.end as usize);
        frame
            .get(usize::from(self.l4_offset)..end)
            .unwrap_or_default()
    }

    /// The five-tuple; ports 0 and 0 where the upper layer has none or is not at hand.
    #[inline]
    #[must_use]
    pub const fn tuple(&self) -> FiveTuple {
        let (src_port, dst_port) = match self.l4.ports() {
            Some(ports) => ports,
            None => (0, 0),
        };
        FiveTuple {
            protocol: self.protocol,
            src: self.src,
            dst: self.dst,
            src_port,
            dst_port,
        }
    }
}
