//! Where a file goes and what it is called: `{partition}/{file name}{_partN}{extension}`.
//!
//! Both templates are filled with the interval's start in the logger's time zone:
//!
//! ```text
//! year=#{year}/month=#{month}   #{logger_id}_#{year}-#{month}-#{day}T#{hour}:#{minute}:#{second}
//! year=2026/month=11          / 5f3c…_2026-11-23T14:05:00KST
//! ```

mod aws;
mod file_name;
mod partition;
mod template;
mod zone;

pub use aws::AwsKey;
pub use file_name::{FileName, FileNameError};
pub use partition::{Partition, PartitionError};
pub use zone::{Zone, ZoneError};

use std::num::NonZeroU32;
use uuid::Uuid;

/// Rows of a file before a further part is begun, unless configured: the seed's limit.
pub const ROWS_PER_FILE: NonZeroU32 = NonZeroU32::new(20_000).expect("not zero");

/// What stands before the number of a part.
const PART: &str = "_part";
/// The same in AWS's names: their readers count the `_`.
const AWS_PART: &str = "-part";

/// What stands before the number of a part in names with this extension.
pub(crate) fn part_mark(extension: &str) -> &'static str {
    match extension {
        ".log.gz" => AWS_PART,
        _ => PART,
    }
}

/// What the files of a logger are called and how many rows each holds.
#[derive(Debug, Clone, PartialEq)]
pub struct Layout {
    /// Folders.
    pub partition: Partition,
    /// File name without part and extension.
    pub file_name: FileName,
    /// Time zone of both.
    pub zone: Zone,
    /// Greatest number of rows, the header not counted.
    pub rows_per_file: NonZeroU32,
    /// The keys of an AWS profile, instead of the first three.
    pub aws: Option<AwsKey>,
}

/// Folders by the hour, the default name, UTC, 20,000 rows.
impl Default for Layout {
    fn default() -> Self {
        Self {
            partition: Partition::hourly(),
            file_name: FileName::standard(),
            zone: Zone::utc(),
            rows_per_file: ROWS_PER_FILE,
            aws: None,
        }
    }
}

impl Layout {
    /// The folders as `HOUR`, `DAY` or a template.
    #[must_use]
    pub fn folders(&self) -> &str {
        match &self.aws {
            Some(AwsKey { by_hour: true, .. }) => "HOUR",
            Some(_) => "DAY",
            None => self.partition.as_str(),
        }
    }

    /// The zone that names are written in: AWS's keys know UTC alone.
    pub(crate) fn zone_of_names(&self) -> Zone {
        match self.aws {
            Some(_) => Zone::utc(),
            None => self.zone.clone(),
        }
    }

    /// The names of the interval of `logger` that starts at `start_s`.
    pub(crate) fn stem(&self, logger: Uuid, start_s: u64) -> Stem {
        if let Some(aws) = &self.aws {
            let start = Zone::utc().civil(start_s);
            return Stem {
                path: aws.fill(logger, start_s, &start),
                part: AWS_PART,
                civil_s: start.civil_s,
            };
        }
        let start = self.zone.civil(start_s);
        let (folders, name) = (
            self.partition.fill(logger, &start),
            self.file_name.fill(logger, &start),
        );
        Stem {
            path: format!("{folders}/{name}"),
            part: PART,
            civil_s: start.civil_s,
        }
    }
}

/// What the names of one interval's files have in common.
#[derive(Debug)]
pub(crate) struct Stem {
    /// Relative to the store's root, without part and extension.
    path: String,
    /// What stands before the number of a part.
    part: &'static str,
    /// The start by the clock on the wall, seconds. Two intervals have the same name only if they
    /// have the same `civil_s`: it repeats where daylight saving time ends, as names then do.
    pub(crate) civil_s: i64,
}

impl Stem {
    /// The name of a part, `None` for the only one.
    pub(crate) fn object(&self, part: Option<u32>, extension: &str) -> String {
        match part {
            Some(part) => format!("{}{}{part}{extension}", self.path, self.part),
            None => format!("{}{extension}", self.path),
        }
    }
}
