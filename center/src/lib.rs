//! Segcast control plane: ingest, keys, signing. Never on the data path.
#![forbid(unsafe_code)]

/// Access tokens and the grants that carry them.
pub mod grant;
/// Cutting, encrypting, signing and storing titles.
pub mod ingest;
/// The directory of keys.
pub mod keys;
/// The master key, and what it wraps.
pub mod vault;
