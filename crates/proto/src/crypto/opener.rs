//! The receiving direction of a session: opens packets of the last, this and the next two epochs, and drops
//! replays (sections 3 and 4).

use super::packet_key::PacketKey;
use super::replay_window::{ReplayWindow, Verdict};
use super::{Secret, Suite};
use crate::faults::{Fault, planted};
use crate::limits::{FRAME_HEADER, HASTE_MAX, LEAD_PACKETS, LEAD_TIME, TAG};
use crate::time::{Duration, Instant};
use crate::wire::{ClearHeader, DecodeError, FrameHeader};

/// How long the last epoch's key is kept, unless the session knows better (section 3).
pub const PREVIOUS_EPOCH_TIME: Duration = Duration::from_secs(3);

/// Why a datagram was dropped. None of these ends a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// It is no packet.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// It is a packet of the handshake.
    #[error("not a sealed packet")]
    NotSealed,
    /// Its epoch is neither the last (or no longer kept), nor this, nor one of the next two.
    #[error("no key for its epoch")]
    UnknownEpoch,
    /// It was altered, forged, or sealed under another key.
    #[error("authentication failed")]
    Authentication,
    /// It came before.
    #[error("replayed")]
    Replayed,
    /// It is older than the replay window.
    #[error("older than the replay window")]
    TooOld,
}

/// An authentic packet, seen for the first time.
#[derive(Debug, PartialEq, Eq)]
pub struct Opened<'a> {
    /// Its clear header.
    pub header: ClearHeader,
    /// Its frame header.
    pub frame: FrameHeader,
    /// What follows.
    pub payload: &'a [u8],
    /// The whole epoch number; the header has its low 8 bits. For [`Sealer::on_peer_epoch`](super::Sealer::on_peer_epoch).
    pub epoch: u64,
    /// Whether no higher sequence number came before.
    pub is_highest: bool,
    /// Whether it begins an epoch sooner than a peer may that leads: after fewer than [`LEAD_PACKETS`] packets of
    /// the last one and less than [`LEAD_TIME`], and that more than [`HASTE_MAX`] times more often than later. A peer
    /// that follows may do so.
    pub is_hasty: bool,
}

/// The clear header of a sealed packet, its bytes with the extension, and the ciphertext, which has room for a frame
/// header and a tag.
pub(super) fn split_packet(
    datagram: &mut [u8],
) -> Result<(ClearHeader, &[u8], &mut [u8]), OpenError> {
    let header = ClearHeader::decode(datagram)?;
    if !header.packet_type.is_sealed() {
        return Err(OpenError::NotSealed);
    }
    let (needed, got) = (header.len() + FRAME_HEADER + TAG, datagram.len());
    if got < needed {
        return Err(DecodeError::Truncated { needed, got }.into());
    }
    let (additional, ciphertext) = datagram.split_at_mut(header.len());
    Ok((header, additional, ciphertext))
}

/// Frame header and payload of what [`split_packet`] split and the tag vouches for.
pub(super) fn split_frame(plaintext: &[u8]) -> (FrameHeader, &[u8]) {
    let (frame, payload) = plaintext
        .split_first_chunk()
        .expect("the length was checked to hold a frame header and a tag");
    (FrameHeader::decode(frame), payload)
}

/// One receiving direction.
#[derive(Debug)]
pub struct Opener {
    key: PacketKey,
    /// The secret of the next epoch.
    next_secret: Secret,
    epoch: u64,
    /// The next epoch, derived when its first packet comes, authentic or not.
    next: Option<Box<PacketKey>>,
    /// The one after it, likewise. A peer gets so far without us when it has followed us into an epoch, none of its
    /// packets in there arrived, and it then leads.
    after_next: Option<Box<PacketKey>>,
    previous: Option<Box<Previous>>,
    previous_lifetime: Duration,
    window: ReplayWindow,
    suite: Suite,
    /// Authentic packets since the last change, and when that was.
    packets: u32,
    began: Instant,
    /// Changes that came too soon, less those that did not.
    haste: u8,
}

/// The key of the last epoch, for packets that were overtaken.
#[derive(Debug)]
struct Previous {
    key: PacketKey,
    expires: Instant,
}

/// Which of the keys a packet needs.
#[derive(Clone, Copy)]
enum Slot {
    Previous,
    Current,
    Next,
    AfterNext,
}

