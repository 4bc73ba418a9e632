//! Smoothed round trip and its variation (RFC 6298), and the probe timeout made of them.

use crate::time::Duration;

/// What is assumed before any sample: the handshake gives one as a rule.
pub(super) const DEFAULT_RTT: Duration = Duration::from_millis(100);
/// Slack of the probe timeout (docs/protocol, section 14); it covers the client's report delay of at most 5 ms.
const TIMEOUT_SLACK: Duration = Duration::from_millis(25);
/// Longer samples are cut to this: a report delayed so long says nothing about the path.
const LONGEST: Duration = Duration::from_secs(10);

/// Smoothed round trip of one session.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rtt {
    smoothed: Duration,
    variation: Duration,
    sampled: bool,
}

impl Rtt {
    pub(super) fn new(initial: Option<Duration>) -> Self {
        let smoothed = initial.unwrap_or(DEFAULT_RTT).clamp(Duration::from_micros(1), LONGEST);
        Self { smoothed, variation: smoothed / 2, sampled: false }
    }

    pub(super) fn sample(&mut self, rtt: Duration) {
        let rtt = rtt.min(LONGEST);
        if !self.sampled {
            *self = Self { smoothed: rtt, variation: rtt / 2, sampled: true };
            return;
        }
        self.variation = (self.variation * 3 + self.smoothed.abs_diff(rtt)) / 4;
        self.smoothed = (self.smoothed * 7 + rtt) / 8;
    }

    pub(super) fn smoothed(&self) -> Duration {
        self.smoothed
    }

    pub(super) fn variation(&self) -> Duration {
        self.variation
    }

    /// Smoothed round trip + 4 × variation + 25 ms (docs/protocol, section 14).
    pub(super) fn probe_timeout(&self) -> Duration {
        self.smoothed + self.variation * 4 + TIMEOUT_SLACK
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_sample_replaces_the_guess_and_later_ones_are_smoothed() {
        let mut rtt = Rtt::new(None);
        assert_eq!(rtt.smoothed(), DEFAULT_RTT);
        rtt.sample(Duration::from_millis(10));
        assert_eq!(rtt.smoothed(), Duration::from_millis(10));
        assert_eq!(rtt.probe_timeout(), Duration::from_millis(10 + 20 + 25));
        rtt.sample(Duration::from_millis(18));
        assert_eq!(rtt.smoothed(), Duration::from_millis(11));
        rtt.sample(Duration::MAX);
        assert!(rtt.probe_timeout() < Duration::from_secs(20));
    }
}
