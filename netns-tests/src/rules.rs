//! Security Group rules as the configuration writes them.

use std::fmt::Display;

/// TCP to `port` from anywhere, over IPv4.
#[must_use]
pub fn tcp_in(port: u16) -> String {
    format!("direction: ingress, protocol: tcp, port_range_min: {port}, port_range_max: {port}")
}

/// UDP to `port` from anywhere, over IPv4.
#[must_use]
pub fn udp_in(port: u16) -> String {
    format!("direction: ingress, protocol: udp, port_range_min: {port}, port_range_max: {port}")
}

/// Echo requests from anywhere, over IPv4.
#[must_use]
pub fn ping_in() -> String {
    "direction: ingress, protocol: icmp, icmp_type: 8".into()
}

/// Anything from anywhere, over IPv4.
#[must_use]
pub fn any_in() -> String {
    "direction: ingress, ethertype: IPv4".into()
}

/// Anything from anywhere, over IPv6.
#[must_use]
pub fn any_in_v6() -> String {
    "direction: ingress, ethertype: IPv6".into()
}

/// Anything to anywhere, over IPv4.
#[must_use]
pub fn any_out() -> String {
    "direction: egress, ethertype: IPv4".into()
}

/// TCP to `port` of `remote`, a prefix.
#[must_use]
pub fn tcp_out(port: u16, remote: impl Display) -> String {
    format!(
        "direction: egress, protocol: tcp, port_range_min: {port}, port_range_max: {port}, remote_ip_prefix: \"{remote}\""
    )
}

/// `rule`, from the members of a group alone.
#[must_use]
pub fn from_group(rule: impl Display, group: &str) -> String {
    format!("{rule}, remote_group: {group}")
}

/// `rule`, from a prefix alone.
#[must_use]
pub fn from_prefix(rule: impl Display, prefix: impl Display) -> String {
    format!("{rule}, remote_ip_prefix: \"{prefix}\"")
}
