//! The edge's side: checks tokens with nothing but the centers' public keys.

use super::claims::{Claims, decode_token};
use super::{EXTERNAL_AAD, TokenError};
use crate::crypto::hash::constant_time_eq;
use crate::crypto::sign::{self, PUBLIC_KEY_LEN, key_id};
use crate::limits::{TOKEN_LEEWAY, TOKEN_MAX};

/// The public keys of the centers that an edge trusts. Several, so that a center can change its key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Keyring {
    keys: Vec<([u8; 8], [u8; PUBLIC_KEY_LEN])>,
}

impl Keyring {
    /// A ring of Ed25519 public keys.
    #[must_use]
    pub fn new(keys: impl IntoIterator<Item = [u8; PUBLIC_KEY_LEN]>) -> Self {
        Self { keys: keys.into_iter().map(|key| (key_id(&key), key)).collect() }
    }

    /// The keys with this id; more than one only by a collision of 8 bytes.
    fn with_id(&self, kid: [u8; 8]) -> impl Iterator<Item = &[u8; PUBLIC_KEY_LEN]> {
        self.keys.iter().filter(move |(id, _)| *id == kid).map(|(_, key)| key)
    }
}

/// Checks a token that came over Noise from a client with the static key `client_public`, at `unix_time` seconds.
///
/// # Errors
///
/// [`TokenError`], whose code tells the client.
pub fn verify(
    token: &[u8],
    keyring: &Keyring,
    unix_time: u64,
    client_public: &[u8; 32],
) -> Result<Claims, TokenError> {
    if token.len() > TOKEN_MAX {
        return Err(TokenError::Invalid("over 700 bytes"));
    }
    let (kid, sign1) = decode_token(token)?;
    if keyring.with_id(kid).next().is_none() {
        return Err(TokenError::UnknownIssuer(kid));
    }
    sign1.verify_signature(EXTERNAL_AAD, |signature, message| {
        let is_signed = keyring.with_id(kid).any(|key| sign::verify(key, message, signature));
        is_signed.then_some(()).ok_or(TokenError::Invalid("wrong signature"))
    })?;
    let claims = Claims::decode(sign1.payload.as_deref().unwrap_or_default())?;

    let leeway = TOKEN_LEEWAY.as_secs();
    if unix_time > claims.expires.saturating_add(leeway) {
        return Err(TokenError::Expired { expires: claims.expires, now: unix_time });
    }
    if unix_time.saturating_add(leeway) < claims.not_before {
        return Err(TokenError::NotYetValid { not_before: claims.not_before, now: unix_time });
    }
    if !constant_time_eq(&claims.client_public, client_public) {
        return Err(TokenError::WrongKey);
    }
    Ok(claims)
}
