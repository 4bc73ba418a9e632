//! A set of byte ranges: what of an object has arrived, and what is missing.
//!
//! Ranges are few (losses between them), so a sorted vector beats a tree. A new one moves those above it: the bound on
//! pieces is the bound on what one datagram costs.

use core::ops::Range;

/// Disjoint, sorted, non-adjacent ranges of offsets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RangeSet {
    ranges: Vec<Range<u32>>,
}

impl RangeSet {
    /// Adds `range`; gives how many of its bytes were new. `None`, and nothing is changed: there are `pieces_max` ranges,
    /// and it touches none.
    pub fn insert(&mut self, range: Range<u32>, pieces_max: usize) -> Option<u32> {
        if range.start >= range.end {
            return Some(0);
        }
        // The first range that touches or follows the new one; all that touch it are merged into it.
        let first = self.ranges.partition_point(|r| r.end < range.start);
        let mut merged = range.clone();
        let mut known = 0;
        let mut last = first;
        while let Some(next) = self.ranges.get(last).filter(|r| r.start <= range.end) {
            known += next.end.min(range.end).saturating_sub(next.start.max(range.start));
            merged = merged.start.min(next.start)..merged.end.max(next.end);
            last += 1;
        }
        if first == last && self.ranges.len() >= pieces_max {
            return None;
        }
        self.ranges.splice(first..last, [merged]);
        Some((range.end - range.start) - known)
    }

    /// Bytes in the set.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.ranges.iter().map(|r| u64::from(r.end - r.start)).sum()
    }

    /// Whether nothing is in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// Whether all of `0..end` is in it.
    #[must_use]
    pub fn covers(&self, end: u32) -> bool {
        end == 0 || self.ranges.first().is_some_and(|r| r.start == 0 && r.end >= end)
    }

    /// One past the highest byte in the set.
    #[must_use]
    pub fn end(&self) -> u32 {
        self.ranges.last().map_or(0, |r| r.end)
    }

    /// How many disjoint ranges there are.
    #[must_use]
    pub fn pieces(&self) -> usize {
        self.ranges.len()
    }

    /// What of `0..end` is not in the set, in ascending order.
    pub fn missing(&self, end: u32) -> impl Iterator<Item = Range<u32>> + '_ {
        let starts = core::iter::once(0).chain(self.ranges.iter().map(|r| r.end));
        let ends = self.ranges.iter().map(|r| r.start).chain(core::iter::once(end));
        starts.zip(ends).map(move |(a, b)| a..b.min(end)).filter(|r| r.start < r.end)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn merges_neighbours_and_counts_only_new_bytes() {
        let mut set = RangeSet::default();
        assert_eq!(set.insert(10..20, 2), Some(10));
        assert_eq!(set.insert(30..40, 2), Some(10));
        assert_eq!(set.insert(15..35, 2), Some(10));
        assert_eq!(set.pieces(), 1);
        assert_eq!(set.insert(0..10, 2), Some(10));
        assert!(set.covers(40) && !set.covers(41));
        assert!(set.missing(50).eq(core::iter::once(40..50)));
    }

    #[test]
    fn a_piece_too_many_is_refused_and_one_that_closes_a_gap_is_not() {
        let mut set = RangeSet::default();
        assert_eq!((set.insert(2..4, 2), set.insert(8..9, 2)), (Some(2), Some(1)));
        let before = set.clone();
        assert_eq!(set.insert(6..7, 2), None);
        assert_eq!(set, before);
        assert_eq!((set.insert(4..5, 2), set.insert(5..8, 2)), (Some(1), Some(3)));
        assert_eq!(set.insert(20..21, 2), Some(1));
    }

    proptest! {
        #[test]
        fn agrees_with_a_bitmap(inserts in prop::collection::vec((0u32..200, 0u32..40), 0..60)) {
            let mut set = RangeSet::default();
            let mut bitmap = [false; 256];
            for (start, len) in inserts {
                let new = (start..start + len).filter(|&i| !bitmap[i as usize]).count();
                bitmap[start as usize..(start + len) as usize].fill(true);
                prop_assert_eq!(set.insert(start..start + len, usize::MAX), Some(new as u32));
            }
            prop_assert_eq!(set.len(), bitmap.iter().filter(|&&b| b).count() as u64);
            let mut holes = [true; 256];
            for hole in set.missing(256) {
                holes[hole.start as usize..hole.end as usize].fill(false);
            }
            prop_assert_eq!(holes, bitmap);
        }
    }
}
