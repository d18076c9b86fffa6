//! One end of a flow in words: an address, and a port where the protocol has any.

use packet::protocol;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};
use std::fmt::{self, Display, Formatter};
use std::net::{AddrParseError, IpAddr, SocketAddr};
use std::str::FromStr;

/// `10.77.1.11:40000`, `[fd00::1]:53`; of ICMP and other protocols without ports `10.77.1.11`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct End {
    /// Its address.
    pub address: IpAddr,
    /// Its port.
    pub port: Option<u16>,
}

impl End {
    /// The end of a flow of a protocol (IANA number); `port` counts only where that has ports.
    #[must_use]
    pub const fn of(number: u8, address: IpAddr, port: u16) -> Self {
        let port = if has_ports(number) { Some(port) } else { None };
        Self { address, port }
    }
}

const fn has_ports(number: u8) -> bool {
    matches!(
        number,
        protocol::TCP | protocol::UDP | protocol::SCTP | protocol::DCCP | protocol::UDPLITE
    )
}

impl Display for End {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.port {
            Some(port) => SocketAddr::new(self.address, port).fmt(f),
            None => self.address.fmt(f),
        }
    }
}

impl FromStr for End {
    type Err = AddrParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(address) = text.parse() {
            let port = None;
            return Ok(Self { address, port });
        }
        let socket: SocketAddr = text.parse()?;
        Ok(Self {
            address: socket.ip(),
            port: Some(socket.port()),
        })
    }
}

impl Serialize for End {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for End {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_has_a_port_only_where_its_protocol_has_and_round_trips() {
        let v4 = IpAddr::from([10, 77, 1, 11]);
        let v6: IpAddr = "fd00::1".parse().unwrap();
        for (end, text) in [
            (End::of(protocol::TCP, v4, 22), "10.77.1.11:22"),
            (End::of(protocol::UDP, v6, 53), "[fd00::1]:53"),
            (End::of(protocol::ICMP, v4, 777), "10.77.1.11"),
            (End::of(protocol::ICMPV6, v6, 777), "fd00::1"),
        ] {
            assert_eq!(end.to_string(), text);
            assert_eq!(text.parse(), Ok(end));
        }
        assert!("10.77.1".parse::<End>().is_err());
    }
}
