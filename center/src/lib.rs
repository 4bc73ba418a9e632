//! Segcast control plane: ingest, keys, signing.
#![forbid(unsafe_code)]
