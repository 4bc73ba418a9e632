//! COSE_Sign1 (RFC 9052) and CBOR (RFC 8949, 4.2.1) in the one encoding that is accepted, for all that a center signs.
//!
//! What was read is encoded again and must give the same bytes. So indefinite lengths, long forms, other orders, keys
//! twice, other headers and trailing bytes are refused, and no signature is one over something else.

use coset::cbor::value::Value;
use coset::{CborSerializable, CoseSign1, CoseSign1Builder, Header, HeaderBuilder, iana};

use crate::crypto::sign::KEY_ID_LEN;

/// Why bytes are not what they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed(pub(crate) &'static str);

/// The protected header of all that the key `kid` signs.
fn protected_header(kid: [u8; KEY_ID_LEN]) -> Header {
    HeaderBuilder::new().algorithm(iana::Algorithm::EdDSA).key_id(kid.to_vec()).build()
}

/// The COSE_Sign1 of a payload; `aad` says what it is for; `sign` gets what is to be signed.
pub(crate) fn encode(
    kid: [u8; KEY_ID_LEN],
    payload: Vec<u8>,
    aad: &[u8],
    sign: impl FnOnce(&[u8]) -> Vec<u8>,
) -> Result<Vec<u8>, Malformed> {
    CoseSign1Builder::new()
        .protected(protected_header(kid))
        .payload(payload)
        .create_signature(aad, sign)
        .build()
        .to_vec()
        .map_err(|_| Malformed("it does not encode"))
}

/// Takes a COSE_Sign1 apart: id of the key, and the rest. Makes sure that it is the only encoding of its parts, by which
/// its headers are exactly ours. The signature is not verified.
pub(crate) fn decode(bytes: &[u8]) -> Result<([u8; KEY_ID_LEN], CoseSign1), Malformed> {
    let sign1 = CoseSign1::from_slice(bytes).map_err(|_| Malformed("no COSE_Sign1"))?;
    let kid = sign1.protected.header.key_id.as_slice();
    let kid = kid.try_into().map_err(|_| Malformed("no key id of 8 bytes"))?;
    let payload = sign1.payload.clone().ok_or(Malformed("no payload"))?;
    if encode(kid, payload, &[], |_| sign1.signature.clone())? != bytes {
        return Err(Malformed("another algorithm, other headers or another encoding"));
    }
    Ok((kid, sign1))
}

/// An integer as CBOR.
pub(crate) fn integer(n: i128) -> Value {
    Value::Integer(n.try_into().expect("keys of maps are small"))
}

/// The value of an integer key.
pub(crate) fn find(map: &[(Value, Value)], key: i128) -> Option<&Value> {
    let is_key = |value: &Value| value.as_integer().is_some_and(|n| i128::from(n) == key);
    map.iter().find(|(name, _)| is_key(name)).map(|(_, value)| value)
}

/// The value of an integer key that has to be there.
pub(crate) fn required(map: &[(Value, Value)], key: i128) -> Result<&Value, Malformed> {
    find(map, key).ok_or(Malformed("a claim is missing"))
}

/// A number that fits.
pub(crate) fn unsigned<N: TryFrom<i128>>(value: &Value) -> Result<N, Malformed> {
    value
        .as_integer()
        .and_then(|n| i128::from(n).try_into().ok())
        .ok_or(Malformed("a number is out of bounds"))
}

/// A byte string of the right length.
pub(crate) fn bytes<const N: usize>(value: &Value) -> Result<[u8; N], Malformed> {
    value
        .as_bytes()
        .and_then(|bytes| bytes.as_slice().try_into().ok())
        .ok_or(Malformed("a byte string is too short or too long"))
}
