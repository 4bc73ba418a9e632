//! Repeats of a measurement: the median, and the band between the least and the largest.

use serde::Serialize;

/// The values that one figure had in all repeats.
#[derive(Clone, Debug, Default)]
pub struct Repeats(Vec<f64>);

/// What the repeats of a figure came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Band {
    /// The middle value; of an even number of them the mean of the two in the middle.
    pub median: f64,
    /// The least value.
    pub min: f64,
    /// The largest value.
    pub max: f64,
}

impl Repeats {
    /// Adds the value of one repeat.
    pub fn push(&mut self, value: f64) {
        self.0.push(value);
    }

    /// How many repeats there were.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there was none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Median and band; `None` without repeats.
    #[must_use]
    pub fn band(&self) -> Option<Band> {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let (&min, &max) = (sorted.first()?, sorted.last()?);
        let (low, high) = (sorted[(sorted.len() - 1) / 2], sorted[sorted.len() / 2]);
        Some(Band { median: f64::midpoint(low, high), min, max })
    }

    /// The median; 0 without repeats.
    #[must_use]
    pub fn median(&self) -> f64 {
        self.band().unwrap_or_default().median
    }
}

impl FromIterator<f64> for Repeats {
    fn from_iter<I: IntoIterator<Item = f64>>(values: I) -> Self {
        Self(values.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_value_in_any_order() {
        let odd: Repeats = [5.0, 1.0, 3.0].into_iter().collect();
        assert_eq!(odd.band(), Some(Band { median: 3.0, min: 1.0, max: 5.0 }));
        let even: Repeats = [4.0, 1.0, 3.0, 2.0].into_iter().collect();
        assert_eq!(even.median(), 2.5);
        assert_eq!(Repeats::default().band(), None);
    }
}
