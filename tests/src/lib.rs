//! Simulation, namespaces, link emulator, process tests, tidy.
#![forbid(unsafe_code)]

pub mod emulator;
pub mod flows;
pub mod loopback;
pub mod needs;
pub mod product;
pub mod sim;
pub mod swarm;
