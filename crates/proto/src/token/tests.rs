//! Tokens as they should be, and every way in which they should not.

use coset::cbor::value::Value;
use coset::{CborSerializable, CoseSign1Builder, Header, HeaderBuilder, iana};
use proptest::prelude::*;

use super::*;
use crate::cose;
use crate::crypto::sign::{SigningKey, key_id};
use crate::ids::SetId;
use crate::limits::{TOKEN_MAX, TOKEN_SETS_MAX};

const NOW: u64 = 1_700_000_000;
const CLIENT: [u8; 32] = [7; 32];

fn center() -> SigningKey {
    SigningKey::from_seed(&[1; 32])
}

fn keyring() -> Keyring {
    Keyring::new([SigningKey::from_seed(&[2; 32]).public(), center().public()])
}

fn claims() -> Claims {
    Claims {
        expires: NOW + 3600,
        not_before: NOW - 60,
        token_id: [3; 8],
        client_public: CLIENT,
        sets: vec![SetId([4; 16]), SetId([5; 16])],
        rate_cap_kbits: Some(8000),
        sessions: Some(2),
        grace: Some(1800),
        plays: vec![6, u64::MAX],
    }
}

fn check(token: &[u8]) -> Result<Claims, TokenError> {
    verify(token, &keyring(), NOW, &CLIENT)
}

/// A token with any payload, rightly signed.
fn signed(payload: Vec<u8>) -> Vec<u8> {
    let key = center();
    let sign = |message: &[u8]| key.sign(message).to_vec();
    cose::encode(key_id(&key.public()), payload, EXTERNAL_AAD, sign).unwrap()
}

#[track_caller]
fn assert_invalid(token: &[u8]) {
    let error = check(token).unwrap_err();
    assert!(matches!(error, TokenError::Invalid(_)), "{error}");
    assert_eq!(error.code(), Code::TokenInvalid);
}

#[test]
fn a_token_says_what_it_was_made_of() {
    let bare =
        Claims { rate_cap_kbits: None, sessions: None, grace: None, plays: vec![], ..claims() };
    let full = Claims {
        sets: (0..TOKEN_SETS_MAX).map(|i| SetId([i as u8; 16])).collect(),
        expires: u64::MAX,
        rate_cap_kbits: Some(u32::MAX),
        sessions: Some(u16::MAX),
        grace: Some(3600),
        plays: (0..TOKEN_SETS_MAX as u64).collect(),
        ..claims()
    };
    for claims in [claims(), bare, full] {
        let token = mint(&claims, &center()).unwrap();
        assert!(token.len() <= TOKEN_MAX, "{}", token.len());
        assert_eq!(check(&token), Ok(claims));
    }
}

/// Section 6, byte by byte, written by hand.
#[test]
fn the_encoding_is_that_of_section_6() {
    let claims = Claims {
        expires: 100,
        not_before: 23,
        sets: vec![SetId([4; 16])],
        rate_cap_kbits: None,
        sessions: Some(1),
        grace: Some(30),
        plays: vec![6],
        ..claims()
    };
    let key = [7_u8; 32];
    let payload = [
        &[0xA8, 0x04, 0x18, 100, 0x05, 23, 0x07, 0x48][..],
        &[3; 8],
        &[0x08, 0xA1, 0x01, 0xA3, 0x01, 0x01, 0x20, 0x04, 0x21, 0x58, 32],
        &key,
        &[0x3A, 0x00, 0x01, 0x11, 0x70, 0x81, 0x50],
        &[4; 16],
        &[0x3A, 0x00, 0x01, 0x11, 0x72, 0x01],
        &[0x3A, 0x00, 0x01, 0x11, 0x73, 0x18, 30],
        &[0x3A, 0x00, 0x01, 0x11, 0x74, 0x81, 0x48, 0, 0, 0, 0, 0, 0, 0, 6],
    ]
    .concat();
    let token = mint(&claims, &center()).unwrap();
    let kid = key_id(&center().public());
    let head = [&[0x84, 0x4D, 0xA2, 0x01, 0x27, 0x04, 0x48][..], &kid, &[0xA0, 0x58]].concat();
    let head = [&head[..], &[payload.len() as u8], &payload, &[0x58, 64]].concat();
    assert_eq!(token[..head.len()], head);
    assert_eq!(token.len(), head.len() + 64);

    // Sig_structure of RFC 9052, 4.4.
    let to_be_signed = [
        &[0x84, 0x6A][..],
        b"Signature1",
        &token[1..15],
        &[0x57],
        b"segcast v1 access token",
        &[0x58, payload.len() as u8],
        &payload,
    ]
    .concat();
    assert_eq!(token[head.len()..], center().sign(&to_be_signed));
}

