//! Which sequence numbers a session has used: one bit each, for its whole life.

/// Every number below 2^40 has its bit; 40 million packets take 5 MB.
#[derive(Debug, Default)]
pub(super) struct Seen {
    words: Vec<u64>,
    count: u64,
}

/// Beyond this a number is no count of packets: the bits would not fit in memory.
const NUMBER_MAX: u64 = 1 << 36;

impl Seen {
    /// Notes a number; false when it was noted before, or cannot be.
    #[must_use]
    pub(super) fn note(&mut self, number: u64) -> bool {
        if number >= NUMBER_MAX {
            return false;
        }
        let (word, bit) = ((number / 64) as usize, 1 << (number % 64));
        if word >= self.words.len() {
            self.words.resize((word + 1).next_multiple_of(1024), 0);
        }
        let fresh = self.words[word] & bit == 0;
        self.words[word] |= bit;
        self.count += u64::from(fresh);
        fresh
    }

    /// Whether a number was noted.
    pub(super) fn contains(&self, number: u64) -> bool {
        let word = self.words.get((number / 64) as usize);
        word.is_some_and(|word| word >> (number % 64) & 1 == 1)
    }

    /// How many were noted.
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// The highest, plus 1.
    pub(super) fn end(&self) -> u64 {
        let last = self.words.iter().rposition(|&word| word != 0);
        last.map_or(0, |at| at as u64 * 64 + 64 - u64::from(self.words[at].leading_zeros()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_fresh_once() {
        let mut seen = Seen::default();
        for number in [0, 63, 64, 1, 100_000] {
            assert!(!seen.contains(number));
            assert!(seen.note(number), "{number}");
            assert!(seen.contains(number));
            assert!(!seen.note(number), "{number} again");
        }
        assert_eq!((seen.count(), seen.end()), (5, 100_001));
        assert!(!seen.note(u64::MAX));
    }
}
