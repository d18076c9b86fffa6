//! What the pages of a Parquet file claim to take, before any of them is read.
//!
//! The library makes room for what a page's header claims, up to 2 GiB, and a compressed page may grow
//! a thousandfold. Its headers are therefore read here first: a Thrift structure in the compact protocol
//! (Apache Parquet, `parquet.thrift`, `PageHeader`), of which four numbers matter.
//!
//! Every header of a column chunk is read, to the chunk's end: the library reads on until it has as many
//! values as it looks for, whatever the footer says of rows. What the library could take for another number
//! than is found here (a field of a wrong type, an id out of range) is refused.

use parquet::{
    basic::{Compression, Type},
    errors::ParquetError,
    file::{
        metadata::{ColumnChunkMetaData, ParquetMetaData},
        reader::ChunkReader,
    },
};
use std::io::{self, Read as _};

/// Bytes that the pages of a row group may hold at a time: of each column its dictionary and its
/// greatest page. Those of a default file take a thousandth of it.
const GROUP_BYTES_MAX: u64 = 256 << 20;

/// Memory that a value of a dictionary takes beside its bytes.
const DICTIONARY_VALUE_BYTES: u64 = 48;

/// Bytes in which a page's header is looked for: without and with long statistics.
const HEADER_BYTES: [u64; 2] = [512, 256 << 10];

/// Structures within structures of a header at most; there are two.
const DEPTH_MAX: u32 = 8;

/// Greatest id of a field.
const ID_MAX: u32 = 0x7fff;

/// By how much deflate may expand at most.
const DEFLATE_RATIO_MAX: u64 = 1032;

/// Refuses a file whose pages would not fit.
///
/// # Errors
/// What claims too much, or has no header that can be read.
pub(super) fn check<R: ChunkReader>(input: &R, file: &ParquetMetaData) -> Result<(), ParquetError> {
    for group in file.row_groups() {
        let mut held = 0_u64;
        for column in group.columns() {
            held = held.saturating_add(column_bytes(input, column)?);
            if held > GROUP_BYTES_MAX {
                return Err(wrong(format!(
                    "the pages of a row group claim more than {GROUP_BYTES_MAX} bytes"
                )));
            }
        }
    }
    Ok(())
}

/// Bytes that a column holds at a time.
fn column_bytes<R: ChunkReader>(
    input: &R,
    column: &ColumnChunkMetaData,
) -> Result<u64, ParquetError> {
    let (mut at, len) = column.byte_range();
    let end = at.saturating_add(len).min(input.len());
    let (mut page_max, mut dictionary_max) = (0, 0);
    while at < end {
        let header = Header::read(input, at, end)?;
        let (size, packed) = (header.uncompressed.into(), header.compressed.into());
        at += header.len;
        if size > GROUP_BYTES_MAX {
            return Err(wrong(format!("a page claims {size} bytes")));
        }
        let grows = packed > GROUP_BYTES_MAX / DEFLATE_RATIO_MAX;
        if matches!(column.compression(), Compression::GZIP(_)) && grows {
            check_deflated(
                input,
                at + header.levels,
                packed - header.levels.min(packed),
                size,
            )?;
        }
        match header.dictionary_values {
            Some(count) => {
                // Each value has a length before it, or is as long as its type.
                let least = match column.column_type() {
                    Type::FIXED_LEN_BYTE_ARRAY => 1,
                    _ => 4,
                };
                if u64::from(count) * least > size {
                    return Err(wrong(format!(
                        "a dictionary claims {count} values in {size} bytes"
                    )));
                }
                let dictionary = size + u64::from(count) * DICTIONARY_VALUE_BYTES;
                dictionary_max = dictionary.max(dictionary_max);
            }
            None => page_max = size.max(page_max),
        }
        at = at.saturating_add(packed);
    }
    Ok(dictionary_max + page_max)
}

/// Refuses a page that holds more than it claims: the library takes whatever comes.
fn check_deflated<R: ChunkReader>(
    input: &R,
    at: u64,
    packed: u64,
    size: u64,
) -> Result<(), ParquetError> {
    let page = input.get_read(at)?.take(packed);
    let mut bytes = flate2::read::MultiGzDecoder::new(page).take(size + 1);
    match io::copy(&mut bytes, &mut io::sink()) {
        Ok(found) if found > size => Err(wrong(format!(
            "a page holds more than the {size} bytes it claims"
        ))),
        // What else is wrong with it the library says.
        _ => Ok(()),
    }
}

