//! REPORT: the client says what it received (section 7.2).

use super::bytes::{Reader, Writer};
use super::{DecodeError, EncodeError, SequenceRanges};
use crate::limits::REPORT_RANGES_MAX;

/// The payload of a REPORT. The frame header's offset is the number of the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report {
    /// Send time of the packet with the highest sequence number received.
    pub echo: u32,
    /// Microseconds between its arrival and this report.
    pub echo_delay_us: u32,
    /// KiB that the client can take beyond what it received.
    pub room_kib: u32,
    /// Packets with ECN CE so far.
    pub ce_count: u32,
    /// Packets received so far.
    pub received_count: u32,
    /// What was received, newest first; at least one range.
    pub ranges: SequenceRanges,
}

impl Report {
    /// The longest payload: 16 ranges.
    pub const LEN_MAX: usize = 24 + 12 + (REPORT_RANGES_MAX - 1) * 8;

    /// Writes the payload, returns its length.
    ///
    /// # Errors
    ///
    /// When there is no range, or `out` is too small; [`Self::LEN_MAX`] is always enough.
    pub fn encode(&self, out: &mut [u8]) -> Result<usize, EncodeError> {
        let highest = self.ranges.highest().ok_or(EncodeError::Bounds("number of ranges"))?;
        let mut writer = Writer::new(out);
        let fields =
            [self.echo, self.echo_delay_us, self.room_kib, self.ce_count, self.received_count];
        for field in fields {
            writer.put(&field.to_be_bytes())?;
        }
        writer.put(&(self.ranges.len() as u16).to_be_bytes())?;
        writer.put(&[0; 2])?;
        writer.put(&highest.to_be_bytes())?;
        let mut last_low = None;
        for (low, high) in self.ranges.iter() {
            if let Some(last_low) = last_low {
                writer.put(&narrow(last_low - high - 1).to_be_bytes())?;
            }
            writer.put(&narrow(high - low + 1).to_be_bytes())?;
            last_low = Some(low);
        }
        Ok(writer.len())
    }

    /// Reads a payload.
    ///
    /// # Errors
    ///
    /// For a number of ranges other than 1 to 16, empty ranges, ranges that touch, and ranges below 0.
    pub fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(payload);
        let (echo, echo_delay_us, room_kib) = (reader.u32()?, reader.u32()?, reader.u32()?);
        let (ce_count, received_count) = (reader.u32()?, reader.u32()?);
        let (count, _reserved) = (reader.u16()?, reader.u16()?);
        if count == 0 || usize::from(count) > REPORT_RANGES_MAX {
            return Err(DecodeError::Bounds("number of ranges"));
        }
        let mut high = reader.u64()?;
        let mut ranges = SequenceRanges::new();
        for i in 0..count {
            if i > 0 {
                let gap = u64::from(reader.u32()?);
                // `high` is the lowest number of the last range here.
                high = high.checked_sub(gap + 1).ok_or(DecodeError::Bounds("gap"))?;
            }
            let length = u64::from(reader.u32()?);
            let low = length.checked_sub(1).and_then(|below| high.checked_sub(below));
            let low = low.ok_or(DecodeError::Bounds("length"))?;
            if !ranges.push(low, high) {
                return Err(DecodeError::Bounds("gap"));
            }
            high = low;
        }
        Ok(Self { echo, echo_delay_us, room_kib, ce_count, received_count, ranges })
    }
}

/// A gap or a length: [`SequenceRanges`] takes only those that fit.
fn narrow(number: u64) -> u32 {
    u32::try_from(number).expect("SequenceRanges holds no gap or length over 2^32 - 1")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payload(highest: u64, numbers: &[u32]) -> Vec<u8> {
        let mut bytes = vec![0; 20];
        bytes.extend([0, numbers.len().div_ceil(2) as u8, 0, 0]);
        bytes.extend(highest.to_be_bytes());
        bytes.extend(numbers.iter().flat_map(|n| n.to_be_bytes()));
        bytes
    }

    fn ranges(highest: u64, numbers: &[u32]) -> Result<Vec<(u64, u64)>, DecodeError> {
        Report::decode(&payload(highest, numbers)).map(|report| report.ranges.iter().collect())
    }

    #[test]
    fn ranges_count_down_from_the_highest_number() {
        assert_eq!(ranges(100, &[11, 5, 3]), Ok(vec![(90, 100), (82, 84)]));
        assert_eq!(ranges(0, &[1]), Ok(vec![(0, 0)]));
        assert_eq!(ranges(3, &[1, 1, 2]), Ok(vec![(3, 3), (0, 1)]));
    }

    #[test]
    fn nothing_reaches_below_zero_or_is_empty() {
        assert_eq!(ranges(9, &[11]), Err(DecodeError::Bounds("length")));
        assert_eq!(ranges(9, &[0]), Err(DecodeError::Bounds("length")));
        assert_eq!(ranges(9, &[10, 1, 1]), Err(DecodeError::Bounds("gap")));
        assert_eq!(ranges(9, &[5, u32::MAX, 1]), Err(DecodeError::Bounds("gap")));
        assert_eq!(ranges(9, &[5, 0, 1]), Err(DecodeError::Bounds("gap")));
        assert_eq!(ranges(9, &[5, 1, 0]), Err(DecodeError::Bounds("length")));
        assert_eq!(ranges(9, &[5, 1, 5]), Err(DecodeError::Bounds("length")));
        assert_eq!(ranges(9, &[]), Err(DecodeError::Bounds("number of ranges")));
        assert_eq!(ranges(99, &[1; 33]), Err(DecodeError::Bounds("number of ranges")));
    }

    #[test]
    fn a_report_of_nothing_cannot_be_written() {
        let report = Report {
            echo: 0,
            echo_delay_us: 0,
            room_kib: 0,
            ce_count: 0,
            received_count: 0,
            ranges: SequenceRanges::new(),
        };
        let mut out = [0; Report::LEN_MAX];
        assert_eq!(report.encode(&mut out), Err(EncodeError::Bounds("number of ranges")));
    }
}
