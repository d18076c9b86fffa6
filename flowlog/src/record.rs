//! One row of the log, before any format.

use crate::PortInfo;
use packet::{Direction, FiveTuple, Verdict};
use std::sync::Arc;

/// The one record type: what encoders write and the live tail shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Who observed.
    pub port: Arc<PortInfo>,
    /// First packet, UNIX time in nanoseconds (of 64 µs); the interval's start without a flow.
    pub first_ns: u64,
    /// Last packet, likewise; the interval's last second without a flow.
    pub last_ns: u64,
    /// What was observed; `None` where all that is to say of the port is its status.
    pub flow: Option<Flow>,
    /// Whether the port's part of the interval is complete.
    pub status: Status,
}

/// What was observed of one 5-tuple in one direction under one verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flow {
    /// Seen from the instance.
    pub direction: Direction,
    /// As on the wire.
    pub tuple: FiveTuple,
    /// ACCEPT or DROP; the reason is that of the latest packets.
    pub verdict: Verdict,
    /// Number of the rule that decided the latest packets, 0 for none.
    pub rule: u32,
    /// Whether the latest packets answer a connection that the other side opened.
    pub is_reply: bool,
    /// The seed's `tcp_flag`, see [`Tally::flags_seed`](crate::Tally::flags_seed).
    pub flags_seed: u8,
    /// OR of all eight TCP flag bits.
    pub flags_all: u8,
    /// Wire packets.
    pub packets: u64,
    /// Sum of their IP lengths.
    pub bytes: u64,
    /// Connections opened in this direction; a lower bound above 127 a window.
    pub connections: u32,
}

/// The field `status`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Everything that the port did in the interval is recorded.
    Ok,
    /// Packets of the port could not be recorded for lack of capacity.
    SkipData,
}

impl Status {
    /// `OK` or `SKIPDATA`, as the log writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::SkipData => "SKIPDATA",
        }
    }
}
