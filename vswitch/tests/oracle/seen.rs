//! What the interpreter sees of a packet: its words, and how long it is.

use crate::packets::{Flaw, Packet};
use packet::{FiveTuple, Icmp, IpSpec, L4, Mac, SpecBody, Tcp, protocol};
use std::net::IpAddr;

/// An 802.1Q tag or what else stands there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tag {
    None,
    /// VID 0.
    Priority,
    Vlan,
    /// An 802.1ad tag, or two.
    Several,
}

/// A packet on its way.
#[derive(Debug)]
pub(crate) struct Seen<'a> {
    pub(crate) src: Mac,
    pub(crate) dst: Mac,
    pub(crate) tag: Tag,
    pub(crate) body: &'a SpecBody,
    pub(crate) about: Option<&'a (packet::PacketSpec, u16)>,
    /// The frame is shorter than its IP packet says.
    pub(crate) is_cut: bool,
    pub(crate) bad_checksum: bool,
    /// Packets on a wire, their IP bytes together, and the length of the longest.
    pub(crate) packets: u64,
    pub(crate) bytes: u64,
    pub(crate) longest: u64,
}

/// 802.1ad.
const QINQ: u16 = 0x88a8;

impl<'a> Seen<'a> {
    /// Of a packet whose frame is so long.
    pub(crate) fn of(packet: &'a Packet, frame_len: usize) -> Self {
        let (src, dst) = packet.macs();
        let body = &packet.spec.body;
        let tag = match (packet.spec.vlan, body) {
            (
                None,
                SpecBody::Other {
                    ethertype: QINQ, ..
                },
            ) => Tag::Several,
            (None, _) => Tag::None,
            (Some(0), _) => Tag::Priority,
            (Some(_), _) => Tag::Vlan,
        };
        let is_ip = matches!(body, SpecBody::Ip(_));
        let ip_len = if is_ip {
            (frame_len - packet.header_len()) as u64
        } else {
            0
        };
        let mut seen = Self {
            src,
            dst,
            tag,
            body,
            about: packet.about.as_ref(),
            is_cut: packet.flaw == Some(Flaw::Cut),
            bad_checksum: packet.flaw == Some(Flaw::Checksum),
            packets: 1,
            bytes: ip_len,
            longest: ip_len,
        };
        if let (Some(size), SpecBody::Ip(ip)) = (packet.gso, body) {
            let (payload, size) = (u64::from(ip.len), u64::from(size));
            let headers = ip_len - payload;
            seen.packets = payload.div_ceil(size).max(1);
            seen.bytes = payload + seen.packets * headers;
            seen.longest = payload.min(size) + headers;
        }
        seen
    }

    pub(crate) fn ip(&self) -> Option<&'a IpSpec> {
        match self.body {
            SpecBody::Ip(ip) => Some(ip),
            SpecBody::Arp { .. } | SpecBody::Other { .. } => None,
        }
    }

    pub(crate) fn tcp(&self) -> Option<(&'a Tcp, u32)> {
        let ip = self.ip()?;
        match &ip.l4 {
            L4::Tcp(tcp) => Some((tcp, u32::from(ip.len))),
            _ => None,
        }
    }
}

/// The ICMPv6 message, if it is one.
pub(crate) fn icmpv6(ip: &IpSpec) -> Option<Icmp> {
    match ip.l4 {
        L4::Icmp(icmp) if ip.protocol == protocol::ICMPV6 => Some(icmp),
        _ => None,
    }
}

/// Layer 4 ports, where the protocol has them.
pub(crate) const fn ports(l4: &L4) -> Option<(u16, u16)> {
    match l4 {
        L4::Tcp(tcp) => Some((tcp.src_port, tcp.dst_port)),
        L4::Udp { src_port, dst_port } | L4::Ports { src_port, dst_port } => {
            Some((*src_port, *dst_port))
        }
        L4::Sctp(sctp) => Some((sctp.src_port, sctp.dst_port)),
        L4::Dccp(dccp) => Some((dccp.src_port, dccp.dst_port)),
        L4::Icmp(_) | L4::Opaque => None,
    }
}

/// The five-tuple as the log writes it.
pub(crate) fn tuple(ip: &IpSpec) -> FiveTuple {
    let (src_port, dst_port) = ports(&ip.l4).unwrap_or_default();
    FiveTuple {
        protocol: ip.protocol,
        src: ip.src,
        dst: ip.dst,
        src_port,
        dst_port,
    }
}

/// DHCP and DHCPv6: `Some(true)` from client to server, `Some(false)` back.
pub(crate) fn dhcp(ip: &IpSpec) -> Option<bool> {
    let L4::Udp { src_port, dst_port } = ip.l4 else {
        return None;
    };
    let [client, server] = if ip.src.is_ipv4() {
        [68, 67]
    } else {
        [546, 547]
    };
    match (src_port, dst_port) {
        ports if ports == (client, server) => Some(true),
        ports if ports == (server, client) => Some(false),
        _ => None,
    }
}

/// Multicast or broadcast; `subnet` is the broadcast address of the subnet in question.
pub(crate) fn is_group(address: IpAddr, subnet: Option<IpAddr>) -> bool {
    address.is_multicast() || address == IpAddr::from([255; 4]) || subnet == Some(address)
}
