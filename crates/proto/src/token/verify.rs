//! The edge's side: checks tokens with nothing but the centers' public keys.

use super::claims::Claims;
use super::{EXTERNAL_AAD, TokenError};
use crate::cose;
use crate::crypto::hash::{SHA256_LEN, constant_time_eq, sha256};
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
    check(token, keyring, unix_time, client_public, false)
}

/// Tokens whose signatures were verified: a client that comes again, or for one more session, costs no Ed25519. All else
/// is checked each time. Known are half of their SHA-256, 256 KiB for all; a new one takes the place that its digest says.
/// To pass for one of them, another token would have to be a second preimage of 128 bits.
pub struct VerifiedTokens(Box<[Digest; VERIFIED_MAX]>);

/// Tokens that are known at most.
const VERIFIED_MAX: usize = 16_384;

type Digest = [u8; SHA256_LEN / 2];

impl VerifiedTokens {
    /// As [`verify`]; of a token that was verified before, the signature is not.
    ///
    /// # Errors
    ///
    /// Those of [`verify`].
    pub fn verify(
        &mut self,
        token: &[u8],
        keyring: &Keyring,
        unix_time: u64,
        client_public: &[u8; 32],
    ) -> Result<Claims, TokenError> {
        let whole = sha256(&[token]);
        let digest: Digest = core::array::from_fn(|i| whole[i]);
        let place = usize::from(u16::from_be_bytes([digest[0], digest[1]])) % VERIFIED_MAX;
        let is_known = self.0[place] == digest;
        let claims = check(token, keyring, unix_time, client_public, is_known)?;
        self.0[place] = digest;
        Ok(claims)
    }

    /// Forgets all: the keys that verified them may be no longer trusted.
    pub fn clear(&mut self) {
        self.0.fill(Digest::default());
    }
}

impl Default for VerifiedTokens {
    /// None is known: no token has a digest of zeros.
    fn default() -> Self {
        Self(Box::new([Digest::default(); VERIFIED_MAX]))
    }
}

/// All checks; `is_signed`: the signature of this very token was verified before.
fn check(
    token: &[u8],
    keyring: &Keyring,
    unix_time: u64,
    client_public: &[u8; 32],
    is_signed: bool,
) -> Result<Claims, TokenError> {
    if token.len() > TOKEN_MAX {
        return Err(TokenError::Invalid("over 700 bytes"));
    }
    let (kid, sign1) = cose::decode(token)?;
    if keyring.with_id(kid).next().is_none() {
        return Err(TokenError::UnknownIssuer(kid));
    }
    if !is_signed {
        sign1.verify_signature(EXTERNAL_AAD, |signature, message| {
            let is_signed = keyring.with_id(kid).any(|key| sign::verify(key, message, signature));
            is_signed.then_some(()).ok_or(TokenError::Invalid("wrong signature"))
        })?;
    }
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

#[cfg(not(miri))] // Miri does not run C: aws-lc
#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::sign::SigningKey;
    use crate::ids::SetId;
    use crate::token::mint;

    #[test]
    fn of_a_known_token_only_the_signature_is_not_verified_again() {
        let center = SigningKey::from_seed(&[1; 32]);
        let (client, now) = ([2; 32], 1_000_000);
        let claims = Claims {
            expires: now + 60,
            not_before: now - 60,
            token_id: [3; 8],
            client_public: client,
            sets: vec![SetId([4; 16])],
            rate_cap_kbits: None,
            sessions: None,
            grace: None,
            plays: vec![],
        };
        let token = mint(&claims, &center).unwrap();
        let keyring = Keyring::new([center.public()]);
        // Another key under the same id: only a signature that is not looked at passes by it.
        let other = SigningKey::from_seed(&[9; 32]).public();
        let changed = Keyring { keys: vec![(key_id(&center.public()), other)] };

        let mut known = VerifiedTokens::default();
        let wrong = Err(TokenError::Invalid("wrong signature"));
        assert_eq!(known.verify(&token, &changed, now, &client), wrong);
        assert_eq!(known.verify(&token, &changed, now, &client), wrong, "not known by failing");
        assert_eq!(known.verify(&token, &keyring, now, &client), Ok(claims.clone()));
        assert_eq!(known.verify(&token, &changed, now, &client), Ok(claims));

        let late = known.verify(&token, &keyring, now + 91, &client);
        assert!(matches!(late, Err(TokenError::Expired { .. })));
        assert_eq!(known.verify(&token, &keyring, now, &[5; 32]), Err(TokenError::WrongKey));
        let nobody = known.verify(&token, &Keyring::default(), now, &client);
        assert!(matches!(nobody, Err(TokenError::UnknownIssuer(_))));
        let mut altered = token.clone();
        *altered.last_mut().unwrap() ^= 1;
        assert!(known.verify(&altered, &keyring, now, &client).is_err());
        known.clear();
        assert_eq!(known.verify(&token, &changed, now, &client), wrong);
    }
}
