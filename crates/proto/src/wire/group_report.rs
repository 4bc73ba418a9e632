//! GROUP_REPORT: the client says what it hears of a set's groups (section 20.2).

use super::bytes::{Reader, Writer};
use super::{DecodeError, EncodeError};
use crate::ids::ChannelId;
use crate::limits::GROUP_CHANNELS_MAX;

/// [`ChannelReport::loss`] of a channel of which all was lost.
pub const LOSS_ALL: u16 = 10_000;
/// [`GroupReport::window`] of a client that can store all that it hears.
pub const WINDOW_ALL: u32 = u32::MAX;

/// What a client does with a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum ChannelState {
    /// It does not listen there.
    Left = 0,
    /// It has joined, and heard nothing yet.
    Joining = 1,
    /// It hears it.
    Listening = 2,
    /// It has joined, and nothing comes, or far too little.
    Deaf = 3,
}

impl TryFrom<u8> for ChannelState {
    type Error = DecodeError;

    fn try_from(byte: u8) -> Result<Self, DecodeError> {
        Ok(match byte {
            0 => Self::Left,
            1 => Self::Joining,
            2 => Self::Listening,
            3 => Self::Deaf,
            _ => return Err(DecodeError::Bounds("state of a channel")),
        })
    }
}

/// One channel, as the client hears it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChannelReport {
    /// Which one.
    pub id: ChannelId,
    /// What the client does with it.
    pub state: ChannelState,
    /// Symbols lost over the last 16 sends that it heard whole, of [`LOSS_ALL`].
    pub loss: u16,
    /// Symbols verified since the last report, modulo 2^32.
    pub verified: u32,
}

/// The payload of a GROUP_REPORT. The frame header names the set; its segment number is the position: the first segment
/// that the client lacks and will need. Its offset is the number of the report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupReport {
    /// Serial of the newest GROUP_KEY received.
    pub serial: u32,
    /// What the client accepts from groups, kbit/s; 0: nothing, it leaves.
    pub rate_kbit: u32,
    /// Segments from the position on that it can store; [`WINDOW_ALL`]: all.
    pub window: u32,
    /// The channels that it knows of.
    pub channels: Vec<ChannelReport>,
}

impl GroupReport {
    /// The longest payload: 32 channels.
    pub const LEN_MAX: usize = 16 + GROUP_CHANNELS_MAX * 12;

    /// Writes the payload, returns its length.
    ///
    /// # Errors
    ///
    /// When `out` is too small ([`Self::LEN_MAX`] is always enough), for more than 32 channels, and for a loss over
    /// [`LOSS_ALL`].
    pub fn encode(&self, out: &mut [u8]) -> Result<usize, EncodeError> {
        if self.channels.len() > GROUP_CHANNELS_MAX {
            return Err(EncodeError::Bounds("number of channels"));
        }
        let mut writer = Writer::new(out);
        for field in [self.serial, self.rate_kbit, self.window] {
            writer.put(&field.to_be_bytes())?;
        }
        writer.put(&[self.channels.len() as u8, 0, 0, 0])?;
        for channel in &self.channels {
            if channel.loss > LOSS_ALL {
                return Err(EncodeError::Bounds("loss of a channel"));
            }
            writer.put(&channel.id.0.to_be_bytes())?;
            writer.put(&[channel.state as u8, 0])?;
            writer.put(&channel.loss.to_be_bytes())?;
            writer.put(&channel.verified.to_be_bytes())?;
        }
        Ok(writer.len())
    }

    /// Reads a payload.
    ///
    /// # Errors
    ///
    /// For more than 32 channels, a state that is not defined, and a loss over [`LOSS_ALL`].
    pub fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(payload);
        let (serial, rate_kbit, window) = (reader.u32()?, reader.u32()?, reader.u32()?);
        let [count, _, _, _] = reader.array()?;
        if usize::from(count) > GROUP_CHANNELS_MAX {
            return Err(DecodeError::Bounds("number of channels"));
        }
        let channels = (0..count).map(|_| channel(&mut reader)).collect::<Result<_, _>>()?;
        Ok(Self { serial, rate_kbit, window, channels })
    }
}

fn channel(reader: &mut Reader<'_>) -> Result<ChannelReport, DecodeError> {
    let id = ChannelId(reader.u32()?);
    let [state, _reserved] = reader.array()?;
    let (loss, verified) = (reader.u16()?, reader.u32()?);
    if loss > LOSS_ALL {
        return Err(DecodeError::Bounds("loss of a channel"));
    }
    Ok(ChannelReport { id, state: ChannelState::try_from(state)?, loss, verified })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(channels: usize) -> GroupReport {
        let channel = ChannelReport {
            id: ChannelId::new(1, 7),
            state: ChannelState::Listening,
            loss: 200,
            verified: 1600,
        };
        GroupReport {
            serial: 2,
            rate_kbit: 45_000,
            window: WINDOW_ALL,
            channels: vec![channel; channels],
        }
    }

    #[test]
    fn a_report_has_the_layout_of_the_document() {
        let mut out = [0; 28];
        assert_eq!(report(1).encode(&mut out), Ok(28));
        assert_eq!(out[..8], [0, 0, 0, 2, 0, 0, 0xAF, 0xC8]);
        assert_eq!(out[8..16], [255, 255, 255, 255, 1, 0, 0, 0]);
        assert_eq!(out[16..], [0, 0, 1, 7, 2, 0, 0, 200, 0, 0, 6, 0x40]);
    }

    #[test]
    fn what_is_out_of_bounds_is_refused() {
        let mut out = [0; GroupReport::LEN_MAX];
        assert_eq!(report(33).encode(&mut out), Err(EncodeError::Bounds("number of channels")));
        let len = report(32).encode(&mut out).unwrap();
        assert_eq!(len, GroupReport::LEN_MAX);
        let altered = |at: usize, bytes: &[u8]| {
            let mut payload = out;
            payload[at..at + bytes.len()].copy_from_slice(bytes);
            GroupReport::decode(&payload)
        };
        assert_eq!(altered(12, &[33]), Err(DecodeError::Bounds("number of channels")));
        assert_eq!(altered(20, &[4]), Err(DecodeError::Bounds("state of a channel")));
        assert_eq!(altered(22, &[0x27, 0x11]), Err(DecodeError::Bounds("loss of a channel")));
        assert!(altered(22, &[0x27, 0x10]).is_ok());
    }
}
