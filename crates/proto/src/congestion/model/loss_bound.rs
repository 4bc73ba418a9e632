//! What losses and ECN marks say about the path: bounds of the rate and of what may be in flight.
//!
//! `high` is the long-term bound: what the path was found to hold when it was probed. `low` and `rate_low` are
//! the short-term bounds, set in any round with losses between probes, and lifted at the next probe.

use super::params::{
    BETA, BETA_ECN, BETA_HIGH, LOSS_THRESHOLD, STARTUP_LOST_RANGES, TOLERANCE, UNQUEUED_PROBE_LOSS,
    UNQUEUED_STARTUP_LOSS, scale,
};
use super::{LostTrain, Model, Phase, Report};
use crate::rate::Rate;
use crate::time::Instant;

/// The bounds, and the signals of the round at hand. [`Rate::MAX`] and `u64::MAX` are "no bound".
#[derive(Clone, Copy, Debug)]
pub(super) struct LossBound {
    pub(super) high: u64,
    pub(super) low: u64,
    pub(super) rate_low: Rate,
    /// The round of congestion signals ends when so much is delivered.
    ends_at_delivered: u64,
    round_started: bool,
    round: Signals,
    rate_latest: Rate,
    delivered_latest: u64,
    startup_is_lossy: bool,
}

/// Congestion in one round.
#[derive(Clone, Copy, Debug, Default)]
struct Signals {
    lost: u64,
    lost_ranges: u32,
    marked: bool,
}

impl Default for LossBound {
    fn default() -> Self {
        Self {
            high: u64::MAX,
            low: u64::MAX,
            rate_low: Rate::MAX,
            ends_at_delivered: 0,
            round_started: false,
            round: Signals::default(),
            rate_latest: Rate::ZERO,
            delivered_latest: 0,
            startup_is_lossy: false,
        }
    }
}

impl LossBound {
    /// Losses of a report that delivered nothing.
    pub(super) fn note(&mut self, report: &Report) {
        self.round.lost += report.newly_lost;
        self.round.lost_ranges += report.lost_ranges;
        self.round.marked |= report.marked;
    }

    /// Most bytes delivered within a round trip, of the latest rounds.
    pub(super) fn delivered_latest(&self) -> u64 {
        self.delivered_latest
    }

    /// The round that ended last lost too much for a startup to go on.
    pub(super) fn startup_is_lossy(&self) -> bool {
        self.startup_is_lossy
    }

    /// Lifts the short-term bounds.
    pub(super) fn lift(&mut self) {
        self.low = u64::MAX;
        self.rate_low = Rate::MAX;
    }

    /// Begins a new round of signals.
    pub(super) fn restart(&mut self) {
        self.round = Signals::default();
        self.rate_latest = Rate::ZERO;
        self.delivered_latest = 0;
    }
}

impl Model {
    /// Collects the signals of a round, and lowers the short-term bounds at its end.
    pub(super) fn update_bounds(&mut self, report: &Report) {
        let sample = &report.sample;
        let limit = self.loss_limit(sample.in_flight);
        let bound = &mut self.bound;
        let rate = sample.rate.unwrap_or_default();
        bound.rate_latest = bound.rate_latest.max(rate);
        bound.delivered_latest = bound.delivered_latest.max(sample.delivered);
        bound.note(report);
        bound.round_started = sample.prior_delivered >= bound.ends_at_delivered;
        bound.startup_is_lossy = false;
        if !bound.round_started {
            return;
        }
        bound.ends_at_delivered = self.delivered;
        bound.startup_is_lossy = bound.round.marked
            || (bound.round.lost_ranges >= STARTUP_LOST_RANGES && sample.lost > limit);
        let beta = match bound.round {
            Signals { lost, .. } if lost > limit => Some(BETA),
            Signals { marked: true, .. } => Some(BETA_ECN),
            _ => None,
        };
        if let Some(beta) = beta.filter(|_| !self.is_probing()) {
            self.lower(beta);
        }
        self.bound.round = Signals::default();
        self.bound.rate_latest = rate;
        self.bound.delivered_latest = sample.delivered;
    }

