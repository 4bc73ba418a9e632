//! Whether too many requests of the last minute ended in SEGMENT_UNAVAILABLE: the disk, or what was done to its files.

use std::collections::VecDeque;

/// Looks in a minute, one a second.
const LOOKS: usize = 60;
/// Beyond this part of all requests, one of so many, there are too many.
const PART: u64 = 100;
/// And not with fewer than this: one segment that is asked for now and then is no reason to send everybody elsewhere.
const LEAST: u64 = 10;

/// What was counted until a moment.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counted {
    /// Requests.
    pub(crate) requests: u64,
    /// Those of them that ended in SEGMENT_UNAVAILABLE.
    pub(crate) unavailable: u64,
}

/// The looks of the last minute.
#[derive(Debug)]
pub(crate) struct LastMinute {
    looks: VecDeque<Counted>,
}

impl LastMinute {
    /// Nothing was counted yet.
    pub(crate) fn new() -> Self {
        Self { looks: VecDeque::from([Counted::default()]) }
    }

    /// Takes what was counted until now, once a second. True: too many of the last minute's requests failed.
    pub(crate) fn look(&mut self, now: Counted) -> bool {
        let before = self.looks.front().copied().unwrap_or_default();
        self.looks.push_back(now);
        if self.looks.len() > LOOKS {
            self.looks.pop_front();
        }
        let unavailable = now.unavailable.saturating_sub(before.unavailable);
        let requests = now.requests.saturating_sub(before.requests);
        unavailable >= LEAST && unavailable.saturating_mul(PART) > requests
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_than_a_hundredth_of_a_minutes_requests_are_too_many() {
        let mut minute = LastMinute::new();
        assert!(!minute.look(Counted { requests: 5_000, unavailable: 50 }), "one of a hundred");
        assert!(minute.look(Counted { requests: 5_000, unavailable: 51 }));
    }

    #[test]
    fn few_are_never_too_many() {
        let mut minute = LastMinute::new();
        assert!(!minute.look(Counted { requests: 9, unavailable: 9 }));
        assert!(minute.look(Counted { requests: 10, unavailable: 10 }));
    }

    #[test]
    fn a_minute_later_they_are_forgotten() {
        let mut minute = LastMinute::new();
        let failed = Counted { requests: 100, unavailable: 100 };
        assert!((0..LOOKS).all(|_| minute.look(failed)));
        assert!(!minute.look(failed));
        assert!(!minute.look(Counted { requests: 200, unavailable: 101 }));
    }
}
