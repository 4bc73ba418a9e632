//! GROUP_PROBE: what a channel sends now and next, to all who listen there (section 20.3).

use super::bytes::{Reader, Writer};
use super::{DecodeError, EncodeError};
use crate::limits::PROBE_ENTRIES_MAX;
use crate::time::Duration;

/// The frame header's segment number in the probe of a channel that sends nothing.
pub const NOTHING: u32 = u32::MAX;

/// The longest wait before a repair grows by this for each member that listens …
const BACK_OFF_EACH: Duration = Duration::from_micros(100);
/// … within these bounds.
const BACK_OFF_MIN: Duration = Duration::from_millis(10);
const BACK_OFF_MAX: Duration = Duration::from_millis(250);

/// The longest wait of one of `members` before it asks for a repair (section 20.5).
#[must_use]
pub fn back_off(members: u32) -> Duration {
    BACK_OFF_EACH.saturating_mul(members).clamp(BACK_OFF_MIN, BACK_OFF_MAX)
}

/// Where a segment stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ProbeState {
    /// It waits for its start.
    Queued = 1,
    /// It is being sent.
    Sending = 2,
    /// It was sent: all symbols below the number that the entry says.
    Sent = 3,
    /// Further symbols of it come, as many as the entry says.
    Repair = 4,
}

impl TryFrom<u8> for ProbeState {
    type Error = DecodeError;

    fn try_from(byte: u8) -> Result<Self, DecodeError> {
        Ok(match byte {
            1 => Self::Queued,
            2 => Self::Sending,
            3 => Self::Sent,
            4 => Self::Repair,
            _ => return Err(DecodeError::Bounds("state of a segment")),
        })
    }
}

/// One segment of a channel's queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProbeEntry {
    /// Which one.
    pub segment: u32,
    /// Where it stands.
    pub state: ProbeState,
    /// [`ProbeState::Sent`]: all symbols below this were sent. [`ProbeState::Repair`]: so many come.
    pub symbols: u16,
    /// Milliseconds to the start of what is queued, or since the end of what was sent.
    pub time_ms: u32,
}

/// The payload of a GROUP_PROBE. The frame header's segment number is the segment being sent, or [`NOTHING`]; its offset
/// the number of the probe. It is a hint: whoever has the group's key can make one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupProbe {
    /// Members that listen to the set.
    pub members: u32,
    /// The longest wait before a repair is asked for, milliseconds.
    pub back_off_ms: u16,
    /// Segments of the queue, at most 16.
    pub entries: Vec<ProbeEntry>,
}

impl GroupProbe {
    /// The longest payload: 16 entries.
    pub const LEN_MAX: usize = 8 + PROBE_ENTRIES_MAX * 12;

    /// Writes the payload, returns its length.
    ///
    /// # Errors
    ///
    /// When `out` is too small ([`Self::LEN_MAX`] is always enough), and for more than 16 entries.
    pub fn encode(&self, out: &mut [u8]) -> Result<usize, EncodeError> {
        if self.entries.len() > PROBE_ENTRIES_MAX {
            return Err(EncodeError::Bounds("number of entries"));
        }
        let mut writer = Writer::new(out);
        writer.put(&self.members.to_be_bytes())?;
        writer.put(&self.back_off_ms.to_be_bytes())?;
        writer.put(&[self.entries.len() as u8, 0])?;
        for entry in &self.entries {
            writer.put(&entry.segment.to_be_bytes())?;
            writer.put(&[entry.state as u8, 0])?;
            writer.put(&entry.symbols.to_be_bytes())?;
            writer.put(&entry.time_ms.to_be_bytes())?;
        }
        Ok(writer.len())
    }

    /// Reads a payload.
    ///
    /// # Errors
    ///
    /// For more than 16 entries, and a state that is not defined.
    pub fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(payload);
        let (members, back_off_ms) = (reader.u32()?, reader.u16()?);
        let [count, _reserved] = reader.array()?;
        if usize::from(count) > PROBE_ENTRIES_MAX {
            return Err(DecodeError::Bounds("number of entries"));
        }
        let entries = (0..count).map(|_| entry(&mut reader)).collect::<Result<_, _>>()?;
        Ok(Self { members, back_off_ms, entries })
    }
}

fn entry(reader: &mut Reader<'_>) -> Result<ProbeEntry, DecodeError> {
    let segment = reader.u32()?;
    let [state, _reserved] = reader.array()?;
    let (symbols, time_ms) = (reader.u16()?, reader.u32()?);
    Ok(ProbeEntry { segment, state: ProbeState::try_from(state)?, symbols, time_ms })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENTRY: ProbeEntry =
        ProbeEntry { segment: 9, state: ProbeState::Sent, symbols: 1600, time_ms: 20 };

    #[test]
    fn a_probe_has_the_layout_of_the_document() {
        let probe = GroupProbe { members: 300, back_off_ms: 30, entries: vec![ENTRY] };
        let mut out = [0; 20];
        assert_eq!(probe.encode(&mut out), Ok(20));
        assert_eq!(out[..8], [0, 0, 1, 44, 0, 30, 1, 0]);
        assert_eq!(out[8..], [0, 0, 0, 9, 3, 0, 6, 0x40, 0, 0, 0, 20]);
    }

    #[test]
    fn what_is_out_of_bounds_is_refused() {
        let probe = |entries| GroupProbe { members: 2, back_off_ms: 10, entries };
        let mut out = [0; GroupProbe::LEN_MAX];
        assert_eq!(
            probe(vec![ENTRY; 17]).encode(&mut out),
            Err(EncodeError::Bounds("number of entries"))
        );
        assert_eq!(probe(vec![ENTRY; 16]).encode(&mut out), Ok(GroupProbe::LEN_MAX));
        let altered = |at: usize, byte: u8| {
            let mut payload = out;
            payload[at] = byte;
            GroupProbe::decode(&payload)
        };
        assert_eq!(altered(6, 17), Err(DecodeError::Bounds("number of entries")));
        for state in [0, 5] {
            assert_eq!(altered(12, state), Err(DecodeError::Bounds("state of a segment")));
        }
    }
}
