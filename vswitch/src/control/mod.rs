//! The control socket: one request line in, one reply line out (of `follow`, a line per record).
//!
//! ```text
//!   vswitch show … ──▶ Session ──{"ports":{…}}\n──▶ Server: a thread per client ──▶ answer ──▶ Shared
//!                         ▲                                 │
//!                         └───────{"ports":{"rows":…}}\n◀───┘
//! ```
//!
//! JSON, so that `socat` and a script do as well as this program. The socket's mode, 0660, says who may
//! ask. Each client has a thread of its own and deadlines, so that one that is slow or hostile hangs
//! nobody; the switch's lock is taken in slices (`answer.rs`), so that none slows a packet.
//!
//! **Limits**: [`CLIENTS_MAX`], [`FOLLOWERS_MAX`], [`REQUEST_BYTES_MAX`], [`LIMIT_MAX`] and the times in
//! `server.rs`. **Failure**: a request that cannot be answered is answered by an error line; a client
//! that breaks the rules is disconnected.

mod answer;
mod connections;
mod end;
mod record;
mod request;
mod rows;
mod rules;
mod server;
mod session;
mod socket;

pub use crate::run::Reloaded;
pub use answer::trace;
pub(crate) use connections::{known_state, protocol, tuple};
pub use end::End;
pub use record::LogRow;
pub use request::{ConnectionSelect, LIMIT_DEFAULT, LIMIT_MAX, Request, Select};
pub use rows::{
    AuditRow, ConnectionRow, Counted, DropRow, FdbRow, FlowRow, GroupRow, Listing, LogSource,
    LogSources, LoggerRow, MissedRow, NamedGroup, NamedPort, PortRow, Reply, SideText, StatusRow,
};
pub use rules::{RuleBook, rule_words};
pub use server::{CLIENTS_MAX, FOLLOWERS_MAX, REQUEST_BYTES_MAX, Server};
pub use session::{Session, SessionError, ask};
pub use socket::SocketError;
