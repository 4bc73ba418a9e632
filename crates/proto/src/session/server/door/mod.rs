//! The door: from a HELLO to a place in the table, and who may have one.
//!
//! Called by: [`Endpoint::handle_datagram`](super::Endpoint::handle_datagram) with each HELLO, and `handle_handoff` with
//! those that another shard has read. `hello.rs` goes through the checks in the order of their cost; each of the others
//! answers one of its questions: may the shard look (`flood.rs`), was this one answered lately (`table.rs`, `refused.rs`),
//! may it compute (`budget.rs`), may this client have one more (`clients.rs`), is there a slot (`table.rs`). What is for
//! all is kept from being taken by few (`shares.rs`).
//!
//! What leaves: an answer in the queue (COOKIE, DEFER, WELCOME), and a pending handshake in the table, which becomes a
//! session with its first sealed packet.

pub(super) mod answers;
pub(super) mod budget;
pub(super) mod clients;
pub(super) mod flood;
mod hello;
pub(super) mod pending;
pub(super) mod refused;
mod shares;
pub(super) mod table;
