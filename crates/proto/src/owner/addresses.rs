//! Group addresses: which an edge may use, and which of them a shard has in use.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::collections::BTreeSet;

use rand_core::RngCore;

/// Neighbouring group addresses, source-specific ones (RFC 4607), of one family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupRange {
    /// The lowest.
    pub first: IpAddr,
    /// How many.
    pub count: u32,
}

impl GroupRange {
    /// How many of them one of `shards` may use.
    #[must_use]
    pub fn share(&self, shard: u8, shards: u8) -> u32 {
        self.count.saturating_sub(shard.into()).div_ceil(shards.max(1).into())
    }

    fn at(&self, offset: u32) -> IpAddr {
        match self.first {
            IpAddr::V4(first) => Ipv4Addr::from_bits(first.to_bits().wrapping_add(offset)).into(),
            IpAddr::V6(first) => {
                Ipv6Addr::from_bits(first.to_bits().wrapping_add(offset.into())).into()
            }
        }
    }
}

/// What one shard uses of a range: every so many-th address, so that no two shards have the same.
#[derive(Debug)]
pub(super) struct Addresses {
    range: GroupRange,
    shard: u8,
    shards: u8,
    used: BTreeSet<u32>,
}

impl Addresses {
    pub(super) fn new(range: GroupRange, shard: u8, shards: u8) -> Self {
        Self { range, shard, shards: shards.max(1), used: BTreeSet::new() }
    }

    /// A random address that is free, and its number.
    pub(super) fn take(&mut self, random: &mut impl RngCore) -> Option<(u32, IpAddr)> {
        let count = self.range.share(self.shard, self.shards);
        if self.used.len() >= count as usize {
            return None;
        }
        let start = random.next_u32() % count;
        let free = (start..count).chain(0..start).find(|number| !self.used.contains(number))?;
        self.used.insert(free);
        Some((free, self.range.at(free * u32::from(self.shards) + u32::from(self.shard))))
    }

    pub(super) fn give_back(&mut self, number: u32) {
        self.used.remove(&number);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    use super::*;

    fn range(first: &str, count: u32) -> GroupRange {
        GroupRange { first: first.parse().unwrap(), count }
    }

    #[test]
    fn shards_use_every_address_once_and_none_twice() {
        for first in ["232.7.1.0", "ff3e::8000:100"] {
            let range = range(first, 16);
            let mut random = ChaCha20Rng::from_seed([1; 32]);
            let mut taken = BTreeSet::new();
            for shard in 0..3 {
                let mut addresses = Addresses::new(range, shard, 3);
                while let Some((_, address)) = addresses.take(&mut random) {
                    assert!(taken.insert(address), "{address} twice");
                }
            }
            assert_eq!(taken.len(), 16);
            assert_eq!(taken.first().map(ToString::to_string).as_deref(), Some(first));
        }
    }

    #[test]
    fn an_address_that_was_given_back_is_taken_again() {
        let mut random = ChaCha20Rng::from_seed([2; 32]);
        let mut addresses = Addresses::new(range("232.7.1.9", 1), 0, 1);
        let (number, address) = addresses.take(&mut random).unwrap();
        assert_eq!(addresses.take(&mut random), None);
        addresses.give_back(number);
        assert_eq!(addresses.take(&mut random), Some((number, address)));
        let mut none = Addresses::new(range("232.7.1.9", 1), 1, 2);
        assert_eq!(none.take(&mut random), None, "fewer addresses than shards");
    }
}
