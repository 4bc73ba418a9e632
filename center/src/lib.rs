//! Segcast control plane: ingest, keys, signing. Never on the data path.
#![forbid(unsafe_code)]

/// Access tokens and the grants that carry them.
pub mod grant;
/// The directory of keys.
pub mod keys;
