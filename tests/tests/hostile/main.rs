//! Hostile input to the protocol's state machines: each test asserts what was counted and that everything else goes on.

mod client;
mod drain;
mod handshake;
mod holds;
mod joint;
mod newcomers;
mod pending;
mod reports;
mod sessions;
mod shares;
mod stage;
mod waiting;
