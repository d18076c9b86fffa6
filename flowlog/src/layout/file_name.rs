//! The name of a file: the default or a template with each of the seven variables exactly once, so
//! that no two intervals share a name.

use super::{
    template::{Syntax, Template, Variable},
    zone::Civil,
};
use uuid::Uuid;

/// Longest template, bytes. Its variables shrink or grow to 50, `_partN` and the extension take 30:
/// a name of a file system has 255.
const FILE_NAME_LEN_MAX: usize = 200;

/// Without a colon: Hadoop's local file system, and so Spark, reads no file that has one in its name.
const PORTABLE: &str = "#{logger_id}_#{year}-#{month}-#{day}T#{hour}#{minute}#{second}";

const STANDARD: &str = "#{logger_id}_#{year}-#{month}-#{day}T#{hour}:#{minute}:#{second}";

/// A valid file name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileName {
    template: Template,
    /// The default name ends with its time zone; a custom one is as it was written.
    with_zone: bool,
}

/// Why a `customized_file_name` is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FileNameError {
    /// Nothing was written.
    #[error("the file name is empty; leave customized_file_name out or write {STANDARD}")]
    Empty,
    /// Longer than a file system takes.
    #[error("the file name has {0} bytes; write at most {FILE_NAME_LEN_MAX}")]
    Long(usize),
    /// `/`.
    #[error("`/` may not stand in a file name; folders belong into partition_period")]
    Folder,
    /// A character that a name may not have.
    #[error("`{0}` may not stand in a file name; use digits, letters, - _ = : and the variables")]
    Character(char),
    /// `#{` without `}`.
    #[error("a `#{{` of the file name is not closed; write the variable as #{{year}}")]
    Open,
    /// A variable that there is not.
    #[error(
        "`#{{{0}}}` is no variable of a file name; use #{{logger_id}}, #{{year}}, #{{month}}, #{{day}}, #{{hour}}, #{{minute}} and #{{second}}"
    )]
    Variable(String),
    /// A variable is missing.
    #[error(
        "the file name lacks #{{{0}}}; use each of the seven variables exactly once, or two intervals may share a name"
    )]
    Missing(&'static str),
    /// A variable twice.
    #[error(
        "the file name has #{{{name}}} {count} times; use each of the seven variables exactly once"
    )]
    Repeated {
        /// The variable.
        name: &'static str,
        /// How often.
        count: usize,
    },
}

impl FileName {
    /// The default: `#{logger_id}_#{year}-#{month}-#{day}T#{hour}:#{minute}:#{second}` and the zone.
    #[must_use]
    pub fn standard() -> Self {
        let custom = Self::parse(STANDARD).expect("the default is a file name");
        Self {
            with_zone: true,
            ..custom
        }
    }

    /// The default for files that engines read: the same without colons.
    #[must_use]
    pub fn portable() -> Self {
        let custom = Self::parse(PORTABLE).expect("the default is a file name");
        Self {
            with_zone: true,
            ..custom
        }
    }

    /// A custom name, without part and extension.
    ///
    /// # Errors
    /// [`FileNameError`] says what to write instead.
    pub fn parse(text: &str) -> Result<Self, FileNameError> {
        if text.is_empty() {
            return Err(FileNameError::Empty);
        }
        if text.len() > FILE_NAME_LEN_MAX {
            return Err(FileNameError::Long(text.len()));
        }
        let template = Template::parse(text, is_allowed)?;
        for variable in Variable::ALL {
            let name = variable.name();
            match template.count(variable) {
                1 => (),
                0 => return Err(FileNameError::Missing(name)),
                count => return Err(FileNameError::Repeated { name, count }),
            }
        }
        Ok(Self {
            template,
            with_zone: false,
        })
    }

    pub(super) fn fill(&self, logger: Uuid, start: &Civil) -> String {
        let mut name = self.template.fill(logger, start);
        if self.with_zone {
            name.push_str(&start.zone);
        }
        name
    }
}

impl From<Syntax> for FileNameError {
    fn from(syntax: Syntax) -> Self {
        match syntax {
            Syntax::Open => Self::Open,
            Syntax::Variable(name) => Self::Variable(name),
            Syntax::Character('/') => Self::Folder,
            Syntax::Character(wrong) => Self::Character(wrong),
        }
    }
}

fn is_allowed(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-_=:".contains(c)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Zone;

    /// 2026-11-23T05:04:03Z.
    const MOMENT_S: u64 = 1_795_410_243;

    #[test]
    fn the_name_for_engines_has_no_colon_in_any_zone_and_tells_all_that_the_default_does() {
        let logger = Uuid::from_u128(1);
        let zones = [
            ("UTC", "2026-11-23T050403Z"),
            ("Asia/Seoul", "2026-11-23T140403KST"),
            ("Asia/Kathmandu", "2026-11-23T104903+0545"),
            ("America/Sao_Paulo", "2026-11-23T020403-03"),
        ];
        for (zone, expected) in zones {
            let start = Zone::parse(zone).unwrap().civil(MOMENT_S);
            let name = FileName::portable().fill(logger, &start);
            assert_eq!(name, format!("{logger}_{expected}"));
            let standard = FileName::standard().fill(logger, &start);
            assert_eq!(standard.replace(':', ""), name);
        }
    }
}
