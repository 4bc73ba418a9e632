//! What the server tells its shards, and what its threads tell it.

use std::sync::Arc;

use segcast_store::Catalogue;

use crate::config::Sets;

/// What a shard serves.
pub(crate) struct Served {
    /// What is stored.
    pub(crate) catalogue: Catalogue,
    /// What of it is served.
    pub(crate) sets: Arc<Sets>,
}

/// An order to a shard. Each is given once.
#[derive(Clone, Copy)]
pub(crate) enum Control {
    /// Refuse new sessions and requests, finish and close the others.
    Drain,
    /// Close the sessions that are left.
    Cut,
    /// Leave the loop. Only when all shards are told at once: a socket is never closed alone.
    Stop,
}

/// To the server.
#[derive(Debug)]
pub(crate) enum Report {
    /// The shard serves.
    Serving,
    /// No session is left.
    Drained,
    /// A shard's thread, or one that reads segments in, has ended; with a reason when it was not asked to.
    Ended {
        /// Which thread.
        thread: String,
        /// What failed.
        failure: Option<String>,
    },
    /// The store has changed.
    Store(Catalogue),
    /// A signal for the process (signal(7)).
    Signal(i32),
    /// The owner wants a drain.
    DrainWanted,
}
