//! How fast a session may ask.

use crate::bucket::{Level, Limit};
use crate::time::{Duration, Instant};

/// Whether a session asks too fast.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pace {
    /// It does not.
    Right,
    /// It does; after so long it may ask again, and is served.
    TooFast(Duration),
    /// It does although it was told so as often as it may ask in a second.
    Flood,
}

/// Requests a session may make: one second's worth that it saved, and as many on credit. The bucket holds both, so that
/// what is below its middle is debt.
#[derive(Clone, Copy, Debug)]
pub(super) struct RequestBucket(Level);

impl RequestBucket {
    pub(super) fn new(per_second: u32, now: Instant) -> Self {
        Self(Level::full(&limit(per_second), now))
    }

    /// Takes one token, on credit when none is saved.
    pub(super) fn take(&mut self, per_second: u32, now: Instant) -> Pace {
        let (limit, credit) = (limit(per_second), u64::from(per_second));
        if !self.0.take(&limit, now, 1) {
            return Pace::Flood;
        }
        if self.0.has(&limit, now, credit) {
            return Pace::Right;
        }
        // The token that it takes then, too: else it would come to pay its debt and be refused for that.
        Pace::TooFast(self.0.next_at(&limit, credit + 1).saturating_since(now))
    }
}

fn limit(per_second: u32) -> Limit {
    Limit::new(per_second.into(), 2 * u64::from(per_second))
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha20Rng;
    use rand_core::{RngCore, SeedableRng};

    use super::*;

    #[test]
    fn a_bucket_refills_at_its_rate() {
        let mut bucket = RequestBucket::new(10, Instant::ZERO);
        let mut take = |at| bucket.take(10, Instant::ZERO + Duration::from_millis(at));
        let too_fast = |millis| Pace::TooFast(Duration::from_millis(millis));
        assert!((0..10).all(|_| take(0) == Pace::Right));
        assert_eq!(take(0), too_fast(200));
        assert_eq!((take(100), take(199)), (too_fast(200), too_fast(201)));
        assert_eq!((take(700), take(700)), (Pace::Right, Pace::Right));
    }

    #[test]
    fn who_goes_on_asking_too_fast_is_a_flood() {
        let mut bucket = RequestBucket::new(10, Instant::ZERO);
        let mut take = |at| bucket.take(10, Instant::ZERO + Duration::from_secs(at));
        assert!((0..20).all(|_| take(0) != Pace::Flood));
        assert_eq!(take(0), Pace::Flood);
        assert_eq!(take(1), Pace::TooFast(Duration::from_millis(200)), "it pays its debt first");
        assert_eq!(take(9), Pace::Right);
    }

    #[test]
    fn who_comes_when_it_was_told_is_served() {
        for too_many in 1..=10 {
            let mut bucket = RequestBucket::new(10, Instant::ZERO);
            let last = (0..10 + too_many).map(|_| bucket.take(10, Instant::ZERO)).last();
            let Some(Pace::TooFast(wait)) = last else { panic!("{last:?} after {too_many}") };
            let (mut early, then) = (bucket, Instant::ZERO + wait);
            assert_ne!(early.take(10, then - Duration::from_nanos(1)), Pace::Right);
            assert_eq!(bucket.take(10, then), Pace::Right);
        }
    }

    /// Requests 11.5 ms apart on average, at random: each earns one token and a seventh, and none of it is lost.
    #[test]
    fn who_asks_below_the_limit_is_never_refused() {
        let mut bucket = RequestBucket::new(100, Instant::ZERO);
        let mut random = ChaCha20Rng::from_seed([9; 32]);
        let (mut now, mut asked) = (Instant::ZERO, 0);
        while now < Instant::ZERO + Duration::from_secs(120) {
            // Above 0, at most 1.
            let uniform = (f64::from(random.next_u32()) + 1.0) / 2.0_f64.powi(32);
            now += Duration::from_secs_f64(-uniform.ln() / 87.0);
            assert_eq!(bucket.take(100, now), Pace::Right, "request {asked} at {now:?}");
            asked += 1;
        }
        assert!((10_000..11_000).contains(&asked), "{asked} requests in two minutes");
    }
}
