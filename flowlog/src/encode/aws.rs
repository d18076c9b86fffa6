//! The columns of AWS VPC Flow Logs, versions 2 to 5, in AWS's order
//! (<https://docs.aws.amazon.com/vpc/latest/userguide/flow-log-records.html>).
//!
//! What this switch has no counterpart of (availability zones, AWS services) is `-` in every row.

use super::{Account, text::Column};
use crate::{Field, Record, datum::Datum};
use packet::Direction;

/// Which columns there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AwsVersion {
    /// The default format: 14 columns.
    V2,
    /// Versions 2, 3, 4 and 5 together: 29 columns.
    V5,
}

/// The text form of AWS for an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AwsText {
    /// Which columns.
    pub version: AwsVersion,
    /// Column `account-id`.
    pub account: Account,
}

/// Where a column's value comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    /// A field, as it is.
    Of(Field),
    /// The format's version.
    Version,
    /// The logger's account.
    Account,
    /// `ACCEPT` or `REJECT`.
    Action,
    /// `IPv4` or `IPv6`.
    Family,
    /// As the field, but of egress flows alone.
    Path,
    /// `ingress` or `egress`: AWS does not know `unknown`.
    Way,
    /// Nothing.
    Nowhere,
}

/// Every column: its name and source. Version 2 has the first [`V2_COLUMNS`].
const COLUMNS: &[(&str, Source)] = &[
    ("version", Source::Version),
    ("account-id", Source::Account),
    ("interface-id", Source::Of(Field::InterfaceId)),
    ("srcaddr", Source::Of(Field::SrcAddr)),
    ("dstaddr", Source::Of(Field::DstAddr)),
    ("srcport", Source::Of(Field::SrcPort)),
    ("dstport", Source::Of(Field::DstPort)),
    ("protocol", Source::Of(Field::Protocol)),
    ("packets", Source::Of(Field::Packets)),
    ("bytes", Source::Of(Field::Bytes)),
    ("start", Source::Of(Field::TimestampStart)),
    ("end", Source::Of(Field::TimestampEnd)),
    ("action", Source::Action),
    ("log-status", Source::Of(Field::Status)),
    ("vpc-id", Source::Of(Field::VpcId)),
    ("subnet-id", Source::Of(Field::SubnetId)),
    ("instance-id", Source::Of(Field::VmId)),
    ("tcp-flags", Source::Of(Field::TcpFlag)),
    ("type", Source::Family),
    ("pkt-srcaddr", Source::Of(Field::SrcAddr)),
    ("pkt-dstaddr", Source::Of(Field::DstAddr)),
    ("region", Source::Of(Field::Region)),
    ("az-id", Source::Nowhere),
    ("sublocation-type", Source::Nowhere),
    ("sublocation-id", Source::Nowhere),
    ("pkt-src-aws-service", Source::Nowhere),
    ("pkt-dst-aws-service", Source::Nowhere),
    ("flow-direction", Source::Way),
    ("traffic-path", Source::Path),
];

const V2_COLUMNS: usize = 14;

impl AwsVersion {
    const fn number(self) -> i64 {
        match self {
            Self::V2 => 2,
            Self::V5 => 5,
        }
    }

    fn columns(self) -> &'static [(&'static str, Source)] {
        match self {
            Self::V2 => COLUMNS.get(..V2_COLUMNS).unwrap_or(COLUMNS),
            Self::V5 => COLUMNS,
        }
    }

    /// The fields that the columns are made from, each once.
    pub(crate) fn fields(self) -> Vec<Field> {
        let mut fields = Vec::new();
        for field in self
            .columns()
            .iter()
            .filter_map(|(_, source)| source.field())
        {
            if !fields.contains(&field) {
                fields.push(field);
            }
        }
        fields
    }
}

impl Source {
    const fn field(self) -> Option<Field> {
        match self {
            Self::Of(field) => Some(field),
            Self::Action => Some(Field::Filter),
            Self::Way => Some(Field::Direction),
            Self::Path => Some(Field::TrafficPath),
            Self::Version | Self::Account | Self::Family | Self::Nowhere => None,
        }
    }
}

/// The field that a column of an AWS file is read back as: `None` for a column that has none,
/// `Some(None)` within the result where the column is known but says nothing of its own.
pub(crate) fn field_of_column(name: &str) -> Option<Option<Field>> {
    let place = COLUMNS.iter().position(|(known, _)| *known == name)?;
    let (before, from_here) = COLUMNS.split_at(place);
    let field = from_here.first().and_then(|(_, source)| source.field());
    // Of `srcaddr` and `pkt-srcaddr`, which are one here, the first counts.
    Some(field.filter(|field| {
        before
            .iter()
            .all(|(_, other)| other.field() != Some(*field))
    }))
}

/// A column of one logger's files.
pub(super) struct AwsColumn {
    name: &'static str,
    source: Source,
    text: AwsText,
}

impl AwsText {
    pub(super) fn columns(&self) -> Vec<AwsColumn> {
        let column = |(name, source): &(&'static str, Source)| AwsColumn {
            name,
            source: *source,
            text: self.clone(),
        };
        self.version.columns().iter().map(column).collect()
    }
}

impl Column for AwsColumn {
    fn name(&self) -> &'static str {
        self.name
    }

    fn is_of_port(&self) -> bool {
        match self.source {
            Source::Of(field) => field.is_of_port(),
            Source::Version | Source::Account | Source::Nowhere => true,
            Source::Action | Source::Family | Source::Path | Source::Way => false,
        }
    }

    fn write(&self, record: &Record, out: &mut Vec<u8>) {
        self.datum(record).push(out);
    }
}

impl AwsColumn {
    fn datum<'a>(&'a self, record: &'a Record) -> Datum<'a> {
        let flow = record.flow.as_ref();
        match self.source {
            Source::Of(field) => field.datum(record),
            Source::Version => self.text.version.number().into(),
            Source::Account => self.text.account.as_str().into(),
            Source::Action => flow
                .map(|flow| match flow.verdict.is_accept() {
                    true => "ACCEPT",
                    false => "REJECT",
                })
                .into(),
            Source::Family => flow
                .map(|flow| match flow.tuple.src.is_ipv4() {
                    true => "IPv4",
                    false => "IPv6",
                })
                .into(),
            Source::Path => flow
                .filter(|flow| flow.direction == Direction::Egress)
                .and_then(|_| record.traffic_path())
                .into(),
            Source::Way => flow
                .filter(|flow| flow.direction != Direction::Unknown)
                .map(|flow| flow.direction.as_str())
                .into(),
            Source::Nowhere => Datum::None,
        }
    }
}
