//! Names and references: what a name may be, who bears it, and which one was probably meant.

use super::ids::Kind;
use super::limits::{MAX_COMPARED_BYTES, MAX_MISTAKES_PRINTED, MAX_NAME_BYTES, MAX_NAMES_LISTED};
use super::mistake::{Findings, quoted};
use super::places::Place;
use std::collections::HashMap;
use uuid::Uuid;

/// Least length of a beginning by which a word is recognized.
const MIN_BEGINNING_BYTES: usize = 3;

/// Whether every character may stand in a name.
pub(super) fn has_name_characters(text: &str) -> bool {
    text.bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

/// Notes what is wrong with a name.
pub(super) fn check_name(name: &str, at: &Place, findings: &mut Findings) {
    let (problem, remedy) = if name.is_empty() {
        (
            "the name is empty".to_owned(),
            "write letters, digits, `. _ -`".to_owned(),
        )
    } else if name.len() > MAX_NAME_BYTES {
        (
            format!(
                "{} is longer than {MAX_NAME_BYTES} characters",
                quoted(name)
            ),
            "shorten it".to_owned(),
        )
    } else if !has_name_characters(name) {
        (
            format!("{} is not a name", quoted(name)),
            "use letters, digits, `. _ -` only".to_owned(),
        )
    } else if Uuid::try_parse(name).is_ok() {
        (
            format!("{} is a UUID", quoted(name)),
            "give it a name, and the UUID as `id`".to_owned(),
        )
    } else {
        return;
    };
    findings.mistake(at, problem, remedy);
}

/// All objects of one kind, by name and by id.
#[derive(Debug)]
pub(super) struct Names {
    kind: Kind,
    by_name: HashMap<String, usize>,
    by_id: HashMap<Uuid, usize>,
    /// Name and place of each object, by number.
    all: Vec<(String, Place)>,
}

impl Names {
    pub(super) fn new(kind: Kind) -> Self {
        Self {
            kind,
            by_name: HashMap::new(),
            by_id: HashMap::new(),
            all: Vec::new(),
        }
    }

    /// Enters the next object with its name and its id, given or derived, and checks both.
    pub(super) fn enter(
        &mut self,
        name: &str,
        id: Option<&str>,
        at: &Place,
        findings: &mut Findings,
    ) -> Uuid {
        let index = self.all.len();
        let first = self.by_name.get(name).copied();
        if let Some(first) = first {
            let problem = format!(
                "{} names a second {}; the first is {}",
                quoted(name),
                self.kind,
                self.all[first].1
            );
            findings.mistake(
                &at.key("name"),
                problem,
                "references go by name: give each its own",
            );
        } else {
            // Also under a name that cannot be, so that references to it are not mistakes of their own.
            check_name(name, &at.key("name"), findings);
            self.by_name.insert(name.to_owned(), index);
        }
        let id = self.id(name, id, at, findings);
        match self.by_id.get(&id) {
            // Two objects of one name derive one id: that mistake is told already.
            Some(other) if first.is_none() => {
                let problem = format!("`{id}` is also the id of {}", self.all[*other].1);
                findings.mistake(
                    &at.key("id"),
                    problem,
                    "leave `id` out to have one derived from the name",
                );
            }
            Some(_) => {}
            None => {
                self.by_id.insert(id, index);
            }
        }
        self.all.push((name.to_owned(), at.clone()));
        id
    }

    fn id(&self, name: &str, id: Option<&str>, at: &Place, findings: &mut Findings) -> Uuid {
        let Some(text) = id else {
            return self.kind.derive(name);
        };
        Uuid::try_parse(text).unwrap_or_else(|_| {
            let remedy = "write it as 8-4-4-4-12 hexadecimal digits, or leave `id` out to have one derived from the name";
            findings.mistake(&at.key("id"), format!("{} is not a UUID", quoted(text)), remedy);
            self.kind.derive(name)
        })
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    /// The number of the object that a reference names.
    pub(super) fn find(&self, reference: &str) -> Option<usize> {
        let by_id = || {
            Uuid::try_parse(reference)
                .ok()
                .and_then(|id| self.by_id.get(&id))
        };
        self.by_name.get(reference).or_else(by_id).copied()
    }

    /// The number of the object that a reference names, noting a mistake where there is none.
    pub(super) fn resolve(
        &self,
        reference: &str,
        at: &Place,
        findings: &mut Findings,
    ) -> Option<usize> {
        let found = self.find(reference);
        if found.is_none() {
            let problem = format!("no {} has the name or id {}", self.kind, quoted(reference));
            let remedy = self.suggestion(reference, &[], findings);
            findings.mistake(at, problem, remedy);
        }
        found
    }

    /// As [`Self::resolve`], of the reference that stands under `key` at `at`; where none does, the only
    /// object that there is.
    pub(super) fn resolve_or_only(
        &self,
        reference: Option<&str>,
        at: &Place,
        key: &str,
        findings: &mut Findings,
    ) -> Option<usize> {
        if let Some(reference) = reference {
            return self.resolve(reference, &at.key(key), findings);
        }
        if let [_] = self.all.as_slice() {
            return Some(0);
        }
        let problem = match self.all.len() {
            0 => format!("`{key}` is missing"),
            number => {
                format!("`{key}` is missing, and there are {number} of its kind to choose from")
            }
        };
        findings.mistake(at, problem, self.suggestion("", &[], findings));
        None
    }

    /// What could have been meant, of these objects and of further names.
    ///
    /// Only for as many mistakes as are printed: each compares all names.
    pub(super) fn suggestion(
        &self,
        reference: &str,
        further: &[&str],
        findings: &Findings,
    ) -> String {
        if findings.count() >= MAX_MISTAKES_PRINTED {
            return format!("write the name or id of a {}", self.kind);
        }
        let known = || {
            self.all
                .iter()
                .map(|(name, _)| name.as_str())
                .chain(further.iter().copied())
        };
        if let Some(near) = nearest(reference, known()) {
            return format!("did you mean `{near}`?");
        }
        let listed: Vec<&str> = known().take(MAX_NAMES_LISTED).collect();
        let more = known().count() - listed.len();
        match (listed.as_slice(), more) {
            ([], _) => format!("the file has no {} yet: add it", self.kind),
            (names, 0) => format!("there are: {}", names.join(", ")),
            (names, more) => format!("there are: {} and {more} more", names.join(", ")),
        }
    }
}

/// The known word that was probably meant: the nearest where it is near, else the only one that begins so.
pub(super) fn nearest<'a>(
    wrong: &str,
    known: impl Iterator<Item = &'a str> + Clone,
) -> Option<&'a str> {
    let limit = (wrong.chars().count() / 3).clamp(1, 3);
    let near = known
        .clone()
        .filter(|word| word.len() <= MAX_COMPARED_BYTES)
        .filter(|word| word.len().abs_diff(wrong.len()) <= limit)
        .map(|word| (distance(wrong, word), word))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance);
    let mut longer =
        known.filter(|word| wrong.len() >= MIN_BEGINNING_BYTES && word.starts_with(wrong));
    near.map(|(_, word)| word)
        .or_else(|| longer.next().filter(|_| longer.next().is_none()))
}

