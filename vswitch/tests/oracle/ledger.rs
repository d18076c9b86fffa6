//! What is to stand in the log and in the counters (SPEC sections 5.1 to 5.4).

use crate::model::Said;
use crate::seen::{self, Seen};
use flowlog::NotRecorded;
use packet::{FiveTuple, SpecBody, Verdict, protocol, tcp_flags};
use secgroup::{PortId, RuleIdentity};
use std::collections::BTreeMap;
use std::net::IpAddr;
use vswitch::switch::PortCounters;

/// One record, by what makes it one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) window_s: u64,
    pub(crate) port: PortId,
    pub(crate) ingress: bool,
    pub(crate) tuple: FiveTuple,
    pub(crate) verdict: Verdict,
    /// Rule and group.
    pub(crate) rule: Option<(uuid::Uuid, uuid::Uuid)>,
}

/// What a record counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Count {
    pub(crate) packets: u64,
    pub(crate) bytes: u64,
    pub(crate) flags: u8,
    pub(crate) opened: u64,
}

/// The log and the counters as they have to be.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) records: BTreeMap<Key, Count>,
    pub(crate) counters: BTreeMap<PortId, PortCounters>,
    /// IPv6 and the like are recorded too.
    pub(crate) everything: bool,
    /// Start of the open window.
    pub(crate) window_s: u64,
}

/// Orders as UUIDs do.
pub(crate) fn rule_key(rule: Option<RuleIdentity>) -> Option<(uuid::Uuid, uuid::Uuid)> {
    rule.map(|rule| (rule.rule, rule.group))
}

impl Ledger {
    /// One side of a packet was judged so.
    pub(crate) fn judged(
        &mut self,
        port: PortId,
        ingress: bool,
        said: Said,
        seen: &Seen<'_>,
        opens: bool,
    ) {
        let counters = self.counters.entry(port).or_default();
        if let Verdict::Drop(reason) = said.verdict {
            counters.refused[reason as usize] += seen.packets;
        }
        let tuple = seen.ip().map(seen::tuple);
        let kind = left_out(seen);
        let is_recorded = kind.is_none() || self.everything && has_flow(seen);
        if let (true, Some(tuple)) = (is_recorded, tuple) {
            let key = Key {
                window_s: self.window_s,
                port,
                ingress,
                tuple,
                verdict: said.verdict,
                rule: rule_key(said.rule),
            };
            let count = self.records.entry(key).or_default();
            count.packets += seen.packets;
            count.bytes += seen.bytes;
            count.flags |= flags(seen);
            count.opened += u64::from(opens);
        } else if let Some(kind) = kind {
            let counted = &mut counters.not_recorded[kind as usize].0;
            counted[usize::from(ingress)][usize::from(!said.accepts())] += seen.packets;
        }
    }
}

/// Why a packet is not recorded by the seed's fields (SPEC section 5.3).
fn left_out(seen: &Seen<'_>) -> Option<NotRecorded> {
    let ip = match seen.body {
        SpecBody::Arp { .. } => return Some(NotRecorded::Arp),
        SpecBody::Other { .. } => return Some(NotRecorded::NonIp),
        SpecBody::Ip(ip) => ip,
    };
    let is_metadata =
        |address| matches!(address, IpAddr::V4(v4) if v4.octets()[..3] == [169, 254, 169]);
    let to_multicast = seen.dst.is_group() && !seen.dst.is_broadcast() || ip.dst.is_multicast();
    match ip.protocol {
        _ if ip.src.is_ipv6() => Some(NotRecorded::Ipv6),
        _ if to_multicast => Some(NotRecorded::Multicast),
        _ if is_metadata(ip.src) || is_metadata(ip.dst) => Some(NotRecorded::Metadata),
        protocol::ICMP | protocol::TCP | protocol::UDP => None,
        _ => Some(NotRecorded::OtherProtocol),
    }
}

/// Whether a packet has a tuple of its own: a unicast address behind a group MAC has not.
fn has_flow(seen: &Seen<'_>) -> bool {
    match left_out(seen) {
        Some(NotRecorded::Multicast) => seen.ip().is_some_and(|ip| ip.dst.is_multicast()),
        Some(NotRecorded::Arp | NotRecorded::NonIp | NotRecorded::Malformed) => false,
        _ => true,
    }
}

/// Section 5.2: FIN, SYN and RST, and ACK where it came with SYN.
fn flags(seen: &Seen<'_>) -> u8 {
    let Some((tcp, _)) = seen.tcp() else { return 0 };
    let plain = tcp.flags & (tcp_flags::FIN | tcp_flags::SYN | tcp_flags::RST);
    match tcp.flags & tcp_flags::SYN {
        0 => plain,
        _ => plain | tcp.flags & tcp_flags::ACK,
    }
}
