//! The kernel as oracle: the same packets through Linux's connection tracking and through the switch.
//!
//! ```text
//!   script or seed ─▶ frame ─┬─▶ Oracle: nf_conntrack in a namespace ─▶ judgement, entry ─┐
//!                            └─▶ Ours: the switch, in memory ─────────▶ judgement, entry ─┴─▶ same?
//! ```
//!
//! Compared are, for every packet: the judgement (NEW, ESTABLISHED by direction, RELATED, INVALID),
//! the connection's state, its timeout to the second, and whether a reply has been seen. Whatever
//! differs is a [known difference](differences) with a name and a reason, and the test says so when
//! it changes.

#![allow(
    clippy::unwrap_used,
    reason = "a test says what it expects by panicking"
)]

mod closing;
mod differences;
mod handshake;
mod judged;
mod oracle;
mod others;
mod ours;
mod pair;
mod random;
mod segment;
mod transfer;
