//! Draws from a seed: the same seed gives the same plan, whatever machine it is made on.

use rand_chacha::ChaCha8Rng;
use rand_core::{RngCore, SeedableRng};

/// A stream of draws.
#[derive(Debug)]
pub(super) struct Draws(ChaCha8Rng);

impl Draws {
    /// The stream number `stream` of `seed`: streams know nothing of each other, so that one more draw here moves
    /// nothing there.
    pub(super) fn new(seed: u64, stream: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(stream);
        Self(rng)
    }

    /// Uniform in [0, 1).
    pub(super) fn unit(&mut self) -> f64 {
        unit(self.0.next_u64())
    }

    /// Uniform in `0..below`; 0 for an empty range.
    pub(super) fn below(&mut self, below: u32) -> u32 {
        ((u64::from(below) * (self.0.next_u64() >> 32)) >> 32) as u32
    }

    /// Exponential with mean 1.
    pub(super) fn exponential(&mut self) -> f64 {
        -(1.0 - self.unit()).ln()
    }
}

/// A draw in [0, 1) that belongs to the pair (`a`, `b`) of a seed and costs no state: splitmix64's last step (Steele, Lea,
/// Flood 2014).
pub(super) fn scattered(seed: u64, a: u64, b: u64) -> f64 {
    let mut x =
        seed ^ a.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ b.wrapping_mul(0xD1B5_4A32_D192_ED03);
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    unit(x ^ (x >> 31))
}

fn unit(bits: u64) -> f64 {
    (bits >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_stay_in_their_ranges_and_have_their_means() {
        let mut draws = Draws::new(1, 0);
        let (mut unit, mut exponential, mut scatter) = (0.0, 0.0, 0.0);
        for n in 0..100_000_u64 {
            let one = draws.unit();
            assert!((0.0..1.0).contains(&one));
            assert!(draws.below(7) < 7);
            unit += one;
            exponential += draws.exponential();
            scatter += scattered(1, n / 300, n % 300);
        }
        assert!((unit / 1e5 - 0.5).abs() < 0.01);
        assert!((exponential / 1e5 - 1.0).abs() < 0.02);
        assert!((scatter / 1e5 - 0.5).abs() < 0.01);
        assert_eq!(draws.below(0), 0);
    }

    #[test]
    fn a_seed_and_a_stream_name_their_draws() {
        let first = |seed, stream| Draws::new(seed, stream).unit().to_bits();
        assert_eq!(first(1, 2), first(1, 2));
        assert_ne!(first(1, 2), first(1, 3));
        assert_ne!(first(1, 2), first(2, 2));
    }
}
