//! The door: from a HELLO to a place in the table, and who may have one.
//!
//! [`Endpoint::handle_datagram`](super::Endpoint::handle_datagram) brings each HELLO here and `handle_handoff` those
//! that another shard has read. What leaves is an answer in the queue (COOKIE, DEFER, WELCOME) and a pending handshake
//! in the table, which becomes a session with its first sealed packet.

pub(super) mod answers;
pub(super) mod budget;
pub(super) mod clients;
pub(super) mod flood;
mod hello;
pub(super) mod pending;
pub(super) mod table;
