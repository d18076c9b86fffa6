//! Parquet: columns by name, rows one by one.

use super::{LINE_MAX, ReadError, Row, Value, Wrong, parse_value};
use crate::Field;
use parquet::{
    errors::ParquetError,
    file::{
        metadata::RowGroupMetaData,
        reader::{ChunkReader, FileReader as _},
        serialized_reader::SerializedFileReader,
    },
    record::{self, reader::RowIter},
};
use std::{panic::AssertUnwindSafe, sync::Arc};

/// Largest row group, bytes uncompressed; ours have a fifth.
const GROUP_BYTES_MAX: i64 = 512 << 20;

/// Columns of a file at most: as many as there are fields.
const COLUMNS_MAX: usize = Field::ALL.len();

/// The rows of one Parquet file.
pub(super) struct ParquetReader {
    file: Arc<str>,
    row: u64,
    fields: Arc<[Field]>,
    rows: RowIter<'static>,
    ended: bool,
}

impl ParquetReader {
    /// Reads the footer. `file` is what errors call the input.
    pub(super) fn new<R: ChunkReader + 'static>(file: &str, input: R) -> Result<Self, ReadError> {
        let file: Arc<str> = file.into();
        let opened = caught(|| {
            let reader = SerializedFileReader::new(input)?;
            let metadata = reader.metadata();
            let fields = fields(metadata.file_metadata().schema_descr().columns())
                .and_then(|fields| check(metadata.row_groups()).map(|()| fields));
            Ok((fields, RowIter::from_file_into(Box::new(reader))))
        });
        let wrong = |wrong| ReadError::Wrong {
            file: Arc::clone(&file),
            line: 1,
            wrong,
        };
        let (fields, rows) = opened.map_err(wrong)?;
        Ok(Self {
            fields: fields.map_err(wrong)?.into(),
            file,
            row: 0,
            rows,
            ended: false,
        })
    }

    pub(super) fn fields(&self) -> &[Field] {
        &self.fields
    }
}

impl Iterator for ParquetReader {
    type Item = Result<Row, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        self.row += 1;
        let rows = &mut self.rows;
        let row = match caught(|| rows.next().transpose()) {
            Ok(Some(row)) => values(&self.fields, &row),
            Ok(None) => {
                self.ended = true;
                return None;
            }
            Err(wrong) => {
                self.ended = true;
                Err(wrong)
            }
        };
        let row = row.map(|values| Row {
            fields: Arc::clone(&self.fields),
            values,
        });
        Some(row.map_err(|wrong| ReadError::Wrong {
            file: Arc::clone(&self.file),
            line: self.row,
            wrong,
        }))
    }
}

/// The result, or what is wrong. The library has assertions about what stands in a file: one that
/// fails is the file's mistake, told like every other.
fn caught<T>(read: impl FnOnce() -> Result<T, ParquetError>) -> Result<T, Wrong> {
    match std::panic::catch_unwind(AssertUnwindSafe(read)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(Wrong::Parquet(error.to_string())),
        Err(_) => Err(Wrong::Parquet("its pages contradict themselves".to_owned())),
    }
}

fn fields(columns: &[parquet::schema::types::ColumnDescPtr]) -> Result<Vec<Field>, Wrong> {
    let mut fields = Vec::new();
    for column in columns.iter().take(COLUMNS_MAX + 1) {
        let name = column.path().string();
        let field: Field = name.parse().map_err(|_| Wrong::Column(name))?;
        if fields.contains(&field) {
            return Err(Wrong::ColumnTwice(field));
        }
        fields.push(field);
    }
    Ok(fields)
}

/// Refuses what would not fit into memory.
fn check(groups: &[RowGroupMetaData]) -> Result<(), Wrong> {
    let is_too_big = |group: &RowGroupMetaData| group.total_byte_size() > GROUP_BYTES_MAX;
    if groups.iter().any(is_too_big) {
        let text = format!("a row group has more than {GROUP_BYTES_MAX} bytes");
        return Err(Wrong::Parquet(text));
    }
    Ok(())
}

fn values(fields: &[Field], row: &record::Row) -> Result<Vec<Value>, Wrong> {
    let value = |(field, (_, value)): (&Field, (&String, &record::Field))| {
        let text = match value {
            record::Field::Null => String::new(),
            record::Field::Bool(flag) => flag.to_string(),
            record::Field::Int(number) => number.to_string(),
            record::Field::Long(number) => number.to_string(),
            record::Field::Str(text) if text.len() <= LINE_MAX => text.clone(),
            record::Field::Str(_) => return Err(Wrong::Long),
            other => other.to_string(),
        };
        let known = parse_value(*field, &text);
        known.ok_or(Wrong::Value {
            field: *field,
            text,
        })
    };
    fields
        .iter()
        .zip(row.get_column_iter())
        .map(value)
        .collect()
}
