//! Noise states of both sides, with randomness from a seed and Diffie–Hellman by aws-lc.

use std::sync::Arc;

use rand_chacha::ChaCha20Rng;
use rand_core::{RngCore, SeedableRng};
use snow::params::{CipherChoice, DHChoice, HashChoice};
use snow::resolvers::{CryptoResolver, DefaultResolver};
use snow::types::{Cipher, Dh, Hash, Random};
use snow::{Builder, Error, HandshakeState};

use super::identity::{EdgeIdentity, StaticSecret, edge_id};
use super::x25519::{KEY, KeyPair, Place};
use crate::crypto::{Secret, Suite};

/// The protocol's name in Noise.
const PATTERN: &str = "Noise_IK_25519_AESGCM_SHA256";
/// A tag inside Noise messages.
const TAG: usize = 16;
/// Message 1 without its payload: `e`, the encrypted `s`, and the payload's tag.
pub(super) const MESSAGE_1: usize = KEY + KEY + TAG + TAG;
/// Message 2 without its payload: `e`, and the payload's tag.
pub(super) const MESSAGE_2: usize = KEY + TAG;

/// The initiator's state before message 1.
pub(super) fn initiator(
    suite: Suite,
    edge_public: &[u8; KEY],
    secret: &StaticSecret,
    sender_index: u32,
    seed: [u8; 32],
) -> Result<HandshakeState, Error> {
    builder(seed, None)?
        .prologue(&prologue(suite, &edge_id(edge_public), sender_index))?
        .local_private_key(secret.expose())?
        .remote_public_key(edge_public)?
        .build_initiator()
}

/// The responder's state before message 1.
pub(super) fn responder(
    suite: Suite,
    identity: &EdgeIdentity,
    sender_index: u32,
    seed: [u8; 32],
) -> Result<HandshakeState, Error> {
    builder(seed, Some(Arc::clone(&identity.pair)))?
        .prologue(&prologue(suite, identity.id(), sender_index))?
        .local_private_key(identity.secret.expose())?
        .build_responder()
}

/// The secrets of client→server and server→client after message 2.
pub(super) fn split(state: &mut HandshakeState) -> (Secret, Secret) {
    let (to_server, to_client) = state.dangerously_get_raw_split();
    (Secret::new(to_server), Secret::new(to_client))
}

fn builder<'a>(seed: [u8; 32], known: Option<Arc<KeyPair>>) -> Result<Builder<'a>, Error> {
    Ok(Builder::with_resolver(PATTERN.parse()?, Box::new(Resolver { seed, known })))
}

/// What both sides must agree on without saying it: binds the fields of HELLO outside of Noise.
fn prologue(suite: Suite, edge_id: &[u8; 16], sender_index: u32) -> Vec<u8> {
    [b"segcast v1".as_slice(), &[suite as u8], edge_id, &sender_index.to_be_bytes()].concat()
}

/// snow's own hash and cipher, a generator from a seed instead of the system's, and aws-lc's X25519.
struct Resolver {
    seed: [u8; 32],
    /// A key pair that need not be computed for this handshake.
    known: Option<Arc<KeyPair>>,
}

impl CryptoResolver for Resolver {
    fn resolve_rng(&self) -> Option<Box<dyn Random>> {
        Some(Box::new(Generator(ChaCha20Rng::from_seed(self.seed))))
    }

    fn resolve_dh(&self, choice: &DHChoice) -> Option<Box<dyn Dh>> {
        let place = || Box::new(Place::new(self.known.clone())) as _;
        matches!(choice, DHChoice::Curve25519).then(place)
    }

    fn resolve_hash(&self, choice: &HashChoice) -> Option<Box<dyn Hash>> {
        DefaultResolver.resolve_hash(choice)
    }

    fn resolve_cipher(&self, choice: &CipherChoice) -> Option<Box<dyn Cipher>> {
        DefaultResolver.resolve_cipher(choice)
    }
}

/// ChaCha20 as snow wants its generators.
struct Generator(ChaCha20Rng);

impl Random for Generator {
    fn try_fill_bytes(&mut self, dest: &mut [u8]) -> Result<(), Error> {
        self.0.fill_bytes(dest);
        Ok(())
    }
}
