//! How fast a session may ask.

use crate::time::{Duration, Instant};

/// Whether a session asks too fast.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::session::server) enum Pace {
    /// It does not.
    Right,
    /// It does; so long until it may ask again.
    TooFast(Duration),
    /// It does although it was told so as often as it may ask in a second.
    Flood,
}

/// Requests a session may make: a bucket of one second's worth, and as much debt.
#[derive(Clone, Copy, Debug)]
pub(in crate::session::server) struct RequestBucket {
    /// Below 0: debt.
    tokens: i64,
    at: Instant,
}

impl RequestBucket {
    pub(in crate::session::server) fn new(per_second: u32, now: Instant) -> Self {
        Self { tokens: i64::from(per_second), at: now }
    }

    /// Takes one token, on credit when there is none.
    pub(in crate::session::server) fn take(&mut self, per_second: u32, now: Instant) -> Pace {
        let most = i64::from(per_second);
        let nanos = now.saturating_since(self.at).as_nanos().min(2_000_000_000) as u64;
        let earned = (nanos * u64::from(per_second) / 1_000_000_000) as i64;
        if earned > 0 {
            self.tokens = (self.tokens + earned).min(most);
            self.at = now;
        }
        self.tokens = (self.tokens - 1).max(-most - 1);
        match self.tokens {
            0.. => Pace::Right,
            debt if debt < -most => Pace::Flood,
            debt => {
                let nanos = debt.unsigned_abs() * 1_000_000_000 / u64::from(per_second.max(1));
                Pace::TooFast(Duration::from_nanos(nanos))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_refills_at_its_rate() {
        let mut bucket = RequestBucket::new(10, Instant::ZERO);
        let mut take = |at| bucket.take(10, Instant::ZERO + Duration::from_millis(at));
        assert!((0..10).all(|_| take(0) == Pace::Right));
        assert_eq!(take(0), Pace::TooFast(Duration::from_millis(100)));
        assert_eq!(
            (take(100), take(199)),
            (Pace::TooFast(Duration::from_millis(100)), Pace::TooFast(Duration::from_millis(200)))
        );
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
}
