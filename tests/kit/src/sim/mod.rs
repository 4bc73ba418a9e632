//! The simulator: production code of `proto`, both ends, in virtual time, from one seed.
//!
//! A [`Scenario`] is drawn from a seed; [`World`] runs it: endpoints of the server's shards, client
//! sessions, and a [`Link`] each way that delays, drops, reorders and duplicates. The same seed gives the
//! same run, to the packet.

mod attack;
/// More viewers than an edge can serve.
pub mod crowd;
mod flight;
/// One direction of a path.
pub mod link;
/// Many runs at once.
pub mod many;
/// How runs end.
pub mod outcome;
mod owner;
/// What is drawn from a seed.
pub mod scenario;
/// Both ends and the time between them.
pub mod world;

pub use link::Link;
pub use many::run_many;
pub use outcome::{Failure, Outcome};
pub use scenario::Scenario;
pub use world::World;
