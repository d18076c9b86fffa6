//! Sets of rules as bits, and the question "which is the first in both?".
//!
//! ```text
//!   few      in the row's number     one rule or two: no memory but where the row is named
//!   sparse   [(index, 64 bits), …]   what few rules are in: costs what it holds
//!   dense    [64 bits, …]            what many are in: found by index, and smaller then
//! ```

use crate::ModelError;
use crate::limits::POLICY_CHUNKS_MAX;
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use std::collections::BTreeMap;

/// 64 rules: those of number `64 * index + bit`. Empty ones are not stored, so that a row costs
/// what it holds, and not what the policy holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Chunk {
    index: u32,
    bits: u64,
}

impl Chunk {
    /// Of one rule.
    const fn of(rule: u32) -> Self {
        Self {
            index: rule / 64,
            bits: 1 << (rule % 64),
        }
    }
}

/// One set of rules in [`Rows`]: its place, or with [`FEW`] its one or two rules themselves. Most rows
/// are so, and in a large policy each place that is looked at costs a trip to memory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct RowId(u64);

const FEW: u64 = 1 << 63;

impl RowId {
    /// The empty set.
    pub(super) const EMPTY: Self = Self(0);

    /// The lower rule in the lower half; where there is only one, in both.
    const fn of_few(low: u32, high: u32) -> Self {
        Self(FEW | (high as u64) << 32 | low as u64)
    }

    const fn few(self) -> Option<(u32, u32)> {
        match self.0 & FEW {
            0 => None,
            _ => Some((self.0 as u32, (self.0 >> 32) as u32 & !(1 << 31))),
        }
    }
}

/// A set as it is stored.
#[derive(Debug, Clone, Copy)]
pub(super) enum Row<'a> {
    /// One chunk or two.
    Few([Chunk; 2], usize),
    /// Chunks in ascending order.
    Sparse(&'a [Chunk]),
    /// The bits of every 64 rules from the first on.
    Dense(&'a [u64]),
}

impl Row<'_> {
    #[inline]
    const fn of_few(low: u32, high: u32) -> Self {
        let low = Chunk::of(low);
        let high = Chunk::of(high);
        if low.index == high.index {
            let both = Chunk {
                index: low.index,
                bits: low.bits | high.bits,
            };
            Self::Few([both; 2], 1)
        } else {
            Self::Few([low, high], 2)
        }
    }

    /// The chunks of a row that is not dense.
    #[inline]
    fn chunks(&self) -> &[Chunk] {
        match self {
            Self::Few(chunks, len) => &chunks[..*len],
            Self::Sparse(chunks) => chunks,
            Self::Dense(_) => &[],
        }
    }
}

/// All sets of a matcher, each stored once.
#[derive(Debug, Clone)]
pub(super) struct Rows {
    chunks: Box<[Chunk]>,
    words: Box<[u64]>,
    spans: Box<[Span]>,
}

/// Where a row lies.
#[derive(Debug, Clone, Copy)]
struct Span {
    start: u32,
    end: u32,
    dense: bool,
}

impl Rows {
    #[inline]
    pub(super) fn get(&self, id: RowId) -> Row<'_> {
        if let Some((low, high)) = id.few() {
            return Row::of_few(low, high);
        }
        let Span { start, end, dense } = self.spans[id.0 as usize];
        let range = start as usize..end as usize;
        if dense {
            Row::Dense(&self.words[range])
        } else {
            Row::Sparse(&self.chunks[range])
        }
    }
}

/// A set under construction.
#[derive(Debug, Clone, Default)]
pub(super) struct RowDraft(BTreeMap<u32, u64>);

impl RowDraft {
    pub(super) fn insert(&mut self, rule: u32) {
        *self.0.entry(rule / 64).or_default() |= 1 << (rule % 64);
    }

    pub(super) fn remove(&mut self, rule: u32) {
        if let Some(bits) = self.0.get_mut(&(rule / 64)) {
            *bits &= !(1 << (rule % 64));
            if *bits == 0 {
                self.0.remove(&(rule / 64));
            }
        }
    }
}

