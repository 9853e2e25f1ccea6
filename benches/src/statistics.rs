//! Medians, spreads and ratios of the rounds.

use serde::{Deserialize, Serialize};

/// The middle of some rounds with the smallest and the largest beside it.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize)]
pub struct Spread {
    /// The median; of an even number the mean of the middle two.
    pub median: f64,
    /// The smallest.
    pub min: f64,
    /// The largest.
    pub max: f64,
}

impl Spread {
    /// The spread of `values`; `None` when there is none that is a finite number.
    #[must_use]
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.into_iter().filter(|v| v.is_finite()).collect();
        values.sort_by(f64::total_cmp);
        let (min, max) = (*values.first()?, *values.last()?);
        let middle = values.len() / 2;
        let median = if values.len() % 2 == 1 {
            values[middle]
        } else {
            f64::midpoint(values[middle - 1], values[middle])
        };
        Some(Self { median, min, max })
    }
}

/// `ours / theirs` round by round, then the spread of these. Both sides of a ratio come from the
/// same round, so that what disturbs a whole round does not disturb the ratio. A round that one of
/// them lacks is left out.
#[must_use]
pub fn ratio_by_round(ours: &[Option<f64>], theirs: &[Option<f64>]) -> Option<Spread> {
    Spread::of(ours.iter().zip(theirs).filter_map(|(ours, theirs)| match (ours, theirs) {
        (Some(ours), Some(theirs)) if *theirs > 0.0 => Some(ours / theirs),
        _ => None,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_an_odd_number_is_the_middle_one() {
        let spread = Spread::of([9.0, 1.0, 4.0]);
        assert_eq!(spread, Some(Spread { median: 4.0, min: 1.0, max: 9.0 }));
    }

    #[test]
    fn the_median_of_an_even_number_lies_between_the_middle_two() {
        assert_eq!(Spread::of([4.0, 1.0, 2.0, 9.0]).map(|s| s.median), Some(3.0));
    }

    #[test]
    fn nothing_has_no_median_and_what_is_no_number_does_not_count() {
        assert_eq!(Spread::of([]), None);
        assert_eq!(Spread::of([f64::NAN, f64::INFINITY]), None);
        assert_eq!(Spread::of([f64::NAN, 2.0]).map(|s| s.median), Some(2.0));
    }

    #[test]
    fn ratios_are_taken_within_a_round() {
        // The second round was twice as slow for both: the ratio does not see it.
        let ours = [Some(1.0), Some(2.0), Some(1.2)];
        let theirs = [Some(2.0), Some(4.0), Some(2.0)];
        assert_eq!(
            ratio_by_round(&ours, &theirs),
            Some(Spread { median: 0.5, min: 0.5, max: 0.6 })
        );
    }

    #[test]
    fn a_round_that_one_side_lacks_is_left_out() {
        let ratio = ratio_by_round(&[None, Some(3.0), Some(1.0)], &[Some(1.0), Some(2.0), None]);
        assert_eq!(ratio.map(|r| r.median), Some(1.5));
        assert_eq!(ratio_by_round(&[Some(1.0)], &[Some(0.0)]), None);
    }
}
