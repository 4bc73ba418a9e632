//! The probing cycle: down, cruise, refill, up. It finds more rate when there is some, and leaves room for others.

use super::params::{PROBE_ROUNDS_MAX, PROBE_WAIT, PROBE_WAIT_RANDOM, UP_GROWTH, UP_IN_FLIGHT};
use super::{Model, Phase, Report};
use crate::rate::Rate;
use crate::time::{Duration, Instant};

/// Which data the reports at hand are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Feedback {
    None,
    /// Sent before probing up began.
    ProbeStarting,
    /// Sent while probing up.
    Probe,
    /// Sent up to the end of probing.
    ProbeStopping,
}

/// Where the sender is in the cycle.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cycle {
    /// When the cycle began: the end of the last probe.
    since: Instant,
    wait: Duration,
    rounds: u64,
    feedback: Feedback,
    /// Losses of the data reported now tell what the path holds.
    sampling: bool,
    /// Rounds of probing up against the bound; how much was delivered towards its next step.
    up_rounds: u32,
    up_delivered: u64,
    /// Delivered bytes for each datagram that the bound rises.
    up_step: u64,
    /// The best rate while probing up; [`Rate::ZERO`] before the first of its data is reported.
    up_best: Rate,
    /// The rate before probing up.
    up_from: Rate,
    random: u64,
}

impl Cycle {
    pub(super) fn new(now: Instant, seed: u64) -> Self {
        Self {
            since: now,
            wait: PROBE_WAIT,
            rounds: 0,
            feedback: Feedback::None,
            sampling: false,
            up_rounds: 0,
            up_delivered: 0,
            up_step: u64::MAX,
            up_best: Rate::ZERO,
            up_from: Rate::ZERO,
            random: seed | 1,
        }
    }

    pub(super) fn is_sampling(&self) -> bool {
        self.sampling
    }

    pub(super) fn stop_sampling(&mut self) {
        self.sampling = false;
    }

    /// xorshift64: spreads the probes of sessions that share a path; not a secret.
    fn next_random(&mut self) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random
    }

    fn pick_wait(&mut self) {
        self.rounds = self.next_random() & 1;
        let random = PROBE_WAIT_RANDOM.as_nanos() as u64;
        self.wait = PROBE_WAIT + Duration::from_nanos(self.next_random() % random);
    }
}

impl Model {
    /// One step of the cycle for one report.
    pub(super) fn update_cycle(&mut self, report: &Report) {
        if !self.full.reached {
            return;
        }
        if self.round.started {
            self.cycle.rounds += 1;
        }
        self.adapt_high(report);
        self.step(report);
    }

    fn step(&mut self, report: &Report) {
        if matches!(self.phase, Phase::Down | Phase::Cruise) && self.start_refill_if_due(report.now)
        {
            return;
        }
        if self.phase == Phase::Down && self.may_cruise(report) {
            self.enter(Phase::Cruise);
        } else if self.phase == Phase::Refill && self.round.started {
            self.start_up(report);
        } else if self.phase == Phase::Up && self.is_up_done(report) {
            self.go_down(report.now);
        }
    }

    /// Begins the cycle after a report.
    pub(super) fn start_down(&mut self, report: &Report) {
        self.go_down(report.now);
    }

    /// Begins the cycle: slower than the path until the queue is gone.
    pub(super) fn go_down(&mut self, now: Instant) {
        // What probing up reached is the best that the path gives now. The draft keeps the maximum for two cycles more:
        // then a session goes on for seconds at a rate that another one has taken over.
        if self.phase == Phase::Up && self.cycle.up_best > Rate::ZERO {
            self.max_rate.restart(self.cycle.up_best);
        }
        self.bound.restart();
        self.cycle.up_step = u64::MAX;
        self.cycle.pick_wait();
        self.cycle.since = now;
        self.cycle.feedback = Feedback::ProbeStopping;
        self.start_round();
        self.enter(Phase::Down);
    }

    /// Goes on in the cycle at the estimated rate.
    pub(super) fn start_cruise(&mut self) {
        self.enter(Phase::Cruise);
    }

