//! The center's side: signs tokens.

use super::claims::Claims;
use super::{EXTERNAL_AAD, TokenError};
use crate::cose;
use crate::crypto::sign::{SigningKey, key_id};
use crate::limits::TOKEN_MAX;

/// Makes the token of `claims`, signed with the center's key.
///
/// # Errors
///
/// [`TokenError::Invalid`] when there are not 1 to 16 sets, not as many plays or none, a grace of over an hour, or the last
/// second is before the first.
pub fn mint(claims: &Claims, key: &SigningKey) -> Result<Vec<u8>, TokenError> {
    claims.check()?;
    if claims.expires < claims.not_before {
        return Err(TokenError::Invalid("it expires before it is valid"));
    }
    let kid = key_id(&key.public());
    let sign = |message: &[u8]| key.sign(message).to_vec();
    let token = cose::encode(kid, claims.encode()?, EXTERNAL_AAD, sign)?;
    // 16 sets and their plays take 424 bytes and all the rest less than 220.
    assert!(token.len() <= TOKEN_MAX, "a token of {} bytes", token.len());
    Ok(token)
}
