//! En masse: which segments of a set are sent once to a group instead of to each who asks, and when.
//!
//! A request that may be served by a group is held by its session's shard. The shard that owns the set is told by a
//! [`Note`]; it knows who listens, lets the segment wait until its latest start, and sends it to all of them or says
//! that the one who asked stays alone. What it decides goes back to the shards as an [`Event`], and leaves as [`Train`]s.
//!
//! Nothing here knows keys, addresses, sockets or payloads: one budget of channels and one of bytes are given.

mod config;
mod event;
mod note;
mod train;

pub use config::CoalescerConfig;
pub use event::Event;
pub use note::{Member, Note, SetFacts};
pub use train::{Channel, Part, Train};
