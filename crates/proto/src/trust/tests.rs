//! Keysets as they should be, every way in which they should not, and which keys are accepted when.

use coset::cbor::value::Value;
use coset::{CborSerializable, CoseSign1};
use proptest::prelude::*;
use strum::IntoEnumIterator as _;

use super::*;
use crate::cose;
use crate::crypto::sign::SigningKey;
use crate::limits::{KEYSET_KEYS_MAX, KEYSET_MAX};

const AAD: &[u8] = b"segcast v1 keyset";

fn root() -> SigningKey {
    SigningKey::from_seed(&[1; 32])
}

fn public(seed: u8) -> [u8; 32] {
    SigningKey::from_seed(&[seed; 32]).public()
}

fn key(use_: Use, seed: u8) -> KeysetKey {
    KeysetKey {
        use_,
        public: public(seed),
        signs_from: 1000,
        signs_until: 2000,
        verify_until: 3000,
    }
}

fn keyset() -> Keyset {
    let keys = Use::iter().zip(10..).map(|(use_, seed)| key(use_, seed)).collect();
    Keyset { number: 7, issued: 900, expires: 5000, keys, center: CenterId::of(&root().public()) }
}

fn signed(payload: Vec<u8>) -> Vec<u8> {
    let sign = |message: &[u8]| root().sign(message).to_vec();
    cose::encode(key_id(&root().public()), payload, AAD, sign).unwrap()
}

fn payload(keyset: &Keyset) -> Value {
    let signed = CoseSign1::from_slice(&keyset.sign(&root()).unwrap()).unwrap();
    Value::from_slice(&signed.payload.unwrap()).unwrap()
}

#[track_caller]
fn assert_invalid(bytes: &[u8]) {
    let error = Keyset::verify(bytes, &root().public()).unwrap_err();
    assert!(matches!(error, KeysetError::Invalid(_)), "{error}");
}

#[test]
fn a_keyset_says_what_it_was_made_of() {
    let most = (0..KEYSET_KEYS_MAX as u8).map(|seed| KeysetKey {
        signs_from: u64::MAX,
        signs_until: u64::MAX,
        verify_until: u64::MAX,
        ..key(Use::NextRoot, seed + 1)
    });
    let most = Keyset { number: u64::MAX, expires: u64::MAX, keys: most.collect(), ..keyset() };
    for keyset in [keyset(), most, Keyset { keys: vec![], ..keyset() }] {
        let bytes = keyset.sign(&root()).unwrap();
        assert!(bytes.len() <= KEYSET_MAX, "{}", bytes.len());
        assert_eq!(Keyset::verify(&bytes, &root().public()), Ok(keyset));
    }
}

#[test]
fn what_nobody_would_accept_is_not_signed() {
    let refused = |keyset: Keyset| matches!(keyset.sign(&root()), Err(KeysetError::Invalid(_)));
    let many = (0..65).map(|seed| key(Use::Token, seed + 1)).collect();
    assert!(refused(Keyset { keys: many, ..keyset() }));
    // One key for two uses is what a keyset is there to rule out.
    let twice = vec![key(Use::Token, 1), key(Use::Ticket, 1)];
    assert!(refused(Keyset { keys: twice, ..keyset() }));
    assert!(refused(Keyset { expires: 899, ..keyset() }));
    for (signs_until, verify_until) in [(999, 3000), (2000, 1999)] {
        let key = KeysetKey { signs_until, verify_until, ..key(Use::Token, 1) };
        assert!(refused(Keyset { keys: vec![key], ..keyset() }));
    }
}

