//! A slot header: 64 bytes that say which segment a slot holds, and the checksum of its data.
//!
//! A valid header is only ever on disk when the data it describes is (that is the order of a commit), and it
//! counts only when the set's `.set` file names the same generation.

use segcast_proto::ids::{ObjectNumber, SetId};

use super::fields::{Fields, append_checksum, strip_checksum};
use super::{FormatError, GENERATIONS};

const MAGIC: &str = "SLOT";
/// The state of a slot that holds a segment. A free slot has no valid header.
const COMMITTED: u8 = 1;
/// The size of a slot header.
pub const SLOT_HEADER_BYTES: usize = 64;
// Eight in a disk sector of 512: a header never lies across two, so that it is written whole or not at all.
const _: () = assert!(512 % SLOT_HEADER_BYTES == 0);

/// What a slot holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotHeader {
    /// The set.
    pub set: SetId,
    /// The segment's number in the set.
    pub segment: u32,
    /// The length of its data, bytes.
    pub length: u32,
    /// Which attempt to write the set this was: unique among all that are on the disk.
    pub generation: u64,
    /// CRC32C of the data.
    pub data_checksum: u32,
    /// The number of the file, and
    pub file: u32,
    /// the slot in it: a header that was written to a wrong place is not valid there.
    pub slot: u32,
}

impl SlotHeader {
    /// The 64 bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(SLOT_HEADER_BYTES);
        bytes.extend_from_slice(MAGIC.as_bytes());
        bytes.extend_from_slice(&[COMMITTED, 0, 0, 0]);
        bytes.extend_from_slice(&self.set.0);
        bytes.extend_from_slice(&self.segment.to_be_bytes());
        bytes.extend_from_slice(&self.length.to_be_bytes());
        bytes.extend_from_slice(&self.generation.to_be_bytes());
        bytes.extend_from_slice(&self.data_checksum.to_be_bytes());
        bytes.extend_from_slice(&self.file.to_be_bytes());
        bytes.extend_from_slice(&self.slot.to_be_bytes());
        bytes.resize(SLOT_HEADER_BYTES - 4, 0);
        append_checksum(&mut bytes);
        bytes
    }

    /// Reads 64 bytes that lie in `slot` of file number `file`.
    ///
    /// # Errors
    /// Anything that [`encode`](Self::encode) does not write for that place.
    pub fn decode(bytes: &[u8], file: u32, slot: u32) -> Result<Self, FormatError> {
        if bytes.len() != SLOT_HEADER_BYTES {
            let (found, wanted) = (bytes.len() as u64, SLOT_HEADER_BYTES as u64);
            return Err(FormatError::Length { found, wanted });
        }
        let mut fields = Fields::new(bytes, SLOT_HEADER_BYTES as u64);
        if fields.take(4)? != MAGIC.as_bytes() {
            return Err(FormatError::Magic { wanted: MAGIC });
        }
        strip_checksum(bytes)?;
        let [state, ..] = fields.array::<4>()?;
        if state != COMMITTED {
            return Err(FormatError::Value { field: "the slot's state", found: state.into() });
        }
        let header = Self {
            set: SetId(fields.array()?),
            segment: fields.u32()?,
            length: fields.u32()?,
            generation: fields.u64()?,
            data_checksum: fields.u32()?,
            file: fields.u32()?,
            slot: fields.u32()?,
        };
        let value = |field, found: u32| FormatError::Value { field, found: found.into() };
        if header.file != file {
            return Err(value("the slot's file number", header.file));
        }
        if header.slot != slot {
            return Err(value("the slot's number", header.slot));
        }
        if header.generation >= GENERATIONS {
            let field = "the generation";
            return Err(FormatError::Value { field, found: header.generation });
        }
        if ObjectNumber(header.segment).as_segment().is_none() {
            return Err(value("the segment number", header.segment));
        }
        Ok(header)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn header(set: [u8; 16], numbers: [u32; 4], generation: u64) -> SlotHeader {
        let [segment, length, data_checksum, slot] = numbers;
        let segment = segment % ObjectNumber::SEGMENTS_MAX;
        let generation = generation % GENERATIONS;
        SlotHeader { set: SetId(set), segment, length, generation, data_checksum, file: 9, slot }
    }

    proptest! {
        #[test]
        fn reads_back_what_it_wrote(set: [u8; 16], numbers: [u32; 4], generation: u64) {
            let header = header(set, numbers, generation);
            let bytes = header.encode();
            prop_assert_eq!(bytes.len(), SLOT_HEADER_BYTES);
            prop_assert_eq!(SlotHeader::decode(&bytes, 9, header.slot), Ok(header));
            prop_assert!(SlotHeader::decode(&bytes, 8, header.slot).is_err());
            prop_assert!(SlotHeader::decode(&bytes, 9, header.slot ^ 1).is_err());
        }

        #[test]
        fn every_flipped_bit_is_noticed(set: [u8; 16], numbers: [u32; 4], bit in 0..512_usize) {
            let header = header(set, numbers, 3);
            let mut bytes = header.encode();
            bytes[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(SlotHeader::decode(&bytes, 9, header.slot).is_err());
        }

        #[test]
        fn any_bytes_are_an_error(bytes in prop::collection::vec(any::<u8>(), 0..130)) {
            prop_assert!(SlotHeader::decode(&bytes, 0, 0).is_err());
        }
    }

    #[test]
    fn zeros_are_a_free_slot() {
        assert!(SlotHeader::decode(&[0; 64], 0, 0).is_err());
    }
}
