//! The folders of a logger: `HOUR`, `DAY` or a template.

use super::{
    template::{Syntax, Template, Variable},
    zone::Civil,
};
use uuid::Uuid;

/// Longest template, bytes: what a file system takes as one name, so that any folder fits.
const PARTITION_LEN_MAX: usize = 255;

const HOUR: &str = "#{year}/#{month}/#{day}/#{hour}";
const DAY: &str = "#{year}/#{month}/#{day}";

/// A valid `partition_period`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partition {
    /// As it was written.
    text: String,
    template: Template,
}

/// Why a `partition_period` is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PartitionError {
    /// Nothing was written.
    #[error(
        "the partition is empty; write HOUR, DAY or a template such as year=#{{year}}/month=#{{month}}"
    )]
    Empty,
    /// Longer than a path can be.
    #[error("the partition has {0} bytes; write at most {PARTITION_LEN_MAX}")]
    Long(usize),
    /// A character that a folder may not have.
    #[error(
        "`{0}` may not stand in a partition; use digits, letters, / - _ = and #{{year}} #{{month}} #{{day}} #{{hour}}"
    )]
    Character(char),
    /// `#{` without `}`.
    #[error("a `#{{` of the partition is not closed; write the variable as #{{year}}")]
    Open,
    /// A variable that a partition does not have.
    #[error(
        "`#{{{0}}}` is no variable of a partition; use #{{year}}, #{{month}}, #{{day}} and #{{hour}}"
    )]
    Variable(String),
    /// `/` at an end, or twice in a row.
    #[error(
        "a folder of the partition `{0}` has no name; write one / between two folders and none at the ends"
    )]
    Nameless(String),
}

impl Partition {
    /// The partition of `HOUR`, `DAY` or a template.
    ///
    /// # Errors
    /// [`PartitionError`] says what to write instead.
    pub fn parse(text: &str) -> Result<Self, PartitionError> {
        let template = match text {
            "" => return Err(PartitionError::Empty),
            "HOUR" => HOUR,
            "DAY" => DAY,
            template => template,
        };
        if template.len() > PARTITION_LEN_MAX {
            return Err(PartitionError::Long(template.len()));
        }
        let parsed = Template::parse(template, is_allowed)?;
        for foreign in [Variable::LoggerId, Variable::Minute, Variable::Second] {
            if parsed.count(foreign) > 0 {
                return Err(PartitionError::Variable(foreign.name().to_owned()));
            }
        }
        if template.split('/').any(str::is_empty) {
            return Err(PartitionError::Nameless(template.to_owned()));
        }
        Ok(Self {
            text: text.to_owned(),
            template: parsed,
        })
    }

    /// `HOUR`.
    pub(super) fn hourly() -> Self {
        Self::parse("HOUR").expect("HOUR is a partition")
    }

    /// `HOUR`, `DAY` or the template.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether a folder names its column, as Hive's do (`year=2026`).
    #[must_use]
    pub fn is_hive(&self) -> bool {
        self.text.contains('=')
    }

    pub(super) fn fill(&self, logger: Uuid, start: &Civil) -> String {
        self.template.fill(logger, start)
    }
}

impl From<Syntax> for PartitionError {
    fn from(syntax: Syntax) -> Self {
        match syntax {
            Syntax::Open => Self::Open,
            Syntax::Variable(name) => Self::Variable(name),
            Syntax::Character(wrong) => Self::Character(wrong),
        }
    }
}

fn is_allowed(c: char) -> bool {
    c.is_ascii_alphanumeric() || "/-_=".contains(c)
}
