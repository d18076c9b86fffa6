//! Which names were issued, remembered locally: a write-only store cannot be asked, and a name is
//! issued once.
//!
//! Per logger the newest intervals are remembered with the parts each has; of older ones only up to
//! which time they reach and the most parts any of them had. An old interval therefore goes on with
//! a part that none of them can have, and the memory stays small for ever:
//!
//! ```text
//! <logger> <older reach to> <with at most parts> <interval>:<parts> <interval>:<parts> …
//! ```

use crate::{Access, files};
use std::{
    collections::BTreeMap,
    fs, io,
    num::ParseIntError,
    path::{Path, PathBuf},
};
use uuid::Uuid;

/// Intervals remembered one by one, per logger.
const INTERVALS_MAX: usize = 64;

/// Loggers remembered; the one that has not issued a name for longest is forgotten first.
const LOGGERS_MAX: usize = 4096;

/// Name of the file in the state directory.
const FILE: &str = "flowlog-names";

/// The memory of issued names.
#[derive(Debug, Default)]
pub struct NameMemory {
    /// Where it is kept, if it is.
    directory: Option<PathBuf>,
    /// Who may read it there.
    access: Access,
    /// Last used last.
    loggers: Vec<(Uuid, Issued)>,
}

/// Why the memory could not be read or kept.
#[derive(Debug, thiserror::Error)]
pub enum NameMemoryError {
    /// The system refused.
    #[error("cannot {action} {}: {source}", path.display())]
    System {
        /// What was tried.
        action: &'static str,
        /// With which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is not what was written.
    #[error("{}:{line}: not a line of issued names; restore the file from a copy, or remove it: a name whose file is still in its folder is not issued again", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The line.
        line: usize,
    },
}

/// The parts issued to one interval: `first` to `first + count - 1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Parts {
    first: u32,
    count: u32,
}

impl Parts {
    /// The parts' numbers; `None` for the single file of an interval that has no other yet.
    pub(crate) fn numbers(self) -> impl Iterator<Item = Option<u32>> {
        let single = self.first == 1 && self.count == 1;
        (self.first..self.first.saturating_add(self.count))
            .map(move |part| (!single).then_some(part))
    }
}

impl NameMemory {
    /// The memory kept in the state directory, which is created where it is missing. `access` says who may
    /// read it.
    ///
    /// # Errors
    /// [`NameMemoryError`] for a file that cannot be read or is damaged.
    pub fn open(state_directory: &Path, access: Access) -> Result<Self, NameMemoryError> {
        let made = access.create_dir_all(state_directory);
        made.map_err(|source| NameMemoryError::System {
            action: "create the directory",
            path: state_directory.to_owned(),
            source,
        })?;
        Ok(Self {
            directory: Some(state_directory.to_owned()),
            access,
            ..Self::read(state_directory)?
        })
    }

    /// The memory kept in a state directory, to be read alone: what is issued from it is not kept.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub(crate) fn read(state_directory: &Path) -> Result<Self, NameMemoryError> {
        let path = state_directory.join(FILE);
        // What is no text is no line of issued names either, and the message then says what helps.
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(source) => {
                return Err(NameMemoryError::System {
                    action: "read",
                    path,
                    source,
                });
            }
        };
        let mut loggers = Vec::new();
        for (place, line) in String::from_utf8_lossy(&bytes).lines().enumerate() {
            let damaged = || NameMemoryError::Damaged {
                path: path.clone(),
                line: place + 1,
            };
            loggers.push(parse_line(line).ok_or_else(damaged)?);
        }
        Ok(Self {
            directory: None,
            access: Access::default(),
            loggers,
        })
    }

    /// Adds what another memory has issued to these loggers, and forgets what was issued to others.
    pub(crate) fn learn(&mut self, other: Self, loggers: &[Uuid]) {
        self.loggers.retain(|(id, _)| loggers.contains(id));
        for (id, theirs) in other.loggers {
            match self.loggers.iter_mut().find(|(known, _)| *known == id) {
                Some((_, ours)) => ours.learn(&theirs),
                None if loggers.contains(&id) => self.loggers.push((id, theirs)),
                None => {}
            }
        }
    }

    /// Whether an interval has a name already.
    pub(crate) fn is_issued(&self, logger: Uuid, interval: i64) -> bool {
        let known = self.loggers.iter().find(|(id, _)| *id == logger);
        known.is_some_and(|(_, issued)| issued.taken(interval) > 0)
    }

    /// Issues names for `count` files and remembers them before it returns.
    pub(crate) fn issue(
        &mut self,
        logger: Uuid,
        interval: i64,
        count: u32,
    ) -> Result<Parts, NameMemoryError> {
        let mut issued = match self.loggers.iter().position(|(id, _)| *id == logger) {
            Some(place) => self.loggers.remove(place).1,
            None => Issued::default(),
        };
        let parts = issued.issue(interval, count);
        self.loggers.push((logger, issued));
        if self.loggers.len() > LOGGERS_MAX {
            self.loggers.remove(0);
        }
        self.keep()?;
        Ok(parts)
    }

    /// Writes the memory aside and puts it in place, durably.
    fn keep(&self) -> Result<(), NameMemoryError> {
        let Some(directory) = &self.directory else {
            return Ok(());
        };
        let (path, aside) = (directory.join(FILE), directory.join(format!("{FILE}.new")));
        let mut text = String::new();
        for (id, issued) in &self.loggers {
            issued.write_line(*id, &mut text);
        }
        let kept = files::replace(&path, &aside, &text, self.access);
        kept.map_err(|source| NameMemoryError::System {
            action: "keep",
            path,
            source,
        })
    }
}

