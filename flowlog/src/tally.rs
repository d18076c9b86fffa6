//! The counts of one direction of one flow in one window, 16 bytes, attached to the connection's entry.

use packet::{Wire, tcp_flags};

/// Greatest window, seconds: [`Tick`]s must fit 24 bits.
pub const WINDOW_S_MAX: u32 = 900;

/// Microseconds in a tick: 2^24 ticks of 64 µs are 1073 s, more than the longest window.
pub const TICK_US: u64 = 64;

/// Time since the window's start in ticks of 64 µs, 24 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Tick([u8; 3]);

impl Tick {
    /// The tick of a moment, in microseconds since the window's start; clamped into the window.
    #[inline]
    #[must_use]
    pub fn since_start_us(us: i64) -> Self {
        let ticks = (us.max(0) as u64 / TICK_US).min(0x00ff_ffff) as u32;
        let [a, b, c, _] = ticks.to_le_bytes();
        Self([a, b, c])
    }

    /// Microseconds since the window's start.
    #[inline]
    #[must_use]
    pub fn as_us(self) -> u64 {
        let [a, b, c] = self.0;
        u64::from(u32::from_le_bytes([a, b, c, 0])) * TICK_US
    }
}

/// Counts of one direction in the present window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(C)]
pub struct Tally {
    /// Wire packets.
    pub packets: u32,
    /// Sum of their IP lengths; handed over before it would overflow.
    pub bytes: u32,
    first: Tick,
    last: Tick,
    flags: u8,
    /// Top bit: a SYN|ACK was seen. Below: connections opened, saturating at 127.
    marks: u8,
}

const SYN_ACK_SEEN: u8 = 0x80;
const OPENED_MAX: u8 = 0x7f;

const _: () = assert!(size_of::<Tally>() == 16);

impl Tally {
    /// Whether counting `wire` would pass what the counters hold: hand the tally over first.
    #[inline]
    #[must_use]
    pub const fn would_overflow(&self, wire: Wire) -> bool {
        self.bytes.checked_add(wire.bytes).is_none()
            || self.packets.checked_add(wire.packets).is_none()
    }

    /// Counts packets with the TCP flags `flags` (0 for other protocols).
    #[inline]
    pub fn count(&mut self, now: Tick, wire: Wire, flags: u8) {
        if self.packets == 0 {
            self.first = now;
        }
        self.last = now;
        self.packets = self.packets.saturating_add(wire.packets);
        self.bytes = self.bytes.saturating_add(wire.bytes);
        self.flags |= flags;
        if flags & (tcp_flags::SYN | tcp_flags::ACK) == tcp_flags::SYN | tcp_flags::ACK {
            self.marks |= SYN_ACK_SEEN;
        }
    }

    /// Counts a connection opened in this direction.
    #[inline]
    pub fn count_opened(&mut self) {
        if self.marks & OPENED_MAX < OPENED_MAX {
            self.marks += 1;
        }
    }

    /// Whether a TCP packet with `flags` ends what was counted of a connection's setup, or begins
    /// it: exactly one of the two carries SYN. A tally handed over here holds setup packets alone or
    /// none, which is how a logger with `connection_setup_only` counts exactly.
    #[inline]
    #[must_use]
    pub const fn setup_ends(&self, flags: u8) -> bool {
        self.packets != 0 && (self.flags ^ flags) & tcp_flags::SYN != 0
    }

    /// Whether nothing was counted.
    #[inline]
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.packets == 0
    }

    /// The tally, leaving an empty one.
    #[inline]
    #[must_use]
    pub fn take(&mut self) -> Self {
        std::mem::take(self)
    }

    /// First packet.
    #[must_use]
    pub const fn first(&self) -> Tick {
        self.first
    }

    /// Last packet.
    #[must_use]
    pub const fn last(&self) -> Tick {
        self.last
    }

    /// OR of all eight flag bits.
    #[must_use]
    pub const fn flags_all(&self) -> u8 {
        self.flags
    }

    /// The seed's `tcp_flag`: FIN 1, SYN 2, RST 4, and ACK 16 only where it came with SYN, so that a
    /// short connection shows 3 on the opener's side and 19 on the other.
    #[must_use]
    pub const fn flags_seed(&self) -> u8 {
        let plain = self.flags & (tcp_flags::FIN | tcp_flags::SYN | tcp_flags::RST);
        if self.marks & SYN_ACK_SEEN != 0 {
            plain | tcp_flags::ACK
        } else {
            plain
        }
    }

    /// Connections opened in this direction, at most 127.
    #[must_use]
    pub const fn opened(&self) -> u8 {
        self.marks & OPENED_MAX
    }
}
