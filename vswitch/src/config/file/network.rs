//! VPCs, subnets and ports as typed.

use super::security::PortTimeouts;
use super::shape::{self, OneOrMany};
use schemars::JsonSchema;
use serde::Deserialize;

/// A VPC: an address space of its own.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Vpc {
    /// UUID; derived from the name when absent.
    pub id: Option<String>,
    /// Name: letters, digits, `. _ -`.
    pub name: String,
    /// IPv4 range that its subnets lie in; absent, they may lie anywhere.
    pub cidr: Option<String>,
}

/// A subnet: one broadcast domain of one VPC.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Subnet {
    /// UUID; derived from the name when absent.
    pub id: Option<String>,
    /// Name: letters, digits, `. _ -`.
    pub name: String,
    /// Its VPC, by name or id; absent, the only one.
    pub vpc: Option<String>,
    /// IPv4 prefix.
    pub cidr: Option<String>,
    /// IPv6 prefix.
    pub cidr6: Option<String>,
    /// The router's address, or one IPv4 and one IPv6 address. Needed by an uplink.
    pub gateway_ip: Option<OneOrMany>,
    /// DHCP servers besides the gateway whose replies guests accept.
    #[serde(default)]
    pub dhcp_servers: Vec<String>,
    /// Greatest IP packet in bytes, default 1500.
    pub mtu: Option<u32>,
}

/// What a port is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum PortRole {
    /// A guest's interface.
    #[default]
    Instance,
    /// The way out of the subnet: a trusted TAP that carries its `gateway_ip`.
    Uplink,
}

/// A port: one network interface of one instance.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Port {
    /// UUID, the flow log's `interface_id`; derived from the name when absent.
    pub id: Option<String>,
    /// Name: letters, digits, `. _ -`.
    pub name: String,
    /// Name or UUID of the instance, the flow log's `vm_id`; the port's name when absent.
    pub instance: Option<String>,
    /// Its subnet, by name or id; absent, the only one.
    pub subnet: Option<String>,
    /// `instance` (default) or `uplink`.
    #[serde(default)]
    pub role: PortRole,
    /// MAC address; derived from the id, with the prefix fa:16:3e, when absent.
    pub mac_address: Option<String>,
    /// IPv4 and IPv6 addresses of the guest.
    #[serde(default)]
    pub fixed_ips: Vec<String>,
    /// Security groups by name or id. Absent: the VPC's group `default`; `[]`: none, all refused.
    #[serde(default, deserialize_with = "shape::groups")]
    #[schemars(with = "Option<Vec<String>>")]
    pub security_groups: Option<Vec<String>>,
    /// Anti-spoofing and security groups, default true.
    pub port_security_enabled: Option<bool>,
    /// Further source addresses the guest may use.
    #[serde(default)]
    pub allowed_address_pairs: Vec<AllowedAddressPair>,
    /// Ethertypes besides IPv4, IPv6, ARP and RARP that may pass, as `0x88cc`.
    #[serde(default)]
    pub permitted_ethertypes: Vec<String>,
    /// Deliver only packets for the port's own, broadcast and multicast addresses, default false.
    pub strict_rx: Option<bool>,
    /// MAC addresses learned at most on a port without port security, default 8.
    pub max_macs: Option<u32>,
    /// Connections this port may hold at most; absent, its fair share of the table.
    pub conntrack_limit: Option<u32>,
    /// Idle timeouts in seconds that connections of this port have of their own.
    #[serde(default)]
    pub conntrack_timeouts: PortTimeouts,
    /// Packets outside the TCP window pass on connections of this port; absent, as under `conntrack`.
    pub tcp_be_liberal: Option<bool>,
    /// Flow-log records this port may hold at most in an interval.
    pub flow_limit: Option<u32>,
    /// The TAP device.
    #[serde(default)]
    pub tap: Tap,
}

/// Addresses a port may use as source besides its own: a couple, not two lists.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AllowedAddressPair {
    /// Address or prefix.
    pub ip_address: String,
    /// Source MAC that goes with it; the port's own when absent.
    pub mac_address: Option<String>,
}

/// The TAP device of a port.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tap {
    /// Interface name, at most 15 bytes; `tap` and the first 11 characters of the port's id when absent.
    pub name: Option<String>,
    /// Network namespace, a name as in `ip netns` or a path; the daemon's own when absent.
    pub netns: Option<String>,
    /// MTU in bytes; the subnet's when absent.
    pub mtu: Option<u32>,
    /// Whether the guest's network stack takes its packets on a kernel thread of its own.
    #[serde(default)]
    pub threaded: Threaded,
}

/// Which thread runs a guest's network stack for the packets it receives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Threaded {
    /// The switch's, until that proves slow; then one of its own.
    #[default]
    Auto,
    /// One of its own from the start.
    On,
    /// Always the switch's; what exceeds the guest's share of its time is lost.
    Off,
}
