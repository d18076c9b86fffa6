//! What either of the two says of a packet, in one vocabulary.

/// A judgement. Its number is what the oracle writes into the DSCP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Judged {
    /// Not tracked at all.
    Untracked = 1,
    /// Of no valid connection.
    Invalid = 2,
    /// Opens a connection, or belongs to one that nobody has answered.
    New = 3,
    /// In the original direction of an answered connection.
    Established = 4,
    /// In the reply direction.
    Reply = 5,
    /// An ICMP error about a known connection.
    Related = 6,
    /// Refused before it could be judged: its headers lie.
    Refused = 7,
    /// The oracle's own marker.
    Marker = 8,
}

impl Judged {
    const ALL: [Self; 8] = [
        Self::Untracked,
        Self::Invalid,
        Self::New,
        Self::Established,
        Self::Reply,
        Self::Related,
        Self::Refused,
        Self::Marker,
    ];

    pub(crate) fn of_dscp(dscp: u8) -> Self {
        let found = Self::ALL.into_iter().find(|judged| *judged as u8 == dscp);
        found.unwrap_or_else(|| panic!("no rule of the oracle writes DSCP {dscp}"))
    }

    /// As the scripts write it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Untracked => "untracked",
            Self::Invalid => "invalid",
            Self::New => "new",
            Self::Established => "established",
            Self::Reply => "reply",
            Self::Related => "related",
            Self::Refused => "refused",
            Self::Marker => "marker",
        }
    }
}

/// How a connection stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    /// TCP's state, as Linux names it; empty for other protocols.
    pub(crate) state: String,
    /// Seconds until it expires.
    pub(crate) seconds: u64,
    /// Whether a reply has been seen.
    pub(crate) replied: bool,
}
