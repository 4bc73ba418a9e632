//! Which title a viewer chooses: Zipf's law over the titles in the order in which they were given.

use super::random::Draws;

/// The share of each title, summed up.
#[derive(Debug)]
pub(super) struct Popularity(Vec<f64>);

impl Popularity {
    /// `titles` of them; the one of rank r weighs 1/r^`exponent`. Exponent 0: all alike.
    pub(super) fn new(titles: usize, exponent: f64) -> Self {
        let mut sum = 0.0;
        let weights = (1..=titles).map(|rank| {
            sum += (rank as f64).powf(-exponent);
            sum
        });
        Self(weights.collect())
    }

    /// A title, by index.
    pub(super) fn draw(&self, draws: &mut Draws) -> usize {
        let at = draws.unit() * self.0.last().copied().unwrap_or(0.0);
        self.0.partition_point(|&sum| sum <= at).min(self.0.len() - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shares(titles: usize, exponent: f64) -> Vec<f64> {
        let law = Popularity::new(titles, exponent);
        let mut draws = Draws::new(3, 0);
        let mut counts = vec![0.0; titles];
        (0..100_000).for_each(|_| counts[law.draw(&mut draws)] += 1e-5);
        counts
    }

    #[test]
    fn shares_follow_the_law() {
        // 1 + 1/2 + 1/3 + 1/4 = 25/12.
        for (share, expected) in shares(4, 1.0).iter().zip([0.48, 0.24, 0.16, 0.12]) {
            assert!((share - expected).abs() < 0.01, "{share} {expected}");
        }
        assert!(shares(4, 0.0).iter().all(|share| (share - 0.25).abs() < 0.01));
        assert!((shares(1, 1.0)[0] - 1.0).abs() < 1e-9);
    }
}
