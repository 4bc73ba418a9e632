//! GROUP_KEY: the groups of a set, all that there is to know of them, and their secret (section 20.1).

use core::fmt;
use core::net::{IpAddr, Ipv6Addr};

use zeroize::{Zeroize, ZeroizeOnDrop};

use super::bytes::{Reader, Writer};
use super::{DecodeError, EncodeError};
use crate::ids::{ChannelId, ObjectNumber};
use crate::limits::GROUP_CHANNELS_MAX;
use crate::rate::Rate;

/// The secret that all channels of a set share for an epoch, 32 random bytes. Overwritten when dropped, never printed.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct GroupSecret([u8; 32]);

impl GroupSecret {
    /// Takes 32 bytes that nobody can guess, and that never were a secret before.
    #[must_use]
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    #[must_use]
    pub const fn expose(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for GroupSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GroupSecret(..)")
    }
}

/// One channel: an address at which a part of the set's segments is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupChannel {
    /// What its packets have as receiver index.
    pub id: ChannelId,
    /// Where it sends. Whoever joins looks that it is source-specific: [`is_source_specific`].
    pub group: IpAddr,
    /// The first segment that it carries.
    pub first: u32,
    /// The segment after the last one that it carries.
    pub end: u32,
    /// What it sends at most, kbit/s of UDP payload.
    pub pace_kbit: u32,
}

impl GroupChannel {
    /// Bytes of the encoded channel.
    const LEN: usize = 32;

    /// What it sends at most.
    #[must_use]
    pub const fn pace(&self) -> Rate {
        Rate::from_kilobits(self.pace_kbit)
    }

    fn encode(&self, writer: &mut Writer<'_>) -> Result<(), EncodeError> {
        writer.put(&self.id.0.to_be_bytes())?;
        writer.put(&address_bytes(self.group))?;
        for field in [self.first, self.end, self.pace_kbit] {
            writer.put(&field.to_be_bytes())?;
        }
        Ok(())
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let id = ChannelId(reader.u32()?);
        let group = address(reader.array()?);
        let (first, end, pace_kbit) = (reader.u32()?, reader.u32()?, reader.u32()?);
        Ok(Self { id, group, first, end, pace_kbit })
    }
}

/// The payload of a GROUP_KEY: the whole state of a set's groups. The frame header names the set; its offset is the
/// serial: 1, 2, … in the session and set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupKey {
    /// Low 8 bits of the epoch of the secret: what the clear headers of its packets have.
    pub epoch: u8,
    /// Cipher suite, as HELLO numbers them.
    pub suite: u8,
    /// How often a client reports, milliseconds.
    pub report_interval_ms: u16,
    /// Members that listen to the set.
    pub members: u32,
    /// The secret of the epoch.
    pub secret: GroupSecret,
    /// The address that all channels send from.
    pub source: IpAddr,
    /// The UDP port that all channels send to.
    pub port: u16,
    /// The channels, ascending, none overlapping another; none: the client leaves all.
    pub channels: Vec<GroupChannel>,
}

impl GroupKey {
    /// The longest payload: 32 channels.
    pub const LEN_MAX: usize = Self::FIXED + GROUP_CHANNELS_MAX * GroupChannel::LEN;
    /// Bytes before the channels.
    const FIXED: usize = 60;

    /// What is said of groups that are closed: no channels, and nothing else that counts.
    #[must_use]
    pub fn closed() -> Self {
        Self {
            epoch: 0,
            suite: 0,
            report_interval_ms: 0,
            members: 0,
            secret: GroupSecret([0; 32]),
            source: IpAddr::V6(Ipv6Addr::UNSPECIFIED),
            port: 0,
            channels: Vec::new(),
        }
    }

