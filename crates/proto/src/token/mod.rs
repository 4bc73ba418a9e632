//! Access tokens (section 6): a CWT that the center signs and an edge checks without asking anyone.
//!
//! A token is bound to the client's static key, so a stolen one is useless without that key. Only one encoding of each
//! token is accepted: what was read is encoded again and must give the same bytes.

/// What a token says, as CBOR.
mod claims;
/// The center's side.
mod mint;
/// The edge's side.
mod verify;

pub use claims::Claims;
pub use mint::mint;
pub use verify::{Keyring, VerifiedTokens, verify};

use crate::cose::Malformed;
use crate::wire::Code;

/// Bound into every signature, so that no signature for another purpose is one over a token.
const EXTERNAL_AAD: &[u8] = b"segcast v1 access token";

/// Why a token was not made or not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Malformed, altered, of another algorithm, too long, or not in the one accepted encoding.
    #[error("invalid access token: {0}")]
    Invalid(&'static str),
    /// It was valid until `expires`.
    #[error("the access token expired at {expires}, now it is {now} (Unix time)")]
    Expired {
        /// Its last second.
        expires: u64,
        /// The time of the check.
        now: u64,
    },
    /// It will be valid from `not_before`.
    #[error("the access token is valid from {not_before}, now it is {now} (Unix time)")]
    NotYetValid {
        /// Its first second.
        not_before: u64,
        /// The time of the check.
        now: u64,
    },
    /// No center key has this id.
    #[error("no center key with id {}", hex::encode(.0))]
    UnknownIssuer([u8; 8]),
    /// It was made for another client key.
    #[error("the access token was made for another client key")]
    WrongKey,
}

impl TokenError {
    /// The code that tells the client (section 14).
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::Invalid(_) => Code::TokenInvalid,
            Self::Expired { .. } => Code::TokenExpired,
            Self::NotYetValid { .. } => Code::TokenNotYetValid,
            Self::UnknownIssuer(_) => Code::TokenUnknownIssuer,
            Self::WrongKey => Code::TokenWrongKey,
        }
    }
}

impl From<Malformed> for TokenError {
    fn from(Malformed(why): Malformed) -> Self {
        Self::Invalid(why)
    }
}

#[cfg(not(miri))] // Miri does not run C: aws-lc
#[cfg(test)]
mod tests;
