//! Networks that are real to the kernel: a link between two namespaces and flows over it, and a local network with a switch.

/// A link with a rate, a delay, a queue and faults.
pub mod emulator;
/// Flows of other protocols that share a link with ours, or measure it.
pub mod flows;
/// An edge and viewers at a switch.
pub mod lan;
