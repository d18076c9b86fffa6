//! Medians and ratios.

use std::collections::BTreeMap;

/// Figures of a system by the number of their round; of quiet turns alone.
pub(crate) type Series = BTreeMap<u32, f64>;

/// Sorts, and takes the middle; `None` of nothing.
pub(crate) fn median(values: &mut [f64]) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let half = values.len() / 2;
    match values.len() {
        0 => None,
        n if n % 2 == 1 => Some(values[half]),
        _ => Some(f64::midpoint(values[half - 1], values[half])),
    }
}

/// The median with the least and the greatest.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) least: f64,
    pub(crate) greatest: f64,
}

impl Spread {
    /// `None` of nothing.
    pub(crate) fn of(values: &[f64]) -> Option<Self> {
        let mut sorted = values.to_vec();
        let median = median(&mut sorted)?;
        Some(Self {
            median,
            least: *sorted.first()?,
            greatest: *sorted.last()?,
        })
    }

    /// `median (least–greatest)`.
    pub(crate) fn text(&self) -> String {
        let Self {
            median,
            least,
            greatest,
        } = self;
        format!("{median:.2} ({least:.2}–{greatest:.2})")
    }
}

/// `x` by `y`, for each round that has both.
pub(crate) fn ratios(x: &Series, y: &Series) -> Vec<f64> {
    let ratio = |(round, x): (&u32, &f64)| Some(x / y.get(round)?);
    x.iter().filter_map(ratio).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_or_between_the_two_that_are() {
        assert_eq!(median(&mut []), None);
        assert_eq!(median(&mut [3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&mut [4.0, 1.0, 2.0, 3.0]), Some(2.5));
    }

    #[test]
    fn a_spread_tells_the_median_with_both_ends() {
        let spread = Spread::of(&[0.9, 1.1, 1.0]).expect("three values");
        assert_eq!(spread.text(), "1.00 (0.90–1.10)");
        assert_eq!(Spread::of(&[]), None);
    }

    #[test]
    fn a_ratio_needs_both_turns_of_its_round() {
        let x = Series::from([(0, 2.0), (1, 3.0), (2, 8.0)]);
        let y = Series::from([(0, 1.0), (2, 2.0), (3, 5.0)]);
        assert_eq!(ratios(&x, &y), [2.0, 4.0]);
    }
}
