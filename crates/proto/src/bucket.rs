//! The token bucket (RFC 2697): so many tokens a second, saved up to a burst.
//!
//! What is saved is counted in billionths of a token. A nanosecond then brings a whole number of them, as many as
//! tokens come in a second: nothing is lost however often one looks, and to fill a bucket takes no division.
//!
//! What is paced by bytes leaves whole trains on credit, at rates that change: that is [`Pacer`](crate::pacer::Pacer).

use crate::time::{Duration, Instant};

/// Parts of a token, and nanoseconds in a second.
const PARTS: u64 = 1_000_000_000;

/// How fast tokens come, and how many are saved at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limit {
    per_second: u64,
    /// In parts: at most 18 446 744 073 tokens.
    burst: u64,
}

impl Limit {
    /// `per_second` tokens, and `burst` saved.
    pub(crate) const fn new(per_second: u64, burst: u64) -> Self {
        Self { per_second, burst: burst.saturating_mul(PARTS) }
    }

    /// `per_second` tokens; saved is what comes in `time`, and at least one `take` of so many tokens.
    pub(crate) fn saving(per_second: u64, time: Duration, take: u64) -> Self {
        let earned = u128::from(per_second).saturating_mul(time.as_nanos());
        let earned = u64::try_from(earned).unwrap_or(u64::MAX);
        Self { per_second, burst: earned.max(take.saturating_mul(PARTS)) }
    }
}

/// One bucket with a limit of its own.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bucket {
    limit: Limit,
    level: Level,
}

impl Bucket {
    /// A full one.
    pub(crate) fn full(limit: Limit, now: Instant) -> Self {
        Self { limit, level: Level::full(&limit, now) }
    }

    /// Whether at least half of the burst is saved.
    pub(crate) fn is_half_full(&mut self, now: Instant) -> bool {
        self.level.fill(&self.limit, now);
        self.level.saved >= self.limit.burst / 2
    }

    /// Whether `tokens` could be taken now.
    pub(crate) fn has(&mut self, now: Instant, tokens: u64) -> bool {
        self.level.has(&self.limit, now, tokens)
    }

    /// Takes `tokens`, if there are so many.
    pub(crate) fn take(&mut self, now: Instant, tokens: u64) -> bool {
        self.level.take(&self.limit, now, tokens)
    }

    /// Takes `tokens`, or what there is.
    pub(crate) fn spend(&mut self, tokens: u64) {
        self.level.spend(tokens);
    }
}

/// How full a bucket is, apart from the [`Limit`] that it shares with many others: 16 bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Level {
    /// Parts of tokens, as of `at`.
    saved: u64,
    at: Instant,
}

impl Level {
    /// As much as is saved at most.
    pub(crate) fn full(limit: &Limit, now: Instant) -> Self {
        Self { saved: limit.burst, at: now }
    }

    /// Whether `tokens` could be taken now.
    pub(crate) fn has(&mut self, limit: &Limit, now: Instant, tokens: u64) -> bool {
        self.fill(limit, now);
        self.saved >= tokens.saturating_mul(PARTS)
    }

    /// Takes `tokens`, if there are so many.
    pub(crate) fn take(&mut self, limit: &Limit, now: Instant, tokens: u64) -> bool {
        let may = self.has(limit, now, tokens);
        if may {
            self.spend(tokens);
        }
        may
    }

    /// When there will be `tokens`, if none is taken meanwhile; [`Instant::FAR_FUTURE`] for more than are ever saved.
    pub(crate) fn next_at(&self, limit: &Limit, tokens: u64) -> Instant {
        let wanted = tokens.saturating_mul(PARTS);
        let missing = wanted.saturating_sub(self.saved);
        if missing == 0 {
            return self.at;
        }
        if wanted > limit.burst || limit.per_second == 0 {
            return Instant::FAR_FUTURE;
        }
        self.at + Duration::from_nanos(missing.div_ceil(limit.per_second))
    }

