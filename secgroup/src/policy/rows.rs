//! Sets of rules as bits, and the question "which is the first in both?".

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

/// One set of rules in [`Rows`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct RowId(u32);

impl RowId {
    /// The empty set.
    pub(super) const EMPTY: Self = Self(0);
}

/// All sets of a matcher, each stored once.
#[derive(Debug, Clone)]
pub(super) struct Rows {
    chunks: Box<[Chunk]>,
    /// Row `n` lies from `ends[n - 1]` to `ends[n]`.
    ends: Box<[u32]>,
}

impl Rows {
    #[inline]
    pub(super) fn get(&self, id: RowId) -> &[Chunk] {
        let id = id.0 as usize;
        let start = id.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.chunks[start as usize..self.ends[id] as usize]
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
    ends: Vec<u32>,
    known: HashMap<Box<[Chunk]>, RowId, FixedState>,
}

impl RowsBuilder {
    pub(super) fn new() -> Self {
        let known = HashMap::from_iter([(Box::default(), RowId::EMPTY)]);
        Self {
            chunks: Vec::new(),
            ends: vec![0],
            known,
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
        if self.chunks.len() + row.len() > POLICY_CHUNKS_MAX {
            return Err(ModelError::PolicyTooLarge);
        }
        let id = RowId(self.ends.len() as u32);
        self.chunks.extend_from_slice(&row);
        self.ends.push(self.chunks.len() as u32);
        self.known.insert(row, id);
        Ok(id)
    }

    pub(super) fn build(self) -> Rows {
        Rows {
            chunks: self.chunks.into(),
            ends: self.ends.into(),
        }
    }
}

/// The lowest rule below `limit` that is in both sets and that `holds`.
#[inline]
pub(super) fn first_common(
    mut left: &[Chunk],
    mut right: &[Chunk],
    limit: u32,
    holds: impl Fn(u32) -> bool,
) -> Option<u32> {
    while let ([l, left_rest @ ..], [r, right_rest @ ..]) = (left, right) {
        if l.index.max(r.index) > limit / 64 {
            return None;
        }
        if l.index < r.index {
            left = skip(left_rest, r.index);
        } else if r.index < l.index {
            right = skip(right_rest, l.index);
        } else {
            let mut common = l.bits & r.bits;
            while common != 0 {
                let rule = l.index * 64 + common.trailing_zeros();
                if rule >= limit {
                    return None;
                }
                if holds(rule) {
                    return Some(rule);
                }
                common &= common - 1;
            }
            (left, right) = (left_rest, right_rest);
        }
    }
    None
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
            dense in prop::collection::btree_set(0..20_000_u32, 0..800),
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
        assert_eq!((rows.get(empty).len(), rows.get(one).len()), (0, 1));
    }
}
