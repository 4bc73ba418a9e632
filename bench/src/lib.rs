//! Segcast measurements.
#![forbid(unsafe_code)]
