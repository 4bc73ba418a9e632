//! The path's own loss: what it loses of data that was sent slower than it carries and that met no queue.
//!
//! A radio link or a bad cable loses packets whatever the rate; to send less for that helps nobody, and a sender
//! that takes such losses for a full queue gives its rate away in each round. The draft has one threshold of 2 %
//! for both. Here the threshold is for what is lost beyond the path's own share.

use super::params::{OWN_LOSS_MAX, OWN_LOSS_PRIOR, OWN_LOSS_WINDOW, UNQUEUED};
use crate::congestion::rate_sample::SlowData;
use crate::time::Duration;

/// An estimate of the share that the path loses by itself.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct OwnLoss {
    seen: SlowData,
    /// The latest round trip had hardly a queue in it.
    unqueued: bool,
    share: f64,
}

impl OwnLoss {
    /// The share, 0 to [`OWN_LOSS_MAX`]: 0 until there is evidence.
    pub(super) fn share(&self) -> f64 {
        self.share
    }

    /// Whether the latest round trip had hardly a queue in it.
    pub(super) fn is_unqueued(&self) -> bool {
        self.unqueued
    }

    /// A round trip was measured.
    pub(super) fn on_rtt(&mut self, rtt: Duration, min_rtt: Duration) {
        self.unqueued = rtt <= min_rtt.mul_f64(UNQUEUED);
    }

    /// Slow data was delivered or lost; `datagram` is the size of one (bytes).
    pub(super) fn on_slow_data(&mut self, data: SlowData, datagram: u64) {
        if !self.unqueued {
            return;
        }
        self.seen.delivered += data.delivered;
        self.seen.lost += data.lost;
        let total = self.seen.delivered + self.seen.lost;
        if total > OWN_LOSS_WINDOW * datagram {
            self.seen = SlowData { delivered: self.seen.delivered / 2, lost: self.seen.lost / 2 };
        }
        let prior = OWN_LOSS_PRIOR * datagram;
        self.share = (self.seen.lost as f64 / (total + prior) as f64).min(OWN_LOSS_MAX);
    }
}
