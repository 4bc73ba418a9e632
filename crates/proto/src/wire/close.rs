//! CLOSE: the session ends (section 7.9).

use super::bytes::{Reader, Writer};
use super::{Code, DecodeError, EncodeError};
use crate::limits::REASON_MAX;

/// The payload of a CLOSE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Close {
    /// Why.
    pub code: Code,
    /// The same in words, for a log.
    pub reason: String,
}

impl Close {
    /// The longest payload.
    pub const LEN_MAX: usize = 4 + REASON_MAX;

    /// A CLOSE whose reason is the meaning of its code.
    #[must_use]
    pub const fn new(code: Code) -> Self {
        Self { code, reason: String::new() }
    }

    /// Writes the payload, returns its length. A reason over 64 bytes is cut at the end of a character.
    ///
    /// # Errors
    ///
    /// When `out` is too small; [`Self::LEN_MAX`] is always enough.
    pub fn encode(&self, out: &mut [u8]) -> Result<usize, EncodeError> {
        let reason = &self.reason[..self.reason.floor_char_boundary(REASON_MAX)];
        let mut writer = Writer::new(out);
        writer.put(&u16::from(self.code).to_be_bytes())?;
        writer.put(&(reason.len() as u16).to_be_bytes())?;
        writer.put(reason.as_bytes())?;
        Ok(writer.len())
    }

    /// Reads a payload. What is not UTF-8 in the reason, and control characters, become U+FFFD: the
    /// text goes to logs and terminals.
    ///
    /// # Errors
    ///
    /// When it is too short, or the reason over 64 bytes.
    pub fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(payload);
        let (code, len) = (Code::from(reader.u16()?), usize::from(reader.u16()?));
        if len > REASON_MAX {
            return Err(DecodeError::Bounds("reason length"));
        }
        let reason =
            String::from_utf8_lossy(reader.slice(len)?).replace(char::is_control, "\u{FFFD}");
        Ok(Self { code, reason })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_reason_is_cut_between_characters() {
        let close = Close { code: Code::Idle, reason: "x".repeat(63) + "ä" };
        let mut out = [0; Close::LEN_MAX];
        assert_eq!(close.encode(&mut out), Ok(67));
        assert_eq!(Close::decode(&out).unwrap().reason, "x".repeat(63));
    }

    #[test]
    fn a_reason_cannot_write_to_a_terminal() {
        let close = Close::decode(&[0, 33, 0, 4, b'a', 0x1B, 0xFF, b'\n']).unwrap();
        assert_eq!(close.reason, "a\u{FFFD}\u{FFFD}\u{FFFD}");
    }

    #[test]
    fn a_reason_that_is_too_long_or_cut_is_refused() {
        let mut payload = [b'x'; 200];
        payload[..4].copy_from_slice(&[0, 32, 0, 65]);
        assert_eq!(Close::decode(&payload), Err(DecodeError::Bounds("reason length")));
        payload[3] = 64;
        assert!(Close::decode(&payload).is_ok());
        assert!(matches!(Close::decode(&payload[..67]), Err(DecodeError::Truncated { .. })));
    }
}