/// Collects rows; equal ones become one.
#[derive(Debug)]
pub(super) struct RowsBuilder {
    chunks: Vec<Chunk>,
    words: Vec<u64>,
    spans: Vec<Span>,
    known: HashMap<Box<[Chunk]>, RowId, FixedState>,
}

impl RowsBuilder {
    pub(super) fn new() -> Self {
        let empty = Span {
            start: 0,
            end: 0,
            dense: false,
        };
        Self {
            chunks: Vec::new(),
            words: Vec::new(),
            spans: vec![empty],
            known: HashMap::from_iter([(Box::default(), RowId::EMPTY)]),
        }
    }

    /// Stores a row.
    ///
    /// # Errors
    /// [`ModelError::PolicyTooLarge`] above [`POLICY_CHUNKS_MAX`].
    pub(super) fn add(&mut self, draft: &RowDraft) -> Result<RowId, ModelError> {
        let row: Box<[Chunk]> = draft
            .0
            .iter()
            .map(|(index, bits)| Chunk {
                index: *index,
                bits: *bits,
            })
            .collect();
        if let Some(known) = self.known.get(&row) {
            return Ok(*known);
        }
        if let Some(few) = few_of(&row) {
            return Ok(few);
        }
        // Both counted as chunks, which are two words.
        if self.chunks.len() + self.words.len() / 2 + row.len() > POLICY_CHUNKS_MAX {
            return Err(ModelError::PolicyTooLarge);
        }
        let id = RowId(self.spans.len() as u64);
        let span = self.store(&row);
        self.spans.push(span);
        self.known.insert(row, id);
        Ok(id)
    }

    /// In the form that is smaller.
    fn store(&mut self, row: &[Chunk]) -> Span {
        let words = row.last().map_or(0, |last| last.index as usize + 1);
        if words > 2 * row.len() {
            let start = self.chunks.len() as u32;
            self.chunks.extend_from_slice(row);
            let end = self.chunks.len() as u32;
            return Span {
                start,
                end,
                dense: false,
            };
        }
        let start = self.words.len();
        self.words.resize(start + words, 0);
        for chunk in row {
            self.words[start + chunk.index as usize] = chunk.bits;
        }
        Span {
            start: start as u32,
            end: self.words.len() as u32,
            dense: true,
        }
    }

    pub(super) fn build(self) -> Rows {
        Rows {
            chunks: self.chunks.into(),
            words: self.words.into(),
            spans: self.spans.into(),
        }
    }
}

/// The row's number, where it has one rule or two.
fn few_of(row: &[Chunk]) -> Option<RowId> {
    let rules: u32 = row.iter().map(|chunk| chunk.bits.count_ones()).sum();
    if !(1..=2).contains(&rules) {
        return None;
    }
    let (first, last) = (row.first()?, row.last()?);
    let low = first.index * 64 + first.bits.trailing_zeros();
    let high = last.index * 64 + last.bits.ilog2();
    Some(RowId::of_few(low, high))
}

/// The lowest rule below `limit` that is in both sets and that `holds`.
#[inline]
pub(super) fn first_common(
    left: Row<'_>,
    right: Row<'_>,
    limit: u32,
    holds: impl Fn(u32) -> bool,
) -> Option<u32> {
    match (&left, &right) {
        (Row::Dense(left), Row::Dense(right)) => {
            let common = left.iter().zip(*right).map(|(left, right)| left & right);
            first_of((0..).zip(common), limit, holds)
        }
        (Row::Dense(dense), other) | (other, Row::Dense(dense)) => {
            let common = other
                .chunks()
                .iter()
                .map(|chunk| (chunk.index, chunk.bits & word(dense, chunk.index)));
            first_of(common, limit, holds)
        }
        _ => first_of_sparse(left.chunks(), right.chunks(), limit, holds),
    }
}

#[inline]
fn word(dense: &[u64], index: u32) -> u64 {
    dense.get(index as usize).copied().unwrap_or(0)
}

