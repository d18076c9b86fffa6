//! Kinds of packets whose cost is told apart.

use super::lab::{Family, Spec};

/// What is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Packet {
    /// Data of established TCP connections, one way.
    TcpData,
    /// Acknowledgements of such data, nothing else.
    TcpAck,
    /// A batch of data, then a batch of acknowledgements.
    TcpBoth,
    /// UDP that a rule lets pass.
    Udp,
    /// UDP that no rule lets pass.
    Refused,
    /// Who-has, to everybody.
    Arp,
}

/// Which flows packets belong to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flows {
    /// So many, in random order.
    Known(u32),
    /// Each packet to one that there was not before.
    New,
}

/// Packets of one kind on a switch made for them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kind {
    pub(crate) packet: Packet,
    pub(crate) family: Family,
    pub(crate) flows: Flows,
    pub(crate) spec: Spec,
}

impl Kind {
    /// Packets between two ports.
    pub(crate) const fn new(packet: Packet, flows: Flows) -> Self {
        Self {
            packet,
            family: Family::V4,
            flows,
            spec: Spec::PAIR,
        }
    }

    pub(crate) const fn ipv6(self) -> Self {
        Self {
            family: Family::V6,
            ..self
        }
    }

    pub(crate) const fn ports(self, ports: u16) -> Self {
        let spec = Spec { ports, ..self.spec };
        Self { spec, ..self }
    }

    pub(crate) const fn without_logger(self) -> Self {
        let has_logger = false;
        let spec = Spec {
            has_logger,
            ..self.spec
        };
        Self { spec, ..self }
    }

    /// With so many rules in each direction, and so many members by ten of the ports.
    pub(crate) const fn rules(self, rules: u16) -> Self {
        let spec = Spec {
            rules,
            addresses: 10,
            ..self.spec
        };
        Self { spec, ..self }
    }
}

const ONE: Flows = Flows::Known(1);

/// Those whose instructions are counted, with their names in `benches/instructions.txt`.
pub(crate) const COUNTED: &[(&str, Kind)] = &[
    ("tcp4-data", Kind::new(Packet::TcpData, ONE)),
    ("tcp4-ack", Kind::new(Packet::TcpAck, ONE)),
    ("tcp6-data", Kind::new(Packet::TcpData, ONE).ipv6()),
    ("udp4", Kind::new(Packet::Udp, ONE)),
    ("udp4-new", Kind::new(Packet::Udp, Flows::New)),
    ("udp4-refused", Kind::new(Packet::Refused, ONE)),
    ("udp4-refused-new", Kind::new(Packet::Refused, Flows::New)),
    ("arp-broadcast", Kind::new(Packet::Arp, ONE)),
    (
        "tcp4-data-no-logger",
        Kind::new(Packet::TcpData, ONE).without_logger(),
    ),
    (
        "tcp4-data-1000-ports",
        Kind::new(Packet::TcpData, Flows::Known(500)).ports(1000),
    ),
    (
        "tcp4-data-100000-flows",
        Kind::new(Packet::TcpData, Flows::Known(100_000)),
    ),
];
