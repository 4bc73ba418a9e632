//! When the next train may leave: the law of a path's sender, and with `EgressCap` of an edge's shards.
//!
//! It is a token bucket counted in time, with debt: a train leaves whole as soon as the time of those before it is over,
//! and pushes back the next by its own. What a [`Bucket`](crate::bucket::Bucket) saves up to its burst is here the
//! lateness that is made good, which may differ from train to train, as may the rate.

use crate::time::{Duration, Instant};

/// Spaces trains.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pacer {
    next: Instant,
}

impl Pacer {
    /// The first train may leave `now`.
    pub(crate) fn new(now: Instant) -> Self {
        Self { next: now }
    }

    /// When the next train may leave.
    pub(crate) fn next(&self) -> Instant {
        self.next
    }

    /// A train that `takes` so long left at `now`. Of its lateness as much as `made_good` does not push back the next.
    pub(crate) fn on_sent(&mut self, now: Instant, takes: Duration, made_good: Duration) {
        self.next = self.next.max(now - made_good) + takes;
    }

    /// How late a train is that leaves now, as far as that is made good.
    pub(crate) fn late(&self, now: Instant, made_good: Duration) -> Duration {
        now.saturating_since(self.next).min(made_good)
    }

    /// The rate changed for the better: do not sit out a wait that was set for a lower one.
    pub(crate) fn shorten(&mut self, now: Instant, longest: Duration) {
        self.next = self.next.min(now + longest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lateness_is_made_good_but_idleness_is_not() {
        let at = |ms: u64| Instant::from_nanos(ms * 1_000_000);
        let [short, long, takes] = [1, 5, 10].map(Duration::from_millis);
        let mut pacer = Pacer::new(at(0));
        pacer.on_sent(at(0), takes, short);
        assert_eq!(pacer.next(), at(10));
        pacer.on_sent(at(11), takes, short);
        assert_eq!(pacer.next(), at(20));
        pacer.on_sent(at(500), takes, short);
        assert_eq!(pacer.next(), at(509));
        pacer.on_sent(at(600), takes, long);
        assert_eq!(pacer.next(), at(605));
        assert_eq!((pacer.late(at(606), short), pacer.late(at(700), short)), (short, short));
        assert_eq!(pacer.late(at(600), short), Duration::ZERO);
    }
}
