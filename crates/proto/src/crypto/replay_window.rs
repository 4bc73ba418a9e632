//! The window against replay (section 4): the highest sequence number and a bitmap of those below it.
//!
//! The bitmap is a ring: number n has bit n mod W. Moving up clears the bits of the numbers passed over.

use crate::faults::{Fault, planted};

/// What the window says of a sequence number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Not seen yet. `is_highest`: above everything seen.
    Fresh {
        /// Whether it is the highest number so far.
        is_highest: bool,
    },
    /// Seen before.
    Replayed,
    /// Below the window: it may or may not have been seen.
    TooOld,
}

/// A window of a multiple of 64 sequence numbers, the highest one included.
#[derive(Clone, Debug)]
pub struct ReplayWindow {
    words: Box<[u64]>,
    /// The highest number seen, plus 1; 0: none.
    next: u64,
}

impl ReplayWindow {
    /// A window of `bits` numbers.
    ///
    /// # Panics
    ///
    /// When `bits` is 0 or no multiple of 64: windows are constants of the caller.
    #[must_use]
    pub fn new(bits: usize) -> Self {
        assert!(bits > 0 && bits.is_multiple_of(64), "a window of {bits} bits");
        Self { words: vec![0; bits / 64].into_boxed_slice(), next: 0 }
    }

    /// The highest number recorded.
    #[must_use]
    pub const fn highest(&self) -> Option<u64> {
        self.next.checked_sub(1)
    }

    /// Judges `sequence` and records it if it is fresh.
    ///
    /// The number 2^64 − 1 is never fresh: no sender can come that far.
    #[must_use]
    pub fn record(&mut self, sequence: u64) -> Verdict {
        let Some(after) = sequence.checked_add(1) else { return Verdict::TooOld };
        if planted(Fault::ReplayWindowOff) {
            return Verdict::Fresh { is_highest: sequence >= self.next };
        }
        if sequence >= self.next {
            self.clear(self.next, sequence);
            self.next = after;
            self.set(sequence);
            return Verdict::Fresh { is_highest: true };
        }
        if self.next - sequence > self.bits() {
            return Verdict::TooOld;
        }
        if self.set(sequence) { Verdict::Fresh { is_highest: false } } else { Verdict::Replayed }
    }

    const fn bits(&self) -> u64 {
        self.words.len() as u64 * 64
    }

    fn place(&self, sequence: u64) -> (usize, u64) {
        let bit = sequence % self.bits();
        ((bit / 64) as usize, 1 << (bit % 64))
    }

    /// Sets the bit of `sequence`; false if it was set.
    fn set(&mut self, sequence: u64) -> bool {
        let (word, mask) = self.place(sequence);
        let was_clear = self.words[word] & mask == 0;
        self.words[word] |= mask;
        was_clear
    }

    /// Clears the bits of `from..to`.
    fn clear(&mut self, from: u64, to: u64) {
        if to - from >= self.bits() {
            self.words.fill(0);
            return;
        }
        let mut at = from;
        while at < to {
            // From here to the end of this word, or to `to`.
            let (word, _) = self.place(at);
            let count = (64 - at % 64).min(to - at);
            let mask = (u64::MAX >> (64 - count)) << (at % 64);
            self.words[word] &= !mask;
            at += count;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    const HIGHEST: Verdict = Verdict::Fresh { is_highest: true };
    const LATE: Verdict = Verdict::Fresh { is_highest: false };

    #[test]
    fn edges_of_the_window() {
        let mut window = ReplayWindow::new(64);
        assert_eq!(window.highest(), None);
        assert_eq!(window.record(0), HIGHEST);
        assert_eq!(window.record(0), Verdict::Replayed);
        assert_eq!(window.record(63), HIGHEST);
        assert_eq!(window.record(0), Verdict::Replayed);
        assert_eq!(window.record(64), HIGHEST);
        assert_eq!(window.record(0), Verdict::TooOld);
        assert_eq!(window.record(1), LATE);
        assert_eq!(window.record(1), Verdict::Replayed);
        assert_eq!(window.highest(), Some(64));
    }

    #[test]
    fn a_far_jump_forgets_everything_below() {
        let mut window = ReplayWindow::new(128);
        for sequence in 0..128 {
            assert_eq!(window.record(sequence), HIGHEST);
        }
        assert_eq!(window.record(1 << 40), HIGHEST);
        assert_eq!(window.record((1 << 40) - 127), LATE);
        assert_eq!(window.record((1 << 40) - 128), Verdict::TooOld);
    }

    #[test]
    fn the_last_number_does_not_overflow() {
        let mut window = ReplayWindow::new(64);
        assert_eq!(window.record(u64::MAX), Verdict::TooOld);
        assert_eq!(window.record(u64::MAX - 1), HIGHEST);
        assert_eq!(window.record(u64::MAX - 1), Verdict::Replayed);
        assert_eq!(window.record(0), Verdict::TooOld);
    }

    proptest! {
        /// Against a model that remembers everything.
        #[test]
        fn it_agrees_with_a_set(
            words in 1..6_usize,
            steps in proptest::collection::vec((any::<bool>(), 0..500_u64), 1..300),
        ) {
            let bits = words * 64;
            let mut window = ReplayWindow::new(bits);
            let (mut seen, mut highest) = (BTreeSet::new(), None::<u64>);
            for (up, distance) in steps {
                let base = highest.unwrap_or(0);
                let sequence = if up { base + distance } else { base.saturating_sub(distance) };
                let expected = match highest {
                    Some(highest) if sequence <= highest => {
                        if highest - sequence >= bits as u64 {
                            Verdict::TooOld
                        } else if seen.contains(&sequence) {
                            Verdict::Replayed
                        } else {
                            LATE
                        }
                    }
                    _ => HIGHEST,
                };
                prop_assert_eq!(window.record(sequence), expected);
                seen.insert(sequence);
                highest = highest.max(Some(sequence));
                prop_assert_eq!(window.highest(), highest);
            }
        }
    }
}
