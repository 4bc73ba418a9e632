//! Sending: whose turn it is, what one train is made of, and how much the shard takes on.
//!
//! Called by: [`Endpoint::poll_transmit`](super::Endpoint::poll_transmit) (`transmit.rs`), for which `schedule.rs` chooses
//! a session and `train.rs` has it seal; and after whatever happened to a session by `plan`, which puts it into the
//! schedule. `egress.rs`, by the edge's `cap.rs`, and `overload.rs` know the limits: the one paces what leaves, the other
//! says what may come in.
//!
//! What leaves: one train or message in the caller's buffer, and the refusal of requests that would wait too long.

pub(super) mod cap;
pub(super) mod egress;
mod lookahead;
pub(super) mod overload;
pub(super) mod schedule;
mod train;
mod transmit;
mod wheel;
