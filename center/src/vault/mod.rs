//! The vault: the master key, and with it all that lies wrapped in the database; the signing keys.

mod keys;
mod master;
mod wrap;

use core::fmt;
use std::sync::Arc;

use segcast_proto::crypto::sign::SigningKey;
use segcast_proto::trust::{KeysetError, Trust, Use};
use zeroize::Zeroizing;

pub use self::keys::{Keys, Seed, USES};
pub use self::master::{Master, MasterError, MasterSource};
use self::wrap::Wrapper;

/// Why a secret does not open, or is not there.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// Wrapped by another master key.
    #[error("a secret was wrapped by the master key {wanted}, and the one given is {given}")]
    OtherMaster {
        /// The id of the key that is needed.
        wanted: String,
        /// The id of the key there is.
        given: String,
    },
    /// Changed, cut, or moved from another row.
    #[error("a secret of {table} does not open: it was changed, or belongs to another row")]
    Damaged {
        /// The table.
        table: String,
    },
    /// The keyset.
    #[error("the keyset: {0}")]
    Keyset(KeysetError),
    /// The keyset names no key for something that is signed here.
    #[error("there is no key that signs for {0:?}")]
    NoKey(Use),
    /// The system has no randomness.
    #[error("the system gives no random bytes: {0}")]
    Random(getrandom::Error),
}

/// The vault. Cheap to clone.
#[derive(Clone)]
pub struct Vault(Arc<Inner>);

struct Inner {
    wrapper: Wrapper,
    signers: [Arc<SigningKey>; USES.len()],
    keyset: Arc<[u8]>,
    number: u64,
    expires: u64,
    center: [u8; 16],
    root: [u8; 32],
    trust: Arc<Trust>,
}

impl Vault {
    /// The vault of a master key and the keys that it opens.
    ///
    /// # Panics
    /// When a use has no key: [`Keys`] are complete.
    #[must_use]
    pub fn new(master: &Master, keys: &Keys) -> Self {
        let signer = |use_| {
            let of = keys.seeds.iter().rfind(|seed| seed.use_ == use_);
            Arc::new(SigningKey::from_seed(&of.expect("keys are complete").seed))
        };
        Self(Arc::new(Inner {
            wrapper: master.wrapper(),
            signers: USES.map(signer),
            keyset: Arc::clone(&keys.bytes),
            number: keys.keyset.number,
            expires: keys.keyset.expires,
            center: keys.keyset.center.0,
            root: keys.root,
            trust: Arc::new(Trust::from_keyset(keys.keyset.clone())),
        }))
    }

    /// Wraps `plain` as the secret of the row `key` of `table`: 32 bytes longer.
    ///
    /// # Panics
    /// When the system gives no random bytes, which getrandom(2) excludes once it has started.
    #[must_use]
    pub fn wrap(&self, table: &str, key: &[u8], plain: &[u8]) -> Vec<u8> {
        self.0.wrapper.wrap(table, key, plain)
    }

    /// The secret that was wrapped as that of the row `key` of `table`.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn unwrap(
        &self,
        table: &str,
        key: &[u8],
        wrapped: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        self.0.wrapper.unwrap(table, key, wrapped)
    }

    /// The key that signs for a use.
    ///
    /// # Panics
    /// For a use that is not one of [`USES`].
    #[must_use]
    pub fn signer(&self, use_: Use) -> Arc<SigningKey> {
        let index = USES.iter().position(|of| *of == use_);
        Arc::clone(&self.0.signers[index.expect("a use that signs here")])
    }

    /// Whose signatures count.
    #[must_use]
    pub fn trust(&self) -> Arc<Trust> {
        Arc::clone(&self.0.trust)
    }

    /// The keyset, as the root signed it.
    #[must_use]
    pub fn keyset(&self) -> Arc<[u8]> {
        Arc::clone(&self.0.keyset)
    }

    /// The keyset's number, and when it ends (Unix seconds).
    #[must_use]
    pub fn keyset_number(&self) -> (u64, u64) {
        (self.0.number, self.0.expires)
    }

    /// The center's id and its root's public key.
    #[must_use]
    pub fn identity(&self) -> ([u8; 16], [u8; 32]) {
        (self.0.center, self.0.root)
    }
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vault").finish_non_exhaustive()
    }
}
