//! X25519 keys of clients and edges, and what is derived from an edge's public key.

use core::fmt;
use std::sync::Arc;

use zeroize::{Zeroize, ZeroizeOnDrop};

use super::x25519::KeyPair;
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
        *KeyPair::new(&self.0).public()
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
    /// Made once: each handshake would pay for the public key again.
    pub(super) pair: Arc<KeyPair>,
    id: [u8; 16],
}

impl EdgeIdentity {
    /// Computes the public key, the edge's id and the key of mac1.
    #[must_use]
    pub fn new(secret: StaticSecret) -> Self {
        let pair = Arc::new(KeyPair::new(secret.expose()));
        let public = pair.public();
        Self { mac1_key: HmacKey::new(&mac1_key(public)), id: edge_id(public), pair, secret }
    }

    /// The public key, which clients must know.
    #[must_use]
    pub fn public(&self) -> &[u8; 32] {
        self.pair.public()
    }

    /// The id in the prologue.
    #[must_use]
    pub const fn id(&self) -> &[u8; 16] {
        &self.id
    }
}
