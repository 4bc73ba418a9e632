//! `STORE`: what the whole store is built on. 28 bytes, written once.

use super::fields::{Fields, append_checksum, strip_checksum};
use super::{FORMAT_VERSION, FormatError};
use crate::limits::{FILE_BYTES_MAX, FILE_BYTES_MIN, PAGE};

const MAGIC: &str = "SGCSTORE";
/// The size of the file.
pub const STORE_FILE_BYTES: usize = 28;

/// The contents of `STORE`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreFile {
    /// The size of every segment file.
    pub file_bytes: u64,
}

/// Whether segment files can have this size: whole pages, within the limits.
#[must_use]
pub fn file_bytes_valid(file_bytes: u64) -> bool {
    file_bytes.is_multiple_of(PAGE) && (FILE_BYTES_MIN..=FILE_BYTES_MAX).contains(&file_bytes)
}

impl StoreFile {
    /// The bytes of the file.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(STORE_FILE_BYTES);
        bytes.extend_from_slice(MAGIC.as_bytes());
        bytes.extend_from_slice(&FORMAT_VERSION.to_be_bytes());
        bytes.extend_from_slice(&0_u32.to_be_bytes());
        bytes.extend_from_slice(&self.file_bytes.to_be_bytes());
        append_checksum(&mut bytes);
        bytes
    }

    /// Reads the bytes of the file.
    ///
    /// # Errors
    /// Any difference from what [`encode`](Self::encode) writes. The version is looked at before the checksum,
    /// so that a later format is named as such.
    pub fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        let mut fields = Fields::new(bytes, STORE_FILE_BYTES as u64);
        fields.opening(MAGIC)?;
        if bytes.len() != STORE_FILE_BYTES {
            let (found, wanted) = (bytes.len() as u64, STORE_FILE_BYTES as u64);
            return Err(FormatError::Length { found, wanted });
        }
        strip_checksum(bytes)?;
        fields.u32()?;
        let file_bytes = fields.u64()?;
        if !file_bytes_valid(file_bytes) {
            return Err(FormatError::Value { field: "the segment file size", found: file_bytes });
        }
        Ok(Self { file_bytes })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_back_what_it_wrote() {
        let store = StoreFile { file_bytes: 1 << 30 };
        assert_eq!(StoreFile::decode(&store.encode()), Ok(store));
    }

    #[test]
    fn a_later_version_is_named() {
        let mut bytes = StoreFile { file_bytes: 1 << 30 }.encode();
        bytes[11] = 2;
        assert_eq!(StoreFile::decode(&bytes), Err(FormatError::Version { found: 2 }));
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let bytes = StoreFile { file_bytes: 1 << 20 }.encode();
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(StoreFile::decode(&flipped).is_err(), "bit {bit}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_an_error_or_a_store(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            if let Ok(store) = StoreFile::decode(&bytes) {
                prop_assert!(file_bytes_valid(store.file_bytes));
            }
        }
    }
}