/// The lowest rule below `limit` that `holds`, of chunks in ascending order.
#[inline]
fn first_of(
    chunks: impl Iterator<Item = (u32, u64)>,
    limit: u32,
    holds: impl Fn(u32) -> bool,
) -> Option<u32> {
    for (index, bits) in chunks {
        if index > limit / 64 {
            return None;
        }
        let mut left = bits;
        while left != 0 {
            let rule = index * 64 + left.trailing_zeros();
            if rule >= limit {
                return None;
            }
            if holds(rule) {
                return Some(rule);
            }
            left &= left - 1;
        }
    }
    None
}

#[inline]
fn first_of_sparse(
    mut left: &[Chunk],
    mut right: &[Chunk],
    limit: u32,
    holds: impl Fn(u32) -> bool,
) -> Option<u32> {
    let common = std::iter::from_fn(|| {
        while let ([l, left_rest @ ..], [r, right_rest @ ..]) = (left, right) {
            if l.index < r.index {
                left = skip(left_rest, r.index);
            } else if r.index < l.index {
                right = skip(right_rest, l.index);
            } else {
                (left, right) = (left_rest, right_rest);
                return Some((l.index, l.bits & r.bits));
            }
        }
        None
    });
    first_of(common, limit, holds)
}

/// What is left from `index` on, in steps that double: a short row crosses a long one quickly.
#[inline]
fn skip(row: &[Chunk], index: u32) -> &[Chunk] {
    let mut step = 1;
    let mut start = 0;
    while start + step <= row.len() && row[start + step - 1].index < index {
        start += step;
        step *= 2;
    }
    let end = (start + step).min(row.len());
    let offset = row[start..end].partition_point(|chunk| chunk.index < index);
    &row[start + offset..]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn stored(rules: &BTreeSet<u32>) -> (Rows, RowId) {
        let mut draft = RowDraft::default();
        rules.iter().for_each(|rule| draft.insert(*rule));
        let mut builder = RowsBuilder::new();
        let id = builder.add(&draft).unwrap();
        (builder.build(), id)
    }

    proptest! {
        /// Sparse and dense rows, so that one is crossed in long steps by the other.
        #[test]
        fn the_first_common_rule_is_the_least_of_the_intersection(
            sparse in prop::collection::btree_set(0..20_000_u32, 0..12),
            dense in prop_oneof![
                prop::collection::btree_set(0..20_000_u32, 0..800),
                prop::collection::btree_set(0..2_000_u32, 0..800),
            ],
            limit in 0..25_000_u32,
            odd_only in any::<bool>(),
        ) {
            let ((left, l), (right, r)) = (stored(&sparse), stored(&dense));
            let holds = |rule: u32| !odd_only || rule % 2 == 1;
            let expected = sparse.intersection(&dense).copied().find(|rule| *rule < limit && holds(*rule));
            prop_assert_eq!(first_common(left.get(l), right.get(r), limit, holds), expected);
            prop_assert_eq!(first_common(right.get(r), left.get(l), limit, holds), expected);
            let own = dense.iter().copied().find(|rule| *rule < limit && holds(*rule));
            prop_assert_eq!(first_common(right.get(r), right.get(r), limit, holds), own);
        }
    }

    #[test]
    fn equal_rows_are_stored_once_and_a_removed_rule_is_gone() {
        let mut builder = RowsBuilder::new();
        let mut draft = RowDraft::default();
        let empty = builder.add(&draft).unwrap();
        draft.insert(70);
        let one = builder.add(&draft).unwrap();
        draft.insert(3);
        draft.remove(3);
        let again = builder.add(&draft).unwrap();
        draft.remove(70);
        assert_eq!((again, builder.add(&draft).unwrap()), (one, empty));
        let rows = builder.build();
        assert!(matches!(rows.get(empty), Row::Sparse([])));
        let Row::Few([chunk, _], 1) = rows.get(one) else {
            panic!("one rule needs no memory");
        };
        assert_eq!(chunk, Chunk::of(70));
    }
}
