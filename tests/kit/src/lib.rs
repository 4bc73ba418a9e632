//! Simulation, namespaces, link emulator, process tests, tidy.
#![forbid(unsafe_code)]

pub mod fuzz;
pub mod needs;
pub mod net;
pub mod process;
pub mod session;
pub mod sim;
pub mod source;
