//! Whether something was posted to a shard since it looked: the flag that saves wake-ups.
//!
//! `tests/tests/models` checks this very file with loom, whose atomics it then gets from `super::sync`.

use super::sync::{AtomicBool, Ordering};

/// Set by a post, cleared by the shard before it looks.
pub(crate) struct Posted(AtomicBool);

impl Posted {
    pub(crate) fn new() -> Self {
        Self(AtomicBool::new(false))
    }

    /// Called after something was put in place. True: the shard has looked since the last post, and must be woken.
    pub(crate) fn set(&self) -> bool {
        !self.0.swap(true, Ordering::AcqRel)
    }

    /// Whether something was posted since the last call; the shard then looks everywhere.
    pub(crate) fn take(&self) -> bool {
        self.0.load(Ordering::Relaxed) && self.0.swap(false, Ordering::AcqRel)
    }

    /// What could not be taken now is to be looked at again. A swap: a store would hide from [`Self::take`] what others
    /// have posted, and not woken the shard for, since it last looked.
    pub(crate) fn again(&self) {
        self.0.swap(true, Ordering::AcqRel);
    }

    /// Whether the shard must not sleep.
    pub(crate) fn is_set(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}
