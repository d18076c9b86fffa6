//! One row of the log, before any format.

use crate::{Field, Observation, PortInfo, Ports, Skipped};
use packet::{Direction, FiveTuple, Mac, Verdict};
use std::{net::IpAddr, sync::Arc};
use uuid::Uuid;

/// The one record type: what encoders write and the live tail shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Who observed.
    pub port: Arc<PortInfo>,
    /// First packet, UNIX time in nanoseconds (of 64 µs); the interval's start without a flow.
    pub first_ns: u64,
    /// Last packet, likewise; the interval's last second without a flow.
    pub last_ns: u64,
    /// What was observed; `None` where all that is to say of the port is its status.
    pub flow: Option<Flow>,
    /// Whether the port's part of the interval is complete.
    pub status: Status,
    /// What of the port's no record of the interval holds.
    pub skipped: Skipped,
    /// `peer_name`: the port of the same VPC that has the remote address. `None` where there is none,
    /// and where neither the logger nor a live tail asks for it.
    pub peer: Option<Arc<str>>,
    /// `security_group_name`, likewise.
    pub security_group: Option<Arc<str>>,
}

/// What was observed of one 5-tuple in one direction under one verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flow {
    /// Seen from the instance.
    pub direction: Direction,
    /// As on the wire.
    pub tuple: FiveTuple,
    /// ACCEPT or DROP; the reason is that of the latest packets.
    pub verdict: Verdict,
    /// Number of the rule that decided the latest packets, 0 for none.
    pub rule: u32,
    /// Whether the latest packets answer a connection that the other side opened.
    pub is_reply: bool,
    /// The seed's `tcp_flag`, see [`Tally::flags_seed`](crate::Tally::flags_seed).
    pub flags_seed: u8,
    /// OR of all eight TCP flag bits.
    pub flags_all: u8,
    /// Wire packets.
    pub packets: u64,
    /// Sum of their IP lengths.
    pub bytes: u64,
    /// Connections opened in this direction.
    pub connections: u32,
    /// What the logger's fields tell records apart by.
    pub details: Details,
}

/// What tells records of one tuple apart, as far as a logger names it ([`Field::splits`]); all its
/// packets have it in common. `None` for what no field of the logger names, and for what there is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Details {
    /// `reason`: the verdict with why.
    pub reason: Option<Verdict>,
    /// `rule_id`.
    pub rule_id: Option<Uuid>,
    /// `security_group_id`.
    pub security_group_id: Option<Uuid>,
    /// `is_reply`.
    pub is_reply: Option<bool>,
    /// `icmp_type`.
    pub icmp_type: Option<u8>,
    /// `icmp_code`.
    pub icmp_code: Option<u8>,
    /// `policy_epoch`.
    pub policy_epoch: Option<u16>,
    /// `mac_src`.
    pub mac_src: Option<Mac>,
    /// `mac_dst`.
    pub mac_dst: Option<Mac>,
}

impl Flow {
    /// The address at the other end: the destination of an egress flow, the source of an ingress one;
    /// `None` with direction `unknown`.
    #[must_use]
    pub const fn remote(&self) -> Option<IpAddr> {
        match self.direction {
            Direction::Egress => Some(self.tuple.dst),
            Direction::Ingress => Some(self.tuple.src),
            Direction::Unknown => None,
        }
    }
}

impl Details {
    /// What an observation has of the fields named.
    pub(crate) fn of(o: &Observation, fields: &[Field], directory: &dyn Ports) -> Self {
        let mut details = Self::default();
        let rule = || directory.rule(o.rule);
        for field in fields {
            match field {
                Field::Reason => details.reason = Some(o.verdict),
                Field::RuleId => details.rule_id = rule().map(|rule| rule.id),
                Field::SecurityGroupId | Field::SecurityGroupName => {
                    details.security_group_id = rule().map(|rule| rule.security_group_id);
                }
                Field::IsReply => details.is_reply = Some(o.reply),
                Field::IcmpType => details.icmp_type = o.icmp.map(|(kind, _)| kind),
                Field::IcmpCode => details.icmp_code = o.icmp.map(|(_, code)| code),
                Field::PolicyEpoch => details.policy_epoch = o.policy_epoch,
                Field::MacSrc => details.mac_src = o.macs.map(|[src, _]| src),
                Field::MacDst => details.mac_dst = o.macs.map(|[_, dst]| dst),
                _ => debug_assert!(!field.splits(), "{field} splits, but has no detail"),
            }
        }
        details
    }
}

/// Within the VPC.
const PATH_LOCAL: u8 = 1;

/// Through the internet gateway: the subnet's.
const PATH_GATEWAY: u8 = 2;

impl Record {
    /// The field `traffic_path`, a rule of ours where the service's pages give none. The remote
    /// address (the destination of an egress flow, the source of an ingress one) decides, whatever
    /// the verdict: 1 where it lies in a network of the port's VPC, or is one that no router passes
    /// on (multicast, broadcast, link-local, unspecified); 2 otherwise, for then the packet goes or
    /// came through the subnet's gateway. None where nobody took a view (`unknown`).
    #[must_use]
    pub fn traffic_path(&self) -> Option<u8> {
        let flow = self.flow.as_ref()?;
        let remote = flow.remote()?;
        let is_local = stays_on_link(remote)
            || self
                .port
                .vpc_networks
                .iter()
                .any(|network| network.contains(&remote));
        Some(if is_local { PATH_LOCAL } else { PATH_GATEWAY })
    }
}

const fn stays_on_link(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            v4.is_multicast() || v4.is_broadcast() || v4.is_link_local() || v4.is_unspecified()
        }
        IpAddr::V6(v6) => v6.is_multicast() || v6.is_unicast_link_local() || v6.is_unspecified(),
    }
}

/// The field `status`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Everything that the port did in the interval is recorded.
    Ok,
    /// Packets of the port could not be recorded for lack of capacity.
    SkipData,
    /// There was nothing to record of the port.
    NoData,
}

impl Status {
    /// `OK`, `SKIPDATA` or `NODATA`, as the log writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::SkipData => "SKIPDATA",
            Self::NoData => "NODATA",
        }
    }
}
