//! DEFER: a server that can do no more handshakes says when to come again, before any Diffie–Hellman (section 5).

use super::hello::HelloId;
use crate::ids::ReceiverIndex;
use crate::limits::CLEAR_HEADER;
use crate::time::Duration;
use crate::wire::code::Code;
use crate::wire::{ClearHeader, DecodeError, PacketType};

/// A DEFER packet.
pub const DEFER_LEN: usize = CLEAR_HEADER + 16 + 8;

/// What a DEFER says. Nobody vouches for it but the one who has seen the HELLO.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Defer {
    /// Why.
    pub code: Code,
    /// How long to wait, whole milliseconds.
    pub retry_after: Duration,
}

impl Defer {
    /// The DEFER packet that answers a HELLO.
    #[must_use]
    pub fn reply(&self, hello: &HelloId) -> [u8; DEFER_LEN] {
        let header = super::clear_header(PacketType::Defer, hello.suite, hello.sender_index);
        let mut out = [0; DEFER_LEN];
        let (clear, rest) = out.split_at_mut(CLEAR_HEADER);
        let (mac1, said) = rest.split_at_mut(16);
        clear.copy_from_slice(&header.encode());
        mac1.copy_from_slice(&hello.mac1);
        said[..2].copy_from_slice(&u16::from(self.code).to_be_bytes());
        // Rounded up: who comes a moment early is put off again.
        let millis = self.retry_after.as_nanos().div_ceil(1_000_000);
        let millis = u32::try_from(millis).unwrap_or(u32::MAX);
        said[4..].copy_from_slice(&millis.to_be_bytes());
        out
    }
}

/// What a client reads from a DEFER.
pub(super) struct DeferView {
    pub(super) receiver: ReceiverIndex,
    pub(super) mac1: [u8; 16],
    pub(super) defer: Defer,
}

impl DeferView {
    pub(super) fn decode(datagram: &[u8]) -> Result<Self, DecodeError> {
        let header = ClearHeader::decode(datagram)?;
        if header.packet_type != PacketType::Defer || header.extension_words != 0 {
            return Err(DecodeError::PacketType(header.packet_type as u8));
        }
        let datagram: &[u8; DEFER_LEN] =
            datagram.try_into().map_err(|_| DecodeError::Bounds("length of DEFER"))?;
        let said: [u8; 8] = core::array::from_fn(|i| datagram[CLEAR_HEADER + 16 + i]);
        let millis = u32::from_be_bytes([said[4], said[5], said[6], said[7]]);
        Ok(Self {
            receiver: header.receiver,
            mac1: core::array::from_fn(|i| datagram[CLEAR_HEADER + i]),
            defer: Defer {
                code: Code::from(u16::from_be_bytes([said[0], said[1]])),
                retry_after: Duration::from_millis(u64::from(millis)),
            },
        })
    }
}