/// What one logger was issued. Intervals go by the clock on the wall, as names do.
#[derive(Debug, Default, PartialEq, Eq)]
struct Issued {
    /// The latest of the forgotten intervals, and the most parts that one of them had.
    older: Option<(i64, u32)>,
    recent: BTreeMap<i64, u32>,
}

impl Issued {
    /// Parts that an interval has, or an upper bound of it.
    fn taken(&self, interval: i64) -> u32 {
        match (self.recent.get(&interval), self.older) {
            (Some(parts), _) => *parts,
            (None, Some((latest, parts))) if interval <= latest => parts,
            _ => 0,
        }
    }

    /// Takes over what another process has issued.
    fn learn(&mut self, other: &Self) {
        for (&interval, &parts) in &other.recent {
            let taken = self.taken(interval).max(parts);
            self.remember(interval, taken);
        }
        if let Some((latest, parts)) = other.older {
            self.forget(latest, parts);
        }
    }

    fn remember(&mut self, interval: i64, parts: u32) {
        self.recent.insert(interval, parts);
        if self.recent.len() > INTERVALS_MAX
            && let Some((oldest, parts)) = self.recent.pop_first()
        {
            self.forget(oldest, parts);
        }
    }

    /// Counts an interval among the older ones.
    fn forget(&mut self, interval: i64, parts: u32) {
        let (latest, most) = self.older.unwrap_or((interval, parts));
        self.older = Some((latest.max(interval), most.max(parts)));
    }

    fn issue(&mut self, interval: i64, count: u32) -> Parts {
        let taken = self.taken(interval);
        self.remember(interval, taken.saturating_add(count));
        Parts {
            first: taken.saturating_add(1),
            count,
        }
    }

    fn write_line(&self, logger: Uuid, text: &mut String) {
        use std::fmt::Write as _;
        let (latest, most) = self.older.unwrap_or((i64::MIN, 0));
        let mut write = || {
            write!(text, "{logger} {latest} {most}")?;
            for (interval, parts) in &self.recent {
                write!(text, " {interval}:{parts}")?;
            }
            writeln!(text)
        };
        write().expect("a String takes what is written to it");
    }
}

