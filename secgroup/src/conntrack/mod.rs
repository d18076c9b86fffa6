//! Connection tracking: one entry per connection and pair of ports, with what the switch attaches.
//!
//! ```text
//!   hash ─▶ index (tags) ─▶ slot ─▶ Entry { conn: Conn, with: T }   one cache line for IPv4
//!                              └──▶ TcpWindow                       24 bytes beside it
//! ```
//!
//! The key holds addresses, layer 4 ports **and both switch ports**: the same tuple sent to another
//! MAC, or twice through a firewall guest, is another entry. Both directions share one entry.
//!
//! The table only stores; [`open`] and [`advance`] say what a packet makes of a connection, as pure
//! steps: what they return is written back, or not. Limits: a table's capacity, at most 2^26; the
//! ranges of [`Timeouts`]. What is [`Invalid`] changes nothing.

mod arena;
mod conn;
mod dccp;
mod hash;
mod index;
mod key;
mod sctp;
mod table;
mod tcp;
mod timeouts;
mod track;

pub use arena::Spare;
pub use conn::{Conn, Key, KeyAddress, Side, State, Way};
pub use key::{Query, asked, ends, query};
pub use table::{Advise, Entry, Slot, Table};
pub use tcp::{Peer, TcpWindow};
pub use timeouts::{OwnTimeouts, TimeoutError, Timeouts};
pub use track::{
    Advance, Invalid, Settings, advance, idle_ms, in_step, may_be_in_step, open, timeout_ms,
};
