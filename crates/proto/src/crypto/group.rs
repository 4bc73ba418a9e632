//! Packets of groups: one channel's sender, and a receiver of it (section 20).
//!
//! All channels of a set share a secret for each epoch, which GROUP_KEY tells the members. Key and IV are the channel's
//! own, so no two channels share a (key, nonce); and a channel counts its packets over all epochs.

use super::opener::{OpenError, split_frame, split_packet};
use super::packet_key::PacketKey;
use super::{PREVIOUS_EPOCH_TIME, SealError, Suite};
use crate::ids::{ChannelId, ObjectNumber, ReceiverIndex, SetHandle};
use crate::limits::{DATAGRAM_BASE, EPOCH_PACKETS_HARD, OVERHEAD, SYMBOL};
use crate::time::Instant;
use crate::wire::{ClearHeader, DecodeError, FrameHeader, GroupSecret, PacketType};

/// Epochs that a receiver keeps: the one that was announced last, the one before, which is in use until then, and for
/// a while the one before that.
const EPOCHS: usize = 3;

/// Key and IV of a channel in the epoch of `secret`.
fn channel_key(secret: &GroupSecret, suite: Suite, channel: ChannelId) -> PacketKey {
    let channel = channel.0.to_be_bytes();
    let key_label: [&[u8]; 2] = [b"segcast v1 group key", &channel];
    let iv_label: [&[u8]; 2] = [b"segcast v1 group iv", &channel];
    PacketKey::expand(suite, secret.expose(), &key_label, &iv_label)
}

/// The sender of one channel.
#[derive(Debug)]
pub struct GroupSealer {
    key: PacketKey,
    suite: Suite,
    channel: ChannelId,
    epoch: u8,
    next_sequence: u64,
    /// The first sequence number of this epoch.
    first_sequence: u64,
}

impl GroupSealer {
    /// Begins at epoch 0 and sequence number 0.
    #[must_use]
    pub fn new(secret: &GroupSecret, suite: Suite, channel: ChannelId) -> Self {
        let key = channel_key(secret, suite, channel);
        Self { key, suite, channel, epoch: 0, next_sequence: 0, first_sequence: 0 }
    }

    /// Goes on under a secret that was never used in this channel, in the epoch whose low 8 bits are `epoch`.
    pub fn rekey(&mut self, secret: &GroupSecret, epoch: u8) {
        self.key = channel_key(secret, self.suite, self.channel);
        self.epoch = epoch;
        self.first_sequence = self.next_sequence;
    }

    /// Packets sealed in this epoch. After [`EPOCH_PACKETS`](crate::limits::EPOCH_PACKETS) it is time for another.
    #[must_use]
    pub const fn epoch_packets(&self) -> u64 {
        self.next_sequence - self.first_sequence
    }

    /// Writes a whole datagram into `out` and returns its length. A SYMBOL and a LEAVES fill theirs: zeros follow a
    /// payload that is shorter than 1152 bytes.
    ///
    /// # Errors
    ///
    /// When `out` is too small (1200 bytes are always enough) and when the key has sealed 2^24 packets.
    ///
    /// # Panics
    ///
    /// When `packet_type` is none of a group's, or the payload longer than 1152 bytes.
    pub fn seal(
        &mut self,
        now: Instant,
        packet_type: PacketType,
        object: ObjectNumber,
        offset: u32,
        payload: &[u8],
        out: &mut [u8],
    ) -> Result<usize, SealError> {
        assert!(packet_type.is_for_group(), "{} is for no group", packet_type.name());
        let mut padded = [0; SYMBOL];
        let payload = if packet_type == PacketType::GroupProbe || payload.len() == SYMBOL {
            payload
        } else {
            padded[..payload.len()].copy_from_slice(payload);
            &padded
        };
        let needed = OVERHEAD + payload.len();
        assert!(needed <= DATAGRAM_BASE, "a payload of {} bytes", payload.len());
        let got = out.len();
        let out = out.get_mut(..needed).ok_or(SealError::NoRoom { needed, got })?;
        if self.epoch_packets() >= EPOCH_PACKETS_HARD {
            return Err(SealError::Exhausted);
        }
        let header = ClearHeader {
            flags: 0,
            packet_type,
            extension_words: 0,
            epoch: self.epoch,
            receiver: ReceiverIndex(self.channel.0),
            sequence: self.next_sequence,
        };
        let send_time = now.wire_micros();
        let frame = FrameHeader { set_handle: SetHandle::FIRST, object, offset, send_time };
        self.key.seal_packet(&header, &frame, payload, out);
        self.next_sequence += 1;
        Ok(needed)
    }
}

