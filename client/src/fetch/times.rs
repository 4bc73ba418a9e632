//! Times, in histograms that lose none, and their quantiles.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

/// The longest time that is told apart, µs: ten minutes. Longer ones count as this.
const LONGEST: u64 = 600_000_000;
/// Significant digits.
const DIGITS: u8 = 3;

/// Times in microseconds, three digits, HDR.
#[derive(Clone, Debug)]
pub struct Times(Histogram<u64>);

impl Default for Times {
    fn default() -> Self {
        Self(Histogram::new_with_bounds(1, LONGEST, DIGITS).expect("constant bounds are valid"))
    }
}

impl Times {
    /// Takes a time in; less than a microsecond counts as one, more than ten minutes as ten minutes.
    pub fn record(&mut self, time: Duration) {
        self.0.saturating_record(u64::try_from(time.as_micros()).unwrap_or(LONGEST).max(1));
    }

    /// Takes all of `other` in.
    pub fn add(&mut self, other: &Self) {
        self.0.add(&other.0).expect("all have the bounds of `default`");
    }

    /// Forgets all, keeps the memory.
    pub fn clear(&mut self) {
        self.0.reset();
    }

    /// The histogram, microseconds.
    #[must_use]
    pub fn histogram(&self) -> &Histogram<u64> {
        &self.0
    }

    /// The figures to print.
    #[must_use]
    pub fn quantiles(&self) -> Quantiles {
        let at = |quantile| if self.0.is_empty() { 0 } else { self.0.value_at_quantile(quantile) };
        Quantiles {
            count: self.0.len(),
            p50_us: at(0.5),
            p90_us: at(0.9),
            p99_us: at(0.99),
            p999_us: at(0.999),
            max_us: if self.0.is_empty() { 0 } else { self.0.max() },
        }
    }
}

/// A distribution of times, microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Quantiles {
    /// How many.
    pub count: u64,
    /// Half are at most this.
    pub p50_us: u64,
    /// Nine of ten.
    pub p90_us: u64,
    /// 99 of 100.
    pub p99_us: u64,
    /// 999 of 1000.
    pub p999_us: u64,
    /// The longest.
    pub max_us: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_of_nothing_are_zero() {
        assert_eq!(Times::default().quantiles(), Quantiles::default());
    }

    #[test]
    fn quantiles_are_within_a_thousandth() {
        let mut times = Times::default();
        (1..=1000).for_each(|n| times.record(Duration::from_micros(n * 100)));
        let found = times.quantiles();
        assert!(found.p50_us.abs_diff(50_000) <= 50, "{found:?}");
        assert!(found.p999_us.abs_diff(99_900) <= 100, "{found:?}");
        assert_eq!(found.count, 1000);
    }

    #[test]
    fn times_beyond_the_scale_are_kept() {
        let mut times = Times::default();
        times.record(Duration::from_secs(100_000));
        times.record(Duration::ZERO);
        assert_eq!(times.quantiles().count, 2);
    }
}
