//! Packet protection against an independent implementation, published vectors, and everything that may
//! happen to epochs and packets on the way.

use aes_gcm::aead::{Aead, Payload};
use aes_gcm::{Aes128Gcm, Aes256Gcm, KeyInit};
use proptest::prelude::*;

use super::packet_key::{NotAuthentic, PacketKey};
use super::*;
use crate::ids::{ObjectNumber, ReceiverIndex, SetHandle};
use crate::limits::{EPOCH_PACKETS, EPOCH_PACKETS_HARD, EPOCH_TIME, LEAD_TIME, OVERHEAD};
use crate::time::{Duration, Instant};
use crate::wire::{DecodeError, FLAG_END, FrameHeader, PacketType};

const START: Instant = Instant::from_nanos(1_000_000);
const FRAME: FrameHeader =
    FrameHeader { set_handle: SetHandle(1), object: ObjectNumber(2), offset: 3, send_time: 4 };
const SUITES: [Suite; 2] = [Suite::Aes128Gcm, Suite::Aes256Gcm];

/// Key, IV, plaintext, additional data, ciphertext, tag of "The Galois/Counter Mode of Operation" (McGrew and
/// Viega), test cases 1 to 4 (AES-128) and 13 to 16 (AES-256).
const GCM_VECTORS: [[&str; 6]; 8] = {
    const ZERO_128: &str = "00000000000000000000000000000000";
    const ZERO_256: &str = "0000000000000000000000000000000000000000000000000000000000000000";
    const ZERO_IV: &str = "000000000000000000000000";
    const KEY_128: &str = "feffe9928665731c6d6a8f9467308308";
    const KEY_256: &str = "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308";
    const IV: &str = "cafebabefacedbaddecaf888";
    const LONG: &str = "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b391aafd255";
    const SHORT: &str = "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39";
    const ADDITIONAL: &str = "feedfacedeadbeeffeedfacedeadbeefabaddad2";
    [
        [ZERO_128, ZERO_IV, "", "", "", "58e2fccefa7e3061367f1d57a4e7455a"],
        [
            ZERO_128,
            ZERO_IV,
            ZERO_128,
            "",
            "0388dace60b6a392f328c2b971b2fe78",
            "ab6e47d42cec13bdf53a67b21257bddf",
        ],
        [
            KEY_128,
            IV,
            LONG,
            "",
            "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091473f5985",
            "4d5c2af327cd64a62cf35abd2ba6fab4",
        ],
        [
            KEY_128,
            IV,
            SHORT,
            ADDITIONAL,
            "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091",
            "5bc94fbc3221a5db94fae95ae7121a47",
        ],
        [ZERO_256, ZERO_IV, "", "", "", "530f8afbc74536b9a963b4f1c4cb738b"],
        [
            ZERO_256,
            ZERO_IV,
            ZERO_128,
            "",
            "cea7403d4d606b6e074ec5d3baf39d18",
            "d0d1c8a799996bf0265b98b5d48ab919",
        ],
        [
            KEY_256,
            IV,
            LONG,
            "",
            "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662898015ad",
            "b094dac5d93471bdec1a502270e3cc6c",
        ],
        [
            KEY_256,
            IV,
            SHORT,
            ADDITIONAL,
            "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662",
            "76fc6ece0f4e1768cddf8853bb2d551b",
        ],
    ]
};

#[test]
fn published_gcm_vectors() {
    for [key, iv, plain, additional, cipher, tag] in
        GCM_VECTORS.map(|c| c.map(|text| hex::decode(text).unwrap()))
    {
        let suite = if key.len() == 16 { Suite::Aes128Gcm } else { Suite::Aes256Gcm };
        let mut packet_key = PacketKey::new(suite, &key, iv.try_into().unwrap());
        let expected = [cipher, tag].concat();
        // However the plaintext is divided between what lies there and what is read from elsewhere.
        for division in [0, plain.len().min(16), plain.len()] {
            let (head, payload) = plain.split_at(division);
            let mut out = head.to_vec();
            out.resize(plain.len() + 16, 0);
            let (head, tail) = out.split_at_mut(division);
            packet_key.seal(0, &additional, head, payload, tail);
            assert_eq!(out, expected);
        }
        let mut opened = expected.clone();
        assert_eq!(packet_key.open(0, &additional, &mut opened).unwrap(), plain);
        let mut altered = expected;
        altered[plain.len() / 2] ^= 1;
        assert_eq!(packet_key.open(0, &additional, &mut altered), Err(NotAuthentic));
    }
}

