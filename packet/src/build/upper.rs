//! TCP, UDP, ICMP and neighbour discovery.

use super::IpBuilder;
use crate::{Neighbour, checksum::Sum, protocol};

/// Where a checksum comes from.
#[derive(Debug, Clone, Copy)]
enum Checksum {
    Right,
    /// The pseudo-header's sum, as a kernel leaves it to a device.
    Partial,
    Fixed(u16),
}

/// Writes the checksum over `header` and `payload` at `at`, and ends the frame.
fn finish(
    ip: &IpBuilder,
    protocol: u8,
    mut bytes: Vec<u8>,
    at: usize,
    checksum: Checksum,
) -> Vec<u8> {
    let pseudo_header = match protocol {
        protocol::ICMP => Sum::new(),
        _ => Sum::new().pseudo_header(ip.src, ip.dst, protocol, bytes.len()),
    };
    let sum = match checksum {
        Checksum::Right if protocol == protocol::UDP => {
            pseudo_header.bytes(&bytes).finish_nonzero()
        }
        Checksum::Right => pseudo_header.bytes(&bytes).finish(),
        Checksum::Partial => pseudo_header.partial(),
        Checksum::Fixed(sum) => sum,
    };
    bytes[at..at + 2].copy_from_slice(&sum.to_be_bytes());
    ip.upper(protocol, &bytes)
}

/// The methods that every upper layer has.
macro_rules! common {
    ($builder:ident) => {
        impl $builder {
            /// Bytes behind the header.
            #[must_use]
            pub fn payload(mut self, payload: &[u8]) -> Self {
                self.payload = payload.to_vec();
                self
            }

            /// Writes this checksum.
            #[must_use]
            pub fn checksum(mut self, checksum: u16) -> Self {
                self.checksum = Checksum::Fixed(checksum);
                self
            }

            /// Leaves the checksum to the device: only the pseudo-header's sum is written.
            #[must_use]
            pub fn partial_checksum(mut self) -> Self {
                self.checksum = Checksum::Partial;
                self
            }
        }
    };
}

/// TCP in the making.
#[derive(Debug, Clone)]
pub struct TcpBuilder {
    ip: IpBuilder,
    ports: [u16; 2],
    seq: u32,
    ack: u32,
    flags: u8,
    window: u16,
    options: Vec<u8>,
    data_offset: Option<u8>,
    payload: Vec<u8>,
    checksum: Checksum,
}

common!(TcpBuilder);

impl TcpBuilder {
    pub(super) fn new(ip: IpBuilder, src_port: u16, dst_port: u16) -> Self {
        Self {
            ip,
            ports: [src_port, dst_port],
            seq: 0,
            ack: 0,
            flags: 0,
            window: u16::MAX,
            options: Vec::new(),
            data_offset: None,
            payload: Vec::new(),
            checksum: Checksum::Right,
        }
    }

    /// The flag bits, see [`crate::tcp_flags`].
    #[must_use]
    pub fn flags(mut self, flags: u8) -> Self {
        self.flags = flags;
        self
    }

    /// Sequence number.
    #[must_use]
    pub fn seq(mut self, seq: u32) -> Self {
        self.seq = seq;
        self
    }

    /// Acknowledgement number.
    #[must_use]
    pub fn ack(mut self, ack: u32) -> Self {
        self.ack = ack;
        self
    }

    /// Window, unscaled; else 65,535.
    #[must_use]
    pub fn window(mut self, window: u16) -> Self {
        self.window = window;
        self
    }

    /// Adds option bytes; the whole is filled up with NOPs to words of four bytes.
    #[must_use]
    pub fn option(mut self, option: &[u8]) -> Self {
        self.options.extend(option);
        self
    }

    /// Lies about the data offset, in words of four bytes.
    #[must_use]
    pub fn data_offset(mut self, words: u8) -> Self {
        self.data_offset = Some(words);
        self
    }

    /// The frame.
    #[must_use]
    pub fn build(mut self) -> Vec<u8> {
        self.options
            .resize(self.options.len().next_multiple_of(4), 1);
        let words = self
            .data_offset
            .unwrap_or(((20 + self.options.len()) / 4) as u8);
        let mut bytes = Vec::with_capacity(60 + self.payload.len());
        bytes.extend(self.ports.map(u16::to_be_bytes).as_flattened());
        bytes.extend(self.seq.to_be_bytes());
        bytes.extend(self.ack.to_be_bytes());
        bytes.extend([words << 4, self.flags]);
        bytes.extend(self.window.to_be_bytes());
        bytes.extend([0; 4]);
        bytes.extend(&self.options);
        bytes.extend(&self.payload);
        finish(&self.ip, protocol::TCP, bytes, 16, self.checksum)
    }
}

