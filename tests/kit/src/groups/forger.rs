//! A member that abuses the secret of its groups: it seals what no edge sent.

use rand_chacha::ChaCha20Rng;
use rand_core::RngCore;
use segcast_proto::crypto::{GroupSealer, Suite};
use segcast_proto::ids::ObjectNumber;
use segcast_proto::limits::{DATAGRAM_BASE, SYMBOL};
use segcast_proto::time::Instant;
use segcast_proto::wire::group_probe::{GroupProbe, ProbeEntry, ProbeState};
use segcast_proto::wire::{GroupKey, PacketType};

use super::SEGMENTS;

/// Packets in each step of 2 ms: some 20 Mbit/s, a hundred times what the title takes.
const PACKETS: usize = 4;

/// Seals junk for the first channel of a set.
pub(super) struct Forger {
    sealer: GroupSealer,
    random: ChaCha20Rng,
    epoch: u8,
}

impl Forger {
    pub(super) fn new(key: &GroupKey, random: ChaCha20Rng) -> Option<Self> {
        let channel = key.channels.first()?.id;
        let sealer = GroupSealer::new(&key.secret, Suite::Aes128Gcm, channel);
        Some(Self { sealer, random, epoch: key.epoch })
    }

    /// Whether its secret is that of `key`.
    pub(super) fn has(&self, key: &GroupKey) -> bool {
        self.epoch == key.epoch
    }

    /// Symbols, leaves, and probes that say that a segment is over: of all segments, in no order.
    pub(super) fn step(&mut self, now: Instant) -> Vec<Vec<u8>> {
        (0..PACKETS).map(|_| self.packet(now)).collect()
    }

    fn packet(&mut self, now: Instant) -> Vec<u8> {
        let segment = self.random.next_u32() % SEGMENTS;
        let (mut junk, mut probe) = ([0; SYMBOL], [0; GroupProbe::LEN_MAX]);
        self.random.fill_bytes(&mut junk);
        let (packet_type, offset, payload) = match self.random.next_u32() % 16 {
            0 => (PacketType::Leaves, segment % 2, &junk[..]),
            1 => {
                let entry =
                    ProbeEntry { segment, state: ProbeState::Sent, symbols: 64, time_ms: 0 };
                let said = GroupProbe { members: 9, back_off_ms: 10, entries: vec![entry] };
                let len = said.encode(&mut probe).expect("one entry");
                (PacketType::GroupProbe, 7, &probe[..len])
            }
            _ => (PacketType::Symbol, self.random.next_u32() % 80, &junk[..]),
        };
        let mut out = vec![0; DATAGRAM_BASE];
        let object = ObjectNumber(segment);
        let sealed = self.sealer.seal(now, packet_type, object, offset, payload, &mut out);
        out.truncate(sealed.expect("fewer than a key may seal"));
        out
    }
}
