//! Sorted runs of records in a file without a name, and their merge.

use super::sort::{Key, Rank};
use crate::control::LogRow;
use anyhow::{Context as _, Result};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::os::unix::fs::FileExt;
use std::rc::Rc;

/// Bytes of each run that are read at once: with the greatest number of runs 64 MiB.
const READ_BYTES: usize = 64 << 10;

/// Bytes written at once.
const WRITE_BYTES: usize = 1 << 20;

/// The file, and where its runs end. It has no name, and is gone with the program however that ends.
#[derive(Debug)]
pub(super) struct Spill {
    file: File,
    ends: Vec<u64>,
}

impl Spill {
    /// # Errors
    /// A folder for temporary files (`TMPDIR`) that cannot be written to.
    pub(super) fn new() -> Result<Self> {
        let file = tempfile::tempfile().context("cannot sort in a temporary file (TMPDIR)")?;
        Ok(Self {
            file,
            ends: Vec::new(),
        })
    }

    /// Runs written so far.
    pub(super) const fn runs(&self) -> usize {
        self.ends.len()
    }

    /// Writes a run: lines of JSON, in order.
    ///
    /// # Errors
    /// What the system says.
    pub(super) fn write(&mut self, lines: impl Iterator<Item = Box<[u8]>>) -> Result<()> {
        let mut end = self.ends.last().copied().unwrap_or_default();
        let mut out = BufWriter::with_capacity(WRITE_BYTES, &self.file);
        let mut write = |line: &[u8]| {
            end += line.len() as u64 + 1;
            out.write_all(line).and_then(|()| out.write_all(b"\n"))
        };
        for line in lines {
            write(&line).context("cannot sort in a temporary file (TMPDIR)")?;
        }
        out.flush()
            .context("cannot sort in a temporary file (TMPDIR)")?;
        self.ends.push(end);
        Ok(())
    }

    /// Hands the records of all runs over in order; of equal ones those of earlier runs first.
    ///
    /// # Errors
    /// Those of `print` and of the system.
    pub(super) fn merged(
        self,
        key: Key,
        mut print: impl FnMut(&LogRow) -> Result<()>,
    ) -> Result<()> {
        let file = Rc::new(self.file);
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        let mut runs: Vec<Run> = starts
            .zip(&self.ends)
            .map(|(start, &end)| Run::new(Rc::clone(&file), start, end))
            .collect();
        let mut heads = BinaryHeap::new();
        for (number, run) in runs.iter_mut().enumerate() {
            run.step()?;
            heads.extend(run.rank(key).map(|rank| Reverse((rank, number))));
        }
        while let Some(Reverse((_, number))) = heads.pop() {
            let run = &mut runs[number];
            if let Some(row) = &run.head {
                print(row)?;
            }
            run.step()?;
            heads.extend(run.rank(key).map(|rank| Reverse((rank, number))));
        }
        Ok(())
    }
}

/// A run that is being read.
#[derive(Debug)]
struct Run {
    lines: BufReader<Section>,
    /// Its first record that was not taken yet.
    head: Option<LogRow>,
}

impl Run {
    fn new(file: Rc<File>, start: u64, end: u64) -> Self {
        let section = Section {
            file,
            at: start,
            end,
        };
        Self {
            lines: BufReader::with_capacity(READ_BYTES, section),
            head: None,
        }
    }

    fn rank(&self, key: Key) -> Option<Rank> {
        self.head.as_ref().map(|row| key.rank(row))
    }

    fn step(&mut self) -> Result<()> {
        let mut line = Vec::new();
        self.lines
            .read_until(b'\n', &mut line)
            .context("cannot read the temporary file of the sorting")?;
        self.head = match line.as_slice() {
            [] => None,
            line => Some(serde_json::from_slice(line)?),
        };
        Ok(())
    }
}

/// A part of a file that others read too.
#[derive(Debug)]
struct Section {
    file: Rc<File>,
    at: u64,
    end: u64,
}

impl Read for Section {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.end - self.at).unwrap_or(usize::MAX);
        let wanted = left.min(buffer.len());
        let read = self.file.read_at(&mut buffer[..wanted], self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}
