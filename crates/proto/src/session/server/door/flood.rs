//! How many HELLOs a shard looks at in a second, whatever becomes of them. Those beyond are dropped before the hash of
//! their mac1: a flood must not take the time of open sessions.
//!
//! HELLOs without a cookie come from strangers; to receive one, read it, answer it with a COOKIE and send that costs some
//! 16 µs (`segcast-bench hostile`). Those whose cookie is right have an allowance of their own: who has once been given a
//! cookie gets in however many strangers there are. Those whose cookie is wrong, which anyone can make, have a third, so
//! that they take nothing from either: a cookie is checked before all of this, by a hash of 34 bytes.

use core::net::IpAddr;

use super::shares::{NETWORK_PART, SharedBucket};
use crate::bucket::{Bucket, Limit};
use crate::time::Instant;

/// Strangers looked at in a second, at least: at 16 µs a fifteenth of a shard's time.
const STRANGERS_MIN: u64 = 4_000;
/// Strangers for each handshake that a shard may work on: its client, who asks twice.
const STRANGERS_FOR_A_HANDSHAKE: u64 = 2;
/// HELLOs with a right cookie looked at in a second, at least.
const PROVEN_MIN: u64 = 16_000;
/// HELLOs with a right cookie for each handshake that a shard may work on: its client's, and seven repeated ones.
const PROVEN_FOR_A_HANDSHAKE: u64 = 8;
/// HELLOs with a wrong cookie looked at in a second: of clients whose address changed, or whose edge began anew, since
/// they were given it.
const WRONG: u64 = 500;
/// Looked at in a burst, when there were few before: this part of a second's worth.
const BURST_PART: u64 = 10;

/// What the cookie of a HELLO says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CookieSays {
    /// Nothing: there is none.
    Nothing,
    /// It proves the address.
    Proven,
    /// It is not one of ours, or of another address or HELLO.
    Wrong,
}

/// The allowances of a shard.
#[derive(Clone, Debug)]
pub(in crate::session::server) struct HelloLimiter {
    strangers: SharedBucket,
    proven: SharedBucket,
    wrong: Bucket,
}

impl HelloLimiter {
    /// For a shard that may work on so many handshakes a second. `random`: 64 random bits.
    pub(in crate::session::server) fn new(
        handshakes_per_second: u32,
        random: u64,
        now: Instant,
    ) -> Self {
        let shared = |each: u64, least: u64| {
            let wanted = (u64::from(handshakes_per_second) * each).max(least);
            SharedBucket::full(limit(wanted), limit(wanted / NETWORK_PART), random, now)
        };
        Self {
            strangers: shared(STRANGERS_FOR_A_HANDSHAKE, STRANGERS_MIN),
            proven: shared(PROVEN_FOR_A_HANDSHAKE, PROVEN_MIN),
            wrong: Bucket::full(limit(WRONG), now),
        }
    }

    /// Whether a HELLO from this address, with this cookie, may be looked at.
    pub(super) fn take(&mut self, now: Instant, from: IpAddr, cookie: CookieSays) -> bool {
        match cookie {
            CookieSays::Nothing => self.strangers.take(now, from, 1),
            CookieSays::Proven => self.proven.take(now, from, 1),
            CookieSays::Wrong => self.wrong.take(now, 1),
        }
    }
}

/// So many HELLOs a second, and a part of them in a burst.
fn limit(per_second: u64) -> Limit {
    Limit::new(per_second, (per_second / BURST_PART).max(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Duration;

    const RANDOM: u64 = 0x9E37_79B9_7F4A_7C15;
    const KINDS: [CookieSays; 3] = [CookieSays::Nothing, CookieSays::Proven, CookieSays::Wrong];

    fn address(network: u32) -> IpAddr {
        IpAddr::V4((network << 8 | 7).into())
    }

    #[test]
    fn a_burst_is_looked_at_and_then_the_rate() {
        let mut limiter = HelloLimiter::new(2000, RANDOM, Instant::ZERO);
        let mut taken = |at: Instant| {
            (0..5000).filter(|&n| limiter.take(at, address(n), CookieSays::Proven)).count()
        };
        assert_eq!(taken(Instant::ZERO), 1600);
        assert_eq!(taken(Instant::ZERO + Duration::from_millis(10)), 160);
        assert_eq!(taken(Instant::ZERO + Duration::from_secs(60)), 1600);
    }

    #[test]
    #[cfg_attr(miri, ignore = "a million steps")]
    fn a_steady_flood_gets_its_rate_and_takes_nothing_from_the_others() {
        for (handshakes, rates) in
            [(1, [4_000, 16_000, 500]), (2000, [4_000, 16_000, 500]), (5000, [10_000, 40_000, 500])]
        {
            // 100 000 a second of each for ten seconds.
            let mut limiter = HelloLimiter::new(handshakes, RANDOM, Instant::ZERO);
            let mut got = [0_u64; 3];
            for n in 0..1_000_000 {
                let at = Instant::ZERO + Duration::from_micros(10 * n);
                for (kind, got) in KINDS.into_iter().zip(&mut got) {
                    *got += u64::from(limiter.take(at, address(n as u32), kind));
                }
            }
            for (got, rate) in got.into_iter().zip(rates) {
                assert!(got.abs_diff(rate / 10 + 10 * rate) <= 1, "{got} of {rate} a second");
            }
        }
    }
}
