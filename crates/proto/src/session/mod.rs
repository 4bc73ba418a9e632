//! Session state machines of both ends (sections 5 to 11).
//!
//! The contract is the same for both. `handle_*` take what happened (a datagram, a timeout) and never send;
//! after any of them, drain `poll_transmit` until it gives `None`, then `poll_event`, then ask
//! `poll_timeout` when to come back. Nothing blocks, nothing reads a clock, and a datagram may hold any bytes.

pub mod client;
pub mod ranges;
pub mod server;
