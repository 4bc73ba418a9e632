//! Plaintext that lies in memory and in no cache: segments of one size, visited in seeded random order.

use rand_chacha::ChaCha20Rng;
use rand_core::{RngCore as _, SeedableRng as _};

/// The product's default segment: 1008 KiB.
const SEGMENT: usize = 14 * 73_728;

/// Segments, and the order in which they come; every segment once before any comes again.
pub struct Pool {
    bytes: Vec<u8>,
    order: Vec<u32>,
    next: usize,
    rng: ChaCha20Rng,
}

impl Pool {
    /// As many whole segments as `bytes` hold, at least one, in an order that follows from `seed`.
    #[must_use]
    pub fn new(bytes: usize, seed: u64) -> Self {
        let segments = (bytes / SEGMENT).max(1);
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        // One block of noise, again and again: the cipher's speed does not depend on the bytes, and every page is
        // touched, so that none of them is the kernel's one page of zeros.
        let mut noise = vec![0; 1 << 20];
        rng.fill_bytes(&mut noise);
        let bytes = noise.iter().copied().cycle().take(segments * SEGMENT).collect();
        let order = (0..segments as u32).collect();
        Self { bytes, order, next: usize::MAX, rng }
    }

    /// The next segment.
    pub fn segment(&mut self) -> &[u8] {
        let place = self.place();
        self.at(place)
    }

    /// Where the next segment lies: for [`Self::at`].
    pub fn place(&mut self) -> usize {
        if self.next >= self.order.len() {
            self.next = 0;
            shuffle(&mut self.order, &mut self.rng);
        }
        let place = self.order[self.next] as usize;
        self.next += 1;
        place
    }

    /// A segment by its place.
    #[must_use]
    pub fn at(&self, place: usize) -> &[u8] {
        &self.bytes[place * SEGMENT..(place + 1) * SEGMENT]
    }
}

/// Any order is as likely as any other (Fisher and Yates), but for the negligible unfairness of a remainder of 2^64.
fn shuffle(order: &mut [u32], rng: &mut ChaCha20Rng) {
    for last in (1..order.len()).rev() {
        let with = rng.next_u64() % (last as u64 + 1);
        order.swap(last, with as usize);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_segment_comes_once_in_a_round_and_the_seed_fixes_the_order() {
        let round = |seed| {
            let mut pool = Pool::new(5 * SEGMENT + 17, seed);
            let base = pool.bytes.as_ptr().addr();
            let mut places = Vec::new();
            for _ in 0..10 {
                places.push((pool.segment().as_ptr().addr() - base) / SEGMENT);
            }
            places
        };
        let places = round(7);
        for half in places.chunks(5) {
            let mut sorted = half.to_vec();
            sorted.sort_unstable();
            assert_eq!(sorted, [0, 1, 2, 3, 4]);
        }
        assert_eq!(places, round(7));
        assert_ne!(places, round(8));
    }
}