    /// Writes the payload, returns its length.
    ///
    /// # Errors
    ///
    /// When `out` is too small ([`Self::LEN_MAX`] is always enough), and for what [`Self::decode`] refuses.
    pub fn encode(&self, out: &mut [u8]) -> Result<usize, EncodeError> {
        self.check().map_err(EncodeError::Bounds)?;
        let mut writer = Writer::new(out);
        writer.put(&[self.epoch, self.suite])?;
        writer.put(&self.report_interval_ms.to_be_bytes())?;
        writer.put(&self.members.to_be_bytes())?;
        writer.put(self.secret.expose())?;
        writer.put(&address_bytes(self.source))?;
        writer.put(&self.port.to_be_bytes())?;
        writer.put(&[self.channels.len() as u8, 0])?;
        for channel in &self.channels {
            channel.encode(&mut writer)?;
        }
        Ok(writer.len())
    }

    /// Reads a payload.
    ///
    /// # Errors
    ///
    /// For more than 32 channels; a channel without segments, or without pace; a channel or a group twice; channels that
    /// are not ascending or that overlap; segments that have no number; and a port of 0 where there is a channel. Whether
    /// the addresses are to be joined is the client's to see.
    pub fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(payload);
        let [epoch, suite] = reader.array()?;
        let (report_interval_ms, members) = (reader.u16()?, reader.u32()?);
        let secret = GroupSecret(reader.array()?);
        let (source, port) = (address(reader.array()?), reader.u16()?);
        let [count, _reserved] = reader.array()?;
        if usize::from(count) > GROUP_CHANNELS_MAX {
            return Err(DecodeError::Bounds("number of channels"));
        }
        let channels =
            (0..count).map(|_| GroupChannel::decode(&mut reader)).collect::<Result<_, _>>()?;
        let key =
            Self { epoch, suite, report_interval_ms, members, secret, source, port, channels };
        key.check().map_err(DecodeError::Bounds)?;
        Ok(key)
    }

    /// What is out of its bounds.
    fn check(&self) -> Result<(), &'static str> {
        if self.channels.len() > GROUP_CHANNELS_MAX {
            return Err("number of channels");
        }
        if self.port == 0 && !self.channels.is_empty() {
            return Err("port");
        }
        let mut floor = 0;
        for (at, channel) in self.channels.iter().enumerate() {
            if channel.first < floor
                || channel.first >= channel.end
                || channel.end > ObjectNumber::SEGMENTS_MAX
            {
                return Err("segments of a channel");
            }
            if channel.pace_kbit == 0 {
                return Err("pace of a channel");
            }
            let is_same = |o: &GroupChannel| o.id == channel.id || o.group == channel.group;
            if self.channels[..at].iter().any(is_same) {
                return Err("channel");
            }
            floor = channel.end;
        }
        Ok(())
    }
}

/// Whether `group` is an address of source-specific multicast (RFC 4607, section 1): 232.0.0.0/8, or ff3x::/96.
#[must_use]
pub const fn is_source_specific(group: IpAddr) -> bool {
    match group {
        IpAddr::V4(group) => group.octets()[0] == 232,
        IpAddr::V6(group) => {
            let [first, second, third, fourth, fifth, sixth, _, _] = group.segments();
            let zeros = second | third | fourth | fifth | sixth;
            first >> 4 == 0xFF3 && zeros == 0
        }
    }
}

/// An address as 16 bytes, IPv4 as IPv6 maps it (RFC 4291, section 2.5.5.2).
const fn address_bytes(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
        IpAddr::V6(v6) => v6.octets(),
    }
}

