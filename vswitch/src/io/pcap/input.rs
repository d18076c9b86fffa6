//! Where a capture comes from: a file or standard input, as it is or compressed.
//!
//! What it is compressed with is seen from its first bytes: names say little of it, and a pipe has none.

use super::Problem;
use flate2::bufread::MultiGzDecoder;
use std::fs::File;
use std::io::{self, BufReader, Cursor, IsTerminal, Read};
use std::path::Path;

/// Stands for standard input.
const STDIN: &str = "-";

/// Binary logarithm of the largest zstd window in bytes: what `zstd -d` takes unless told otherwise.
const ZSTD_WINDOW_LOG_MAX: u32 = 27;

/// Bytes read at once.
const BUFFER: usize = 1 << 16;

/// Opens a file, or standard input where it is called `-`.
pub(super) fn open(path: &Path) -> io::Result<Box<dyn Read>> {
    if path != Path::new(STDIN) {
        return Ok(Box::new(BufReader::with_capacity(
            BUFFER,
            File::open(path)?,
        )));
    }
    let stdin = io::stdin();
    if stdin.is_terminal() {
        return Err(io::Error::other(
            "it is a terminal; pipe a capture into it, as in `tcpdump -w - | vswitch replay … -`",
        ));
    }
    Ok(Box::new(BufReader::with_capacity(BUFFER, stdin)))
}

/// How messages call a file.
pub(super) fn name(path: &Path) -> &Path {
    if path == Path::new(STDIN) {
        Path::new("standard input")
    } else {
        path
    }
}

/// A capture's bytes, unpacked, and what they were compressed with.
pub(super) type Unpacked<'a> = (Box<dyn Read + 'a>, Option<&'static str>);

/// Unpacks what is compressed.
pub(super) fn unpack<'a>(mut from: Box<dyn Read + 'a>) -> Result<Unpacked<'a>, Problem> {
    let mut magic = Vec::new();
    (&mut from).take(4).read_to_end(&mut magic)?;
    let other = match magic[..] {
        [0xfd, b'7', b'z', b'X'] => Some("xz"),
        [b'B', b'Z', b'h', _] => Some("bzip2"),
        [0x04, 0x22, 0x4d, 0x18] => Some("lz4"),
        _ => None,
    };
    if let Some(other) = other {
        return Err(Problem::Compressed(other));
    }
    let is_gzip = magic.starts_with(&[0x1f, 0x8b]);
    // A frame, or what is to be passed over before one: parallel compressors begin with that.
    let is_zstd = matches!(
        magic[..],
        [0x28, 0xb5, 0x2f, 0xfd] | [0x50..=0x5f, 0x2a, 0x4d, 0x18]
    );
    let whole = Cursor::new(magic).chain(from);
    if is_gzip {
        let decoder = MultiGzDecoder::new(BufReader::with_capacity(BUFFER, whole));
        Ok((buffered(decoder), Some("gzip")))
    } else if is_zstd {
        let mut decoder = zstd::Decoder::with_buffer(BufReader::with_capacity(BUFFER, whole))?;
        decoder.window_log_max(ZSTD_WINDOW_LOG_MAX)?;
        Ok((buffered(decoder), Some("zstd")))
    } else {
        Ok((Box::new(whole), None))
    }
}

fn buffered<'a>(from: impl Read + 'a) -> Box<dyn Read + 'a> {
    Box::new(BufReader::with_capacity(BUFFER, from))
}
