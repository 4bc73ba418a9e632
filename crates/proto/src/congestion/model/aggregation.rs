//! Reports that come in bursts: how much more than the rate explains was delivered at once.
//!
//! A busy client or a batching link holds reports back for longer than the least round trip shows. The window
//! must cover that data too, or it throttles the rate, which lowers the window in turn.

use crate::rate::Rate;
use crate::time::Instant;

/// Reports in a window of the maximum filter; two windows are kept.
const WINDOW_ROUNDS: u32 = 5;

/// The most that was delivered beyond the estimated rate, over five to ten round trips.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Aggregation {
    since: Option<Instant>,
    delivered: u64,
    this: u64,
    last: u64,
    rounds: u32,
}

impl Aggregation {
    pub(super) fn get(&self) -> u64 {
        self.this.max(self.last)
    }

    /// `delivered` bytes were reported at `now`; `rate` is the estimate before this report.
    pub(super) fn on_report(&mut self, now: Instant, delivered: u64, rate: Rate, new_round: bool) {
        let expected = self.since.map_or(0, |since| rate.bytes_in(now.saturating_since(since)));
        let begins = self.since.is_none() || self.delivered <= expected;
        if begins {
            self.since = Some(now);
            self.delivered = 0;
        }
        self.delivered = self.delivered.saturating_add(delivered);
        let extra = if begins { self.delivered } else { self.delivered.saturating_sub(expected) };
        self.this = self.this.max(extra);
        self.rounds += u32::from(new_round);
        if self.rounds >= WINDOW_ROUNDS {
            *self = Self { last: self.this, ..Self::default() };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate::new(1_000_000);

    #[test]
    fn steady_reports_add_one_report_and_bursts_add_themselves() {
        let mut aggregation = Aggregation::default();
        for ms in 1..100 {
            aggregation.on_report(Instant::from_nanos(ms * 1_000_000), 1000, RATE, true);
        }
        assert_eq!(aggregation.get(), 1000);
        for _ in 0..5 {
            aggregation.on_report(Instant::from_nanos(109_000_000), 2000, RATE, false);
        }
        assert_eq!(aggregation.get(), 10_000);
        for ms in 110..130 {
            aggregation.on_report(Instant::from_nanos(ms * 1_000_000), 1000, RATE, true);
        }
        assert_eq!(aggregation.get(), 1000, "forgotten after ten rounds");
    }
}
