//! Single values: numbers in their range, texts of their form.

use crate::config::mistake::{Findings, quoted};
use crate::config::names::{choice, has_name_characters, nearest};
use crate::config::places::Place;
use secgroup::Limit;
use secgroup::conntrack::TimeoutError;
use std::fmt::Display;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::num::NonZeroU16;
use std::ops::RangeInclusive;
use std::str::FromStr;

/// A number in its range; outside it, a mistake and the lower end as stand-in.
pub(super) fn ranged<N>(
    value: N,
    range: RangeInclusive<N>,
    unit: &str,
    at: &Place,
    findings: &mut Findings,
) -> N
where
    N: PartialOrd + Copy + Display,
{
    if range.contains(&value) {
        return value;
    }
    let (start, end) = (*range.start(), *range.end());
    findings.mistake(
        at,
        format!("{value} is out of range"),
        format!("write {start} to {end}{unit}"),
    );
    start
}

/// A list that is too long is a mistake.
pub(super) fn check_count(len: usize, max: usize, at: &Place, findings: &mut Findings) {
    if len > max {
        findings.mistake(
            at,
            format!("{len} entries are more than the {max} that may stand here"),
            "leave some out",
        );
    }
}

/// A word with the characters of names that is no name of an object.
pub(super) fn check_word(text: &str, what: &str, at: &Place, findings: &mut Findings) {
    if text.is_empty()
        || text.len() > crate::config::limits::MAX_NAME_BYTES
        || !has_name_characters(text)
    {
        let problem = format!("{} cannot be {what}", quoted(text));
        findings.mistake(at, problem, "use letters, digits, `. _ -` only");
    }
}

/// Whether a limit of the security groups is kept; beyond it nothing is read one by one.
pub(super) fn check_limit(limit: Limit, len: usize, at: &Place, findings: &mut Findings) -> bool {
    limit
        .check(len)
        .inspect_err(|error| worded(error, at, findings))
        .is_ok()
}

/// The value of a word of a closed list; for another word, a mistake with the words that there are.
pub(super) fn one_of<T: Copy>(
    text: &str,
    known: &[(&str, T)],
    at: &Place,
    findings: &mut Findings,
) -> Option<T> {
    let found = known
        .iter()
        .find(|(word, _)| *word == text)
        .map(|(_, value)| *value);
    if found.is_none() {
        let words: Vec<&str> = known.iter().map(|(word, _)| *word).collect();
        let remedy = match nearest(text, words.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("write {}", choice(&words)),
        };
        findings.mistake(at, format!("{} is not known here", quoted(text)), remedy);
    }
    found
}

/// Whether a text is a host as an address has it: a name, an IPv4 address, or an IPv6 one in brackets.
/// What ends in a number is an IPv4 address or nothing, as in a URL.
pub(super) fn is_host(text: &str) -> bool {
    if let Some(inside) = text.strip_prefix('[') {
        let v6 = inside.strip_suffix(']').map(str::parse::<Ipv6Addr>);
        return v6.is_some_and(|v6| v6.is_ok());
    }
    let is_label = |label: &str| {
        let is_of_label = |c: char| c.is_ascii_alphanumeric() || "_-".contains(c);
        !label.is_empty() && label.chars().all(is_of_label)
    };
    let last = text.rsplit('.').next().unwrap_or_default();
    match last.bytes().all(|byte| byte.is_ascii_digit()) {
        true => text.parse::<Ipv4Addr>().is_ok(),
        false => text.split('.').all(is_label),
    }
}

/// Whether a text is the number of a port that something can listen on.
pub(super) fn is_port(text: &str) -> bool {
    text.parse::<NonZeroU16>().is_ok()
}

/// A value read from text; what does not read is a mistake in the words of its reader's error.
///
/// Errors of this program have the form `PROBLEM; REMEDY`.
pub(super) fn parsed<T>(text: &str, at: &Place, findings: &mut Findings) -> Option<T>
where
    T: FromStr,
    T::Err: Display,
{
    match text.parse() {
        Ok(value) => Some(value),
        Err(error) => {
            worded(&error, at, findings);
            None
        }
    }
}

/// Notes a timeout that cannot be; `at` is the mapping it stands in.
pub(super) fn timeout_mistake(
    error: &TimeoutError,
    name: &str,
    at: &Place,
    findings: &mut Findings,
) {
    // The place says the name already.
    let text = error.to_string();
    let text = text.trim_start_matches(name).trim_start_matches(": ");
    worded(&text, &at.key(name), findings);
}

/// Notes an error whose text has the form `PROBLEM; REMEDY`.
pub(super) fn worded(error: &impl Display, at: &Place, findings: &mut Findings) {
    let text = error.to_string();
    let (problem, remedy) = text.split_once("; ").unwrap_or((&text, "correct it"));
    findings.mistake(at, problem, remedy);
}
