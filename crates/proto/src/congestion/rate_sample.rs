//! Delivery-rate estimation (draft-cheng-iccrg-delivery-rate-estimation), adapted to trains and sparse reports.
//!
//! The rate of a sample is the bytes delivered over a round trip, divided by the longer of the time it took to
//! send them and the time it took to have them reported: reports that come in a burst, or lie about when data
//! came, cannot make it higher than the rate at which the data was sent.

use super::trains::{Snapshot, Train};
use crate::rate::Rate;
use crate::time::{Duration, Instant};

/// What one report says about the path.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct RateSample {
    /// `None` when the interval is too short to tell.
    pub(super) rate: Option<Rate>,
    /// Bytes delivered in the interval.
    pub(super) delivered: u64,
    /// Bytes that had been delivered when the newest delivered train was sent: counts round trips.
    pub(super) prior_delivered: u64,
    /// Bytes lost since then.
    pub(super) lost: u64,
    /// Bytes in flight right after that train was sent.
    pub(super) in_flight: u64,
    /// The rate may be lower than the path's for want of data.
    pub(super) app_limited: bool,
}

/// What became of data sent slower than the estimated rate, bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct SlowData {
    pub(super) delivered: u64,
    pub(super) lost: u64,
}

/// The connection's counters (`C.*`).
#[derive(Clone, Copy, Debug)]
pub(super) struct Delivery {
    pub(super) delivered: u64,
    pub(super) lost: u64,
    pub(super) in_flight: u64,
    delivered_at: Instant,
    first_sent: Instant,
    /// Since it was last taken.
    slow: SlowData,
    /// Samples are app-limited until this much is delivered.
    app_limited_until: u64,
}

impl Delivery {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            delivered: 0,
            lost: 0,
            in_flight: 0,
            delivered_at: now,
            first_sent: now,
            slow: SlowData::default(),
            app_limited_until: 0,
        }
    }

    pub(super) fn is_app_limited(&self) -> bool {
        self.app_limited_until > self.delivered
    }

    /// A train of `bytes` leaves; `app_limited`: nothing follows it for now; `slow`: slower than the path carries.
    pub(super) fn on_sent(
        &mut self,
        now: Instant,
        bytes: u64,
        app_limited: bool,
        slow: bool,
    ) -> Snapshot {
        if self.in_flight == 0 {
            self.delivered_at = now;
            self.first_sent = now;
        }
        self.in_flight += bytes;
        if app_limited {
            // Never 0, which would say "not limited".
            self.app_limited_until = (self.delivered + self.in_flight).max(1);
        }
        Snapshot {
            delivered: self.delivered,
            delivered_at: self.delivered_at,
            first_sent: self.first_sent,
            lost: self.lost,
            in_flight: self.in_flight,
            app_limited: self.is_app_limited(),
            slow,
        }
    }

    pub(super) fn on_delivered(&mut self, bytes: u64, slow: bool) {
        self.delivered += bytes;
        self.in_flight = self.in_flight.saturating_sub(bytes);
        if slow {
            self.slow.delivered += bytes;
        }
    }

    pub(super) fn on_lost(&mut self, bytes: u64, slow: bool) {
        self.lost += bytes;
        self.in_flight = self.in_flight.saturating_sub(bytes);
        if slow {
            self.slow.lost += bytes;
        }
    }

    /// What became of slow data since the last call.
    pub(super) fn take_slow(&mut self) -> SlowData {
        std::mem::take(&mut self.slow)
    }

    /// Closes a report at `now` whose newest delivered train is `newest`.
    pub(super) fn sample(
        &mut self,
        now: Instant,
        newest: &Train,
        shortest: Duration,
    ) -> RateSample {
        self.delivered_at = now;
        self.first_sent = self.first_sent.max(newest.sent);
        let then = &newest.at_send;
        let send_time = newest.sent.saturating_since(then.first_sent);
        let report_time = now.saturating_since(then.delivered_at);
        let interval = send_time.max(report_time);
        let delivered = self.delivered.saturating_sub(then.delivered);
        RateSample {
            rate: (interval >= shortest).then(|| Rate::of(delivered, interval)).flatten(),
            delivered,
            prior_delivered: then.delivered,
            lost: self.lost.saturating_sub(then.lost),
            in_flight: then.in_flight,
            app_limited: then.app_limited,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::trains::Trains;
    use super::*;

    fn at(ms: u64) -> Instant {
        Instant::from_nanos(ms * 1_000_000)
    }

    /// Ten trains of 10 000 bytes, 1 ms apart; `reported` gives when each is reported.
    fn rate_of_last(reported: impl Fn(u64) -> u64) -> Option<Rate> {
        let mut trains = Trains::new(1000);
        let mut delivery = Delivery::new(at(0));
        let mut last = None;
        for now in 0..100 {
            if now < 10 {
                let snapshot = delivery.on_sent(at(now), 10_000, false, false);
                trains.push((now * 10, 10), 10_000, 1000, at(now), snapshot);
            }
            for n in (0..10).filter(|&n| reported(n) == now) {
                trains.settle((n * 10, n * 10 + 9), true, |taken| {
                    delivery.on_delivered(taken.bytes, false)
                });
                let newest = *trains.find(n * 10).unwrap();
                last = delivery.sample(at(now), &newest, Duration::ZERO).rate;
            }
        }
        last
    }

    #[test]
    fn a_slow_path_shows_its_own_rate() {
        // 10 kB each 2 ms; all were sent before the first report, 20 ms after the start.
        let rate = rate_of_last(|n| 20 + 2 * n).unwrap();
        assert_eq!(rate, Rate::new(100_000 * 1000 / 38));
    }

    #[test]
    fn reports_in_a_burst_show_no_more_than_the_sending_rate() {
        let rate = rate_of_last(|_| 11).unwrap();
        assert!(rate <= Rate::new(10_000_000), "{rate:?}");
    }

    #[test]
    fn app_limited_ends_when_what_was_sent_is_delivered() {
        let mut delivery = Delivery::new(at(0));
        assert!(delivery.on_sent(at(0), 100, true, false).app_limited);
        delivery.on_sent(at(1), 100, false, false);
        delivery.on_delivered(100, false);
        assert!(!delivery.is_app_limited());
        assert!(!delivery.on_sent(at(2), 100, false, false).app_limited);
        delivery.on_lost(200, false);
        assert_eq!((delivery.in_flight, delivery.lost), (0, 200));
    }
}
