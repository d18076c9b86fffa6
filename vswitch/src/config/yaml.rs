//! Text to [`File`]: mistakes of syntax and of type, with place, line, column and the line itself.
//!
//! ```text
//! line 7, column 5: subnets[0].cird: unknown key `cird`; did you mean `cidr`?
//!   7 |     cird: 10.77.1.0/24
//!     |     ^
//! ```

use super::file::File;
use super::limits::{MAX_VALUE_CHARS, MAX_YAML_ALIAS_EVENTS, MAX_YAML_DEPTH, MAX_YAML_NODES};
use super::mistake::quoted;
use super::names::{choice, nearest};
use super::places::{Place, Places, Position};
use serde_saphyr::{Error, SnippetMode, UserMessageFormatter};
use std::fmt;

/// A file that is not YAML, or not of the shape of a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyntaxError {
    /// Line and column, where the parser knows them.
    pub position: Option<Position>,
    /// Place, problem and remedy in one line.
    message: String,
    /// The line of the file; absent where it could hold a secret.
    line: Option<String>,
}

impl fmt::Display for SyntaxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(Position { line, column }) = self.position else {
            return f.write_str(&self.message);
        };
        write!(f, "line {line}, column {column}: {}", self.message)?;
        let Some(text) = &self.line else {
            return Ok(());
        };
        let gutter = line.to_string().len();
        write!(
            f,
            "\n  {line} | {text}\n  {:gutter$} | {:>column$}",
            "", "^"
        )
    }
}

impl std::error::Error for SyntaxError {}

/// Reads a file as typed.
///
/// # Errors
/// [`SyntaxError`] for the first thing that is not YAML or has not the shape of a configuration.
pub(super) fn read(text: &str) -> Result<File, SyntaxError> {
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_events: 2 * MAX_YAML_NODES,
            max_nodes: MAX_YAML_NODES,
            max_depth: MAX_YAML_DEPTH,
            max_documents: 2,
        },
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: MAX_YAML_ALIAS_EVENTS },
        strict_booleans: true,
        with_snippet: false,
    };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| explain(&error, text))
}

/// The parser's error in the words of this program.
fn explain(error: &Error, text: &str) -> SyntaxError {
    let error = error.without_snippet();
    let places = Places::of(text);
    let located = position(error).map(|at| match error {
        Error::MultipleDocuments { .. } => (at, Place::root()),
        // The parser stands at the last key when it notices; what lacks the key is around it.
        Error::SerdeMissingField { .. } => {
            let around = places.at(at).parent().unwrap_or_default();
            (places.position(&around), around)
        }
        _ => (at, places.at(at)),
    });
    let problem = problem(error);
    let (position, place) = located.unzip();
    let message = match place {
        Some(place) if !place.is_root() => format!("{place}: {problem}"),
        _ => problem,
    };
    let line = position.and_then(|at| excerpt(text, at));
    SyntaxError {
        position,
        message,
        line,
    }
}

fn position(error: &Error) -> Option<Position> {
    let at = error.location().filter(|at| at.line() > 0)?;
    Some(Position {
        line: usize::try_from(at.line()).ok()?,
        column: usize::try_from(at.column()).ok()?,
    })
}