/// UDP in the making.
#[derive(Debug, Clone)]
pub struct UdpBuilder {
    ip: IpBuilder,
    ports: [u16; 2],
    length: Option<u16>,
    payload: Vec<u8>,
    checksum: Checksum,
}

common!(UdpBuilder);

impl UdpBuilder {
    pub(super) fn new(ip: IpBuilder, src_port: u16, dst_port: u16) -> Self {
        let checksum = Checksum::Right;
        Self {
            ip,
            ports: [src_port, dst_port],
            length: None,
            payload: Vec::new(),
            checksum,
        }
    }

    /// Lies about the UDP length.
    #[must_use]
    pub fn length(mut self, length: u16) -> Self {
        self.length = Some(length);
        self
    }

    /// The frame.
    #[must_use]
    pub fn build(self) -> Vec<u8> {
        let length = self.length.unwrap_or((8 + self.payload.len()) as u16);
        let mut bytes = Vec::with_capacity(8 + self.payload.len());
        bytes.extend(self.ports.map(u16::to_be_bytes).as_flattened());
        bytes.extend(length.to_be_bytes());
        bytes.extend([0; 2]);
        bytes.extend(&self.payload);
        finish(&self.ip, protocol::UDP, bytes, 6, self.checksum)
    }
}

/// ICMP or ICMPv6 in the making.
#[derive(Debug, Clone)]
pub struct IcmpBuilder {
    ip: IpBuilder,
    kind: u8,
    code: u8,
    rest: [u8; 4],
    payload: Vec<u8>,
    checksum: Checksum,
}

common!(IcmpBuilder);

impl IcmpBuilder {
    pub(super) fn new(ip: IpBuilder, kind: u8, code: u8) -> Self {
        Self {
            ip,
            kind,
            code,
            rest: [0; 4],
            payload: Vec::new(),
            checksum: Checksum::Right,
        }
    }

    /// The identifier of an echo.
    #[must_use]
    pub fn id(mut self, id: u16) -> Self {
        self.rest[..2].copy_from_slice(&id.to_be_bytes());
        self
    }

    /// The sequence number of an echo.
    #[must_use]
    pub fn seq(mut self, seq: u16) -> Self {
        self.rest[2..].copy_from_slice(&seq.to_be_bytes());
        self
    }

    /// Quotes the IP packet of an untagged frame, at most `len` bytes of it.
    #[must_use]
    pub fn quote(self, frame: &[u8], len: usize) -> Self {
        let packet = frame.get(14..).unwrap_or_default();
        self.payload(packet.get(..len).unwrap_or(packet))
    }

    /// The frame.
    #[must_use]
    pub fn build(self) -> Vec<u8> {
        let number = if self.ip.src.is_ipv4() {
            protocol::ICMP
        } else {
            protocol::ICMPV6
        };
        let mut bytes = vec![self.kind, self.code, 0, 0];
        bytes.extend(self.rest);
        bytes.extend(&self.payload);
        finish(&self.ip, number, bytes, 2, self.checksum)
    }
}

impl IpBuilder {
    /// A neighbour discovery message with hop limit 255, unless one is set. A target that the
    /// message needs and that is missing is `::`.
    #[must_use]
    pub fn neighbour(mut self, message: Neighbour) -> Vec<u8> {
        self.ttl.get_or_insert(255);
        let target = message
            .target
            .unwrap_or(std::net::Ipv6Addr::UNSPECIFIED)
            .octets();
        let (mut payload, option) = match message.kind {
            133 => (Vec::new(), 1),
            134 => (vec![0; 8], 1),
            135 => (target.to_vec(), 1),
            137 => ([target, target].concat(), 2),
            _ => (target.to_vec(), 2),
        };
        if let Some(mac) = message.link_layer {
            payload.extend([option, 1]);
            payload.extend(mac.0);
        }
        self.icmp(message.kind, 0).payload(&payload).build()
    }
}
