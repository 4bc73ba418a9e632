//! PATH_CHALLENGE and PATH_RESPONSE: the proof of a new address (section 7.6).

use super::bytes::{Reader, Writer};
use super::{DecodeError, EncodeError};

/// The payload of both: random bytes that the client sends back from the address to be proven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PathProof(pub [u8; 8]);

impl PathProof {
    /// Bytes of the payload.
    pub const LEN: usize = 8;

    /// Writes the payload, returns its length.
    ///
    /// # Errors
    ///
    /// When `out` has less than [`Self::LEN`] bytes.
    pub fn encode(&self, out: &mut [u8]) -> Result<usize, EncodeError> {
        let mut writer = Writer::new(out);
        writer.put(&self.0)?;
        Ok(writer.len())
    }

    /// Reads a payload.
    ///
    /// # Errors
    ///
    /// When it is too short.
    pub fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        Reader::new(payload).array().map(Self)
    }
}
