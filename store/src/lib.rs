//! The segment store: fixed-size segment files, mapped reads, crash-safe commits.
#![forbid(unsafe_code)]
