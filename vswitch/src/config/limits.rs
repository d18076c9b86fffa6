//! What a configuration may hold at most. Every limit has its reason; going over one is a mistake with a place.

/// Bytes of a configuration file: room for the greatest number of ports, each with its own groups.
pub const MAX_FILE_BYTES: u64 = 32 << 20;

/// Depth of nested lists and mappings; the deepest key of the format stands at 5.
pub(super) const MAX_YAML_DEPTH: usize = 16;
/// Nodes of the YAML tree: 65,280 ports of 60 nodes each.
pub(super) const MAX_YAML_NODES: usize = 4_000_000;
/// Nodes that aliases may add by repetition, against files that grow when they are read.
pub(super) const MAX_YAML_ALIAS_EVENTS: usize = 1_000_000;

/// Characters of a value that a message quotes.
pub(super) const MAX_VALUE_CHARS: usize = 80;
/// Longest words that are compared letter by letter; the work grows with the square.
pub(super) const MAX_COMPARED_BYTES: usize = 64;
/// Names that a message lists as what could have been meant.
pub(super) const MAX_NAMES_LISTED: usize = 8;
/// Mistakes that a message prints; the others are counted.
pub(super) const MAX_MISTAKES_PRINTED: usize = 50;

/// Bytes of a name (OpenStack Networking's length of names).
pub const MAX_NAME_BYTES: usize = 255;
/// VPCs: their index is 16 bits wide in the keys of connections.
pub const MAX_VPCS: usize = 4096;
/// Subnets of all VPCs.
pub const MAX_SUBNETS: usize = 16_384;
/// Ports: numbers below [`PortId::PSEUDO`](secgroup::PortId::PSEUDO).
pub const MAX_PORTS: usize = secgroup::PortId::PSEUDO as usize;
/// Loggers: each watched packet is counted once, but each logger writes its own files.
pub const MAX_LOGGERS: usize = 256;
/// Further ethertypes of a port.
pub const MAX_ETHERTYPES: usize = 16;
/// DHCP servers of a subnet.
pub const MAX_DHCP_SERVERS: usize = 8;
/// MAC addresses learned on a port.
pub const MAX_MACS: u32 = 4096;
/// Connections of the table.
pub const MAX_CONNECTIONS: u32 = 1 << 24;
/// Flow-log records of a port or a logger in an interval.
pub const MAX_FLOWS: u32 = 1 << 24;
/// Forwarding threads.
pub const MAX_WORKERS: u32 = 256;

/// Length of the network that an IPv6 address is in where its subnet says none (RFC 4291, section 2.5.4).
pub const PREFIX_LEN_WITHOUT_CIDR6: u8 = 64;

/// Least MTU of IPv4 (RFC 791).
pub const MIN_MTU: u32 = 68;
/// Least MTU of IPv6 (RFC 8200, section 5).
pub const MIN_MTU_IPV6: u32 = 1280;
/// Greatest MTU that Linux gives a TAP: the greatest IP packet, 65,535, less the Ethernet header. A
/// subnet's too: its ports' TAPs have it.
pub const MAX_TAP_MTU: u32 = 65_521;
/// Bytes of an interface name (`IFNAMSIZ` less the zero at its end).
pub const MAX_TAP_NAME_BYTES: usize = 15;

/// Longest path of the control socket, bytes: 107 are what `sun_path` holds (`unix(7)`, less its zero),
/// and the socket is made under its name with `.` and the process's number (7 digits at most) behind it.
pub const MAX_SOCKET_PATH_BYTES: usize = 99;
/// Longest path of the state directory, bytes.
pub const MAX_STATE_PATH_BYTES: usize = 107;

/// Least size of the spool: one full file of the longest rows.
pub const MIN_SPOOL_BYTES: u64 = 1 << 20;
/// Greatest size of the spool.
pub const MAX_SPOOL_BYTES: u64 = 1 << 50;
