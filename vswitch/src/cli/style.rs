//! Colours, where somebody looks at them.

use std::fmt;
use std::io::IsTerminal;

/// What a piece of text is, from which its colour follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Paint {
    /// Just text.
    #[default]
    Plain,
    /// Allowed, healthy.
    Good,
    /// Refused, broken.
    Bad,
    /// Worth a look.
    Warn,
    /// A heading.
    Strong,
    /// What can be passed over.
    Faint,
}

impl Paint {
    /// The colour of a verdict.
    #[must_use]
    pub const fn of_verdict(is_accept: bool) -> Self {
        if is_accept { Self::Good } else { Self::Bad }
    }

    /// The "select graphic rendition" parameter (ECMA-48, section 8.3.117).
    const fn code(self) -> Option<&'static str> {
        match self {
            Self::Plain => None,
            Self::Good => Some("32"),
            Self::Bad => Some("31"),
            Self::Warn => Some("33"),
            Self::Strong => Some("1"),
            Self::Faint => Some("2"),
        }
    }
}

/// Whether a stream gets colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    colours: bool,
}

impl Style {
    /// No colours.
    pub const PLAIN: Self = Self { colours: false };

    /// Colours if `stream` is a terminal that can show them and nobody objects (<https://no-color.org>).
    #[must_use]
    pub fn of(stream: &impl IsTerminal) -> Self {
        let objects = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        Self {
            colours: stream.is_terminal() && !objects && !dumb,
        }
    }

    /// `text` in its colour.
    #[must_use]
    pub fn paint<T: fmt::Display>(self, paint: Paint, text: T) -> Painted<T> {
        Painted {
            code: paint.code().filter(|_| self.colours),
            text,
        }
    }
}

/// A text that writes itself in a colour.
#[derive(Debug, Clone, Copy)]
pub struct Painted<T> {
    code: Option<&'static str>,
    text: T,
}

impl<T: fmt::Display> fmt::Display for Painted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.code {
            Some(code) => {
                write!(f, "\x1b[{code}m")?;
                self.text.fmt(f)?;
                f.write_str("\x1b[0m")
            }
            None => self.text.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_style_with_colours_adds_to_the_text() {
        assert_eq!(Style::PLAIN.paint(Paint::Bad, "DROP").to_string(), "DROP");
        let style = Style { colours: true };
        assert_eq!(
            style.paint(Paint::Bad, "DROP").to_string(),
            "\x1b[31mDROP\x1b[0m"
        );
        assert_eq!(style.paint(Paint::Plain, "x").to_string(), "x");
    }

    #[test]
    fn padding_goes_to_the_text_and_not_to_the_colour() {
        let style = Style { colours: true };
        assert_eq!(
            format!("{:<6}|", style.paint(Paint::Good, "up")),
            "\x1b[32mup    \x1b[0m|"
        );
    }
}
