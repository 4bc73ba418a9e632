//! How a title is cut: segments of one size, symbols, parity, leaf groups, manifest pages (sections 12, 13).
//!
//! A geometry only exists with numbers inside their bounds, so everything computed from one is free of
//! overflow, also when the numbers came from a hostile manifest.

use core::ops::Range;

use crate::ids::ObjectNumber;
use crate::limits::{MANIFEST_PAGE_MAX, SEGMENT_MAX, SEGMENT_UNIT, SYMBOL};
use crate::time::Duration;

/// The smallest segment, bytes, and the step between sizes: 64 symbols (section 12).
pub const UNIT: u32 = SEGMENT_UNIT as u32;
/// The largest segment, bytes: 455 units, the most within 32 MiB.
pub const LARGEST: u32 = SEGMENT_MAX as u32 / UNIT * UNIT;
/// The segment size when nothing better is known, bytes: 14 units, the nearest to 1 MiB.
pub const DEFAULT_SEGMENT: u32 = 14 * UNIT;
/// What a segment should play for when the running time is known: the middle of 2 to 4 s.
pub const TARGET_PLAY: Duration = Duration::from_secs(3);
/// Source symbols for each parity symbol (section 12).
pub const SOURCE_PER_PARITY: u32 = 4;
/// Leaves in a LEAVES payload: 72 × 16 bytes fill one symbol's room (section 12).
pub const LEAVES_PER_GROUP: u32 = (SYMBOL / LEAF) as u32;
/// A leaf, and the digest of a LEAVES payload, bytes.
pub const LEAF: usize = 16;
/// The digest of a stored segment, bytes.
pub const DIGEST: usize = 32;
/// The header of a manifest page other than the root, bytes.
pub const PAGE_HEADER: usize = 32;
/// The last page number that an [`ObjectNumber`] can name; page 0 is the root.
pub const PAGES_MAX: u32 = 0xFFFF;

const _: () = assert!(DEFAULT_SEGMENT == 1_032_192 && LARGEST == 33_546_240);
const _: () = assert!(LEAVES_PER_GROUP == 72);
/// The code works on at most 2^16 symbols.
const _: () = assert!(LARGEST / SYMBOL as u32 / SOURCE_PER_PARITY * 5 <= 1 << 16);

/// Why a title cannot be cut this way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GeometryError {
    /// The segment size is no multiple of [`UNIT`] in [`UNIT`]`..=`[`LARGEST`].
    #[error("segments of {found} bytes: the size must be a multiple of {UNIT}, at most {LARGEST}")]
    SegmentSize {
        /// The size given, bytes.
        found: u64,
    },
    /// More segments than the wire or the manifest's pages can number.
    #[error(
        "{length} bytes in segments of {segment_bytes} are more than a manifest can describe \
         ({most} segments): choose larger segments"
    )]
    TooManySegments {
        /// The title's length, bytes.
        length: u64,
        /// The segment size given, bytes.
        segment_bytes: u32,
        /// The most segments at this size.
        most: u32,
    },
}

/// The cut of one title: its true length, the size of its segments, and whether they have parity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    true_length: u64,
    segment_bytes: u32,
    segments: u32,
    parity: bool,
}

impl Geometry {
    /// Cuts `true_length` bytes into segments of `segment_bytes`; with `parity`, segments also have parity
    /// symbols and leaves (sets that may be multicast). A title of 0 bytes has no segment.
    ///
    /// # Errors
    /// [`GeometryError`] when the size is out of bounds or the segments are more than can be numbered.
    pub fn new(true_length: u64, segment_bytes: u32, parity: bool) -> Result<Self, GeometryError> {
        if !is_segment_size(segment_bytes) {
            return Err(GeometryError::SegmentSize { found: segment_bytes.into() });
        }
        let mut geometry = Self { true_length, segment_bytes, segments: 0, parity };
        // E <= 2047 and PAGES_MAX < 2^16: far below 2^32.
        let most = (PAGES_MAX * geometry.entries_per_page()).min(ObjectNumber::SEGMENTS_MAX);
        let needed = true_length.div_ceil(segment_bytes.into());
        geometry.segments = u32::try_from(needed)
            .ok()
            .filter(|&n| n <= most)
            .ok_or(GeometryError::TooManySegments { length: true_length, segment_bytes, most })?;
        Ok(geometry)
    }

    /// The title's length, bytes.
    #[must_use]
    pub const fn true_length(&self) -> u64 {
        self.true_length
    }

    /// The size S of every stored segment, bytes.
    #[must_use]
    pub const fn segment_bytes(&self) -> u32 {
        self.segment_bytes
    }

    /// The number of segments.
    #[must_use]
    pub const fn segments(&self) -> u32 {
        self.segments
    }

