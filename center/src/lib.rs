//! Segcast control plane: ingest, keys, signing. Never on the data path.
#![forbid(unsafe_code)]

/// What handlers and services get.
pub mod app;
/// The database: where SQL is.
pub mod db;
/// Access tokens and the grants that carry them.
pub mod grant;
/// Cutting, encrypting, signing and storing titles.
pub mod ingest;
/// The directory of keys.
pub mod keys;
/// What the center does.
pub mod service;
/// The master key, and what it wraps.
pub mod vault;
