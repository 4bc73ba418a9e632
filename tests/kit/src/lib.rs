//! The rigs that all tests share. A test of
//!
//! - the protocol's sessions, in virtual time, takes [`endpoint`]: an edge's endpoint, clients and their tokens, no network;
//! - many sessions under loss, restarts and attacks takes [`sim`]: both ends and a network, from one seed;
//! - viewers of a title that is sent to groups, in virtual time, takes [`groups`];
//! - bytes that a stranger chose takes [`fuzz`]: a target for each kind of input;
//! - a running edge takes [`server`], which runs one inside the test, and [`session`]: one client over a socket, or
//!   thousands;
//! - the shipped binary takes [`process`]: commands, edges, titles with keys and grants;
//! - a link, and what else is on it, takes [`net`]: namespaces, a link emulator, other flows;
//! - what documents say takes [`documents`]: their links, and the commands that they show.
//!
//! [`needs`] says what a test needs of the machine and skips it by name where that is missing; a test that takes
//! long says so while it runs with [`progress`], and reads what an edge counts with [`metrics`].
#![forbid(unsafe_code)]

pub mod documents;
pub mod endpoint;
pub mod fuzz;
pub mod groups;
pub mod metrics;
pub mod needs;
pub mod net;
pub mod process;
pub mod progress;
pub mod random;
pub mod server;
pub mod session;
pub mod sim;
pub mod source;
pub mod title;
