//! The columns of the log. A further field is one entry in the table below: its name, what kind of
//! value it has, whose it is (the record's, its port's, its flow's) and how it is written.

use crate::{
    Pending, Record,
    digits::{push_address, push_id, push_number, push_word},
    pending,
};
use std::{fmt, str::FromStr};

const NS_PER_S: u64 = 1_000_000_000;

/// What kind of value a field has, whatever the format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A whole number, not negative.
    Number,
    /// A UUID.
    Id,
    /// An IP address.
    Address,
    /// A word without blanks, commas or quotes.
    Word,
}

macro_rules! fields {
    ($($(#[$doc:meta])* $name:ident = $text:literal, $kind:ident, $of:ident |$subject:ident, $out:ident| $write:expr;)+) => {
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

            /// Whether all records of a port have the same value, which is then written once.
            pub(crate) const fn is_of_port(self) -> bool {
                match self { $(Self::$name => fields!(@is_of_port $of),)+ }
            }

            /// Appends the record's value as text; nothing where the record has none.
            #[inline]
            pub fn write(self, record: &Record, out: &mut Vec<u8>) {
                match self { $(Self::$name => fields!(@write $of, record, out, |$subject, $out| $write),)+ }
            }
        }
    };
    (@is_of_port port) => { true };
    (@is_of_port $of:ident) => { false };
    (@write record, $record:ident, $to:ident, |$subject:ident, $out:ident| $write:expr) => {{
        let ($subject, $out) = ($record, $to);
        $write;
    }};
    (@write port, $record:ident, $to:ident, |$subject:ident, $out:ident| $write:expr) => {{
        let ($subject, $out) = (&*$record.port, $to);
        $write;
    }};
    (@write flow, $record:ident, $to:ident, |$subject:ident, $out:ident| $write:expr) => {
        if let Some($subject) = &$record.flow {
            let $out = $to;
            $write;
        }
    };
}

fields! {
    /// UNIX seconds of the first packet.
    TimestampStart = "timestamp_start", Number, record |r, out| push_number(out, r.first_ns / NS_PER_S);
    /// UNIX seconds of the last packet.
    TimestampEnd = "timestamp_end", Number, record |r, out| push_number(out, r.last_ns / NS_PER_S);
    /// The port's id.
    InterfaceId = "interface_id", Id, port |p, out| push_id(out, p.interface_id);
    /// The id of the instance that owns the port.
    VmId = "vm_id", Id, port |p, out| push_id(out, p.vm_id);
    /// The port's subnet.
    SubnetId = "subnet_id", Id, port |p, out| push_id(out, p.subnet_id);
    /// The port's VPC.
    VpcId = "vpc_id", Id, port |p, out| push_id(out, p.vpc_id);
    /// The region.
    Region = "region", Word, port |p, out| push_word(out, &p.region);
    /// IANA protocol number: 1 ICMP, 6 TCP, 17 UDP.
    Protocol = "protocol", Number, flow |f, out| push_number(out, f.tuple.protocol.into());
    /// Source address.
    SrcAddr = "src_addr", Address, flow |f, out| push_address(out, f.tuple.src);
    /// Destination address.
    DstAddr = "dst_addr", Address, flow |f, out| push_address(out, f.tuple.dst);
    /// Source port, 0 for ICMP.
    SrcPort = "src_port", Number, flow |f, out| push_number(out, f.tuple.src_port.into());
    /// Destination port, 0 for ICMP.
    DstPort = "dst_port", Number, flow |f, out| push_number(out, f.tuple.dst_port.into());
    /// FIN 1, SYN 2, RST 4, and ACK 16 where it came with SYN; 0 but for TCP.
    TcpFlag = "tcp_flag", Number, flow |f, out| push_number(out, f.flags_seed.into());
    /// Wire packets.
    Packets = "packets", Number, flow |f, out| push_number(out, f.packets);
    /// Sum of IPv4 total lengths.
    Bytes = "bytes", Number, flow |f, out| push_number(out, f.bytes);
    /// `ingress`, `egress` or `unknown`, seen from the instance.
    Direction = "direction", Word, flow |f, out| push_word(out, f.direction.as_str());
    /// `ACCEPT` or `DROP`.
    Filter = "filter", Word, flow |f, out| push_word(out, f.verdict.as_str());
    /// `OK` or `SKIPDATA`.
    Status = "status", Word, record |r, out| push_word(out, r.status.as_str());
}

/// Why a list of fields is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FieldError {
    /// The list has no member.
    #[error("the list of fields is empty; write the profile nhn-18 or name at least one field")]
    Empty,
    /// No field or profile of that name.
    #[error("`{0}` is neither a field nor a profile; the profile is nhn-18, its fields are {list}", list = Names(Field::ALL))]
    Unknown(String),
    /// A field twice in one list.
    #[error("the field `{0}` is named twice; name each field once")]
    Twice(&'static str),
    /// Known, but still to come.
    #[error(transparent)]
    Pending(#[from] Pending),
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

    /// The fields of a profile, or of a comma-separated list of field names.
    ///
    /// # Errors
    /// [`FieldError`] for an empty list, a name that is none, a field named twice.
    pub fn parse_list(text: &str) -> Result<Vec<Self>, FieldError> {
        match text.trim() {
            "" => Err(FieldError::Empty),
            "nhn-18" => Ok(Self::NHN_18.to_vec()),
            names => Self::from_names(names.split(',').map(str::trim)),
        }
    }

    /// The fields of a list of names.
    ///
    /// # Errors
    /// As [`Self::parse_list`].
    pub fn from_names<'a>(
        names: impl IntoIterator<Item = &'a str>,
    ) -> Result<Vec<Self>, FieldError> {
        let mut fields = Vec::new();
        for name in names {
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
        pending(name)?;
        let found = Self::ALL.iter().copied().find(|field| field.name() == name);
        found.ok_or_else(|| FieldError::Unknown(name.to_owned()))
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
