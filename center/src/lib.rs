//! Segcast control plane: ingest, keys, signing, and what is sold over HTTP. Never on the data path.
#![forbid(unsafe_code)]

/// What handlers and services get.
pub mod app;
/// What a center is told: every key of its configuration.
pub mod config;
/// The database: where SQL is.
pub mod db;
/// Access tokens and the grants that carry them.
pub mod grant;
/// The HTTP interface.
pub mod http;
/// Cutting, encrypting, signing and storing titles.
pub mod ingest;
/// The directory of keys.
pub mod keys;
/// What came of an act.
pub mod outcome;
/// Titles of the center: packed with its keys, and entered in its database.
pub mod pack;
/// Where passwords are hashed.
pub mod password;
mod seats;
/// Starting, serving, stopping.
pub mod serve;
/// What the center does.
pub mod service;
/// The master key, and what it wraps.
pub mod vault;
mod watch;
