//! Packet types (section 2).

use super::DecodeError;

/// What a packet is. Types from 0x10 are sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, strum::VariantArray)]
#[repr(u8)]
pub enum PacketType {
    /// Client's first packet: Noise message 1.
    Hello = 0x01,
    /// Server's answer: Noise message 2.
    Welcome = 0x02,
    /// Server's demand for a proof of the address.
    Cookie = 0x03,
    /// Server's demand to come again later.
    Defer = 0x04,
    /// Bytes of an object.
    Data = 0x10,
    /// One symbol of a segment, to a group.
    Symbol = 0x11,
    /// Leaves of a segment, to a group.
    Leaves = 0x12,
    /// What a group sends now and next, to the group.
    GroupProbe = 0x13,
    /// Client wants ranges of an object.
    Request = 0x20,
    /// Client says what it received.
    Report = 0x21,
    /// Server says which requests it knows and has finished.
    Status = 0x22,
    /// Server refuses a request.
    Refuse = 0x23,
    /// Client asks for load and presence of a segment.
    Pulse = 0x24,
    /// Answer to a PULSE.
    PulseReply = 0x25,
    /// Server wants a proof of the client's new address.
    PathChallenge = 0x26,
    /// That proof.
    PathResponse = 0x27,
    /// Padding of the size being tried.
    SizeProbe = 0x28,
    /// Client no longer wants a request.
    Cancel = 0x29,
    /// The session ends.
    Close = 0x2A,
    /// Server says which groups a set has, and their secret.
    GroupKey = 0x2B,
    /// Client says what it hears of groups.
    GroupReport = 0x2C,
}

impl PacketType {
    /// Every type, in ascending order.
    pub const ALL: &'static [Self] = <Self as strum::VariantArray>::VARIANTS;

    /// Whether packets of this type are sealed under a session's or a group's key.
    #[must_use]
    pub const fn is_sealed(self) -> bool {
        self as u8 >= 0x10
    }

    /// Whether packets of this type go to a group, sealed under its key, and never over a session.
    #[must_use]
    pub const fn is_for_group(self) -> bool {
        matches!(self, Self::Symbol | Self::Leaves | Self::GroupProbe)
    }

    /// The name in section 2.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hello => "HELLO",
            Self::Welcome => "WELCOME",
            Self::Cookie => "COOKIE",
            Self::Defer => "DEFER",
            Self::Data => "DATA",
            Self::Symbol => "SYMBOL",
            Self::Leaves => "LEAVES",
            Self::GroupProbe => "GROUP_PROBE",
            Self::Request => "REQUEST",
            Self::Report => "REPORT",
            Self::Status => "STATUS",
            Self::Refuse => "REFUSE",
            Self::Pulse => "PULSE",
            Self::PulseReply => "PULSE_REPLY",
            Self::PathChallenge => "PATH_CHALLENGE",
            Self::PathResponse => "PATH_RESPONSE",
            Self::SizeProbe => "SIZE_PROBE",
            Self::Cancel => "CANCEL",
            Self::Close => "CLOSE",
            Self::GroupKey => "GROUP_KEY",
            Self::GroupReport => "GROUP_REPORT",
        }
    }
}

impl TryFrom<u8> for PacketType {
    type Error = DecodeError;

    fn try_from(byte: u8) -> Result<Self, DecodeError> {
        Ok(match byte {
            0x01 => Self::Hello,
            0x02 => Self::Welcome,
            0x03 => Self::Cookie,
            0x04 => Self::Defer,
            0x10 => Self::Data,
            0x11 => Self::Symbol,
            0x12 => Self::Leaves,
            0x13 => Self::GroupProbe,
            0x20 => Self::Request,
            0x21 => Self::Report,
            0x22 => Self::Status,
            0x23 => Self::Refuse,
            0x24 => Self::Pulse,
            0x25 => Self::PulseReply,
            0x26 => Self::PathChallenge,
            0x27 => Self::PathResponse,
            0x28 => Self::SizeProbe,
            0x29 => Self::Cancel,
            0x2A => Self::Close,
            0x2B => Self::GroupKey,
            0x2C => Self::GroupReport,
            other => return Err(DecodeError::PacketType(other)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_the_type_it_stands_for_or_an_error() {
        let known: Vec<_> =
            (0..=u8::MAX).filter_map(|byte| PacketType::try_from(byte).ok()).collect();
        assert_eq!(known, PacketType::ALL);
        for packet_type in known {
            assert_eq!(PacketType::try_from(packet_type as u8), Ok(packet_type));
        }
    }

    #[test]
    fn only_the_three_of_the_handshake_are_not_sealed() {
        let open: Vec<_> = PacketType::ALL.iter().copied().filter(|t| !t.is_sealed()).collect();
        let unsealed =
            [PacketType::Hello, PacketType::Welcome, PacketType::Cookie, PacketType::Defer];
        assert_eq!(open, unsealed);
    }
}
