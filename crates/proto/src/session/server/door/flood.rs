//! How many HELLOs a shard looks at in a second, whatever becomes of them. Those beyond are dropped unread, before any
//! hash: a flood must not take the time of open sessions.
//!
//! HELLOs without a cookie come from strangers; to receive one, read it, answer it with a COOKIE and send that costs some
//! 16 µs (`segcast-bench hostile`). Those with one have an allowance of their own, since a wrong cookie costs a hash
//! and gets no answer: who has once been given a cookie gets in however many strangers there are. Of the strangers' allowance one
//! half is for all, the other for networks that asked for little of it, so that who floods from few networks keeps out nobody but them.

use core::net::IpAddr;

use crate::bucket::{Bucket, Level, Limit};
use crate::time::Instant;

/// Strangers looked at in a second, at least: at 16 µs a fifteenth of a shard's time.
const STRANGERS_MIN: u64 = 4_000;
/// Strangers for each handshake that a shard may work on: its client, who asks twice.
const STRANGERS_FOR_A_HANDSHAKE: u64 = 2;
/// HELLOs with a cookie looked at in a second, at least: at 3 µs for a wrong one a twentieth of a shard's time.
const RETURNING_MIN: u64 = 16_000;
/// HELLOs with a cookie for each handshake that a shard may work on: its client's, and seven wrong ones.
const RETURNING_FOR_A_HANDSHAKE: u64 = 8;
/// Looked at in a burst, when there were few before: this part of a second's worth.
const BURST_PART: u64 = 10;
/// Networks that are told apart, 16 bytes each.
const NETWORKS: usize = 256;
/// One network may have this part of the strangers' allowance once half of it is used up.
const NETWORK_PART: u64 = 16;

/// The allowances of a shard.
#[derive(Clone, Debug)]
pub(in crate::session::server) struct HelloLimiter {
    strangers: Bucket,
    returning: Bucket,
    /// What one network may have of the strangers' bucket, and what each has left of it.
    share: Limit,
    networks: Box<[Level; NETWORKS]>,
    /// Secret and odd: multiply-shift hashing (Dietzfelbinger et al. 1997).
    multiplier: u64,
}

impl HelloLimiter {
    /// For a shard that may work on so many handshakes a second. `random`: 64 random bits.
    pub(in crate::session::server) fn new(
        handshakes_per_second: u32,
        random: u64,
        now: Instant,
    ) -> Self {
        let wanted = |each: u64, least: u64| (u64::from(handshakes_per_second) * each).max(least);
        let strangers = wanted(STRANGERS_FOR_A_HANDSHAKE, STRANGERS_MIN);
        let returning = wanted(RETURNING_FOR_A_HANDSHAKE, RETURNING_MIN);
        let share = limit(strangers / NETWORK_PART);
        Self {
            strangers: Bucket::full(limit(strangers), now),
            returning: Bucket::full(limit(returning), now),
            share,
            networks: Box::new([Level::full(&share, now); NETWORKS]),
            multiplier: random | 1,
        }
    }

    /// Whether a HELLO without a cookie, from this address, may be looked at.
    pub(super) fn take_stranger(&mut self, now: Instant, from: IpAddr) -> bool {
        let network = (network(from).wrapping_mul(self.multiplier) >> 56) as usize % NETWORKS;
        let plenty = self.strangers.is_half_full(now);
        let mut shared = || self.networks[network].take(&self.share, now, 1);
        self.strangers.has(now, 1) && (plenty || shared()) && self.strangers.take(now, 1)
    }

    /// Whether a HELLO with a cookie may be looked at.
    pub(super) fn take_returning(&mut self, now: Instant) -> bool {
        self.returning.take(now, 1)
    }
}

/// The network of an address: /24 of IPv4, /56 of IPv6, what one customer of a provider usually has.
fn network(address: IpAddr) -> u64 {
    match address.to_canonical() {
        IpAddr::V4(v4) => u64::from(v4.to_bits() >> 8),
        IpAddr::V6(v6) => (v6.to_bits() >> 72) as u64,
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

    fn address(network: u32) -> IpAddr {
        IpAddr::V4((network << 8 | 7).into())
    }

    /// How many of `count` HELLOs, so many microseconds after each other, are looked at.
    fn taken(count: u64, micros: u64, mut take: impl FnMut(u64, Instant) -> bool) -> u64 {
        let at = |n: u64| Instant::ZERO + Duration::from_micros(micros * n);
        (0..count).filter(|&n| take(n, at(n))).count() as u64
    }

    #[test]
    fn a_burst_is_looked_at_and_then_the_rate() {
        let mut limiter = HelloLimiter::new(2000, RANDOM, Instant::ZERO);
        let mut taken = |at: Instant| (0..5000).filter(|_| limiter.take_returning(at)).count();
        assert_eq!(taken(Instant::ZERO), 1600);
        assert_eq!(taken(Instant::ZERO + Duration::from_millis(10)), 160);
        assert_eq!(taken(Instant::ZERO + Duration::from_secs(60)), 1600);
    }

    #[test]
    #[cfg_attr(miri, ignore = "a million steps")]
    fn a_steady_flood_gets_its_rate() {
        for (handshakes, strangers, returning) in
            [(1, 4_000, 16_000), (2000, 4_000, 16_000), (5000, 10_000, 40_000)]
        {
            // 100 000 a second for ten seconds.
            let mut limiter = HelloLimiter::new(handshakes, RANDOM, Instant::ZERO);
            let got = taken(1_000_000, 10, |n, at| limiter.take_stranger(at, address(n as u32)));
            assert!(got.abs_diff(strangers / 10 + 10 * strangers) <= 1, "{got} strangers");
            let got = taken(1_000_000, 10, |_, at| limiter.take_returning(at));
            assert!(got.abs_diff(returning / 10 + 10 * returning) <= 1, "{got} with cookies");
        }
    }

    #[test]
    #[cfg_attr(miri, ignore = "a million steps")]
    fn a_flood_from_one_network_takes_what_nobody_else_wants_and_keeps_out_nobody() {
        let mut limiter = HelloLimiter::new(2000, RANDOM, Instant::ZERO);
        let (mut newcomers, mut refused) = (0, 0);
        let flood = taken(1_000_000, 10, |n, at| {
            // One newcomer each millisecond, from a network of its own.
            if n % 100 == 0 {
                newcomers += 1;
                refused += u64::from(!limiter.take_stranger(at, address(1000 + n as u32)));
            }
            limiter.take_stranger(at, address(5))
        });
        assert!(newcomers == 10_000 && refused < 100, "{refused} of {newcomers} refused");
        assert!((29_000..=32_000).contains(&flood), "{flood} of the flood");
    }

    #[test]
    fn a_network_alone_may_have_all() {
        let mut limiter = HelloLimiter::new(2000, RANDOM, Instant::ZERO);
        // 3000 a second, as when a test of a whole site begins.
        let got = taken(30_000, 333, |_, at| limiter.take_stranger(at, address(5)));
        assert_eq!(got, 30_000);
    }

    #[test]
    fn networks_are_what_a_customer_has() {
        let of = |text: &str| network(text.parse().unwrap());
        assert_eq!(of("192.0.2.1"), of("192.0.2.255"));
        assert_eq!(of("192.0.2.1"), of("::ffff:192.0.2.9"));
        assert_ne!(of("192.0.2.1"), of("192.0.3.1"));
        assert_eq!(of("2001:db8:0:1200::1"), of("2001:db8:0:12ff::1"));
        assert_ne!(of("2001:db8:0:1200::1"), of("2001:db8:0:1300::1"));
    }
}
