//! A keyset (section 22): COSE_Sign1 by the root over all keys of a center.

use core::fmt;

use coset::CborSerializable;
use coset::cbor::value::Value;

use super::Use;
use crate::cose::{self, Malformed, bytes, integer, required, unsigned};
use crate::crypto::hash::sha256;
use crate::crypto::sign::{self, PUBLIC_KEY_LEN, SigningKey, key_id};
use crate::limits::{KEYSET_KEYS_MAX, KEYSET_MAX};

/// Bound into every signature, so that none for another purpose is one over a keyset.
const EXTERNAL_AAD: &[u8] = b"segcast v1 keyset";
const CENTER_ID_CONTEXT: &[u8] = b"segcast v1 center id";

/// Keys of the payload.
const NUMBER: i128 = 1;
const ISSUED: i128 = 2;
const EXPIRES: i128 = 3;
const KEYS: i128 = 4;
const CENTER: i128 = 5;

/// Names a center for as long as it lives: made of its first root key, and kept by the roots after it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CenterId(pub [u8; 16]);

impl CenterId {
    /// The center whose first root key is this.
    #[must_use]
    pub fn of(first_root: &[u8; PUBLIC_KEY_LEN]) -> Self {
        let digest = sha256(&[CENTER_ID_CONTEXT, first_root]);
        Self(core::array::from_fn(|i| digest[i]))
    }
}

impl fmt::Display for CenterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for CenterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CenterId({self})")
    }
}

/// A key of a center. Times are Unix seconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeysetKey {
    /// What it is for.
    pub use_: Use,
    /// An Ed25519 public key; X25519 for [`Use::Metering`].
    pub public: [u8; PUBLIC_KEY_LEN],
    /// The first second at which the center signs with it.
    pub signs_from: u64,
    /// The last.
    pub signs_until: u64,
    /// The last second at which what it signed is accepted.
    pub verify_until: u64,
}

/// All keys of a center.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keyset {
    /// Counts up: who has seen one accepts none with a lower number.
    pub number: u64,
    /// When it was made, Unix seconds.
    pub issued: u64,
    /// When there ought to be a newer one: then who has it raises an alarm and goes on.
    pub expires: u64,
    /// At most 64, each once.
    pub keys: Vec<KeysetKey>,
    /// Whose they are.
    pub center: CenterId,
}

/// Why a keyset was not made or not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeysetError {
    /// Malformed, altered, too long, or not in the one accepted encoding.
    #[error("invalid keyset: {0}")]
    Invalid(&'static str),
    /// Another root signed it.
    #[error("a keyset of another root, with id {}", hex::encode(.0))]
    OtherRoot([u8; 8]),
}

impl From<Malformed> for KeysetError {
    fn from(Malformed(why): Malformed) -> Self {
        Self::Invalid(why)
    }
}

impl Keyset {
    /// Signs it as the root.
    ///
    /// # Errors
    ///
    /// [`KeysetError::Invalid`] when nobody would accept it.
    pub fn sign(&self, root: &SigningKey) -> Result<Vec<u8>, KeysetError> {
        self.check()?;
        let sign = |message: &[u8]| root.sign(message).to_vec();
        Ok(cose::encode(key_id(&root.public()), self.encode()?, EXTERNAL_AAD, sign)?)
    }

    /// Reads a keyset that `root` signed. Whose it is, its number and its end are the caller's to compare.
    ///
    /// # Errors
    ///
    /// [`KeysetError`].
    pub fn verify(bytes: &[u8], root: &[u8; PUBLIC_KEY_LEN]) -> Result<Self, KeysetError> {
        if bytes.len() > KEYSET_MAX {
            return Err(KeysetError::Invalid("over 8 KiB"));
        }
        let (kid, sign1) = cose::decode(bytes)?;
        if kid != key_id(root) {
            return Err(KeysetError::OtherRoot(kid));
        }
        sign1.verify_signature(EXTERNAL_AAD, |signature, message| {
            let is_signed = sign::verify(root, message, signature);
            is_signed.then_some(()).ok_or(KeysetError::Invalid("wrong signature"))
        })?;
        Self::decode(sign1.payload.as_deref().unwrap_or_default())
    }

    /// What holds beside the form: bounds, order of times, and that no key has two uses.
    fn check(&self) -> Result<(), KeysetError> {
        if self.keys.len() > KEYSET_KEYS_MAX {
            return Err(KeysetError::Invalid("over 64 keys"));
        }
        if self.expires < self.issued {
            return Err(KeysetError::Invalid("it expires before it was issued"));
        }
        let in_order = |key: &KeysetKey| {
            key.signs_from <= key.signs_until && key.signs_until <= key.verify_until
        };
        if !self.keys.iter().all(in_order) {
            return Err(KeysetError::Invalid("a key ends before it begins"));
        }
        let twice = |i: usize| self.keys[..i].iter().any(|key| key.public == self.keys[i].public);
        if (1..self.keys.len()).any(twice) {
            return Err(KeysetError::Invalid("a key twice"));
        }
        Ok(())
    }

    fn encode(&self) -> Result<Vec<u8>, Malformed> {
        let keys = self.keys.iter().map(|key| {
            Value::Array(vec![
                Value::from(key.use_ as u8),
                Value::Bytes(key.public.to_vec()),
                Value::from(key.signs_from),
                Value::from(key.signs_until),
                Value::from(key.verify_until),
            ])
        });
        let map = vec![
            (integer(NUMBER), Value::from(self.number)),
            (integer(ISSUED), Value::from(self.issued)),
            (integer(EXPIRES), Value::from(self.expires)),
            (integer(KEYS), Value::Array(keys.collect())),
            (integer(CENTER), Value::Bytes(self.center.0.to_vec())),
        ];
        Value::Map(map).to_vec().map_err(|_| Malformed("it does not encode"))
    }

    fn decode(payload: &[u8]) -> Result<Self, KeysetError> {
        const MALFORMED: Malformed = Malformed("malformed");
        let value = Value::from_slice(payload).map_err(|_| MALFORMED)?;
        let map = value.as_map().ok_or(MALFORMED)?;
        let keys = required(map, KEYS)?.as_array().ok_or(MALFORMED)?;
        let keyset = Self {
            number: unsigned(required(map, NUMBER)?)?,
            issued: unsigned(required(map, ISSUED)?)?,
            expires: unsigned(required(map, EXPIRES)?)?,
            keys: keys.iter().map(decode_key).collect::<Result<_, _>>()?,
            center: CenterId(bytes(required(map, CENTER)?)?),
        };
        keyset.check()?;
        if keyset.encode()? != payload {
            return Err(KeysetError::Invalid("not in deterministic encoding, or unknown keys"));
        }
        Ok(keyset)
    }
}

fn decode_key(value: &Value) -> Result<KeysetKey, Malformed> {
    let Some([use_, public, from, until, verify]) = value.as_array().map(Vec::as_slice) else {
        return Err(Malformed("a key has five fields"));
    };
    Ok(KeysetKey {
        use_: Use::from_repr(unsigned(use_)?).ok_or(Malformed("an unknown use"))?,
        public: bytes(public)?,
        signs_from: unsigned(from)?,
        signs_until: unsigned(until)?,
        verify_until: unsigned(verify)?,
    })
}
