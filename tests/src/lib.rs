//! Simulation, namespaces, link emulator, process tests, tidy.
#![forbid(unsafe_code)]
