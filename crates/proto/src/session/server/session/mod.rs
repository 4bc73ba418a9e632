//! One open session: what it knows, what its client's messages do to it, and what it has to say.
//!
//! Nothing here knows the other sessions of the shard. The endpoint opens packets and hands them in; what leaves is
//! work in the session's queue, and messages that the sending side asks for when it is the session's turn.

mod challenge;
pub(super) mod data;
pub(super) mod ending;
pub(super) mod idle;
pub(super) mod messages;
pub(super) mod notices;
mod pace;
mod prefetch;
mod refusals;
mod requests;
pub(super) mod sets;
mod size;
pub(super) mod state;
mod work;
