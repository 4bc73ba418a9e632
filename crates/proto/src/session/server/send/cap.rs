//! The cap of a whole edge: one moment that all shards push ahead, without a lock.
//!
//! A shard that has sent its slice takes the next one: the time that its bytes take at the cap is added to the moment up to
//! which the cap is promised, and the slice may leave from where that moment stood. So busy shards come up in turn, equal
//! slices each, and one that is alone has all. It is the law of a [`Pacer`](crate::pacer::Pacer), for many.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::limits::{DATAGRAM_BASE, TRAIN_MAX};
use crate::rate::Rate;
use crate::time::{Duration, Instant};

/// A train may leave so much later than the cap allows and the cap is still used in full: what a thread that wakes late
/// did not send, the next trains make good. At 4 Gbit/s a train is 0.13 ms, and 0.03 ms of lateness with each of them
/// were a fifth of the cap. The burst after a pause is bounded by the same time.
const CATCH_UP: Duration = Duration::from_millis(1);
/// A slice is what the cap carries in this time, one train at most, one datagram at least.
const SLICE: Duration = Duration::from_millis(1);

/// What an edge may send, for all of its shards together.
#[derive(Debug)]
pub struct EgressCap {
    rate: Rate,
    slice: u64,
    /// Up to when the cap is promised, nanoseconds.
    promised: AtomicU64,
    /// What was promised so far.
    bytes: AtomicU64,
}

impl EgressCap {
    /// A cap of `rate` on UDP payload; the least is a byte a second.
    #[must_use]
    pub fn new(rate: Rate) -> Self {
        let rate = rate.max(Rate::LEAST);
        let slice = rate.bytes_in(SLICE).clamp(DATAGRAM_BASE as u64, TRAIN_MAX as u64);
        Self { rate, slice, promised: AtomicU64::new(0), bytes: AtomicU64::new(0) }
    }

    /// The cap.
    #[must_use]
    pub fn rate(&self) -> Rate {
        self.rate
    }

    /// Bytes that a shard takes at once.
    pub(super) fn slice(&self) -> u64 {
        self.slice
    }

    /// Bytes that were taken so far, modulo 2^64.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Takes `bytes` at `now`; gives when the first of them may leave.
    pub(super) fn take(&self, now: Instant, bytes: u64) -> Instant {
        // Nothing else is published with either number: relaxed is enough.
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        let earliest = (now - CATCH_UP).as_nanos();
        let takes = self.rate.time_for(bytes).as_nanos() as u64;
        let mut promised = self.promised.load(Ordering::Relaxed);
        loop {
            let begin = promised.max(earliest);
            let (end, relaxed) = (begin.saturating_add(takes), Ordering::Relaxed);
            match self.promised.compare_exchange_weak(promised, end, relaxed, relaxed) {
                Ok(_) => return Instant::from_nanos(begin),
                Err(moved) => promised = moved,
            }
        }
    }
}
