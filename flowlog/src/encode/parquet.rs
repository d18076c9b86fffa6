//! Parquet: typed columns with dictionaries and statistics, compressed inside the file.
//!
//! ```text
//!   row ─▶ columns of a group, as numbers ─full─▶ column by column, batch by batch ─▶ pages ─▶ file
//! ```
//! Format version 1.0 with data pages of version 1, which every reader has. Integers are INT32 and
//! INT64, everything else is a UTF-8 string but for flags (BOOLEAN). A column that may be empty is
//! OPTIONAL. The texts of a column are made a batch at a time, never a group's at once.

mod column;

use super::{Compression, Encoder, packed::ZSTD_LEVEL};
use crate::{Field, Kind, Record};
use column::Column;
use parquet::{
    basic::{self, LogicalType, Repetition, Type as Physical, ZstdLevel},
    errors::ParquetError,
    file::{
        properties::{EnabledStatistics, WriterProperties, WriterVersion},
        writer::SerializedFileWriter,
    },
    schema::types::Type,
};
use std::{io, sync::Arc};

/// Rows of a group: what DuckDB gives one thread, and few enough to be held (16 MiB for `nhn-18`, 45 MiB
/// for every field).
pub const ROW_GROUP_ROWS: usize = 122_880;

/// Name of the schema's root.
const SCHEMA: &str = "flow_log";

/// A Parquet file in the making.
pub(super) struct Parquet<'a> {
    columns: Vec<Column>,
    /// Rows gathered in the columns.
    rows: usize,
    /// Writes into a vector that is emptied into the file behind each row group.
    writer: SerializedFileWriter<Vec<u8>>,
    file: &'a mut dyn io::Write,
}

impl<'a> Parquet<'a> {
    pub(super) fn begin(
        fields: &[Field],
        compression: Compression,
        file: &'a mut dyn io::Write,
    ) -> io::Result<Self> {
        let schema = schema(fields)?;
        let mut properties = WriterProperties::builder()
            .set_writer_version(WriterVersion::PARQUET_1_0)
            .set_compression(codec(compression)?)
            .set_statistics_enabled(EnabledStatistics::Chunk)
            .set_created_by(concat!("vswitch flowlog ", env!("CARGO_PKG_VERSION")).to_owned());
        for field in fields.iter().filter(|field| is_number(**field)) {
            // Sorted numbers compress as well without one, and a dictionary takes a third of the time.
            properties = properties.set_column_dictionary_enabled(field.name().into(), false);
        }
        let properties = properties.build();
        Ok(Self {
            columns: fields.iter().map(|field| Column::new(*field)).collect(),
            rows: 0,
            writer: SerializedFileWriter::new(Vec::new(), schema, Arc::new(properties))?,
            file,
        })
    }

    /// Writes the rows gathered as a group.
    fn write_group(&mut self) -> io::Result<()> {
        let mut group = self.writer.next_row_group()?;
        for column in &mut self.columns {
            let to = group.next_column()?;
            let mut to = to.expect("the schema has a column for each field");
            column.write(&mut to)?;
            to.close()?;
        }
        group.close()?;
        self.rows = 0;
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
        for column in &mut self.columns {
            column.push(record);
        }
        self.rows += 1;
        if self.rows >= ROW_GROUP_ROWS {
            self.write_group()?;
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> io::Result<()> {
        if self.rows > 0 {
            self.write_group()?;
        }
        self.writer.finish()?;
        self.hand_over()
    }
}

const fn is_number(field: Field) -> bool {
    matches!(field.kind(), Kind::Int | Kind::Long)
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
