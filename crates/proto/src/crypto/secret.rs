//! The secret of an epoch and what is derived from it (section 3).

use core::fmt;

use zeroize::{Zeroize, ZeroizeOnDrop};

use super::Suite;
use super::hash::hkdf_expand;
use super::packet_key::PacketKey;

/// The 32-byte secret of one direction and epoch. Overwritten when dropped, never printed.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Secret([u8; 32]);

impl Secret {
    /// Takes a secret from the handshake.
    #[must_use]
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes, for test vectors and comparisons.
    #[must_use]
    pub const fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    /// The secret of the next epoch.
    #[must_use]
    pub fn next(&self) -> Self {
        let mut next = Self([0; 32]);
        hkdf_expand(&self.0, &[b"segcast v1 next"], &mut next.0);
        next
    }

    /// Key and IV of this epoch.
    pub(super) fn packet_key(&self, suite: Suite) -> PacketKey {
        PacketKey::expand(suite, &self.0, &[b"segcast v1 key"], &[b"segcast v1 iv"])
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}
