//! Since when a logger's observations are in memory alone: a line per logger, replaced as intervals
//! reach the spool and removed by an orderly end. What is found at a start is what a crash cost.
//!
//! ```text
//! <logger> <since> <interval>      UNIX seconds, seconds
//! ```

use crate::{Access, Window, files};
use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};
use uuid::Uuid;

/// Name of the file in the state directory.
const FILE: &str = "flowlog-open";

/// What a process that ended without its final flush had in memory alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interrupted {
    /// UNIX seconds: everything observed before is in a file.
    pub since_s: u64,
    /// The interval that was open then.
    pub window: Window,
}

/// The marks of all loggers.
#[derive(Debug)]
pub(crate) struct Marks {
    path: PathBuf,
    access: Access,
    kept: BTreeMap<Uuid, (u64, u32)>,
    found: BTreeMap<Uuid, Interrupted>,
}

impl Marks {
    /// The marks kept in the state directory. Lines that are none say nothing. `access` says
    /// who may read them.
    pub(crate) fn open(
        state_directory: &Path,
        access: Access,
    ) -> Result<Self, (PathBuf, io::Error)> {
        let path = state_directory.join(FILE);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err((path, error)),
        };
        Ok(Self {
            path,
            access,
            kept: BTreeMap::new(),
            found: text.lines().filter_map(parse_line).collect(),
        })
    }

    /// What an earlier process lost of a logger.
    pub(crate) fn interrupted(&self, logger: Uuid) -> Option<Interrupted> {
        self.found.get(&logger).copied()
    }

    /// Keeps these marks from now on: per logger since when, and the length of its intervals.
    pub(crate) fn keep(&mut self, marks: BTreeMap<Uuid, (u64, u32)>) -> io::Result<()> {
        if marks == self.kept {
            return Ok(());
        }
        let lines = marks
            .iter()
            .map(|(logger, (since_s, length_s))| format!("{logger} {since_s} {length_s}\n"));
        let text: String = lines.collect();
        let aside = self.path.with_extension("new");
        files::replace(&self.path, &aside, &text, self.access)?;
        self.kept = marks;
        Ok(())
    }

    /// Everything is in the spool.
    pub(crate) fn clear(&mut self) -> io::Result<()> {
        self.kept.clear();
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

fn parse_line(line: &str) -> Option<(Uuid, Interrupted)> {
    let mut words = line.split(' ');
    let logger = words.next()?.parse().ok()?;
    let since_s: u64 = words.next()?.parse().ok()?;
    let length_s: u32 = words.next()?.parse().ok()?;
    let window = Window::of(since_s, length_s);
    Some((logger, Interrupted { since_s, window }))
}
