//! Sequence numbers that are never sent, so that a client that reports what it did not receive gives itself away.
//!
//! One number in each block of [`BLOCK`] is skipped, at the first train boundary at or after a place that a
//! keyed function (SipHash-2-4, Aumasson and Bernstein 2012) picks: who does not hold the key cannot foretell it.

use std::collections::VecDeque;

/// Sequence numbers for each skipped one (docs/protocol, section 10: "about every 256").
const BLOCK: u64 = 256;
/// Skipped numbers remembered: [`BLOCK`] × 128 = 32 768 numbers, 39 MB of 1200-byte datagrams in flight
/// (31 Gbit/s over 10 ms, 3 Gbit/s over 100 ms). What is older could be claimed unseen, and counts as lost.
const REMEMBERED: usize = 128;
/// Numbers that are always checked, counted back from the last one sent: a block may have its skip at either end.
pub(super) const CHECKED: u64 = BLOCK * (REMEMBERED as u64 - 2);

/// Chooses and remembers the skipped numbers of one session.
#[derive(Debug)]
pub(super) struct Skips {
    key: [u64; 2],
    /// The block after the last one that had its skip.
    next_block: u64,
    /// Skipped numbers, ascending.
    numbers: VecDeque<u64>,
}

impl Skips {
    pub(super) fn new(key: [u8; 16]) -> Self {
        let whole = u128::from_le_bytes(key);
        Self {
            key: [whole as u64, (whole >> 64) as u64],
            next_block: 0,
            numbers: VecDeque::with_capacity(REMEMBERED),
        }
    }

    /// Whether `next` shall be skipped; if so it is remembered.
    pub(super) fn should_skip(&mut self, next: u64) -> bool {
        let block = next / BLOCK;
        if block < self.next_block || next % BLOCK < self.place(block) {
            return false;
        }
        self.next_block = block + 1;
        if self.numbers.len() == REMEMBERED {
            self.numbers.pop_front();
        }
        self.numbers.push_back(next);
        true
    }

    /// Reports of numbers below this are not believed: a skipped one among them may have been forgotten.
    pub(super) fn checked_from(&self) -> u64 {
        self.numbers
            .front()
            .filter(|_| self.numbers.len() == REMEMBERED)
            .map_or(0, |&oldest| oldest)
    }

    /// The first of `ranges`, which descend, in which a remembered skipped number lies. A report repeats its older
    /// ranges, so both lists are walked through once, from the newest end.
    pub(super) fn first_hit(&self, ranges: &[(u64, u64)]) -> Option<(u64, u64)> {
        let mut numbers = self.numbers.iter().rev().copied().peekable();
        ranges.iter().copied().find(|&(low, high)| {
            while numbers.next_if(|&number| number > high).is_some() {}
            numbers.peek().is_some_and(|&number| number >= low)
        })
    }

    /// The first place in `block` where a skip is due. The last quarter is left out, so that a boundary
    /// follows within the block even when trains are of 64.
    fn place(&self, block: u64) -> u64 {
        siphash(self.key, block) % (BLOCK * 3 / 4)
    }
}

/// SipHash-2-4 of one 8-byte word.
fn siphash(key: [u64; 2], word: u64) -> u64 {
    let mut v = [
        key[0] ^ 0x736f_6d65_7073_6575,
        key[1] ^ 0x646f_7261_6e64_6f6d,
        key[0] ^ 0x6c79_6765_6e65_7261,
        key[1] ^ 0x7465_6462_7974_6573,
    ];
    for block in [word, 8 << 56] {
        v[3] ^= block;
        sip_rounds(&mut v, 2);
        v[0] ^= block;
    }
    v[2] ^= 0xff;
    sip_rounds(&mut v, 4);
    v[0] ^ v[1] ^ v[2] ^ v[3]
}

fn sip_rounds(v: &mut [u64; 4], rounds: usize) {
    for _ in 0..rounds {
        v[0] = v[0].wrapping_add(v[1]);
        v[2] = v[2].wrapping_add(v[3]);
        v[1] = v[1].rotate_left(13) ^ v[0];
        v[3] = v[3].rotate_left(16) ^ v[2];
        v[0] = v[0].rotate_left(32);
        v[2] = v[2].wrapping_add(v[1]);
        v[0] = v[0].wrapping_add(v[3]);
        v[1] = v[1].rotate_left(17) ^ v[2];
        v[3] = v[3].rotate_left(21) ^ v[0];
        v[2] = v[2].rotate_left(32);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vector for the 8-byte input 00 01 … 07 under the key 00 01 … 0f, from the reference code.
    #[test]
    fn siphash_gives_the_published_vector() {
        let key = [0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908];
        assert_eq!(siphash(key, 0x0706_0504_0302_0100), 0x93f5_f579_9a93_2462);
    }

    #[test]
    fn one_number_in_a_block_is_skipped_whatever_the_trains() {
        let blocks = if cfg!(miri) { 5 } else { 100 };
        for train in [1, 7, 64] {
            let mut skips = Skips::new([7; 16]);
            let (mut next, mut skipped) = (0, 0);
            while next < blocks * BLOCK {
                if skips.should_skip(next) {
                    assert_eq!(skips.first_hit(&[(next, next)]), Some((next, next)));
                    skipped += 1;
                    next += 1;
                }
                next += train;
            }
            assert_eq!(skipped, blocks, "trains of {train}");
        }
    }

    #[test]
    fn the_first_range_with_a_skipped_number_is_found() {
        let mut skips = Skips::new([7; 16]);
        let skipped: Vec<u64> = (0..4 * BLOCK).filter(|&n| skips.should_skip(n)).collect();
        let &[a, b, c, d] = skipped.as_slice() else { panic!("{skipped:?}") };
        let between = [(d + 1, d + 9), (c + 1, d - 1), (b + 1, c - 1), (a + 1, b - 1), (0, a - 1)];
        assert_eq!(skips.first_hit(&between), None);
        for (at, number) in [(0, d), (1, c), (2, b), (3, a)] {
            let mut ranges = between;
            ranges[at].0 = number;
            assert_eq!(skips.first_hit(&ranges), Some(ranges[at]));
            let mut ranges = between;
            ranges[at + 1].1 = number;
            assert_eq!(skips.first_hit(&ranges), Some(ranges[at + 1]));
        }
        assert_eq!(skips.first_hit(&[(c, d), (a, b)]), Some((c, d)));
    }

    #[test]
    fn the_last_numbers_are_checked_and_those_before_them_not_believed() {
        let mut skips = Skips::new([7; 16]);
        let skipped = (0..).step_by(32).filter(|&n| skips.should_skip(n)).take(REMEMBERED + 1);
        let (first, next) = {
            let skipped: Vec<u64> = skipped.collect();
            (skipped[1], skipped[REMEMBERED] + 1)
        };
        assert_eq!(skips.checked_from(), first);
        assert!(first <= next - CHECKED, "{first} of {next}");
        assert_eq!(skips.first_hit(&[(first, first)]), Some((first, first)));
    }

    #[test]
    fn another_key_skips_elsewhere() {
        let blocks = if cfg!(miri) { 3 } else { 10 };
        let places = |key| -> Vec<u64> {
            let mut skips = Skips::new(key);
            (0..blocks * BLOCK).filter(|&n| skips.should_skip(n)).collect()
        };
        assert_ne!(places([1; 16]), places([2; 16]));
        assert_eq!(places([1; 16]).len() as u64, blocks);
    }
}
