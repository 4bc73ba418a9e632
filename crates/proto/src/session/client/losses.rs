//! How many DATA packets the bytes were that did not come. A gap in sequence numbers cannot tell: the server leaves
//! numbers out (section 10), and messages take some.

use core::ops::Range;

use crate::limits::SYMBOL;

/// Payload sizes of DATA on this path: the one in use and the one before it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct PayloadSizes {
    current: u32,
    before: u32,
    /// The last payload, if it was shorter than `current`.
    short: u32,
}

impl PayloadSizes {
    /// Notes a payload that does not end its object. One that is shorter may only end a range; two alike in a row are a
    /// smaller size. Less than a symbol is no size that a path has: by such ones [`Self::mixed`] would count for long.
    pub(super) fn note(&mut self, bytes: u32) {
        if bytes < SYMBOL as u32 {
            return;
        }
        if bytes == self.current {
            self.short = 0;
        } else if bytes > self.current || bytes == self.short {
            (self.before, self.current, self.short) = (self.current, bytes, 0);
        } else {
            self.short = bytes;
        }
    }

    /// How many packets carried `range`; `is_tail`: it reaches to the end of its object, where a packet is as short as
    /// what is left. An empty tail is one of unknown length: one packet at least.
    pub(super) fn packets(&self, range: &Range<u32>, is_tail: bool) -> u64 {
        let len = range.end.saturating_sub(range.start);
        if len == 0 {
            return u64::from(is_tail);
        }
        let current = if self.current == 0 { SYMBOL as u32 } else { self.current };
        let packets = if self.before == 0 || len.is_multiple_of(current) {
            len.div_ceil(current)
        } else if is_tail {
            // Packets begin at multiples of their size where the size did not change in between.
            let old =
                !range.start.is_multiple_of(current) && range.start.is_multiple_of(self.before);
            len.div_ceil(if old { self.before } else { current })
        } else {
            self.mixed(len).unwrap_or_else(|| len.div_ceil(current))
        };
        u64::from(packets)
    }

    /// Whole packets of both sizes that make `len` bytes together, as few as possible.
    fn mixed(&self, len: u32) -> Option<u32> {
        (0..=len / self.current).rev().find_map(|count| {
            let rest = len - count * self.current;
            rest.is_multiple_of(self.before).then(|| count + rest / self.before)
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sizes(noted: &[u32]) -> PayloadSizes {
        let mut sizes = PayloadSizes::default();
        noted.iter().for_each(|&bytes| sizes.note(bytes));
        sizes
    }

    #[test]
    fn a_size_that_grows_counts_at_once_and_one_that_shrinks_when_it_comes_twice() {
        let grown = sizes(&[1152, 1152, 1392]);
        assert_eq!((grown.current, grown.before), (1392, 1152));
        let ended = sizes(&[1392, 100, 1392, 100, 1392]);
        assert_eq!((ended.current, ended.before), (1392, 0));
        let fallen = sizes(&[1392, 1152, 1152]);
        assert_eq!((fallen.current, fallen.before), (1152, 1392));
    }

    #[test]
    fn no_path_carries_less_than_a_symbol() {
        let shrunk = sizes(&[1152, 1152, 2, 2, 1, 1]);
        assert_eq!((shrunk.current, shrunk.before), (1152, 0));
    }

    #[test]
    fn before_anything_came_packets_are_of_one_symbol() {
        assert_eq!(sizes(&[]).packets(&(0..1153), true), 2);
        assert_eq!(sizes(&[]).packets(&(5..5), true), 1);
    }

    #[test]
    fn a_tail_from_before_the_size_grew_is_counted_by_the_old_size() {
        let grown = sizes(&[1392, 8904]);
        // 73 728 bytes are 52 packets of 1392 bytes and one of 1344.
        assert_eq!(grown.packets(&(50 * 1392..73_728), true), 3);
        assert_eq!(grown.packets(&(8904..73_728), true), 8);
    }

    proptest! {
        /// A gap in an object that was sent in packets of two sizes, the change at any place.
        #[test]
        fn any_gap_around_a_change_of_size_is_counted(
            change in 0..40_u32,
            (first, count) in (0..60_u32, 1..20_u32),
            pair in prop::sample::select(vec![(1152, 1392), (1392, 8904), (1152, 8904), (1392, 1152)]),
        ) {
            let (old, new) = pair;
            let start = |packet: u32| old * packet.min(change) + new * packet.saturating_sub(change);
            let noted = sizes(&[old, old, new, new]);
            let range = start(first)..start(first + count);
            prop_assert_eq!(noted.packets(&range, false), u64::from(count));
        }
    }
}
