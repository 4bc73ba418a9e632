//! Who joined a channel last.

use super::note::Member;
use crate::time::Instant;

/// So many are remembered: a segment is worth a group when one more than who asked lacks it, and who joined last lacks
/// the most.
const JOINERS_MAX: usize = 64;

/// The last members who joined, and when.
#[derive(Clone, Debug, Default)]
pub(super) struct Joiners {
    ring: Vec<(Member, Instant)>,
    /// The oldest, when it is full.
    oldest: usize,
}

impl Joiners {
    /// `member` listens from `now` on.
    pub(super) fn push(&mut self, member: Member, now: Instant) {
        if self.ring.len() < JOINERS_MAX {
            self.ring.push((member, now));
        } else {
            self.ring[self.oldest] = (member, now);
            self.oldest = (self.oldest + 1) % JOINERS_MAX;
        }
    }

    /// Whether `member` is among them and joined after `then`.
    pub(super) fn has_since(&self, member: Member, then: Instant) -> bool {
        self.since(then).any(|other| other == member)
    }

    /// Those who joined after `then`.
    pub(super) fn since(&self, then: Instant) -> impl Iterator<Item = Member> {
        self.ring.iter().filter(move |(_, joined)| *joined > then).map(|(member, _)| *member)
    }

    /// Takes in those of a channel that is closed into this one.
    pub(super) fn absorb(&mut self, other: &Self) {
        self.ring.extend_from_slice(&other.ring);
        self.ring.sort_unstable_by_key(|(_, joined)| *joined);
        self.ring.drain(..self.ring.len().saturating_sub(JOINERS_MAX));
        self.oldest = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::ReceiverIndex;

    fn member(slot: u32) -> Member {
        Member { shard: 0, session: ReceiverIndex::new(slot, 0) }
    }

    fn at(seconds: u64) -> Instant {
        Instant::from_nanos(seconds * 1_000_000_000)
    }

    #[test]
    fn the_last_sixty_four_are_known() {
        let mut joiners = Joiners::default();
        for slot in 0..100 {
            joiners.push(member(slot), at(slot.into()));
        }
        assert!(!joiners.has_since(member(35), Instant::ZERO));
        assert!(joiners.has_since(member(36), Instant::ZERO));
        assert_eq!(joiners.since(at(97)).count(), 2);
        let mut others = Joiners::default();
        others.push(member(200), at(98));
        others.push(member(201), at(3));
        joiners.absorb(&others);
        assert_eq!(joiners.since(Instant::ZERO).count(), JOINERS_MAX);
        assert!(joiners.has_since(member(200), at(97)) && !joiners.has_since(member(36), at(0)));
        joiners.push(member(300), at(300));
        assert!(joiners.has_since(member(99), at(0)) && !joiners.has_since(member(37), at(0)));
    }
}
