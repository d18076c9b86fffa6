//! Text from outside on its way to a terminal, a table or a line of CSV.
//!
//! Files, stores and captures may hold anything: escape sequences that a terminal obeys, line ends that
//! forge a row, marks that turn the direction of writing. All of them are shown as Rust writes them in
//! source text (`\n`, `\u{1b}`), so that one value stays one value and is seen for what it is.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Whether a character acts instead of being shown: control characters (C0, DEL, C1), line and
/// paragraph separators, and the invisible marks that reorder text or hide in it (Unicode TR 36).
fn acts(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{61c}' | '\u{180e}' | '\u{e0000}'..='\u{e007f}')
}

/// The text with everything that would act on its reader escaped.
#[must_use]
pub(super) fn escaped(text: &str) -> Cow<'_, str> {
    if !text.contains(acts) {
        return Cow::Borrowed(text);
    }
    let mut plain = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match acts(c) {
            true => plain.extend(c.escape_default()),
            false => plain.push(c),
        }
    }
    Cow::Owned(plain)
}

/// A value of a CSV file: escaped, and in quotes where it would break the line apart (RFC 4180).
#[must_use]
pub(super) fn csv(text: &str) -> Cow<'_, str> {
    let text = escaped(text);
    match text.contains([',', '"']) {
        true => Cow::Owned(format!("\"{}\"", text.replace('"', "\"\""))),
        false => text,
    }
}

/// JSON text in which what acts is escaped too, beyond what JSON asks for.
#[must_use]
pub(super) fn json(text: &str) -> Cow<'_, str> {
    // Outside of strings JSON has no such character but the line ends of its layout.
    let acts = |c: char| c != '\n' && acts(c);
    if !text.contains(acts) {
        return Cow::Borrowed(text);
    }
    let mut plain = String::with_capacity(text.len() + 16);
    let mut units = [0; 2];
    for c in text.chars() {
        if !acts(c) {
            plain.push(c);
            continue;
        }
        for unit in c.encode_utf16(&mut units) {
            write!(plain, "\\u{unit:04x}").expect("a String takes what is written to it");
        }
    }
    Cow::Owned(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_acts_on_a_terminal_is_shown_and_the_rest_stays_as_it_is() {
        assert_eq!(escaped("vm1 é 한"), "vm1 é 한");
        assert_eq!(escaped("a\x1b[2J\r\nb"), "a\\u{1b}[2J\\r\\nb");
        assert_eq!(escaped("\u{9b}31m\u{7f}"), "\\u{9b}31m\\u{7f}");
        assert_eq!(escaped("\u{202e}gpj"), "\\u{202e}gpj");
        assert_eq!(escaped("a\u{61c}\u{e0041}"), "a\\u{61c}\\u{e0041}");
    }

    #[test]
    fn a_value_of_csv_is_one_value_of_one_line() {
        assert_eq!(csv("web"), "web");
        assert_eq!(csv("a,b\n1,2"), "\"a,b\\n1,2\"");
        assert_eq!(csv("say \"x\""), "\"say \"\"x\"\"\"");
    }

    #[test]
    fn json_keeps_its_meaning() {
        let text = serde_json::to_string("\u{9b}\u{202e}\u{1b}\n").unwrap();
        let plain = json(&text);
        assert!(!plain.contains(char::is_control), "{plain}");
        let back: String = serde_json::from_str(&plain).unwrap();
        assert_eq!(back, "\u{9b}\u{202e}\u{1b}\n");
    }
}