/// An authentic packet of a group: a member of it made it. It may have come before.
#[derive(Debug, PartialEq, Eq)]
pub struct GroupPacket<'a> {
    /// What it is: SYMBOL, LEAVES or GROUP_PROBE.
    pub packet_type: PacketType,
    /// Number of the packet in its channel.
    pub sequence: u64,
    /// Segment, offset and send time.
    pub frame: FrameHeader,
    /// What follows; 1152 bytes, but of a GROUP_PROBE.
    pub payload: &'a [u8],
}

/// A receiver of one channel.
#[derive(Debug)]
pub struct GroupOpener {
    channel: ChannelId,
    /// Newest first.
    epochs: Vec<Epoch>,
}

#[derive(Debug)]
struct Epoch {
    byte: u8,
    suite: Suite,
    secret: GroupSecret,
    key: PacketKey,
    /// Until when it is kept; `None`: it is one of the two newest.
    expires: Option<Instant>,
}

impl GroupOpener {
    /// A receiver that knows no secret yet.
    #[must_use]
    pub const fn new(channel: ChannelId) -> Self {
        Self { channel, epochs: Vec::new() }
    }

    /// Takes the secret of the epoch whose low 8 bits are `epoch`, as a GROUP_KEY has it. The two newest are kept, and the
    /// one before for 3 s.
    pub fn learn(&mut self, now: Instant, epoch: u8, suite: Suite, secret: &GroupSecret) {
        let newest = self.epochs.first();
        let is_known = |e: &Epoch| e.byte == epoch && e.suite == suite && e.secret == *secret;
        if newest.is_some_and(is_known) {
            return;
        }
        let key = channel_key(secret, suite, self.channel);
        self.epochs.retain(|known| known.byte != epoch);
        let secret = secret.clone();
        self.epochs.insert(0, Epoch { byte: epoch, suite, secret, key, expires: None });
        self.epochs.truncate(EPOCHS);
        for old in self.epochs.iter_mut().skip(EPOCHS - 1) {
            old.expires.get_or_insert(now + PREVIOUS_EPOCH_TIME);
        }
    }

    /// Authenticates and decrypts a datagram in place.
    ///
    /// # Errors
    ///
    /// [`OpenError`]; the datagram's bytes are then of no use. It knows no replays.
    pub fn open<'a>(
        &mut self,
        now: Instant,
        datagram: &'a mut [u8],
    ) -> Result<GroupPacket<'a>, OpenError> {
        let (header, additional, ciphertext) = split_packet(datagram)?;
        let packet_type = header.packet_type;
        if !packet_type.is_for_group() {
            return Err(DecodeError::PacketType(packet_type as u8).into());
        }
        let mut epochs = self.epochs.iter_mut();
        let epoch = epochs
            .find(|known| known.byte == header.epoch && known.expires.is_none_or(|end| now < end))
            .ok_or(OpenError::UnknownEpoch)?;
        let plaintext = epoch
            .key
            .open(header.sequence, additional, ciphertext)
            .map_err(|_| OpenError::Authentication)?;
        let (frame, payload) = split_frame(plaintext);
        if packet_type != PacketType::GroupProbe && payload.len() != SYMBOL {
            return Err(DecodeError::Bounds("length of a symbol").into());
        }
        Ok(GroupPacket { packet_type, sequence: header.sequence, frame, payload })
    }
}