/// Key and IV by section 3, independently of [`Secret::packet_key`], and the RustCrypto cipher.
struct Oracle {
    key: Vec<u8>,
    iv: [u8; 12],
}

impl Oracle {
    fn new(suite: Suite, secret: &[u8; 32]) -> Self {
        let mut oracle = Self { key: vec![0; suite.key_len()], iv: [0; 12] };
        hash::hkdf_expand(secret, &[b"segcast v1 key"], &mut oracle.key);
        hash::hkdf_expand(secret, &[b"segcast v1 iv"], &mut oracle.iv);
        oracle
    }

    fn nonce(&self, sequence: u64) -> [u8; 12] {
        let number = (u128::from(sequence)).to_be_bytes();
        core::array::from_fn(|i| self.iv[i] ^ number[i + 4])
    }

    fn seal(&self, sequence: u64, aad: &[u8], msg: &[u8]) -> Vec<u8> {
        let (nonce, payload) = (self.nonce(sequence), Payload { msg, aad });
        if self.key.len() == 16 {
            Aes128Gcm::new_from_slice(&self.key).unwrap().encrypt(&nonce.into(), payload).unwrap()
        } else {
            Aes256Gcm::new_from_slice(&self.key).unwrap().encrypt(&nonce.into(), payload).unwrap()
        }
    }

