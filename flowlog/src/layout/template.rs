//! Text with `#{variables}`, as in the seed's partition and file name.

use super::zone::Civil;
use std::fmt::Write as _;
use uuid::Uuid;

/// What stands for a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Variable {
    LoggerId,
    Year,
    Month,
    Day,
    Hour,
    Minute,
    Second,
}

impl Variable {
    pub(super) const ALL: [Self; 7] = [
        Self::LoggerId,
        Self::Year,
        Self::Month,
        Self::Day,
        Self::Hour,
        Self::Minute,
        Self::Second,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::LoggerId => "logger_id",
            Self::Year => "year",
            Self::Month => "month",
            Self::Day => "day",
            Self::Hour => "hour",
            Self::Minute => "minute",
            Self::Second => "second",
        }
    }

    fn named(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|variable| variable.name() == name)
    }
}

/// A piece of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Variable(Variable),
}

/// A template that was understood; what may stand in it is its owner's to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Template(Vec<Piece>);

/// What is wrong with the form of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Syntax {
    /// `#{` without `}`.
    Open,
    /// `#{name}` of no variable.
    Variable(String),
    /// A character that is not allowed.
    Character(char),
}

impl Template {
    /// Understands a template whose text consists of characters that `allowed` admits.
    pub(super) fn parse(text: &str, allowed: fn(char) -> bool) -> Result<Self, Syntax> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            let (plain, from_variable) = rest.split_at(rest.find("#{").unwrap_or(rest.len()));
            if let Some(wrong) = plain.chars().find(|c| !allowed(*c)) {
                return Err(Syntax::Character(wrong));
            }
            if !plain.is_empty() {
                pieces.push(Piece::Text(plain.to_owned()));
            }
            rest = from_variable;
            if let Some(inside) = from_variable.strip_prefix("#{") {
                let (name, behind) = inside.split_once('}').ok_or(Syntax::Open)?;
                let variable =
                    Variable::named(name).ok_or_else(|| Syntax::Variable(name.to_owned()))?;
                pieces.push(Piece::Variable(variable));
                rest = behind;
            }
        }
        Ok(Self(pieces))
    }

    /// How often a variable stands in it.
    pub(super) fn count(&self, variable: Variable) -> usize {
        self.0
            .iter()
            .filter(|piece| **piece == Piece::Variable(variable))
            .count()
    }

    /// The text with its variables filled.
    pub(super) fn fill(&self, logger: Uuid, start: &Civil) -> String {
        let mut filled = String::new();
        for piece in &self.0 {
            let written = match piece {
                Piece::Text(text) => filled.write_str(text),
                Piece::Variable(Variable::LoggerId) => write!(filled, "{logger}"),
                Piece::Variable(Variable::Year) => write!(filled, "{:04}", start.year),
                Piece::Variable(Variable::Month) => write!(filled, "{:02}", start.month),
                Piece::Variable(Variable::Day) => write!(filled, "{:02}", start.day),
                Piece::Variable(Variable::Hour) => write!(filled, "{:02}", start.hour),
                Piece::Variable(Variable::Minute) => write!(filled, "{:02}", start.minute),
                Piece::Variable(Variable::Second) => write!(filled, "{:02}", start.second),
            };
            written.expect("a String takes what is written to it");
        }
        filled
    }
}
