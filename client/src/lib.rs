//! Segcast client: find, fetch, verify, decrypt.
#![forbid(unsafe_code)]

/// The output file and its journal.
pub mod file;
