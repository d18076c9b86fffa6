//! Who may talk to whom: rules and groups, their compiled form, anti-spoofing, connection tracking.
//!
//! ```text
//!   model (Rule, Group, PortSpec) ──compile──▶ Policy ── classify(flow, Members) ──▶ RuleRef
//!                                              Guard  ── admit / essential ─────────▶ Reason
//!   conntrack: Table<A, T> of Entry { conn, with: T }; tcp, udp, icmp as pure steps
//! ```
//!
//! Nothing here reads a clock, a file or a socket: time is an argument, and a verdict is a value.
#![forbid(unsafe_code)]

pub mod conntrack;
mod model;

pub use model::{
    AddressGroup, Ethertype, Group, Pair, PortId, PortSpec, Remote, Rule, RuleRef, Service,
};
