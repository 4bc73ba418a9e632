//! Segments under way, as somebody who looks now and then sees them: the L of Little's law, from neither of the times that
//! are recorded.

use derive_more::AddAssign;
use segcast_proto::time::{Duration, Instant};

/// Segment-seconds by sampling, and how far chance may have moved them.
#[derive(Clone, Copy, Debug, Default, PartialEq, AddAssign)]
pub struct Flight {
    /// Segments under way, summed over time.
    pub seconds: f64,
    /// The variance of that sum, which sampling adds: seconds squared.
    pub variance: f64,
}

/// One thread's count, looked at from outside: at any moments, as long as they are not chosen by what is counted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Watched {
    at: Instant,
    count: u32,
    /// The count before, and how long before.
    before: Option<(u32, Duration)>,
    flight: Flight,
}

impl Watched {
    /// Nothing is under way yet.
    pub(crate) fn new(now: Instant) -> Self {
        Self { at: now, count: 0, before: None, flight: Flight::default() }
    }

    /// So many are under way now. Between two looks the count is taken to be their mean. What that misses is estimated
    /// from how far each count is from what its neighbours would have said: in counts that have nothing to do with
    /// each other that is 1.5 times the variance of one.
    pub(crate) fn look(&mut self, now: Instant, count: u32) {
        let passed = now.saturating_since(self.at);
        let width = passed.as_secs_f64();
        self.flight.seconds += f64::from(self.count + count) / 2.0 * width;
        if let Some((first, earlier)) = self.before.filter(|(_, earlier)| !earlier.is_zero()) {
            let earlier = earlier.as_secs_f64();
            let (first, middle, last) = (f64::from(first), f64::from(self.count), f64::from(count));
            let missed: f64 = (middle - first) * width + (middle - last) * earlier;
            self.flight.variance += (missed / 2.0).powi(2) / 1.5;
        }
        self.before = Some((self.count, passed));
        (self.at, self.count) = (now, count);
    }

    /// What was seen since the last time this was called.
    pub(crate) fn take(&mut self) -> Flight {
        std::mem::take(&mut self.flight)
    }
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha8Rng;
    use rand_core::{RngCore, SeedableRng};

    use super::*;

    #[test]
    fn a_count_that_does_not_change_is_exact() {
        let at = |millis: u64| Instant::from_nanos(millis * 1_000_000);
        let mut watched = Watched::new(at(0));
        for millis in [0, 1, 5, 6, 100] {
            watched.look(at(millis), 16);
        }
        let flight = watched.take();
        // Nothing was under way before the first look, which took no time.
        assert!((flight.seconds - 1.6).abs() < 1e-12, "{flight:?}");
        assert!(flight.variance < 1e-6, "{flight:?}");
        assert_eq!(watched.take(), Flight::default());
    }

    /// Counts that are 0 or 10 at random: the estimate of the error is that of many repeats.
    #[test]
    fn chance_is_estimated_as_large_as_it_is() {
        let mut random = ChaCha8Rng::seed_from_u64(5);
        let (mut sums, mut variance) = (Vec::new(), 0.0);
        for _ in 0..200 {
            let mut watched = Watched::new(Instant::ZERO);
            for millis in 1..=1000_u64 {
                let count = if random.next_u32() % 2 == 0 { 0 } else { 10 };
                watched.look(Instant::from_nanos(millis * 1_000_000), count);
            }
            let flight = watched.take();
            sums.push(flight.seconds);
            variance += flight.variance / 200.0;
        }
        let mean = sums.iter().sum::<f64>() / 200.0;
        let real = sums.iter().map(|sum| (sum - mean).powi(2)).sum::<f64>() / 199.0;
        assert!((mean - 5.0).abs() < 0.05, "{mean}");
        assert!((0.7..1.4).contains(&(variance / real)), "{variance} for {real}");
    }
}
