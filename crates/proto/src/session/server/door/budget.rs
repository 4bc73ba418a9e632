//! How many handshakes a shard works on in a second.

use core::net::IpAddr;

use super::shares::{NETWORK_PART, SharedBucket};
use crate::bucket::{Bucket, Limit};
use crate::time::{Duration, Instant};

/// What is counted: a handshake is read, then answered, by two Diffie–Hellmans each; not always by the same shard.
pub(super) const STEP: u64 = 1;
/// See [`STEP`].
pub(super) const HANDSHAKE: u64 = 2 * STEP;
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
    /// Too many of its network: later.
    LaterAlone,
    /// Too many: later, cookie or not.
    Later,
}

/// Two buckets of handshakes: one without cookies, one with, of which half is kept for networks that asked for little.
#[derive(Debug)]
pub(in crate::session::server) struct HandshakeBudget {
    /// Time between two handshakes at the most.
    pace: Duration,
    /// Without cookies: of the same tokens a handshake takes [`COOKIE_PART`].
    free: Bucket,
    hard: SharedBucket,
    /// Up to when those who were put off have been told to come again, one after the other.
    booked: Instant,
}

impl HandshakeBudget {
    /// A full budget for so many handshakes a second. `random`: 64 random bits.
    pub(in crate::session::server) fn new(per_second: u32, random: u64, now: Instant) -> Self {
        let pace = (Duration::from_secs(1) / per_second.max(1)).max(Duration::from_nanos(1));
        let steps = u64::from(per_second) * HANDSHAKE;
        let limit = |steps, take| Limit::saving(steps, SAVING, take);
        let (all, share) =
            (limit(steps, HANDSHAKE), limit(steps.div_ceil(NETWORK_PART), HANDSHAKE));
        Self {
            pace,
            free: Bucket::full(limit(steps, HANDSHAKE * COOKIE_PART), now),
            hard: SharedBucket::full(all, share, random, now),
            booked: now,
        }
    }

    /// Says what to do now with a HELLO from this address of which so many steps are left.
    pub(super) fn verdict(&mut self, now: Instant, from: IpAddr, steps: u64) -> HelloVerdict {
        if !self.hard.has(now, steps) {
            HelloVerdict::Later
        } else if !self.hard.has_for(now, from, steps) {
            HelloVerdict::LaterAlone
        } else if self.free.has(now, steps * COOKIE_PART) {
            HelloVerdict::Work
        } else {
            HelloVerdict::WithCookie
        }
    }

    /// Notes that a step was done.
    pub(super) fn spend_step(&mut self, now: Instant, from: IpAddr) {
        self.free.spend(STEP * COOKIE_PART);
        self.hard.spend(now, from, STEP);
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
    use core::net::Ipv4Addr;

    use super::*;

    const RANDOM: u64 = 0x9E37_79B9_7F4A_7C15;

    fn budget(per_second: u32) -> HandshakeBudget {
        HandshakeBudget::new(per_second, RANDOM, Instant::ZERO)
    }

    fn network(number: u32) -> IpAddr {
        Ipv4Addr::from_bits(number << 8).into()
    }

    /// Works on a HELLO, if the budget lets it.
    fn work(budget: &mut HandshakeBudget, now: Instant, from: IpAddr) -> HelloVerdict {
        let verdict = budget.verdict(now, from, HANDSHAKE);
        if matches!(verdict, HelloVerdict::Work | HelloVerdict::WithCookie) {
            budget.spend_step(now, from);
            budget.spend_step(now, from);
        }
        verdict
    }

    #[test]
    fn cookies_begin_at_a_tenth_and_beyond_the_whole_it_is_later() {
        let (mut budget, now) = (budget(500), Instant::ZERO);
        let mut verdicts = [0; 4];
        for number in 0..400 {
            verdicts[work(&mut budget, now, network(number)) as usize] += 1;
        }
        assert_eq!(verdicts, [25, 225, 0, 150]);
        let later = now + Duration::from_secs(1);
        assert_eq!(work(&mut budget, later, network(0)), HelloVerdict::Work);
    }

    #[test]
    fn one_network_leaves_a_half_to_the_others() {
        let (mut budget, now) = (budget(512), Instant::ZERO);
        let mut verdicts = [0; 4];
        for _ in 0..400 {
            verdicts[work(&mut budget, now, network(1)) as usize] += 1;
        }
        // Half of what is saved, and a sixteenth.
        assert_eq!(verdicts[..2].iter().sum::<u32>(), 128 + 16);
        assert_eq!(verdicts[HelloVerdict::LaterAlone as usize], 400 - 144);
        assert_eq!(work(&mut budget, now, network(2)), HelloVerdict::WithCookie);
    }

    #[test]
    fn an_edge_of_one_handshake_a_minute_still_does_one() {
        let (mut budget, now) = (budget(0), Instant::ZERO);
        assert_eq!(work(&mut budget, now, network(1)), HelloVerdict::Work);
        assert_eq!(work(&mut budget, now, network(1)), HelloVerdict::Later);
    }

    #[test]
    fn those_who_are_put_off_come_one_after_the_other() {
        let mut budget = budget(10);
        let waits = [0; 3].map(|_| budget.put_off(Instant::ZERO).as_millis());
        assert_eq!(waits, [100, 200, 300]);
        let last = (0..100).map(|_| budget.put_off(Instant::ZERO)).last();
        assert_eq!(last, Some(PUT_OFF_MAX));
        let later = Instant::ZERO + Duration::from_secs(10);
        assert_eq!(budget.put_off(later).as_millis(), 100);
    }
}
