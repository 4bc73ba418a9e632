//! Looks at how many segments each thread has under way, from the observer's thread and at moments of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use segcast_client::connection::now;
use segcast_proto::time::{Duration, Instant};

use crate::record::{Flight, Watched};

/// Between two looks: 1 to 3 ms, 2 ms in the mean, never in step with a plan's fixed arrivals.
const GAP_LEAST: Duration = Duration::from_millis(1);
const GAP_SPREAD: Duration = Duration::from_millis(2);
/// The fractional part of the golden ratio, of 2^32: its multiples are spread evenly (Weyl 1916).
const GOLDEN: u32 = 0x9E37_79B9;

/// The counts of all threads.
pub(super) struct Sampler {
    threads: Vec<(Arc<AtomicU32>, Watched)>,
    next: Instant,
    spread: u32,
}

impl Sampler {
    pub(super) fn new() -> Self {
        Self { threads: Vec::new(), next: now(), spread: 0 }
    }

    /// One more thread; it keeps its count where this looks.
    pub(super) fn watch(&mut self) -> Arc<AtomicU32> {
        let count = Arc::new(AtomicU32::new(0));
        self.threads.push((Arc::clone(&count), Watched::new(now())));
        count
    }

    /// How long until the next look.
    pub(super) fn wait(&self) -> Duration {
        self.next.saturating_since(now())
    }

    /// Looks, if it is time.
    pub(super) fn look(&mut self) {
        let at = now();
        if at < self.next {
            return;
        }
        for (count, watched) in &mut self.threads {
            watched.look(at, count.load(Ordering::Relaxed));
        }
        self.spread = self.spread.wrapping_add(GOLDEN);
        let part = f64::from(self.spread) / f64::from(u32::MAX);
        self.next = at + GAP_LEAST + GAP_SPREAD.mul_f64(part);
    }

    /// What was seen of a thread since the last time. A thread's last call finds nothing under way.
    pub(super) fn take(&mut self, thread: usize) -> Flight {
        let (count, watched) = &mut self.threads[thread];
        watched.look(now(), count.load(Ordering::Relaxed));
        watched.take()
    }
}
