//! The round trip without a queue: its minimum over 10 s, and the short pause that lets it show.

use super::params::{MIN_RTT_WINDOW, PROBE_RTT_INTERVAL, PROBE_RTT_TIME, PROBE_RTT_WINDOW_GAIN};
use super::{Model, Phase, Report};
use crate::time::{Duration, Instant};

/// The minimum filters, and the probe under way.
#[derive(Clone, Copy, Debug)]
pub(super) struct MinRtt {
    min: Duration,
    min_at: Instant,
    /// The minimum since the last probe.
    probed: Duration,
    probed_at: Instant,
    sampled: bool,
    /// The probe's window is reached: it lasts until then, and for a round.
    ends: Option<Instant>,
    round_done: bool,
}

/// What a report means for the minimum.
struct Sampled {
    /// The round trip is known for the first time.
    first: bool,
    /// The minimum is old enough to be probed.
    expired: bool,
}

impl MinRtt {
    pub(super) fn new(now: Instant, initial: Duration) -> Self {
        Self {
            min: initial,
            min_at: now,
            probed: Duration::MAX,
            probed_at: now,
            sampled: false,
            ends: None,
            round_done: false,
        }
    }

    pub(super) fn get(&self) -> Duration {
        self.min
    }

    fn on_sample(&mut self, now: Instant, rtt: Option<Duration>) -> Sampled {
        let first = !self.sampled && rtt.is_some();
        let expired = now.saturating_since(self.probed_at) > PROBE_RTT_INTERVAL;
        if let Some(rtt) = rtt
            && (rtt < self.probed || expired)
        {
            self.probed = rtt;
            self.probed_at = now;
        }
        let old = now.saturating_since(self.min_at) > MIN_RTT_WINDOW;
        if rtt.is_some() && (!self.sampled || self.probed < self.min || old) {
            self.min = self.probed;
            self.min_at = self.probed_at;
            self.sampled = true;
        }
        Sampled { first, expired }
    }
}

impl Model {
    /// Follows the minimum round trip; begins and ends probes of it. Returns whether this is the first one known.
    pub(super) fn update_probe_rtt(&mut self, report: &Report) -> bool {
        let Sampled { first, expired } = self.min_rtt.on_sample(report.now, report.rtt);
        self.probe_rtt(report, expired);
        first
    }

    fn probe_rtt(&mut self, report: &Report, expired: bool) {
        if self.phase != Phase::ProbeRtt {
            if expired && self.full.reached && !report.sample.app_limited {
                self.window_before = self.window_to_save();
                self.min_rtt.ends = None;
                self.min_rtt.round_done = false;
                self.enter(Phase::ProbeRtt);
            }
            return;
        }
        match self.min_rtt.ends {
            None if report.in_flight <= self.target(PROBE_RTT_WINDOW_GAIN) => {
                self.min_rtt.ends = Some(report.now + PROBE_RTT_TIME);
                self.min_rtt.round_done = false;
                self.round.ends_at_delivered = self.delivered;
            }
            None => {}
            Some(ends) => {
                self.min_rtt.round_done |= self.round.started;
                if self.min_rtt.round_done && report.now >= ends {
                    self.end_probe_rtt(report.now);
                }
            }
        }
    }

    fn window_to_save(&self) -> u64 {
        if self.bound.low == u64::MAX { self.window } else { self.window.max(self.window_before) }
    }

    fn end_probe_rtt(&mut self, now: Instant) {
        self.min_rtt.probed_at = now;
        self.window = self.window.max(self.window_before);
        self.bound.lift();
        self.go_down(now);
        self.start_cruise();
    }
}
