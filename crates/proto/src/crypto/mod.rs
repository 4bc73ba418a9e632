//! Packet protection, its key schedule and replay window, and the primitives that others build on.
//!
//! Nonces cannot be passed in: a `Sealer` counts sequence numbers itself and is the only thing that
//! seals, so no (key, nonce) can occur twice.

/// Packets of groups: one sender, many receivers.
mod group;
/// SHA-256, HMAC, HKDF.
pub mod hash;
/// Opening packets.
mod opener;
/// One epoch's key, IV and cipher context.
mod packet_key;
/// The sliding window against replay.
mod replay_window;
/// Sealing packets.
mod sealer;
/// The secret of an epoch.
mod secret;
/// Ed25519.
pub mod sign;
/// Cipher suites.
mod suite;

pub use group::{GroupOpener, GroupPacket, GroupSealer};
pub use opener::{OpenError, Opened, Opener, PREVIOUS_EPOCH_TIME};
pub use replay_window::{ReplayWindow, Verdict};
pub use sealer::{SealError, Sealer};
pub use secret::Secret;
pub use suite::{Suite, UnknownSuite};

pub use crate::wire::GroupSecret;

#[cfg(not(miri))] // Miri does not run C: aws-lc
#[cfg(test)]
mod tests;
