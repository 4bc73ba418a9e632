//! The sending direction of a session: counts sequence numbers, seals packets, changes keys (section 3).

use super::packet_key::PacketKey;
use super::{Secret, Suite};
use crate::faults::{Fault, planted};
use crate::ids::ReceiverIndex;
use crate::limits::{EPOCH_PACKETS, EPOCH_PACKETS_HARD, EPOCH_TIME, OVERHEAD};
use crate::time::Instant;
use crate::wire::{ClearHeader, FrameHeader, PacketType};

/// Why a packet could not be sealed. No sequence number was used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The key has sealed 2^24 packets and the peer never used its epoch: the session must end.
    #[error("the packet key is used up and the peer does not let it change")]
    Exhausted,
    /// The buffer is too small for the packet.
    #[error("{needed} bytes needed for a packet, {got} there")]
    NoRoom {
        /// Bytes of the sealed packet.
        needed: usize,
        /// Bytes of the buffer.
        got: usize,
    },
}

/// One sending direction. Sequence numbers only go up, over all epochs, so no nonce occurs twice.
#[derive(Debug)]
pub struct Sealer {
    key: PacketKey,
    /// The secret of the next epoch; this epoch's is not needed any more.
    next_secret: Secret,
    suite: Suite,
    epoch: u64,
    /// When this epoch began, and its first sequence number.
    began: Instant,
    first_sequence: u64,
    next_sequence: u64,
    /// The highest epoch of valid packets from the peer, plus 1; 0: none came yet.
    peer_epochs: u64,
    /// Packets in an epoch before the key changes.
    epoch_packets: u32,
}

impl Sealer {
    /// The present key's cipher context, if there is one: for looking ahead.
    pub(crate) fn cached_context(&self) -> Option<&aws_lc_rs::aead::LessSafeKey> {
        self.key.cached_context()
    }

    /// Begins at epoch 0, sequence number 0, with `secret` as secret\[0\].
    #[must_use]
    pub fn new(suite: Suite, secret: Secret, now: Instant) -> Self {
        Self {
            key: secret.packet_key(suite),
            next_secret: secret.next(),
            suite,
            epoch: 0,
            began: now,
            first_sequence: 0,
            next_sequence: 0,
            peer_epochs: 0,
            epoch_packets: EPOCH_PACKETS as u32,
        }
    }

    /// Changes keys after `packets` packets already, rather than [`EPOCH_PACKETS`]. A peer refuses changes after
    /// fewer than [`LEAD_PACKETS`](crate::limits::LEAD_PACKETS) that arrive.
    #[must_use]
    pub fn with_epoch_packets(self, packets: u64) -> Self {
        Self { epoch_packets: packets.clamp(1, EPOCH_PACKETS) as u32, ..self }
    }

    /// Writes a whole sealed datagram into `out` and returns its length and its sequence number. The payload goes
    /// from where it lies to `out` in one pass.
    ///
    /// # Errors
    ///
    /// When `out` is too small ([`OVERHEAD`] more than the payload) and when the key is used up.
    ///
    /// # Panics
    ///
    /// When `packet_type` is not sealed.
    #[expect(clippy::too_many_arguments, reason = "a packet has that many fields")]
    pub fn seal(
        &mut self,
        now: Instant,
        flags: u8,
        packet_type: PacketType,
        receiver: ReceiverIndex,
        frame: &FrameHeader,
        payload: &[u8],
        out: &mut [u8],
    ) -> Result<(usize, u64), SealError> {
        assert!(packet_type.is_sealed(), "{} is not a sealed packet", packet_type.name());
        let needed = OVERHEAD + payload.len();
        let got = out.len();
        let out = out.get_mut(..needed).ok_or(SealError::NoRoom { needed, got })?;
        self.update(now);
        if self.packets() >= EPOCH_PACKETS_HARD {
            return Err(SealError::Exhausted);
        }

        let sequence = self.skip();
        let header = ClearHeader {
            flags,
            packet_type,
            extension_words: 0,
            epoch: self.epoch_byte(),
            receiver,
            sequence,
        };
        self.key.seal_packet(&header, frame, payload, out);
        Ok((needed, sequence))
    }

    /// The sequence number of the next packet.
    #[must_use]
    pub const fn next_sequence(&self) -> u64 {
        self.next_sequence
    }

    /// Skips one sequence number and returns it (section 10).
    pub fn skip(&mut self) -> u64 {
        let skipped = self.next_sequence;
        // Cannot overflow: an epoch ends after 2^24 numbers, and 2^40 epochs take longer than 10^5 years.
        self.next_sequence += 1;
        if skipped % 100 == 99 && planted(Fault::SequenceStalls) {
            return skipped - 1;
        }
        skipped
    }

    /// The epoch of the next packet, unless it begins a new one.
    #[must_use]
    pub const fn epoch(&self) -> u64 {
        self.epoch
    }

    /// A valid packet of the peer's `epoch` came. Moves to that epoch at once if it is ahead, and may
    /// from now on leave epochs up to it.
    pub fn on_peer_epoch(&mut self, now: Instant, epoch: u64) {
        self.peer_epochs = self.peer_epochs.max(epoch.saturating_add(1));
        while self.epoch < epoch {
            self.advance(now);
        }
    }

    /// Drops what can be computed again, until the next packet: an idle session stays small.
    pub fn hibernate(&mut self) {
        self.key.hibernate();
    }

    fn epoch_byte(&self) -> u8 {
        let wrong = self.epoch > 0 && planted(Fault::EpochByteWrong);
        (self.epoch as u8).wrapping_add(u8::from(wrong))
    }

    /// Sequence numbers used in this epoch.
    const fn packets(&self) -> u64 {
        self.next_sequence - self.first_sequence
    }

    /// Changes the key when it is due and the peer has followed so far.
    fn update(&mut self, now: Instant) {
        let packets = self.packets();
        let is_due = packets >= u64::from(self.epoch_packets)
            || (packets >= 1 && now.saturating_since(self.began) >= EPOCH_TIME);
        if is_due && self.peer_epochs > self.epoch {
            self.advance(now);
        }
    }

    fn advance(&mut self, now: Instant) {
        self.key = self.next_secret.packet_key(self.suite);
        self.next_secret = self.next_secret.next();
        self.epoch += 1;
        self.began = now;
        self.first_sequence = self.next_sequence;
    }

    /// As if `count` packets had been sent.
    #[cfg(test)]
    pub(super) const fn skip_many(&mut self, count: u64) {
        self.next_sequence += count;
    }
}
