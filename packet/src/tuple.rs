//! The five-tuple: what makes two packets one flow.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
};

/// (protocol, source, destination, source port, destination port) as on the wire. Protocols without
/// ports, ICMP among them, have 0 and 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FiveTuple {
    /// IANA protocol number of the upper layer.
    pub protocol: u8,
    /// Source address.
    pub src: IpAddr,
    /// Destination address; always of the source's family.
    pub dst: IpAddr,
    /// Source port, 0 where there is none.
    pub src_port: u16,
    /// Destination port, 0 where there is none.
    pub dst_port: u16,
}

impl FiveTuple {
    /// The tuple of the opposite direction.
    #[must_use]
    pub const fn reversed(self) -> Self {
        Self {
            protocol: self.protocol,
            src: self.dst,
            dst: self.src,
            src_port: self.dst_port,
            dst_port: self.src_port,
        }
    }
}

/// `6 10.77.1.11:40000 > 10.77.1.12:22`.
impl fmt::Display for FiveTuple {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (src, dst) = (
            SocketAddr::new(self.src, self.src_port),
            SocketAddr::new(self.dst, self.dst_port),
        );
        write!(f, "{} {src} > {dst}", self.protocol)
    }
}