    /// Probing looks for the bound, so losses in it do not lower the short-term bounds.
    fn is_probing(&self) -> bool {
        matches!(self.phase, Phase::Startup | Phase::Refill | Phase::Up)
    }

    fn lower(&mut self, beta: f64) {
        let (max_rate, window) = (self.max_rate.get(), self.window);
        let tolerance = TOLERANCE / (1.0 - self.own_loss.share());
        let bound = &mut self.bound;
        let rate = if bound.rate_low == Rate::MAX { max_rate } else { bound.rate_low };
        let low = if bound.low == u64::MAX { window } else { bound.low };
        let arrived = bound.rate_latest.scaled(tolerance);
        bound.rate_low = rate.min(arrived.max(rate.scaled(beta)));
        let held = scale(bound.delivered_latest, tolerance);
        bound.low = low.min(held.max(scale(low, beta)));
    }

    /// A train was lost in part or whole: too much of what was in flight with it?
    pub(super) fn probe_found_loss(&mut self, now: Instant, lost: LostTrain) {
        if !self.cycle.is_sampling() || lost.lost_since <= self.loss_limit(lost.in_flight) {
            return;
        }
        let in_flight = held_before_loss(&lost, self.loss_threshold());
        self.in_flight_too_high(now, in_flight, lost.app_limited);
    }

    /// The share of losses from which on the path is over-full. A probe that overfills a path loses much of what it
    /// sends if no queue takes it: fewer losses without a queue do not end one.
    fn loss_threshold(&self) -> f64 {
        let usual = LOSS_THRESHOLD + self.own_loss.share();
        match self.phase {
            Phase::Startup if self.own_loss.is_unqueued() => usual.max(UNQUEUED_STARTUP_LOSS),
            Phase::Up if self.own_loss.is_unqueued() => usual.max(UNQUEUED_PROBE_LOSS),
            _ => usual,
        }
    }

    /// More than this lost of `in_flight` bytes says that the path is over-full: the threshold, and two standard
    /// deviations of that many random losses. Without them a path that loses 1 % at random would show more than 2 % in
    /// every twelfth round of 100 datagrams.
    pub(super) fn loss_limit(&self, in_flight: u64) -> u64 {
        let expected = self.loss_threshold() * in_flight as f64;
        (expected + 2.0 * (expected * self.datagram as f64).sqrt()) as u64
    }

    /// The path does not hold `in_flight` bytes: the long-term bound comes down, a probe ends.
    pub(super) fn in_flight_too_high(&mut self, now: Instant, in_flight: u64, app_limited: bool) {
        self.cycle.stop_sampling();
        if !app_limited {
            let least = scale(self.bdp().min(self.window), BETA);
            self.bound.high = scale(in_flight, BETA_HIGH).max(least).max(self.floor());
        }
        if self.phase == Phase::Up {
            self.go_down(now);
        }
    }
}

/// How much was in flight when the losses crossed the threshold.
fn held_before_loss(lost: &LostTrain, threshold: f64) -> u64 {
    let in_flight_before = lost.in_flight.saturating_sub(lost.bytes);
    let lost_before = lost.lost_since.saturating_sub(lost.bytes);
    let prefix = (threshold * in_flight_before as f64 - lost_before as f64) / (1.0 - threshold);
    in_flight_before + prefix.max(0.0) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_is_where_losses_crossed_the_threshold() {
        let lost =
            LostTrain { bytes: 10_000, lost_since: 10_000, in_flight: 110_000, app_limited: false };
        // 100 000 were in flight before the train; 2 % of 102 040 is what may be lost.
        assert_eq!(held_before_loss(&lost, 0.02), 102_040);
        let worse = LostTrain { lost_since: 60_000, ..lost };
        assert_eq!(held_before_loss(&worse, 0.02), 100_000);
    }
}
