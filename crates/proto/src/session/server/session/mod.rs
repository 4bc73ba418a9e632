//! One open session: what it knows, what its client's messages do to it, and what it has to say.
//!
//! Called by: `receive.rs` with each authentic packet (`messages.rs`), `send/` when it is the session's turn
//! (`notices.rs` for messages, `data.rs` for trains), `upkeep.rs` when it is silent (`idle.rs`), `groups.rs` with what the
//! owner of a set says of its groups (`hearing.rs`). Nothing here knows the other sessions; what the shard has for all of
//! them is handed in: the counters, overload control, what is held, the source.
//!
//! What leaves: sealed packets in the caller's buffer, and an [`Ending`](ending::Ending) where the session must close.

mod challenge;
pub(super) mod data;
pub(super) mod ending;
mod hearing;
pub(super) mod idle;
mod line;
mod membership;
pub(super) mod messages;
pub(super) mod notices;
mod pace;
mod prefetch;
mod refusals;
mod requests;
pub(super) mod sets;
mod size;
pub(super) mod state;
mod window;
mod work;
