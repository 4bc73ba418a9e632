//! How full a queue was over time: mean and percentiles, weighted by how long each level lasted.

use segcast_proto::time::Instant;

/// Levels that are told apart, between empty and full.
const LEVELS: u64 = 1000;

/// A queue's level over time.
#[derive(Debug)]
pub(super) struct Occupancy {
    bytes: u64,
    since: Instant,
    level_size: u64,
    /// Nanoseconds spent at each level: 0 is empty, `n` is up to `n * level_size` bytes.
    nanos: Vec<u64>,
    byte_nanos: u128,
}

/// Summary of a stretch of time, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Filled {
    pub(super) mean: f64,
    pub(super) p50: u64,
    pub(super) p95: u64,
}

impl Occupancy {
    pub(super) fn new(capacity: u64, now: Instant) -> Self {
        let level_size = capacity.div_ceil(LEVELS).max(1);
        // One level for empty, one for what an empty queue takes beyond its capacity.
        let nanos = vec![0; LEVELS as usize + 2];
        Occupancy { bytes: 0, since: now, level_size, nanos, byte_nanos: 0 }
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// From `at` on the queue holds `bytes`.
    pub(super) fn set(&mut self, at: Instant, bytes: u64) {
        let lasted = at.saturating_since(self.since).as_nanos() as u64;
        let level = (self.bytes.div_ceil(self.level_size) as usize).min(self.nanos.len() - 1);
        self.nanos[level] += lasted;
        self.byte_nanos += u128::from(self.bytes) * u128::from(lasted);
        self.since = self.since.max(at);
        self.bytes = bytes;
    }

    /// The summary up to `now`; a new stretch begins with the queue as it is.
    pub(super) fn restart(&mut self, now: Instant) -> Filled {
        self.set(now, self.bytes);
        let total: u64 = self.nanos.iter().sum();
        let filled = if total == 0 {
            Filled::default()
        } else {
            let mean = self.byte_nanos as f64 / total as f64;
            Filled { mean, p50: self.percentile(50, total), p95: self.percentile(95, total) }
        };
        self.nanos.fill(0);
        self.byte_nanos = 0;
        filled
    }

    /// The lowest level, in bytes, at or below which the queue was for `percent` of the time.
    fn percentile(&self, percent: u64, total: u64) -> u64 {
        let mut seen = 0_u128;
        let wanted = u128::from(total) * u128::from(percent);
        let reached = self.nanos.iter().position(|&nanos| {
            seen += u128::from(nanos) * 100;
            seen >= wanted
        });
        reached.unwrap_or_default() as u64 * self.level_size
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_weigh_as_long_as_they_last() {
        let at = Instant::from_nanos;
        let mut occupancy = Occupancy::new(10_000, at(0));
        occupancy.set(at(90), 5000);
        occupancy.set(at(94), 10_000);
        let filled = occupancy.restart(at(100));
        assert_eq!(
            filled,
            Filled { mean: (4.0 * 5000.0 + 6.0 * 10_000.0) / 100.0, p50: 0, p95: 10_000 }
        );
        // The new stretch begins full.
        assert_eq!(occupancy.restart(at(101)).p50, 10_000);
        assert_eq!(occupancy.restart(at(101)), Filled::default());
    }
}
