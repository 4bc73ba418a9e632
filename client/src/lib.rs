//! Segcast client: find, fetch, verify, decrypt.
//!
//! A client needs an edge's address and public key, and a grant: [`access`]. [`fetch`] brings a whole
//! title to a file: its manifest is checked with the center's key, every segment with the manifest, and
//! nothing else is ever written. Sessions run on one thread over [`connection`], digests, decryption
//! and writing on another.
#![forbid(unsafe_code)]

/// Edges, grant and keys of a client.
pub mod access;
/// Sessions with edges over a driver.
pub mod connection;
/// Fetching a whole title.
pub mod fetch;
/// The output file and its journal.
pub mod file;
#[cfg(test)]
mod testing;
