//! Why a configuration is refused.

use super::limits::MAX_MISTAKES_PRINTED;
use super::mistake::Mistake;
use super::yaml::SyntaxError;
use std::fmt;

/// A configuration that is refused. The text goes to the user; the program's exit code is 2.
#[derive(Debug)]
pub enum ConfigError {
    /// The file cannot be read.
    Read {
        /// Its path.
        file: String,
        /// The system's reason.
        source: std::io::Error,
    },
    /// It is no YAML, or has not the shape of a configuration.
    Syntax {
        /// Its path.
        file: String,
        /// What is wrong first.
        error: SyntaxError,
    },
    /// It means nothing that can be built.
    Meaning {
        /// Its path.
        file: String,
        /// All mistakes in the order of the file.
        mistakes: Vec<Mistake>,
    },
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read { file, source } => write!(f, "{file}: cannot be read: {source}"),
            Self::Syntax { file, error } => write!(f, "{file}: {error}"),
            Self::Meaning { file, mistakes } => {
                let count = mistakes.len();
                write!(
                    f,
                    "{file}: {count} mistake{}",
                    if count == 1 { "" } else { "s" }
                )?;
                for mistake in mistakes.iter().take(MAX_MISTAKES_PRINTED) {
                    write!(f, "\n{mistake}")?;
                }
                match count.checked_sub(MAX_MISTAKES_PRINTED) {
                    Some(more @ 1..) => write!(f, "\nand {more} more"),
                    _ => Ok(()),
                }
            }
        }
    }
}

// Without sources: the text above says already what the cause says.
impl std::error::Error for ConfigError {}