    fn start_refill_if_due(&mut self, now: Instant) -> bool {
        let waited = now.saturating_since(self.cycle.since) >= self.cycle.wait;
        if !waited && self.cycle.rounds < self.reno_rounds() {
            return false;
        }
        self.bound.lift();
        self.cycle.up_rounds = 0;
        self.cycle.up_delivered = 0;
        self.start_round();
        self.enter(Phase::Refill);
        true
    }

    /// Rounds after which a Reno flow of this size would have regained its rate.
    fn reno_rounds(&self) -> u64 {
        (self.bdp().min(self.window) / self.datagram).clamp(1, PROBE_ROUNDS_MAX)
    }

    fn start_up(&mut self, report: &Report) {
        self.cycle.sampling = true;
        self.cycle.up_best = Rate::ZERO;
        self.cycle.up_from = report.sample.rate.unwrap_or_default();
        self.cycle.feedback = Feedback::ProbeStarting;
        self.start_round();
        self.full.restart(report.sample.rate.unwrap_or_default());
        self.enter(Phase::Up);
        self.steepen();
    }

    fn start_round(&mut self) {
        self.round.ends_at_delivered = self.delivered;
    }

    fn may_cruise(&self, report: &Report) -> bool {
        report.in_flight <= self.with_headroom() && report.in_flight <= self.target(1.0)
    }

    fn is_up_done(&mut self, report: &Report) -> bool {
        if self.cycle.feedback == Feedback::Probe && !report.sample.app_limited {
            self.cycle.up_best = self.cycle.up_best.max(report.sample.rate.unwrap_or_default());
        }
        if self.window_limited && self.window >= self.bound.high {
            // The bound is what holds the rate: no wonder it does not grow.
            self.full.restart(report.sample.rate.unwrap_or_default());
            return false;
        }
        let grew = self.max_rate.get() >= self.cycle.up_from.scaled(UP_GROWTH);
        let only_queues = self.cycle.feedback == Feedback::Probe
            && !grew
            && report.in_flight >= self.target(UP_IN_FLIGHT);
        self.full.now || only_queues
    }

    /// Follows what the probe says about the long-term bound.
    fn adapt_high(&mut self, report: &Report) {
        if self.round.started {
            match self.cycle.feedback {
                Feedback::ProbeStarting => self.cycle.feedback = Feedback::Probe,
                Feedback::ProbeStopping => {
                    self.cycle.sampling = false;
                    self.cycle.feedback = Feedback::None;
                    if self.phase.is_probe_bw() && !report.sample.app_limited {
                        self.max_rate.advance();
                    }
                }
                Feedback::None | Feedback::Probe => {}
            }
        }
        let sample = &report.sample;
        let too_much = sample.lost > self.loss_limit(sample.in_flight);
        if too_much || report.marked {
            if self.cycle.sampling {
                self.in_flight_too_high(report.now, sample.in_flight, sample.app_limited);
            }
            return;
        }
        if self.bound.high == u64::MAX {
            return;
        }
        self.bound.high = self.bound.high.max(sample.in_flight);
        if self.phase == Phase::Up {
            self.raise_high(report);
        }
    }

    /// Raises the bound while probing up against it: slowly first, then faster with each round.
    fn raise_high(&mut self, report: &Report) {
        if !self.window_limited || self.window < self.bound.high {
            return;
        }
        self.cycle.up_delivered += report.newly_delivered;
        let steps = self.cycle.up_delivered / self.cycle.up_step.max(1);
        self.cycle.up_delivered -= steps * self.cycle.up_step;
        self.bound.high += steps * self.datagram;
        if self.round.started {
            self.steepen();
        }
    }

    /// The bound rises by 1, 2, 4 … datagrams in successive rounds.
    fn steepen(&mut self) {
        let datagrams = 1_u64 << self.cycle.up_rounds;
        self.cycle.up_rounds = (self.cycle.up_rounds + 1).min(30);
        self.cycle.up_step = (self.window / datagrams).max(self.datagram);
    }
}