/// What is wrong and what to do.
fn problem(error: &Error) -> String {
    match error {
        Error::SerdeUnknownField {
            field, expected, ..
        } => unknown_key(field, expected),
        Error::SerdeMissingField { field, .. } => format!("the key `{field}` is missing; add it"),
        Error::DuplicateMappingKey { key, .. } => {
            format!(
                "the key {} is here twice; leave one",
                quoted(key.as_deref().unwrap_or("?"))
            )
        }
        Error::Eof { .. } => "the file holds no configuration; begin with `ports:`".to_owned(),
        Error::MultipleDocuments { .. } => {
            "a second document begins here; a configuration is one".to_owned()
        }
        Error::UnknownAnchor { .. } => {
            "there is no anchor of this name above; define it with `&name`".to_owned()
        }
        Error::SerdeUnknownVariant {
            variant, expected, ..
        } => unknown_word(variant, expected),
        Error::InvalidScalar { ty, .. } if ty.starts_with('u') => {
            format!("write a whole number, not negative{}", greatest(ty))
        }
        Error::InvalidScalar { ty, .. } if ty.starts_with('i') => "write a whole number".to_owned(),
        Error::InvalidScalar { .. } | Error::InvalidBooleanStrict { .. } => {
            "write true or false".to_owned()
        }
        Error::Unexpected {
            expected: "mapping start",
            ..
        } => "keys and values belong here, as `name: lab`".to_owned(),
        Error::Unexpected {
            expected: "sequence start",
            ..
        } => "a list belongs here, as `[a, b]` or lines with `- `; `[]` is none".to_owned(),
        Error::Unexpected {
            expected: "string scalar",
            ..
        } => "one text belongs here, not a list or keys".to_owned(),
        other => plain(other),
    }
}

/// What a number of this type may not exceed, as a message ends; nobody misses the end of 64 bits.
const fn greatest(ty: &str) -> &'static str {
    match ty.as_bytes() {
        b"u8" => " and at most 255",
        b"u16" => " and at most 65535",
        b"u32" => " and at most 4294967295",
        _ => "",
    }
}

fn unknown_word(word: &str, expected: &[&'static str]) -> String {
    let remedy = match nearest(word, expected.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("write {}", choice(expected)),
    };
    format!("{} is not known here; {remedy}", quoted(word))
}

/// An unknown key, with the nearest known one; a secret gets its own advice.
fn unknown_key(field: &str, expected: &[&'static str]) -> String {
    if is_secret(field) {
        let advice = match field.to_ascii_lowercase().contains("token") {
            true => {
                "name an environment variable with `session_token_env`, or a file with `session_token_file`"
            }
            false => {
                "name an environment variable with `access_key_env` and `secret_key_env`, or a file with \
                 `access_key_file` and `secret_key_file`"
            }
        };
        return format!(
            "unknown key {}; secrets do not stand in this file: {advice}",
            quoted(field)
        );
    }
    let known = expected.iter().copied();
    let remedy = match nearest(field, known.clone()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("known here: {}", known.collect::<Vec<_>>().join(", ")),
    };
    format!("unknown key {}; {remedy}", quoted(field))
}

/// Whether a key, or the line that it stands in, looks like one that would hold a secret.
fn is_secret(key: &str) -> bool {
    let key: String = key
        .to_ascii_lowercase()
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .collect();
    [
        "accesskey",
        "secret",
        "password",
        "passwd",
        "token",
        "credential",
        "privatekey",
    ]
    .iter()
    .any(|word| key.contains(word))
}

/// Any other error in the parser's own words, without the position that it repeats at its end.
fn plain(error: &Error) -> String {
    let options = serde_saphyr::render_options! { formatter: &UserMessageFormatter, snippets: SnippetMode::Off };
    let text = error.render_with_options(options);
    let text = text
        .rsplit_once(" at line ")
        .map_or(text.as_str(), |(text, _)| text);
    if text.starts_with("tabs ") {
        "a tab stands here; indent with spaces".to_owned()
    } else {
        text.to_owned()
    }
}

/// The line of a position, unless it could hold a secret or the place stands too far to the right.
fn excerpt(text: &str, at: Position) -> Option<String> {
    let line = text.lines().nth(at.line - 1)?;
    if at.column > MAX_VALUE_CHARS || is_secret(line) {
        return None;
    }
    // One column of excerpt per character of the file, so that the caret stands under its place.
    let visible = |c: char| if c.is_control() { ' ' } else { c };
    Some(
        line.chars()
            .take(2 * MAX_VALUE_CHARS)
            .map(visible)
            .collect::<String>()
            .trim_end()
            .to_owned(),
    )
}
