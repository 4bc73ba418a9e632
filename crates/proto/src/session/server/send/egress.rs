//! The shard's own cap on what it sends, and how loaded it says it is.

use crate::pacer::Pacer;
use crate::rate::Rate;
use crate::time::{Duration, Instant};

/// Window over which the load is measured.
const WINDOW: Duration = Duration::from_millis(500);
/// A train may leave so much later than the cap allows and the cap is still used in full: what a thread that wakes late
/// did not send, the next trains make good. At 4 Gbit/s a train is 0.13 ms, and 0.03 ms of lateness with each of them
/// were a fifth of the cap. The burst after a pause is bounded by the same time.
const CATCH_UP: Duration = Duration::from_millis(1);

/// Paces DATA below a cap and measures the rate.
#[derive(Debug)]
pub(in crate::session::server) struct Egress {
    cap: Option<Rate>,
    pacer: Pacer,
    window_start: Instant,
    window_bytes: u64,
    /// In the last full window.
    rate: Rate,
}

impl Egress {
    pub(in crate::session::server) fn new(cap: Option<Rate>) -> Self {
        let zero = Instant::ZERO;
        Self { cap, pacer: Pacer::new(zero), window_start: zero, window_bytes: 0, rate: Rate::ZERO }
    }

    /// When DATA may go next; at most `now`: at once.
    pub(in crate::session::server) fn free_at(&self) -> Instant {
        self.pacer.next()
    }

    /// Notes bytes that were sent.
    pub(super) fn sent(&mut self, now: Instant, bytes: u64) {
        self.roll(now);
        self.window_bytes += bytes;
        if let Some(cap) = self.cap {
            self.pacer.on_sent(now, cap.time_for(bytes), CATCH_UP);
        }
    }

    /// Share of the cap in use, of 10 000; 0 without a cap.
    pub(in crate::session::server) fn load(&mut self, now: Instant) -> u16 {
        self.roll(now);
        let Some(cap) = self.cap else { return 0 };
        let cap = cap.bytes_per_second().max(1);
        (self.rate.bytes_per_second().saturating_mul(10_000) / cap).min(10_000) as u16
    }

    /// How long DATA asked for now would wait for the cap, milliseconds.
    pub(in crate::session::server) fn queue_ms(&self, now: Instant) -> u32 {
        let wait = self.free_at().saturating_since(now).as_millis();
        u32::try_from(wait).unwrap_or(u32::MAX)
    }

    fn roll(&mut self, now: Instant) {
        let passed = now.saturating_since(self.window_start);
        if passed >= WINDOW {
            self.rate = Rate::of(self.window_bytes, passed).unwrap_or_default();
            (self.window_start, self.window_bytes) = (now, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cap_spaces_trains_and_shows_as_load() {
        let mut egress = Egress::new(Some(Rate::new(1_000_000)));
        let mut now = Instant::from_nanos(1_000_000_000);
        egress.sent(now, 0);
        for _ in 0..20 {
            egress.sent(now, 50_000);
            assert!((49..=50).contains(&egress.queue_ms(now)));
            now = egress.free_at();
        }
        assert_eq!(egress.load(now), 10_000);
    }

    /// Trains of 64 KiB below 500 MB/s, each sent `late` after it may leave: bytes in a second.
    fn sent_in_a_second(late: Duration) -> u64 {
        let mut egress = Egress::new(Some(Rate::new(500_000_000)));
        let begin = Instant::from_nanos(1_000_000_000);
        let (mut now, mut bytes) = (begin, 0);
        while now.saturating_since(begin) < Duration::from_secs(1) {
            egress.sent(now, 65_536);
            bytes += 65_536;
            now = now.max(egress.free_at() + late);
        }
        bytes
    }

    #[test]
    fn a_thread_that_wakes_late_uses_the_cap_in_full_and_no_more() {
        // A millisecond's worth before the cap is felt, and the last train.
        let most = 500_000_000 + 500_000 + 65_536;
        for micros in [0, 30, 500, 900] {
            let bytes = sent_in_a_second(Duration::from_micros(micros));
            assert!((499_000_000..=most).contains(&bytes), "{bytes} at {micros} µs");
        }
        // Beyond that what was not sent is gone: a pause is not followed by a burst as long.
        assert!(sent_in_a_second(Duration::from_millis(5)) < 200_000_000);
    }

    #[test]
    fn without_a_cap_nothing_waits() {
        let mut egress = Egress::new(None);
        egress.sent(Instant::ZERO, u64::MAX / 2);
        assert_eq!((egress.free_at(), egress.load(Instant::ZERO)), (Instant::ZERO, 0));
    }
}
