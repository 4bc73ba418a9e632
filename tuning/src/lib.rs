//! Box settings for Segcast: units, checks.
#![forbid(unsafe_code)]
