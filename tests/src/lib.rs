//! Simulation, namespaces, link emulator, process tests, tidy.
#![forbid(unsafe_code)]

pub mod emulator;
pub mod flows;
pub mod needs;
/// Both ends of the protocol in virtual time.
pub mod sim;