#[test]
fn time_is_checked_with_30_seconds_of_leeway() {
    let token = mint(&claims(), &center()).unwrap();
    let at = |time| verify(&token, &keyring(), time, &CLIENT).map(drop);
    let Claims { expires, not_before, .. } = claims();
    assert_eq!(at(expires + 30), Ok(()));
    assert_eq!(at(expires + 31), Err(TokenError::Expired { expires, now: expires + 31 }));
    assert_eq!(at(not_before - 30), Ok(()));
    let now = not_before - 31;
    assert_eq!(at(now), Err(TokenError::NotYetValid { not_before, now }));
    assert_eq!(at(u64::MAX).unwrap_err().code(), Code::TokenExpired);
    assert_eq!(at(0).unwrap_err().code(), Code::TokenNotYetValid);

    let forever = mint(&Claims { expires: u64::MAX, ..claims() }, &center()).unwrap();
    assert!(verify(&forever, &keyring(), u64::MAX, &CLIENT).is_ok());
}

#[test]
fn another_client_cannot_use_it() {
    let token = mint(&claims(), &center()).unwrap();
    let error = verify(&token, &keyring(), NOW, &[8; 32]).unwrap_err();
    assert_eq!((error, error.code()), (TokenError::WrongKey, Code::TokenWrongKey));
}

#[test]
fn a_foreign_center_is_named() {
    let foreign = SigningKey::from_seed(&[9; 32]);
    let error = check(&mint(&claims(), &foreign).unwrap()).unwrap_err();
    assert_eq!(error, TokenError::UnknownIssuer(key_id(&foreign.public())));
    assert_eq!(error.code(), Code::TokenUnknownIssuer);
    assert!(error.to_string().ends_with(&hex::encode(key_id(&foreign.public()))));
}

#[test]
fn a_foreign_signature_under_a_known_id_is_invalid() {
    let payload = claims().encode().unwrap();
    let foreign = SigningKey::from_seed(&[9; 32]);
    let kid = key_id(&center().public());
    let sign = |message: &[u8]| foreign.sign(message).to_vec();
    assert_invalid(&cose::encode(kid, payload, EXTERNAL_AAD, sign).unwrap());
}

#[test]
fn every_altered_bit_and_every_cut_is_refused() {
    let token = mint(&claims(), &center()).unwrap();
    for bit in 0..token.len() * 8 {
        let mut altered = token.clone();
        altered[bit / 8] ^= 1 << (bit % 8);
        assert!(check(&altered).is_err(), "bit {bit}");
    }
    for len in 0..token.len() {
        assert_invalid(&token[..len]);
    }
    assert_invalid(&[&token[..], &[0]].concat());
}

#[test]
fn oversize_is_refused_before_anything_is_read() {
    assert_eq!(check(&[0xFF; TOKEN_MAX + 1]), Err(TokenError::Invalid("over 700 bytes")));
}

/// A token with any headers, signed over them with the right key.
fn with_headers(protected: Header, unprotected: Header) -> Vec<u8> {
    CoseSign1Builder::new()
        .protected(protected)
        .unprotected(unprotected)
        .payload(claims().encode().unwrap())
        .create_signature(EXTERNAL_AAD, |message| center().sign(message).to_vec())
        .build()
        .to_vec()
        .unwrap()
}

