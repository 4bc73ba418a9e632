//! Thread-per-core Segcast server.
#![forbid(unsafe_code)]
