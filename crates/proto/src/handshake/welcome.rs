//! WELCOME: its layout and the payload of Noise message 2.

use super::noise;
use crate::ids::ReceiverIndex;
use crate::limits::CLEAR_HEADER;
use crate::wire::{Code, DecodeError};

/// Where Noise message 2 begins.
pub(super) const NOISE: usize = CLEAR_HEADER + 4;
/// Bytes of the payload of message 2.
pub(super) const PAYLOAD: usize = 16;
/// A WELCOME as this version writes it: far smaller than the HELLO that it answers.
pub const WELCOME_LEN: usize = NOISE + noise::MESSAGE_2 + PAYLOAD;

/// What the server says in message 2, besides its receiver index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WelcomePayload {
    /// [`Code::Ok`], else the refusal, which ends the session.
    pub code: Code,
    /// The largest datagram the server can receive, bytes of UDP payload.
    pub datagram_max: u16,
    /// Outstanding requests allowed, at most 64.
    pub requests_max: u16,
    /// Seconds without an authentic packet after which the session ends.
    pub idle_timeout_s: u16,
    /// When another try makes sense, milliseconds; 0: not said.
    pub retry_after_ms: u32,
}

impl WelcomePayload {
    /// A refusal.
    #[must_use]
    pub const fn refusal(code: Code, retry_after_ms: u32) -> Self {
        Self { code, datagram_max: 0, requests_max: 0, idle_timeout_s: 0, retry_after_ms }
    }

    pub(super) fn encode(&self, server_index: ReceiverIndex) -> [u8; PAYLOAD] {
        let mut out = [0; PAYLOAD];
        out[0..2].copy_from_slice(&u16::from(self.code).to_be_bytes());
        out[2..4].copy_from_slice(&self.datagram_max.to_be_bytes());
        out[4..6].copy_from_slice(&self.requests_max.to_be_bytes());
        out[6..8].copy_from_slice(&self.idle_timeout_s.to_be_bytes());
        out[8..12].copy_from_slice(&self.retry_after_ms.to_be_bytes());
        out[12..16].copy_from_slice(&server_index.0.to_be_bytes());
        out
    }

    /// Reads the payload and the server's receiver index.
    pub(super) fn decode(payload: &[u8]) -> Result<(Self, ReceiverIndex), DecodeError> {
        let (fields, _) = payload
            .split_first_chunk::<PAYLOAD>()
            .ok_or(DecodeError::Truncated { needed: PAYLOAD, got: payload.len() })?;
        let short = |at: usize| u16::from_be_bytes([fields[at], fields[at + 1]]);
        let long = |at: usize| u32::from(short(at)) << 16 | u32::from(short(at + 2));
        let payload = Self {
            code: Code::from(short(0)),
            datagram_max: short(2),
            requests_max: short(4),
            idle_timeout_s: short(6),
            retry_after_ms: long(8),
        };
        Ok((payload, ReceiverIndex(long(12))))
    }
}
