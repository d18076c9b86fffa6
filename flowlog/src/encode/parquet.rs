//! Parquet: typed columns with dictionaries and statistics, compressed inside the file.
//!
//! ```text
//!   row ─▶ rows of a group (records) ─full─▶ column by column, batch by batch ─▶ pages ─▶ file
//! ```
//! Format version 1.0 with data pages of version 1, which every reader has. Integers are INT32 and
//! INT64, everything else is a UTF-8 string but for flags (BOOLEAN). A column that may be empty is
//! OPTIONAL. The texts of a column are made a batch at a time, never an interval's at once.

use super::{Compression, Encoder, packed::ZSTD_LEVEL};
use crate::{Field, Kind, Record, datum::Datum};
use bytes::Bytes;
use parquet::{
    basic::{self, LogicalType, Repetition, Type as Physical, ZstdLevel},
    column::writer::ColumnWriter,
    data_type::ByteArray,
    errors::ParquetError,
    file::{
        properties::{EnabledStatistics, WriterProperties, WriterVersion},
        writer::{SerializedColumnWriter, SerializedFileWriter},
    },
    schema::types::Type,
};
use std::{io, ops::Range, sync::Arc};

/// Rows of a group: what DuckDB gives one thread, and few enough to be held as records (25 MiB).
pub const ROW_GROUP_ROWS: usize = 122_880;

/// Values handed to a column at a time.
const BATCH: usize = 2048;

/// Name of the schema's root.
const SCHEMA: &str = "flow_log";

/// A Parquet file in the making.
pub(super) struct Parquet<'a> {
    fields: &'a [Field],
    rows: Vec<Record>,
    /// Writes into a vector that is emptied into the file behind each row group.
    writer: SerializedFileWriter<Vec<u8>>,
    file: &'a mut dyn io::Write,
}

impl<'a> Parquet<'a> {
    pub(super) fn begin(
        fields: &'a [Field],
        compression: Compression,
        file: &'a mut dyn io::Write,
    ) -> io::Result<Self> {
        let schema = schema(fields)?;
        let properties = WriterProperties::builder()
            .set_writer_version(WriterVersion::PARQUET_1_0)
            .set_compression(codec(compression)?)
            .set_statistics_enabled(EnabledStatistics::Chunk)
            .set_created_by(concat!("vswitch flowlog ", env!("CARGO_PKG_VERSION")).to_owned())
            .build();
        Ok(Self {
            fields,
            rows: Vec::new(),
            writer: SerializedFileWriter::new(Vec::new(), schema, Arc::new(properties))?,
            file,
        })
    }

    /// Writes the rows gathered as a group.
    fn write_group(&mut self) -> io::Result<()> {
        let mut group = self.writer.next_row_group()?;
        let mut batch = Batch::default();
        for field in self.fields {
            let column = group.next_column()?;
            let mut column = column.expect("the schema has a column for each field");
            for rows in self.rows.chunks(BATCH) {
                batch.fill(*field, rows);
                batch.write(&mut column)?;
            }
            column.close()?;
        }
        group.close()?;
        self.rows.clear();
        self.writer.flush()?;
        self.hand_over()
    }

    fn hand_over(&mut self) -> io::Result<()> {
        let written = self.writer.inner_mut();
        self.file.write_all(written)?;
        written.clear();
        Ok(())
    }
}

