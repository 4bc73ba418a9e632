//! When to try again what an edge refused, or a session that it ended (docs/protocol, section 14).

use crate::time::{Duration, Instant};

/// The wait after the first refusal; doubled after each one in a row …
const FIRST: Duration = Duration::from_millis(100);
/// … up to this.
const LAST: Duration = Duration::from_secs(2);
/// The edge's word counts up to this: one that is wrong must not stop a client for good.
const WORD_MAX: Duration = Duration::from_secs(60);
/// Up to this part of the wait is added at random, so that those who were refused together do not come again together.
const JITTER: u64 = 4;

/// Waits that grow while an edge goes on refusing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Backoff {
    in_a_row: u32,
    until: Instant,
}

impl Backoff {
    /// Something was refused; gives when to try again: never before `retry_after`. What was asked for before an earlier
    /// refusal was known counts as one with it. `random`: any number, fresh each time.
    pub fn refused(&mut self, now: Instant, retry_after: Duration, random: u32) -> Instant {
        let waiting = now < self.until;
        self.in_a_row += u32::from(!waiting);
        let doublings = self.in_a_row.saturating_sub(1).min(10);
        let grown = (FIRST * (1 << doublings)).min(LAST);
        let wait = retry_after.min(WORD_MAX).max(if waiting { Duration::ZERO } else { grown });
        let nanos = u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX);
        let jitter = (u128::from(nanos / JITTER) * u128::from(random)) >> 32;
        let at = now + wait + Duration::from_nanos(u64::try_from(jitter).unwrap_or(0));
        self.until = self.until.max(at);
        self.until
    }

    /// The edge gave what was asked for: the next refusal is a first one.
    pub fn served(&mut self) {
        self.in_a_row = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    #[test]
    fn waits_double_up_to_two_seconds_and_begin_anew_after_a_success() {
        let (mut backoff, mut now, mut waits) = (Backoff::default(), Instant::ZERO, Vec::new());
        for _ in 0..7 {
            let at = backoff.refused(now, Duration::ZERO, 0);
            waits.push(at.saturating_since(now).as_millis());
            now = at;
        }
        assert_eq!(waits, [100, 200, 400, 800, 1600, 2000, 2000]);
        backoff.served();
        assert_eq!(backoff.refused(now, Duration::ZERO, 0), now + MS(100));
    }

    #[test]
    fn nobody_comes_sooner_than_he_was_told_and_nobody_much_later() {
        for random in [0, 1, u32::MAX / 2, u32::MAX] {
            let at = Backoff::default().refused(Instant::ZERO, MS(700), random);
            let wait = at.saturating_since(Instant::ZERO);
            assert!(wait >= MS(700) && wait < MS(875), "{wait:?}");
        }
        let far = Backoff::default().refused(Instant::ZERO, Duration::MAX, u32::MAX);
        assert!(far.saturating_since(Instant::ZERO) <= MS(75_000));
    }

    #[test]
    fn refusals_of_one_flight_count_once() {
        let mut backoff = Backoff::default();
        for _ in 0..10 {
            assert_eq!(backoff.refused(Instant::ZERO, Duration::ZERO, 0), Instant::ZERO + MS(100));
        }
        let longer = backoff.refused(Instant::ZERO, MS(300), 0);
        assert_eq!(longer, Instant::ZERO + MS(300));
        assert_eq!(backoff.refused(longer, Duration::ZERO, 0), longer + MS(200));
    }
}
