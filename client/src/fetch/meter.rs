//! How fast one edge is: round trip, measured rate, announced queue; and when it would be done with more.

use segcast_proto::time::{Duration, Instant};

/// A rate sample covers at least this long, so that single trains do not make it jump.
const SAMPLE: Duration = Duration::from_millis(50);
/// A rate that nothing has confirmed for so long is forgotten, so that an edge that was slow once is tried again.
const STALE: Duration = Duration::from_secs(10);
/// Weight of a new sample: 1 / this.
const WEIGHT: u64 = 4;
/// Round trips for which a segment counts as asked for: one to the first byte, one and a quarter for a repair, and some of
/// a second one. Of a segment of 700 datagrams seven are lost at 1 % loss: with one round trip the link lay idle for
/// half of the time while repairs were under way.
const ROUND_TRIPS: u32 = 3;
/// Taken for an edge nobody has measured yet: 100 Mbit/s.
pub const RATE_UNKNOWN: u64 = 12_500_000;

/// What is known about the speed of one edge.
#[derive(Clone, Debug, Default)]
pub struct Meter {
    rtt: Duration,
    queue: Duration,
    /// Bytes per second.
    rate: Option<u64>,
    begun: Option<(Instant, u64)>,
    sampled: Instant,
}

impl Meter {
    /// The session's smoothed round trip.
    pub fn set_rtt(&mut self, rtt: Duration) {
        self.rtt = rtt;
    }

    /// How long a request made now would wait, as a pulse reply says (section 7.5).
    pub fn set_queue(&mut self, queue: Duration) {
        self.queue = queue;
    }

    /// Measured bytes per second; none until the first sample.
    #[must_use]
    pub fn rate(&self) -> Option<u64> {
        self.rate
    }

    /// The session has received `total` bytes so far, less those that were found wrong meanwhile. `busy`: it still waits for
    /// some. Idle time says nothing about speed.
    pub fn observe(&mut self, now: Instant, total: u64, busy: bool) {
        if !busy && now.saturating_since(self.sampled) > STALE {
            self.rate = None;
        }
        let Some((since, before)) = self.begun else {
            self.begun = busy.then_some((now, total));
            return;
        };
        let span = now.saturating_since(since);
        if span < SAMPLE && busy {
            return;
        }
        let nanos = u64::try_from(span.as_nanos()).unwrap_or(u64::MAX).max(1);
        let bytes = total.saturating_sub(before);
        if span >= SAMPLE || self.rate.is_none() && bytes > 0 {
            let sample = u64::try_from(u128::from(bytes) * 1_000_000_000 / u128::from(nanos));
            let sample = sample.unwrap_or(u64::MAX);
            self.sampled = now;
            self.rate = Some(match self.rate {
                None => sample,
                Some(old) => old - old / WEIGHT + sample / WEIGHT,
            });
        }
        self.begun = busy.then_some((now, total));
    }

    /// How long until `bytes` more would be here, behind `outstanding` bytes asked for before.
    /// `unknown` is the rate to assume of an edge not yet measured, bytes per second.
    #[must_use]
    pub fn expected(&self, outstanding: u64, bytes: u64, unknown: u64) -> Duration {
        let rate = self.rate.unwrap_or(unknown).max(1);
        let micros = (u128::from(outstanding) + u128::from(bytes)) * 1_000_000 / u128::from(rate);
        let transfer = Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX));
        self.rtt.saturating_add(self.queue).saturating_add(transfer)
    }

    /// Bytes to keep asked for, so that this edge never runs dry: its rate over `horizon` and three round trips.
    #[must_use]
    pub fn pipeline(&self, horizon: Duration, unknown: u64) -> u64 {
        let rate = u128::from(self.rate.unwrap_or(unknown));
        let micros = (horizon + self.rtt * ROUND_TRIPS).as_micros();
        u64::try_from(rate * micros / 1_000_000).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Instant {
        Instant::from_nanos(millis * 1_000_000)
    }

    #[test]
    fn measures_only_while_busy() {
        let mut meter = Meter::default();
        meter.observe(at(0), 0, true);
        meter.observe(at(100), 1_000_000, false);
        assert_eq!(meter.rate(), Some(10_000_000));
        meter.observe(at(10_000), 1_000_000, true);
        meter.observe(at(10_100), 2_000_000, true);
        assert_eq!(meter.rate(), Some(10_000_000));
    }

    /// 5 MB every 50 ms, and each found wrong 50 ms later.
    #[test]
    fn bytes_that_were_wrong_are_no_speed() {
        let mut meter = Meter::default();
        meter.observe(at(0), 0, true);
        for step in 1..=40 {
            let (came, wrong) = (step * 5_000_000, (step - 1) * 5_000_000);
            meter.observe(at(step * 50), came - wrong, true);
        }
        assert!(meter.rate().unwrap() < 10_000, "{:?}", meter.rate());
    }

    #[test]
    fn a_stalled_edge_becomes_slow() {
        let mut meter = Meter::default();
        meter.observe(at(0), 0, true);
        for step in 1..=40 {
            meter.observe(at(step * 50), 500_000, true);
        }
        assert!(meter.rate().unwrap() < 1000, "{:?}", meter.rate());
    }

    #[test]
    fn a_slow_edge_that_was_left_alone_is_tried_again() {
        let mut meter = Meter::default();
        meter.observe(at(0), 0, true);
        meter.observe(at(1000), 1000, false);
        meter.observe(at(10_000), 1000, false);
        assert_eq!(meter.rate(), Some(1000));
        meter.observe(at(11_001), 1000, false);
        assert_eq!(meter.rate(), None);
    }

    #[test]
    fn a_fast_near_edge_is_expected_sooner() {
        let (mut near, mut far) = (Meter::default(), Meter::default());
        near.set_rtt(Duration::from_millis(1));
        far.set_rtt(Duration::from_millis(80));
        let of = |meter: &Meter, outstanding| meter.expected(outstanding, 1 << 20, RATE_UNKNOWN);
        assert!(of(&near, 0) < of(&far, 0));
        assert!(of(&near, 2 << 20) > of(&far, 0));
        far.set_queue(Duration::from_secs(1));
        assert!(of(&near, 2 << 20) < of(&far, 0));
    }
}