impl Encoder for Parquet<'_> {
    fn row(&mut self, record: &Record) -> io::Result<()> {
        self.rows.push(record.clone());
        if self.rows.len() >= ROW_GROUP_ROWS {
            self.write_group()?;
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> io::Result<()> {
        if !self.rows.is_empty() {
            self.write_group()?;
        }
        self.writer.finish()?;
        self.hand_over()
    }
}

fn codec(compression: Compression) -> Result<basic::Compression, ParquetError> {
    Ok(match compression {
        Compression::Raw => basic::Compression::UNCOMPRESSED,
        Compression::Gzip => basic::Compression::GZIP(basic::GzipLevel::try_new(3)?),
        Compression::Zstd => basic::Compression::ZSTD(ZstdLevel::try_new(ZSTD_LEVEL)?),
    })
}

fn schema(fields: &[Field]) -> Result<Arc<Type>, ParquetError> {
    let column = |field: &Field| {
        let (physical, logical) = match field.kind() {
            Kind::Int => (Physical::INT32, None),
            Kind::Long => (Physical::INT64, None),
            Kind::Flag => (Physical::BOOLEAN, None),
            Kind::Id | Kind::Address | Kind::Mac | Kind::Word => {
                (Physical::BYTE_ARRAY, Some(LogicalType::String))
            }
        };
        let repetition = if field.is_never_empty() {
            Repetition::REQUIRED
        } else {
            Repetition::OPTIONAL
        };
        Type::primitive_type_builder(field.name(), physical)
            .with_logical_type(logical)
            .with_repetition(repetition)
            .build()
            .map(Arc::new)
    };
    let columns = fields.iter().map(column).collect::<Result<_, _>>()?;
    Type::group_type_builder(SCHEMA)
        .with_fields(columns)
        .build()
        .map(Arc::new)
}

/// Values of one column on their way. Only the vector of the column's type is filled; `levels` has 1
/// for a row with a value and 0 for one without.
#[derive(Default)]
struct Batch {
    levels: Vec<i16>,
    ints: Vec<i32>,
    longs: Vec<i64>,
    flags: Vec<bool>,
    texts: Texts,
}

impl Batch {
    fn fill(&mut self, field: Field, rows: &[Record]) {
        self.levels.clear();
        self.ints.clear();
        self.longs.clear();
        self.flags.clear();
        self.texts.clear();
        let mut before: Option<&Record> = None;
        for record in rows {
            let of_same_port = |before: &Record| Arc::ptr_eq(&before.port, &record.port);
            if field.is_of_port() && before.is_some_and(of_same_port) {
                self.repeat();
            } else {
                self.push(field.kind(), field.datum(record));
            }
            before = Some(record);
        }
    }

    #[inline]
    fn push(&mut self, kind: Kind, datum: Datum<'_>) {
        self.levels.push(i16::from(datum != Datum::None));
        match datum {
            Datum::None => (),
            // A field of this kind has values of at most 32 bits.
            Datum::Number(number) if kind == Kind::Int => self.ints.push(number as i32),
            Datum::Number(number) => self.longs.push(number),
            Datum::Flag(flag) => self.flags.push(flag),
            text => self.texts.push(text),
        }
    }

    /// The value before once more: a port's columns are texts.
    #[inline]
    fn repeat(&mut self) {
        let level = self.levels.last().copied().unwrap_or(0);
        self.levels.push(level);
        if level == 1 {
            self.texts.repeat();
        }
    }

    fn write(&mut self, column: &mut SerializedColumnWriter<'_>) -> Result<(), ParquetError> {
        let levels = Some(self.levels.as_slice());
        match column.untyped() {
            ColumnWriter::Int32ColumnWriter(to) => to.write_batch(&self.ints, levels, None),
            ColumnWriter::Int64ColumnWriter(to) => to.write_batch(&self.longs, levels, None),
            ColumnWriter::BoolColumnWriter(to) => to.write_batch(&self.flags, levels, None),
            ColumnWriter::ByteArrayColumnWriter(to) => {
                to.write_batch(self.texts.arrays(), levels, None)
            }
            _ => unreachable!("the schema has no other types"),
        }
        .map(drop)
    }
}

/// Texts of a batch, side by side in one piece of memory. Neighbours that are equal share theirs:
/// records are sorted, so most are.
#[derive(Default)]
struct Texts {
    text: Vec<u8>,
    ranges: Vec<Range<usize>>,
    arrays: Vec<ByteArray>,
}

impl Texts {
    fn clear(&mut self) {
        self.text.clear();
        self.ranges.clear();
        self.arrays.clear();
    }

    #[inline]
    fn push(&mut self, datum: Datum<'_>) {
        let start = self.text.len();
        datum.push(&mut self.text);
        let range = match self.ranges.last() {
            Some(last) if self.text[last.clone()] == self.text[start..] => {
                let last = last.clone();
                self.text.truncate(start);
                last
            }
            _ => start..self.text.len(),
        };
        self.ranges.push(range);
    }

    #[inline]
    fn repeat(&mut self) {
        if let Some(last) = self.ranges.last() {
            self.ranges.push(last.clone());
        }
    }

    fn arrays(&mut self) -> &[ByteArray] {
        let text = Bytes::copy_from_slice(&self.text);
        let array = |range: &Range<usize>| ByteArray::from(text.slice(range.clone()));
        self.arrays.extend(self.ranges.iter().map(array));
        &self.arrays
    }
}