fn address(bytes: [u8; 16]) -> IpAddr {
    Ipv6Addr::from(bytes).to_canonical()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn channel(id: u32, first: u32, end: u32) -> GroupChannel {
        let group = IpAddr::from([232, 1, 2, id as u8]);
        GroupChannel { id: ChannelId::new(id, 7), group, first, end, pace_kbit: 40_000 }
    }

    fn key(channels: Vec<GroupChannel>) -> GroupKey {
        GroupKey {
            epoch: 3,
            suite: 1,
            report_interval_ms: 1000,
            members: 5,
            secret: GroupSecret::new([9; 32]),
            source: IpAddr::from([192, 0, 2, 1]),
            port: 4872,
            channels,
        }
    }

    #[test]
    fn a_key_has_the_layout_of_the_document() {
        let mut out = [0; GroupKey::LEN_MAX];
        let len = key(vec![channel(1, 0, 7)]).encode(&mut out).unwrap();
        assert_eq!(len, 92);
        assert_eq!(out[..8], [3, 1, 3, 0xE8, 0, 0, 0, 5]);
        assert_eq!(out[8..40], [9; 32]);
        assert_eq!(out[40..56], [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 192, 0, 2, 1]);
        assert_eq!(out[56..64], [0x13, 0x08, 1, 0, 0, 0, 1, 7]);
        assert_eq!(out[64..80], [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 232, 1, 2, 1]);
        assert_eq!(out[80..92], [0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0x9C, 0x40]);
    }

    #[test]
    fn the_longest_key_fits_the_smallest_datagram() {
        let channels = (0..32).map(|at| channel(at, at * 2, at * 2 + 1)).collect();
        let mut out = [0; 1200 - crate::limits::OVERHEAD];
        assert_eq!(key(channels).encode(&mut out), Ok(GroupKey::LEN_MAX));
    }

    #[test]
    fn what_is_out_of_bounds_is_neither_written_nor_read() {
        let mut out = [0; 2000];
        let mut refused = |key: GroupKey| match key.encode(&mut out) {
            Err(EncodeError::Bounds(what)) => what,
            other => panic!("{other:?}"),
        };
        let numbers = ObjectNumber::SEGMENTS_MAX;
        for channels in [
            vec![channel(1, 5, 5)],
            vec![channel(1, 6, 5)],
            vec![channel(1, 0, 6), channel(2, 5, 9)],
            vec![channel(1, 5, 9), channel(2, 0, 5)],
            vec![channel(1, 0, numbers + 1)],
        ] {
            assert_eq!(refused(key(channels)), "segments of a channel");
        }
        assert_eq!(refused(key(vec![channel(1, 0, 1), channel(1, 1, 2)])), "channel");
        let shared = GroupChannel { id: ChannelId::new(2, 7), ..channel(1, 1, 2) };
        assert_eq!(refused(key(vec![channel(1, 0, 1), shared])), "channel");
        let standing = GroupChannel { pace_kbit: 0, ..channel(1, 0, 1) };
        assert_eq!(refused(key(vec![standing])), "pace of a channel");
        assert_eq!(refused(GroupKey { port: 0, ..key(vec![channel(1, 0, 1)]) }), "port");
        let many = (0..33).map(|at| channel(at, at, at + 1)).collect();
        assert_eq!(refused(key(many)), "number of channels");

        let len = key(vec![channel(1, 0, 6), channel(2, 6, numbers)]).encode(&mut out).unwrap();
        assert!(GroupKey::decode(&out[..len]).is_ok());
        // The second channel begins where the first one still is.
        out[92 + 23] = 5;
        assert_eq!(
            GroupKey::decode(&out[..len]),
            Err(DecodeError::Bounds("segments of a channel"))
        );
        out[58] = 33;
        assert_eq!(GroupKey::decode(&out), Err(DecodeError::Bounds("number of channels")));
    }

    #[test]
    fn a_key_without_channels_needs_no_port() {
        let mut out = [0; 60];
        let dismissed = GroupKey { port: 0, ..key(Vec::new()) };
        assert_eq!(dismissed.encode(&mut out), Ok(60));
        assert_eq!(GroupKey::decode(&out), Ok(dismissed));
    }

    #[test]
    fn only_source_specific_groups_are() {
        let is = |text: &str| is_source_specific(text.parse().unwrap());
        assert!(is("232.0.0.1") && is("232.255.255.255") && is("ff35::8000:1") && is("ff3e::1"));
        for other in ["231.0.0.1", "239.1.1.1", "ff35:1::1", "ff35:0:0:0:0:1::", "ff05::1", "::1"] {
            assert!(!is(other), "{other}");
        }
    }

    #[test]
    fn the_secret_is_not_printed() {
        let text = format!("{:?}", key(Vec::new()));
        assert!(text.contains("GroupSecret(..)") && !text.contains("9, 9"), "{text}");
    }
}
