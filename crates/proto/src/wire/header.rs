//! The clear header, which every packet begins with, and the frame header inside the ciphertext
//! (section 1).

use super::bytes::Reader;
use super::{DecodeError, PacketType};
use crate::ids::{ObjectNumber, ReceiverIndex, RequestId, SetHandle};
use crate::limits::{CLEAR_HEADER, EXTENSION_MAX, FRAME_HEADER, VERSION};

/// Flag of DATA: its last byte is the last of the object.
pub const FLAG_END: u8 = 1;

/// The header of every packet: readable by all, authenticated in sealed packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClearHeader {
    /// Low 4 bits of the first byte.
    pub flags: u8,
    /// What the packet is.
    pub packet_type: PacketType,
    /// Length of the header extension in units of 4 bytes, at most 16.
    pub extension_words: u8,
    /// Low 8 bits of the key epoch; in HELLO, COOKIE and WELCOME the cipher suite.
    pub epoch: u8,
    /// Which session of the receiver this is.
    pub receiver: ReceiverIndex,
    /// Number of the packet in its direction.
    pub sequence: u64,
}

impl ClearHeader {
    /// The bytes of the header, without its extension.
    #[must_use]
    pub fn encode(&self) -> [u8; CLEAR_HEADER] {
        let mut out = [0; CLEAR_HEADER];
        out[0] = VERSION << 4 | (self.flags & 0x0F);
        out[1] = self.packet_type as u8;
        out[2] = self.extension_words;
        out[3] = self.epoch;
        out[4..8].copy_from_slice(&self.receiver.0.to_be_bytes());
        out[8..16].copy_from_slice(&self.sequence.to_be_bytes());
        out
    }

    /// Reads the header of a datagram.
    ///
    /// # Errors
    ///
    /// For another version, an unknown type, an extension longer than 16 units, and a datagram too
    /// short for the header and its extension.
    pub fn decode(datagram: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(datagram);
        let [first, packet_type, extension_words, epoch] = reader.array()?;
        if first >> 4 != VERSION {
            return Err(DecodeError::Version(first >> 4));
        }
        let packet_type = PacketType::try_from(packet_type)?;
        if usize::from(extension_words) * 4 > EXTENSION_MAX {
            return Err(DecodeError::Bounds("extension length"));
        }
        let receiver = ReceiverIndex(reader.u32()?);
        let sequence = reader.u64()?;
        reader.slice(usize::from(extension_words) * 4)?;
        Ok(Self { flags: first & 0x0F, packet_type, extension_words, epoch, receiver, sequence })
    }

    /// Bytes of the header and its extension.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a header is never empty")]
    pub const fn len(&self) -> usize {
        CLEAR_HEADER + self.extension_words as usize * 4
    }
}

/// The header inside the ciphertext of every sealed packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FrameHeader {
    /// The set; [`SetHandle::FIRST`] where a packet is about none.
    pub set_handle: SetHandle,
    /// Segment or manifest page.
    pub object: ObjectNumber,
    /// DATA: byte offset in the object. Other types: section 7.
    pub offset: u32,
    /// Sender's clock, microseconds modulo 2^32.
    pub send_time: u32,
}

impl FrameHeader {
    /// The bytes of the header.
    #[must_use]
    pub fn encode(&self) -> [u8; FRAME_HEADER] {
        let mut out = [0; FRAME_HEADER];
        out[0..4].copy_from_slice(&self.set_handle.0.to_be_bytes());
        out[4..8].copy_from_slice(&self.object.0.to_be_bytes());
        out[8..12].copy_from_slice(&self.offset.to_be_bytes());
        out[12..16].copy_from_slice(&self.send_time.to_be_bytes());
        out
    }

    /// The request that it is about: REQUEST, REFUSE, CANCEL; in STATUS the highest that was received.
    #[must_use]
    pub const fn request(&self) -> RequestId {
        RequestId(self.offset)
    }

    /// Reads the header. Any bytes are one.
    #[must_use]
    pub fn decode(bytes: &[u8; FRAME_HEADER]) -> Self {
        let field = |at: usize| {
            u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
        };
        Self {
            set_handle: SetHandle(field(0)),
            object: ObjectNumber(field(4)),
            offset: field(8),
            send_time: field(12),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: ClearHeader = ClearHeader {
        flags: FLAG_END,
        packet_type: PacketType::Data,
        extension_words: 0,
        epoch: 0xFE,
        receiver: ReceiverIndex::new(0x12_3456, 0x78),
        sequence: 0x0102_0304_0506_0708,
    };

    #[test]
    fn the_clear_header_has_the_layout_of_section_1() {
        let bytes = HEADER.encode();
        assert_eq!(bytes[..8], [0x11, 0x10, 0, 0xFE, 0x12, 0x34, 0x56, 0x78]);
        assert_eq!(bytes[8..], [1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(ClearHeader::decode(&bytes), Ok(HEADER));
    }

    #[test]
    fn the_frame_header_has_the_layout_of_section_1() {
        let frame = FrameHeader {
            set_handle: SetHandle(0x0102_0304),
            object: ObjectNumber(0x0506_0708),
            offset: 0x090A_0B0C,
            send_time: 0x0D0E_0F10,
        };
        assert_eq!(frame.encode(), core::array::from_fn(|i| i as u8 + 1));
        assert_eq!(FrameHeader::decode(&frame.encode()), frame);
    }

    #[test]
    fn another_version_type_or_length_is_refused() {
        let altered = |at: usize, byte: u8| {
            let mut bytes = HEADER.encode();
            bytes[at] = byte;
            ClearHeader::decode(&bytes)
        };
        assert_eq!(altered(0, 0x21), Err(DecodeError::Version(2)));
        assert_eq!(altered(1, 0x2D), Err(DecodeError::PacketType(0x2D)));
        assert_eq!(altered(2, 17), Err(DecodeError::Bounds("extension length")));
        assert_eq!(altered(2, 1), Err(DecodeError::Truncated { needed: 20, got: 16 }));
        assert_eq!(
            ClearHeader::decode(&HEADER.encode()[..15]),
            Err(DecodeError::Truncated { needed: 16, got: 15 })
        );
        assert!(ClearHeader::decode(&[]).is_err());
    }

    #[test]
    fn the_extension_counts_to_the_header() {
        let header = ClearHeader { extension_words: 16, ..HEADER };
        let mut datagram = header.encode().to_vec();
        datagram.resize(80, 0xEE);
        assert_eq!(ClearHeader::decode(&datagram), Ok(header));
        assert_eq!(header.len(), 80);
    }
}
