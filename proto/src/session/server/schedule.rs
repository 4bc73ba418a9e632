//! Which session is due: a round of those with something to send now, and a heap of those due later.
//!
//! Sessions take turns train by train. A session has at most one heap entry that counts: entries are only
//! pushed for an earlier time than the one pending, and stale ones are skipped when they surface.

use crate::time::Instant;
use core::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

/// What the schedule keeps inside each session.
#[derive(Clone, Copy, Debug)]
pub(super) struct Turn {
    /// Whether the session stands in the round.
    queued: bool,
    /// The heap entry that counts.
    due: Instant,
}

impl Default for Turn {
    fn default() -> Self {
        Self { queued: false, due: Instant::FAR_FUTURE }
    }
}

/// The round and the heap, by slot.
#[derive(Debug, Default)]
pub(super) struct Schedule {
    round: VecDeque<u32>,
    later: BinaryHeap<Reverse<(Instant, u32)>>,
}

impl Schedule {
    /// Puts a session into the round.
    pub(super) fn wake(&mut self, slot: u32, turn: &mut Turn) {
        if !turn.queued {
            turn.queued = true;
            self.round.push_back(slot);
        }
    }

    /// Lets a session wait until `due`.
    pub(super) fn wait(&mut self, slot: u32, turn: &mut Turn, due: Instant) {
        if due < turn.due {
            turn.due = due;
            self.later.push(Reverse((due, slot)));
        }
    }

    /// The next slot of the round. The caller clears its mark with [`Self::left`].
    pub(super) fn next(&mut self) -> Option<u32> {
        self.round.pop_front()
    }

    /// Notes that a session left the round.
    pub(super) fn left(turn: &mut Turn) {
        turn.queued = false;
    }

    /// How many stand in the round.
    pub(super) fn round_len(&self) -> usize {
        self.round.len()
    }

    /// The next slot whose time has come. It may be stale: check with [`Self::is_due`].
    pub(super) fn pop_due(&mut self, now: Instant) -> Option<u32> {
        let Reverse((due, _)) = *self.later.peek()?;
        if due > now {
            return None;
        }
        self.later.pop().map(|Reverse((_, slot))| slot)
    }

    /// Whether a popped entry was the one that counts; if so the session has no entry any more.
    pub(super) fn is_due(turn: &mut Turn, now: Instant) -> bool {
        let due = turn.due <= now;
        if due {
            turn.due = Instant::FAR_FUTURE;
        }
        due
    }

    /// When the earliest entry is due.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.later.peek().map(|Reverse((due, _))| *due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_earliest_entry_counts() {
        let mut schedule = Schedule::default();
        let mut turn = Turn::default();
        schedule.wait(1, &mut turn, Instant::from_nanos(50));
        schedule.wait(1, &mut turn, Instant::from_nanos(90));
        schedule.wait(1, &mut turn, Instant::from_nanos(20));
        assert_eq!(schedule.next_due(), Some(Instant::from_nanos(20)));
        assert_eq!(schedule.pop_due(Instant::from_nanos(20)), Some(1));
        assert!(Schedule::is_due(&mut turn, Instant::from_nanos(20)));
        assert_eq!(schedule.pop_due(Instant::from_nanos(60)), Some(1));
        assert!(!Schedule::is_due(&mut turn, Instant::from_nanos(60)), "stale");
        assert_eq!(schedule.pop_due(Instant::from_nanos(99)), None);
    }

    #[test]
    fn a_session_stands_in_the_round_once() {
        let mut schedule = Schedule::default();
        let mut turn = Turn::default();
        schedule.wake(4, &mut turn);
        schedule.wake(4, &mut turn);
        assert_eq!(schedule.round_len(), 1);
        assert_eq!(schedule.next(), Some(4));
        Schedule::left(&mut turn);
        schedule.wake(4, &mut turn);
        assert_eq!(schedule.next(), Some(4));
    }
}
