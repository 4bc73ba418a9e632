//! Timers of sessions, one for each slot: a hierarchical timing wheel (Varghese and Lauck 1987).
//!
//! Setting, moving and clearing one costs the same with ten sessions and with ten thousand, and allocates nothing: a
//! timer is a node by slot, linked into the bucket of its time. Times are rounded up to a tick, so none fires early.

use crate::time::Instant;

/// A tick is 2^14 ns, 16 µs: a fifteenth of the shortest train.
const TICK_SHIFT: u32 = 14;
/// Each level has 64 buckets, each as long as the whole level below: 1 ms, 67 ms, 4.3 s, 275 s, 4.9 h. What lies
/// beyond waits in the last bucket and is sorted in again.
const LEVELS: usize = 5;
const BUCKETS: usize = 64;
const BITS: u32 = BUCKETS.ilog2();
const NONE: u32 = u32::MAX;

/// One slot's timer.
#[derive(Clone, Copy, Debug)]
struct Node {
    /// The tick at which it fires.
    due: u64,
    next: u32,
    prev: u32,
    /// Level and bucket, or [`Node::UNSET`].
    bucket: u16,
}

impl Node {
    const UNSET: u16 = u16::MAX;
    const EMPTY: Self = Self { due: 0, next: NONE, prev: NONE, bucket: Self::UNSET };
}

/// The first bucket that is not empty.
struct First {
    level: usize,
    /// Its position in the level.
    at: usize,
    /// Its first tick.
    start: u64,
}

/// The timers of all slots.
#[derive(Debug)]
pub(super) struct Wheel {
    nodes: Vec<Node>,
    heads: [[u32; BUCKETS]; LEVELS],
    /// Which buckets are not empty.
    used: [u64; LEVELS],
    /// All ticks before this one have fired.
    tick: u64,
}

impl Default for Wheel {
    fn default() -> Self {
        let heads = [[NONE; BUCKETS]; LEVELS];
        Self { nodes: Vec::new(), heads, used: [0; LEVELS], tick: 0 }
    }
}

impl Wheel {
    /// Makes room for timers of slots below `slots`.
    pub(super) fn reserve(&mut self, slots: usize) {
        if slots > self.nodes.len() {
            self.nodes.resize(slots, Node::EMPTY);
        }
    }

    /// Sets the timer of `slot`, which must be below what was reserved, in place of the one it had.
    pub(super) fn set(&mut self, slot: u32, due: Instant) {
        let due = due.as_nanos().div_ceil(1 << TICK_SHIFT).max(self.tick);
        let Some(node) = self.nodes.get(slot as usize) else { return };
        if node.bucket != Node::UNSET && node.due == due {
            return;
        }
        self.clear(slot);
        self.nodes[slot as usize].due = due;
        self.link(slot);
    }

    /// Takes the timer of `slot` away.
    pub(super) fn clear(&mut self, slot: u32) {
        let Some(&Node { next, prev, bucket, .. }) = self.nodes.get(slot as usize) else { return };
        if bucket == Node::UNSET {
            return;
        }
        let (level, at) = (usize::from(bucket) / BUCKETS, usize::from(bucket) % BUCKETS);
        match self.nodes.get_mut(prev as usize) {
            Some(before) => before.next = next,
            None => self.heads[level][at] = next,
        }
        if let Some(after) = self.nodes.get_mut(next as usize) {
            after.prev = prev;
        }
        if self.heads[level][at] == NONE {
            self.used[level] &= !(1 << at);
        }
        self.nodes[slot as usize].bucket = Node::UNSET;
    }

    /// A slot whose timer is due; it has none any more.
    pub(super) fn pop_due(&mut self, now: Instant) -> Option<u32> {
        let now = now.as_nanos() >> TICK_SHIFT;
        while let Some(First { level, at, start }) = self.first() {
            if start > now {
                break;
            }
            // Nothing is due before the first bucket, so the wheel may turn to its start.
            self.tick = self.tick.max(start);
            let slot = self.heads[level][at];
            self.clear(slot);
            if self.nodes[slot as usize].due <= now {
                return Some(slot);
            }
            self.link(slot);
        }
        self.tick = self.tick.max(now);
        None
    }

