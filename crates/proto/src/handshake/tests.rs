//! Handshakes that work, and everything an attacker or a bad path may do to them.

use core::net::SocketAddr;

use proptest::prelude::*;

use super::*;
use crate::crypto::{Opener, Sealer, Suite};
use crate::ids::ReceiverIndex;
use crate::limits::TOKEN_MAX;
use crate::time::{Duration, Instant};
use crate::wire::{Code, DecodeError, FrameHeader, PacketType};

const PARAMS: HelloParams = HelloParams { datagram_max: 8952, room_kib: 4096 };
const ACCEPTED: WelcomePayload = WelcomePayload {
    code: Code::Ok,
    datagram_max: 1440,
    requests_max: 64,
    idle_timeout_s: 180,
    retry_after_ms: 0,
};
const SERVER_INDEX: ReceiverIndex = ReceiverIndex::new(0xABCD, 3);
const SENDER_INDEX: u32 = 0x0102_0304;

fn edge() -> EdgeIdentity {
    EdgeIdentity::new(StaticSecret::new([1; 32]))
}

/// Checks a HELLO's length, version, suite and mac1: all that can be checked without Diffie–Hellman.
fn check_hello<'a>(
    identity: &EdgeIdentity,
    datagram: &'a [u8],
) -> Result<HelloView<'a>, HelloError> {
    let view = HelloView::read(datagram)?;
    view.check_mac1(identity)?;
    Ok(view)
}

fn client_secret() -> StaticSecret {
    StaticSecret::new([2; 32])
}

fn client(suite: Suite, token: &[u8], seed: u8) -> ClientHandshake {
    let public = *edge().public();
    ClientHandshake::new(suite, &public, &client_secret(), PARAMS, token, SENDER_INDEX, [seed; 32])
        .unwrap()
}

fn read(hello: &[u8]) -> Result<ReceivedHello, HelloError> {
    let edge = edge();
    let view = check_hello(&edge, hello)?;
    ReceivedHello::read(&edge, &view, [4; 32])
}

fn welcome(hello: &[u8]) -> Vec<u8> {
    let mut out = [0; WELCOME_LEN];
    let (len, _, _) = read(hello).unwrap().welcome(SERVER_INDEX, &ACCEPTED, &mut out).unwrap();
    out[..len].to_vec()
}

/// A HELLO changed by an attacker who knows the edge's public key, so that mac1 is right again.
fn altered(hello: &[u8; HELLO_LEN], change: impl FnOnce(&mut [u8; HELLO_LEN])) -> [u8; HELLO_LEN] {
    let mut hello = *hello;
    change(&mut hello);
    let mac1 = edge().mac1_key.tag16(&[&hello[..1168]]);
    hello[1168..1184].copy_from_slice(&mac1);
    hello
}

#[test]
fn public_key_of_rfc_7748() {
    let secret = "5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb";
    let public = "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f";
    let secret = StaticSecret::new(hex::decode(secret).unwrap().try_into().unwrap());
    assert_eq!(hex::encode(secret.public()), public);
}

#[test]
fn both_sides_end_with_the_same_secrets() {
    for suite in [Suite::Aes128Gcm, Suite::Aes256Gcm] {
        let mut client = client(suite, b"token", 3);
        let received = read(client.hello()).unwrap();
        assert_eq!(received.client_public, client_secret().public());
        assert_eq!(received.params, PARAMS);
        assert_eq!(received.token, b"token");
        assert_eq!((received.id.sender_index, received.id.suite), (SENDER_INDEX, suite));

        let mut out = [0xEE; 1200];
        let (len, from_client, to_client) =
            received.welcome(SERVER_INDEX, &ACCEPTED, &mut out).unwrap();
        assert_eq!(len, WELCOME_LEN);
        let welcomed = client.on_welcome(&out[..len]).unwrap();
        assert_eq!(welcomed.payload, ACCEPTED);
        assert_eq!(welcomed.server_index, SERVER_INDEX);
        assert_eq!(welcomed.to_server.expose(), from_client.expose());
        assert_eq!(welcomed.from_server.expose(), to_client.expose());
        assert_ne!(from_client.expose(), to_client.expose());

        let mut sealer = Sealer::new(suite, welcomed.to_server, Instant::ZERO);
        let mut opener = Opener::new(suite, from_client, 512);
        let frame = FrameHeader::default();
        let (len, _) = sealer
            .seal(Instant::ZERO, 0, PacketType::Request, SERVER_INDEX, &frame, b"hi", &mut out)
            .unwrap();
        assert_eq!(opener.open(Instant::ZERO, &mut out[..len]).unwrap().payload, b"hi");
    }
}

#[test]
fn a_refusal_rides_in_the_welcome() {
    let mut client = client(Suite::Aes128Gcm, b"token", 3);
    let refusal = WelcomePayload::refusal(Code::Busy, 2500);
    let mut out = [0; WELCOME_LEN];
    read(client.hello()).unwrap().welcome(ReceiverIndex(0), &refusal, &mut out).unwrap();
    assert_eq!(client.on_welcome(&out).unwrap().payload, refusal);
}

