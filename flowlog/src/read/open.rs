//! What a file is made of, told by its first bytes.

use super::{ReadError, Row, parquet::ParquetReader, text::TextReader};
use crate::Field;
use bytes::Bytes;
use flate2::bufread::MultiGzDecoder;
use parquet::file::reader::ChunkReader;
use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read, Seek},
    path::Path,
};

const GZIP: &[u8] = &[0x1f, 0x8b];
const ZSTD: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];
const PARQUET: &[u8] = b"PAR1";

/// Binary logarithm of the largest zstd window that is accepted, bytes. Ours have at most 21.
const ZSTD_WINDOW_LOG_MAX: u32 = 25;

/// What the names of flow logs end with.
const EXTENSIONS: [&str; 5] = [".csv", ".csv.gz", ".csv.zst", ".log.gz", PARQUET_EXTENSION];

const PARQUET_EXTENSION: &str = ".parquet";

/// The rows of a file, whatever it is made of.
pub struct Rows(Inner);

enum Inner {
    Text(Box<TextReader<Box<dyn BufRead + Send>>>),
    Parquet(Box<ParquetReader>),
}

impl Rows {
    /// The file's fields, in its order.
    #[must_use]
    pub fn fields(&self) -> &[Field] {
        match &self.0 {
            Inner::Text(reader) => reader.fields(),
            Inner::Parquet(reader) => reader.fields(),
        }
    }
}

impl Iterator for Rows {
    type Item = Result<Row, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        match &mut self.0 {
            Inner::Text(reader) => reader.next(),
            Inner::Parquet(reader) => reader.next(),
        }
    }
}

/// Whether a file of this name is a flow log's, by its extension. A hidden one is none.
#[must_use]
pub fn is_flow_log(name: &str) -> bool {
    let ends = |extension: &&str| name.ends_with(*extension);
    !name.starts_with('.') && EXTENSIONS.iter().any(ends)
}

/// Opens a file.
///
/// # Errors
/// [`ReadError`] for a file that cannot be read, or whose beginning is no flow log's.
pub fn open(path: &Path) -> Result<Rows, ReadError> {
    let name = path.to_string_lossy();
    let file = File::open(path).map_err(|source| system(&name, source))?;
    from_file(&name, file)
}

/// Reads a file that is open, from its beginning. `name` is what errors call it.
///
/// # Errors
/// As [`open`].
pub fn from_file(name: &str, mut file: File) -> Result<Rows, ReadError> {
    let mut magic = Vec::new();
    let begun = file.rewind().and_then(|()| {
        (&mut file)
            .take(PARQUET.len() as u64)
            .read_to_end(&mut magic)
    });
    begun
        .and_then(|_| file.rewind())
        .map_err(|source| system(name, source))?;
    if is_parquet(name, &magic) {
        parquet_rows(name, file)
    } else {
        text_rows(name, &magic, file)
    }
}

/// Reads a file that is in memory. `name` is what errors call it.
///
/// # Errors
/// As [`open`].
pub fn from_bytes(name: &str, bytes: Vec<u8>) -> Result<Rows, ReadError> {
    let magic = bytes.get(..PARQUET.len()).unwrap_or(&bytes).to_vec();
    let bytes = Bytes::from(bytes);
    if is_parquet(name, &magic) {
        parquet_rows(name, bytes)
    } else {
        text_rows(name, &magic, io::Cursor::new(bytes))
    }
}

fn system(name: &str, source: io::Error) -> ReadError {
    ReadError::System {
        file: name.into(),
        line: 1,
        source,
    }
}

fn parquet_rows<R: ChunkReader + 'static>(name: &str, file: R) -> Result<Rows, ReadError> {
    let reader = ParquetReader::new(name, file)?;
    Ok(Rows(Inner::Parquet(Box::new(reader))))
}

/// An empty file has nothing but its name to say.
fn is_parquet(name: &str, magic: &[u8]) -> bool {
    magic == PARQUET || name.ends_with(PARQUET_EXTENSION)
}

fn text_rows(
    name: &str,
    magic: &[u8],
    file: impl Read + Send + 'static,
) -> Result<Rows, ReadError> {
    let file = BufReader::new(file);
    let input: Box<dyn BufRead + Send> = if magic.starts_with(GZIP) {
        Box::new(BufReader::new(MultiGzDecoder::new(file)))
    } else if magic.starts_with(ZSTD) {
        Box::new(BufReader::new(zstd_decoder(name, file)?))
    } else {
        Box::new(file)
    };
    Ok(Rows(Inner::Text(Box::new(TextReader::new(name, input)?))))
}

fn zstd_decoder<R: BufRead>(name: &str, file: R) -> Result<zstd::Decoder<'static, R>, ReadError> {
    let bounded = zstd::Decoder::with_buffer(file).and_then(|mut decoder| {
        decoder.window_log_max(ZSTD_WINDOW_LOG_MAX)?;
        Ok(decoder)
    });
    bounded.map_err(|source| system(name, source))
}
