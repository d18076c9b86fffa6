//! Where things stand in the file: paths of keys, and the line and column of each.
//!
//! ```text
//!   ports:                         ports                       line 9,  column 1
//!     - name: vm1                  ports[0].name               line 10, column 11
//!       security_groups: [wbe]     ports[0].security_groups[0] line 11, column 25
//! ```
//!
//! serde hands values over without their positions, so the events of the YAML parser are walked a
//! second time, only when there is something to report.

use serde::Serialize;
use serde_saphyr::granit_parser::{Event, Parser};
use std::collections::HashMap;
use std::fmt;

/// A place in the file, as `ports[2].security_groups[0]`; the file itself is the empty text.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize)]
pub struct Place(String);

impl Place {
    /// The file itself.
    #[must_use]
    pub fn root() -> Self {
        Self::default()
    }

    /// A key of the mapping at this place.
    #[must_use]
    pub fn key(&self, key: &str) -> Self {
        if self.0.is_empty() {
            Self(key.to_owned())
        } else {
            Self(format!("{}.{key}", self.0))
        }
    }

    /// An element of the list at this place, from 0.
    #[must_use]
    pub fn item(&self, index: usize) -> Self {
        Self(format!("{}[{index}]", self.0))
    }

    /// The mapping or list that this place is in; none for the file itself.
    pub(super) fn parent(&self) -> Option<Self> {
        let cut = self.0.rfind(['.', '[']).unwrap_or(0);
        (!self.0.is_empty()).then(|| Self(self.0[..cut].to_owned()))
    }

    /// Whether this is the file itself.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Line and column, both from 1, columns in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct Position {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
}

impl Position {
    /// The beginning of the file.
    pub const START: Self = Self { line: 1, column: 1 };
}

/// The positions of all places of a file.
#[derive(Debug, Default)]
pub(super) struct Places {
    positions: HashMap<Place, Position>,
}

impl Places {
    /// Reads the positions; of a file with a mistake of syntax, those before it.
    pub(super) fn of(text: &str) -> Self {
        let mut walk = Walk::default();
        for event in Parser::new_from_str(text) {
            let Ok((event, span)) = event else { break };
            // The parser counts columns from 0.
            let position = Position {
                line: span.start.line(),
                column: span.start.col() + 1,
            };
            walk.step(&event, position);
        }
        Self {
            positions: walk.positions,
        }
    }

    /// The position of a place; where a key is absent (or came by an alias), that of what it is missing in.
    pub(super) fn position(&self, place: &Place) -> Position {
        let mut place = Some(place.clone());
        while let Some(here) = place {
            if let Some(position) = self.positions.get(&here) {
                return *position;
            }
            place = here.parent();
        }
        Position::START
    }

    /// The innermost place whose value or key stands at or last before a position.
    pub(super) fn at(&self, position: Position) -> Place {
        self.positions
            .iter()
            .filter(|(_, start)| **start <= position)
            .max_by_key(|(place, start)| (**start, place.0.len()))
            .map(|(place, _)| place.clone())
            .unwrap_or_default()
    }
}

/// A list or mapping that is being walked, and what comes next in it.
enum Inside {
    List { at: Place, next: usize },
    Mapping { at: Place, key: Option<Place> },
}

#[derive(Default)]
struct Walk {
    stack: Vec<Inside>,
    positions: HashMap<Place, Position>,
}

impl Walk {
    fn step(&mut self, event: &Event<'_>, position: Position) {
        match event {
            Event::SequenceStart(..) => {
                let at = self.value(position);
                self.stack.push(Inside::List { at, next: 0 });
            }
            Event::MappingStart(..) => {
                let at = self.value(position);
                self.stack.push(Inside::Mapping { at, key: None });
            }
            Event::SequenceEnd | Event::MappingEnd => {
                self.stack.pop();
            }
            Event::Scalar(text, ..) => self.scalar(text, position),
            Event::Alias(..) => {
                self.value(position);
            }
            _ => {}
        }
    }

    /// A scalar is a key where a mapping waits for one.
    fn scalar(&mut self, text: &str, position: Position) {
        match self.stack.last_mut() {
            Some(Inside::Mapping {
                at,
                key: key @ None,
            }) => {
                let place = at.key(text);
                self.positions.insert(place.clone(), position);
                *key = Some(place);
            }
            _ => {
                self.value(position);
            }
        }
    }

    /// The place of the value that begins here.
    fn value(&mut self, position: Position) -> Place {
        let place = match self.stack.last_mut() {
            None => Place::root(),
            Some(Inside::List { at, next }) => {
                *next += 1;
                at.item(*next - 1)
            }
            Some(Inside::Mapping { at, key }) => key.take().unwrap_or_else(|| at.clone()),
        };
        // A key keeps its own position: that is where the eye looks for it.
        self.positions.entry(place.clone()).or_insert(position);
        place
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_has_the_position_of_its_key_or_element() {
        let places = Places::of("a: 1\nb:\n  - c: 2\n    d: [x, y]\n  - 3\n");
        let at = |place: Place| (places.position(&place).line, places.position(&place).column);
        let b = Place::root().key("b");
        assert_eq!(at(Place::root().key("a")), (1, 1));
        assert_eq!(at(b.item(0).key("d").item(1)), (4, 12));
        assert_eq!(at(b.item(1)), (5, 5));
        assert_eq!(
            at(b.item(0).key("absent").key("deeper")),
            (3, 5),
            "the mapping it is missing in"
        );
        assert_eq!(
            places.at(Position { line: 4, column: 9 }).to_string(),
            "b[0].d[0]"
        );
    }
}
