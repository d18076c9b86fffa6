//! Bytes of a capture with their offset, and numbers in the capture's byte order.

use super::Problem;
use std::{
    fmt,
    io::{self, Read},
};

/// A stream that knows where it is.
pub(super) struct Source<'a> {
    from: Box<dyn Read + 'a>,
    /// Bytes read so far.
    pub(super) offset: u64,
}

impl fmt::Debug for Source<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Source at byte {}", self.offset)
    }
}

impl<'a> Source<'a> {
    pub(super) fn new(from: Box<dyn Read + 'a>) -> Self {
        Self { from, offset: 0 }
    }

    /// Fills `bytes`. `false`: the stream ended before the first of them.
    pub(super) fn fill(&mut self, bytes: &mut [u8], what: &'static str) -> Result<bool, Problem> {
        let mut have = 0;
        while have < bytes.len() {
            match self.from.read(&mut bytes[have..]) {
                Ok(0) if have == 0 => return Ok(false),
                Ok(0) => return Err(Problem::CutOff(what)),
                Ok(more) => {
                    have += more;
                    self.offset += more as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // What is compressed breaks off like this.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    return Err(Problem::CutOff(what));
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(true)
    }

    /// The next `N` bytes, which must be there.
    pub(super) fn take<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], Problem> {
        let mut bytes = [0; N];
        if self.fill(&mut bytes, what)? {
            Ok(bytes)
        } else {
            Err(Problem::CutOff(what))
        }
    }

    /// The next `len` bytes, which must be there; the caller has checked `len` against a limit.
    pub(super) fn take_vec(&mut self, len: usize, what: &'static str) -> Result<Vec<u8>, Problem> {
        let mut bytes = vec![0; len];
        if len == 0 || self.fill(&mut bytes, what)? {
            Ok(bytes)
        } else {
            Err(Problem::CutOff(what))
        }
    }

    /// Passes over `len` bytes without keeping them.
    pub(super) fn skip(&mut self, len: u64, what: &'static str) -> Result<(), Problem> {
        let skipped = io::copy(&mut (&mut self.from).take(len), &mut io::sink())?;
        self.offset += skipped;
        if skipped == len {
            Ok(())
        } else {
            Err(Problem::CutOff(what))
        }
    }
}

/// The byte order in which a capture was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    Little,
    Big,
}

impl Order {
    pub(super) fn u16(self, bytes: [u8; 2]) -> u16 {
        match self {
            Self::Little => u16::from_le_bytes(bytes),
            Self::Big => u16::from_be_bytes(bytes),
        }
    }

    pub(super) fn u32(self, bytes: [u8; 4]) -> u32 {
        match self {
            Self::Little => u32::from_le_bytes(bytes),
            Self::Big => u32::from_be_bytes(bytes),
        }
    }

    /// The 32-bit number at `at`; 0 beyond the end, which callers exclude by a length check.
    pub(super) fn u32_at(self, bytes: &[u8], at: usize) -> u32 {
        bytes
            .get(at..)
            .and_then(<[u8]>::first_chunk)
            .map_or(0, |bytes| self.u32(*bytes))
    }

    /// As [`Order::u32_at`] for 16 bits.
    pub(super) fn u16_at(self, bytes: &[u8], at: usize) -> u16 {
        bytes
            .get(at..)
            .and_then(<[u8]>::first_chunk)
            .map_or(0, |bytes| self.u16(*bytes))
    }
}