#[test]
fn other_algorithms_and_headers_are_refused() {
    let header = || HeaderBuilder::new().key_id(key_id(&center().public()).to_vec());
    let ed25519 = || header().algorithm(iana::Algorithm::EdDSA);
    assert!(check(&with_headers(ed25519().build(), Header::default())).is_ok());

    assert_invalid(&with_headers(header().build(), Header::default()));
    for algorithm in [
        iana::Algorithm::ES256,
        iana::Algorithm::HMAC_256_256,
        iana::Algorithm::ES256K,
        iana::Algorithm::PS256,
        iana::Algorithm::A128GCM,
    ] {
        let other = header().algorithm(algorithm).build();
        assert_invalid(&with_headers(other.clone(), Header::default()));
        assert_invalid(&with_headers(ed25519().build(), other.clone()));
        assert_invalid(&with_headers(header().build(), other));
    }
    // "none" is no algorithm of COSE; this is how it would be smuggled in.
    let none = coset::RegisteredLabelWithPrivate::Text("none".to_owned());
    assert_invalid(&with_headers(header().algorithm_label(none).build(), Header::default()));
    let more = ed25519().value(99, Value::from(1)).build();
    assert_invalid(&with_headers(more, Header::default()));
    let critical = ed25519().add_critical(iana::HeaderParameter::Alg).build();
    assert_invalid(&with_headers(critical, Header::default()));
    let short_id = HeaderBuilder::new().algorithm(iana::Algorithm::EdDSA).key_id(vec![1; 7]);
    assert_invalid(&with_headers(short_id.build(), Header::default()));
}

/// The center's public key as an HMAC secret: the classic confusion.
#[test]
fn an_hmac_under_the_public_key_is_refused() {
    let public = center().public();
    let header = HeaderBuilder::new()
        .algorithm(iana::Algorithm::HMAC_256_256)
        .key_id(key_id(&public).to_vec())
        .build();
    let token = CoseSign1Builder::new()
        .protected(header)
        .payload(claims().encode().unwrap())
        .create_signature(EXTERNAL_AAD, |message| {
            crate::crypto::hash::hmac256(&public, &[message]).to_vec()
        })
        .build();
    assert_invalid(&token.to_vec().unwrap());
}

#[test]
fn a_signature_for_another_purpose_is_refused() {
    let token = CoseSign1Builder::new()
        .protected(
            HeaderBuilder::new()
                .algorithm(iana::Algorithm::EdDSA)
                .key_id(key_id(&center().public()).to_vec())
                .build(),
        )
        .payload(claims().encode().unwrap())
        .create_signature(b"segcast v1 play ticket", |message| center().sign(message).to_vec())
        .build();
    assert_invalid(&token.to_vec().unwrap());
}

