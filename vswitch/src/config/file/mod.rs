//! What was typed: the YAML file as serde sees it, before anything is resolved or judged.
//!
//! Every text that can be wrong in meaning (an address, a name, a duration) stays text here, so that
//! `config::check` finds all mistakes in one pass; serde refuses what has the wrong shape:
//! unknown keys, a list where a text belongs. The doc comments below are the descriptions of the JSON
//! Schema that `vswitch check --schema` prints.

mod defaults;
mod logging;
mod network;
mod security;
mod shape;

pub use logging::{FlowlogLogger, ObjectStorage, Spool};
pub use network::{AllowedAddressPair, Port, PortRole, Subnet, Tap, Threaded, Vpc};
pub use security::{
    AddressGroup, Conntrack, PortTimeouts, SecurityGroup, SecurityGroupRule, Timeouts,
};
pub use shape::OneOrMany;

use schemars::JsonSchema;
use serde::Deserialize;

/// Configuration of vswitch. Names follow OpenStack Networking; references are by name or id.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "vswitch configuration")]
pub struct File {
    /// Name of the region, the flow log's field `region`, default `LAB`.
    #[serde(default = "defaults::region")]
    pub region: String,
    /// The VPCs: address spaces that never meet. Absent, there is one, `lab`.
    #[serde(default = "defaults::vpcs")]
    pub vpcs: Vec<Vpc>,
    /// The subnets of the VPCs. Absent, there is one, `lab`, with the prefix 10.77.1.0/24.
    #[serde(default = "defaults::subnets")]
    pub subnets: Vec<Subnet>,
    /// Named lists of prefixes, for the key `remote_address_group` of rules.
    #[serde(default)]
    pub address_groups: Vec<AddressGroup>,
    /// The security groups. The group `default` of each VPC is built in.
    #[serde(default)]
    pub security_groups: Vec<SecurityGroup>,
    /// The ports: one network interface of one instance each.
    pub ports: Vec<Port>,
    /// The loggers: what the flow log collects, and where it goes.
    #[serde(default)]
    pub flowlog_loggers: Vec<FlowlogLogger>,
    /// Object storage used by loggers with `storage_type: OBS`.
    pub object_storage: Option<ObjectStorage>,
    /// Connection tracking.
    #[serde(default)]
    pub conntrack: Conntrack,
    /// Where flow-log files wait until their store has them.
    #[serde(default)]
    pub spool: Spool,
    /// UNIX socket of the running daemon, default `/run/vswitch/control.sock`.
    pub control_socket: Option<String>,
    /// Directory of the spool and of the loggers' memory, default `/var/lib/vswitch`.
    pub state_dir: Option<String>,
    /// Group whose members may read what the daemon writes, by name or number; absent, the daemon's own.
    #[schemars(with = "Option<shape::TextOrNumber>")]
    pub readers_group: Option<String>,
    /// Threads that forward: a number, or `auto` (default).
    #[schemars(with = "Option<shape::TextOrNumber>")]
    pub workers: Option<String>,
    /// How frames are read from TAPs and written to them: `io_uring` (Linux 6.7 and later),
    /// `read_write`, or `auto` (default), the former where the system allows it.
    pub io: Option<String>,
    /// Time zone of file names and partitions, an IANA name, default `UTC`; a logger can have its own.
    pub time_zone: Option<String>,
}