/// Words of which one is to be written: "`a`, `b` or `c`".
pub(super) fn choice(words: &[&str]) -> String {
    let words: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    match words.as_slice() {
        [] => String::new(),
        [only] => only.clone(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}

/// Insertions, deletions, replacements and swaps of neighbours between two words, in which letters of
/// either case are equal (optimal string alignment).
fn distance(a: &str, b: &str) -> usize {
    let letters = |word: &str| word.to_lowercase().chars().collect::<Vec<char>>();
    let (a, b) = (letters(a), letters(b));
    let mut rows: Vec<Vec<usize>> = vec![(0..=b.len()).collect()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let replaced = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut least = replaced.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(rows[i - 2][j - 2] + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_offered_only_when_it_is_near() {
        let known = || ["web", "bastion", "database"].into_iter();
        assert_eq!(nearest("wbe", known()), Some("web"), "letters swapped");
        assert_eq!(nearest("wep", known()), Some("web"));
        assert_eq!(
            nearest("wxy", known()),
            None,
            "two letters of three make another word"
        );
        assert_eq!(nearest("databse", known()), Some("database"));
        assert_eq!(nearest("Bastion", known()), Some("bastion"));
        assert_eq!(
            nearest("data", known()),
            Some("database"),
            "the only one that begins so"
        );
        assert_eq!(nearest("mail", known()), None);
        assert_eq!(nearest("", known()), None);
    }
}
