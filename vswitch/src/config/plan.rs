//! What a configuration means: everything resolved, every id and default filled in, nothing left to judge.

pub use super::file::Threaded;
pub use flowlog::Secret;
use flowlog::{Access, LoggerSpec};
use ipnet::{Ipv4Net, Ipv6Net};
use packet::Mac;
use secgroup::conntrack::{OwnTimeouts, Settings};
use secgroup::{AddressGroup, Group, Pair, PortId, PortSpec};
use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;
use uuid::Uuid;

/// A configuration that holds: what the switch builds.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The flow log's field `region`.
    pub region: String,
    /// The VPCs; subnets refer to them by index.
    pub vpcs: Vec<Vpc>,
    /// The subnets; ports refer to them by index.
    pub subnets: Vec<Subnet>,
    /// The groups of the file, and the built-in `default` of each VPC.
    pub groups: Vec<Group>,
    /// Named lists of prefixes.
    pub address_groups: Vec<AddressGroup>,
    /// The ports, in the order of the file.
    pub ports: Vec<Port>,
    /// The loggers.
    pub loggers: Vec<LoggerSpec>,
    /// Connection tracking.
    pub conntrack: Conntrack,
    /// UNIX socket of the running daemon.
    pub control_socket: PathBuf,
    /// Directory of the spool and of the loggers' memory.
    pub state_dir: PathBuf,
    /// Who may read what is written: spool, log files, state.
    pub access: Access,
    /// Threads that forward.
    pub workers: Workers,
    /// How they read and write frames.
    pub io: Io,
    /// Zone of file names and partitions where a logger names none, an IANA name.
    pub time_zone: String,
    /// Bytes of the spool at most.
    pub spool_max_bytes: u64,
    /// Where loggers with `storage_type: OBS` put their files.
    pub object_storage: Option<ObjectStorage>,
}

impl Plan {
    /// What the security groups need to know of a port; its number is its place in the list.
    ///
    /// # Panics
    /// Where there is no such port, or more of them than there are numbers: the checks refuse that.
    #[must_use]
    pub fn port_spec(&self, index: usize) -> PortSpec {
        let port = &self.ports[index];
        let number = u16::try_from(index).expect("ports are limited below 0xff00");
        let subnet = self.subnets.get(port.subnet);
        PortSpec {
            port: PortId(number),
            vpc: subnet.map_or(0, |subnet| {
                u16::try_from(subnet.vpc).expect("VPCs are limited below 65,536")
            }),
            mac: port.mac,
            fixed_ips: port.fixed_ips.clone(),
            allowed_address_pairs: port.allowed_address_pairs.clone(),
            groups: port.groups.clone(),
            port_security: port.port_security,
            uplink: port.role == Role::Uplink,
            permitted_ethertypes: port.permitted_ethertypes.clone(),
            strict_rx: port.strict_rx,
            gateway_ips: subnet
                .map(|subnet| subnet.gateway_ips.clone())
                .unwrap_or_default(),
            dhcp_servers: subnet
                .map(|subnet| subnet.dhcp_servers.clone())
                .unwrap_or_default(),
            broadcast: subnet
                .and_then(|subnet| subnet.cidr)
                .filter(|net| net.prefix_len() <= 30)
                .map(|net| net.broadcast()),
        }
    }
}

/// An address space of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vpc {
    /// Its UUID, the flow log's `vpc_id`.
    pub id: Uuid,
    /// Its name.
    pub name: String,
    /// The range that its subnets lie in, where one is given.
    pub cidr: Option<Ipv4Net>,
    /// The UUID of its built-in group `default`.
    pub default_group: Uuid,
}

/// One broadcast domain of one VPC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subnet {
    /// Its UUID, the flow log's `subnet_id`.
    pub id: Uuid,
    /// Its name.
    pub name: String,
    /// Index of its VPC.
    pub vpc: usize,
    /// IPv4 prefix; this or `cidr6` is there.
    pub cidr: Option<Ipv4Net>,
    /// IPv6 prefix.
    pub cidr6: Option<Ipv6Net>,
    /// The router's addresses, at most one of each family.
    pub gateway_ips: Vec<IpAddr>,
    /// DHCP servers besides the gateway.
    pub dhcp_servers: Vec<IpAddr>,
    /// Greatest IP packet, bytes.
    pub mtu: u16,
}

