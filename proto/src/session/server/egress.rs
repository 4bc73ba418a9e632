//! The shard's own cap on what it sends, and how loaded it says it is.

use crate::time::{Duration, Instant};

/// Window over which the load is measured.
const WINDOW: Duration = Duration::from_millis(500);

/// Paces DATA below a cap and measures the rate.
#[derive(Debug)]
pub(super) struct Egress {
    /// Bytes per second.
    cap: Option<u64>,
    free_at: Instant,
    window_start: Instant,
    window_bytes: u64,
    /// Bytes per second in the last full window.
    rate: u64,
}

impl Egress {
    pub(super) fn new(cap: Option<u64>) -> Self {
        let zero = Instant::ZERO;
        Self { cap, free_at: zero, window_start: zero, window_bytes: 0, rate: 0 }
    }

    /// When DATA may go next; at most `now`: at once.
    pub(super) fn free_at(&self) -> Instant {
        self.free_at
    }

    /// Notes bytes that were sent.
    pub(super) fn sent(&mut self, now: Instant, bytes: u64) {
        self.roll(now);
        self.window_bytes += bytes;
        if let Some(cap) = self.cap {
            let nanos = bytes.saturating_mul(1_000_000_000) / cap.max(1);
            self.free_at = self.free_at.max(now) + Duration::from_nanos(nanos);
        }
    }

    /// Share of the cap in use, of 10 000; 0 without a cap.
    pub(super) fn load(&mut self, now: Instant) -> u16 {
        self.roll(now);
        let Some(cap) = self.cap else { return 0 };
        (self.rate.saturating_mul(10_000) / cap.max(1)).min(10_000) as u16
    }

    /// How long DATA asked for now would wait for the cap, milliseconds.
    pub(super) fn queue_ms(&self, now: Instant) -> u32 {
        let wait = self.free_at.saturating_since(now).as_millis();
        u32::try_from(wait).unwrap_or(u32::MAX)
    }

    fn roll(&mut self, now: Instant) {
        let passed = now.saturating_since(self.window_start);
        if passed >= WINDOW {
            let nanos = passed.as_nanos().max(1);
            let rate = u128::from(self.window_bytes) * 1_000_000_000 / nanos;
            self.rate = u64::try_from(rate).unwrap_or(u64::MAX);
            (self.window_start, self.window_bytes) = (now, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cap_spaces_trains_and_shows_as_load() {
        let mut egress = Egress::new(Some(1_000_000));
        let mut now = Instant::from_nanos(1_000_000_000);
        egress.sent(now, 0);
        for _ in 0..20 {
            egress.sent(now, 50_000);
            assert_eq!(egress.queue_ms(now), 50);
            now = egress.free_at();
        }
        assert_eq!(egress.load(now), 10_000);
    }

    #[test]
    fn without_a_cap_nothing_waits() {
        let mut egress = Egress::new(None);
        egress.sent(Instant::ZERO, u64::MAX / 2);
        assert_eq!((egress.free_at(), egress.load(Instant::ZERO)), (Instant::ZERO, 0));
    }
}
