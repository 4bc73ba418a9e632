//! The sans-IO core of Segcast: bytes and time in, bytes and events out.
//!
//! No clock, socket, file or source of randomness is read here: time is [`time::Instant`], randomness a
//! seed, stored segments a trait, all given by the caller. `docs/protocol` is the specification; section
//! numbers in the docs of this crate are its sections unless another document is named.
#![forbid(unsafe_code)]

/// Token buckets.
mod bucket;
pub mod coalesce;
/// The sender's rate model, pacing, and the defence against lying reports.
pub mod congestion;
/// What a center signs, in its one encoding.
mod cose;
/// AEAD, key schedule, nonces, replay window, signatures.
pub mod crypto;
pub mod faults;
/// HELLO, COOKIE, WELCOME: Noise IK with mac1 and cookie.
pub mod handshake;
/// Names of sets, objects and sessions.
pub mod ids;
/// Every bound of the protocol, with its unit and the arithmetic behind it.
pub mod limits;
pub mod owner;
/// Spacing of trains.
mod pacer;
/// Bytes per second.
pub mod rate;
/// Segment geometry, encryption, leaves and parity, manifest.
pub mod segment;
/// Server and client session state machines.
pub mod session;
/// Play tickets and validation certificates.
pub mod ticket;
/// The caller's clock.
pub mod time;
/// Access tokens.
pub mod token;
/// Who may sign what.
pub mod trust;
/// Encoding and decoding of packets.
pub mod wire;
