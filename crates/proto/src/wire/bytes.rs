//! Cursors that read and write big-endian fields and know where the buffer ends.

use super::{DecodeError, EncodeError};

/// Reads fields one after the other.
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// The next `len` bytes.
    pub(super) fn slice(&mut self, len: usize) -> Result<&'a [u8], DecodeError> {
        let needed = self.at.saturating_add(len);
        let field = self
            .bytes
            .get(self.at..needed)
            .ok_or(DecodeError::Truncated { needed, got: self.bytes.len() })?;
        self.at = needed;
        Ok(field)
    }

    /// The next `N` bytes.
    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let mut out = [0; N];
        out.copy_from_slice(self.slice(N)?);
        Ok(out)
    }

    /// The next byte.
    pub(super) fn u8(&mut self) -> Result<u8, DecodeError> {
        self.array().map(u8::from_be_bytes)
    }

    /// The next 2 bytes as a number.
    pub(super) fn u16(&mut self) -> Result<u16, DecodeError> {
        self.array().map(u16::from_be_bytes)
    }

    /// The next 4 bytes as a number.
    pub(super) fn u32(&mut self) -> Result<u32, DecodeError> {
        self.array().map(u32::from_be_bytes)
    }

    /// The next 8 bytes as a number.
    pub(super) fn u64(&mut self) -> Result<u64, DecodeError> {
        self.array().map(u64::from_be_bytes)
    }
}

/// Writes fields one after the other.
pub(super) struct Writer<'a> {
    out: &'a mut [u8],
    at: usize,
}

impl<'a> Writer<'a> {
    pub(super) const fn new(out: &'a mut [u8]) -> Self {
        Self { out, at: 0 }
    }

    /// Appends `field`, for numbers their `to_be_bytes()`.
    pub(super) fn put(&mut self, field: &[u8]) -> Result<(), EncodeError> {
        let (needed, got) = (self.at + field.len(), self.out.len());
        self.out
            .get_mut(self.at..needed)
            .ok_or(EncodeError::NoRoom { needed, got })?
            .copy_from_slice(field);
        self.at = needed;
        Ok(())
    }

    /// The number of bytes written.
    pub(super) const fn len(&self) -> usize {
        self.at
    }
}
