//! When a set's channels are closed since most of its members lose much of what they bring (RFC 8084).

use crate::time::{Duration, Instant};

/// So often in a row members must lose much.
const STRIKES: u8 = 2;
/// The channels stay closed for this, doubled each time …
const PAUSE: Duration = Duration::from_secs(30);
/// … up to this. Who loses little for as long after a pause begins anew.
const PAUSE_MAX: Duration = Duration::from_secs(600);

/// The circuit breaker of one set.
#[derive(Debug)]
pub(super) struct Breaker {
    strikes: u8,
    pause: Duration,
    open_until: Instant,
}

impl Breaker {
    pub(super) fn new() -> Self {
        Self { strikes: 0, pause: PAUSE, open_until: Instant::ZERO }
    }

    /// Whether nothing may be sent to groups.
    pub(super) fn is_open(&self, now: Instant) -> bool {
        now < self.open_until
    }

    /// A look at what members lose; whether the channels are to be closed now.
    pub(super) fn is_tripped(&mut self, now: Instant, is_lossy: bool) -> bool {
        self.strikes = if is_lossy { self.strikes + 1 } else { 0 };
        if self.strikes < STRIKES {
            return false;
        }
        if now > self.open_until + PAUSE_MAX {
            self.pause = PAUSE;
        }
        self.strikes = 0;
        self.open_until = now + self.pause;
        self.pause = (self.pause * 2).min(PAUSE_MAX);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seconds for which it opens when members lose much from now on; goes on to when it is closed again.
    fn pause(breaker: &mut Breaker, now: &mut Instant) -> u64 {
        assert!(!breaker.is_tripped(*now, true), "once is not enough");
        assert!(breaker.is_tripped(*now, true) && breaker.is_open(*now));
        let begun = *now;
        while breaker.is_open(*now) {
            *now += Duration::from_secs(1);
        }
        now.saturating_since(begun).as_secs()
    }

    #[test]
    fn it_opens_for_longer_each_time_until_all_was_well_for_long() {
        let (mut breaker, mut now) = (Breaker::new(), Instant::from_nanos(1));
        assert!(!breaker.is_tripped(now, true) && !breaker.is_tripped(now, false));
        let pauses: Vec<_> = (0..6).map(|_| pause(&mut breaker, &mut now)).collect();
        assert_eq!(pauses, [30, 60, 120, 240, 480, 600]);
        now += Duration::from_secs(590);
        assert_eq!(pause(&mut breaker, &mut now), 600);
        now += Duration::from_secs(601);
        assert_eq!(pause(&mut breaker, &mut now), 30);
    }
}