/// What matters of a page's header.
#[derive(Debug, Default, PartialEq, Eq)]
struct Header {
    /// Bytes of the header itself.
    len: u64,
    uncompressed: u32,
    compressed: u32,
    /// Of a data page of version 2: bytes before those that are compressed.
    levels: u64,
    dictionary_values: Option<u32>,
}

impl Header {
    fn read<R: ChunkReader>(input: &R, at: u64, end: u64) -> Result<Self, ParquetError> {
        for room in HEADER_BYTES.map(|room| room.min(end - at)) {
            let bytes = input.get_bytes(at, usize::try_from(room).unwrap_or(usize::MAX))?;
            if let Some(header) = Self::parse(&bytes) {
                return Ok(header);
            }
        }
        Err(wrong("a page has no header that can be read".to_owned()))
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let mut header = Self::default();
        let mut input = Compact(bytes);
        let mut id = 0;
        while let Some(kind) = input.field(&mut id)? {
            match (id, kind) {
                (2, Kind::Integer) => header.uncompressed = input.count()?,
                (3, Kind::Integer) => header.compressed = input.count()?,
                (5 | 7 | 8, Kind::Struct) => {
                    let mut inner = 0;
                    while let Some(kind) = input.field(&mut inner)? {
                        match (id, inner, kind) {
                            (7, 1, Kind::Integer) => {
                                header.dictionary_values = Some(input.count()?);
                            }
                            (8, 5 | 6, Kind::Integer) => {
                                header.levels += u64::from(input.count()?);
                            }
                            // The library takes these for integers, whatever they are.
                            (5, 1..=4, _) | (7, 1..=2, _) | (8, 1..=6, _)
                                if kind != Kind::Integer =>
                            {
                                return None;
                            }
                            _ => input.skip(kind, 1)?,
                        }
                    }
                }
                (1..=4, _) if kind != Kind::Integer => return None,
                (5..=8, _) if kind != Kind::Struct => return None,
                _ => input.skip(kind, 0)?,
            }
        }
        header.len = (bytes.len() - input.0.len()) as u64;
        Some(header)
    }
}

/// Kinds of values of the compact protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Flag,
    Byte,
    Integer,
    Double,
    Binary,
    List,
    Map,
    Struct,
}

impl Kind {
    const fn of(code: u8) -> Option<Self> {
        Some(match code {
            1 | 2 => Self::Flag,
            3 => Self::Byte,
            4..=6 => Self::Integer,
            7 => Self::Double,
            8 => Self::Binary,
            9 | 10 => Self::List,
            11 => Self::Map,
            12 => Self::Struct,
            _ => return None,
        })
    }
}

/// Bytes in the compact protocol; `None` where they end too early or are none.
struct Compact<'a>(&'a [u8]);

impl Compact<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*byte)
    }

    fn skip_bytes(&mut self, count: u64) -> Option<()> {
        self.0 = self.0.get(usize::try_from(count).ok()?..)?;
        Some(())
    }

    fn varint(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    /// A number that is not negative and fits 31 bits.
    fn count(&mut self) -> Option<u32> {
        let zigzag = self.varint()?;
        let number = i64::try_from(zigzag >> 1).ok()? ^ -i64::from(zigzag & 1 == 1);
        u32::try_from(i32::try_from(number).ok()?).ok()
    }

    /// The kind of the next field, whose id goes to `id`; `Some(None)` behind the last.
    #[expect(clippy::option_option, reason = "the end is no mistake")]
    fn field(&mut self, id: &mut u64) -> Option<Option<Kind>> {
        let head = self.byte()?;
        if head == 0 {
            return Some(None);
        }
        *id = match head >> 4 {
            // Zigzag; ids are positive and have 15 bits.
            0 => match self.count()? {
                id @ 1..=ID_MAX => id.into(),
                _ => return None,
            },
            more => *id + u64::from(more),
        };
        Kind::of(head & 0x0f).map(Some)
    }

    fn skip(&mut self, kind: Kind, depth: u32) -> Option<()> {
        if depth > DEPTH_MAX {
            return None;
        }
        match kind {
            Kind::Flag => Some(()),
            Kind::Byte => self.skip_bytes(1),
            Kind::Integer => self.varint().map(drop),
            Kind::Double => self.skip_bytes(8),
            Kind::Binary => {
                let len = self.varint()?;
                self.skip_bytes(len)
            }
            Kind::List => {
                let head = self.byte()?;
                let count = match head >> 4 {
                    15 => self.varint()?,
                    few => few.into(),
                };
                let kind = Kind::of(head & 0x0f)?;
                (0..count).try_for_each(|_| self.skip_element(kind, depth))
            }
            Kind::Map => {
                let count = self.varint()?;
                let kinds = if count == 0 { 0x11 } else { self.byte()? };
                let (key, value) = (Kind::of(kinds >> 4)?, Kind::of(kinds & 0x0f)?);
                (0..count).try_for_each(|_| {
                    self.skip_element(key, depth)?;
                    self.skip_element(value, depth)
                })
            }
            Kind::Struct => {
                let mut id = 0;
                while let Some(kind) = self.field(&mut id)? {
                    self.skip(kind, depth + 1)?;
                }
                Some(())
            }
        }
    }

    /// A flag in a list is a byte, which not every reader takes for one: no header has such a list.
    fn skip_element(&mut self, kind: Kind, depth: u32) -> Option<()> {
        match kind {
            Kind::Flag => None,
            kind => self.skip(kind, depth + 1),
        }
    }
}

