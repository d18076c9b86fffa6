//! Shapes of YAML values that serde's derive does not have.

use schemars::JsonSchema;
use serde::de::value::SeqAccessDeserializer;
use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use std::fmt;

/// One text, or a list of texts.
///
/// Written by hand: an untagged enum would say "did not match any variant" and lose the position.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema)]
#[schemars(untagged)]
pub enum OneOrMany {
    /// A text alone.
    One(String),
    /// A list.
    Many(Vec<String>),
}

impl OneOrMany {
    /// The texts; a text alone is a list of one.
    #[must_use]
    pub fn as_slice(&self) -> &[String] {
        match self {
            Self::One(text) => std::slice::from_ref(text),
            Self::Many(list) => list,
        }
    }
}

impl<'de> Deserialize<'de> for OneOrMany {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(OneOrManyVisitor)
    }
}

struct OneOrManyVisitor;

impl<'de> Visitor<'de> for OneOrManyVisitor {
    type Value = OneOrMany;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text or a list of texts")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<OneOrMany, E> {
        Ok(OneOrMany::One(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<OneOrMany, A::Error> {
        Vec::deserialize(SeqAccessDeserializer::new(list)).map(OneOrMany::Many)
    }
}

/// A template that stands there. Without quotes `#{year}` is a comment, and the key would be taken as one
/// that was left out.
pub(super) fn template<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    let text = Option::<String>::deserialize(from)?;
    let missing = "no template stands here; put it in quotes: outside them `#` begins a comment";
    text.map(Some).ok_or_else(|| D::Error::custom(missing))
}

/// Groups that stand there. A key with nothing behind it would be taken as one that was left out, and a
/// port whose groups were all struck off would have the group `default`.
pub(super) fn groups<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Vec<String>>, D::Error> {
    let groups = Option::<Vec<String>>::deserialize(from)?;
    let missing = "no list stands here; write `[]` for no group, or leave the key out for the group `default`";
    groups.map(Some).ok_or_else(|| D::Error::custom(missing))
}

/// A text or a whole number, read as text: for the schema only, since YAML scalars read as text anyway.
#[derive(JsonSchema)]
#[schemars(untagged)]
#[expect(dead_code, reason = "describes a shape to the schema, is never built")]
pub(super) enum TextOrNumber {
    Text(String),
    Number(u64),
}