/// The inverse of [`Issued::write_line`].
fn parse_line(line: &str) -> Option<(Uuid, Issued)> {
    let mut words = line.split(' ');
    let logger = words.next()?.parse().ok()?;
    let latest: i64 = words.next()?.parse().ok()?;
    let most: u32 = words.next()?.parse().ok()?;
    let older = (most > 0).then_some((latest, most));
    let pair = |word: &str| {
        let (interval, parts) = word.split_once(':')?;
        let parsed: Result<(i64, u32), ParseIntError> = interval
            .parse()
            .and_then(|interval| Ok((interval, parts.parse()?)));
        parsed.ok()
    };
    let recent: BTreeMap<_, _> = words.map(pair).collect::<Option<_>>()?;
    (recent.len() <= INTERVALS_MAX).then_some((logger, Issued { older, recent }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    const LOGGER: Uuid = Uuid::from_u128(7);

    #[test]
    fn a_single_file_has_no_part_and_what_follows_takes_the_next() {
        let mut names = NameMemory::default();
        assert_eq!(issue(&mut names, 0, 1), [None]);
        assert_eq!(issue(&mut names, 0, 1), [Some(2)]);
        assert_eq!(issue(&mut names, 0, 2), [Some(3), Some(4)]);
        assert_eq!(issue(&mut names, 60, 2), [Some(1), Some(2)]);
    }

    #[test]
    fn the_memory_survives_a_restart() {
        let state = tempfile::tempdir().unwrap();
        let mut names = NameMemory::open(&state.path().join("new"), Access::default()).unwrap();
        issue(&mut names, -60, 1);
        issue(&mut names, 0, 3);
        let mut names = NameMemory::open(&state.path().join("new"), Access::default()).unwrap();
        assert_eq!(issue(&mut names, 0, 1), [Some(4)]);
        assert_eq!(issue(&mut names, -60, 1), [Some(2)]);
    }

    #[test]
    fn a_damaged_memory_is_refused_with_its_place() {
        let state = tempfile::tempdir().unwrap();
        let line = format!("{LOGGER} 0 1 60:1\n");
        for wrong in [
            "x",
            &format!("{LOGGER} 0"),
            &format!("{LOGGER} 0 1 60"),
            &format!("{LOGGER} 0 1 a:b"),
        ] {
            fs::write(state.path().join(FILE), format!("{line}{wrong}\n")).unwrap();
            let error = NameMemory::open(state.path(), Access::default())
                .unwrap_err()
                .to_string();
            assert!(error.contains("flowlog-names:2: not a line"), "{error}");
        }
        fs::write(state.path().join(FILE), b"\xff\xfe").unwrap();
        let error = NameMemory::open(state.path(), Access::default())
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("flowlog-names:1: not a line") && error.contains("remove it"),
            "{error}"
        );
    }

    #[test]
    fn what_another_process_has_issued_is_not_issued_again_and_its_memory_stays_as_it_is() {
        let (ours, theirs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let mut other = NameMemory::open(theirs.path(), Access::default()).unwrap();
        issue(&mut other, 0, 2);
        other.issue(Uuid::from_u128(8), 0, 2).unwrap();
        let before = fs::read(theirs.path().join(FILE)).unwrap();

        let mut names = NameMemory::open(ours.path(), Access::default()).unwrap();
        issue(&mut names, 60, 1);
        names.learn(NameMemory::read(theirs.path()).unwrap(), &[LOGGER]);
        assert_eq!(issue(&mut names, 0, 1), [Some(3)]);
        assert_eq!(issue(&mut names, 60, 1), [Some(2)]);
        assert!(!names.is_issued(Uuid::from_u128(8), 0));
        assert_eq!(fs::read(theirs.path().join(FILE)).unwrap(), before);

        let nowhere = ours.path().join("none");
        names.learn(NameMemory::read(&nowhere).unwrap(), &[]);
        assert!(!nowhere.exists());
        assert!(!names.is_issued(LOGGER, 0), "of no use to others");
    }

    #[test]
    fn a_memory_that_cannot_be_kept_issues_nothing() {
        let state = tempfile::tempdir().unwrap();
        let mut names = NameMemory::open(state.path(), Access::default()).unwrap();
        fs::create_dir(state.path().join(format!("{FILE}.new"))).unwrap();
        assert!(names.issue(LOGGER, 0, 1).is_err());
    }

    proptest! {
        #[test]
        fn a_name_is_issued_once_however_the_clock_jumps(
            intervals in proptest::collection::vec((0..200_i64, 1..4_u32), 1..400),
            restart_each in 10..100_usize,
        ) {
            let state = tempfile::tempdir_in("/dev/shm").unwrap();
            let mut names = NameMemory::default();
            let mut seen = HashSet::new();
            for (turn, (interval, count)) in intervals.into_iter().enumerate() {
                for part in issue(&mut names, interval, count) {
                    prop_assert!(seen.insert((interval, part)), "{interval} {part:?}");
                }
                if turn % restart_each == 0 {
                    names.directory = Some(state.path().to_owned());
                    names.keep().unwrap();
                    names = NameMemory::open(state.path(), Access::default()).unwrap();
                    names.directory = None;
                }
            }
        }
    }

    fn issue(names: &mut NameMemory, interval: i64, count: u32) -> Vec<Option<u32>> {
        names
            .issue(LOGGER, interval, count)
            .unwrap()
            .numbers()
            .collect()
    }
}
