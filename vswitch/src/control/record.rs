//! A flow-log record on its way to a reader: fields by name, in order, whoever wrote it.

use flowlog::read::{Row, Value as Read};
use flowlog::{Field, Kind, Record};
use serde::de::{MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;

/// One record: a JSON object whose keys are field names. Empty fields are `null`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LogRow {
    cells: Vec<(Cow<'static, str>, Value)>,
}

impl LogRow {
    /// A live record with every field, and `logger` and names besides.
    #[must_use]
    pub fn of(logger: &str, record: &Record) -> Self {
        let mut row = Self::default();
        let mut text = Vec::new();
        for &field in Field::ALL {
            text.clear();
            field.write(record, &mut text);
            row.push(
                field.name(),
                value(field.kind(), &String::from_utf8_lossy(&text)),
            );
        }
        row.push("logger", logger.into());
        row.push(
            "reason",
            record
                .flow
                .map_or(Value::Null, |flow| flow.verdict.why().into()),
        );
        row
    }

    /// Adds a field, or replaces its value.
    pub fn push(&mut self, name: impl Into<Cow<'static, str>>, value: Value) {
        let name = name.into();
        match self.cells.iter_mut().find(|(known, _)| *known == name) {
            Some((_, old)) => *old = value,
            None => self.cells.push((name, value)),
        }
    }

    /// The record with these fields alone, in this order; empty where it does not have one.
    #[must_use]
    pub fn with_only(&self, names: &[String]) -> Self {
        let mut row = Self::default();
        for name in names {
            let value = self.get(name).cloned();
            row.push(name.clone(), value.unwrap_or(Value::Null));
        }
        row
    }

    /// Names of the fields, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.cells.iter().map(|(name, _)| name.as_ref())
    }

    /// A field's value; `None` where it is empty or not there.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        let found = self.cells.iter().find(|(known, _)| known == name)?;
        Some(&found.1).filter(|value| !value.is_null())
    }

    /// Whether there is a field of this name, even an empty one.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.names().any(|known| known == name)
    }

    /// A word, an id.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name)?.as_str()
    }

    /// A number.
    #[must_use]
    pub fn number(&self, name: &str) -> Option<u64> {
        self.get(name)?.as_u64()
    }

    /// An address.
    #[must_use]
    pub fn address(&self, name: &str) -> Option<IpAddr> {
        self.text(name)?.parse().ok()
    }

    /// A field as a CSV file has it.
    #[must_use]
    pub fn plain(&self, name: &str) -> Cow<'_, str> {
        match self.get(name) {
            None => Cow::Borrowed(""),
            Some(Value::String(text)) => Cow::Borrowed(text),
            Some(value) => Cow::Owned(value.to_string()),
        }
    }
}

fn value(kind: Kind, text: &str) -> Value {
    match kind {
        _ if text.is_empty() => Value::Null,
        Kind::Int | Kind::Long => text.parse::<i64>().map_or(Value::Null, Value::from),
        Kind::Flag => (text == "true").into(),
        Kind::Id | Kind::Address | Kind::Mac | Kind::Word => text.into(),
    }
}

/// A row of a file, with the file's fields.
impl From<&Row> for LogRow {
    fn from(row: &Row) -> Self {
        let value = |value: &Read| match value {
            Read::Empty => Value::Null,
            Read::Number(number) => (*number).into(),
            Read::Flag(flag) => (*flag).into(),
            Read::Mac(mac) => mac.to_string().into(),
            Read::Id(id) => id.to_string().into(),
            Read::Address(address) => address.to_string().into(),
            Read::Word(word) => word.as_ref().into(),
        };
        let cells = row.fields().iter().zip(row.values());
        Self {
            cells: cells
                .map(|(field, read)| (field.name().into(), value(read)))
                .collect(),
        }
    }
}

impl Serialize for LogRow {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.cells.len()))?;
        for (name, value) in &self.cells {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for LogRow {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Cells;
        impl<'de> Visitor<'de> for Cells {
            type Value = LogRow;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a record")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<LogRow, M::Error> {
                let mut row = LogRow::default();
                while let Some((name, value)) = map.next_entry::<String, Value>()? {
                    row.push(name, value);
                }
                Ok(row)
            }
        }
        deserializer.deserialize_map(Cells)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flowlog::{Details, Flow, PortInfo, Skipped, Status};
    use packet::{Direction, FiveTuple, Reason, Verdict};
    use std::sync::Arc;

    #[test]
    fn a_record_keeps_its_fields_and_their_order_through_its_line() {
        let record = Record {
            port: Arc::new(PortInfo {
                name: "vm1".into(),
                ..PortInfo::default()
            }),
            first_ns: 5_000_000_000,
            last_ns: 6_000_000_000,
            flow: Some(Flow {
                direction: Direction::Ingress,
                tuple: FiveTuple {
                    protocol: 6,
                    src: [10, 0, 0, 1].into(),
                    dst: [10, 0, 0, 2].into(),
                    src_port: 1,
                    dst_port: 22,
                },
                verdict: Verdict::Drop(Reason::DefaultDeny),
                rule: 0,
                is_reply: false,
                flags_seed: 2,
                flags_all: 2,
                packets: 3,
                bytes: 180,
                connections: 0,
                details: Details::default(),
            }),
            status: Status::Ok,
            skipped: Skipped::default(),
            peer: None,
            security_group: None,
        };
        let row = LogRow::of("everything", &record);
        assert_eq!(
            (
                row.number("packets"),
                row.text("reason"),
                row.text("filter")
            ),
            (Some(3), Some("default_deny"), Some("DROP"))
        );
        assert_eq!(
            (row.text("interface_name"), row.get("region")),
            (Some("vm1"), None)
        );
        let again: LogRow = serde_json::from_str(&serde_json::to_string(&row).unwrap()).unwrap();
        assert_eq!(again, row);
        assert_eq!(again.names().next(), Some("timestamp_start"));
    }
}
