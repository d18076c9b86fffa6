//! Mistakes of meaning: each with its place, the value, what is wrong and what to do.

use super::limits::MAX_VALUE_CHARS;
use super::places::{Place, Places, Position};
use serde::Serialize;
use std::collections::HashSet;
use std::fmt;

/// One mistake of meaning in a configuration file.
///
/// Text form, one line and its remedy below:
///
/// ```text
/// line 12: ports[2].security_groups[0]: `wbe` is no security group
///     did you mean `web`?
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Mistake {
    /// Where, as a path of keys and positions.
    pub place: Place,
    /// Line and column, from 1.
    pub position: Position,
    /// What is wrong, with the value.
    pub problem: String,
    /// What to do about it.
    pub remedy: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            place,
            position,
            problem,
            remedy,
        } = self;
        write!(
            f,
            "line {}: {place}: {problem}\n    {remedy}",
            position.line
        )
    }
}

/// Something worth a line that is no mistake: a duplicate rule that was merged, an unusual setting.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Notice {
    /// Where, as a path of keys and positions.
    pub place: Place,
    /// Line and column, from 1.
    pub position: Position,
    /// What to know.
    pub text: String,
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "line {}: {}: {}",
            self.position.line, self.place, self.text
        )
    }
}

/// What the checks found so far.
#[derive(Debug, Default)]
pub(super) struct Findings {
    mistakes: Vec<(Place, String, String)>,
    notices: Vec<(Place, String)>,
}

impl Findings {
    /// Notes a mistake.
    pub(super) fn mistake(
        &mut self,
        place: &Place,
        problem: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        self.mistakes
            .push((place.clone(), problem.into(), remedy.into()));
    }

    /// Notes something that is no mistake.
    pub(super) fn notice(&mut self, place: &Place, text: impl Into<String>) {
        self.notices.push((place.clone(), text.into()));
    }

    /// Whether there is nothing to tell.
    pub(super) fn is_empty(&self) -> bool {
        self.mistakes.is_empty() && self.notices.is_empty()
    }

    /// Mistakes found so far.
    pub(super) fn count(&self) -> usize {
        self.mistakes.len()
    }

    /// The places that have a mistake, and those that they are in.
    pub(super) fn places(&self) -> HashSet<Place> {
        let chain = |place: &Place| std::iter::successors(Some(place.clone()), Place::parent);
        self.mistakes
            .iter()
            .flat_map(|(place, ..)| chain(place))
            .collect()
    }

    /// Mistakes and notices with their positions, in the order of the file.
    pub(super) fn located(self, places: &Places) -> (Vec<Mistake>, Vec<Notice>) {
        let mut mistakes: Vec<Mistake> = self
            .mistakes
            .into_iter()
            .map(|(place, problem, remedy)| Mistake {
                position: places.position(&place),
                place,
                problem,
                remedy,
            })
            .collect();
        // Stable: several mistakes of one place keep the order of the checks.
        mistakes.sort_by_key(|mistake| mistake.position);
        let mut notices: Vec<Notice> = self
            .notices
            .into_iter()
            .map(|(place, text)| Notice {
                position: places.position(&place),
                place,
                text,
            })
            .collect();
        notices.sort_by_key(|notice| notice.position);
        (mistakes, notices)
    }
}

/// A value from the file as messages quote it: without control characters, and not longer than a line.
pub(super) fn quoted(value: &str) -> String {
    let mut text: String = value
        .chars()
        .take(MAX_VALUE_CHARS)
        .flat_map(char::escape_debug)
        .collect();
    if value.chars().nth(MAX_VALUE_CHARS).is_some() {
        text.push('…');
    }
    format!("`{text}`")
}
