//! A segment file: one header page, all slot headers together, then the slots' data, page-aligned.
//!
//! Everything follows from three numbers: the size of the file, the number of the file, and the size of a
//! segment. [`Geometry`] is that arithmetic.

use core::ops::Range;

use segcast_proto::limits::SEGMENT_MAX;

use super::fields::{Fields, append_checksum, strip_checksum};
use super::slot_header::SLOT_HEADER_BYTES;
use super::{FORMAT_VERSION, FormatError};
use crate::limits::PAGE;

const MAGIC: &str = "SGCSEGFL";
/// Bytes of the header page that mean something; the rest is zeros.
const HEADER_BYTES: usize = 40;

/// Where the slots of a segment file lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    /// The size of the file.
    file_bytes: u64,
    /// The size of a segment.
    segment_bytes: u32,
    /// How many slots the file has.
    slots: u32,
}

/// No slot of this size fits into a file of that size.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "segments of {segment_bytes} bytes do not fit: a segment has 1 to {SEGMENT_MAX} bytes, and this store's files \
     have {file_bytes}, of which two pages of {PAGE} bytes are headers"
)]
pub struct DoesNotFit {
    /// The size of a segment.
    pub segment_bytes: u32,
    /// The size of a segment file.
    pub file_bytes: u64,
}

impl Geometry {
    /// As many slots for segments of `segment_bytes` as a file of `file_bytes` can hold.
    ///
    /// # Errors
    /// [`DoesNotFit`] if that is none, or if the segment is empty or larger than the protocol allows.
    pub fn new(file_bytes: u64, segment_bytes: u32) -> Result<Self, DoesNotFit> {
        let refused = DoesNotFit { segment_bytes, file_bytes };
        if segment_bytes == 0 || segment_bytes as usize > SEGMENT_MAX {
            return Err(refused);
        }
        let stride = u64::from(segment_bytes).next_multiple_of(PAGE);
        // Without rounding the headers up to pages this many fit; the rounding costs at most one page, one slot.
        let estimate = file_bytes.saturating_sub(PAGE) / (stride + SLOT_HEADER_BYTES as u64);
        for slots in [estimate, estimate.saturating_sub(1)] {
            let Ok(slots) = u32::try_from(slots) else { return Err(refused) };
            let geometry = Self { file_bytes, segment_bytes, slots };
            if slots > 0 && geometry.data_start() + u64::from(slots) * stride <= file_bytes {
                return Ok(geometry);
            }
        }
        Err(refused)
    }

    /// The size of the file.
    #[must_use]
    pub const fn file_bytes(&self) -> u64 {
        self.file_bytes
    }

    /// The size of a segment.
    #[must_use]
    pub const fn segment_bytes(&self) -> u32 {
        self.segment_bytes
    }

    /// How many slots the file has.
    #[must_use]
    pub const fn slots(&self) -> u32 {
        self.slots
    }

    /// From one slot's data to the next: the segment size rounded up to pages.
    #[must_use]
    pub const fn stride(&self) -> u64 {
        (self.segment_bytes as u64).next_multiple_of(PAGE)
    }

    const fn data_start(&self) -> u64 {
        PAGE + (self.slots as u64 * SLOT_HEADER_BYTES as u64).next_multiple_of(PAGE)
    }

    /// Where the header of `slot` lies.
    #[must_use]
    pub fn header_range(&self, slot: u32) -> Range<u64> {
        let start = PAGE + u64::from(slot) * SLOT_HEADER_BYTES as u64;
        start..start + SLOT_HEADER_BYTES as u64
    }

    /// Where the segment in `slot` lies.
    ///
    /// # Panics
    /// If the file has no such slot.
    #[must_use]
    pub fn data_range(&self, slot: u32) -> Range<u64> {
        assert!(slot < self.slots, "slot {slot} of {}", self.slots);
        let start = self.data_start() + u64::from(slot) * self.stride();
        start..start + u64::from(self.segment_bytes)
    }

    /// The pages of `count` slots from `first` on.
    #[must_use]
    pub fn blocks(&self, first: u32, count: u32) -> Range<u64> {
        let start = self.data_start() + u64::from(first) * self.stride();
        start..start + u64::from(count) * self.stride()
    }

