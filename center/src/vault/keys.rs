//! The center's signing keys, one for each use, and the keyset by which its root vouches for them.

use std::sync::Arc;

use segcast_proto::crypto::sign::SigningKey;
use segcast_proto::trust::{CenterId, Keyset, KeysetError, KeysetKey, Use};
use zeroize::Zeroizing;

use super::VaultError;

/// What is signed here.
pub const USES: [Use; 4] = [Use::Token, Use::Manifest, Use::Ticket, Use::List];

const YEAR: u64 = 366 * 24 * 3600;

/// How long new keys sign, and how much longer what they signed counts.
const SIGNS: u64 = 5 * YEAR;
const COUNTS: u64 = 5 * YEAR;

/// How long a keyset is without alarm.
const KEYSET_LIFETIME: u64 = 2 * YEAR;

/// A private key: its use, and its seed.
#[derive(Clone)]
pub struct Seed {
    /// What it signs.
    pub use_: Use,
    /// Ed25519 (RFC 8032, 5.1.5).
    pub seed: Zeroizing<[u8; 32]>,
}

/// Private keys, the keyset that names them, and the root that signed it.
#[derive(Clone)]
pub struct Keys {
    pub(super) seeds: Vec<Seed>,
    pub(super) bytes: Arc<[u8]>,
    pub(super) keyset: Keyset,
    pub(super) root: [u8; 32],
}

impl Keys {
    /// New keys, and the first keyset of a center whose root this is. `now`: Unix seconds.
    ///
    /// # Errors
    /// [`VaultError::Random`].
    pub fn fresh(root: &SigningKey, now: u64) -> Result<Self, VaultError> {
        let fresh = |use_| {
            let mut seed = Zeroizing::new([0; 32]);
            getrandom::fill(seed.as_mut_slice()).map_err(VaultError::Random)?;
            Ok(Seed { use_, seed })
        };
        let seeds = USES.into_iter().map(fresh).collect::<Result<Vec<_>, VaultError>>()?;
        let key = |seed: &Seed| KeysetKey {
            use_: seed.use_,
            public: SigningKey::from_seed(&seed.seed).public(),
            signs_from: now,
            signs_until: now + SIGNS,
            verify_until: now + SIGNS + COUNTS,
        };
        let keyset = Keyset {
            number: 1,
            issued: now,
            expires: now + KEYSET_LIFETIME,
            keys: seeds.iter().map(key).collect(),
            center: CenterId::of(&root.public()),
        };
        Ok(Self { seeds, bytes: keyset.sign(root)?.into(), keyset, root: root.public() })
    }

    /// What the database holds.
    ///
    /// # Errors
    /// [`VaultError::Keyset`] when `root` has not signed the keyset, [`VaultError::NoKey`] when a use has no key.
    pub fn stored(seeds: Vec<Seed>, bytes: Vec<u8>, root: [u8; 32]) -> Result<Self, VaultError> {
        let keyset = Keyset::verify(&bytes, &root)?;
        let is_named = |seed: &Seed| {
            let public = SigningKey::from_seed(&seed.seed).public();
            keyset.keys.iter().any(|key| key.use_ == seed.use_ && key.public == public)
        };
        let seeds: Vec<_> = seeds.into_iter().filter(is_named).collect();
        match USES.into_iter().find(|use_| !seeds.iter().any(|seed| seed.use_ == *use_)) {
            Some(use_) => Err(VaultError::NoKey(use_)),
            None => Ok(Self { seeds, bytes: bytes.into(), keyset, root }),
        }
    }

    /// The next keyset, of the same keys, when more than half of its time is over. `now`: Unix seconds.
    ///
    /// # Errors
    /// [`VaultError::Keyset`].
    pub fn renewed(&self, root: &SigningKey, now: u64) -> Result<Option<Self>, VaultError> {
        if now + KEYSET_LIFETIME / 2 < self.keyset.expires || root.public() != self.root {
            return Ok(None);
        }
        let keyset = Keyset {
            number: self.keyset.number + 1,
            issued: now,
            expires: now + KEYSET_LIFETIME,
            ..self.keyset.clone()
        };
        Ok(Some(Self { bytes: keyset.sign(root)?.into(), keyset, ..self.clone() }))
    }

    /// The private keys.
    #[must_use]
    pub fn seeds(&self) -> &[Seed] {
        &self.seeds
    }

    /// The root's public key.
    #[must_use]
    pub fn root(&self) -> [u8; 32] {
        self.root
    }

    /// The keyset as the root signed it.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The keyset.
    #[must_use]
    pub fn keyset(&self) -> &Keyset {
        &self.keyset
    }
}

impl From<KeysetError> for VaultError {
    fn from(error: KeysetError) -> Self {
        Self::Keyset(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_800_000_000;

    fn root() -> SigningKey {
        SigningKey::from_seed(&[1; 32])
    }

    #[test]
    fn fresh_keys_are_vouched_for_and_read_back() {
        let keys = Keys::fresh(&root(), NOW).unwrap();
        let stored = Keys::stored(keys.seeds.clone(), keys.bytes.to_vec(), keys.root).unwrap();
        assert_eq!(stored.keyset, keys.keyset);
        assert_eq!(stored.seeds.len(), USES.len());
        let other = SigningKey::from_seed(&[2; 32]).public();
        assert!(Keys::stored(keys.seeds.clone(), keys.bytes.to_vec(), other).is_err());
        let lacks = Keys::stored(keys.seeds[1..].to_vec(), keys.bytes.to_vec(), keys.root);
        assert!(matches!(lacks, Err(VaultError::NoKey(Use::Token))));
        let foreign = Keys::fresh(&root(), NOW).unwrap();
        assert!(Keys::stored(foreign.seeds, keys.bytes.to_vec(), keys.root).is_err());
    }

    #[test]
    fn a_keyset_is_renewed_in_its_second_half_by_its_own_root() {
        let keys = Keys::fresh(&root(), NOW).unwrap();
        assert!(keys.renewed(&root(), NOW + KEYSET_LIFETIME / 2 - 1).unwrap().is_none());
        let later = NOW + KEYSET_LIFETIME / 2 + 1;
        assert!(keys.renewed(&SigningKey::from_seed(&[2; 32]), later).unwrap().is_none());
        let renewed = keys.renewed(&root(), later).unwrap().unwrap();
        let read = Keyset::verify(&renewed.bytes, &root().public()).unwrap();
        assert_eq!((read.number, read.issued, read.keys), (2, later, keys.keyset.keys));
    }
}
