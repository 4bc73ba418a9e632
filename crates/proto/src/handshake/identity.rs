//! X25519 keys of clients and edges, and what is derived from an edge's public key.

use core::fmt;

use aws_lc_rs::agreement::{PrivateKey, X25519};
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::crypto::hash::{HmacKey, sha256};

/// A static private key (X25519, RFC 7748). Overwritten when dropped, never printed.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct StaticSecret([u8; 32]);

impl StaticSecret {
    /// Any 32 random bytes are a private key.
    #[must_use]
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The public key.
    #[must_use]
    pub fn public(&self) -> [u8; 32] {
        let key = PrivateKey::from_private_key(&X25519, &self.0)
            .and_then(|key| key.compute_public_key().map_err(Into::into))
            .expect("every 32 bytes are an X25519 private key");
        let mut public = [0; 32];
        public.copy_from_slice(key.as_ref());
        public
    }

    /// The bytes, for a key file.
    #[must_use]
    pub const fn expose(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for StaticSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StaticSecret(..)")
    }
}

/// The id of the edge with this public key: part of the prologue.
#[must_use]
pub fn edge_id(edge_public: &[u8; 32]) -> [u8; 16] {
    let mut id = [0; 16];
    id.copy_from_slice(&sha256(&[b"segcast v1 edge id", edge_public])[..16]);
    id
}

/// The key of mac1 in HELLOs to the edge with this public key.
pub(super) fn mac1_key(edge_public: &[u8; 32]) -> [u8; 32] {
    sha256(&[b"segcast v1 mac1", edge_public])
}

/// An edge's static key and all that is computed from it once.
#[derive(Clone, Debug)]
pub struct EdgeIdentity {
    pub(super) secret: StaticSecret,
    pub(super) mac1_key: HmacKey,
    public: [u8; 32],
    id: [u8; 16],
}

impl EdgeIdentity {
    /// Computes the public key, the edge's id and the key of mac1.
    #[must_use]
    pub fn new(secret: StaticSecret) -> Self {
        let public = secret.public();
        Self { mac1_key: HmacKey::new(&mac1_key(&public)), id: edge_id(&public), public, secret }
    }

    /// The public key, which clients must know.
    #[must_use]
    pub const fn public(&self) -> &[u8; 32] {
        &self.public
    }

    /// The id in the prologue.
    #[must_use]
    pub const fn id(&self) -> &[u8; 16] {
        &self.id
    }
}
