//! HELLOs that were refused lately, and by what: the same one again costs a look, and no Diffie–Hellman.

use std::collections::{BTreeMap, VecDeque};

use crate::handshake::WELCOME_LEN;
use crate::limits::PENDING_TIME;
use crate::time::Instant;

/// How many are remembered, some 150 bytes each; the oldest is forgotten.
const REFUSED_MAX: usize = 1024;

/// A refusing WELCOME.
type Packet = [u8; WELCOME_LEN];

/// The refusals of a shard, by the mac1 of their HELLOs. Each is remembered for as long as a handshake is pending.
#[derive(Default)]
pub(in crate::session::server) struct Refusals {
    by_hello: BTreeMap<[u8; 16], Packet>,
    /// In the order of their end.
    ends: VecDeque<(Instant, [u8; 16])>,
}

impl Refusals {
    /// The WELCOME that refused the HELLO with this mac1. To whatever address it goes, only its client can read it, and
    /// it begins nothing.
    pub(super) fn find(&mut self, now: Instant, mac1: &[u8; 16]) -> Option<&Packet> {
        while self.ends.front().is_some_and(|(end, _)| *end <= now) {
            self.forget_oldest();
        }
        self.by_hello.get(mac1)
    }

    /// Remembers one.
    pub(super) fn insert(&mut self, now: Instant, mac1: [u8; 16], packet: Packet) {
        if self.by_hello.insert(mac1, packet).is_none() {
            self.ends.push_back((now + PENDING_TIME, mac1));
        }
        if self.ends.len() > REFUSED_MAX {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        if let Some((_, mac1)) = self.ends.pop_front() {
            self.by_hello.remove(&mac1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_is_forgotten_and_none_outlives_its_time() {
        let (mut refusals, now) = (Refusals::default(), Instant::ZERO);
        let mac1 = |number: usize| [(number % 256) as u8, (number / 256) as u8].repeat(8);
        let mac1 = |number| <[u8; 16]>::try_from(mac1(number)).unwrap();
        for number in 0..=REFUSED_MAX {
            refusals.insert(now, mac1(number), [number as u8; WELCOME_LEN]);
        }
        assert_eq!(refusals.find(now, &mac1(0)), None);
        assert_eq!(refusals.find(now, &mac1(1)), Some(&[1; WELCOME_LEN]));
        assert_eq!((refusals.by_hello.len(), refusals.ends.len()), (REFUSED_MAX, REFUSED_MAX));
        assert_eq!(refusals.find(now + PENDING_TIME, &mac1(1)), None);
        assert_eq!((refusals.by_hello.len(), refusals.ends.len()), (0, 0));
    }
}
