//! Startup and drain: finding the path's rate within a few round trips, and leaving no queue behind.

use super::params::{FULL_GROWTH, FULL_ROUNDS};
use super::{Model, Phase, Report};
use crate::rate::Rate;

/// Detects that the rate no longer grows. Startup uses it, and probing up.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct FullPipe {
    /// The rate that must be exceeded by [`FULL_GROWTH`] to count as growth.
    rate: Rate,
    rounds: u32,
    /// Full as of this round.
    pub(super) now: bool,
    /// Was full once: startup is over.
    pub(super) reached: bool,
}

impl FullPipe {
    /// Looks for growth beyond `rate` anew.
    pub(super) fn restart(&mut self, rate: Rate) {
        *self = Self { rate, rounds: 0, now: false, reached: self.reached };
    }

    /// The last round did not grow.
    fn stalled(&self) -> bool {
        self.rounds > 0
    }

    fn on_rate(&mut self, rate: Rate, round_started: bool) {
        if self.now || !round_started {
            return;
        }
        if rate >= self.rate.scaled(FULL_GROWTH) {
            self.restart(rate);
            return;
        }
        self.rounds += 1;
        self.now = self.rounds >= FULL_ROUNDS;
        self.reached |= self.now;
    }
}

impl Model {
    /// Full-pipe detection, and the phases startup → drain → probing.
    pub(super) fn update_full_pipe(&mut self, report: &Report) {
        if !report.sample.app_limited
            && let Some(rate) = report.sample.rate
        {
            self.full.on_rate(rate, self.round.started);
        }
        if self.phase == Phase::Startup {
            // Losses while the rate still grows are the path's own, not those of a full queue.
            if self.bound.startup_is_lossy() && self.full.stalled() {
                self.full.reached = true;
                self.bound.high = self.bdp().max(self.bound.delivered_latest());
            }
            if self.full.reached {
                self.enter(Phase::Drain);
            }
        }
        if self.phase == Phase::Drain && report.in_flight <= self.target(1.0) {
            self.start_down(report);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_rounds_without_growth_fill_the_pipe() {
        let mut full = FullPipe::default();
        for rate in [100, 200, 240, 245] {
            full.on_rate(Rate::new(rate), true);
            full.on_rate(Rate::new(rate), false);
        }
        assert!(!full.now, "two rounds below 250");
        full.on_rate(Rate::new(249), true);
        assert!(full.now && full.reached);
        full.restart(Rate::new(249));
        assert!(!full.now && full.reached);
    }

    #[test]
    fn growth_begins_the_count_again() {
        let mut full = FullPipe::default();
        for rate in [100, 110, 120, 125, 130, 140] {
            full.on_rate(Rate::new(rate), true);
        }
        assert!(!full.now);
        full.on_rate(Rate::new(150), true);
        assert!(full.now);
    }
}
