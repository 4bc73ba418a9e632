//! How many handshakes a shard works on in a second.

use crate::bucket::{Bucket, Limit};
use crate::time::{Duration, Instant};

/// From this part of the handshakes allowed in a second on cookies are demanded (section 5).
const COOKIE_PART: u64 = 10;
/// How long a quiet shard may save up its share.
const SAVING: Duration = Duration::from_millis(500);
/// What a client that was put off is told to wait, at most: its patience is 10 s.
const PUT_OFF_MAX: Duration = Duration::from_secs(2);

/// What to do with a HELLO whose mac1 is right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HelloVerdict {
    /// Work on it.
    Work,
    /// Work on it only with a valid cookie.
    WithCookie,
    /// Too many: later, cookie or not.
    Later,
}

/// Two buckets of handshakes: one without cookies, one with.
#[derive(Debug)]
pub(in crate::session::server) struct HandshakeBudget {
    /// Time between two handshakes at the most.
    pace: Duration,
    /// Without cookies: of the same tokens a handshake takes [`COOKIE_PART`].
    free: Bucket,
    hard: Bucket,
    /// Up to when those who were put off have been told to come again, one after the other.
    booked: Instant,
}

impl HandshakeBudget {
    /// A full budget for so many handshakes a second.
    pub(in crate::session::server) fn new(per_second: u32, now: Instant) -> Self {
        let pace = (Duration::from_secs(1) / per_second.max(1)).max(Duration::from_nanos(1));
        let full = |take| Bucket::full(Limit::saving(per_second.max(1).into(), SAVING, take), now);
        Self { pace, free: full(COOKIE_PART), hard: full(1), booked: now }
    }

    /// Says what to do with a HELLO now.
    pub(super) fn verdict(&mut self, now: Instant) -> HelloVerdict {
        if !self.hard.has(now, 1) {
            HelloVerdict::Later
        } else if self.free.has(now, COOKIE_PART) {
            HelloVerdict::Work
        } else {
            HelloVerdict::WithCookie
        }
    }

    /// Notes that a handshake was worked on.
    pub(super) fn spend(&mut self) {
        self.free.spend(COOKIE_PART);
        self.hard.spend(1);
    }

    /// When a client that is put off now should come again: after those who were put off before.
    pub(super) fn put_off(&mut self, now: Instant) -> Duration {
        let turn = (self.booked.max(now) + self.pace).min(now + PUT_OFF_MAX);
        self.booked = turn;
        turn.saturating_since(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cookies_begin_at_a_tenth_and_beyond_the_whole_it_is_later() {
        let now = Instant::ZERO;
        let mut budget = HandshakeBudget::new(500, now);
        let mut verdicts = [0; 3];
        for _ in 0..400 {
            let verdict = budget.verdict(now);
            verdicts[verdict as usize] += 1;
            if verdict != HelloVerdict::Later {
                budget.spend();
            }
        }
        assert_eq!(verdicts, [25, 225, 150]);
        assert_eq!(budget.verdict(now + Duration::from_secs(1)), HelloVerdict::Work);
    }

    #[test]
    fn an_edge_of_one_handshake_a_minute_still_does_one() {
        let mut budget = HandshakeBudget::new(0, Instant::ZERO);
        assert_eq!(budget.verdict(Instant::ZERO), HelloVerdict::Work);
        budget.spend();
        assert_eq!(budget.verdict(Instant::ZERO), HelloVerdict::Later);
    }

    #[test]
    fn those_who_are_put_off_come_one_after_the_other() {
        let mut budget = HandshakeBudget::new(10, Instant::ZERO);
        let waits = [0; 3].map(|_| budget.put_off(Instant::ZERO).as_millis());
        assert_eq!(waits, [100, 200, 300]);
        let last = (0..100).map(|_| budget.put_off(Instant::ZERO)).last();
        assert_eq!(last, Some(PUT_OFF_MAX));
        let later = Instant::ZERO + Duration::from_secs(10);
        assert_eq!(budget.put_off(later).as_millis(), 100);
    }
}
