//! REFUSE: the server will not serve a request (section 7.4).

use super::bytes::{Reader, Writer};
use super::{Code, DecodeError, EncodeError};

/// The payload of a REFUSE. The frame header names the object; its offset is the request id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refuse {
    /// Why.
    pub code: Code,
    /// When another try makes sense, in milliseconds; 0: not said.
    pub retry_after_ms: u32,
}

impl Refuse {
    /// Bytes of the payload.
    pub const LEN: usize = 8;

    /// Writes the payload, returns its length.
    ///
    /// # Errors
    ///
    /// When `out` has less than [`Self::LEN`] bytes.
    pub fn encode(&self, out: &mut [u8]) -> Result<usize, EncodeError> {
        let mut writer = Writer::new(out);
        writer.put(&u16::from(self.code).to_be_bytes())?;
        writer.put(&[0; 2])?;
        writer.put(&self.retry_after_ms.to_be_bytes())?;
        Ok(writer.len())
    }

    /// Reads a payload.
    ///
    /// # Errors
    ///
    /// When it is too short.
    pub fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(payload);
        let (code, _reserved) = (Code::from(reader.u16()?), reader.u16()?);
        Ok(Self { code, retry_after_ms: reader.u32()? })
    }
}
