//! Security groups, address groups and connection tracking as typed.

use super::shape::TextOrNumber;
use schemars::JsonSchema;
use serde::Deserialize;

/// A named list of prefixes that rules can refer to.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AddressGroup {
    /// UUID; derived from the name when absent.
    pub id: Option<String>,
    /// Name: letters, digits, `. _ -`.
    pub name: String,
    /// Addresses and prefixes, IPv4 and IPv6.
    pub addresses: Vec<String>,
}

/// A security group: allow-only rules without order.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SecurityGroup {
    /// UUID; derived from the name when absent.
    pub id: Option<String>,
    /// Name: letters, digits, `. _ -`; `default` is built in.
    pub name: String,
    /// For people.
    pub description: Option<String>,
    /// The rules. A group without an egress rule gets the two usual ones, egress any of IPv4 and IPv6.
    #[serde(default)]
    pub rules: Vec<SecurityGroupRule>,
    /// `false`: no rule is added to those listed, default true.
    pub default_rules: Option<bool>,
    /// Whether replies pass by connection state, default true.
    pub stateful: Option<bool>,
}

/// An allow rule.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SecurityGroupRule {
    /// UUID, the flow log's `rule_id`; derived from the group and the rule when absent.
    pub id: Option<String>,
    /// For people; two rules that differ in it alone are the same rule.
    pub description: Option<String>,
    /// `ingress` or `egress`, seen from the instance.
    pub direction: String,
    /// `IPv4` (default) or `IPv6`.
    pub ethertype: Option<String>,
    /// Name or IANA number; absent, `any` or 0: every protocol.
    #[schemars(with = "Option<TextOrNumber>")]
    pub protocol: Option<String>,
    /// First destination port.
    pub port_range_min: Option<i64>,
    /// Last destination port.
    pub port_range_max: Option<i64>,
    /// ICMP or ICMPv6 type.
    pub icmp_type: Option<i64>,
    /// ICMP or ICMPv6 code; absent, every code of the type.
    pub icmp_code: Option<i64>,
    /// The other side as an address or prefix.
    pub remote_ip_prefix: Option<String>,
    /// The other side as the members of a security group, by name or id.
    pub remote_group: Option<String>,
    /// The other side as an address group, by name or id.
    pub remote_address_group: Option<String>,
}

/// Connection tracking.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Conntrack {
    /// Connections held at most, 1 to 16777216, default 1048576.
    #[schemars(range(min = 1, max = 16_777_216))]
    pub limit: Option<i64>,
    /// A lone ACK may open a connection in the middle where a rule allows it, default true.
    pub tcp_loose: Option<bool>,
    /// Packets outside the TCP window pass, default false.
    pub tcp_be_liberal: Option<bool>,
    /// Connections outlive the rule that let them in, default false.
    pub persist_established: Option<bool>,
    /// Idle timeouts in seconds, by the kernel's names.
    #[serde(default)]
    pub timeouts: Timeouts,
}

/// One list of names gives the keys of the file and what of them is given.
macro_rules! timeouts {
    ($($(#[$doc:meta])* $type:ident { $($name:ident),+ $(,)? })+) => { $(
        $(#[$doc])*
        #[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields)]
        #[expect(missing_docs, reason = "the names are the kernel's sysctl names")]
        pub struct $type { $(pub $name: Option<u32>,)+ }

        impl $type {
            /// The timeouts that are there, by name.
            pub fn given(&self) -> impl Iterator<Item = (&'static str, u32)> {
                [$((stringify!($name), self.$name),)+].into_iter().filter_map(|(name, seconds)| Some((name, seconds?)))
            }
        }
    )+ };
}

timeouts! {
    /// Idle timeouts in seconds; what is absent keeps its default.
    Timeouts {
        tcp_syn_sent, tcp_syn_recv, tcp_established, tcp_fin_wait, tcp_close_wait, tcp_last_ack, tcp_time_wait,
        tcp_close, tcp_max_retrans, tcp_unacknowledged, udp, udp_stream, icmp, icmpv6, generic, gre, gre_stream,
        sctp_closed, sctp_cookie_wait, sctp_cookie_echoed, sctp_established, sctp_shutdown_sent, sctp_shutdown_recd,
        sctp_shutdown_ack_sent, sctp_heartbeat_sent, dccp_request, dccp_respond, dccp_partopen, dccp_open,
        dccp_closereq, dccp_closing, dccp_timewait, frag, revoked,
    }

    /// Idle timeouts of one port in seconds; what is absent is as `conntrack.timeouts` says. Fragments have
    /// none: a datagram belongs to no connection before it is whole.
    PortTimeouts {
        tcp_syn_sent, tcp_syn_recv, tcp_established, tcp_fin_wait, tcp_close_wait, tcp_last_ack, tcp_time_wait,
        tcp_close, tcp_max_retrans, tcp_unacknowledged, udp, udp_stream, icmp, icmpv6, generic, gre, gre_stream,
        sctp_closed, sctp_cookie_wait, sctp_cookie_echoed, sctp_established, sctp_shutdown_sent, sctp_shutdown_recd,
        sctp_shutdown_ack_sent, sctp_heartbeat_sent, dccp_request, dccp_respond, dccp_partopen, dccp_open,
        dccp_closereq, dccp_closing, dccp_timewait, revoked,
    }
}
