//! The client's round trip and its probe timeout (section 14; RFC 6298 with RFC 9002's smoothing).

use crate::limits::{REPORT_DELAY_MAX, REPORT_DELAY_MIN};
use crate::time::Duration;

/// Added to the probe timeout for the server's own delays.
const ALLOWANCE: Duration = Duration::from_millis(25);
/// The first probe of a row is sent after two round trips, but not before this (RFC 8985, section 7.2).
const FIRST_MIN: Duration = Duration::from_millis(10);
/// The probe timeout before any sample.
const UNKNOWN: Duration = Duration::from_millis(250);
/// The longest probe timeout, gaps between trains included: a server takes a client that is silent for longer for one that
/// may be dead.
const MAX: Duration = Duration::from_secs(2);

/// Smoothed round trip and its variation.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rtt {
    smoothed: Option<Duration>,
    variation: Duration,
    /// `smoothed` is an upper bound only, and this the lower one: the first sample that is less replaces both.
    provisional: Option<Duration>,
}

impl Rtt {
    /// Begins with what the caller knows.
    pub(super) fn new(hint: Option<Duration>) -> Self {
        Self { smoothed: hint, variation: hint.unwrap_or_default() / 2, provisional: None }
    }

    /// Takes in a sample. One is cut to twice the smoothed value: it may be the answer to a later packet, as the first
    /// STATUS was lost. A path that did get longer is still followed in a few samples.
    pub(super) fn sample(&mut self, rtt: Duration) {
        let Some(smoothed) = self.smoothed.filter(|_| self.provisional.is_none()) else {
            let bound = self.smoothed.unwrap_or(rtt);
            *self = Self::new(Some(rtt.min(bound)));
            return;
        };
        let rtt = rtt.min(smoothed * 2);
        self.variation = (self.variation * 3 + smoothed.abs_diff(rtt)) / 4;
        self.smoothed = Some((smoothed * 7 + rtt) / 8);
    }

    /// Takes in that the round trip is at most `most`, perhaps far less, and at least `least`: only where nothing is
    /// known, or more. Smoothing would forget it too slowly.
    pub(super) fn bound(&mut self, least: Duration, most: Duration) {
        if self.smoothed.is_none_or(|smoothed| most < smoothed) {
            // An upper bound needs no margin for variation.
            let (smoothed, provisional) = (Some(most), Some(least));
            *self = Self { smoothed, variation: Duration::ZERO, provisional };
        }
    }

    /// The smoothed round trip.
    pub(super) fn smoothed(&self) -> Option<Duration> {
        self.smoothed
    }

    /// The probe timeout after `doublings` timeouts in a row. The first is short: most often the tail of a flight was
    /// lost, and one small packet finds that out. While only bounds of the round trip are known the first is by the
    /// lower one: it costs one small packet when that is wrong, and saves most of the wait when the upper one is. `gap`: how
    /// long the server may let nothing be heard while it sends.
    pub(super) fn probe_timeout(&self, doublings: u32, gap: Duration) -> Duration {
        let full = self.full_timeout();
        let timeout = match (doublings, self.smoothed, self.provisional) {
            (0, _, Some(least)) => least + ALLOWANCE,
            (0, Some(rtt), None) => (rtt * 2).max(FIRST_MIN).min(full),
            _ => full * (1 << doublings.min(10)),
        };
        (timeout + gap).min(MAX)
    }

    /// Round trip, variation and allowance: how long an answer may take that is not lost.
    pub(super) fn full_timeout(&self) -> Duration {
        self.smoothed.map_or(UNKNOWN, |rtt| rtt + self.variation * 4 + ALLOWANCE)
    }

    /// How long after a REQUEST a STATUS that comes knows it: a round trip and what packets may overtake each other by.
    pub(super) fn answer(&self, reordering: Duration) -> Duration {
        self.smoothed.unwrap_or(UNKNOWN) + reordering
    }

    /// How long a report may be held back: a quarter of the round trip, within bounds (section 10).
    pub(super) fn report_delay(&self) -> Duration {
        let quarter = self.smoothed.unwrap_or_default() / 4;
        quarter.clamp(REPORT_DELAY_MIN, REPORT_DELAY_MAX)
    }

    /// How long an overtaken packet is waited for: a quarter of the round trip, 1 to 100 ms, times
    /// `2^doublings` but at most one round trip (section 9).
    pub(super) fn reordering(&self, doublings: u32) -> Duration {
        let rtt = self.smoothed.unwrap_or(UNKNOWN);
        let quarter = (rtt / 4).clamp(Duration::from_millis(1), Duration::from_millis(100));
        (quarter * (1 << doublings.min(4))).min(rtt.max(quarter))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    #[test]
    fn the_probe_timeout_follows_the_samples_and_doubles_up_to_two_seconds() {
        let mut rtt = Rtt::default();
        assert_eq!(rtt.probe_timeout(0, MS(0)), UNKNOWN);
        (0..100).for_each(|_| rtt.sample(MS(40)));
        assert_eq!(
            rtt.probe_timeout(0, MS(0)),
            rtt.smoothed().expect("sampled") + MS(25),
            "less than two round trips"
        );
        let settled = rtt.probe_timeout(1, MS(0));
        assert!(settled >= MS(130) && settled < MS(134), "{settled:?}");
        assert_eq!(rtt.probe_timeout(2, MS(0)), settled * 2);
        assert_eq!(rtt.probe_timeout(31, MS(0)), MAX);
    }

    #[test]
    fn a_client_that_waits_asks_at_least_every_two_seconds_however_long_the_gaps_are() {
        let rtt = Rtt::new(Some(MS(40)));
        assert_eq!(rtt.probe_timeout(0, MS(30)), rtt.probe_timeout(0, MS(0)) + MS(30));
        for doublings in [0, 1, 4, 31] {
            assert_eq!(rtt.probe_timeout(doublings, MS(3000)), MS(2000));
        }
    }

    #[test]
    fn a_round_trip_from_a_repeated_hello_is_forgotten_at_the_first_real_one() {
        let mut rtt = Rtt::default();
        rtt.bound(MS(5), MS(300));
        assert_eq!((rtt.smoothed(), rtt.probe_timeout(0, MS(0))), (Some(MS(300)), MS(30)));
        assert_eq!(rtt.probe_timeout(1, MS(0)), MS(650));
        rtt.sample(MS(3));
        assert_eq!(rtt.smoothed(), Some(MS(3)));
        rtt.sample(MS(11));
        assert_eq!(rtt.smoothed(), Some(Duration::from_micros(3375)), "as if it were 6 ms");
        rtt.bound(MS(200), MS(200));
        assert_eq!(rtt.smoothed(), Some(Duration::from_micros(3375)));
    }

    #[test]
    fn the_reordering_window_stays_within_a_round_trip() {
        let rtt = Rtt::new(Some(MS(40)));
        assert_eq!(rtt.reordering(0), MS(10));
        assert_eq!(rtt.reordering(9), MS(40));
        assert_eq!(Rtt::new(Some(Duration::from_micros(200))).reordering(3), MS(1));
    }
}
