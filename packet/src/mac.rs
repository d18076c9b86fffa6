//! A MAC address, with the colon form as its one text form.

use std::{fmt, str::FromStr};

/// An IEEE 802 MAC address. Text form: `fa:16:3e:00:00:01`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Mac(pub [u8; 6]);

impl Mac {
    /// `ff:ff:ff:ff:ff:ff`.
    pub const BROADCAST: Self = Self([0xff; 6]);
    /// `00:00:00:00:00:00`, never a legal source.
    pub const ZERO: Self = Self([0; 6]);

    /// The group bit (IEEE 802, I/G): set for multicast and broadcast.
    #[inline]
    #[must_use]
    pub fn is_group(self) -> bool {
        self.0[0] & 1 == 1
    }

    /// All ones.
    #[inline]
    #[must_use]
    pub fn is_broadcast(self) -> bool {
        self == Self::BROADCAST
    }

    /// A legal source address: neither a group address nor all zeros.
    #[inline]
    #[must_use]
    pub fn is_legal_source(self) -> bool {
        !self.is_group() && self != Self::ZERO
    }

    /// The EUI-64 link-local address of this MAC (RFC 4291, appendix A).
    #[must_use]
    pub fn link_local(self) -> std::net::Ipv6Addr {
        let [a, b, c, d, e, f] = self.0;
        std::net::Ipv6Addr::from([
            0xfe,
            0x80,
            0,
            0,
            0,
            0,
            0,
            0,
            a ^ 2,
            b,
            c,
            0xff,
            0xfe,
            d,
            e,
            f,
        ])
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl fmt::Debug for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What is wrong with the text of a MAC address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a MAC address; write six hexadecimal bytes, as in fa:16:3e:00:00:01")]
pub struct MacSyntax(String);

impl FromStr for Mac {
    type Err = MacSyntax;

    fn from_str(text: &str) -> Result<Self, MacSyntax> {
        let wrong = || MacSyntax(text.to_owned());
        let mut bytes = [0; 6];
        let mut parts = text.split([':', '-']);
        for byte in &mut bytes {
            let part = parts.next().ok_or_else(wrong)?;
            if part.len() != 2 || !part.bytes().all(|b| b.is_ascii_hexdigit()) {
                return Err(wrong());
            }
            *byte = u8::from_str_radix(part, 16).map_err(|_| wrong())?;
        }
        if parts.next().is_some() {
            return Err(wrong());
        }
        Ok(Self(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mac_address_round_trips_through_its_text() {
        let mac: Mac = "fa:16:3e:00:00:01".parse().unwrap();
        assert_eq!(mac.to_string(), "fa:16:3e:00:00:01");
        assert_eq!(mac.link_local().to_string(), "fe80::f816:3eff:fe00:1");
        for wrong in [
            "",
            "fa:16:3e:00:00",
            "fa:16:3e:00:00:01:02",
            "fa:16:3e:0:00:01",
            "+a:16:3e:00:00:01",
        ] {
            assert!(wrong.parse::<Mac>().is_err(), "{wrong}");
        }
    }
}