#[test]
fn another_root_and_every_altered_bit_are_refused() {
    let bytes = keyset().sign(&root()).unwrap();
    let other = SigningKey::from_seed(&[2; 32]);
    let error = Keyset::verify(&bytes, &other.public());
    assert_eq!(error, Err(KeysetError::OtherRoot(key_id(&root().public()))));
    // By the other root, under the first one's id.
    let payload = payload(&keyset()).to_vec().unwrap();
    let sign = |message: &[u8]| other.sign(message).to_vec();
    assert_invalid(&cose::encode(key_id(&root().public()), payload.clone(), AAD, sign).unwrap());
    // By the root, for another purpose.
    let sign = |message: &[u8]| root().sign(message).to_vec();
    let token = b"segcast v1 access token";
    assert_invalid(&cose::encode(key_id(&root().public()), payload, token, sign).unwrap());
    for bit in 0..bytes.len() * 8 {
        let mut altered = bytes.clone();
        altered[bit / 8] ^= 1 << (bit % 8);
        assert!(Keyset::verify(&altered, &root().public()).is_err(), "bit {bit}");
    }
    for len in 0..bytes.len() {
        assert_invalid(&bytes[..len]);
    }
    assert_invalid(&[&bytes[..], &[0]].concat());
    assert_invalid(&[0x84; KEYSET_MAX + 1]);
}

#[test]
fn other_fields_and_encodings_are_refused_though_signed() {
    let map = payload(&keyset()).into_map().unwrap();
    let try_map = |map: Vec<(Value, Value)>| signed(Value::Map(map).to_vec().unwrap());
    assert!(Keyset::verify(&try_map(map.clone()), &root().public()).is_ok());
    for i in 0..map.len() {
        let mut without = map.clone();
        without.remove(i);
        assert_invalid(&try_map(without));
        let mut swapped = map.clone();
        swapped.swap(i, (i + 1) % map.len());
        assert_invalid(&try_map(swapped));
        let mut wrong_type = map.clone();
        wrong_type[i].1 = Value::Text("x".to_owned());
        assert_invalid(&try_map(wrong_type));
    }
    let mut unknown = map.clone();
    unknown.push((Value::from(6), Value::from(1)));
    assert_invalid(&try_map(unknown));
    for (field, value) in [
        (0, Value::from(0)),
        (0, Value::from(7)),
        (1, Value::Bytes(vec![1; 31])),
        (2, Value::from(-1)),
        (3, Value::from(999)),
        (4, Value::from(1999)),
    ] {
        let mut map = map.clone();
        let keys = map[3].1.as_array_mut().unwrap();
        keys[0].as_array_mut().unwrap()[field] = value;
        assert_invalid(&try_map(map));
    }
    let mut six_fields = map;
    let keys = six_fields[3].1.as_array_mut().unwrap();
    keys[0].as_array_mut().unwrap().push(Value::from(0));
    assert_invalid(&try_map(six_fields));
}

#[test]
fn a_key_is_accepted_for_its_use_and_in_its_time() {
    let trust = Trust::from_keyset(keyset());
    let id = key_id(&public(10));
    let accepts = |at| trust.key(Use::Token, id, at) == Some(public(10));
    // It signs until 2000, and what it signed is accepted until 3000; clocks differ by 30 s.
    assert_eq!([969, 970, 2000, 3000, 3001].map(accepts), [false, true, true, true, false]);
    for use_ in Use::iter().filter(|use_| *use_ != Use::Token) {
        assert_eq!(trust.key(use_, id, 1500), None, "{use_:?}");
    }
    assert_eq!(trust.key(Use::Token, key_id(&public(99)), 1500), None);
    let bare = Trust::bare([public(10)]);
    assert!(Use::iter().all(|use_| bare.key(use_, id, 0) == Some(public(10))));
}

#[test]
fn a_center_id_is_made_of_the_first_root() {
    let digest = crate::crypto::hash::sha256(&[b"segcast v1 center id", &root().public()]);
    let id = CenterId::of(&root().public());
    assert_eq!(id.0, digest[..16]);
    assert_eq!(id.to_string(), hex::encode(&digest[..16]));
}

proptest! {
    #[test]
    fn any_bytes_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(Keyset::verify(&bytes, &root().public()).is_err());
        prop_assert!(Keyset::verify(&signed(bytes), &root().public()).is_err());
    }
}