#[cfg(not(miri))] // Miri does not run C: aws-lc
#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::{Opener, Secret};
    use crate::limits::CLEAR_HEADER;
    use crate::time::Duration;

    const NOW: Instant = Instant::from_nanos(1_000_000_000);
    const CHANNEL: ChannelId = ChannelId::new(5, 2);
    const SUITE: Suite = Suite::Aes128Gcm;

    fn secret(byte: u8) -> GroupSecret {
        GroupSecret::new([byte; 32])
    }

    fn pair() -> (GroupSealer, GroupOpener) {
        let mut opener = GroupOpener::new(CHANNEL);
        opener.learn(NOW, 0, SUITE, &secret(1));
        (GroupSealer::new(&secret(1), SUITE, CHANNEL), opener)
    }

    fn symbol(sealer: &mut GroupSealer) -> Vec<u8> {
        let mut out = vec![0; DATAGRAM_BASE];
        let payload = [7; SYMBOL];
        let sealed =
            sealer.seal(NOW, PacketType::Symbol, ObjectNumber(3), 9, &payload, &mut out).unwrap();
        assert_eq!(sealed, out.len());
        out
    }

    /// The sequence number of what opens.
    fn open(opener: &mut GroupOpener, now: Instant, datagram: &[u8]) -> Result<u64, OpenError> {
        opener.open(now, &mut datagram.to_vec()).map(|packet| packet.sequence)
    }

    #[test]
    fn a_symbol_survives_and_is_counted() {
        let (mut sealer, mut opener) = pair();
        let [first, mut second] = [(); 2].map(|()| symbol(&mut sealer));
        assert_eq!(open(&mut opener, NOW, &first), Ok(0));
        let packet = opener.open(NOW, &mut second).unwrap();
        assert_eq!((packet.packet_type, packet.sequence), (PacketType::Symbol, 1));
        assert_eq!((packet.frame.object, packet.frame.offset), (ObjectNumber(3), 9));
        assert_eq!(packet.payload, [7; SYMBOL]);
        // Who counts what came before is the bitmap of symbols.
        assert_eq!(open(&mut opener, NOW, &first), Ok(0));
    }

    #[test]
    fn leaves_are_padded_and_a_probe_is_not() {
        let (mut sealer, mut opener) = pair();
        let mut out = [0xFF; DATAGRAM_BASE];
        let mut seal = |packet_type| {
            let len =
                sealer.seal(NOW, packet_type, ObjectNumber(3), 0, &[8; 32], &mut out).unwrap();
            out[..len].to_vec()
        };
        let [mut leaves, mut probe] = [PacketType::Leaves, PacketType::GroupProbe].map(&mut seal);
        assert_eq!((leaves.len(), probe.len()), (DATAGRAM_BASE, OVERHEAD + 32));
        let payload = opener.open(NOW, &mut leaves).unwrap().payload;
        assert_eq!((&payload[..32], &payload[32..]), (&[8; 32][..], &[0; SYMBOL - 32][..]));
        assert_eq!(opener.open(NOW, &mut probe).unwrap().payload, [8; 32]);
    }

    #[test]
    fn channels_and_sessions_share_no_key() {
        let (mut sealer, mut opener) = pair();
        for other in [ChannelId::new(4, 2), ChannelId::new(5, 3)] {
            let mut elsewhere = GroupOpener::new(other);
            elsewhere.learn(NOW, 0, SUITE, &secret(1));
            let datagram = symbol(&mut sealer);
            assert_eq!(open(&mut elsewhere, NOW, &datagram), Err(OpenError::Authentication));
            // The channel is part of what is authenticated.
            let mut renamed = datagram;
            renamed[4..8].copy_from_slice(&other.0.to_be_bytes());
            assert_eq!(open(&mut opener, NOW, &renamed), Err(OpenError::Authentication));
        }
        let mut session = Opener::new(SUITE, Secret::new([1; 32]), 64);
        let mut datagram = symbol(&mut sealer);
        assert_eq!(session.open(NOW, &mut datagram), Err(OpenError::Authentication));
    }

    #[test]
    fn what_is_no_packet_of_a_group_is_dropped() {
        let (mut sealer, mut opener) = pair();
        let good = symbol(&mut sealer);
        let altered = |at: usize, byte: u8| {
            let mut datagram = good.clone();
            datagram[at] = byte;
            datagram
        };
        let data = OpenError::Decode(DecodeError::PacketType(PacketType::Data as u8));
        assert_eq!(open(&mut opener, NOW, &altered(1, PacketType::Data as u8)), Err(data));
        let hello = altered(1, PacketType::Hello as u8);
        assert_eq!(open(&mut opener, NOW, &hello), Err(OpenError::NotSealed));
        assert_eq!(open(&mut opener, NOW, &altered(3, 1)), Err(OpenError::UnknownEpoch));
        assert_eq!(
            open(&mut opener, NOW, &altered(700, !good[700])),
            Err(OpenError::Authentication)
        );
        assert!(open(&mut opener, NOW, &good[..CLEAR_HEADER]).is_err());
        // A member can seal a symbol that is too short. It is none.
        let mut short = [0; 200];
        let probe = PacketType::GroupProbe;
        let len = sealer.seal(NOW, probe, ObjectNumber(3), 0, &[8; 32], &mut short).unwrap();
        assert!(open(&mut opener, NOW, &short[..len]).is_ok());
        let header =
            ClearHeader { packet_type: PacketType::Symbol, ..ClearHeader::decode(&short).unwrap() };
        let frame = FrameHeader::default();
        sealer.key.seal_packet(&header, &frame, &[8; 32], &mut short[..len]);
        let length = OpenError::Decode(DecodeError::Bounds("length of a symbol"));
        assert_eq!(open(&mut opener, NOW, &short[..len]), Err(length));
    }

    #[test]
    fn too_little_room_uses_no_number_and_a_key_ends() {
        let (mut sealer, mut opener) = pair();
        let mut out = [0; DATAGRAM_BASE];
        let mut seal = |sealer: &mut GroupSealer, len: usize| {
            sealer.seal(NOW, PacketType::Symbol, ObjectNumber(0), 0, &[1; SYMBOL], &mut out[..len])
        };
        let short = SealError::NoRoom { needed: 1200, got: 1199 };
        assert_eq!(seal(&mut sealer, 1199), Err(short));
        assert_eq!(sealer.epoch_packets(), 0);
        sealer.next_sequence = EPOCH_PACKETS_HARD;
        assert_eq!(seal(&mut sealer, 1200), Err(SealError::Exhausted));
        sealer.rekey(&secret(2), 1);
        assert_eq!(seal(&mut sealer, 1200), Ok(1200));
        opener.learn(NOW, 1, SUITE, &secret(2));
        assert_eq!(open(&mut opener, NOW, &out), Ok(EPOCH_PACKETS_HARD));
    }

    #[test]
    fn two_epochs_are_kept_and_the_one_before_for_3_seconds() {
        let (mut sealer, mut opener) = pair();
        let mut packets = vec![symbol(&mut sealer)];
        for epoch in 1..4 {
            sealer.rekey(&secret(1 + epoch), epoch);
            packets.push(symbol(&mut sealer));
        }
        assert_eq!(open(&mut opener, NOW, &packets[1]), Err(OpenError::UnknownEpoch));
        opener.learn(NOW, 1, SUITE, &secret(2));
        opener.learn(NOW, 2, SUITE, &secret(3));
        // A GROUP_KEY that comes again moves nothing.
        opener.learn(NOW + Duration::from_secs(2), 2, SUITE, &secret(3));
        let last = NOW + Duration::from_nanos(2_999_999_999);
        let opened: Vec<_> = packets[..3].iter().map(|p| open(&mut opener, last, p)).collect();
        assert_eq!(opened, [Ok(0), Ok(1), Ok(2)]);
        let end = NOW + PREVIOUS_EPOCH_TIME;
        assert_eq!(open(&mut opener, end, &packets[0]), Err(OpenError::UnknownEpoch));
        opener.learn(end, 3, SUITE, &secret(4));
        let opened: Vec<_> = packets[1..].iter().map(|p| open(&mut opener, end, p)).collect();
        assert_eq!(opened, [Ok(1), Ok(2), Ok(3)]);
        // Another secret under a known epoch byte takes its place.
        opener.learn(end, 3, SUITE, &secret(9));
        assert_eq!(open(&mut opener, end, &packets[3]), Err(OpenError::Authentication));
        assert_eq!(opener.epochs.len(), 3);
    }
}
