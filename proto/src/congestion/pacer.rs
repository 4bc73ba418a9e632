//! When the next train may leave, and how long a train may be.

use super::units::{bytes_in, time_for};
use crate::limits::{TRAIN_DATAGRAMS_MAX, TRAIN_MAX};
use crate::time::{Duration, Instant};

/// A train carries at most what the rate carries in a quarter of the round trip, within these bounds: at most
/// 1 ms (DESIGN.md section 5), so that a train is a small part of what a short path and its queue can hold; at least
/// 250 µs, so that GSO pays: from 2.1 Gbit/s on, trains are full on any path.
const TRAIN_TIME: (Duration, Duration) = (Duration::from_micros(250), Duration::from_millis(1));
/// A train that leaves late (timers, a busy shard) does not push back those after it by more than this: up to
/// so much sending time is made good, so that lateness does not lower the rate.
pub(super) const CATCH_UP: Duration = Duration::from_millis(1);
/// A train that stood ready while others had their turns pushes back those after it by nothing, up to this: a shard with
/// a thousand sessions comes round in some 13 ms, and each of them keeps its rate by longer trains.
const WAITED_MAX: Duration = Duration::from_millis(16);

/// Spaces trains at a rate.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pacer {
    next: Instant,
}

impl Pacer {
    pub(super) fn new(now: Instant) -> Self {
        Self { next: now }
    }

    /// When the next train may leave.
    pub(super) fn next(&self) -> Instant {
        self.next
    }

    /// `bytes` left at `now`, after having `waited` for others, and take their time at `rate` (bytes/s).
    pub(super) fn on_sent(&mut self, now: Instant, bytes: u64, rate: u64, waited: Duration) {
        self.next = self.next.max(now - made_good(waited)) + time_for(bytes, rate);
    }

    /// How late a train is that leaves now after having `waited` for others, as far as that is made good.
    pub(super) fn late(&self, now: Instant, waited: Duration) -> Duration {
        now.saturating_since(self.next).min(made_good(waited))
    }

    /// The rate changed for the better: do not sit out a wait that was set for a lower one.
    pub(super) fn shorten(&mut self, now: Instant, longest: Duration) {
        self.next = self.next.min(now + longest);
    }
}

fn made_good(waited: Duration) -> Duration {
    waited.clamp(CATCH_UP, WAITED_MAX)
}

/// The longest train (bytes, a whole number of datagrams, at least one) at `rate`
/// over a path of round trip `rtt`, that leaves `late` after its time: what pacing makes good goes with it in one
/// train, not in several that follow each other at once. So a shard that is busy sends fewer and longer trains.
pub(super) fn train_bytes(rate: u64, rtt: Duration, late: Duration, datagram: usize) -> usize {
    let by_size = (TRAIN_MAX / datagram).min(TRAIN_DATAGRAMS_MAX);
    let usual = (rtt / 4).clamp(TRAIN_TIME.0, TRAIN_TIME.1);
    let time = (usual + late).min(TRAIN_TIME.1.max(late));
    let by_time = bytes_in(rate, time) / datagram as u64;
    (by_time.min(by_size as u64) as usize).max(1) * datagram
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trains_are_a_millisecond_of_the_rate_within_the_bounds_of_gso() {
        const ON_TIME: Duration = Duration::ZERO;
        let long = Duration::from_millis(40);
        assert_eq!(train_bytes(0, long, ON_TIME, 1200), 1200);
        assert_eq!(train_bytes(12_500_000, long, ON_TIME, 1200), 10 * 1200);
        assert_eq!(train_bytes(12_500_000, Duration::from_millis(1), ON_TIME, 1200), 2 * 1200);
        assert_eq!(train_bytes(270_000_000, Duration::ZERO, ON_TIME, 1200), 54 * 1200);
        assert_eq!(train_bytes(u64::MAX, long, ON_TIME, 1000), 64 * 1000);
        assert_eq!(train_bytes(u64::MAX, long, ON_TIME, 8952), 7 * 8952);
    }

    #[test]
    fn a_late_train_takes_along_what_pacing_makes_good() {
        let (short, half) = (Duration::from_micros(100), Duration::from_micros(500));
        let train = |late| train_bytes(80_000_000, short, late, 1000);
        assert_eq!(train(Duration::ZERO), 20_000);
        assert_eq!(train(half), 60_000);
        assert_eq!(train(half * 2), 64_000);
        assert_eq!(train_bytes(40_000_000, short, half * 2, 1000), 40_000, "a millisecond in all");
        assert_eq!(train_bytes(5_000_000, short, half * 20, 1000), 50_000, "it waited for others");
    }

    #[test]
    fn lateness_is_made_good_but_idleness_is_not() {
        let at = |ms: u64| Instant::from_nanos(ms * 1_000_000);
        let mut pacer = Pacer::new(at(0));
        pacer.on_sent(at(0), 10_000, 1_000_000, Duration::ZERO);
        assert_eq!(pacer.next(), at(10));
        pacer.on_sent(at(11), 10_000, 1_000_000, Duration::ZERO);
        assert_eq!(pacer.next(), at(20));
        pacer.on_sent(at(500), 10_000, 1_000_000, Duration::ZERO);
        assert_eq!(pacer.next(), at(509));
        pacer.on_sent(at(600), 10_000, 1_000_000, Duration::from_millis(5));
        assert_eq!(pacer.next(), at(605));
        assert_eq!(pacer.late(at(700), Duration::from_millis(90)), WAITED_MAX);
    }
}
