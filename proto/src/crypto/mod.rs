//! Packet protection, its key schedule and replay window, and the primitives that others build on.
//!
//! Nonces cannot be passed in: the sending side counts them itself.

/// SHA-256, HMAC, HKDF.
pub mod hash;
/// Ed25519.
pub mod sign;