    /// Whether segments have parity symbols and leaves.
    #[must_use]
    pub const fn has_parity(&self) -> bool {
        self.parity
    }

    /// Source symbols of a segment: k.
    #[must_use]
    pub const fn source_symbols(&self) -> u32 {
        self.segment_bytes / SYMBOL as u32
    }

    /// Parity symbols of a segment: m; 0 without parity.
    #[must_use]
    pub const fn parity_symbols(&self) -> u32 {
        if self.parity { self.source_symbols().div_ceil(SOURCE_PER_PARITY) } else { 0 }
    }

    /// LEAVES payloads of a segment: G; 0 without parity.
    #[must_use]
    pub const fn leaf_groups(&self) -> u32 {
        if self.parity {
            (self.source_symbols() + self.parity_symbols()).div_ceil(LEAVES_PER_GROUP)
        } else {
            0
        }
    }

    /// The manifest's description of one segment, bytes: a digest, and G digests of LEAVES payloads.
    #[must_use]
    pub const fn entry_bytes(&self) -> usize {
        DIGEST + LEAF * self.leaf_groups() as usize
    }

    /// Segments described on each manifest page but the last: E.
    #[must_use]
    pub const fn entries_per_page(&self) -> u32 {
        ((MANIFEST_PAGE_MAX - PAGE_HEADER) / self.entry_bytes()) as u32
    }

    /// Manifest pages besides the root: P.
    #[must_use]
    pub const fn pages(&self) -> u32 {
        self.segments.div_ceil(self.entries_per_page())
    }

    /// The page (1 to P) that describes `segment`; none past the end.
    #[must_use]
    pub fn page_of(&self, segment: u32) -> Option<u16> {
        if segment >= self.segments {
            return None;
        }
        u16::try_from(segment / self.entries_per_page() + 1).ok()
    }

    /// The segments that `page` (1 to P) describes; none for the root and past the end.
    #[must_use]
    pub fn segments_on(&self, page: u16) -> Option<Range<u32>> {
        let before = u32::from(page).checked_sub(1).filter(|&n| n < self.pages())?;
        let first = before * self.entries_per_page();
        Some(first..self.segments.min(first + self.entries_per_page()))
    }

    /// Bytes of the title in `segment`, the rest of it being padding; none past the end.
    #[must_use]
    pub fn data_len(&self, segment: u32) -> Option<u32> {
        let range = self.title_range(segment)?;
        u32::try_from(range.end - range.start).ok()
    }

    /// Where in the title the bytes of `segment` lie; none past the end.
    #[must_use]
    pub fn title_range(&self, segment: u32) -> Option<Range<u64>> {
        if segment >= self.segments {
            return None;
        }
        let size = u64::from(self.segment_bytes);
        // segment < segments, so start < true_length; the end may pass 2^64 only by its padding.
        let start = u64::from(segment) * size;
        Some(start..self.true_length.min(start.saturating_add(size)))
    }

    /// The segment and the offset in it where byte `offset` of the title lies; none past the end.
    #[must_use]
    pub fn locate(&self, offset: u64) -> Option<(u32, u32)> {
        if offset >= self.true_length {
            return None;
        }
        let size = u64::from(self.segment_bytes);
        let segment = u32::try_from(offset / size).ok()?;
        let within = u32::try_from(offset % size).ok()?;
        Some((segment, within))
    }
}

/// Whether section 12 allows this size.
#[must_use]
pub const fn is_segment_size(bytes: u32) -> bool {
    bytes >= UNIT && bytes <= LARGEST && bytes.is_multiple_of(UNIT)
}

/// The allowed segment size nearest to `bytes`.
#[must_use]
pub fn nearest_segment_size(bytes: u64) -> u32 {
    let clamped = bytes.clamp(UNIT.into(), LARGEST.into());
    // At most LARGEST + UNIT / 2, rounded down to a unit: at most LARGEST.
    let units = (clamped + u64::from(UNIT) / 2) / u64::from(UNIT);
    u32::try_from(units).map_or(LARGEST, |n| n * UNIT)
}

