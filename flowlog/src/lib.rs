//! From verdicts to objects: what left the connection table becomes files that outlive the switch.
//!
//! ```text
//!  Tally ─leave─▶ Observation ─▶ Collector ─┬─▶ logger's open interval ─▶ Record ─▶ encode ─▶ spool
//!  (16 B, in       (one verdict,  (the log  ├─▶      merged by            (one row)  CSV      synced
//!  the entry)      port, way)      thread)  └─▶  port, way, tuple, verdict                      │
//!                                                                                               ▼
//!                                         a thread per logger: directory or bucket, whole or absent
//! ```
//!
//! The packet path touches [`Tally`] alone. Everything behind an [`Observation`] runs on the log
//! thread, owned by one [`Collector`]; a slow disk therefore never slows a packet, and a slow store
//! ([`Delivery`]) never the log thread. What is in the spool is delivered, be it by the next process;
//! `docs/delivery.md` says the rest. IPFIX goes out as datagrams, without that promise.
//!
//! **Limits**: [`Limits`] bounds the records of an open interval, fairly between ports; what does
//! not fit is counted and marks the port's records `SKIPDATA`. The spool has a limit in bytes; what
//! exceeds it is counted as lost, the oldest first. **Failure**: what cannot be spooled is counted as
//! lost and puts the logger into [`State::Error`], as does a store that refuses or is down; nothing
//! here panics on input.
#![forbid(unsafe_code)]

pub mod access;
mod collector;
mod datum;
mod delivery;
mod digits;
mod encode;
mod exclusion;
mod field;
mod files;
mod interval;
mod ipfix;
mod layout;
mod logger;
mod names;
mod observation;
mod profile;
pub mod read;
mod record;
mod spool;
mod store;
mod tally;
mod window;

pub use access::Access;
pub use collector::{Closed, Collector, DeliveryError, LoggerStatus, State, TAIL_RECORDS_MAX};
pub use delivery::{Delivery, OpenError};
pub use encode::{
    Account, AccountError, AwsText, AwsVersion, Compression, Encoder, Format, FormatError,
    ROW_GROUP_ROWS,
};
pub use exclusion::{NotRecorded, has_tuple, not_recorded};
pub use field::{Field, FieldError, Kind};
pub use interval::Limits;
pub use layout::{
    AwsKey, FileName, FileNameError, Layout, Partition, PartitionError, ROWS_PER_FILE, Zone,
    ZoneError,
};
pub use logger::{
    EmptyIntervals, Filter, INTERVAL_S_MAX, INTERVAL_S_MIN, LoggerSpec, Recording, Resource, Scope,
    base_window_s,
};
pub use names::{NameMemory, NameMemoryError};
pub use observation::{Observation, PortInfo, Ports, RuleInfo, Skipped};
pub use profile::Profile;
pub use record::{Details, Flow, Record, Status};
pub use spool::{Backlog, Interrupted, Lost, SpoolError};
pub use store::{
    Bucket, Cause, Encryption, Listing, Object, ObjectError, Objects, Secret, Storage, StoreError,
};
pub use tally::{TICK_US, Tally, Tick, WINDOW_S_MAX};
pub use window::Window;