#[test]
fn claims_in_another_encoding_are_refused_though_signed() {
    let good = claims().encode().unwrap();
    assert!(check(&signed(good.clone())).is_ok());
    let map = Value::from_slice(&good).unwrap().into_map().unwrap();
    let encode = |map: Vec<(Value, Value)>| Value::Map(map).to_vec().unwrap();

    let mut trailing = good.clone();
    trailing.push(0);
    assert_invalid(&signed(trailing));
    // An indefinite map: 0xBF … 0xFF.
    let mut indefinite = good.clone();
    indefinite[0] = 0xBF;
    indefinite.push(0xFF);
    assert_invalid(&signed(indefinite));
    // Key 5, which follows key 4 and its five bytes, in two bytes.
    assert_eq!(good[7], 0x05);
    let long_key = [&good[..7], &[0x18, 0x05], &good[8..]].concat();
    assert_invalid(&signed(long_key));
    for i in 0..map.len() {
        let mut twice = map.clone();
        twice.push(map[i].clone());
        assert_invalid(&signed(encode(twice)));
        let mut swapped = map.clone();
        swapped.swap(i, (i + 1) % map.len());
        assert_invalid(&signed(encode(swapped)));
        let mut without = map.clone();
        without.remove(i);
        // The last four are optional.
        assert_eq!(check(&signed(encode(without))).is_ok(), i >= 5, "without claim {i}");
        let mut wrong_type = map.clone();
        wrong_type[i].1 = Value::Text("x".to_owned());
        assert_invalid(&signed(encode(wrong_type)));
    }
    let mut unknown = map.clone();
    unknown.push((Value::from(-70_006), Value::from(1)));
    assert_invalid(&signed(encode(unknown)));
    for (i, too_large) in [(5, u64::from(u32::MAX) + 1), (6, u64::from(u16::MAX) + 1), (7, 3601)] {
        let mut map = map.clone();
        map[i].1 = Value::from(too_large);
        assert_invalid(&signed(encode(map)));
    }
    for count in [0, 17] {
        let mut map = map.clone();
        map[4].1 = Value::Array(vec![Value::Bytes(vec![1; 16]); count]);
        map[8].1 = Value::Array(vec![Value::Bytes(vec![1; 8]); count]);
        assert_invalid(&signed(encode(map)));
    }
    // One play for each of the two sets, or none, which is said by leaving them out.
    for (count, len) in [(0, 8), (1, 8), (3, 8), (2, 7), (2, 9)] {
        let mut map = map.clone();
        map[8].1 = Value::Array(vec![Value::Bytes(vec![1; len]); count]);
        assert_invalid(&signed(encode(map)));
    }
    let tagged = Value::Tag(61, Box::new(Value::from_slice(&good).unwrap()));
    assert_invalid(&signed(tagged.to_vec().unwrap()));
    assert_invalid(&[&[0xD2], &signed(good)[..]].concat());
}

#[test]
fn nested_bombs_are_refused() {
    for byte in [0x81, 0xA1, 0xC1, 0x9F, 0x5F, 0xBF, 0xD2] {
        assert_invalid(&[byte; TOKEN_MAX]);
        assert_invalid(&signed(vec![byte; 500]));
    }
    // Lengths that promise far more than there is.
    assert_invalid(&[0x9B, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]);
    assert_invalid(&[0x84, 0x5B, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]);
}

#[test]
fn what_cannot_be_valid_is_not_minted() {
    let invalid = |claims: Claims| matches!(mint(&claims, &center()), Err(TokenError::Invalid(_)));
    assert!(invalid(Claims { sets: vec![], ..claims() }));
    assert!(invalid(Claims { sets: vec![SetId([1; 16]); 17], ..claims() }));
    assert!(invalid(Claims { expires: 1, not_before: 2, ..claims() }));
    assert!(invalid(Claims { grace: Some(3601), ..claims() }));
    assert!(invalid(Claims { plays: vec![1], ..claims() }));
    assert!(invalid(Claims { plays: vec![1; 3], ..claims() }));
}

proptest! {
    #[test]
    fn any_bytes_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..720)) {
        prop_assert!(check(&bytes).is_err());
        // Behind a right signature, only the claims' decoder is left.
        prop_assert!(check(&signed(bytes)).is_err());
    }

    #[test]
    fn claims_survive(
        times in any::<(u64, u64)>(),
        token_id in any::<[u8; 8]>(),
        client_public in any::<[u8; 32]>(),
        (sets, plays) in proptest::collection::vec(any::<([u8; 16], u64)>(), 1..=16)
            .prop_map(|sets| sets.into_iter().map(|(set, play)| (SetId(set), play)).unzip()),
        rate_cap_kbits in any::<Option<u32>>(),
        sessions in any::<Option<u16>>(),
        grace in proptest::option::of(0_u32..=3600),
    ) {
        let (not_before, expires) = (times.0.min(times.1), times.0.max(times.1));
        let claims = Claims {
            expires, not_before, token_id, client_public, sets, rate_cap_kbits, sessions, grace, plays,
        };
        let token = mint(&claims, &center()).unwrap();
        prop_assert_eq!(verify(&token, &keyring(), not_before, &client_public), Ok(claims));
    }
}
