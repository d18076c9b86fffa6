//! What the rules of one port see of a packet.

use packet::{Direction, Headers, Ip, L4, Mac};
use std::net::IpAddr;

/// A packet from the view of one port: what is asked for, and who is on the other side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flow {
    /// The port's VPC.
    pub vpc: u16,
    /// IANA number of the upper layer.
    pub protocol: u8,
    /// What of the upper layer rules can name.
    pub service: FlowService,
    /// The other side's address: the source on ingress, the destination on egress.
    pub remote: IpAddr,
    /// The other side's MAC, for members who may use any address.
    pub remote_mac: Mac,
}

/// What of the upper layer rules can name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FlowService {
    /// Ports, for protocols that have them.
    Ports {
        /// Source port.
        src: u16,
        /// Destination port.
        dst: u16,
    },
    /// ICMP or ICMPv6.
    Icmp {
        /// Type.
        kind: u8,
        /// Code.
        code: u8,
    },
    /// Another protocol, or the header is not at hand: rules that name no service match.
    None,
}

impl FlowService {
    /// Of a parsed upper layer.
    #[inline]
    #[must_use]
    pub const fn of(l4: &L4) -> Self {
        match (l4, l4.ports()) {
            (_, Some((src, dst))) => Self::Ports { src, dst },
            (L4::Icmp(icmp), _) => Self::Icmp {
                kind: icmp.kind,
                code: icmp.code,
            },
            _ => Self::None,
        }
    }
}

impl Flow {
    /// A frame's flow, seen from the receiver (ingress) or from the sender (egress).
    #[inline]
    #[must_use]
    pub fn of(direction: Direction, vpc: u16, headers: &Headers, ip: &Ip) -> Self {
        let (remote, remote_mac) = match direction {
            Direction::Egress => (ip.dst, headers.eth.dst),
            Direction::Ingress | Direction::Unknown => (ip.src, headers.eth.src),
        };
        let service = FlowService::of(&ip.l4);
        Self {
            vpc,
            protocol: ip.protocol,
            service,
            remote,
            remote_mac,
        }
    }
}
