//! REQUEST: the client wants ranges of an object (section 7.1).

use super::bytes::{Reader, Writer};
use super::{ByteRanges, DecodeError, EncodeError};
use crate::limits::RANGES_MAX;

/// The request may be served by a group: the client can hear groups, and accepts a GROUP_KEY (section 20).
pub const FLAG_HEARS: u16 = 1;
/// The request asks again for what was sent before: for accounting only.
pub const FLAG_REPAIR: u16 = 2;

/// The payload of a REQUEST. The frame header says which object, its offset is the request id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// When the client needs it, in milliseconds from sending.
    pub deadline_ms: u32,
    /// [`FLAG_HEARS`], [`FLAG_REPAIR`]; the others are reserved.
    pub flags: u16,
    /// What it wants; none: the whole object.
    pub ranges: ByteRanges,
}

impl Request {
    /// The longest payload: 64 ranges.
    pub const LEN_MAX: usize = 8 + RANGES_MAX * 8;

    /// Writes the payload, returns its length.
    ///
    /// # Errors
    ///
    /// When `out` is too small; [`Self::LEN_MAX`] is always enough.
    pub fn encode(&self, out: &mut [u8]) -> Result<usize, EncodeError> {
        let mut writer = Writer::new(out);
        writer.put(&self.deadline_ms.to_be_bytes())?;
        writer.put(&self.flags.to_be_bytes())?;
        writer.put(&(self.ranges.len() as u16).to_be_bytes())?;
        for range in self.ranges.iter() {
            writer.put(&range.start.to_be_bytes())?;
            writer.put(&range.end.to_be_bytes())?;
        }
        Ok(writer.len())
    }

    /// Reads a payload.
    ///
    /// # Errors
    ///
    /// For more than 64 ranges, and ranges that are empty or not ascending.
    pub fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(payload);
        let (deadline_ms, flags, count) = (reader.u32()?, reader.u16()?, reader.u16()?);
        if usize::from(count) > RANGES_MAX {
            return Err(DecodeError::Bounds("number of ranges"));
        }
        let mut ranges = ByteRanges::WHOLE;
        for _ in 0..count {
            if !ranges.push(reader.u32()?..reader.u32()?) {
                return Err(DecodeError::Bounds("range"));
            }
        }
        Ok(Self { deadline_ms, flags, ranges })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_out_of_order_are_refused() {
        let payload = |ranges: &[(u32, u32)]| {
            let mut bytes = vec![0, 0, 0, 9, 0, 0, 0, ranges.len() as u8];
            for (start, end) in ranges {
                bytes.extend(start.to_be_bytes());
                bytes.extend(end.to_be_bytes());
            }
            bytes
        };
        let read =
            |ranges: &[(u32, u32)]| Request::decode(&payload(ranges)).map(|r| r.ranges.len());
        assert_eq!(read(&[]), Ok(0));
        assert_eq!(read(&[(0, 1), (1, u32::MAX)]), Ok(2));
        assert_eq!(read(&[(0, 2), (1, 3)]), Err(DecodeError::Bounds("range")));
        assert_eq!(read(&[(3, 3)]), Err(DecodeError::Bounds("range")));
        assert_eq!(read(&[(5, 9), (0, 1)]), Err(DecodeError::Bounds("range")));
        assert_eq!(read(&[(0, 1); 65]), Err(DecodeError::Bounds("number of ranges")));
        let cut = payload(&[(0, 1)]);
        assert!(matches!(Request::decode(&cut[..15]), Err(DecodeError::Truncated { .. })));
    }
}
