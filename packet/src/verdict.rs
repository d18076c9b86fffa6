//! The verdict as a value: ACCEPT or DROP, always with its reason.
//!
//! One enum feeds the counter, the flow log, the trace line and `docs/drops.md`.

use std::{fmt, str::FromStr};

/// Which way a packet goes, **seen from the instance**: egress = the guest sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Direction {
    /// The instance receives.
    Ingress,
    /// The instance sends.
    Egress,
    /// There is no port to take the view of (replay of a capture without one).
    Unknown,
}

impl Direction {
    /// `ingress`, `egress` or `unknown`, as the log writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ingress => "ingress",
            Self::Egress => "egress",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What was decided about a packet at one port, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Verdict {
    /// It passes.
    Accept(Basis),
    /// It is refused.
    Drop(Reason),
}

impl Verdict {
    /// Whether the packet passes.
    #[inline]
    #[must_use]
    pub const fn is_accept(self) -> bool {
        matches!(self, Self::Accept(_))
    }

    /// `ACCEPT` or `DROP`, as the log writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Accept(_) => "ACCEPT",
            Self::Drop(_) => "DROP",
        }
    }

    /// The reason or basis alone, as `rule` or `default_deny`.
    #[must_use]
    pub const fn why(self) -> &'static str {
        match self {
            Self::Accept(basis) => basis.as_str(),
            Self::Drop(reason) => reason.as_str(),
        }
    }

    /// A dense code below [`Self::CODES`]; 0 is free for "no verdict". Inverse of [`Self::from_code`].
    #[inline]
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Accept(basis) => 1 + basis as u8,
            Self::Drop(reason) => 1 + Basis::ALL.len() as u8 + reason as u8,
        }
    }

    /// One more than the greatest [`Self::code`].
    pub const CODES: u8 = 1 + (Basis::ALL.len() + Reason::ALL.len()) as u8;

    /// The verdict of a code, `None` for 0 and for codes never given.
    #[inline]
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        BY_CODE[code as usize]
    }
}

/// The verdict of every byte: read for each packet of a known connection.
static BY_CODE: [Option<Verdict>; 1 + u8::MAX as usize] = {
    let mut verdicts = [None; 1 + u8::MAX as usize];
    let mut number = 0;
    while number < Basis::ALL.len() {
        let verdict = Verdict::Accept(Basis::ALL[number]);
        verdicts[verdict.code() as usize] = Some(verdict);
        number += 1;
    }
    number = 0;
    while number < Reason::ALL.len() {
        let verdict = Verdict::Drop(Reason::ALL[number]);
        verdicts[verdict.code() as usize] = Some(verdict);
        number += 1;
    }
    verdicts
};

/// `ACCEPT(rule)`, `DROP(default_deny)`.
impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({})", self.as_str(), self.why())
    }
}

/// Defines a closed list: the enum, its names, all its members in order.
macro_rules! closed_list {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum $name { $($(#[$vdoc])* $variant,)+ }

        impl $name {
            /// Every member, in order of its discriminant.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The name, as logs, counters and documents write it.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = UnknownName;
            fn from_str(text: &str) -> Result<Self, UnknownName> {
                Self::ALL.iter().copied().find(|v| v.as_str() == text).ok_or_else(|| UnknownName(text.to_owned()))
            }
        }
    };
}

/// A name that stands in none of the closed lists.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not the name of a reason")]
pub struct UnknownName(String);

closed_list! {
    /// Why a packet was accepted.
    Basis {
        /// A rule of one of the port's groups matches.
        Rule = "rule",
        /// It answers a connection whose original direction is still allowed.
        Reply = "reply",
        /// A valid ICMP error about an allowed connection.
        Related = "related",
        /// One of the built-in essentials: ARP, DHCP client, neighbour discovery.
        Essential = "essential",
        /// The port filters nothing: port security is off, or it is an uplink.
        Unfiltered = "unfiltered",
    }
}

closed_list! {
    /// Why a packet was refused. Closed: a further reason is a deliberate change, with a counter,
    /// a line in `docs/drops.md` and a test.
    Reason {
        /// No rule allows it.
        DefaultDeny = "default_deny",
        /// It belongs to a connection whose rule is gone.
        Revoked = "revoked",
        /// No valid connection state: flags, window, checksum, unsolicited reply or error.
        CtInvalid = "ct_invalid",
        /// The connection table, or the port's share of it, is full.
        CtFull = "ct_full",
        /// The source MAC is not the port's.
        SpoofMac = "spoof_mac",
        /// The source address is not the port's.
        SpoofIp = "spoof_ip",
        /// ARP claims an address that is not the port's.
        SpoofArp = "spoof_arp",
        /// Neighbour discovery claims an address that is not the port's.
        SpoofNd = "spoof_nd",
        /// A router advertisement from a guest.
        RaGuard = "ra_guard",
        /// A DHCP server's answer from a port that is none.
        DhcpServer = "dhcp_server",
        /// The headers contradict themselves or the frame.
        Malformed = "malformed",
        /// Longer than the receiving port's MTU allows.
        Mtu = "mtu",
        /// An ethertype that is not permitted.
        Ethertype = "ethertype",
        /// A reserved link-layer address or 802.3 length frame.
        L2Reserved = "l2_reserved",
        /// A VLAN tag where none belongs.
        Vlan = "vlan",
        /// A first fragment too small to hold the layer 4 header.
        FragTiny = "frag_tiny",
        /// Fragments that overlap.
        FragOverlap = "frag_overlap",
        /// A fragment out of turn: it repeats one, or is a copy whose receiver has not seen the first.
        FragOrder = "frag_order",
        /// A fragment whose first one did not come in time.
        FragTimeout = "frag_timeout",
        /// More fragments ahead of their first than may wait, or a datagram in too many.
        FragLimit = "frag_limit",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_verdict_has_a_code_of_its_own_that_round_trips() {
        assert_eq!(Verdict::from_code(0), None);
        for code in 1..Verdict::CODES {
            assert_eq!(Verdict::from_code(code).unwrap().code(), code);
        }
        assert_eq!(Verdict::from_code(Verdict::CODES), None);
    }

    #[test]
    fn every_name_round_trips() {
        for reason in Reason::ALL {
            assert_eq!(reason.as_str().parse(), Ok(*reason));
        }
        assert_eq!(Reason::ALL.len(), 20);
    }
}
