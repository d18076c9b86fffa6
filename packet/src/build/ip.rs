//! IPv4 and IPv6 headers.

use super::{FrameBuilder, IcmpBuilder, TcpBuilder, UdpBuilder};
use crate::{checksum::Sum, ethertype, protocol};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const DEFAULT_TTL: u8 = 64;

/// The network layer of a frame in the making.
#[derive(Debug, Clone)]
pub struct IpBuilder {
    frame: FrameBuilder,
    pub(super) src: IpAddr,
    pub(super) dst: IpAddr,
    pub(super) ttl: Option<u8>,
    id: u16,
    place: u16,
    options: Vec<u8>,
    extensions: Vec<(u8, Vec<u8>)>,
    version: Option<u8>,
    header_words: Option<u8>,
    length: Option<u16>,
    checksum: Option<u16>,
    padding: usize,
}

impl IpBuilder {
    pub(super) fn new(frame: FrameBuilder, src: IpAddr, dst: IpAddr) -> Self {
        Self {
            frame,
            src,
            dst,
            ttl: None,
            id: 0,
            place: 0,
            options: Vec::new(),
            extensions: Vec::new(),
            version: None,
            header_words: None,
            length: None,
            checksum: None,
            padding: 0,
        }
    }

    /// TTL or hop limit, else 64 (255 in neighbour discovery).
    #[must_use]
    pub fn ttl(mut self, ttl: u8) -> Self {
        self.ttl = Some(ttl);
        self
    }

    /// IPv4 identification.
    #[must_use]
    pub fn id(mut self, id: u16) -> Self {
        self.id = id;
        self
    }

    /// IPv4 options, filled up to words of four bytes with "end of options".
    #[must_use]
    pub fn options(mut self, options: &[u8]) -> Self {
        self.options = options.to_vec();
        self.options.resize(options.len().next_multiple_of(4), 0);
        self
    }

    /// An IPv6 extension header of this number, filled up with zeros. `body` starts behind its
    /// "next header" and length.
    #[must_use]
    pub fn extension(mut self, number: u8, body: &[u8]) -> Self {
        let len = (2 + body.len()).next_multiple_of(8);
        let words = match number {
            protocol::FRAGMENT => 0,
            protocol::AH => len / 4 - 2,
            _ => len / 8 - 1,
        };
        let mut header = vec![0, words as u8];
        header.extend(body);
        header.resize(len, 0);
        self.extensions.push((number, header));
        self
    }

    /// Makes a fragment: identification, offset in bytes, more fragments to follow. What is built
    /// behind the header is the fragment's part of the datagram.
    #[must_use]
    pub fn fragment(mut self, id: u32, offset: u16, more: bool) -> Self {
        if self.src.is_ipv4() {
            self.id = id as u16;
            self.place = (offset / 8) | (u16::from(more) << 13);
            return self;
        }
        let place = ((offset & !7) | u16::from(more)).to_be_bytes();
        let id = id.to_be_bytes();
        self.extension(
            protocol::FRAGMENT,
            &[place, [id[0], id[1]], [id[2], id[3]]].concat(),
        )
    }

    /// Lies about the version.
    #[must_use]
    pub fn version(mut self, version: u8) -> Self {
        self.version = Some(version);
        self
    }

    /// Lies about the IPv4 header's length, in words of four bytes.
    #[must_use]
    pub fn header_words(mut self, words: u8) -> Self {
        self.header_words = Some(words);
        self
    }

    /// Lies about the IPv4 total length or the IPv6 payload length.
    #[must_use]
    pub fn length(mut self, length: u16) -> Self {
        self.length = Some(length);
        self
    }

    /// Writes this IPv4 header checksum.
    #[must_use]
    pub fn header_checksum(mut self, checksum: u16) -> Self {
        self.checksum = Some(checksum);
        self
    }

    /// Adds this many bytes of Ethernet padding behind the packet.
    #[must_use]
    pub fn padding(mut self, bytes: usize) -> Self {
        self.padding = bytes;
        self
    }

    /// Goes on with TCP.
    #[must_use]
    pub fn tcp(self, src_port: u16, dst_port: u16) -> TcpBuilder {
        TcpBuilder::new(self, src_port, dst_port)
    }

    /// Goes on with UDP.
    #[must_use]
    pub fn udp(self, src_port: u16, dst_port: u16) -> UdpBuilder {
        UdpBuilder::new(self, src_port, dst_port)
    }

    /// Goes on with ICMP in IPv4, ICMPv6 in IPv6.
    #[must_use]
    pub fn icmp(self, kind: u8, code: u8) -> IcmpBuilder {
        IcmpBuilder::new(self, kind, code)
    }

    /// Ends with bytes of any protocol.
    #[must_use]
    pub fn upper(&self, protocol: u8, bytes: &[u8]) -> Vec<u8> {
        let (number, mut packet) = match (self.src, self.dst) {
            (IpAddr::V4(src), IpAddr::V4(dst)) => {
                (ethertype::IPV4, self.ipv4(src, dst, protocol, bytes))
            }
            (src, dst) => (
                ethertype::IPV6,
                self.ipv6(v6(src), v6(dst), protocol, bytes),
            ),
        };
        packet.resize(packet.len() + self.padding, 0);
        self.frame.payload(number, &packet)
    }

    fn ipv4(&self, src: Ipv4Addr, dst: Ipv4Addr, protocol: u8, bytes: &[u8]) -> Vec<u8> {
        let header_len = 20 + self.options.len();
        let words = self.header_words.unwrap_or((header_len / 4) as u8);
        let length = self.length.unwrap_or((header_len + bytes.len()) as u16);
        let mut packet = vec![(self.version.unwrap_or(4) << 4) | (words & 15), 0];
        packet.extend(length.to_be_bytes());
        packet.extend(self.id.to_be_bytes());
        packet.extend(self.place.to_be_bytes());
        packet.extend([self.ttl.unwrap_or(DEFAULT_TTL), protocol, 0, 0]);
        packet.extend(src.octets());
        packet.extend(dst.octets());
        packet.extend(&self.options);
        let checksum = self
            .checksum
            .unwrap_or_else(|| Sum::new().bytes(&packet).finish());
        packet[10..12].copy_from_slice(&checksum.to_be_bytes());
        packet.extend(bytes);
        packet
    }

    fn ipv6(&self, src: Ipv6Addr, dst: Ipv6Addr, protocol: u8, bytes: &[u8]) -> Vec<u8> {
        let numbers = self
            .extensions
            .iter()
            .map(|(number, _)| *number)
            .chain([protocol]);
        let mut payload = Vec::new();
        for ((_, header), next) in self.extensions.iter().zip(numbers.clone().skip(1)) {
            payload.push(next);
            payload.extend(&header[1..]);
        }
        payload.extend(bytes);
        let length = self.length.unwrap_or(payload.len() as u16);
        let first = numbers.clone().next().unwrap_or(protocol);
        let mut packet = vec![self.version.unwrap_or(6) << 4, 0, 0, 0];
        packet.extend(length.to_be_bytes());
        packet.extend([first, self.ttl.unwrap_or(DEFAULT_TTL)]);
        packet.extend(src.octets());
        packet.extend(dst.octets());
        packet.extend(payload);
        packet
    }
}

fn v6(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V6(address) => address,
        IpAddr::V4(address) => address.to_ipv6_mapped(),
    }
}
