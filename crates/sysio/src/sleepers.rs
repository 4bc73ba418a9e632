//! Who sleeps by a bell: so that ringing costs nothing while nobody does, and no ring is lost.
//!
//! `tests/tests/models` checks this very file with loom, whose atomics it then gets from `super::sync`.

use super::sync::{AtomicU32, Ordering, fence};

/// How many are asleep, or about to be.
#[derive(Debug)]
pub(crate) struct Sleepers(AtomicU32);

impl Sleepers {
    pub(crate) fn new() -> Self {
        Self(AtomicU32::new(0))
    }

    /// Whether one must be woken for work that was put in place before.
    pub(crate) fn any(&self) -> bool {
        // With the fence in `sleep`: either the sleeper finds the work, or it is seen here.
        fence(Ordering::SeqCst);
        self.0.load(Ordering::Relaxed) > 0
    }

    /// Calls `wait` unless `has_work` finds something to do.
    pub(crate) fn sleep(&self, has_work: impl FnOnce() -> bool, wait: impl FnOnce()) {
        self.0.fetch_add(1, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        if !has_work() {
            wait();
        }
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
