//! PULSE and its reply: load, round trip, and whether a segment is there (section 7.5).

use super::bytes::{Reader, Writer};
use super::{DecodeError, EncodeError};

/// [`PulseReply::load`] of an edge whose egress is used in full.
pub const LOAD_FULL: u16 = 10_000;

/// The payload of a PULSE: zeros, as many as the reply has bytes, so that no reply is larger than what asked
/// for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pulse;

impl Pulse {
    /// The least bytes of the payload.
    pub const LEN: usize = PulseReply::LEN;

    /// Writes the payload, returns its length.
    ///
    /// # Errors
    ///
    /// When `out` has less than [`Self::LEN`] bytes.
    pub fn encode(&self, out: &mut [u8]) -> Result<usize, EncodeError> {
        let mut writer = Writer::new(out);
        writer.put(&[0; Self::LEN])?;
        Ok(writer.len())
    }

    /// Reads a payload, whose bytes mean nothing.
    ///
    /// # Errors
    ///
    /// When it is shorter than the reply would be.
    pub fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        Reader::new(payload).slice(Self::LEN)?;
        Ok(Self)
    }
}

/// Whether an edge has a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Presence {
    /// It is not there.
    No = 0,
    /// It is in memory.
    Yes = 1,
    /// It is on disk only.
    NotResident = 2,
}

/// The payload of a PULSE_REPLY.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PulseReply {
    /// Send time of the PULSE.
    pub echo: u32,
    /// Egress used, of [`LOAD_FULL`].
    pub load: u16,
    /// Whether the segment asked about is there.
    pub has_segment: Presence,
    /// Milliseconds until a request made now would be served.
    pub queue_ms: u32,
}

impl PulseReply {
    /// Bytes of the payload.
    pub const LEN: usize = 16;

    /// Writes the payload, returns its length.
    ///
    /// # Errors
    ///
    /// When `out` has less than [`Self::LEN`] bytes, and for a load over [`LOAD_FULL`].
    pub fn encode(&self, out: &mut [u8]) -> Result<usize, EncodeError> {
        if self.load > LOAD_FULL {
            return Err(EncodeError::Bounds("load"));
        }
        let mut writer = Writer::new(out);
        writer.put(&self.echo.to_be_bytes())?;
        writer.put(&self.load.to_be_bytes())?;
        writer.put(&[self.has_segment as u8, 0])?;
        writer.put(&self.queue_ms.to_be_bytes())?;
        writer.put(&[0; 4])?;
        Ok(writer.len())
    }

    /// Reads a payload.
    ///
    /// # Errors
    ///
    /// When it is too short, and for a load or a presence that is not defined.
    pub fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(payload);
        let (echo, load) = (reader.u32()?, reader.u16()?);
        if load > LOAD_FULL {
            return Err(DecodeError::Bounds("load"));
        }
        let has_segment = match reader.u8()? {
            0 => Presence::No,
            1 => Presence::Yes,
            2 => Presence::NotResident,
            _ => return Err(DecodeError::Bounds("has segment")),
        };
        let _reserved = reader.u8()?;
        let queue_ms = reader.u32()?;
        let _reserved = reader.u32()?;
        Ok(Self { echo, load, has_segment, queue_ms })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pulse_smaller_than_its_reply_is_refused() {
        assert!(Pulse::decode(&[0; 15]).is_err());
        assert!(Pulse::decode(&[7; 200]).is_ok());
    }

    #[test]
    fn undefined_values_are_refused() {
        let mut payload = [0; 16];
        payload[4..6].copy_from_slice(&10_001_u16.to_be_bytes());
        assert_eq!(PulseReply::decode(&payload), Err(DecodeError::Bounds("load")));
        payload[4..7].copy_from_slice(&[0, 0, 3]);
        assert_eq!(PulseReply::decode(&payload), Err(DecodeError::Bounds("has segment")));
    }
}