#[test]
fn the_seed_decides_the_hello() {
    assert_eq!(
        client(Suite::Aes128Gcm, b"t", 3).hello(),
        client(Suite::Aes128Gcm, b"t", 3).hello()
    );
    let other = client(Suite::Aes128Gcm, b"t", 4);
    assert_ne!(client(Suite::Aes128Gcm, b"t", 3).hello()[24..56], other.hello()[24..56]);
}

#[test]
fn tokens_up_to_700_bytes_fit() {
    let longest = client(Suite::Aes128Gcm, &[7; TOKEN_MAX], 3);
    assert_eq!(read(longest.hello()).unwrap().token, [7; TOKEN_MAX]);
    assert_eq!(read(client(Suite::Aes128Gcm, &[], 3).hello()).unwrap().token, b"");
    let public = *edge().public();
    let too_long = ClientHandshake::new(
        Suite::Aes128Gcm,
        &public,
        &client_secret(),
        PARAMS,
        &[7; TOKEN_MAX + 1],
        1,
        [3; 32],
    );
    assert_eq!(too_long.err(), Some(HandshakeError::TokenTooLong(701)));
}

#[test]
fn a_hello_with_anything_wrong_is_dropped_before_noise() {
    let hello = *client(Suite::Aes128Gcm, b"token", 3).hello();
    let error = |bytes: &[u8]| check_hello(&edge(), bytes).err();
    assert_eq!(error(&hello), None);
    assert_eq!(error(&hello[..1199]), Some(HelloError::Length(1199)));
    assert_eq!(error(&[&hello[..], &[0]].concat()), Some(HelloError::Length(1201)));
    for bit in (0..1184 * 8).filter(|bit| !(4..8).contains(bit)) {
        let mut wrong = hello;
        wrong[bit / 8] ^= 1 << (bit % 8);
        assert!(error(&wrong).is_some(), "bit {bit}");
    }
    let set = |at: usize, byte: u8| error(&altered(&hello, |bytes| bytes[at] = byte));
    assert_eq!(set(0, 0x20), Some(HelloError::Decode(DecodeError::Version(2))));
    assert_eq!(set(1, 2), Some(HelloError::NotHello));
    assert_eq!(set(2, 1), Some(HelloError::NotHello));
    assert!(matches!(set(3, 3), Some(HelloError::Suite(_))));
    assert_eq!(set(20, 4), Some(HelloError::NoiseLength(4 * 256 + 109)));
    assert_eq!(set(21, 103), Some(HelloError::NoiseLength(103)));

    let other = EdgeIdentity::new(StaticSecret::new([9; 32]));
    assert_eq!(check_hello(&other, &hello).err(), Some(HelloError::Mac1));
}

#[test]
fn a_hello_altered_with_a_right_mac1_does_not_decrypt() {
    let hello = *client(Suite::Aes128Gcm, b"token", 3).hello();
    // Suite, sender index, length, and each part of the Noise message.
    for (at, byte) in [(3, 2), (16, 9), (19, 9), (21, 110), (24, 0), (60, 0), (110, 0), (130, 0)] {
        let wrong = altered(&hello, |bytes| bytes[at] = byte);
        assert_ne!(wrong, hello);
        assert_eq!(read(&wrong).err(), Some(HelloError::Noise), "byte {at}");
    }
}

#[test]
fn a_client_that_cannot_receive_1200_bytes_is_dropped() {
    let params = HelloParams { datagram_max: 1199, room_kib: 1 };
    let public = *edge().public();
    let hello =
        ClientHandshake::new(Suite::Aes128Gcm, &public, &client_secret(), params, b"", 1, [3; 32])
            .unwrap();
    assert_eq!(read(hello.hello()).err(), Some(HelloError::DatagramMax));
}

#[test]
fn a_cookie_proves_the_address() {
    let edge = edge();
    let mut jar = CookieJar::new([5; 32]);
    let address: SocketAddr = "192.0.2.1:4433".parse().unwrap();
    let mut client = client(Suite::Aes128Gcm, b"token", 3);
    let first = *client.hello();
    let view = check_hello(&edge, &first).unwrap();
    assert!(!jar.verify(7, address, &view));

    let reply = jar.reply(7, address, &view.id);
    assert!(client.on_cookie(&reply));
    let second = *client.hello();
    assert_eq!(first[..1184], second[..1184]);
    let view = check_hello(&edge, &second).unwrap();
    assert!(jar.verify(7, address, &view));
    assert!(jar.verify(8, address, &view), "the last period's cookie");
    assert!(!jar.verify(9, address, &view));
    assert!(!jar.verify(6, address, &view));
    assert!(!jar.verify(0, address, &view));
    assert!(!jar.verify(7, "192.0.2.1:4434".parse().unwrap(), &view));
    assert!(!jar.verify(7, "192.0.2.2:4433".parse().unwrap(), &view));
    assert!(jar.verify(7, "[::ffff:192.0.2.1]:4433".parse().unwrap(), &view));
    assert!(!CookieJar::new([6; 32]).verify(7, address, &view));
    assert!(CookieJar::new([5; 32]).verify(7, address, &view), "shards agree");

    // The HELLO with its cookie is the same HELLO.
    assert_eq!(view.id, check_hello(&edge, &first).unwrap().id);
    assert!(client.on_welcome(&welcome(&second)).is_ok());
}

