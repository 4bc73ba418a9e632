//! Segcast client: find, fetch, verify, decrypt.
#![forbid(unsafe_code)]
