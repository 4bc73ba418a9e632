//! Segcast control plane: ingest, keys, signing. Never on the data path.
#![forbid(unsafe_code)]

/// The directory of keys.
pub mod keys;
