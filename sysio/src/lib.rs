//! The only crate with unsafe: rings, sockets, mapped files, CPU pinning, probes. It knows no protocol.
#![allow(unsafe_code, reason = "this crate is where the workspace's unsafe code lives")]
#![deny(clippy::undocumented_unsafe_blocks)]

pub mod clock;
pub mod cpu;
pub mod driver;
pub mod error;
pub mod file;
pub mod mapped;
pub mod probe;
pub mod rlimit;
pub mod udp;

pub use error::SysError;
#[cfg(feature = "lab")]
pub mod lab;