/// The segment size for a title of `length` bytes that plays for `duration`: about [`TARGET_PLAY`] of
/// content, as near as the allowed sizes come. [`DEFAULT_SEGMENT`] when the duration is zero (unknown).
#[must_use]
pub fn segment_bytes_for(duration: Duration, length: u64) -> u32 {
    let millis = duration.as_millis();
    if millis == 0 {
        return DEFAULT_SEGMENT;
    }
    // Below 2^64 × 3000: fits 128 bits.
    let bytes = u128::from(length) * TARGET_PLAY.as_millis() / millis;
    nearest_segment_size(u64::try_from(bytes).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_empty_title_has_no_segment_and_no_page() {
        let g = Geometry::new(0, UNIT, true).unwrap();
        assert_eq!((g.segments(), g.pages()), (0, 0));
        assert_eq!(
            (g.data_len(0), g.page_of(0), g.segments_on(1), g.locate(0)),
            Default::default()
        );
    }

    #[test]
    fn the_last_segment_holds_what_is_left() {
        let unit = u64::from(UNIT);
        for (length, segments, last) in
            [(1, 1, 1), (unit - 1, 1, UNIT - 1), (unit, 1, UNIT), (unit + 1, 2, 1)]
        {
            let g = Geometry::new(length, UNIT, false).unwrap();
            assert_eq!(g.segments(), segments, "{length} bytes");
            assert_eq!(g.data_len(segments - 1), Some(last), "{length} bytes");
            assert_eq!(g.data_len(segments), None, "{length} bytes");
        }
    }

    #[test]
    fn the_numbers_of_the_default_size_are_those_of_the_specification() {
        let g = Geometry::new(10 << 30, DEFAULT_SEGMENT, true).unwrap();
        assert_eq!((g.source_symbols(), g.parity_symbols(), g.leaf_groups()), (896, 224, 16));
        assert_eq!((g.entry_bytes(), g.entries_per_page()), (288, 227));
        let clear = Geometry::new(10 << 30, DEFAULT_SEGMENT, false).unwrap();
        assert_eq!((clear.parity_symbols(), clear.leaf_groups()), (0, 0));
        assert_eq!((clear.entry_bytes(), clear.entries_per_page()), (32, 2047));
    }

    #[test]
    fn titles_beyond_the_last_page_are_refused() {
        let most = u64::from(PAGES_MAX) * 1023;
        let fits = Geometry::new(most * u64::from(UNIT), UNIT, true).unwrap();
        assert_eq!((u64::from(fits.segments()), fits.pages()), (most, PAGES_MAX));
        for length in [most * u64::from(UNIT) + 1, u64::MAX] {
            assert_eq!(
                Geometry::new(length, UNIT, true),
                Err(GeometryError::TooManySegments {
                    length,
                    segment_bytes: UNIT,
                    most: most as u32
                })
            );
        }
    }

    #[test]
    fn sizes_off_the_grid_are_refused() {
        for size in [0, 1, UNIT - 1, UNIT + 1, LARGEST + UNIT, u32::MAX] {
            assert_eq!(
                Geometry::new(1, size, true),
                Err(GeometryError::SegmentSize { found: size.into() })
            );
        }
    }

    #[test]
    fn segments_play_for_about_three_seconds() {
        // 4 Mbit/s for an hour: 1.5 MB in 3 s, the nearest multiple of the unit is 20 units.
        let hour = Duration::from_secs(3600);
        assert_eq!(segment_bytes_for(hour, 500_000 * 3600), 20 * UNIT);
        assert_eq!(segment_bytes_for(Duration::ZERO, 1 << 40), DEFAULT_SEGMENT);
        assert_eq!(segment_bytes_for(hour, 1), UNIT);
        assert_eq!(segment_bytes_for(Duration::from_millis(1), u64::MAX), LARGEST);
        assert_eq!(segment_bytes_for(Duration::MAX, u64::MAX), UNIT);
    }

    proptest! {
        #[test]
        fn any_numbers_give_a_geometry_that_holds_together_or_an_error(
            length in prop_oneof![any::<u64>(), 0..1_u64 << 44],
            units in 0..500_u32, parity: bool, probe: u64,
        ) {
            let size = units * UNIT;
            let Ok(g) = Geometry::new(length, size, parity) else { return Ok(()) };
            let total = u64::from(g.segments()) * u64::from(size);
            prop_assert!(total >= length && total - length < u64::from(size));
            prop_assert!(PAGE_HEADER + g.entry_bytes() * g.entries_per_page() as usize <= MANIFEST_PAGE_MAX);
            prop_assert!(g.pages() <= PAGES_MAX);
            if g.segments() > 0 {
                let segment = (probe % u64::from(g.segments())) as u32;
                let page = g.page_of(segment).unwrap();
                prop_assert!(g.segments_on(page).unwrap().contains(&segment));
                let offset = probe % length;
                let (at, within) = g.locate(offset).unwrap();
                prop_assert_eq!(g.title_range(at).unwrap().start + u64::from(within), offset);
                prop_assert!(within < g.data_len(at).unwrap());
            }
        }

        #[test]
        fn every_chosen_size_is_allowed(millis: u64, length: u64, bytes: u64) {
            prop_assert!(is_segment_size(segment_bytes_for(Duration::from_millis(millis), length)));
            let nearest = nearest_segment_size(bytes);
            prop_assert!(is_segment_size(nearest));
            if (u64::from(UNIT)..=u64::from(LARGEST)).contains(&bytes) {
                prop_assert!(bytes.abs_diff(nearest.into()) <= u64::from(UNIT) / 2);
            }
        }
    }
}
