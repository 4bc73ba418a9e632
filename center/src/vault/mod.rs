//! The vault: the master key, and with it all that lies wrapped in the database.

mod master;
mod wrap;

use std::sync::Arc;

use zeroize::Zeroizing;

pub use self::master::{Master, MasterError, MasterSource};
use self::wrap::Wrapper;

/// Why a secret does not open.
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
}

/// The vault. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Vault(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    wrapper: Wrapper,
}

impl Vault {
    /// The vault of a master key.
    #[must_use]
    pub fn new(master: &Master) -> Self {
        Self(Arc::new(Inner { wrapper: Wrapper::new(master) }))
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
}
