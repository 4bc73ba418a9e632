//! The two bounded lists of the protocol: byte ranges of a REQUEST, sequence ranges of a REPORT.
//!
//! Both hold their rules (order, distance, number) at all times, so that who has one need not check it.

use core::fmt;
use core::ops::Range;

use crate::limits::{RANGES_MAX, REPORT_RANGES_MAX};

/// Up to 64 byte ranges `start..end` of an object: none empty, ascending, not overlapping. Ranges may touch.
/// No range at all means the whole object (section 7.1).
#[derive(Clone, Copy)]
pub struct ByteRanges {
    len: u8,
    ranges: [(u32, u32); RANGES_MAX],
}

impl ByteRanges {
    /// The whole object.
    pub const WHOLE: Self = Self { len: 0, ranges: [(0, 0); RANGES_MAX] };

    /// A list of one range, or nothing if it is empty.
    #[must_use]
    pub fn one(range: Range<u32>) -> Option<Self> {
        let mut ranges = Self::WHOLE;
        ranges.push(range).then_some(ranges)
    }

    /// Appends a range. Returns false, and changes nothing, when it is empty, begins before the end of
    /// the last one, or when the list is full.
    #[must_use]
    pub fn push(&mut self, range: Range<u32>) -> bool {
        let floor = self.last().map_or(0, |last| last.end);
        let fits = range.start < range.end && range.start >= floor && !self.is_full();
        if fits {
            self.ranges[self.len()] = (range.start, range.end);
            self.len += 1;
        }
        fits
    }

    /// The ranges, ascending.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Range<u32>> + DoubleEndedIterator + '_ {
        self.ranges[..self.len()].iter().map(|&(start, end)| start..end)
    }

    /// The last range.
    #[must_use]
    pub fn last(&self) -> Option<Range<u32>> {
        self.iter().next_back()
    }

    /// How many there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len as usize
    }

    /// Whether there is none, which stands for the whole object.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether no further range fits.
    #[must_use]
    pub const fn is_full(&self) -> bool {
        self.len() == RANGES_MAX
    }
}

impl Default for ByteRanges {
    fn default() -> Self {
        Self::WHOLE
    }
}

impl PartialEq for ByteRanges {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for ByteRanges {}

impl fmt::Debug for ByteRanges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// Up to 16 ranges of sequence numbers, newest first, with at least one missing number between two of
/// them (section 7.2).
#[derive(Clone, Copy, Default)]
pub struct SequenceRanges {
    len: u8,
    /// Lowest and highest number of each range.
    ranges: [(u64, u64); REPORT_RANGES_MAX],
}

impl SequenceRanges {
    /// No range yet. A REPORT needs at least one.
    #[must_use]
    pub const fn new() -> Self {
        Self { len: 0, ranges: [(0, 0); REPORT_RANGES_MAX] }
    }

    /// Appends the range `low..=high`, older than all before. A range longer than 2^32 − 1 numbers is cut at its
    /// low end, since a REPORT cannot say more.
    ///
    /// Returns false, and changes nothing, when `low > high`, when it does not leave a gap of 1 to
    /// 2^32 − 1 numbers below the last range, or when the list is full.
    #[must_use]
    pub fn push(&mut self, low: u64, high: u64) -> bool {
        let gap_fits = match self.iter().next_back() {
            None => true,
            Some((last_low, _)) => last_low
                .checked_sub(high)
                .and_then(|distance| distance.checked_sub(1))
                .is_some_and(|gap| gap >= 1 && u32::try_from(gap).is_ok()),
        };
        let fits = low <= high && gap_fits && !self.is_full();
        if fits {
            let low = low.max(high.saturating_sub(u64::from(u32::MAX) - 1));
            self.ranges[self.len()] = (low, high);
            self.len += 1;
        }
        fits
    }

    /// Lowest and highest number of each range, newest range first.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (u64, u64)> + DoubleEndedIterator + '_ {
        self.ranges[..self.len()].iter().copied()
    }

    /// The highest sequence number received.
    #[must_use]
    pub fn highest(&self) -> Option<u64> {
        self.iter().next().map(|(_, high)| high)
    }

    /// Whether `sequence` lies in a range.
    #[must_use]
    pub fn contains(&self, sequence: u64) -> bool {
        self.iter().any(|(low, high)| (low..=high).contains(&sequence))
    }

    /// How many ranges there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len as usize
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether no further range fits.
    #[must_use]
    pub const fn is_full(&self) -> bool {
        self.len() == REPORT_RANGES_MAX
    }
}

impl PartialEq for SequenceRanges {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for SequenceRanges {}

impl fmt::Debug for SequenceRanges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter().map(|(low, high)| low..=high)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn byte_ranges_ascend_and_may_touch() {
        let mut ranges = ByteRanges::WHOLE;
        assert!(ranges.push(10..20));
        assert!(ranges.push(20..30));
        #[expect(clippy::reversed_empty_ranges, reason = "exactly this must be refused")]
        let refused = [29..40, 30..30, 41..40];
        for range in refused {
            assert!(!ranges.push(range));
        }
        assert!(ranges.iter().eq([10..20, 20..30]));
        assert_eq!(ByteRanges::one(5..5), None);
    }

    #[test]
    fn byte_ranges_are_bounded() {
        let mut ranges = ByteRanges::WHOLE;
        assert!((0..64).all(|i| ranges.push(i * 2..i * 2 + 1)));
        assert!(ranges.is_full() && !ranges.push(1000..1001));
    }

    #[test]
    fn sequence_ranges_descend_with_a_gap() {
        let mut ranges = SequenceRanges::new();
        assert!(ranges.push(90, 100));
        for (low, high) in [(80, 89), (80, 90), (80, 95), (101, 102), (5, 4)] {
            assert!(!ranges.push(low, high), "{low}..={high} must not fit below 90..=100");
        }
        assert!(ranges.push(0, 88));
        assert!(!ranges.push(0, 0));
        assert!(ranges.iter().eq([(90, 100), (0, 88)]));
        assert_eq!(ranges.highest(), Some(100));
        assert!(ranges.contains(88) && !ranges.contains(89) && ranges.contains(90));
    }

    #[test]
    fn sequence_ranges_stay_within_what_a_report_can_say() {
        let mut ranges = SequenceRanges::new();
        assert!(ranges.push(0, u64::MAX));
        let low = u64::MAX - u64::from(u32::MAX) + 1;
        assert!(ranges.iter().eq([(low, u64::MAX)]));
        assert!(!ranges.push(0, low - u64::from(u32::MAX) - 2));
        assert!(ranges.push(0, low - u64::from(u32::MAX) - 1));
    }

    #[test]
    fn sequence_ranges_are_bounded() {
        let mut ranges = SequenceRanges::new();
        assert!((0..16).all(|i| ranges.push(100 - i * 2, 100 - i * 2)));
        assert!(ranges.is_full() && !ranges.push(0, 0));
    }
}
