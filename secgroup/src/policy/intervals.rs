//! From overlapping ranges to disjoint intervals, each with the set of rules that cover it.

use super::rows::{RowDraft, RowId, RowsBuilder};
use crate::ModelError;

/// A point on a line: ports, ICMP type and code, addresses.
pub(super) trait Point: Copy + Ord {
    const FIRST: Self;
    /// The next point, if there is one.
    fn next(self) -> Option<Self>;
}

macro_rules! point {
    ($($int:ty),+) => {$(
        impl Point for $int {
            const FIRST: Self = 0;
            fn next(self) -> Option<Self> { self.checked_add(1) }
        }
    )+};
}
point!(u16, u32, u128);

/// Starts that share one entry of the coarse list: 64 of four bytes are four cache lines.
const STRIDE: usize = 64;

/// Sorted starts of intervals that cover the whole line; a look-up is a binary search in every
/// [`STRIDE`]th start, which stays in the cache, and one among those between.
#[derive(Debug, Clone)]
pub(super) struct Intervals<P> {
    coarse: Box<[P]>,
    starts: Box<[P]>,
    rows: Box<[RowId]>,
}

impl<P: Point> Intervals<P> {
    /// `ranges` are (first, last, rule), both ends included.
    ///
    /// # Errors
    /// [`ModelError::PolicyTooLarge`].
    pub(super) fn build(
        ranges: &[(P, P, u32)],
        rows: &mut RowsBuilder,
    ) -> Result<Self, ModelError> {
        let mut edges: Vec<(P, bool, u32)> = Vec::with_capacity(2 * ranges.len());
        for (first, last, rule) in ranges {
            edges.push((*first, true, *rule));
            edges.extend(last.next().map(|end| (end, false, *rule)));
        }
        edges.sort_unstable();

        let (mut starts, mut row_ids) = (vec![P::FIRST], Vec::new());
        let mut active = Active::default();
        for (point, begins, rule) in edges {
            if starts.last().is_some_and(|start| *start < point) {
                row_ids.push(rows.add(&active.row)?);
                starts.push(point);
            }
            active.change(rule, begins);
        }
        row_ids.push(rows.add(&active.row)?);
        Ok(Self {
            coarse: starts.iter().copied().step_by(STRIDE).collect(),
            starts: starts.into(),
            rows: row_ids.into(),
        })
    }

    /// The rules that cover a point.
    #[inline]
    pub(super) fn get(&self, point: P) -> RowId {
        // The first start is the first point of the line, so at least one is not above.
        let block = self.coarse.partition_point(|start| *start <= point) - 1;
        let first = block * STRIDE;
        let end = (first + STRIDE).min(self.starts.len());
        let above = self.starts[first..end].partition_point(|start| *start <= point);
        self.rows[first + above - 1]
    }
}

/// The rules that cover the current point. One rule may cover it several times, by the prefixes of
/// an address group that contain each other.
#[derive(Default)]
struct Active {
    row: RowDraft,
    times: hashbrown::HashMap<u32, u32, foldhash::fast::FixedState>,
}

impl Active {
    fn change(&mut self, rule: u32, begins: bool) {
        let times = self.times.entry(rule).or_default();
        if begins {
            *times += 1;
            self.row.insert(rule);
        } else {
            *times -= 1;
            if *times == 0 {
                self.times.remove(&rule);
                self.row.remove(rule);
            }
        }
    }
}
