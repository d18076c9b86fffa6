//! Written packet → frame.

use super::{IpSpec, PacketSpec, SpecBody, fixed_len};
use crate::build::{self, FrameBuilder, IpBuilder};
use crate::{Arp, Dccp, Icmp, L4, Mac, Neighbour, Sctp, Tcp, sctp_chunk};

impl PacketSpec {
    /// The frame, with right lengths and checksums. The MAC addresses are those of `from` and `to`
    /// where they are written, else the ones given here. Payloads are zeros.
    #[must_use]
    pub fn build(&self, src_mac: Mac, dst_mac: Mac) -> Vec<u8> {
        let src_mac = self.src_mac.unwrap_or(src_mac);
        let mut frame = build::frame(src_mac, self.dst_mac.unwrap_or(dst_mac));
        if let Some(vid) = self.vlan {
            frame = frame.vlan(vid);
        }
        match self.body {
            SpecBody::Arp {
                reverse,
                operation,
                sender_mac,
                sender_ip,
                target_ip,
            } => {
                let sender_mac = sender_mac.unwrap_or(src_mac);
                let arp = Arp {
                    operation,
                    sender_mac,
                    sender_ip,
                    target_ip,
                };
                if reverse {
                    frame.rarp(arp)
                } else {
                    frame.arp(arp)
                }
            }
            SpecBody::Ip(ip) => ip.build(frame),
            SpecBody::Other { ethertype, len } => frame.payload(ethertype, &zeros(len)),
        }
    }
}

fn zeros(len: u16) -> Vec<u8> {
    vec![0; usize::from(len)]
}

impl IpSpec {
    fn build(&self, frame: FrameBuilder) -> Vec<u8> {
        let ip = frame.clone().ip(self.src, self.dst).ttl(self.ttl);
        let Some(part) = self.fragment else {
            return self.upper(ip, self.len);
        };
        let part_of = ip.clone().fragment(part.id, part.offset, part.more);
        if part.offset > 0 {
            return part_of.upper(self.protocol, &zeros(part.len));
        }
        // The first part of a datagram that is at least as long.
        let whole = self.upper(
            ip,
            part.len.saturating_sub(fixed_len(self.protocol, &self.l4)),
        );
        let fixed = part_of.upper(self.protocol, &[]).len() - if self.is_v4() { 0 } else { 8 };
        let upper = whole.get(fixed..).unwrap_or_default();
        part_of.upper(
            self.protocol,
            upper.get(..usize::from(part.len)).unwrap_or(upper),
        )
    }

    fn upper(&self, ip: IpBuilder, len: u16) -> Vec<u8> {
        let payload = zeros(len);
        match self.l4 {
            L4::Tcp(header) => tcp(ip, &header, &payload),
            L4::Udp { src_port, dst_port } => ip.udp(src_port, dst_port).payload(&payload).build(),
            L4::Ports { src_port, dst_port } => {
                let mut bytes = [src_port, dst_port]
                    .map(u16::to_be_bytes)
                    .as_flattened()
                    .to_vec();
                bytes.resize(usize::from(fixed_len(self.protocol, &self.l4) + len), 0);
                ip.upper(self.protocol, &bytes)
            }
            L4::Sctp(header) => ip.upper(self.protocol, &sctp(&header, &payload)),
            L4::Dccp(Dccp {
                src_port,
                dst_port,
                kind,
            }) => {
                const WORDS: u8 = 3;
                let mut bytes = [src_port, dst_port].map(u16::to_be_bytes).concat();
                bytes.extend([WORDS, 0, 0, 0, kind << 1, 0, 0, 0]);
                bytes.extend(&payload);
                ip.upper(self.protocol, &bytes)
            }
            L4::Icmp(Icmp { kind, .. }) if self.target.is_some() || self.link_layer.is_some() => {
                let (target, link_layer) = (self.target, self.link_layer);
                ip.neighbour(Neighbour {
                    kind,
                    target,
                    link_layer,
                })
            }
            L4::Icmp(Icmp { kind, code, id }) => {
                ip.icmp(kind, code).id(id).payload(&payload).build()
            }
            L4::Opaque => ip.upper(self.protocol, &payload),
        }
    }
}

fn tcp(ip: IpBuilder, tcp: &Tcp, payload: &[u8]) -> Vec<u8> {
    const NOP: u8 = 1;
    let mut builder = ip
        .tcp(tcp.src_port, tcp.dst_port)
        .seq(tcp.seq)
        .ack(tcp.ack)
        .flags(tcp.flags)
        .window(tcp.window)
        .payload(payload);
    if let Some(shift) = tcp.window_scale {
        builder = builder.option(&[NOP, 3, 3, shift]);
    }
    if let Some(edge) = tcp.sack {
        let block = [edge.wrapping_sub(1), edge].map(u32::to_be_bytes);
        builder = builder
            .option(&[NOP, NOP, 5, 10])
            .option(block.as_flattened());
    }
    builder.build()
}

/// The common header, with a checksum of 0, and the one chunk, which holds the payload.
fn sctp(sctp: &Sctp, payload: &[u8]) -> Vec<u8> {
    let mut bytes = [sctp.src_port, sctp.dst_port]
        .map(u16::to_be_bytes)
        .concat();
    bytes.extend(sctp.tag.to_be_bytes());
    bytes.extend([0; 4]);
    let Some(kind) = sctp.chunk else {
        bytes.extend(payload);
        return bytes;
    };
    let mut value = Vec::new();
    if matches!(kind, sctp_chunk::INIT | sctp_chunk::INIT_ACK) {
        value.extend(sctp.init_tag.to_be_bytes());
        // Window, numbers of streams, first transmission number.
        value.extend([0; 12]);
    }
    value.extend(payload);
    let len = u16::try_from(4 + value.len()).unwrap_or(u16::MAX);
    bytes.extend([kind, u8::from(sctp.reflected)]);
    bytes.extend(len.to_be_bytes());
    bytes.extend(value);
    bytes
}
