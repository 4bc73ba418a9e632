//! Reading big-endian fields one after another, and the checksums that frame them.

use super::{FORMAT_VERSION, FormatError};

/// What is left to read. Every step returns an error at the end of the bytes.
pub(super) struct Fields<'a> {
    rest: &'a [u8],
    missing: FormatError,
}

impl<'a> Fields<'a> {
    /// Reads `bytes`; a read past their end says that `wanted` bytes are needed.
    pub(super) fn new(bytes: &'a [u8], wanted: u64) -> Self {
        let missing = FormatError::Length { found: bytes.len() as u64, wanted };
        Self { rest: bytes, missing }
    }

    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8], FormatError> {
        let (head, rest) = self.rest.split_at_checked(count).ok_or_else(|| self.missing.clone())?;
        self.rest = rest;
        Ok(head)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], FormatError> {
        let (head, rest) = self.rest.split_first_chunk().ok_or_else(|| self.missing.clone())?;
        self.rest = rest;
        Ok(*head)
    }

    pub(super) fn u32(&mut self) -> Result<u32, FormatError> {
        self.array().map(u32::from_be_bytes)
    }

    pub(super) fn u64(&mut self) -> Result<u64, FormatError> {
        self.array().map(u64::from_be_bytes)
    }

    /// The eight bytes that name the format, then its version.
    pub(super) fn opening(&mut self, wanted: &'static str) -> Result<(), FormatError> {
        if self.take(8)? != wanted.as_bytes() {
            return Err(FormatError::Magic { wanted });
        }
        match self.u32()? {
            FORMAT_VERSION => Ok(()),
            found => Err(FormatError::Version { found }),
        }
    }
}

/// Appends the CRC32C of everything in `bytes`.
pub(super) fn append_checksum(bytes: &mut Vec<u8>) {
    let checksum = crc32c::crc32c(bytes);
    bytes.extend_from_slice(&checksum.to_be_bytes());
}

/// Splits off the last four bytes and compares them with the CRC32C of those before.
pub(super) fn strip_checksum(bytes: &[u8]) -> Result<&[u8], FormatError> {
    let short = FormatError::Length { found: bytes.len() as u64, wanted: 4 };
    let (body, checksum) = bytes.split_last_chunk().ok_or(short)?;
    if crc32c::crc32c(body) == u32::from_be_bytes(*checksum) {
        Ok(body)
    } else {
        Err(FormatError::Checksum)
    }
}
