//! How many HELLOs a shard looks at in a second, whatever becomes of them.
//!
//! To receive one, read it, answer it with a COOKIE and send that costs some 16 µs (`segcast-bench hostile`): a flood
//! must not take the time of open sessions. Those beyond are dropped unread, before any hash.

use crate::time::{Duration, Instant};

/// At 16 µs a quarter of a shard's time.
const PER_SECOND_MIN: u64 = 16_000;
/// HELLOs for each handshake that a shard may work on: two of its client, and six of others.
const FOR_A_HANDSHAKE: u64 = 8;
/// Looked at in a burst, when there were few before: this part of a second's worth.
const BURST_PART: u64 = 10;

/// A bucket of HELLOs.
#[derive(Clone, Copy, Debug)]
pub(super) struct HelloPace {
    /// Nanoseconds in which one is earned.
    each: u64,
    burst: u64,
    saved: u64,
    at: Instant,
}

impl HelloPace {
    /// For a shard that may work on so many handshakes a second.
    pub(super) fn new(handshakes_per_second: u32, now: Instant) -> Self {
        let wanted = u64::from(handshakes_per_second) * FOR_A_HANDSHAKE;
        let per_second = wanted.clamp(PER_SECOND_MIN, 1_000_000_000);
        let burst = per_second / BURST_PART;
        Self { each: 1_000_000_000 / per_second, burst, saved: burst, at: now }
    }

    /// Whether one more may be looked at.
    pub(super) fn take(&mut self, now: Instant) -> bool {
        let passed = now.saturating_since(self.at).as_nanos() as u64;
        self.saved = (self.saved + passed / self.each).min(self.burst);
        self.at += Duration::from_nanos(passed - passed % self.each);
        let may = self.saved > 0;
        self.saved -= u64::from(may);
        may
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_looked_at_and_then_the_rate() {
        let mut pace = HelloPace::new(0, Instant::ZERO);
        let mut taken = |at: Instant| (0..5000).filter(|_| pace.take(at)).count();
        assert_eq!(taken(Instant::ZERO), 1600);
        assert_eq!(taken(Instant::ZERO + Duration::from_millis(10)), 160);
        assert_eq!(taken(Instant::ZERO + Duration::from_secs(60)), 1600);
    }

    #[test]
    fn a_steady_flood_gets_its_rate() {
        for (handshakes, rate) in [(1, 16_000), (2000, 16_000), (5000, 40_000)] {
            let mut pace = HelloPace::new(handshakes, Instant::ZERO);
            // 100 000 a second for ten seconds.
            let at = |n: u64| Instant::ZERO + Duration::from_micros(10 * n);
            let taken = (0..1_000_000).filter(|&n| pace.take(at(n))).count();
            let expected = rate / 10 + 10 * rate;
            assert!(taken.abs_diff(expected) <= 1, "{taken}, not {expected}");
        }
    }
}