    /// Takes `tokens`, or what there is.
    pub(crate) fn spend(&mut self, tokens: u64) {
        self.saved = self.saved.saturating_sub(tokens.saturating_mul(PARTS));
    }

    fn fill(&mut self, limit: &Limit, now: Instant) {
        let nanos = now.as_nanos().saturating_sub(self.at.as_nanos());
        let earned = nanos.saturating_mul(limit.per_second);
        self.saved = self.saved.saturating_add(earned).min(limit.burst);
        self.at = self.at.max(now);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(nanos: u64) -> Instant {
        Instant::from_nanos(nanos)
    }

    #[test]
    fn fractions_of_a_token_are_kept_however_often_one_looks() {
        let limit = Limit::new(3, 1);
        let mut level = Level::full(&limit, at(0));
        assert!(level.take(&limit, at(0), 1));
        assert!((1..333_333_334).step_by(999_999).all(|nanos| !level.take(&limit, at(nanos), 1)));
        assert_eq!(level.next_at(&limit, 1), at(333_333_334));
        assert!(!level.has(&limit, at(333_333_333), 1) && level.take(&limit, at(333_333_334), 1));
    }

    #[test]
    fn extremes_saturate_and_what_never_comes_is_far_away() {
        let most = Limit::new(u64::MAX, u64::MAX);
        let mut level = Level::full(&most, at(0));
        level.spend(u64::MAX);
        assert!(level.has(&most, Instant::FAR_FUTURE, u64::MAX / PARTS));
        let none = Limit::new(0, 1);
        let mut empty = Level::full(&none, at(0));
        assert_eq!(empty.next_at(&none, 1), at(0));
        assert!(empty.take(&none, at(0), 1) && !empty.has(&none, Instant::FAR_FUTURE, 1));
        assert_eq!(empty.next_at(&none, 1), Instant::FAR_FUTURE);
        assert_eq!(empty.next_at(&Limit::new(5, 5), 6), Instant::FAR_FUTURE);
        assert_eq!(Limit::saving(1, Duration::from_millis(500), 10), Limit::new(1, 10));
        assert_eq!(Limit::saving(u64::MAX, Duration::MAX, 0), Limit::new(u64::MAX, u64::MAX));
    }

    #[test]
    fn a_bucket_may_be_overdrawn_only_to_nothing() {
        let mut bucket = Bucket::full(Limit::new(1000, 10), at(0));
        bucket.spend(5);
        assert!(bucket.is_half_full(at(0)) && bucket.has(at(0), 5));
        bucket.spend(6);
        assert!(!bucket.is_half_full(at(4_999_999)) && bucket.take(at(5_000_000), 5));
        assert!(!bucket.take(at(5_000_000), 1));
    }

    proptest! {
        /// The model: everything since the beginning in 128 bits.
        #[test]
        fn it_keeps_what_a_model_without_bounds_keeps(
            per_second in 0_u64..3_000_000_000,
            burst in 0_u64..10_000,
            steps in proptest::collection::vec((0_u64..2_000_000_000, 0_u64..5_000), 1..50),
        ) {
            let limit = Limit::new(per_second, burst);
            let (mut level, mut now) = (Level::full(&limit, at(0)), 0);
            let most = u128::from(burst) * u128::from(PARTS);
            let mut model = most;
            for (nanos, tokens) in steps {
                now += nanos;
                let wanted = u128::from(tokens) * u128::from(PARTS);
                model = (model + u128::from(nanos) * u128::from(per_second)).min(most);
                level.fill(&limit, at(now));
                prop_assert_eq!(u128::from(level.saved), model);
                let next = level.next_at(&limit, tokens);
                prop_assert_eq!(level.take(&limit, at(now), tokens), model >= wanted);
                prop_assert_eq!(next == at(now), model >= wanted);
                if model >= wanted {
                    model -= wanted;
                } else if next < Instant::FAR_FUTURE {
                    let [mut then, mut before] = [level; 2];
                    prop_assert!(then.has(&limit, next, tokens));
                    prop_assert!(!before.has(&limit, at(next.as_nanos() - 1), tokens));
                }
            }
        }
    }
}
