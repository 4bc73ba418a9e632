//! Percentiles that have enough samples behind them, and those that have not.

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use super::{Basis, Quantity, Series};
use crate::record::Class;

/// The percentiles that every report shows.
pub const SHOWN: [f64; 5] = [50.0, 90.0, 99.0, 99.9, 99.99];

/// Samples that must lie beyond a percentile before it is told: with fewer it is the luck of a few.
const BEYOND: f64 = 10.0;

/// Samples that the percentile `p` (0 to below 100) needs: 10/(1−q).
#[must_use]
pub fn needed(p: f64) -> u64 {
    (BEYOND * 100.0 / (100.0 - p)).round() as u64
}

/// The percentile `p` in the histogram's unit; none with too few samples.
#[must_use]
pub fn percentile(times: &Histogram<u64>, p: f64) -> Option<u64> {
    (times.len() >= needed(p)).then(|| times.value_at_quantile(p / 100.0))
}

/// The highest of the shown percentiles that has enough samples, and its value.
#[must_use]
pub fn highest(times: &Histogram<u64>) -> Option<(f64, u64)> {
    SHOWN.into_iter().rev().find_map(|p| percentile(times, p).map(|value| (p, value)))
}

/// One percentile.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Percentile {
    /// Percent, such as 99.9.
    pub p: f64,
    /// Microseconds; null where n is too small.
    pub us: Option<u64>,
    /// The n that this percentile needs: 10/(1 − p/100).
    pub needs_n: u64,
}

/// One point of a spectrum: `quantile` of all samples took at most `us`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Point {
    /// From 0 to 1.
    pub quantile: f64,
    /// Microseconds.
    pub us: u64,
}

/// One histogram, told by its percentiles.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Latency {
    /// What the segment was to its viewer: the first of a viewing, or a later one. Null: no class, or all of them.
    pub class: Option<Class>,
    /// What is timed.
    pub quantity: Quantity,
    /// From when. Null where there is only one.
    pub basis: Option<Basis>,
    /// Samples.
    pub n: u64,
    /// The shortest, microseconds; null without samples.
    pub min_us: Option<u64>,
    /// The longest, microseconds; null without samples.
    pub max_us: Option<u64>,
    /// Percentiles.
    pub percentiles: Vec<Percentile>,
    /// The distribution, up to the last quantile that has ten samples beyond it.
    pub spectrum: Vec<Point>,
}

impl Latency {
    /// Tells `times`.
    #[must_use]
    pub fn new(series: Series, times: &Histogram<u64>) -> Self {
        let n = times.len();
        let told = |value| (n > 0).then_some(value);
        let percentile = |p| Percentile { p, us: percentile(times, p), needs_n: needed(p) };
        Self {
            class: series.class,
            quantity: series.quantity,
            basis: series.basis,
            n,
            min_us: told(times.min()),
            max_us: told(times.max()),
            percentiles: SHOWN.map(percentile).to_vec(),
            spectrum: spectrum(times),
        }
    }

    /// Its name, as `start.ttfb.response`.
    #[must_use]
    pub fn series(&self) -> Series {
        Series { class: self.class, quantity: self.quantity, basis: self.basis }
    }

    /// The percentile `p` if it is one of those shown and has samples enough.
    #[must_use]
    pub fn at(&self, p: f64) -> Option<u64> {
        self.percentiles.iter().find(|found| (found.p - p).abs() < 1e-9).and_then(|found| found.us)
    }
}

/// Steps of the quantile in each halving of what is left to 1.
const STEPS: u32 = 4;

fn spectrum(times: &Histogram<u64>) -> Vec<Point> {
    if times.is_empty() {
        return Vec::new();
    }
    let told = 1.0 - BEYOND / times.len() as f64;
    let mut points: Vec<Point> = times
        .iter_quantiles(STEPS)
        .map(|step| Point { quantile: step.quantile_iterated_to(), us: step.value_iterated_to() })
        .take_while(|point| point.quantile <= told)
        .collect();
    points.dedup_by(|a, b| a.quantile <= b.quantile);
    points
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::record::Times;

    fn up_to(n: u64) -> Times {
        let mut times = Times::default();
        (1..=n).for_each(|ms| times.record(Duration::from_millis(ms)));
        times
    }

    #[test]
    fn a_percentile_needs_ten_samples_beyond_it() {
        assert_eq!(SHOWN.map(needed), [20, 100, 1000, 10_000, 100_000]);
        assert_eq!(needed(99.95), 20_000);
        let times = up_to(999);
        assert_eq!(percentile(times.histogram(), 99.0), None);
        assert_eq!(highest(times.histogram()).unwrap().0, 90.0);
        let times = up_to(1000);
        let p99 = percentile(times.histogram(), 99.0).unwrap();
        assert!((990_000..=991_000).contains(&p99), "{p99}");
        assert_eq!(highest(up_to(19).histogram()), None);
    }

    #[test]
    fn a_spectrum_ends_where_samples_are_few_and_never_falls() {
        let series = Series::of(Quantity::Startup, None);
        let all = Latency::new(series, up_to(1000).histogram());
        assert!(all.spectrum.len() > 10, "{all:?}");
        assert!(all.spectrum.last().unwrap().quantile <= 0.99);
        assert!(all.spectrum.is_sorted_by(|a, b| a.quantile < b.quantile && a.us <= b.us));
        let none = Latency::new(series, Times::default().histogram());
        assert_eq!((none.n, none.min_us, none.at(50.0)), (0, None, None));
        assert!(none.spectrum.is_empty());
    }
}
