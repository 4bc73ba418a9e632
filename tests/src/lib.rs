//! Simulation, namespaces, link emulator, process tests, tidy.
#![forbid(unsafe_code)]

/// A link with rate, delay, queue, loss and reordering between two network namespaces.
pub mod emulator;
/// TCP and UDP flows over an emulated link, measured at the receiver.
pub mod flows;
/// What a test needs of the machine.
pub mod needs;
