//! Sending: whose turn it is, what one train is made of, and how much the shard takes on.
//!
//! [`Endpoint::poll_transmit`](super::Endpoint::poll_transmit) is the only way in for the caller; the receiving side
//! calls `plan` after whatever happened to a session. What leaves is one train or message in the caller's buffer.

pub(super) mod egress;
mod lookahead;
pub(super) mod overload;
pub(super) mod schedule;
mod train;
mod transmit;
mod wheel;