fn wrong(text: String) -> ParquetError {
    ParquetError::General(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Write as _;

    /// A dictionary page of 3 values, 40 bytes of 60, with an unknown list before the end.
    const DICTIONARY: [u8; 17] = [
        0x15, 0x04, 0x15, 0x78, 0x15, 0x50, 0x4c, 0x15, 0x06, 0x15, 0x00, 0x00, 0x29, 0x28, 0x01,
        b'x', 0x00,
    ];

    #[test]
    fn the_numbers_of_a_header_are_found_between_what_does_not_matter() {
        // The list claims two texts of which one is there and one empty.
        let bytes = [&DICTIONARY[..16], &[0x00, 0x00, 0xff]].concat();
        let header = Header::parse(&bytes).unwrap();
        let expected = Header {
            len: 18,
            uncompressed: 60,
            compressed: 40,
            dictionary_values: Some(3),
            ..Header::default()
        };
        assert_eq!(header, expected);
    }

    #[test]
    fn negative_sizes_and_bytes_without_an_end_are_no_header() {
        assert_eq!(Header::parse(&[0x15, 0x04, 0x15, 0x01, 0x00]), None);
        assert_eq!(Header::parse(&[0x18, 0xff, 0xff, 0xff, 0xff, 0x0f]), None);
        assert_eq!(Header::parse(&[0x1c; 4096]), None);
    }

    #[test]
    fn fields_that_the_library_would_take_for_another_number_are_no_header() {
        // The size as a byte, the size behind the id -3, which is no 2, and behind 65,538.
        assert_eq!(Header::parse(&[0x15, 0x04, 0x13, 0x78, 0x00]), None);
        assert_eq!(Header::parse(&[0x15, 0x04, 0x05, 0x05, 0x78, 0x00]), None);
        let far = [0x15, 0x04, 0x05, 0x84, 0x80, 0x08, 0x78, 0x00];
        assert_eq!(Header::parse(&far), None);
        // A list of flags, and the number of a dictionary's values as a byte.
        assert_eq!(Header::parse(&[0x15, 0x04, 0xf9, 0x11, 0x01, 0x00]), None);
        assert_eq!(
            Header::parse(&[0x15, 0x04, 0x6c, 0x13, 0x06, 0x00, 0x00]),
            None
        );
    }

    #[test]
    fn a_page_that_holds_more_than_it_claims_is_refused() {
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packed.write_all(&[0; 10_000]).unwrap();
        let packed = bytes::Bytes::from(packed.finish().unwrap());
        let check = |size| check_deflated(&packed, 0, packed.len() as u64, size);
        assert!(check(10_000).is_ok());
        assert!(
            check(9_999)
                .unwrap_err()
                .to_string()
                .contains("holds more than")
        );
    }

    proptest! {
        #[test]
        fn no_bytes_panic_or_run_on(bytes: Vec<u8>) {
            if let Some(header) = Header::parse(&bytes) {
                prop_assert!(header.len as usize <= bytes.len());
            }
        }
    }
}
