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
mod flow;
mod group;
mod guard;
pub mod limits;
mod members;
mod model;
mod policy;
mod port;
mod rule;
mod rule_table;

pub use flow::{Flow, FlowService};
pub use group::{AddressGroup, Group, Merged};
pub use guard::{Essential, Guard, Sender, is_announcement, untracked};
pub use limits::Limit;
pub use members::Members;
pub use model::{Model, ModelError};
pub use policy::Policy;
pub use port::{Pair, PortId, PortSpec};
pub use rule::{
    Ethertype, EthertypeSyntax, Remote, Rule, RuleDraft, RuleError, Service, protocol_name,
    protocol_number,
};
pub use rule_table::{RuleIdentity, RuleRef, RuleTable, RuleTableFull};
