//! Sequence numbers below the highest reported one that no report has covered yet.
//!
//! A number stays *pending* for the reordering window and is then *lost*; lost ones are remembered for a while,
//! so that one that turns up late widens the window.

use crate::time::{Duration, Instant};

/// Ranges kept: at 1 % loss, those of 51 200 packets. The oldest are declared lost when there are more.
const KEPT: usize = 512;
/// One report fills at most 16 holes, splitting each in two, and opens at most 16 gaps.
const CAPACITY: usize = KEPT + 2 * crate::limits::REPORT_RANGES_MAX + 2;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Hole {
    low: u64,
    high: u64,
    since: Instant,
    lost: bool,
}

/// The holes in what the client reported, ascending, without overlap.
#[derive(Debug)]
pub(super) struct Missing {
    holes: Vec<Hole>,
}

impl Missing {
    pub(super) fn new() -> Self {
        Self { holes: Vec::with_capacity(CAPACITY) }
    }

    /// `low..=high`, all above every number added before, was not reported at `now`.
    pub(super) fn add(&mut self, low: u64, high: u64, now: Instant) {
        if self.holes.len() < CAPACITY {
            self.holes.push(Hole { low, high, since: now, lost: false });
        } else if let Some(last) = self.holes.last_mut() {
            // Cannot happen while `trim` follows each report; a wider hole is the safe side.
            last.high = high;
        }
    }

    /// `low..=high` was reported: `found(low, high, was_lost)` for each part of it that was missing.
    pub(super) fn fill(&mut self, low: u64, high: u64, mut found: impl FnMut(u64, u64, bool)) {
        let mut at = self.holes.partition_point(|hole| hole.high < low);
        while let Some(&hole) = self.holes.get(at).filter(|hole| hole.low <= high) {
            found(hole.low.max(low), hole.high.min(high), hole.lost);
            let below = (hole.low < low).then(|| Hole { high: low - 1, ..hole });
            let above = (hole.high > high).then(|| Hole { low: high + 1, ..hole });
            match (below, above) {
                (Some(below), Some(above)) => {
                    self.holes[at] = below;
                    if self.holes.len() < CAPACITY {
                        self.holes.insert(at + 1, above);
                    }
                    return;
                }
                (Some(part), None) | (None, Some(part)) => {
                    self.holes[at] = part;
                    at += 1;
                }
                (None, None) => {
                    self.holes.remove(at);
                }
            }
        }
    }

    /// Declares lost what has been pending for `window`, and the oldest beyond the bound: `lost(low, high)`.
    pub(super) fn expire(
        &mut self,
        now: Instant,
        window: Duration,
        mut lost: impl FnMut(u64, u64),
    ) {
        for hole in self.holes.iter_mut().filter(|hole| !hole.lost && hole.since + window <= now) {
            hole.lost = true;
            // From here on `since` is when it was declared lost.
            hole.since = now;
            lost(hole.low, hole.high);
        }
        let excess = self.holes.len().saturating_sub(KEPT);
        self.holes.drain(..excess).filter(|hole| !hole.lost).for_each(|h| lost(h.low, h.high));
    }

    /// Forgets what was declared lost before `then`.
    pub(super) fn forget(&mut self, then: Instant) {
        self.holes.retain(|hole| !hole.lost || hole.since >= then);
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        self.holes.clear();
    }

    /// Since when the hole that has been pending longest has been.
    pub(super) fn oldest_pending(&self) -> Option<Instant> {
        self.holes.iter().filter(|hole| !hole.lost).map(|hole| hole.since).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Duration = Duration::from_nanos(100);

    fn at(nanos: u64) -> Instant {
        Instant::from_nanos(nanos)
    }

    fn filled(missing: &mut Missing, low: u64, high: u64) -> Vec<(u64, u64, bool)> {
        let mut out = Vec::new();
        missing.fill(low, high, |low, high, lost| out.push((low, high, lost)));
        out
    }

    fn expired(missing: &mut Missing, now: u64) -> Vec<(u64, u64)> {
        let mut out = Vec::new();
        missing.expire(at(now), WINDOW, |low, high| out.push((low, high)));
        out
    }

    #[test]
    fn what_is_filled_in_time_is_not_lost() {
        let mut missing = Missing::new();
        missing.add(10, 19, at(0));
        missing.add(30, 39, at(50));
        assert_eq!(missing.oldest_pending(), Some(at(0)));
        assert_eq!(filled(&mut missing, 5, 11), [(10, 11, false)]);
        assert_eq!(filled(&mut missing, 14, 15), [(14, 15, false)]);
        assert_eq!(filled(&mut missing, 19, 30), [(19, 19, false), (30, 30, false)]);
        assert_eq!(expired(&mut missing, 99), []);
        assert_eq!(expired(&mut missing, 100), [(12, 13), (16, 18)]);
        assert_eq!(expired(&mut missing, 150), [(31, 39)]);
        assert_eq!(missing.oldest_pending(), None);
    }

    #[test]
    fn a_lost_number_that_turns_up_is_known_until_it_is_forgotten() {
        let mut missing = Missing::new();
        missing.add(1, 2, at(0));
        assert_eq!(expired(&mut missing, 100), [(1, 2)]);
        assert_eq!(filled(&mut missing, 1, 1), [(1, 1, true)]);
        missing.forget(at(101));
        assert_eq!(filled(&mut missing, 2, 2), []);
    }

    #[test]
    fn the_oldest_are_lost_when_there_are_too_many() {
        let mut missing = Missing::new();
        for n in 0..KEPT as u64 + 5 {
            missing.add(n * 2, n * 2, at(0));
        }
        assert_eq!(expired(&mut missing, 1), [(0, 0), (2, 2), (4, 4), (6, 6), (8, 8)]);
        assert_eq!(missing.holes.capacity(), CAPACITY);
    }
}
