//! Who may sign what (section 22): a center's keys, each for one use and a time, under one root.

/// The signed list of a center's keys.
mod keyset;
/// What keys are for.
mod uses;

pub use keyset::{CenterId, Keyset, KeysetError, KeysetKey};
pub use uses::Use;

use crate::crypto::sign::{PUBLIC_KEY_LEN, key_id};
use crate::limits::TOKEN_LEEWAY;

/// The keys whose signatures are accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trust(Keys);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Keys {
    /// Each for its use and its time.
    Of(Keyset),
    /// For every use and always.
    Bare(Vec<[u8; PUBLIC_KEY_LEN]>),
}

impl Trust {
    /// The keys of a keyset that was verified. Its own end does not matter here: an old list is no reason to accept
    /// nothing, only to ask for a new one.
    #[must_use]
    pub const fn from_keyset(keyset: Keyset) -> Self {
        Self(Keys::Of(keyset))
    }

    /// Keys from files, without a keyset: each is accepted for every use.
    #[must_use]
    pub fn bare(keys: impl IntoIterator<Item = [u8; PUBLIC_KEY_LEN]>) -> Self {
        Self(Keys::Bare(keys.into_iter().collect()))
    }

    /// The key with the id `kid` that may have signed for `use_` what is looked at `at`, Unix seconds.
    #[must_use]
    pub fn key(&self, use_: Use, kid: [u8; 8], at: u64) -> Option<[u8; PUBLIC_KEY_LEN]> {
        self.keys(use_, &kid, at).next()
    }

    /// The keys whose ids begin with `begin`.
    pub(crate) fn keys(
        &self,
        use_: Use,
        begin: &[u8],
        at: u64,
    ) -> impl Iterator<Item = [u8; PUBLIC_KEY_LEN]> {
        let (of, bare): (&[KeysetKey], &[_]) = match &self.0 {
            Keys::Of(keyset) => (&keyset.keys, &[]),
            Keys::Bare(keys) => (&[], keys),
        };
        // What a center signs with a new key may reach a clock that is a little slow.
        let is_valid = move |key: &&KeysetKey| {
            let begins = key.signs_from.saturating_sub(TOKEN_LEEWAY.as_secs());
            key.use_ == use_ && (begins..=key.verify_until).contains(&at)
        };
        let of = of.iter().filter(is_valid).map(|key| key.public);
        of.chain(bare.iter().copied()).filter(move |key| key_id(key).starts_with(begin))
    }
}

#[cfg(not(miri))] // Miri does not run C: aws-lc
#[cfg(test)]
mod tests;