    fn open(&self, sequence: u64, aad: &[u8], msg: &[u8]) -> Option<Vec<u8>> {
        let (nonce, payload) = (self.nonce(sequence), Payload { msg, aad });
        if self.key.len() == 16 {
            Aes128Gcm::new_from_slice(&self.key).unwrap().decrypt(&nonce.into(), payload).ok()
        } else {
            Aes256Gcm::new_from_slice(&self.key).unwrap().decrypt(&nonce.into(), payload).ok()
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn rustcrypto_opens_what_we_seal_and_we_what_it_seals(
        suite in proptest::sample::select(&SUITES[..]),
        secret in any::<[u8; 32]>(),
        len in prop_oneof![Just(0), Just(1), Just(1152), Just(8904), 0..9000_usize],
        skipped in 0..1000_u64,
        extension in proptest::collection::vec(any::<[u8; 4]>(), 0..=16),
        fill in any::<u8>(),
    ) {
        let oracle = Oracle::new(suite, &secret);
        let payload: Vec<u8> = (0..len).map(|i| (i as u8).wrapping_mul(31) ^ fill).collect();
        let plain = [&FRAME.encode()[..], &payload].concat();

        let mut sealer = Sealer::new(suite, Secret::new(secret), START);
        sealer.skip_many(skipped);
        let mut datagram = vec![0; len + OVERHEAD];
        let sealed = sealer.seal(
            START, FLAG_END, PacketType::Data, ReceiverIndex(77), &FRAME, &payload, &mut datagram,
        );
        prop_assert_eq!(sealed, Ok((len + OVERHEAD, skipped)));
        let (aad, cipher) = datagram.split_at(16);
        prop_assert_eq!(oracle.open(skipped, aad, cipher), Some(plain.clone()));

        // The oracle's packet carries an extension, which ours never do.
        let mut foreign = datagram[..16].to_vec();
        foreign[2] = extension.len() as u8;
        foreign.extend(extension.as_flattened());
        let cipher = oracle.seal(skipped, &foreign, &plain);
        foreign.extend(cipher);
        let mut opener = Opener::new(suite, Secret::new(secret), 64);
        let opened = opener.open(START, &mut foreign).unwrap();
        prop_assert_eq!(opened.payload, payload);
        prop_assert_eq!(opened.frame, FRAME);
        prop_assert_eq!(opened.header.sequence, skipped);
    }

    #[test]
    fn any_bytes_are_dropped(mut bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(pair().1.open(START, &mut bytes).is_err());
        // Bytes that get further: a right version, type and epoch.
        if let [first, packet_type, extension, epoch, ..] = &mut bytes[..] {
            (*first, *packet_type, *extension, *epoch) = (0x10, 0x10, *extension % 20, *epoch % 3);
        }
        prop_assert!(pair().1.open(START, &mut bytes).is_err());
    }

    #[test]
    fn a_packet_with_any_bit_altered_is_dropped(bit in 0..(100 + OVERHEAD) * 8) {
        let (mut sealer, mut opener) = pair();
        let mut datagram = packet(&mut sealer, START);
        datagram[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(opener.open(START, &mut datagram).is_err());
        prop_assert_eq!(opener.highest(), None);
        prop_assert_eq!(opener.epoch(), 0);
    }
}

fn pair() -> (Sealer, Opener) {
    let secret = Secret::new([9; 32]);
    let opener = Opener::new(Suite::Aes128Gcm, secret.clone(), 512);
    (Sealer::new(Suite::Aes128Gcm, secret, START), opener)
}

fn packet(sealer: &mut Sealer, now: Instant) -> Vec<u8> {
    let mut out = vec![0; 100 + OVERHEAD];
    sealer
        .seal(now, 0, PacketType::Data, ReceiverIndex(1), &FRAME, &[0x5A; 100], &mut out)
        .unwrap();
    out
}

/// Opens a datagram: its epoch and sequence number.
fn open(opener: &mut Opener, now: Instant, datagram: &[u8]) -> Result<(u64, u64), OpenError> {
    opener.open(now, &mut datagram.to_vec()).map(|opened| (opened.epoch, opened.header.sequence))
}

#[test]
fn replays_and_old_packets_are_dropped_after_authentication() {
    let (mut sealer, mut opener) = pair();
    let packets: Vec<_> = (0..514).map(|_| packet(&mut sealer, START)).collect();
    assert_eq!(open(&mut opener, START, &packets[1]), Ok((0, 1)));
    assert_eq!(open(&mut opener, START, &packets[1]), Err(OpenError::Replayed));
    assert_eq!(open(&mut opener, START, &packets[512]), Ok((0, 512)));
    assert_eq!(open(&mut opener, START, &packets[1]), Err(OpenError::Replayed));
    assert_eq!(open(&mut opener, START, &packets[0]), Err(OpenError::TooOld));
    let mut forged = packets[1].clone();
    forged[60] ^= 1;
    assert_eq!(open(&mut opener, START, &forged), Err(OpenError::Authentication));
    let mut late = packets[2].clone();
    assert!(!opener.open(START, &mut late).unwrap().is_highest);
    let mut newest = packets[513].clone();
    assert!(opener.open(START, &mut newest).unwrap().is_highest);
    assert_eq!(opener.highest(), Some(513));
}

#[test]
fn a_skipped_number_is_not_used() {
    let (mut sealer, mut opener) = pair();
    assert_eq!(sealer.skip(), 0);
    assert_eq!(sealer.next_sequence(), 1);
    assert_eq!(open(&mut opener, START, &packet(&mut sealer, START)), Ok((0, 1)));
}

#[test]
fn too_little_room_uses_no_number() {
    let (mut sealer, _) = pair();
    let mut out = [0; 147];
    let error =
        sealer.seal(START, 0, PacketType::Data, ReceiverIndex(1), &FRAME, &[0; 100], &mut out);
    assert_eq!(error, Err(SealError::NoRoom { needed: 148, got: 147 }));
    assert_eq!(sealer.next_sequence(), 0);
}

#[test]
fn the_key_changes_after_2_to_23_packets_if_the_peer_uses_it() {
    let (mut sealer, mut opener) = pair();
    sealer.skip_many(EPOCH_PACKETS - 1);
    sealer.on_peer_epoch(START, 0);
    let last = packet(&mut sealer, START);
    let first = packet(&mut sealer, START);
    assert_eq!(sealer.epoch(), 1);
    assert_eq!(open(&mut opener, START, &last), Ok((0, EPOCH_PACKETS - 1)));
    assert_eq!(open(&mut opener, START, &first), Ok((1, EPOCH_PACKETS)));
    // Epoch 1 lasts until the peer has used it too.
    sealer.skip_many(EPOCH_PACKETS);
    assert_eq!(open(&mut opener, START, &packet(&mut sealer, START)).unwrap().0, 1);
    sealer.on_peer_epoch(START, 1);
    assert_eq!(open(&mut opener, START, &packet(&mut sealer, START)).unwrap().0, 2);
}

#[test]
fn the_key_changes_after_10_minutes_with_a_packet_in_them() {
    let (mut sealer, mut opener) = pair();
    sealer.on_peer_epoch(START, 0);
    let later = START + EPOCH_TIME;
    assert_eq!(open(&mut opener, later, &packet(&mut sealer, later)), Ok((0, 0)));
    assert_eq!(open(&mut opener, later, &packet(&mut sealer, later)), Ok((1, 1)));
    assert_eq!(open(&mut opener, later, &packet(&mut sealer, later)), Ok((1, 2)));
}

#[test]
fn a_key_that_cannot_change_is_exhausted_after_2_to_24_packets() {
    let (mut sealer, mut opener) = pair();
    sealer.skip_many(EPOCH_PACKETS_HARD - 1);
    assert_eq!(open(&mut opener, START, &packet(&mut sealer, START)).unwrap().0, 0);
    let mut out = [0; 200];
    let result = sealer.seal(START, 0, PacketType::Close, ReceiverIndex(1), &FRAME, &[], &mut out);
    assert_eq!(result, Err(SealError::Exhausted));
    assert_eq!(sealer.next_sequence(), EPOCH_PACKETS_HARD);
    // Even then the peer's next packet helps.
    sealer.on_peer_epoch(START, 0);
    assert_eq!(open(&mut opener, START, &packet(&mut sealer, START)).unwrap().0, 1);
}

#[test]
fn a_side_follows_at_once_when_the_peer_is_ahead() {
    let (mut sealer, mut opener) = pair();
    assert_eq!(open(&mut opener, START, &packet(&mut sealer, START)), Ok((0, 0)));
    sealer.on_peer_epoch(START, 1);
    assert_eq!(open(&mut opener, START, &packet(&mut sealer, START)), Ok((1, 1)));
    // Having followed, it may not go further until the peer has used epoch 1, which it has.
    sealer.skip_many(EPOCH_PACKETS);
    assert_eq!(open(&mut opener, START, &packet(&mut sealer, START)).unwrap().0, 2);
    sealer.skip_many(EPOCH_PACKETS);
    assert_eq!(open(&mut opener, START, &packet(&mut sealer, START)).unwrap().0, 2);
}

#[test]
fn both_directions_change_keys_over_many_epochs() {
    let (mut client, mut at_server) = pair();
    let back = Secret::new([3; 32]);
    let mut at_client = Opener::new(Suite::Aes256Gcm, back.clone(), 16_384);
    let mut server = Sealer::new(Suite::Aes256Gcm, back, START);
    let mut now = START;
    for round in 0..600 {
        let request = packet(&mut client, now);
        let (epoch, _) = open(&mut at_server, now, &request).unwrap();
        server.on_peer_epoch(now, epoch);
        let answer = packet(&mut server, now);
        let (epoch, _) = open(&mut at_client, now, &answer).unwrap();
        client.on_peer_epoch(now, epoch);
        assert_eq!((client.epoch(), server.epoch()), (round, round), "epochs go on past 255");
        now += EPOCH_TIME;
    }
}

#[test]
fn packets_of_the_last_epoch_are_taken_for_a_while() {
    let (mut sealer, mut opener) = pair();
    let old: Vec<_> = (0..3).map(|_| packet(&mut sealer, START)).collect();
    sealer.on_peer_epoch(START, 1);
    assert_eq!(open(&mut opener, START, &packet(&mut sealer, START)), Ok((1, 3)));
    assert_eq!(open(&mut opener, START, &old[0]), Ok((0, 0)));
    assert_eq!(open(&mut opener, START, &old[0]), Err(OpenError::Replayed));
    let end = START + PREVIOUS_EPOCH_TIME;
    assert_eq!(open(&mut opener, end - Duration::from_nanos(1), &old[1]), Ok((0, 1)));
    assert_eq!(open(&mut opener, end, &old[2]), Err(OpenError::UnknownEpoch));

    let old = packet(&mut sealer, START);
    opener.set_previous_epoch_lifetime(Duration::from_millis(90));
    sealer.on_peer_epoch(START, 2);
    assert_eq!(open(&mut opener, end, &packet(&mut sealer, START)).unwrap().0, 2);
    let late = end + Duration::from_millis(90);
    assert_eq!(open(&mut opener, late, &old), Err(OpenError::UnknownEpoch));
}

#[test]
fn changes_after_fewer_than_16_packets_and_60_seconds_are_hasty_from_the_ninth_on() {
    let (mut sealer, mut opener) = pair();
    let mut change = |epoch, packets, now| {
        sealer.on_peer_epoch(now, epoch);
        let hasty = opener.open(now, &mut packet(&mut sealer, now)).unwrap().is_hasty;
        for _ in 1..packets {
            assert!(!opener.open(now, &mut packet(&mut sealer, now)).unwrap().is_hasty);
        }
        hasty
    };
    assert!(!change(1, 15, START), "the first change is free");
    for epoch in 2..10 {
        assert!(!change(epoch, 15, START), "eight may be lost packets");
    }
    assert!(change(10, 16, START));
    assert!(!change(11, 1, START), "after 16 packets");
    assert!(!change(12, 1, START + LEAD_TIME), "after a minute");
    assert!(!change(13, 1, START + LEAD_TIME), "those two paid for one");
    assert!(change(14, 1, START + LEAD_TIME));
}

#[test]
fn epochs_too_far_away_and_forged_changes_are_dropped() {
    let (mut sealer, mut opener) = pair();
    let mut forged = packet(&mut sealer, START);
    for (epoch, error) in [
        (1, OpenError::Authentication),
        (2, OpenError::Authentication),
        (3, OpenError::UnknownEpoch),
        (255, OpenError::UnknownEpoch),
    ] {
        forged[3] = epoch;
        assert_eq!(open(&mut opener, START, &forged), Err(error));
    }
    assert_eq!(opener.epoch(), 0);
    sealer.on_peer_epoch(START, 3);
    let far = packet(&mut sealer, START);
    assert_eq!(open(&mut opener, START, &far), Err(OpenError::UnknownEpoch));
}

/// We lead into an epoch, the peer follows, all that it sends there is lost, and then it leads.
#[test]
fn an_epoch_that_was_lost_as_a_whole_locks_nobody_out() {
    let (mut sealer, mut opener) = pair();
    let late = packet(&mut sealer, START);
    sealer.on_peer_epoch(START, 1);
    let lost = packet(&mut sealer, START);
    sealer.skip_many(EPOCH_PACKETS);
    assert_eq!(open(&mut opener, START, &packet(&mut sealer, START)).unwrap().0, 2);
    assert_eq!(opener.epoch(), 2);
    // Not lost but late, and within the window: the last epoch's key is there. What is older is gone.
    assert_eq!(open(&mut opener, START, &lost), Err(OpenError::TooOld));
    assert_eq!(open(&mut opener, START, &late), Err(OpenError::UnknownEpoch));
    sealer.on_peer_epoch(START, 3);
    assert_eq!(open(&mut opener, START, &packet(&mut sealer, START)).unwrap().0, 3);
}

#[test]
fn what_is_no_sealed_packet_is_dropped() {
    let (mut sealer, mut opener) = pair();
    let mut datagram = packet(&mut sealer, START);
    datagram[1] = PacketType::Hello as u8;
    assert_eq!(open(&mut opener, START, &datagram), Err(OpenError::NotSealed));
    datagram[1] = PacketType::Data as u8;
    assert_eq!(
        open(&mut opener, START, &datagram[..47]),
        Err(OpenError::Decode(DecodeError::Truncated { needed: 48, got: 47 }))
    );
    // An extension takes its bytes from the rest.
    datagram[2] = 1;
    assert_eq!(
        open(&mut opener, START, &datagram[..51]),
        Err(OpenError::Decode(DecodeError::Truncated { needed: 52, got: 51 }))
    );
}

#[test]
fn directions_do_not_share_keys() {
    let (mut sealer, _) = pair();
    let mut other = Opener::new(Suite::Aes128Gcm, Secret::new([8; 32]), 512);
    let datagram = packet(&mut sealer, START);
    assert_eq!(open(&mut other, START, &datagram), Err(OpenError::Authentication));
}

#[test]
fn hibernation_changes_nothing_but_the_size() {
    let (mut sealer, mut opener) = pair();
    let old = packet(&mut sealer, START);
    for round in 0..4 {
        sealer.on_peer_epoch(START, 1 + round / 2);
        let datagram = packet(&mut sealer, START);
        sealer.hibernate();
        opener.hibernate(START);
        assert_eq!(open(&mut opener, START, &datagram), Ok((1 + round / 2, 1 + round)));
        if round == 0 {
            opener.hibernate(START);
            assert_eq!(open(&mut opener, START, &old), Ok((0, 0)));
        }
    }
}

/// An idle session may hold 1 KiB; packet protection takes about a third of it.
#[test]
fn a_hibernating_session_is_small() {
    const WINDOW_HEAP: usize = 512 / 8;
    let size = size_of::<Sealer>() + size_of::<Opener>() + WINDOW_HEAP;
    assert!(size <= 384, "{size} bytes");
}

#[test]
fn secrets_are_not_printed() {
    let (sealer, opener) = pair();
    let text = format!("{sealer:?} {opener:?}");
    assert!(text.contains("Secret(..)") && !text.contains("9, 9"));
}