    /// When to call [`Self::pop_due`]: no later than the earliest timer, perhaps sooner.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.first().map(|first| Instant::from_nanos(first.start << TICK_SHIFT))
    }

    /// The first bucket that is not empty; of several with one first tick the coarsest, whose timers may belong to the
    /// others.
    fn first(&self) -> Option<First> {
        let bucket = |level: usize| {
            let shift = BITS * level as u32;
            let now = self.tick >> shift;
            let ahead = self.used[level].rotate_right((now % BUCKETS as u64) as u32);
            let bucket = now + u64::from(ahead.trailing_zeros());
            First { level, at: (bucket % BUCKETS as u64) as usize, start: bucket << shift }
        };
        let used = (0..LEVELS).filter(|&level| self.used[level] != 0);
        used.map(bucket).min_by_key(|first| (first.start, core::cmp::Reverse(first.level)))
    }

    /// Links a node into the bucket of its time, at the finest level that reaches so far.
    fn link(&mut self, slot: u32) {
        let due = self.nodes[slot as usize].due;
        let ahead = |level: usize| (due >> (BITS * level as u32)) - self.now(level);
        let level = (0..LEVELS - 1).find(|&level| ahead(level) < BUCKETS as u64);
        let level = level.unwrap_or(LEVELS - 1);
        let bucket = self.now(level) + ahead(level).min(BUCKETS as u64 - 1);
        let at = (bucket % BUCKETS as u64) as usize;
        let head = self.heads[level][at];
        if let Some(first) = self.nodes.get_mut(head as usize) {
            first.prev = slot;
        }
        let node = &mut self.nodes[slot as usize];
        (node.next, node.prev) = (head, NONE);
        node.bucket = (level * BUCKETS + at) as u16;
        self.heads[level][at] = slot;
        self.used[level] |= 1 << at;
    }

    /// The present bucket of a level.
    fn now(&self, level: usize) -> u64 {
        self.tick >> (BITS * level as u32)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    const TICK: u64 = 1 << TICK_SHIFT;

    fn all_due(wheel: &mut Wheel, now: Instant) -> Vec<u32> {
        core::iter::from_fn(|| wheel.pop_due(now)).collect()
    }

    #[test]
    fn a_timer_fires_once_not_early_and_at_most_a_tick_late() {
        let mut wheel = Wheel::default();
        wheel.reserve(1);
        for due in [1, 20_000, 1_100_000, 80_000_000, 5_000_000_000, 400_000_000_000] {
            wheel.set(0, Instant::from_nanos(due));
            while let Some(at) = wheel.next_due().filter(|at| at.as_nanos() < due) {
                assert_eq!(wheel.pop_due(at), None, "{due} fired at {at:?}");
            }
            let at = wheel.next_due().expect("a timer");
            assert!(at.as_nanos() < due + TICK, "{due} only at {at:?}");
            assert_eq!(all_due(&mut wheel, at), [0]);
            assert_eq!(wheel.next_due(), None);
        }
    }

    #[test]
    fn a_timer_that_is_moved_or_cleared_does_not_fire_at_its_old_time() {
        let mut wheel = Wheel::default();
        wheel.reserve(3);
        let at = |ticks: u64| Instant::from_nanos(ticks * TICK);
        (0..3).for_each(|slot| wheel.set(slot, at(10)));
        wheel.set(0, at(500));
        wheel.set(1, at(2));
        wheel.clear(2);
        wheel.clear(2);
        assert_eq!(all_due(&mut wheel, at(2)), [1]);
        assert_eq!(all_due(&mut wheel, at(499)), [] as [u32; 0]);
        assert_eq!(all_due(&mut wheel, at(500)), [0]);
    }

    #[test]
    fn a_slot_without_room_is_ignored() {
        let mut wheel = Wheel::default();
        wheel.set(7, Instant::ZERO);
        wheel.clear(7);
        assert_eq!(wheel.next_due(), None);
    }

    proptest! {
        /// Against a sorted map: every timer fires in the first step at or after its tick, and none is lost.
        #[test]
        fn it_agrees_with_a_sorted_map(
            steps in prop::collection::vec((0u32..40, 0u64..36, 0u64..24), 1..400)
        ) {
            let mut wheel = Wheel::default();
            wheel.reserve(40);
            let mut model: BTreeMap<u32, u64> = BTreeMap::new();
            let mut now = 0u64;
            for (slot, ahead, pass) in steps {
                // Exponents, so that all levels and what lies beyond are met.
                let due = now + (1u64 << ahead) * TICK / 3;
                wheel.set(slot, Instant::from_nanos(due));
                model.insert(slot, due.div_ceil(TICK));
                if slot % 7 == 0 {
                    wheel.clear(slot / 2);
                    model.remove(&(slot / 2));
                }
                now += (1u64 << pass) * TICK / 5;
                let mut fired = all_due(&mut wheel, Instant::from_nanos(now));
                fired.sort_unstable();
                let due = |tick: u64| tick <= now / TICK;
                let expected: Vec<u32> =
                    model.iter().filter(|(_, tick)| due(**tick)).map(|(slot, _)| *slot).collect();
                prop_assert_eq!(&fired, &expected);
                model.retain(|_, tick| !due(*tick));
                let earliest = model.values().min().map(|tick| tick * TICK);
                let next = wheel.next_due().map(Instant::as_nanos);
                prop_assert_eq!(next.is_none(), earliest.is_none());
                prop_assert!(next <= earliest, "{:?} after {:?}", next, earliest);
            }
        }
    }
}