/// What a port is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// A guest's interface.
    Instance,
    /// The way out of the subnet: trusted, unfiltered, its TAP carries the gateway addresses.
    Uplink,
}

/// One network interface of one instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port {
    /// Its UUID, the flow log's `interface_id`.
    pub id: Uuid,
    /// Its name.
    pub name: String,
    /// The instance as written: a name or a UUID.
    pub instance: String,
    /// The instance's UUID, the flow log's `vm_id`.
    pub instance_id: Uuid,
    /// Index of its subnet.
    pub subnet: usize,
    /// What it is for.
    pub role: Role,
    /// The guest's MAC; of an uplink, the MAC of the host's side.
    pub mac: Mac,
    /// The guest's addresses.
    pub fixed_ips: Vec<IpAddr>,
    /// UUIDs of its groups; none means: all refused.
    pub groups: Vec<Uuid>,
    /// Further couples it may use as source.
    pub allowed_address_pairs: Vec<Pair>,
    /// Off: neither anti-spoofing nor groups at this port.
    pub port_security: bool,
    /// Ethertypes besides IPv4, IPv6, ARP and RARP that may pass.
    pub permitted_ethertypes: Vec<u16>,
    /// Deliver only packets for own, broadcast and multicast addresses.
    pub strict_rx: bool,
    /// MAC addresses learned at most, without port security.
    pub max_macs: usize,
    /// Connections held at most; absent, the fair share.
    pub conntrack_limit: Option<u32>,
    /// Idle timeouts of its own; absent, there are none.
    pub conntrack_timeouts: Option<OwnTimeouts>,
    /// Whether its TCP connections are held to their windows loosely; absent, as all.
    pub tcp_be_liberal: Option<bool>,
    /// Flow-log records held at most in an interval; absent, the fair share.
    pub flow_limit: Option<u32>,
    /// Its TAP device.
    pub tap: TapPlan,
}

/// The TAP device of a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TapPlan {
    /// Interface name.
    pub name: String,
    /// Name or path of its network namespace; absent, the daemon's own.
    pub netns: Option<String>,
    /// Bytes of an IP packet at most.
    pub mtu: u16,
    /// Whether the guest's stack has a kernel thread of its own.
    pub threaded: Threaded,
}

/// Connection tracking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conntrack {
    /// Connections of the table at most.
    pub limit: u32,
    /// Connections outlive the rule that let them in.
    pub persist_established: bool,
    /// How connections are followed, and how long.
    pub settings: Settings,
}

/// Threads that forward.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Workers {
    /// As many as the machine carries.
    Auto,
    /// This many.
    Fixed(NonZeroUsize),
}

/// How frames are read from TAPs and written to them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Io {
    /// By `io_uring` where the kernel lets us, by `read` and `write` elsewhere.
    Auto,
    /// A system call for each frame.
    ReadWrite,
    /// `io_uring` or nothing.
    Uring,
}

impl Io {
    /// All, with their names in the configuration.
    pub(super) const NAMES: [(&'static str, Self); 3] = [
        ("auto", Self::Auto),
        ("read_write", Self::ReadWrite),
        ("io_uring", Self::Uring),
    ];

    /// The name in the configuration.
    #[must_use]
    pub fn name(self) -> &'static str {
        let named = Self::NAMES.iter().find(|(_, io)| *io == self);
        named.expect("every one has a name").0
    }
}

/// An S3-compatible store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectStorage {
    /// `http://` or `https://` address.
    pub endpoint: String,
    /// Region for signatures.
    pub region: String,
    /// Bucket in the path, not in the host name.
    pub path_style: bool,
    /// Where the access key is found.
    pub access_key: Secret,
    /// Where the secret key is found.
    pub secret_key: Secret,
    /// Where the token of temporary keys is found.
    pub session_token: Option<Secret>,
    /// How the store is asked to encrypt objects.
    pub encryption: Option<flowlog::Encryption>,
    /// Certificates of the authorities that vouch for the store; absent, the system's.
    pub ca_file: Option<PathBuf>,
    /// How long an answer may take.
    pub timeout: Duration,
}
