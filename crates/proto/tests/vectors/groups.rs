//! `groups.json`: packets of groups as we seal them, opened by RustCrypto's AES-GCM and by us (section 20).

use segcast_proto::crypto::hash::hkdf_expand;
use segcast_proto::crypto::{GroupOpener, GroupSealer, GroupSecret, Suite};
use segcast_proto::ids::{ChannelId, ObjectNumber};
use segcast_proto::time::Instant;
use segcast_proto::wire::{GroupProbe, PacketType, ProbeEntry, ProbeState};

use crate::oracle::{self, nonce};
use crate::{Vector, check};

const NOW: Instant = Instant::from_nanos(0xFEDC_BA98 * 1000);
const CHANNEL: ChannelId = ChannelId::new(0x00AB_CDEF, 0x12);
const SECRET: [u8; 32] = [0x47; 32];

/// Key and IV of a channel, by section 3 and not by our code.
fn key_and_iv(suite: Suite) -> (Vec<u8>, [u8; 12]) {
    let (mut key, mut iv) = (vec![0; suite.key_len()], [0; 12]);
    hkdf_expand(&SECRET, &[b"segcast v1 group key", &CHANNEL.0.to_be_bytes()], &mut key);
    hkdf_expand(&SECRET, &[b"segcast v1 group iv", &CHANNEL.0.to_be_bytes()], &mut iv);
    (key, iv)
}

/// One packet, number `sequence` of its channel, in an epoch whose low 8 bits are 3.
fn sealed(
    name: &str,
    suite: Suite,
    sequence: u64,
    packet_type: PacketType,
    [segment, offset]: [u32; 2],
    payload: &[u8],
) -> Vector {
    let secret = GroupSecret::new(SECRET);
    let mut sealer = GroupSealer::new(&GroupSecret::new([0; 32]), suite, CHANNEL);
    let mut out = [0; 1200];
    let object = ObjectNumber(segment);
    for _ in 0..sequence {
        sealer.seal(NOW, PacketType::GroupProbe, object, 0, &[], &mut out).unwrap();
    }
    sealer.rekey(&secret, 3);
    let len = sealer.seal(NOW, packet_type, object, offset, payload, &mut out).unwrap();
    let (key, iv) = key_and_iv(suite);
    let mut vector = Vector::new(name);
    vector
        .put("suite", &[suite as u8])
        .put("secret", &SECRET)
        .put("epoch", &[3])
        .put("channel", &CHANNEL.0.to_be_bytes())
        .put("key", &key)
        .put("iv", &iv)
        .put("type", &[packet_type as u8])
        .put("sequence_number", &sequence.to_be_bytes())
        .put("segment_number", &segment.to_be_bytes())
        .put("offset", &offset.to_be_bytes())
        .put("send_time", &NOW.wire_micros().to_be_bytes())
        .put("payload", payload)
        .put("datagram", &out[..len]);
    vector
}

fn probe() -> Vec<u8> {
    let entries = vec![
        ProbeEntry { segment: 41, state: ProbeState::Sent, symbols: 1600, time_ms: 20 },
        ProbeEntry { segment: 42, state: ProbeState::Queued, symbols: 0, time_ms: 900 },
    ];
    let probe = GroupProbe { members: 300, back_off_ms: 30, entries };
    let mut payload = [0; GroupProbe::LEN_MAX];
    let len = probe.encode(&mut payload).unwrap();
    payload[..len].to_vec()
}

#[test]
fn groups() {
    use Suite::{Aes128Gcm, Aes256Gcm};
    let symbol: Vec<u8> = (0..1152_u32).map(|i| (i * 7) as u8).collect();
    let leaves: Vec<u8> = (0..128_u8).collect();
    let vectors = vec![
        sealed("SYMBOL", Aes128Gcm, 0, PacketType::Symbol, [0x0001_0203, 9], &symbol),
        sealed("SYMBOL, AES-256-GCM", Aes256Gcm, 300, PacketType::Symbol, [5, 1599], &symbol),
        sealed(
            "LEAVES, the last 8 of a segment",
            Aes128Gcm,
            1,
            PacketType::Leaves,
            [5, 1],
            &leaves,
        ),
        sealed("GROUP_PROBE", Aes128Gcm, 2, PacketType::GroupProbe, [u32::MAX, 7], &probe()),
    ];
    for vector in check("groups.json", vectors) {
        let mut datagram = vector.bytes("datagram");
        let number = nonce(vector.array("iv"), vector.number("sequence_number"));
        let (additional, ciphertext) = datagram.split_at(16);
        let plaintext = oracle::open(&vector.bytes("key"), number, additional, ciphertext).unwrap();
        let mut expected = vec![0; 4];
        for field in ["segment_number", "offset", "send_time", "payload"] {
            expected.extend(vector.bytes(field));
        }
        // Zeros follow leaves that fill no symbol.
        assert_eq!(plaintext[..expected.len()], expected, "{}", vector.name());
        assert!(plaintext[expected.len()..].iter().all(|byte| *byte == 0));

        let suite = Suite::try_from(vector.number("suite") as u8).unwrap();
        let mut opener = GroupOpener::new(ChannelId(vector.number("channel") as u32));
        let secret = GroupSecret::new(vector.array("secret"));
        opener.learn(NOW, vector.number("epoch") as u8, suite, &secret);
        let opened = opener.open(NOW, &mut datagram).unwrap();
        assert_eq!(opened.sequence, vector.number("sequence_number"));
        assert_eq!(opened.payload[..], plaintext[16..], "{}", vector.name());
    }
}