#[test]
fn cookies_for_other_hellos_are_dropped() {
    let edge = edge();
    let mut jar = CookieJar::new([5; 32]);
    let address: SocketAddr = "[2001:db8::1]:4433".parse().unwrap();
    let mut ours = client(Suite::Aes128Gcm, b"token", 3);
    let theirs = client(Suite::Aes128Gcm, b"token", 4);
    let before = *ours.hello();
    assert!(!ours.on_cookie(&jar.reply(
        1,
        address,
        &check_hello(&edge, theirs.hello()).unwrap().id
    )));
    let reply = jar.reply(1, address, &check_hello(&edge, &before).unwrap().id);
    for wrong in [0, 1, 2, 7, 16, 31] {
        let mut altered = reply;
        altered[wrong] ^= 0x80;
        assert!(!ours.on_cookie(&altered), "byte {wrong}");
    }
    assert!(!ours.on_cookie(&reply[..47]));
    assert!(!ours.on_cookie(&[&reply[..], &[0]].concat()));
    assert_eq!(*ours.hello(), before);
}

#[test]
fn periods_last_two_minutes() {
    let at = |seconds| CookieJar::period(Instant::ZERO + Duration::from_secs(seconds));
    assert_eq!((at(0), at(119), at(120), at(241)), (0, 0, 1, 2));
}

#[test]
fn forged_welcomes_do_no_harm() {
    let mut client = client(Suite::Aes128Gcm, b"token", 3);
    let genuine = welcome(client.hello());
    for len in 0..genuine.len() {
        assert!(client.on_welcome(&genuine[..len]).is_err());
    }
    // Flags, sequence number and reserved bytes are ignored.
    let ignored = |bit: usize| matches!(bit / 8, 8..16 | 18..20) || bit < 4;
    for bit in (0..genuine.len() * 8).filter(|&bit| !ignored(bit)) {
        let mut forged = genuine.clone();
        forged[bit / 8] ^= 1 << (bit % 8);
        assert!(client.on_welcome(&forged).is_err(), "bit {bit}");
    }
    let welcomed = client.on_welcome(&genuine).unwrap();
    assert_eq!((welcomed.payload, welcomed.server_index), (ACCEPTED, SERVER_INDEX));
}

#[test]
fn a_welcome_serves_one_handshake_once() {
    let mut first = client(Suite::Aes128Gcm, b"token", 3);
    let mut second = client(Suite::Aes128Gcm, b"token", 4);
    let genuine = welcome(first.hello());
    assert_eq!(second.on_welcome(&genuine).err(), Some(HandshakeError::Noise));
    assert!(first.on_welcome(&genuine).is_ok());
    assert_eq!(first.on_welcome(&genuine).err(), Some(HandshakeError::Noise));
    assert!(second.on_welcome(&welcome(second.hello().as_slice())).is_ok());
}

#[test]
fn too_little_room_for_a_welcome_is_an_error() {
    let client = client(Suite::Aes128Gcm, b"token", 3);
    let result =
        read(client.hello()).unwrap().welcome(SERVER_INDEX, &ACCEPTED, &mut [0; WELCOME_LEN - 1]);
    assert_eq!(
        result.err(),
        Some(HandshakeError::NoRoom { needed: WELCOME_LEN, got: WELCOME_LEN - 1 })
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_bytes_are_dropped(
        bytes in proptest::collection::vec(any::<u8>(), 1200),
        len in 0..=1200_usize,
    ) {
        let mut client = client(Suite::Aes128Gcm, b"token", 3);
        prop_assert!(check_hello(&edge(), &bytes[..len]).is_err());
        prop_assert!(!client.on_cookie(&bytes[..len]));
        prop_assert!(client.on_welcome(&bytes[..len]).is_err());

        // Bytes that get as far as they can without keys.
        let hello = altered(&bytes.clone().try_into().unwrap(), |hello| {
            hello[..4].copy_from_slice(&[0x10, 1, 0, 1]);
            hello[20] %= 4;
        });
        prop_assert!(read(&hello).is_err());
        let mut welcome = bytes;
        welcome[..4].copy_from_slice(&[0x10, 2, 0, 1]);
        welcome[4..8].copy_from_slice(&SENDER_INDEX.to_be_bytes());
        welcome[16] %= 5;
        prop_assert!(client.on_welcome(&welcome[..len]).is_err());
    }
}

#[test]
fn secrets_are_not_printed() {
    assert_eq!(format!("{:?}", client_secret()), "StaticSecret(..)");
    assert!(format!("{:?}", edge()).contains("secret: StaticSecret(..)"));
}
