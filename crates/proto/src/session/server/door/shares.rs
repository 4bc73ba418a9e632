//! An allowance of which one half is for all, and the other for networks that asked for little of it: who takes much from
//! few networks keeps out nobody but them.

use core::net::IpAddr;

use crate::bucket::{Bucket, Level, Limit};
use crate::time::Instant;

/// Networks that are told apart, 16 bytes each.
const NETWORKS: usize = 256;
/// One network may have this part of the allowance once half of it is used up.
pub(super) const NETWORK_PART: u64 = 16;

/// A bucket, and what each network has left of its share.
#[derive(Clone, Debug)]
pub(super) struct SharedBucket {
    all: Bucket,
    share: Limit,
    networks: Box<[Level; NETWORKS]>,
    /// Secret and odd: multiply-shift hashing (Dietzfelbinger et al. 1997).
    multiplier: u64,
}

impl SharedBucket {
    /// A full one: `limit` for all, `share` for one network. `random`: 64 random bits.
    pub(super) fn full(limit: Limit, share: Limit, random: u64, now: Instant) -> Self {
        Self {
            all: Bucket::full(limit, now),
            share,
            networks: Box::new([Level::full(&share, now); NETWORKS]),
            multiplier: random | 1,
        }
    }

    /// Whether there are `tokens` for anyone at all.
    pub(super) fn has(&mut self, now: Instant, tokens: u64) -> bool {
        self.all.has(now, tokens)
    }

    /// Whether there are `tokens` for this address.
    pub(super) fn has_for(&mut self, now: Instant, from: IpAddr, tokens: u64) -> bool {
        let place = self.place(from);
        self.has(now, tokens)
            && (self.all.is_half_full(now) || self.networks[place].has(&self.share, now, tokens))
    }

    /// Takes `tokens` for this address, if there are so many.
    pub(super) fn take(&mut self, now: Instant, from: IpAddr, tokens: u64) -> bool {
        let may = self.has_for(now, from, tokens);
        if may {
            self.spend(now, from, tokens);
        }
        may
    }

    /// Takes `tokens`, or what there is.
    pub(super) fn spend(&mut self, now: Instant, from: IpAddr, tokens: u64) {
        if !self.all.is_half_full(now) {
            let place = self.place(from);
            self.networks[place].spend(tokens);
        }
        self.all.spend(tokens);
    }

    fn place(&self, from: IpAddr) -> usize {
        (network(from).wrapping_mul(self.multiplier) >> 56) as usize % NETWORKS
    }
}

/// The network of an address: /24 of IPv4, /56 of IPv6, what one customer of a provider usually has.
pub(super) fn network(address: IpAddr) -> u64 {
    match address.to_canonical() {
        IpAddr::V4(v4) => u64::from(v4.to_bits() >> 8),
        IpAddr::V6(v6) => (v6.to_bits() >> 72) as u64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Duration;

    fn bucket() -> SharedBucket {
        let share = Limit::new(4_000 / NETWORK_PART, 400 / NETWORK_PART);
        SharedBucket::full(Limit::new(4_000, 400), share, 0x9E37_79B9_7F4A_7C15, Instant::ZERO)
    }

    fn address(network: u32) -> IpAddr {
        IpAddr::V4((network << 8 | 7).into())
    }

    /// How many of `count` are taken, so many microseconds after each other.
    fn taken(count: u64, micros: u64, mut take: impl FnMut(u64, Instant) -> bool) -> u64 {
        let at = |n: u64| Instant::ZERO + Duration::from_micros(micros * n);
        (0..count).filter(|&n| take(n, at(n))).count() as u64
    }

    #[test]
    #[cfg_attr(miri, ignore = "a million steps")]
    fn a_flood_from_one_network_takes_what_nobody_else_wants_and_keeps_out_nobody() {
        let mut bucket = bucket();
        let (mut newcomers, mut refused) = (0, 0);
        let flood = taken(1_000_000, 10, |n, at| {
            // One newcomer each millisecond, from a network of its own.
            if n % 100 == 0 {
                newcomers += 1;
                refused += u64::from(!bucket.take(at, address(1000 + n as u32), 1));
            }
            bucket.take(at, address(5), 1)
        });
        assert!(newcomers == 10_000 && refused < 100, "{refused} of {newcomers} refused");
        assert!((29_000..=32_000).contains(&flood), "{flood} of the flood");
    }

    #[test]
    fn a_network_alone_may_have_all() {
        let mut bucket = bucket();
        // 3000 a second, as when a test of a whole site begins.
        assert_eq!(taken(30_000, 333, |_, at| bucket.take(at, address(5), 1)), 30_000);
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
