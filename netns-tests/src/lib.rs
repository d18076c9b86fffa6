//! Whole-system tests: the real `vswitch run`, real TAPs, real kernels at both ends, in namespaces
//! that are gone afterwards.
//!
//! ```text
//!   Plan ──start──▶ Lab ── Daemon (vswitch run CONFIG)
//!                    │        ║ TAPs
//!                    ├─ Guest a: sockets, ping, raw frames, captures
//!                    └─ finish() ──▶ Records  (audit held, exit 0, every row that was written)
//! ```
//!
//! Sockets are made inside a guest's namespace and used from the test's own thread, so a test reads
//! from top to bottom. Failure rule: helpers panic with what they did; what a [`Lab`] made goes in
//! its `Drop`, also then.
#![forbid(unsafe_code)]

pub mod binary;
mod capture;
mod command;
mod container;
mod crowd;
mod daemon;
mod grid;
mod guest;
mod lab;
mod plan;
mod records;
pub mod rules;
pub mod truth;
pub mod vm;

pub use capture::{Seen, Tcpdump, Watch};
pub use command::{Done, run};
pub use container::Container;
pub use crowd::Crowd;
pub use daemon::Daemon;
pub use grid::{Found, Grid};
pub use guest::{Guest, carries};
pub use lab::{Lab, eventually, within};
pub use plan::{Plan, PortPlan};
pub use records::{Record, Records, Tuple};