impl Opener {
    /// Begins at epoch 0 with `secret` as secret\[0\]. `window_bits`: 512 at a server, at least 16 384 at a client.
    ///
    /// # Panics
    ///
    /// When `window_bits` is 0 or no multiple of 64.
    #[must_use]
    pub fn new(suite: Suite, secret: Secret, window_bits: usize) -> Self {
        Self {
            key: secret.packet_key(suite),
            next_secret: secret.next(),
            epoch: 0,
            next: None,
            after_next: None,
            previous: None,
            previous_lifetime: PREVIOUS_EPOCH_TIME,
            window: ReplayWindow::new(window_bits),
            suite,
            // The first change may come at any time.
            packets: LEAD_PACKETS,
            began: Instant::ZERO,
            haste: 0,
        }
    }

    /// Authenticates and decrypts a datagram in place.
    ///
    /// # Errors
    ///
    /// [`OpenError`]; the datagram's bytes are then of no use.
    pub fn open<'a>(
        &mut self,
        now: Instant,
        datagram: &'a mut [u8],
    ) -> Result<Opened<'a>, OpenError> {
        let (header, additional, ciphertext) = split_packet(datagram)?;
        self.previous.take_if(|previous| previous.expires <= now);
        let slot = self.slot(header.epoch).ok_or(OpenError::UnknownEpoch)?;
        let key = match (&slot, &mut self.previous) {
            (Slot::Previous, Some(previous)) => &mut previous.key,
            (Slot::Previous, None) => return Err(OpenError::UnknownEpoch),
            (Slot::Current, _) => &mut self.key,
            (Slot::Next, _) => {
                self.next.get_or_insert_with(|| Box::new(self.next_secret.packet_key(self.suite)))
            }
            (Slot::AfterNext, _) => self
                .after_next
                .get_or_insert_with(|| Box::new(self.next_secret.next().packet_key(self.suite))),
        };
        let plaintext = key
            .open(header.sequence, additional, ciphertext)
            .map_err(|_| OpenError::Authentication)?;
        let (epoch, is_hasty) = match slot {
            Slot::Previous => (self.epoch - 1, false),
            Slot::Current => (self.epoch, false),
            Slot::Next | Slot::AfterNext => {
                let soon =
                    self.packets < LEAD_PACKETS && now.saturating_since(self.began) < LEAD_TIME;
                self.haste =
                    if soon { self.haste.saturating_add(1) } else { self.haste.saturating_sub(1) };
                self.advance(now);
                if matches!(slot, Slot::AfterNext) {
                    self.advance(now);
                }
                (self.epoch, soon && self.haste > HASTE_MAX)
            }
        };
        self.packets = self.packets.saturating_add(1);
        let is_highest = match self.window.record(header.sequence) {
            Verdict::Fresh { is_highest } => is_highest,
            Verdict::Replayed => return Err(OpenError::Replayed),
            Verdict::TooOld => return Err(OpenError::TooOld),
        };
        let (frame, payload) = split_frame(plaintext);
        Ok(Opened { header, frame, payload, epoch, is_highest, is_hasty })
    }

    /// How long the key of an epoch is kept from now on after the change to the next one: 3 probe timeouts where
    /// they are known.
    pub const fn set_previous_epoch_lifetime(&mut self, lifetime: Duration) {
        self.previous_lifetime = lifetime;
    }

    /// The highest epoch of authentic packets.
    #[must_use]
    pub const fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The highest sequence number of authentic packets.
    #[must_use]
    pub const fn highest(&self) -> Option<u64> {
        self.window.highest()
    }

    /// Drops what can be computed again, until the next packet: an idle session stays small. The last epoch's key
    /// goes for good if its time is over.
    pub fn hibernate(&mut self, now: Instant) {
        self.key.hibernate();
        (self.next, self.after_next) = (None, None);
        self.previous.take_if(|previous| previous.expires <= now);
        if let Some(previous) = &mut self.previous {
            previous.key.hibernate();
        }
    }

    /// Which key the epoch byte of a packet stands for.
    fn slot(&self, byte: u8) -> Option<Slot> {
        match byte.wrapping_sub(self.epoch as u8) {
            0 => Some(Slot::Current),
            1 if planted(Fault::NextEpochRefused) => None,
            1 => Some(Slot::Next),
            2 => Some(Slot::AfterNext),
            u8::MAX => self.previous.as_ref().map(|_| Slot::Previous),
            _ => None,
        }
    }

    /// Makes the next epoch the current one: a packet of it, or of the one after it, was authentic.
    fn advance(&mut self, now: Instant) {
        let derived = || Box::new(self.next_secret.packet_key(self.suite));
        let next = self.next.take().unwrap_or_else(derived);
        self.next = self.after_next.take();
        let key = core::mem::replace(&mut self.key, *next);
        let expires = now + self.previous_lifetime;
        self.previous = Some(Box::new(Previous { key, expires }));
        self.next_secret = self.next_secret.next();
        self.epoch += 1;
        (self.packets, self.began) = (0, now);
    }
}
