//! Simulation, namespaces, link emulator, process tests, tidy.
#![forbid(unsafe_code)]

pub mod churn;
pub mod emulator;
pub mod flows;
pub mod fuzz;
pub mod memory_group;
pub mod needs;
pub mod process;
pub mod product;
pub mod sim;
pub mod swarm;
