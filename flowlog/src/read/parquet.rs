//! Parquet: columns by name, rows one by one.

use super::{LINE_MAX, ReadError, Row, Value, Wrong, pages, parse_value, shown};
use crate::Field;
use parquet::{
    errors::ParquetError,
    file::{
        metadata::{ParquetMetaDataReader, RowGroupMetaData},
        reader::ChunkReader,
        serialized_reader::SerializedFileReader,
    },
    record::{self, reader::RowIter},
};
use std::{panic::AssertUnwindSafe, sync::Arc};

/// Largest row group, bytes uncompressed; ours have a fifth.
const GROUP_BYTES_MAX: i64 = 512 << 20;

/// Largest footer, bytes: what describes a file of a hundred million rows takes an eighth.
const FOOTER_BYTES_MAX: u32 = 16 << 20;

/// A file's last bytes: the footer's length, and `PAR1`.
const TAIL_BYTES: u64 = 8;

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
            check_footer(&input)?;
            let metadata = ParquetMetaDataReader::new().parse_and_finish(&input)?;
            let fields = fields(metadata.file_metadata().schema_descr().columns())
                .and_then(|fields| check(metadata.row_groups()).map(|()| fields));
            if fields.is_ok() {
                pages::check(&input, &metadata)?;
            }
            let reader = SerializedFileReader::new(input)?;
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
        Ok(Err(error)) => Err(Wrong::Parquet(shown(&error.to_string()))),
        Err(_) => Err(Wrong::Parquet("its pages contradict themselves".to_owned())),
    }
}

fn fields(columns: &[parquet::schema::types::ColumnDescPtr]) -> Result<Vec<Field>, Wrong> {
    let mut fields = Vec::new();
    for column in columns.iter().take(COLUMNS_MAX + 1) {
        let name = column.path().string();
        let field: Field = name.parse().map_err(|_| Wrong::Column(shown(&name)))?;
        if fields.contains(&field) {
            return Err(Wrong::ColumnTwice(field));
        }
        fields.push(field);
    }
    Ok(fields)
}

/// Refuses a footer that would not fit into memory; what is none at all the library says better.
fn check_footer<R: ChunkReader>(input: &R) -> Result<(), ParquetError> {
    let Some(at) = input.len().checked_sub(TAIL_BYTES) else {
        return Ok(());
    };
    let tail = input.get_bytes(at, 4)?;
    let len = tail.as_ref().try_into().map_or(0, u32::from_le_bytes);
    if len > FOOTER_BYTES_MAX && u64::from(len) < at {
        let text = format!("the footer claims {len} bytes, more than {FOOTER_BYTES_MAX}");
        return Err(ParquetError::General(text));
    }
    Ok(())
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
            text: shown(&text),
        })
    };
    fields
        .iter()
        .zip(row.get_column_iter())
        .map(value)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Compression, Format, Record, Skipped, Status};
    use bytes::Bytes;
    use parquet::file::metadata::{FileMetaData, ParquetMetaData, ParquetMetaDataWriter};

    /// A file of one column of numbers, with one page that begins behind the first four bytes.
    fn file() -> Vec<u8> {
        let mut file = Vec::new();
        let format = Format::Parquet(Compression::Raw);
        let mut encoder = format.encoder(&[Field::FirstNs], &mut file).unwrap();
        let record = Record {
            port: Arc::default(),
            first_ns: 7,
            last_ns: 7,
            flow: None,
            status: Status::Ok,
            skipped: Skipped::default(),
            peer: None,
            security_group: None,
        };
        encoder.row(&record).unwrap();
        encoder.finish().unwrap();
        file
    }

    #[test]
    fn a_page_that_claims_two_gibibytes_is_refused_before_there_is_room_for_it() {
        let good = file();
        let rows = ParquetReader::new("x", Bytes::from(good.clone())).unwrap();
        assert_eq!(rows.map(Result::unwrap).count(), 1);
        // Field 1 is the kind of page, field 2 its size: a number in zigzag of five bytes instead of one.
        assert_eq!((good[4], good[6]), (0x15, 0x15));
        let claims = [&good[..7], &[0xfe, 0xff, 0xff, 0xff, 0x0f], &good[8..]].concat();
        let error = ParquetReader::new("x", Bytes::from(claims)).err().unwrap();
        assert!(
            error.to_string().contains("claims 2147483647 bytes"),
            "{error}"
        );
    }

    /// `file` with a second page in its only column chunk that claims 2 GiB, and so many rows in its footer.
    fn with_a_page_behind(rows: i64) -> Bytes {
        let good = Bytes::from(file());
        let mut reader = ParquetMetaDataReader::new();
        reader.try_parse(&good).unwrap();
        let metadata = reader.finish().unwrap();
        let (group, described) = (metadata.row_group(0).clone(), metadata.file_metadata());
        let column = group.column(0).clone();
        let (start, len) = column.byte_range();
        let page = &good[start as usize..(start + len) as usize];
        let claims = [&page[..3], &[0xfe, 0xff, 0xff, 0xff, 0x0f], &page[4..]].concat();
        let chunk = [page, &claims].concat();

        let size = i64::try_from(chunk.len()).unwrap();
        let column = column.into_builder().set_total_compressed_size(size);
        let group = group.into_builder().set_num_rows(rows);
        let group = group.set_column_metadata(vec![column.build().unwrap()]);
        let schema = described.schema_descr_ptr();
        let described = FileMetaData::new(described.version(), rows, None, None, schema, None);
        let metadata = ParquetMetaData::new(described, vec![group.build().unwrap()]);
        let mut bytes = [&good[..start as usize], &chunk].concat();
        let writer = ParquetMetaDataWriter::new(&mut bytes, &metadata);
        writer.finish().unwrap();
        bytes.into()
    }

    #[test]
    fn a_page_behind_as_many_values_as_the_footer_has_rows_may_not_claim_two_gibibytes_either() {
        for rows in [1, 0] {
            let error = ParquetReader::new("x", with_a_page_behind(rows)).err();
            let error = error.expect("refused").to_string();
            assert!(error.contains("claims 2147483647 bytes"), "{rows}: {error}");
        }
    }

    #[test]
    fn a_footer_that_claims_more_than_any_has_is_refused() {
        let mut bytes = vec![0; 40 << 20];
        let len = bytes.len();
        bytes[..4].copy_from_slice(b"PAR1");
        bytes[len - 8..len - 4].copy_from_slice(&(30_u32 << 20).to_le_bytes());
        bytes[len - 4..].copy_from_slice(b"PAR1");
        let error = ParquetReader::new("x", Bytes::from(bytes)).err().unwrap();
        assert!(error.to_string().contains("the footer claims"), "{error}");
    }
}
