//! STATUS: which requests the server has received and finished (section 7.3).

use super::bytes::{Reader, Writer};
use super::{DecodeError, EncodeError};

/// The payload of a STATUS. The frame header's offset is the highest request id received; bit i of both
/// maps is request id `highest − i`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// Requests received.
    pub received: u64,
    /// Requests sent in full, refused or cancelled.
    pub finished: u64,
    /// Every packet of a finished request has a lower sequence number.
    pub next_sequence: u64,
}

impl Status {
    /// Bytes of the payload.
    pub const LEN: usize = 24;

    /// Writes the payload, returns its length.
    ///
    /// # Errors
    ///
    /// When `out` has less than [`Self::LEN`] bytes.
    pub fn encode(&self, out: &mut [u8]) -> Result<usize, EncodeError> {
        let mut writer = Writer::new(out);
        for field in [self.received, self.finished, self.next_sequence] {
            writer.put(&field.to_be_bytes())?;
        }
        Ok(writer.len())
    }

    /// Reads a payload.
    ///
    /// # Errors
    ///
    /// When it is too short.
    pub fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(payload);
        Ok(Self { received: reader.u64()?, finished: reader.u64()?, next_sequence: reader.u64()? })
    }
}
