//! When each viewer wants to be looked at again: a heap in which nothing is ever moved or removed. A viewer knows its
//! earliest entry; one that comes out and is not it has been overtaken and is dropped.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use segcast_proto::time::Instant;

/// The times of all viewers of a thread.
#[derive(Debug, Default)]
pub(super) struct Timers {
    heap: BinaryHeap<Reverse<(Instant, u32)>>,
}

/// A viewer's own part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Armed(Instant);

impl Default for Armed {
    fn default() -> Self {
        Self(Instant::FAR_FUTURE)
    }
}

impl Timers {
    /// Viewer `slot` wants to be looked at by `at`. Later than what it said before: it will be looked at then all the
    /// same, and says it again.
    pub(super) fn arm(&mut self, armed: &mut Armed, slot: u32, at: Instant) {
        if at < armed.0 {
            armed.0 = at;
            self.heap.push(Reverse((at, slot)));
        }
    }

    /// A viewer whose time has come: the caller sets its part back. `armed` tells what the viewer in a slot wants; none
    /// where there is nobody.
    pub(super) fn pop(
        &mut self,
        now: Instant,
        armed: impl Fn(u32) -> Option<Armed>,
    ) -> Option<u32> {
        while let Some(&Reverse((at, slot))) = self.heap.peek().filter(|entry| entry.0.0 <= now) {
            self.heap.pop();
            if armed(slot) == Some(Armed(at)) {
                return Some(slot);
            }
        }
        None
    }

    /// When the next entry is due.
    pub(super) fn next(&self) -> Instant {
        self.heap.peek().map_or(Instant::FAR_FUTURE, |entry| entry.0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(nanos: u64) -> Instant {
        Instant::from_nanos(nanos)
    }

    #[test]
    fn the_earliest_time_of_each_comes_once() {
        let mut timers = Timers::default();
        let mut armed = [Armed::default(); 3];
        for (slot, time) in [(0, 50), (1, 20), (0, 10), (0, 30), (2, 20)] {
            timers.arm(&mut armed[slot as usize], slot, at(time));
        }
        assert_eq!(timers.next(), at(10));
        // Viewer 2 has gone.
        let mut due = |now| {
            let mut found: Vec<u32> = Vec::new();
            while let Some(slot) = timers.pop(now, |slot| (slot != 2).then(|| armed[slot as usize]))
            {
                armed[slot as usize] = Armed::default();
                found.push(slot);
            }
            found
        };
        assert!(due(at(9)).is_empty());
        assert_eq!(due(at(25)), [0, 1]);
        assert!(due(at(100)).is_empty(), "what was overtaken is dropped");
    }
}