    /// The header page of file `number`.
    #[must_use]
    pub fn encode_header(&self, number: u32) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(PAGE as usize);
        bytes.extend_from_slice(MAGIC.as_bytes());
        bytes.extend_from_slice(&FORMAT_VERSION.to_be_bytes());
        bytes.extend_from_slice(&number.to_be_bytes());
        bytes.extend_from_slice(&self.file_bytes.to_be_bytes());
        bytes.extend_from_slice(&self.segment_bytes.to_be_bytes());
        bytes.extend_from_slice(&self.slots.to_be_bytes());
        bytes.extend_from_slice(&(self.data_start() / PAGE).to_be_bytes()[4..]);
        append_checksum(&mut bytes);
        assert!(bytes.len() == HEADER_BYTES, "{} bytes", bytes.len());
        bytes.resize(PAGE as usize, 0);
        bytes
    }

    /// Reads the header page of file `number` in a store whose files have `file_bytes`.
    ///
    /// # Errors
    /// Any difference from what [`encode_header`](Self::encode_header) writes for that file.
    pub fn decode_header(bytes: &[u8], number: u32, file_bytes: u64) -> Result<Self, FormatError> {
        let mut fields = Fields::new(bytes, PAGE);
        let header = fields.take(HEADER_BYTES)?;
        let mut fields = Fields::new(header, PAGE);
        fields.opening(MAGIC)?;
        strip_checksum(header)?;
        expect("the file number", fields.u32()?.into(), number.into())?;
        expect("the file size", fields.u64()?, file_bytes)?;
        let segment_bytes = fields.u32()?;
        let geometry = Self::new(file_bytes, segment_bytes).map_err(|_| FormatError::Value {
            field: "the segment size",
            found: segment_bytes.into(),
        })?;
        expect("the number of slots", fields.u32()?.into(), geometry.slots.into())?;
        expect("the page where data starts", fields.u32()?.into(), geometry.data_start() / PAGE)?;
        Ok(geometry)
    }
}

fn expect(field: &'static str, found: u64, wanted: u64) -> Result<(), FormatError> {
    if found == wanted { Ok(()) } else { Err(FormatError::Value { field, found }) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_gibibyte_holds_what_the_arithmetic_says() {
        // 14 units of 73 728 bytes: 252 pages. (2^30 - 4096) / (252 * 4096 + 64) = 1040.1.
        let geometry = Geometry::new(1 << 30, 14 * 73_728).unwrap();
        assert_eq!(geometry.slots(), 1040);
        // 1040 headers of 64 bytes are 16.25 pages, so data starts on page 1 + 17.
        assert_eq!(geometry.data_range(0), 18 * 4096..18 * 4096 + 14 * 73_728);
        assert_eq!(geometry.header_range(1039), 4096 + 1039 * 64..4096 + 1040 * 64);
    }

    #[test]
    fn one_slot_needs_three_pages_at_least() {
        assert_eq!(Geometry::new(3 * 4096, 4096).unwrap().slots(), 1);
        assert!(Geometry::new(2 * 4096, 4096).is_err());
        assert!(Geometry::new(3 * 4096, 4097).is_err());
        assert!(Geometry::new(1 << 30, 0).is_err());
        assert!(Geometry::new(256 << 30, SEGMENT_MAX as u32 + 1).is_err());
        let text = Geometry::new(3 * 4096, 4097).unwrap_err().to_string();
        assert!(text.contains("4097") && text.contains("12288"), "{text}");
    }

    #[test]
    fn a_header_of_another_file_or_store_is_refused() {
        let geometry = Geometry::new(1 << 20, 5000).unwrap();
        let page = geometry.encode_header(7);
        assert_eq!(page.len(), 4096);
        assert_eq!(Geometry::decode_header(&page, 7, 1 << 20), Ok(geometry));
        assert!(Geometry::decode_header(&page, 8, 1 << 20).is_err());
        assert!(Geometry::decode_header(&page, 7, 1 << 21).is_err());
        assert!(Geometry::decode_header(&[0; 4096], 7, 1 << 20).is_err());
    }

    proptest! {
        #[test]
        fn slots_lie_in_the_file_and_one_more_would_not(
            pages in 3_u64..100_000, segment_bytes in 1_u32..2_000_000,
        ) {
            let Ok(geometry) = Geometry::new(pages * PAGE, segment_bytes) else { return Ok(()) };
            let last = geometry.slots() - 1;
            prop_assert!(geometry.header_range(last).end <= geometry.data_range(0).start);
            prop_assert_eq!(geometry.data_range(0).start % PAGE, 0);
            prop_assert!(geometry.blocks(last, 1).end <= pages * PAGE);
            let more = Geometry { slots: geometry.slots() + 1, ..geometry };
            prop_assert!(more.blocks(last + 1, 1).end > pages * PAGE);
        }

        #[test]
        fn any_header_is_an_error_or_whole(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            prop_assert!(Geometry::decode_header(&bytes, 1, 1 << 20).is_err());
        }

        #[test]
        fn every_flipped_bit_is_noticed(bit in 0..HEADER_BYTES * 8) {
            let mut page = Geometry::new(1 << 20, 4096).unwrap().encode_header(3);
            page[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(Geometry::decode_header(&page, 3, 1 << 20).is_err());
        }
    }
}
