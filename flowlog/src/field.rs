//! The columns of the log. A further field is one entry in the table below: its name, what kind of
//! value it has, whose it is, and how it is had from a record.

use crate::{Profile, Record, datum::Datum};
use std::{fmt, str::FromStr};

const NS_PER_S: u64 = 1_000_000_000;

/// What kind of value a field has, whatever the format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A whole number of 32 bits (Parquet: INT32).
    Int,
    /// A whole number of 64 bits (Parquet: INT64).
    Long,
    /// `true` or `false`.
    Flag,
    /// A UUID.
    Id,
    /// An IP address.
    Address,
    /// A MAC address.
    Mac,
    /// A word without blanks, commas or quotes.
    Word,
}

/// Whose value a field has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Of {
    /// Every row's: never empty.
    Row,
    /// The port's: all its records have the same.
    Port,
    /// The record's, if it has one.
    Record,
    /// The flow's: empty where there is none.
    Flow,
    /// A detail of the flow: a logger that names the field tells records apart by it.
    Detail,
}

macro_rules! fields {
    ($($(#[$doc:meta])* $name:ident = $text:literal, $kind:ident, $of:ident |$subject:ident| $value:expr;)+) => {
        /// A column of the log.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Field { $($(#[$doc])* $name,)+ }

        impl Field {
            /// Every field there is.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// The name, as header lines and configurations write it.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }

            /// What kind of value it has.
            #[must_use]
            pub const fn kind(self) -> Kind {
                match self { $(Self::$name => Kind::$kind,)+ }
            }

            const fn of(self) -> Of {
                match self { $(Self::$name => Of::$of,)+ }
            }

            /// The record's value.
            #[inline(always)]
            pub(crate) fn datum(self, record: &Record) -> Datum<'_> {
                match self { $(Self::$name => fields!(@datum $of, record, |$subject| $value),)+ }
            }
        }
    };
    (@datum Row, $record:ident, |$r:ident| $value:expr) => {{ let $r = $record; Datum::from($value) }};
    (@datum Record, $record:ident, |$r:ident| $value:expr) => {{ let $r = $record; Datum::from($value) }};
    (@datum Port, $record:ident, |$p:ident| $value:expr) => {{ let $p = &*$record.port; Datum::from($value) }};
    (@datum Flow, $record:ident, |$f:ident| $value:expr) => {
        match &$record.flow { Some($f) => Datum::from($value), None => Datum::None }
    };
    (@datum Detail, $record:ident, |$d:ident| $value:expr) => {
        match &$record.flow { Some(flow) => { let $d = &flow.details; Datum::from($value) } None => Datum::None }
    };
}

fields! {
    /// UNIX seconds of the first packet; of the interval's start without a flow.
    TimestampStart = "timestamp_start", Long, Row |r| r.first_ns / NS_PER_S;
    /// UNIX seconds of the last packet; the interval's last second without a flow.
    TimestampEnd = "timestamp_end", Long, Row |r| r.last_ns / NS_PER_S;
    /// The port's id.
    InterfaceId = "interface_id", Id, Port |p| p.interface_id;
    /// The id of the instance that owns the port.
    VmId = "vm_id", Id, Port |p| p.vm_id;
    /// The port's subnet.
    SubnetId = "subnet_id", Id, Port |p| p.subnet_id;
    /// The port's VPC.
    VpcId = "vpc_id", Id, Port |p| p.vpc_id;
    /// The region.
    Region = "region", Word, Port |p| p.region.as_str();
    /// IANA protocol number: 1 ICMP, 6 TCP, 17 UDP.
    Protocol = "protocol", Int, Flow |f| f.tuple.protocol;
    /// Source address.
    SrcAddr = "src_addr", Address, Flow |f| f.tuple.src;
    /// Destination address.
    DstAddr = "dst_addr", Address, Flow |f| f.tuple.dst;
    /// Source port, 0 for ICMP.
    SrcPort = "src_port", Int, Flow |f| f.tuple.src_port;
    /// Destination port, 0 for ICMP.
    DstPort = "dst_port", Int, Flow |f| f.tuple.dst_port;
    /// FIN 1, SYN 2, RST 4, and ACK 16 where it came with SYN; 0 but for TCP.
    TcpFlag = "tcp_flag", Int, Flow |f| f.flags_seed;
    /// Wire packets.
    Packets = "packets", Long, Flow |f| f.packets;
    /// Sum of IP lengths: IPv4 total lengths; IPv6 with its header of 40.
    Bytes = "bytes", Long, Flow |f| f.bytes;
    /// `ingress`, `egress` or `unknown`, seen from the instance.
    Direction = "direction", Word, Flow |f| f.direction.as_str();
    /// `ACCEPT` or `DROP`.
    Filter = "filter", Word, Flow |f| f.verdict.as_str();
    /// `OK`, `SKIPDATA` or `NODATA`.
    Status = "status", Word, Row |r| r.status.as_str();
    /// `instance`; empty for an uplink, which is no device of the service's list.
    OwnerType = "owner_type", Word, Port |p| p.owner_type();
    /// The same as `vm_id`, under the newer name.
    OwnerId = "owner_id", Id, Port |p| p.vm_id;
    /// -1: there is no Transit Hub.
    TransithubDropNoRoutePackets = "transithub_drop_no_route_packets", Long, Flow |_f| -1_i64;
    /// -1: there is no Transit Hub.
    TransithubDropNoRouteBytes = "transithub_drop_no_route_bytes", Long, Flow |_f| -1_i64;
    /// -1: there is no Transit Hub.
    TransithubDropBlackHolePackets = "transithub_drop_black_hole_packets", Long, Flow |_f| -1_i64;
    /// -1: there is no Transit Hub.
    TransithubDropBlackHoleBytes = "transithub_drop_black_hole_bytes", Long, Flow |_f| -1_i64;
    /// 1 within the VPC, 2 through the gateway, see [`Record::traffic_path`].
    TrafficPath = "traffic_path", Int, Record |r| r.traffic_path();
    /// Why: `rule`, `reply`, … of an ACCEPT, `default_deny`, `spoof_ip`, … of a DROP.
    Reason = "reason", Word, Detail |d| d.reason.map(packet::Verdict::why);
    /// The rule that allows it, or that allows what it answers.
    RuleId = "rule_id", Id, Detail |d| d.rule_id;
    /// The group of that rule.
    SecurityGroupId = "security_group_id", Id, Detail |d| d.security_group_id;
    /// The name of that group.
    SecurityGroupName = "security_group_name", Word, Record |r| r.security_group.as_deref();
    /// Whether it answers a connection that the other side opened.
    IsReply = "is_reply", Flag, Detail |d| d.is_reply;
    /// Connections opened in this direction.
    Connections = "connections", Long, Flow |f| f.connections;
    /// ICMP type; empty for other protocols and for fragments that are not the first.
    IcmpType = "icmp_type", Int, Detail |d| d.icmp_type;
    /// ICMP code, likewise.
    IcmpCode = "icmp_code", Int, Detail |d| d.icmp_code;
    /// OR of all eight TCP flag bits.
    TcpFlagsAll = "tcp_flags_all", Int, Flow |f| f.flags_all;
    /// Nanoseconds since the epoch of the first packet, in steps of 64 µs.
    FirstNs = "first_ns", Long, Row |r| r.first_ns;
    /// Nanoseconds since the epoch of the last packet, likewise.
    LastNs = "last_ns", Long, Row |r| r.last_ns;
    /// Number of the policy under which it was judged.
    PolicyEpoch = "policy_epoch", Int, Detail |d| d.policy_epoch;
    /// The port's name in the configuration.
    InterfaceName = "interface_name", Word, Port |p| p.name.as_str();
    /// The name of the instance that owns the port.
    InstanceName = "instance_name", Word, Port |p| p.instance.as_str();
    /// The name of the port that has the remote address, if one of the same VPC has it.
    PeerName = "peer_name", Word, Record |r| r.peer.as_deref();
    /// Source MAC address of the frames.
    MacSrc = "mac_src", Mac, Detail |d| d.mac_src;
    /// Destination MAC address of the frames.
    MacDst = "mac_dst", Mac, Detail |d| d.mac_dst;
    /// Packets of the port that no record of the interval holds; the same in all its rows.
    SkippedPackets = "skipped_packets", Long, Row |r| r.skipped.packets;
    /// Their bytes.
    SkippedBytes = "skipped_bytes", Long, Row |r| r.skipped.bytes;
}

/// Why a list of fields is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FieldError {
    /// The list has no member.
    #[error(
        "the list of fields is empty; write one of the profiles {profiles} or name at least one field",
        profiles = Profile::names()
    )]
    Empty,
    /// No field or profile of that name.
    #[error(
        "`{0}` is neither a field nor a profile; the profiles are {profiles}, the fields are {list}",
        profiles = Profile::names(),
        list = Names(Field::ALL)
    )]
    Unknown(String),
    /// A profile in a list, and not as its beginning.
    #[error(
        "the profile `{0}` can only begin a list; write it first, and the further fields behind it"
    )]
    NotFirst(&'static str),
    /// A profile that no list can begin with.
    #[error("the profile `{0}` is a form of its own and takes no further fields; write it alone")]
    NotInList(&'static str),
    /// A field twice in one list.
    #[error("the field `{0}` is named twice; name each field once")]
    Twice(&'static str),
}

impl Field {
    /// The profile `nhn-18`: the seed's fields in the seed's order.
    pub const NHN_18: &'static [Self] = &[
        Self::TimestampStart,
        Self::TimestampEnd,
        Self::InterfaceId,
        Self::VmId,
        Self::SubnetId,
        Self::VpcId,
        Self::Region,
        Self::Protocol,
        Self::SrcAddr,
        Self::DstAddr,
        Self::SrcPort,
        Self::DstPort,
        Self::TcpFlag,
        Self::Packets,
        Self::Bytes,
        Self::Direction,
        Self::Filter,
        Self::Status,
    ];

    /// The profile `nhn-24`: the service's newest list.
    pub const NHN_24: &'static [Self] = &[
        Self::TimestampStart,
        Self::TimestampEnd,
        Self::InterfaceId,
        Self::OwnerType,
        Self::OwnerId,
        Self::SubnetId,
        Self::VpcId,
        Self::Region,
        Self::Protocol,
        Self::SrcAddr,
        Self::DstAddr,
        Self::SrcPort,
        Self::DstPort,
        Self::TcpFlag,
        Self::Packets,
        Self::Bytes,
        Self::Direction,
        Self::Filter,
        Self::TransithubDropNoRoutePackets,
        Self::TransithubDropNoRouteBytes,
        Self::TransithubDropBlackHolePackets,
        Self::TransithubDropBlackHoleBytes,
        Self::Status,
        Self::TrafficPath,
    ];

    /// What the profile `lab` adds to the seed's fields.
    pub const LAB_NAMES: &'static [Self] = &[
        Self::InterfaceName,
        Self::InstanceName,
        Self::PeerName,
        Self::Reason,
        Self::RuleId,
        Self::SecurityGroupId,
        Self::SecurityGroupName,
    ];

    /// Whether all records of a port have the same value, which is then made once.
    pub(crate) const fn is_of_port(self) -> bool {
        matches!(self.of(), Of::Port)
    }

    /// Whether every row has a value.
    pub(crate) const fn is_never_empty(self) -> bool {
        matches!(self.of(), Of::Row)
    }

    /// Whether -1 says that the field does not apply.
    pub(crate) const fn may_be_negative(self) -> bool {
        matches!(
            self,
            Self::TransithubDropNoRoutePackets
                | Self::TransithubDropNoRouteBytes
                | Self::TransithubDropBlackHolePackets
                | Self::TransithubDropBlackHoleBytes
        )
    }

    /// Whether a logger that names the field tells records apart by it.
    #[must_use]
    pub const fn splits(self) -> bool {
        // The group's name goes with its id, which is a detail.
        matches!(self.of(), Of::Detail) || matches!(self, Self::SecurityGroupName)
    }

    /// Appends the record's value as text; nothing where the record has none.
    #[inline]
    pub fn write(self, record: &Record, out: &mut Vec<u8>) {
        self.datum(record).push(out);
    }

    /// The fields of a profile, or of a comma-separated list of field names.
    ///
    /// # Errors
    /// [`FieldError`] for an empty list, a name that is none, a field named twice, a profile that
    /// does not begin the list or cannot.
    pub fn parse_list(text: &str) -> Result<Vec<Self>, FieldError> {
        let text = text.trim();
        match Profile::named(text) {
            Some(profile) => Ok(profile.fields()),
            None if text.is_empty() => Err(FieldError::Empty),
            None => Self::from_names(text.split(',').map(str::trim)),
        }
    }

    /// The fields of a list of names, of which the first may be a profile's.
    ///
    /// # Errors
    /// As [`Self::parse_list`].
    pub fn from_names<'a>(
        names: impl IntoIterator<Item = &'a str>,
    ) -> Result<Vec<Self>, FieldError> {
        let mut fields = Vec::new();
        for (place, name) in names.into_iter().enumerate() {
            if let Some(profile) = Profile::named(name) {
                fields.extend(profile.begin_list(place)?);
                continue;
            }
            let field: Self = name.parse()?;
            if fields.contains(&field) {
                return Err(FieldError::Twice(field.name()));
            }
            fields.push(field);
        }
        if fields.is_empty() {
            Err(FieldError::Empty)
        } else {
            Ok(fields)
        }
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Field {
    type Err = FieldError;

    fn from_str(name: &str) -> Result<Self, FieldError> {
        Self::ALL
            .iter()
            .copied()
            .find(|field| field.name() == name)
            .ok_or_else(|| FieldError::Unknown(name.to_owned()))
    }
}

/// Names with commas between, for messages.
struct Names(&'static [Field]);

impl fmt::Display for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, field) in self.0.iter().enumerate() {
            write!(f, "{}{field}", if place == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}
