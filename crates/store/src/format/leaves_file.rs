//! `sets/<set>.leaves`: the leaves of a set's segments, so that an edge need not compute them before it sends to a group.

use core::ops::Range;

use segcast_proto::ids::{ObjectNumber, SetId};

use super::fields::{Fields, append_checksum, strip_checksum};
use super::{FORMAT_VERSION, FormatError, GENERATIONS};
use crate::limits::SEGMENT_LEAVES_MAX;

const MAGIC: &str = "SGCLEAVE";
/// Bytes before the first record.
pub const LEAVES_HEADER_BYTES: usize = 64;
/// What follows the leaves in each record.
const CHECKSUM_BYTES: u64 = 4;

/// The name of the file with a set's leaves.
#[must_use]
pub fn leaves_file_name(set: SetId) -> String {
    format!("{set}.leaves")
}

/// The head of a `.leaves` file; a record for each segment follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeavesHeader {
    /// The set.
    pub set: SetId,
    /// The generation of its slots.
    pub generation: u64,
    /// How many segments it has.
    pub segments: u32,
    /// The leaves of one segment, bytes.
    pub leaves_bytes: u32,
}

impl LeavesHeader {
    /// Where the record of `segment` begins.
    #[must_use]
    pub fn record(&self, segment: u32) -> u64 {
        let record = u64::from(self.leaves_bytes) + CHECKSUM_BYTES;
        LEAVES_HEADER_BYTES as u64 + u64::from(segment) * record
    }

    /// Where the leaves of `segment` lie; `None` past the end.
    #[must_use]
    pub fn range(&self, segment: u32) -> Option<Range<u64>> {
        let start = self.record(segment);
        (segment < self.segments).then_some(start..start + u64::from(self.leaves_bytes))
    }

    /// The length of the whole file.
    #[must_use]
    pub fn file_bytes(&self) -> u64 {
        self.record(self.segments)
    }

    /// The bytes of the head.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(LEAVES_HEADER_BYTES);
        bytes.extend_from_slice(MAGIC.as_bytes());
        bytes.extend_from_slice(&FORMAT_VERSION.to_be_bytes());
        bytes.extend_from_slice(&self.leaves_bytes.to_be_bytes());
        bytes.extend_from_slice(&self.set.0);
        bytes.extend_from_slice(&self.generation.to_be_bytes());
        bytes.extend_from_slice(&self.segments.to_be_bytes());
        bytes.resize(LEAVES_HEADER_BYTES - CHECKSUM_BYTES as usize, 0);
        append_checksum(&mut bytes);
        bytes
    }

    /// Reads the head of the file of set `set`.
    ///
    /// # Errors
    /// Any difference from what [`encode`](Self::encode) writes for that set.
    pub fn decode(bytes: &[u8], set: SetId) -> Result<Self, FormatError> {
        let wanted = LEAVES_HEADER_BYTES as u64;
        Fields::new(bytes, wanted).opening(MAGIC)?;
        if bytes.len() != LEAVES_HEADER_BYTES {
            return Err(FormatError::Length { found: bytes.len() as u64, wanted });
        }
        let mut fields = Fields::new(strip_checksum(bytes)?, wanted);
        fields.opening(MAGIC)?;
        let leaves_bytes = fields.u32()?;
        if fields.take(16)? != set.0 {
            return Err(FormatError::OtherSet);
        }
        let (generation, segments) = (fields.u64()?, fields.u32()?);
        let value = |field, found| Err(FormatError::Value { field, found });
        if generation >= GENERATIONS {
            return value("the generation", generation);
        }
        if segments == 0 || segments > ObjectNumber::SEGMENTS_MAX {
            return value("the number of segments", segments.into());
        }
        if leaves_bytes == 0 || leaves_bytes > SEGMENT_LEAVES_MAX {
            return value("the length of a segment's leaves", leaves_bytes.into());
        }
        Ok(Self { set, generation, segments, leaves_bytes })
    }
}

/// The record of one segment: its leaves and their checksum.
#[must_use]
pub fn record(leaves: &[u8]) -> Vec<u8> {
    let mut record = leaves.to_vec();
    append_checksum(&mut record);
    record
}

/// The leaves in a record, unless the checksum is another's.
#[must_use]
pub fn leaves_in(record: &[u8]) -> Option<&[u8]> {
    strip_checksum(record).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SET: SetId = SetId([7; 16]);

    fn sample() -> LeavesHeader {
        LeavesHeader { set: SET, generation: 12, segments: 3, leaves_bytes: 1280 }
    }

    #[test]
    fn reads_back_what_it_wrote_and_notices_every_flipped_bit() {
        let bytes = sample().encode();
        assert_eq!(bytes.len(), LEAVES_HEADER_BYTES);
        assert_eq!(LeavesHeader::decode(&bytes, SET), Ok(sample()));
        assert_eq!(LeavesHeader::decode(&bytes, SetId([8; 16])), Err(FormatError::OtherSet));
        for bit in 0..8 * LEAVES_HEADER_BYTES {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(LeavesHeader::decode(&flipped, SET).is_err(), "bit {bit}");
        }
        for cut in 0..bytes.len() {
            assert!(LeavesHeader::decode(&bytes[..cut], SET).is_err(), "{cut} bytes");
        }
    }

    #[test]
    fn records_follow_each_other() {
        let header = sample();
        assert_eq!(header.range(0), Some(64..1344));
        assert_eq!(header.range(2), Some(64 + 2 * 1284..64 + 2 * 1284 + 1280));
        assert_eq!((header.range(3), header.file_bytes()), (None, 64 + 3 * 1284));
        let mut one = record(&[5; 16]);
        assert_eq!(leaves_in(&one), Some(&[5; 16][..]));
        one[3] ^= 1;
        assert_eq!(leaves_in(&one), None);
    }

    proptest! {
        #[test]
        fn any_fields_under_a_right_checksum_are_an_error_or_a_head(
            fields in prop::collection::vec(any::<u8>(), 48),
        ) {
            let mut bytes = sample().encode()[..12].to_vec();
            bytes.extend_from_slice(&fields);
            append_checksum(&mut bytes);
            let _ = LeavesHeader::decode(&bytes, SET);
        }
    }
}
